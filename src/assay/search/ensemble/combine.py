"""Greedy weighting of models on predictions for rows they did not learn from, guarded against luck on these rows.

Source: Caruana et al., Ensemble Selection from Libraries of Models (ICML 2004), sections 2.1 - 2.3: models are added
one at a time, with replacement, whichever helps most; what never helps is dropped. Where models are many and rows few,
late steps may fit these rows alone. The guard is that of early stopping: the same steps are taken on bootstrap draws of
the rows, and those are left out that clearly raise the loss of the rows that the draws left out.

Letters: n rows, M models, b draws of the rows, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: How often each model was added, (b, M), to the losses of each mixture with one more, (b, M): inside and left out.
Added = Callable[[Ints], tuple[Floats, Floats]]

#: Rounds of adding a model; a share is a multiple of one over these at the finest.
ROUNDS = 40
#: How much lower, relatively, the loss of a mixture must be than that of the plain mean to be taken instead.
_LEAST_GAIN = 1e-9
#: How much less the mean of draws varies than one draw, whose left-out rows are 0.37 of all.
_NARROWER = float(np.sqrt(np.exp(-1.0) / (1.0 - np.exp(-1.0))))
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Weighting:
    """Shares of models, and what the same way would have given on draws of the rows.

    shares: (M,), summing to 1. steps: that were kept. drawn: the shares on each draw, (b, M).
    outside: the mean loss of the rows that draws left out, after each step, (T,); NaN without draws.
    """

    shares: Floats
    steps: int
    drawn: Floats
    outside: Floats


def mixture_loss(prediction: Floats, target: NDArray[Any], weight: Floats | None) -> float:
    """Log loss of probabilities (n, K), or mean squared error of values (n,) or forecasts (n, H), weighted.

    Of labels, targets of 0 and 1 (n, K), it is the mean of their log losses.
    """
    if target.ndim == 2 and np.issubdtype(target.dtype, np.integer):
        each = -np.log(np.maximum(np.where(target > 0, prediction, 1.0 - prediction), _TINY)).mean(1)
    elif target.ndim == 2:
        each = np.square(prediction - target).mean(1)
    elif prediction.ndim == 2:
        each = -np.log(np.maximum(prediction[np.arange(len(target)), target], _TINY))
    else:
        each = np.square(prediction - target)
    return float(np.average(each, weights=weight))


def greedy_shares(
    predictions: Sequence[Floats], target: NDArray[Any], weight: Floats | None = None, rounds: int = ROUNDS
) -> Floats:
    """The share of each model in the mixture, (M,), summing to 1; 0 for those that are dropped. No guard.

    Args:
        predictions: of each model for the same rows: probabilities (n, K), values (n,) or forecasts (n, H).
        target: class positions or values, (n,); of forecasts (n, H), of labels (n, K).
        weight: row weights, (n,).
        rounds: models added, with replacement.
    """
    own = np.ones(len(target)) if weight is None else weight
    counts, _ = _greedy(_Mixed.of(predictions, target), own[None], np.zeros((1, len(own))), rounds)
    return np.asarray(_as_shares(counts[-1])[0], np.float64)


def guarded_shares(
    predictions: Sequence[Floats],
    target: NDArray[Any],
    weight: Floats | None = None,
    *,
    draws: Floats,
    rows: Ints | None = None,
    rounds: int = ROUNDS,
) -> Weighting:
    """Greedy shares without the steps that clearly raise the loss of rows left out; see `greedy_shares`.

    Args:
        draws: bootstrap weights of the rows, (b, m); 0 is a row that a draw left out.
        rows: the m of the n rows that are drawn from; all of them where not given.
    """
    mixed = _Mixed.of(predictions, target)
    own = np.ones(len(target)) if weight is None else weight
    if len(predictions) == 1 or not len(draws):
        shares = _as_shares(_greedy(mixed, own[None], np.zeros((1, len(own))), rounds)[0][-1])[0]
        return Weighting(shares, rounds, np.repeat(shares[None], len(draws), 0), np.full(rounds, np.nan))
    some, taken = (mixed, own) if rows is None else (mixed.at(rows), own[rows])
    inside, left = draws * taken, (draws == 0.0) * taken
    able = (inside.sum(1) > 0.0) & (left.sum(1) > 0.0)
    inside = np.where(able[:, None], inside, taken)  # a draw that cannot choose says what all rows say
    counts, losses = _greedy(some, inside, left, rounds)
    outside = losses[:, able].mean(1) if able.any() else np.full(rounds, np.nan)
    steps = steps_that_hold(losses[:, able])
    whole, _ = _greedy(mixed, own[None], np.zeros((1, len(own))), steps)
    return Weighting(_as_shares(whole[-1])[0], steps, _as_shares(counts[steps - 1]), outside)


def steps_that_hold(losses: Floats) -> int:
    """How many steps are kept, by the losses of the rows that draws left out, (T, b): as a rule all of them.

    The best number is taken where all steps together are worse than it by more than a standard error over the draws.
    """
    steps, draws = len(losses), losses.shape[1]
    if draws < 2:
        return steps
    best = int(losses.mean(1).argmin())
    worse = losses[-1] - losses[best]
    is_clear = bool(worse.mean() > worse.std(ddof=1) * _NARROWER)
    return best + 1 if is_clear else steps


def _as_shares(counts: Ints) -> Floats:
    return np.asarray(counts / counts.sum(-1, keepdims=True), np.float64)


@dataclass(frozen=True)
class _Mixed:
    """All that the loss of a mixture needs of its models.

    parts: probabilities of the true class (M, n), or errors (M, n, H). is_class: which of the two.
    """

    parts: NDArray[Any]
    is_class: bool

    @classmethod
    def of(cls, predictions: Sequence[Floats], target: NDArray[Any]) -> _Mixed:
        if target.ndim == 1 and predictions[0].ndim == 2:
            places = np.arange(len(target))
            return cls(np.stack([each[places, target] for each in predictions]), True)
        return cls(np.stack([each - target for each in predictions]).reshape(len(predictions), len(target), -1), False)

    def at(self, rows: Ints) -> _Mixed:
        """Of these rows alone, in single precision, which is quicker and enough to compare by."""
        kept = self.parts[:, rows]
        return _Mixed(kept.astype(np.float32) if self.is_class else kept, self.is_class)


def _greedy(mixed: _Mixed, inside: Floats, left: Floats, rounds: int) -> tuple[Ints, Floats]:
    """The steps on each of several weightings of the rows at once.

    Args:
        inside: weights of the rows that choose, (b, n). left: weights of rows that only judge, (b, n).

    Returns:
        How often each model is in the best mixture up to each step, (T, b, M), and its loss on `left`, (T, b).
    """
    added = _added_probabilities if mixed.is_class else _added_errors
    losses_of = added(mixed.parts, inside, left)
    draws, models = len(inside), len(mixed.parts)
    every = np.arange(draws)
    counts = np.zeros((draws, models), np.int64)
    best, best_loss, best_left = counts.copy(), np.full(draws, np.inf), np.full(draws, np.nan)
    path, judged = [], []
    for _ in range(rounds):
        chosen_by, judged_by = losses_of(counts)
        chosen = chosen_by.argmin(1)
        counts = counts.copy()
        counts[every, chosen] += 1
        loss = chosen_by[every, chosen]
        is_better = loss < best_loss * (1.0 - _LEAST_GAIN)
        best_loss = np.where(is_better, loss, best_loss)
        best_left = np.where(is_better, judged_by[every, chosen], best_left)
        best = np.where(is_better[:, None], counts, best)
        path.append(best)
        judged.append(best_left)
    return np.stack(path), np.stack(judged)


def _added_probabilities(parts: NDArray[Any], inside: Floats, left: Floats) -> Added:
    """Log losses when a model is added: draws that took the same steps so far share their logarithms."""
    weights = [each.astype(parts.dtype) for each in (inside, left)]
    totals = [each.sum(1) for each in (inside, left)]

    def losses(counts: Ints) -> tuple[Floats, Floats]:
        states, which = np.unique(counts, axis=0, return_inverse=True)
        found = np.empty((2, *counts.shape))
        for place, state in enumerate(states):
            own = which.ravel() == place
            mixed = (parts + state.astype(parts.dtype) @ parts) / parts.dtype.type(state.sum() + 1)
            each = -np.log(np.maximum(mixed, _TINY))
            for at, weight in enumerate(weights):
                found[at, own] = weight[own] @ each.T
        return _per(found[0], totals[0]), _per(found[1], totals[1])

    return losses


def _added_errors(parts: NDArray[Any], inside: Floats, left: Floats) -> Added:
    """Mean squared errors when a model is added: they are quadratic in the shares, so rows are summed once."""
    flat = parts.astype(np.float64).reshape(len(parts), -1)
    steps = flat.shape[1] // inside.shape[1]

    def products(weights: Floats) -> Floats:
        found = np.stack([(flat * np.repeat(weight, steps)) @ flat.T for weight in weights]) / steps
        return np.asarray(found, np.float64)

    found = [(products(each), each.sum(1)) for each in (inside, left)]

    def losses(counts: Ints) -> tuple[Floats, Floats]:
        both = []
        for squares, total in found:
            crossed = np.einsum("bij,bj->bi", squares, counts.astype(np.float64))
            so_far = np.einsum("bi,bi->b", crossed, counts.astype(np.float64))
            added = so_far[:, None] + 2.0 * crossed + np.diagonal(squares, axis1=1, axis2=2)
            both.append(_per(added / (counts.sum(1)[:, None] + 1.0) ** 2, total))
        return both[0], both[1]

    return losses


def _per(sums: Floats, total: Floats) -> Floats:
    """Sums (b, M) over the weight of each draw, (b,); NaN where there is none."""
    means = np.divide(sums, total[:, None], out=np.full(sums.shape, np.nan), where=total[:, None] > 0.0)
    return np.asarray(means, np.float64)
