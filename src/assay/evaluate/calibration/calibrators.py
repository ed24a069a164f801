"""Which map makes probabilities honest: kinds fitted on validation rows, and one chosen by cross-validation on them.

Sources: see `assay.models.calibration`; the rule of one standard error is Breiman et al., Classification and Regression
Trees (1984), section 3.4.3; the fewest rows of isotonic regression Niculescu-Mizil & Caruana (ICML 2005), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.config import CalibrationOption
from assay.evaluate.metrics import Floats, Ints
from assay.models.calibration import TINY, CalibrationChoice, CalibrationMap, Kind, KindLoss

#: From the simplest on.
KINDS: tuple[Kind, ...] = ("none", "temperature", "vector", "beta", "isotonic")
FOLDS = 5
#: Rows without which only a temperature is fitted, of which isotonic regression needs more, and of each class.
FEWEST, FEWEST_ISOTONIC, FEWEST_OF_CLASS = 200, 1000, 10
#: Rows for each parameter of a kind, and classes that have parameters of their own at most.
ROWS_A_PARAMETER, MOST_CLASSES = 20, 50
#: Probabilities that kinds are compared on, and that a map is fitted on, at most.
_COMPARED, _FITTED = 300_000, 400_000
#: Least and most that log odds may rise with the stated ones: the order is kept, and rounding moves no answer.
_FLATTEST, _STEEPEST = 0.01, 8.0
_FURTHEST = 20.0
#: Log odds that a block of isotonic regression lies above the one before: rounding leaves equal ones apart.
_LEAST_RISE = 1e-9
#: Parts of the evidence that a block of isotonic regression has at least.
_BLOCKS = 20


# Fits -----------------------------------------------------------------------------------------------------------------


def fit_vector(stated: Floats, target: Ints, weight: Floats | None = None) -> CalibrationMap:
    """A slope and a shift for each class, on log probabilities; of two classes one of each, on log odds (Platt).

    Args:
        stated: probabilities, (n, K).
        target: class positions, (n,).
        weight: row weights, (n,).
    """
    classes, share = stated.shape[1], _shares(weight, len(target))
    if classes == 2:
        aims, odds = _aims(target == 1, share), _logs(stated[:, 1]) - _logs(stated[:, 0])
        slope, shift = _minimised(_logistic(odds[:, None], aims, share), [1.0, 0.0], [_SLOPE, _SHIFT])
        return CalibrationMap("vector", (slope,), (slope,), (shift,))
    logs, aims = _logs(stated), _softened(stated, target, share)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slopes, shifts = parameters.reshape(2, classes)
        scaled = logs * slopes + shifts
        scaled -= scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        off = (np.exp(scaled - total) - aims) * share[:, None]
        value = -float((share[:, None] * aims * (scaled - total)).sum())
        return value, np.concatenate([(off * logs).sum(axis=0), off.sum(axis=0)])

    found = _minimised(loss, [1.0] * classes + [0.0] * classes, [_SLOPE] * classes + [_SHIFT] * classes)
    return CalibrationMap("vector", tuple(found[:classes]), (), tuple(found[classes:]))


def fit_beta(stated: Floats, target: Ints, weight: Floats | None = None) -> CalibrationMap:
    """Beta calibration, of more than two classes of each against the rest; slopes are at least 0, as for monotony.

    Args: see `fit_vector`.
    """
    classes, share = stated.shape[1], _shares(weight, len(target))
    found = []
    for place in [1] if classes == 2 else range(classes):
        rest = stated[:, 0] if classes == 2 else stated.sum(axis=1) - stated[:, place]
        pair = np.stack([_logs(stated[:, place]), -_logs(rest)], axis=1)
        loss = _logistic(pair, _aims(target == place, share), share)
        found.append(_minimised(loss, [1.0, 1.0, 0.0], [_SLOPE, _SLOPE, _SHIFT]))
    slopes, rests, shifts = zip(*found, strict=True)
    return CalibrationMap("beta", slopes, rests, shifts)


def fit_isotonic(stated: Floats, target: Ints, weight: Floats | None = None) -> CalibrationMap:
    """Isotonic regression on log odds with the centres of its blocks joined by lines; one function for all classes.

    Blocks with little evidence, and neighbours between which it would rise so steeply that rounding shows, are pooled.

    Args: see `fit_vector`.
    """
    optimize = require("scipy.optimize", "isotonic regression")
    classes, share = stated.shape[1], _shares(weight, len(target))
    if classes == 2:
        odds, hits = _logs(stated[:, 1]) - _logs(stated[:, 0]), (target == 1).astype(np.float64)
    else:
        odds = (_logs(stated) - _logs(stated.sum(axis=1, keepdims=True) - stated)).ravel()
        hits, share = np.eye(classes)[target].ravel(), np.repeat(share / classes, classes)
    aims = _aims(hits > 0, share)
    places, where = np.unique(odds, return_inverse=True)
    weights = np.bincount(where, share)
    means = np.bincount(where, share * aims) / weights
    blocks = optimize.isotonic_regression(means, weights=weights).blocks
    starts = np.asarray(blocks[:-1])
    total = np.add.reduceat(weights, starts)
    pooled = [
        _Block(*parts)
        for parts in zip(
            total.tolist(), np.add.reduceat(weights * places, starts).tolist(),
            np.add.reduceat(weights * means, starts).tolist(), strict=True,
        )
    ]  # fmt: skip
    knots, heights = zip(*((b.centre, b.height) for b in _smoothed(pooled)), strict=True)
    return CalibrationMap("isotonic", knots=knots, heights=heights)


def fit_labels(
    kind: Kind, stated: Floats, target: NDArray[Any], weight: Floats | None, able: NDArray[np.bool_]
) -> CalibrationMap:
    """Platt scaling (vector) or beta calibration of each label by itself; those not `able`, (L,), stay as they are.

    Args:
        kind: vector or beta.
        stated: probabilities, (n, L).
        target: 0 and 1, (n, L).
        weight: row weights, (n,).
        able: whether a label has rows enough, bool (L,).
    """
    share, found = _shares(weight, len(target)), []
    for label, is_able in enumerate(able):
        if not is_able:
            found.append((1.0, 1.0, 0.0))
            continue
        own, rest = _logs(stated[:, label]), -_logs(1.0 - stated[:, label])
        aims = _aims(target[:, label] > 0, share)
        if kind == "vector":
            slope, shift = _minimised(_logistic((own + rest)[:, None], aims, share), [1.0, 0.0], [_SLOPE, _SHIFT])
            found.append((slope, slope, shift))
        else:
            loss = _logistic(np.stack([own, rest], axis=1), aims, share)
            first, second, shift = _minimised(loss, [1.0, 1.0, 0.0], [_SLOPE, _SLOPE, _SHIFT])
            found.append((first, second, shift))
    slopes, rests, shifts = zip(*found, strict=True)
    return CalibrationMap("vector" if kind == "vector" else "beta", slopes, rests, shifts, has_labels=True)


class _Block:
    """Rows of one answer: their weight, and the weighted sums of their log odds and of what came true."""

    def __init__(self, weight: float, odds: float, hits: float) -> None:
        self.weight, self.odds, self.hits = weight, odds, hits

    def __add__(self, other: _Block) -> _Block:
        return _Block(self.weight + other.weight, self.odds + other.odds, self.hits + other.hits)

    @property
    def centre(self) -> float:
        return self.odds / self.weight

    @property
    def height(self) -> float:
        return float(np.log(self.hits / (self.weight - self.hits)))

    @property
    def evidence(self) -> float:
        """The variance of its outcomes, added up."""
        return self.hits * (self.weight - self.hits) / self.weight


def _smoothed(blocks: list[_Block]) -> list[_Block]:
    """Neighbours pooled until each has enough evidence, and each is above the one before, but not too steeply."""
    least = sum(block.evidence for block in blocks) / _BLOCKS
    kept: list[_Block] = []
    for block in blocks:
        if kept and (kept[-1].evidence < least or block.height <= kept[-1].height + _LEAST_RISE):
            kept[-1] = kept[-1] + block
        else:
            kept.append(block)
    if len(kept) > 1 and kept[-1].evidence < least:
        kept[-2:] = [kept[-2] + kept[-1]]
    while len(kept) > 1:
        rises = [(b.height - a.height) / max(b.centre - a.centre, TINY) for a, b in pairwise(kept)]
        steepest = int(np.argmax(rises))
        if rises[steepest] <= _STEEPEST:
            break
        kept[steepest : steepest + 2] = [kept[steepest] + kept[steepest + 1]]
    return kept


_SLOPE, _SHIFT = (_FLATTEST, _FURTHEST), (-_FURTHEST, _FURTHEST)


def _minimised(
    loss: Callable[[Floats], tuple[float, Floats]], start: Sequence[float], bounds: Sequence[tuple[float, float]]
) -> list[float]:
    optimize = require("scipy.optimize", "calibration")
    found = optimize.minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=list(bounds))
    return [float(value) for value in found.x]


def _logistic(features: Floats, aims: Floats, share: Floats) -> Callable[[Floats], tuple[float, Floats]]:
    """The log loss of features (n, d) @ slopes + shift and its gradient, a function of slopes and shift, (d + 1,)."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = features @ parameters[:-1] + parameters[-1]
        off = share * (1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0))) - aims)
        value = float((share * (np.logaddexp(0.0, odds) - aims * odds)).sum())
        return value, np.append(off @ features, off.sum())

    return loss


def _logs(stated: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(stated, TINY)), np.float64)


def _shares(weight: Floats | None, rows: int) -> Floats:
    """Weights that add up to 1."""
    return np.full(rows, 1.0 / rows) if weight is None else np.asarray(weight / weight.sum(), np.float64)


def _aims(positive: NDArray[np.bool_], share: Floats) -> Floats:
    """Platt's targets (n,), short of 0 and 1 by the doubt of one row of the other kind (Platt 1999, section 2.2)."""
    rows = len(positive)
    having = rows * float(share[positive].sum())
    return np.where(positive, (having + 1.0) / (having + 2.0), 1.0 / (rows - having + 2.0))


def _softened(stated: Floats, target: Ints, share: Floats) -> Floats:
    """Targets (n, K) with Platt's doubt on the likeliest other class, as `fit_temperature` has it."""
    rows, order = len(target), np.arange(len(target))
    doubt = 1.0 / (rows * np.bincount(target, weights=share, minlength=stated.shape[1])[target] + 2.0)
    rivals = stated.copy()
    rivals[order, target] = -1.0
    aims = np.zeros_like(stated)
    aims[order, target] = 1.0 - doubt
    aims[order, rivals.argmax(axis=1)] += doubt
    return aims


# Choice ---------------------------------------------------------------------------------------------------------------


class Answered:
    """What the networks answered to rows that they did not learn from, and the truth.

    Args:
        logits: (A, n, K), over their temperatures.
        shares: of each of the A answers in the mean.
        target: class positions, (n,).
        weight: row weights, (n,), or None; rows of no weight are left out.
    """

    def __init__(self, logits: NDArray[Any], shares: Sequence[float], target: Ints, weight: Floats | None) -> None:
        counted = np.ones(len(target), bool) if weight is None else weight > 0
        self.logits, self.shares, self.target = logits[:, counted], tuple(shares), np.asarray(target)[counted]
        self.weight = None if weight is None else weight[counted]
        self.answers, self.rows, self.classes = self.logits.shape

    def at(self, rows: NDArray[Any]) -> Answered:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Answered(self.logits[:, rows], self.shares, self.target[rows], weight)

    def some(self, most: int) -> Answered:
        """At most so many rows, a random sample of more."""
        if self.rows <= most:
            return self
        return self.at(np.sort(np.random.default_rng(0).choice(self.rows, most, replace=False)))

    def stated(self, temperature: float = 1.0) -> Floats:
        """Their probabilities (n, K)."""
        return mixed_probabilities(self.logits, [temperature] * self.answers, self.shares)


#: What a kind makes of rows: a temperature, and a map on top of it.
Fitted = tuple[float, CalibrationMap | None]


def fit_kind(kind: Kind, rows: Answered) -> Fitted:
    """The temperature or the map of this kind that suits the rows best."""
    if kind == "none" or not rows.rows:
        return 1.0, None
    if kind == "temperature":
        return fit_temperature(rows.logits, rows.target, rows.weight, rows.shares), None
    some = rows.some(max(FEWEST, _FITTED // rows.classes))
    fit = {"vector": fit_vector, "beta": fit_beta, "isotonic": fit_isotonic}[kind]
    return 1.0, fit(some.stated(), some.target, some.weight)


def able_kinds(rows: Answered) -> tuple[Kind, ...]:
    """The kinds that there are rows enough for, from the simplest on."""
    able: list[Kind] = ["none", "temperature"]
    counts = np.bincount(rows.target, minlength=rows.classes)
    if rows.rows < FEWEST or counts.min() < FEWEST_OF_CLASS:
        return tuple(able)
    each = 1 if rows.classes == 2 else rows.classes
    parameters: dict[Kind, int] = {"vector": 2 * each, "beta": 3 * each}
    if rows.classes <= MOST_CLASSES:
        able += [kind for kind, count in parameters.items() if rows.rows >= ROWS_A_PARAMETER * count]
    if rows.rows >= FEWEST_ISOTONIC:
        able.append("isotonic")
    return tuple(able)


def choose_kind(asked: CalibrationOption, rows: Answered) -> tuple[Fitted, CalibrationChoice]:
    """What was asked for, or for `auto` the kind that cross-validation on these rows chooses, fitted on all of them.

    It is the simplest whose log loss is within one standard error (of the paired difference) of the best one's. No
    calibration at all has to be better than a temperature to be taken: one number cannot be fitted too closely.
    """
    if not np.isfinite(rows.logits).all():
        return (1.0, None), CalibrationChoice("none", (), rows.rows, "answers are not finite", is_doubtful=True)
    if asked == "none":
        return (1.0, None), CalibrationChoice("none", (), rows.rows, "none was asked for")
    able, compared = able_kinds(rows), rows.some(max(FEWEST_ISOTONIC, _COMPARED // max(rows.answers * rows.classes, 1)))
    kinds = tuple(kind for kind in KINDS if kind in (*able, asked))
    losses = compared_losses(out_of_fold_losses(kinds, compared), compared.weight) if compared.rows >= 2 * FOLDS else ()
    choice = chosen_kind(asked, able, losses, compared.rows, rows.rows)
    return fit_kind(choice.kind, rows), choice


def chosen_kind(
    asked: CalibrationOption, able: Sequence[Kind], losses: Sequence[KindLoss], compared: int, rows: int
) -> CalibrationChoice:
    """The kind that was asked for, or for `auto` the simplest within a standard error of the best; see `choose_kind`.

    able: the kinds that there are rows enough for. compared, rows: that losses are of, and that will be fitted on.
    """
    over = f"; {_over(losses, compared)}" if losses else ""
    if asked != "auto":
        few = "" if asked in able else f", though {rows:,} validation rows are few for it"
        return CalibrationChoice(asked, tuple(losses), rows, f"{asked} was asked for{few}{over}", bool(few))
    if not losses:
        reason = f"{rows} validation rows are too few to choose by, so a temperature"
        return CalibrationChoice("temperature", (), rows, reason)
    kind = _simplest(losses)
    return CalibrationChoice(kind, tuple(losses), rows, _told(kind, losses, compared))


def _told(kind: Kind, losses: Sequence[KindLoss], rows: int) -> str:
    found = {one.kind: one for one in losses}
    if min(losses, key=lambda one: one.loss).kind == kind:
        return f"{kind} has the least {_over(losses, rows)}"
    return (
        f"{kind} is the simplest within one standard error ({found[kind].error:.4f}) of the least {_over(losses, rows)}"
    )


def _over(losses: Sequence[KindLoss], rows: int) -> str:
    each = ", ".join(f"{one.kind} {one.loss:.4f}" for one in losses)
    return f"log loss over {FOLDS} folds of {rows:,} validation rows ({each})"


def out_of_fold_losses(kinds: Sequence[Kind], rows: Answered) -> dict[Kind, Floats]:
    """The log loss of each row, (n,), with each kind fitted on the other folds; folds have classes in proportion."""
    order = np.lexsort((np.random.default_rng(0).permutation(rows.rows), rows.target))
    fold = np.empty(rows.rows, np.int64)
    fold[order] = np.arange(rows.rows) % FOLDS
    losses: dict[Kind, Floats] = {kind: np.empty(rows.rows) for kind in kinds}
    for place in range(FOLDS):
        learned, left = rows.at(np.flatnonzero(fold != place)), np.flatnonzero(fold == place)
        judged = rows.at(left)
        for kind in kinds:
            temperature, found = fit_kind(kind, learned)
            stated = judged.stated(temperature)
            stated = stated if found is None else found.apply(stated)
            losses[kind][left] = -_logs(stated[np.arange(len(left)), judged.target])
    return losses


def compared_losses(losses: Mapping[Kind, Floats], weight: Floats | None) -> tuple[KindLoss, ...]:
    """The mean loss of each kind, of losses of rows (n,), and the standard error of its distance from the best."""
    share = _shares(weight, len(losses["none"]))
    means = {kind: float(share @ each) for kind, each in losses.items()}
    best = losses[min(means, key=means.__getitem__)]
    made = []
    for kind, each in losses.items():
        off = each - best
        made.append(KindLoss(kind, means[kind], float(np.sqrt((share**2) @ (off - share @ off) ** 2))))
    return tuple(made)


def _simplest(losses: Sequence[KindLoss]) -> Kind:
    found = {one.kind: one.loss for one in losses}
    least = min(found.values())
    candidates = losses if found["none"] <= found["temperature"] else losses[1:]
    return next(one.kind for one in candidates if one.loss <= least + one.error)
