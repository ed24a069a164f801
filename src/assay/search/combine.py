"""Greedy weighting of models on predictions for rows they did not learn from.

Source: Caruana et al., Ensemble Selection from Libraries of Models (ICML 2004), sections 2.1 - 2.3: models are added
one at a time, with replacement, whichever helps most; what never helps is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rounds of adding a model; a share is a multiple of one over these at the finest.
ROUNDS = 40
#: How much lower, relatively, the loss of a mixture must be than that of the plain mean to be taken instead.
_LEAST_GAIN = 1e-9
_TINY = np.finfo(np.float64).tiny


def mixture_loss(prediction: Floats, target: NDArray[Any], weight: Floats | None) -> float:
    """Log loss of probabilities (n, K), or mean squared error of values (n,) or forecasts (n, H), weighted."""
    if target.ndim == 2:
        each = np.square(prediction - target).mean(1)
    elif prediction.ndim == 2:
        each = -np.log(np.maximum(prediction[np.arange(len(target)), target], _TINY))
    else:
        each = np.square(prediction - target)
    return float(np.average(each, weights=weight))


def greedy_shares(
    predictions: Sequence[Floats], target: NDArray[Any], weight: Floats | None = None, rounds: int = ROUNDS
) -> Floats:
    """The share of each model in the mixture, (models,), summing to 1; 0 for those that are dropped.

    Args:
        predictions: of each model for the same rows: probabilities (n, K), values (n,) or forecasts (n, H).
        target: class positions or values, (n,); of forecasts (n, H).
        weight: row weights, (n,).
        rounds: models added, with replacement.
    """
    counts = np.zeros(len(predictions), np.int64)
    total = np.zeros_like(predictions[0])
    best_loss, best_counts = np.inf, counts
    for size in range(1, rounds + 1):
        losses = [mixture_loss((total + each) / size, target, weight) for each in predictions]
        chosen = int(np.argmin(losses))
        counts = counts.copy()
        counts[chosen] += 1
        total = total + predictions[chosen]
        if losses[chosen] < best_loss * (1.0 - _LEAST_GAIN):
            best_loss, best_counts = losses[chosen], counts
    return np.asarray(best_counts / best_counts.sum(), np.float64)
