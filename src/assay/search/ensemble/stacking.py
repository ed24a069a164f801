"""Stacking: shares of models by a regularised linear model of their answers, none below 0, that add up to 1.

Sources: Wolpert, Stacked Generalization (Neural Networks 1992); Breiman, Stacked Regressions (Machine Learning 1996),
for shares that are not negative; van der Laan et al., Super Learner (2007), for those that add up to 1, which keep
probabilities what they are. The loss is the mixture's own; a penalty draws shares towards equal ones, as strongly
as is best for rows that bootstrap draws left out.

Letters: n rows, M models, b draws of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.search.ensemble.combine import mixture_loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Penalties that are tried, in units of the curvature of the loss; shares below which a model is dropped.
_PENALTIES, _LEAST_SHARE = (1e-4, 1e-2, 1e-1, 1.0), 0.01
#: Newton steps at most, and the relative gain below which they end.
_STEPS, _LEAST_GAIN = 12, 1e-7
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Stacked:
    """Shares (M,), those of each draw (b, M), the penalty, and the loss on rows that draws left out (NaN: no draws)."""

    shares: Floats
    drawn: Floats
    penalty: float
    outside: float


def stacked_shares(
    predictions: Sequence[Floats],
    target: NDArray[Any],
    weight: Floats | None = None,
    *,
    draws: Floats,
    rows: Ints | None = None,
) -> Stacked:
    """Shares of the models, summing to 1; those of less than a hundredth are dropped.

    Args:
        predictions: of each model for the same rows: probabilities (n, K), values (n,) or forecasts (n, H).
        target: class positions or values, (n,); of forecasts (n, H).
        weight: row weights, (n,).
        draws: bootstrap weights of the rows, (b, m); 0 is a row that a draw left out.
        rows: the m of the n rows that are drawn from; all of them where not given.
    """
    own = np.ones(len(target)) if weight is None else weight
    some = np.arange(len(target)) if rows is None else rows
    parts = [each[some] for each in predictions]
    inside, left = draws * own[some], (draws == 0.0) * own[some]
    able = np.flatnonzero((inside.sum(1) > 0.0) & (left.sum(1) > 0.0))
    best: tuple[float, float, list[Floats]] = (np.inf, _PENALTIES[1], [])
    for penalty in _PENALTIES if len(able) else ():
        shares = [_fitted(parts, target[some], inside[at], penalty) for at in able]
        pairs = zip(shares, able, strict=True)
        loss = float(np.mean([mixture_loss(_mix(parts, each), target[some], left[at]) for each, at in pairs]))
        if loss < best[0]:
            best = (loss, penalty, shares)
    whole = _fitted(predictions, target, own, best[1])
    drawn = np.repeat(whole[None], len(draws), 0)
    drawn[able] = np.stack(best[2]) if best[2] else drawn[able]
    return Stacked(whole, drawn, best[1], best[0] if best[2] else float("nan"))


def _fitted(predictions: Sequence[Floats], target: NDArray[Any], weight: Floats, penalty: float) -> Floats:
    """The shares for rows of these weights: one step where the loss is squared, Newton's steps for the log loss."""
    weight = weight / weight.sum()
    if target.ndim == 1 and predictions[0].ndim == 2:
        own = np.stack([each[np.arange(len(target)), target] for each in predictions]).astype(np.float64)
        return _pruned(_newton(own, weight, penalty))
    errors = np.stack([each - target for each in predictions]).reshape(len(predictions), len(target), -1)
    flat = errors.reshape(len(predictions), -1)
    squares = (flat * np.repeat(weight / errors.shape[2], errors.shape[2])) @ flat.T
    return _pruned(_on_simplex(squares, np.zeros(len(squares)), penalty))


def _newton(own: Floats, weight: Floats, penalty: float) -> Floats:
    """Shares of least log loss for probabilities of the true class, (M, n): quadratic models, damped steps."""
    shares = np.full(len(own), 1.0 / len(own))
    mixed = np.maximum(shares @ own, _TINY)
    scaled = own / mixed
    strength = penalty * float(np.mean((scaled * scaled) @ weight))

    def loss(of: Floats) -> float:
        far = of - 1.0 / len(of)
        return float(-np.log(np.maximum(of @ own, _TINY)) @ weight + 0.5 * strength * far @ far)

    now = loss(shares)
    for _ in range(_STEPS):
        scaled = own / np.maximum(shares @ own, _TINY)
        curved = (scaled * weight) @ scaled.T
        # The gradient is -curved @ shares, for a share's own part of the mixture adds up to 1.
        wanted = _on_simplex(curved, 2.0 * curved @ shares, strength / max(float(np.trace(curved)) / len(own), _TINY))
        step = 1.0
        while step > 1e-3 and loss(shares + step * (wanted - shares)) > now:
            step /= 2.0
        moved = shares + step * (wanted - shares)
        then = loss(moved)
        if now - then <= _LEAST_GAIN * abs(now):
            break
        shares, now = moved, then
    return shares


def _on_simplex(squares: Floats, pulled: Floats, penalty: float) -> Floats:
    """The shares, none below 0 and summing to 1, of least s' Q s / 2 - s' p with a penalty on their squares.

    As non-negative least squares (Lawson & Hanson 1974, chapter 23): with Q = L L' it is |L' s - L^-1 p|; a row that is
    far heavier than the others holds the sum.
    """
    optimize = require("scipy.optimize", "stacking")
    size = len(squares)
    level = max(float(np.trace(squares)) / size, _TINY)
    whole = squares / level + (penalty + 1e-10) * np.eye(size)
    lower = np.linalg.cholesky(whole)
    heavy = 1e4
    rows = np.vstack([lower.T, np.full(size, heavy)])
    aims = np.append(np.linalg.solve(lower, pulled / level), heavy)
    found, _ = optimize.nnls(rows, aims)
    return np.asarray(found / found.sum(), np.float64)


def _pruned(shares: Floats) -> Floats:
    kept = np.where(shares < _LEAST_SHARE, 0.0, shares)
    return np.asarray(kept / kept.sum(), np.float64) if kept.any() else shares


def _mix(predictions: Sequence[Floats], shares: Floats) -> Floats:
    return np.asarray(sum(s * each for s, each in zip(shares, predictions, strict=True)), np.float64)
