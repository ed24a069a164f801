"""Probabilities of labels of which a row has any number: how members are averaged, temperatures, and thresholds.

Sources: Guo et al., On Calibration of Modern Neural Networks (ICML 2017) for temperatures; Lipton, Elkan &
Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1 (ECML PKDD 2014) for thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.evaluate.calibration.calibrate import COLDEST, HOTTEST
from assay.evaluate.calibration.calibrators import FOLDS, chosen_kind, compared_losses, fit_labels
from assay.evaluate.config import CalibrationOption, EvaluateConfig
from assay.evaluate.metrics import Floats
from assay.ledger import Ledger, Outcome
from assay.models.calibration import CalibrationChoice, CalibrationMap, Kind, KindLoss
from assay.train.model import Model

#: Rows with a label, and without it, that its own temperature and threshold need.
FEWEST = 10
#: Answers that a temperature is fitted to at most; a random sample of more.
_MOST = 2_000_000
#: Answers that kinds of calibration are compared on, and rows without which labels have no map of their own.
_COMPARED, FEWEST_ROWS = 200_000, 200


def mixed_labels(
    logits: NDArray[Any], temperatures: Sequence[float], shares: Sequence[float], factors: Sequence[float] = ()
) -> Floats:
    """Probabilities (n, L): logits (A, n, L) over their temperatures, sigmoid, weighted by shares.

    factors: of each label's logits, (L,), on top of the temperatures of the answers; none are ones.
    """
    total = np.zeros(np.shape(logits)[1:])
    heat = np.asarray(factors, np.float64) if len(factors) else 1.0
    for logit, temperature, share in zip(logits, temperatures, shares, strict=True):
        total += share / (1.0 + np.exp(-np.clip(np.asarray(logit, np.float64) / (temperature * heat), -700.0, 700.0)))
    return total


def fit_label_temperature(
    logits: NDArray[Any], target: NDArray[Any], weight: Floats | None = None, shares: Sequence[float] | None = None
) -> float:
    """The one temperature of all labels that minimises the log loss of the averaged members on these rows.

    Targets are Platt's, short of 0 and 1, so that labels without an error do not ask for boundless confidence. It is 1
    when no temperature in [0.05, 20] lowers the loss, or when there are no rows.

    Args:
        logits: (A, n, L).
        target: 0 and 1, (n, L).
        weight: row weights, (n,).
        shares: weight of each member in the average; equal where not given.
    """
    if not len(target) or (weight is not None and not np.any(weight > 0)):
        return 1.0
    members, rows, labels = np.shape(logits)
    taken = _some(rows, max(1, _MOST // (members * labels)))
    relative = np.ones(rows) if weight is None else weight / weight.mean()
    aims, relative = _platt(target, relative)[taken], relative[taken]
    parts = [1.0 / members] * members if shares is None else list(shares)
    precise = np.asarray(logits, np.float64)[:, taken]

    def loss(log_temperature: float) -> float:
        answers = mixed_labels(precise, [float(np.exp(log_temperature))] * members, parts)
        return float(np.average(_surprise(answers, aims).mean(axis=1), weights=relative))

    return _coolest(loss)


def _some(rows: int, most: int) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _platt(target: NDArray[Any], weight: Floats) -> Floats:
    """Targets (n, L) with a doubt of one row of the other kind (Platt 1999, section 2.2)."""
    having = weight @ (target > 0)
    lacking = weight.sum() - having
    return np.where(target > 0, (having + 1.0) / (having + 2.0), 1.0 / (lacking + 2.0))


def _surprise(answers: Floats, aims: Floats) -> Floats:
    answers = np.clip(answers, np.finfo(np.float64).tiny, 1.0 - np.finfo(np.float64).epsneg)
    return np.asarray(-aims * np.log(answers) - (1.0 - aims) * np.log1p(-answers))


def _coolest(loss: Any) -> float:  # noqa: ANN401  # a function of the log of a temperature
    optimize = require("scipy.optimize", "temperature scaling")
    best = optimize.minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(best.x)) if float(best.fun) < loss(0.0) else 1.0


def fit_factors(
    logits: NDArray[Any],
    temperatures: Sequence[float],
    target: NDArray[Any],
    weight: Floats | None,
    shares: Sequence[float],
) -> tuple[float, ...]:
    """A factor of the temperatures for each label, (L,); 1 for labels with fewer than `FEWEST` rows on either side."""
    members, rows, labels = np.shape(logits)
    relative = np.ones(rows) if weight is None else weight / max(weight.mean(), 1e-12)
    aims, taken = _platt(target, relative), _some(rows, max(1, _MOST // members))
    able = is_common(target, weight)
    found = []
    for label in range(labels):
        if not able[label]:
            found.append(1.0)
            continue
        own = np.asarray(logits)[:, taken, label : label + 1]
        aim, counted = aims[taken, label : label + 1], relative[taken]

        def loss(log_factor: float, own: Any = own, aim: Floats = aim, counted: Floats = counted) -> float:  # noqa: ANN401
            answers = mixed_labels(own, temperatures, shares, (float(np.exp(log_factor)),))
            return float(np.average(_surprise(answers, aim)[:, 0], weights=counted))

        found.append(_coolest(loss))
    return tuple(found)


def is_common(target: NDArray[Any], weight: Floats | None) -> NDArray[np.bool_]:
    """Labels that so many rows have, and lack, that something can be chosen for each of them, bool (L,)."""
    counted = np.ones(len(target), bool) if weight is None else weight > 0
    having = (target[counted] > 0).sum(axis=0)
    return np.asarray((having >= FEWEST) & (counted.sum() - having >= FEWEST), np.bool_)


@dataclass(frozen=True)
class Thresholds:
    """The probability from which each label is given, (L,), that of all labels together, and which have their own."""

    each: Floats
    common: float
    own: NDArray[np.bool_]


def choose_thresholds(probabilities: Floats, target: NDArray[Any], weight: Floats | None = None) -> Thresholds:
    """Thresholds of the highest F1 on these rows: of a label's own, or of all labels together where it has few rows.

    Args:
        probabilities: (n, L) of rows that were not learned from.
        target: 0 and 1, (n, L).
        weight: row weights, (n,).
    """
    labels = probabilities.shape[1]
    share = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
    common = best_threshold(probabilities.ravel(), (target > 0).ravel(), np.repeat(share, labels))
    own = is_common(target, weight)
    each = [
        best_threshold(probabilities[:, label], target[:, label] > 0, share) if own[label] else common
        for label in range(labels)
    ]
    # What is compared with them comes out of the bundle in single precision.
    return Thresholds(np.array(each, np.float32).astype(np.float64), common, own)


def best_threshold(probabilities: Floats, positive: NDArray[np.bool_], weight: Floats) -> float:
    """The threshold of the highest F1, midway between two probabilities (n,); of several the highest.

    It is one half where no row is positive, for F1 is then the same at all of them.
    """
    if not (weight * positive).any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked, share, hit = probabilities[order], weight[order], positive[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits, given = np.cumsum(share * hit)[ends], np.cumsum(share)[ends]
    f1 = 2.0 * hits / (given + (weight * positive).sum())
    best = int(np.argmax(f1))
    below = ranked[ends[best] + 1] if ends[best] + 1 < len(ranked) else 0.0
    return float((ranked[ends[best]] + below) / 2.0)


#: What a kind makes of labels: a temperature, factors of it, and a map on top of them.
Fitted = tuple[float, tuple[float, ...], CalibrationMap | None]


def fit_label_kind(
    kind: Kind, logits: NDArray[Any], shares: Sequence[float], target: NDArray[Any], weight: Floats | None
) -> Fitted:
    """The temperature with its factors, or the map of each label, that suits these rows best.

    Args:
        kind: none, temperature, vector or beta.
        logits: over their temperatures, (A, n, L).
        shares: of each of the A answers in the mean.
        target: 0 and 1, (n, L).
        weight: row weights, (n,).
    """
    ones = [1.0] * len(logits)
    if kind == "none" or not len(target) or (weight is not None and not np.any(weight > 0)):
        return 1.0, (), None
    if kind == "temperature":
        temperature = fit_label_temperature(logits, target, weight, shares)
        return temperature, fit_factors(logits, [temperature] * len(logits), target, weight, shares), None
    taken = _some(len(target), max(FEWEST_ROWS, _MOST // target.shape[1]))
    some = None if weight is None else weight[taken]
    stated = mixed_labels(logits[:, taken], ones, shares)
    return 1.0, (), fit_labels(kind, stated, target[taken], some, is_common(target[taken], some))


def choose_label_kind(
    asked: CalibrationOption,
    logits: NDArray[Any],
    shares: Sequence[float],
    target: NDArray[Any],
    weight: Floats | None,
) -> tuple[Fitted, CalibrationChoice]:
    """What was asked for, or what cross-validation on these rows chooses, fitted on all of them: see `choose_kind`."""
    answers, rows, labels = np.shape(logits)
    if asked == "none" or not np.isfinite(logits).all():
        return (1.0, (), None), CalibrationChoice("none", (), rows, "none was asked for")
    counted = rows if weight is None else int((weight > 0).sum())
    able: tuple[Kind, ...] = ("none", "temperature", *(("vector", "beta") if counted >= FEWEST_ROWS else ()))
    kinds: tuple[Kind, ...] = able if asked == "auto" or asked in able else (*able, asked)
    taken = _some(rows, max(1000, _COMPARED // (answers * labels)))
    losses: tuple[KindLoss, ...] = ()
    if counted >= 2 * FOLDS:
        own = None if weight is None else weight[taken]
        losses = compared_losses(_out_of_fold(kinds, logits[:, taken], shares, target[taken], own), own)
    choice = chosen_kind(asked, able, losses, len(taken), counted)
    return fit_label_kind(choice.kind, logits, shares, target, weight), choice


def _out_of_fold(
    kinds: Sequence[Kind], logits: NDArray[Any], shares: Sequence[float], target: NDArray[Any], weight: Floats | None
) -> dict[Kind, Floats]:
    """The log loss of each row, the mean over its labels, (n,), with each kind fitted on the other folds."""
    fold = np.random.default_rng(0).permutation(len(target)) % FOLDS
    losses: dict[Kind, Floats] = {kind: np.zeros(len(target)) for kind in kinds}
    for place in range(FOLDS):
        learned, judged = fold != place, fold == place
        own = None if weight is None else weight[learned]
        for kind in kinds:
            found = fit_label_kind(kind, logits[:, learned], shares, target[learned], own)
            stated = _fitted_answers(logits[:, judged], shares, found)
            losses[kind][judged] = _surprise(stated, (target[judged] > 0).astype(np.float64)).mean(axis=1)
    return losses


def _fitted_answers(logits: NDArray[Any], shares: Sequence[float], found: Fitted) -> Floats:
    temperature, factors, mapped = found
    stated = mixed_labels(logits, [temperature] * len(logits), shares, factors)
    return stated if mapped is None else mapped.apply(stated)


def label_answers(model: Model, raw: NDArray[Any]) -> Floats:
    """Probabilities (n, L) from the raw outputs of every member."""
    head = model.head
    assert head.temperatures is not None
    stated = mixed_labels(raw, head.temperatures, head.shares, head.factors)
    return stated if head.calibration is None else head.calibration.apply(stated)


def validation_labels(model: Model) -> Floats:
    """Probabilities (n, L) of the rows that the model did not learn from."""
    seen = model.validation
    assert seen.temperatures is not None
    stated = mixed_labels(seen.outputs, seen.temperatures, seen.shares, model.head.factors)
    return stated if model.head.calibration is None else model.head.calibration.apply(stated)


def calibrate_labels(model: Model, classes: Sequence[str], config: EvaluateConfig, ledger: Ledger) -> Model:
    """The model with temperatures and thresholds that fit best the rows it did not learn from.

    The verdict on temperatures is written when the test rows say what they are worth.
    """
    seen = model.validation
    if config.calibration == "none":
        ledger.record("evaluate.calibration", Outcome.SKIPPED, "switched off with evaluate.calibrate=none")
    assert seen.temperatures is not None
    logits = seen.outputs / np.asarray(seen.temperatures, np.float32)[:, None, None]
    fitted, choice = choose_label_kind(config.calibration, logits, seen.shares, seen.target, seen.weight)
    model = model.hotter(fitted[0])
    head = replace(model.head, factors=fitted[1], calibration=fitted[2])
    model = replace(model, head=head, calibrated=choice)
    found = choose_thresholds(validation_labels(model), seen.target, seen.weight)
    _note_thresholds(found, classes, ledger)
    return replace(model, head=replace(model.head, thresholds=tuple(found.each.tolist())))


def _note_thresholds(found: Thresholds, classes: Sequence[str], ledger: Ledger) -> None:
    low, high = int(found.each.argmin()), int(found.each.argmax())
    reason = (
        f"a label is given from the probability on that has the highest F1 on rows not learned from: from "
        f"{found.each[low]:.3f} ({classes[low]!r}) to {found.each[high]:.3f} ({classes[high]!r})"
    )
    few = [name for name, own in zip(classes, found.own, strict=True) if not own]
    if few:
        shown = ", ".join(map(repr, few[:5])) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        reason += (
            f"; {len(few)} that fewer than {FEWEST} of these rows have, or lack, are given from {found.common:.3f}, "
            f"the best of all labels together: {shown}"
        )
    ledger.record("evaluate.thresholds", Outcome.WARNED if few else Outcome.APPLIED, reason, value=len(classes))
