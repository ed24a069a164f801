"""Scores of forecasts with intervals that allow for overlapping windows.

Errors of windows whose origins are less than a horizon apart go together. An interval is that of the mean over windows
by the test of two forecasts (`paired.py`), on the scale of logarithms, for errors are above zero and a few of them
large: at a nominal 95 % it held the truth in 93 to 100 of 100 draws, a bootstrap of stretches in 55 to 88.

Letters: n windows, H steps ahead.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.compare import PairedTest
from assay.evaluate.estimate import Estimate
from assay.evaluate.forecast.paired import Overlap, Support, lead_test, leads, pulled_test

Floats = NDArray[np.float64]

#: Half widths on the scale of logarithms beyond which an interval says nothing.
_WIDEST = 50.0


class ForecastScorer:
    """All metrics of forecasts (n, H) against the truth.

    naive: the unit of MASE of each window, (n,), NaN where it has none. deviation: of each window's series, (n,).
    overlap: which windows share steps. `absolute` is the mean absolute error of each window, (n,), `by_step` that of
    each step ahead, (H,).
    """

    def __init__(self, truth: Floats, prediction: Floats, naive: Floats, deviation: Floats, overlap: Overlap) -> None:
        self.overlap = overlap
        error = prediction - truth
        absolute, squared = np.abs(error).mean(axis=1), (error**2).mean(axis=1)
        spread = np.abs(prediction) + np.abs(truth)
        symmetric = np.divide(2 * np.abs(error), spread, out=np.zeros_like(error), where=spread > 0).mean(axis=1)
        self.absolute: Floats = absolute
        self.by_step: Floats = np.abs(error).mean(axis=0)
        self._each: dict[str, Floats] = {
            "mae": absolute, "rmse": squared, "mase": absolute / naive, "smape": 100 * symmetric,
            "mse_standardised": squared / deviation**2,
        }  # fmt: skip

    @cached_property
    def values(self) -> dict[str, float]:
        """The metrics of all windows alike, NaN where not defined."""
        return {name: self._mean(name) ** self._power(name) for name in self._each}

    def estimates(self, confidence: float) -> dict[str, Estimate]:
        """Every metric with its interval."""
        return {name: self._estimate(name, confidence) for name in self._each}

    def _mean(self, name: str) -> float:
        known = self._each[name][np.isfinite(self._each[name])]
        return float(known.mean()) if len(known) else float("nan")

    def _power(self, name: str) -> float:
        return 0.5 if name == "rmse" else 1.0

    def _estimate(self, name: str, confidence: float) -> Estimate:
        value, mean = self.values[name], self._mean(name)
        if not np.isfinite(value):
            reason = "no series has a naive error in training" if name == "mase" else "no windows"
            return Estimate(value=None, method=f"not defined: {reason}")
        known = np.isfinite(self._each[name])
        pulls = np.where(known, (self._each[name] - mean) / known.sum(), 0.0)
        return error_estimate(mean, pulls, self.overlap, self.overlap.support_of(known), confidence, self._power(name))


def error_estimate(
    mean: float, pulls: Floats, overlap: Overlap, support: Support, confidence: float, power: float = 1.0
) -> Estimate:
    """A mean of errors, or a power of it, with its interval on the scale of logarithms.

    Args:
        mean: of errors, which are not below zero. pulls: of each window, (n,), overlap, support: see `pulled_test`.
        confidence: of the interval. power: that the mean is raised to.
    """
    found = pulled_test(mean, pulls, overlap, support, confidence, name="Student's t").difference
    value = mean**power
    if found.high is None or not mean > 0.0:
        end = None if found.high is None else 0.0
        return Estimate(value=value, low=end, high=end, method=found.method.replace("not defined", "no interval"))
    reach = float(np.exp(min((found.high - mean) / mean, _WIDEST) * power))
    return Estimate(value=value, low=value / reach, high=value * reach, method=found.method)


def forecast_test(first: ForecastScorer, second: ForecastScorer, confidence: float) -> PairedTest:
    """The first model's lead over the second in mean absolute error, over the same windows."""
    return lead_test(leads(first.absolute, second.absolute), first.overlap, confidence)
