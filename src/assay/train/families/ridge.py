"""Linear heads for many features and few rows: ridge regression whose leave-one-out error costs nothing more.

Shape legend: n rows, D features, K outputs, P penalties.

With rows x_i of weight w_i, targets y_i and penalty a, the weights b and the intercept c minimise

    sum_i w_i |y_i - x_i b - c|^2 + a |b|^2.

c is not penalised, so it drops out with weighted means taken off. Let X have the rows sqrt(w_i) (x_i - mean x) and Y
likewise, and X = U S V'. Then b = V diag(s / (s^2 + a)) U'Y, row i's share in its own answer, its leverage, is

    h_i = w_i / sum w + sum_j U_ij^2 s_j^2 / (s_j^2 + a),

and the model that was fitted without row i misses it by (y_i - x_i b - c) / (1 - h_i), exactly (Allen, Technometrics
1974; Golub, Heath & Wahba, Technometrics 1979). Neither is the model fitted again, nor is X decomposed: the smaller of
X X' and X'X is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay._imports import require

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

#: Penalties that are tried, for features of unit deviation.
PENALTIES = tuple(10.0 ** (place / 2) for place in range(-6, 13))
#: Eigenvalues below this share of the largest are rounding.
_RANK = 1e-12
#: Where leverage reaches 1, a row alone decides its answer and nothing is left when it is out.
_LEAST = 1e-9
_SCALES = (-7.0, 7.0)
#: Steps of Newton's method at most, and a step that is none.
_MOST_NEWTON, _STILL = 100, 1e-8


@dataclass(frozen=True)
class Ridge:
    """A linear head.

    weight: (D, K), of the features as they were given. intercept: (K,).
    penalty: the one chosen. errors: (P,), weighted mean of squared leave-one-out errors of each penalty.
    left_out: (n, K), what each row is answered by the model fitted without it.
    """

    weight: Doubles
    intercept: Doubles
    penalty: float
    errors: Doubles
    left_out: Doubles

    def decide(self, features: Floats) -> Doubles:
        """Answers (n, K) of rows (n, D)."""
        answers: Doubles = features @ self.weight + self.intercept
        return answers


def fit_ridge(
    features: Floats,
    targets: Floats,
    weights: Floats | None = None,
    *,
    penalties: tuple[float, ...] = PENALTIES,
    standardise: bool = True,
) -> Ridge:
    """Fit by the penalty of the least leave-one-out error: features (n, D), targets (n, K), weights (n,).

    A row of weight 0 teaches nothing, and its left-out answer is the model's.

    standardise: whether the penalty is of features of unit deviation, or of features as they are.
    """
    weight = np.ones(len(features)) if weights is None else np.asarray(weights, np.float64)
    share = weight / weight.sum()
    mean, middle = share @ features, share @ targets
    centred = np.subtract(features, mean, dtype=np.float64)
    scale = _inverse_deviations(centred, share) if standardise else np.ones(features.shape[1])
    centred *= scale
    aims = np.asarray(targets, np.float64) - middle
    root = np.sqrt(weight)[:, None]
    axes, squares, from_axes = _decompose(root * centred)
    projected = axes.T @ (root * aims)
    # A row of weight 0 has no axis; its answers come from the weights.
    left_out, errors = [], []
    for penalty in penalties:
        shrunk = squares / (squares + penalty)
        leverage = np.minimum(share + axes**2 @ shrunk, 1.0 - _LEAST)
        fitted = np.divide(axes @ (shrunk[:, None] * projected), root, where=root > 0, out=np.zeros_like(aims))
        missed = (aims - fitted) / (1.0 - leverage)[:, None]
        errors.append(float((share[:, None] * missed**2).sum() / aims.shape[1]))
        left_out.append(aims - missed)
    best = int(np.argmin(errors))
    slope = from_axes @ (projected / (squares + penalties[best])[:, None])
    answers = np.where(root > 0, left_out[best], centred @ slope) + middle
    slope = scale[:, None] * slope
    return Ridge(slope, middle - mean @ slope, penalties[best], np.array(errors), answers)


def _inverse_deviations(centred: Doubles, share: Doubles) -> Doubles:
    """One over each feature's deviation, and 0 where it does not vary."""
    deviation = np.sqrt(share @ centred**2)
    return np.divide(1.0, deviation, where=deviation > 0, out=np.zeros_like(deviation))


def _decompose(rows: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """U (n, r), s^2 (r,) and V diag(s) (D, r) of rows (n, D), from the smaller of the two products."""
    is_wide = rows.shape[0] <= rows.shape[1]
    squares, vectors = np.linalg.eigh(rows @ rows.T if is_wide else rows.T @ rows)
    kept = squares > _RANK * squares.max(initial=0.0)
    squares, vectors = squares[kept], vectors[:, kept]
    if is_wide:
        return vectors, squares, rows.T @ vectors
    return rows @ vectors / np.sqrt(squares), squares, vectors * np.sqrt(squares)


def one_against_rest(codes: NDArray[np.integer], classes: int) -> Doubles:
    """Targets of classes (n,) as 1 for the own and -1 for the others: (n, classes)."""
    return np.where(codes[:, None] == np.arange(classes), 1.0, -1.0)


def fit_scale(decisions: Floats, codes: NDArray[np.integer], weights: Floats | None = None) -> float:
    """The factor that makes softmax(factor * decisions) say how often it is right: decisions (n, K), codes (n,).

    It minimises log loss (temperature scaling: Guo, Pleiss, Sun & Weinberger, ICML 2017), on decisions that were left
    out. Certainty is not to be had from n rows: targets are (n + 1) / (n + K) for the own class and 1 / (n + K) for
    each other, after Platt (1999), so that the factor stays finite where all rows are right. One column of decisions
    is that of class 1, and class 0 has 0.
    """
    logits = np.asarray(decisions, np.float64)
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    classes = logits.shape[1]
    weight = np.ones(len(logits)) if weights is None else np.asarray(weights, np.float64)
    total = weight.sum()
    targets = np.full(logits.shape, 1.0 / (total + classes))
    targets[np.arange(len(logits)), codes] = (total + 1.0) / (total + classes)

    def loss(exponent: float) -> float:
        scaled = np.exp(exponent) * logits
        scaled -= scaled.max(axis=1, keepdims=True)
        chances = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-weight @ (targets * chances).sum(axis=1))

    optimize = require("scipy.optimize", "a ridge")
    return float(np.exp(optimize.minimize_scalar(loss, bounds=_SCALES, method="bounded", options={"xatol": 1e-6}).x))


def fit_sigmoids(
    decisions: Floats, targets: NDArray[np.integer], weights: Floats | None = None
) -> tuple[Doubles, Doubles]:
    """Slopes and shifts (K,) that make sigmoid(slope * decision + shift) the probability of each label.

    They minimise the log loss of decisions (n, K) that were left out, for targets (n, K) of 0 and 1, by Newton's method
    (Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2, in the form of Lin, Lin & Weng,
    Machine Learning 2007). Platt's targets, (N + 1) / (N + 2) for the N rows with the label and 1 / (M + 2) for the M
    without, keep them finite where decisions part the rows, or where all rows are alike.
    """
    weight = np.ones(len(decisions)) if weights is None else np.asarray(weights, np.float64)
    fitted = [
        _fit_sigmoid(one, own, weight) for one, own in zip(np.asarray(decisions, np.float64).T, targets.T, strict=True)
    ]
    slopes, shifts = zip(*fitted, strict=True)
    return np.array(slopes), np.array(shifts)


def _fit_sigmoid(decision: Doubles, target: NDArray[np.integer], weight: Doubles) -> tuple[float, float]:
    having = float(weight[target > 0].sum())
    lacking = float(weight.sum()) - having
    aims = np.where(target > 0, (having + 1.0) / (having + 2.0), 1.0 / (lacking + 2.0))

    def loss(given: Doubles) -> float:
        logits = given[0] * decision + given[1]
        return float(weight @ (np.logaddexp(0.0, logits) - aims * logits))

    place = np.array([1.0, np.log((having + 1.0) / (lacking + 1.0))])
    best = loss(place)
    for _ in range(_MOST_NEWTON):
        chance = 1.0 / (1.0 + np.exp(-np.clip(place[0] * decision + place[1], -50.0, 50.0)))
        missed, spread = weight * (chance - aims), weight * chance * (1.0 - chance)
        slope = np.array([missed @ decision, missed.sum()])
        curve = np.array([[spread @ decision**2, spread @ decision], [spread @ decision, spread.sum()]])
        step = np.linalg.solve(curve + 1e-9 * (1.0 + np.trace(curve)) * np.eye(2), slope)
        if np.abs(step).max() < _STILL:
            break
        factor = 1.0
        while (found := loss(place - factor * step)) > best and factor > _STILL:
            factor /= 2.0
        if found >= best:
            break
        place, best = place - factor * step, found
    return float(place[0]), float(place[1])
