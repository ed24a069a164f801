"""Scores of forecasts for weightings of their windows, as settings are judged by; see `forecast_scores.py` for tests.

Letters: n windows, H steps ahead, b weightings.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from assay.evaluate.metrics import SEARCHED_FORECAST_METRICS, Floats


class WindowScorer:
    """MAE and RMSE of forecasts (n, H): means over windows and the steps of each."""

    def __init__(self, truth: Floats, prediction: Floats) -> None:
        error = np.asarray(prediction, np.float64) - truth
        self._each = {"mae": np.abs(error).mean(axis=1), "rmse": np.square(error).mean(axis=1)}

    def __call__(self, weights: Floats, only: Collection[str] | None = None) -> dict[str, Floats]:
        """The metrics (those in `only`) for weights (b, n): each an array (b,), NaN without weight."""
        total, found = weights.sum(axis=1), {}
        for name in (m.id for m in SEARCHED_FORECAST_METRICS if only is None or m.id in only):
            sums = weights @ self._each[name]
            mean = np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
            found[name] = np.sqrt(mean) if name == "rmse" else mean
        return found

    def values(self, weight: Floats | None = None, only: Collection[str] | None = None) -> dict[str, float]:
        """The metrics for one weighting (n,), ones by default."""
        weights = np.ones((1, len(self._each["mae"]))) if weight is None else np.asarray(weight, np.float64)[None]
        return {name: float(value[0]) for name, value in self(weights, only).items()}

    def of_rows(self, name: str) -> Floats:
        """What each window adds to a metric that is a mean over windows, or the root of one, (n,)."""
        added: Floats = self._each[name]
        return added
