"""Scores of forecasts with intervals that allow for overlapping windows.

Windows whose origins are less than a horizon apart share steps and errors. Intervals therefore resample whole stretches
of origins, at least a horizon long, of all series at once (moving blocks: Künsch, Annals of Statistics 1989; around the
end: Politis & Romano 1992). Two models are told apart by `paired.py`, for of few stretches a bootstrap is far too sure.

Letters: n windows, H steps ahead, T origins in time, B bootstrap samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.compare import PairedTest
from assay.evaluate.forecast.paired import Overlap, lead_test, leads
from assay.evaluate.intervals import bootstrap_interval
from assay.evaluate.metrics import FORECAST_METRICS
from assay.evaluate.record import Estimate

Floats = NDArray[np.float64]

#: Origins from which on there is an interval.
_FEWEST_ORIGINS = 3
_NAMES = tuple(metric.id for metric in FORECAST_METRICS)


@dataclass(frozen=True)
class Blocks:
    """Origins in time and how they are drawn.

    place: of each window among the origins, int64 (n,). count: T. length: origins of a block.
    """

    place: NDArray[np.int64]
    count: int
    length: int

    @classmethod
    def of(cls, steps: NDArray[np.int64], horizon: int) -> Blocks:
        """The blocks of windows whose origins are at these steps: a horizon long, or longer, at most half of all."""
        moments, place = np.unique(steps, return_inverse=True)
        apart = int(np.median(np.diff(moments))) if len(moments) > 1 else 1
        wanted = max(-(-horizon // max(apart, 1)), round(len(moments) ** (1 / 3)))
        return cls(place, len(moments), max(1, min(wanted, len(moments) // 2)))

    @property
    def independent(self) -> int:
        """Blocks that do not overlap."""
        return max(self.count // self.length, 1)

    def draws(self, samples: int, seed: int) -> Floats:
        """How often each origin is drawn in each sample, (B, T)."""
        rng = np.random.default_rng(seed)
        blocks = -(-self.count // self.length)
        first = rng.integers(self.count, size=(samples, blocks))
        drawn = (first[:, :, None] + np.arange(self.length)) % self.count
        drawn = drawn.reshape(samples, -1)[:, : self.count]
        flat = drawn + self.count * np.arange(samples)[:, None]
        return np.bincount(flat.ravel(), minlength=samples * self.count).reshape(samples, -1).astype(np.float64)

    def method(self, samples: int) -> str:
        """The method in words."""
        return f"block bootstrap ({samples:,}) of {self.count:,} origins, {self.length} at a time"


class ForecastScorer:
    """All metrics of forecasts (n, H) against the truth, for many weightings of the origins at once.

    naive: the unit of MASE of each window, (n,), NaN where it has none. deviation: of each window's series, (n,).
    `absolute` is the mean absolute error of each window, (n,), `by_step` that of each step ahead, (H,).
    """

    def __init__(self, truth: Floats, prediction: Floats, naive: Floats, deviation: Floats, blocks: Blocks) -> None:
        self.blocks = blocks
        error = prediction - truth
        absolute, squared = np.abs(error).mean(axis=1), (error**2).mean(axis=1)
        self.absolute: Floats = absolute
        scaled = absolute / naive
        spread = np.abs(prediction) + np.abs(truth)
        symmetric = np.divide(2 * np.abs(error), spread, out=np.zeros_like(error), where=spread > 0).mean(axis=1)
        each = {
            "mae": absolute, "rmse": squared, "mase": scaled, "smape": 100 * symmetric,
            "mse_standardised": squared / deviation**2,
        }  # fmt: skip
        self._sums = {name: self._added(np.where(np.isfinite(value), value, 0.0)) for name, value in each.items()}
        self._counts = {name: self._added(np.isfinite(value).astype(np.float64)) for name, value in each.items()}
        self.by_step: Floats = np.abs(error).mean(axis=0)

    def _added(self, values: Floats) -> Floats:
        return np.bincount(self.blocks.place, values, self.blocks.count).astype(np.float64)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """The metrics for weights of the origins (B, T): each (B,), NaN where not defined."""
        found = {}
        for name in _NAMES:
            count = weights @ self._counts[name]
            mean = np.divide(weights @ self._sums[name], count, out=np.full(len(weights), np.nan), where=count > 0)
            found[name] = np.sqrt(mean) if name == "rmse" else mean
        return found

    @cached_property
    def values(self) -> dict[str, float]:
        """The metrics of all windows alike."""
        return {name: float(value[0]) for name, value in self(np.ones((1, self.blocks.count))).items()}


def forecast_estimates(scorer: ForecastScorer, *, confidence: float, samples: int, seed: int) -> dict[str, Estimate]:
    """Every metric with its interval."""
    blocks = scorer.blocks
    drawn = scorer(blocks.draws(samples, seed)) if blocks.count >= _FEWEST_ORIGINS else {}
    found = {}
    for name, value in scorer.values.items():
        if not np.isfinite(value):
            reason = "no series has a naive error in training" if name == "mase" else "no windows"
            found[name] = Estimate(value=None, method=f"not defined: {reason}")
        elif name not in drawn:
            found[name] = Estimate(value=value, method=f"no interval from {blocks.count} origins")
        else:
            low, high = bootstrap_interval(value, drawn[name], max(blocks.independent, 2), confidence, lowest=0.0)
            found[name] = Estimate(value=value, low=low, high=high, method=blocks.method(samples))
    return found


def forecast_test(first: ForecastScorer, second: ForecastScorer, overlap: Overlap, confidence: float) -> PairedTest:
    """The first model's lead over the second in mean absolute error, over the same windows."""
    return lead_test(leads(first.absolute, second.absolute), overlap, confidence)
