"""The score of what a fit chose by validation rows, without what that choice flatters it by.

Draws of these rows, and what the same way of choosing gives on each, come with the model (`train/choice.py`). What is
not chosen anew are epochs and temperatures: their losses by row are not kept. Nor are the thresholds of labels, which
would cost a sorting of all answers a draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.evaluate.metrics import Floats, Metric, Scorer
from assay.evaluate.multilabel.calibration import choose_thresholds
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Estimate, Selection
from assay.evaluate.selection import corrected
from assay.ledger import Ledger, Outcome
from assay.train.choice import Choice


def selection_of(choice: Choice, task: Task, measure: Metric, validation: float, confidence: float) -> Selection:
    """The bias-corrected estimate of the whole model.

    validation: the model's score on the rows that it was chosen by.
    """
    estimate, flattery = _without_flattery(
        choice, task, measure, validation, choice.shares, choice.drawn, confidence
    )  # fmt: skip
    return Selection(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, validation=validation,
        corrected=estimate, flattery=flattery, settings=len(choice.answers), rows=_judged(choice),
    )  # fmt: skip


def validation_of(choice: Choice, task: Task, measure: Metric) -> float:
    """The score of the whole model on the rows that it was chosen by."""
    cuts = _cuts(choice, task, choice.shares)
    return _score(task, measure, choice.target, choice.mixed(choice.shares), choice.weight, cuts)


def alone(choice: Choice, place: int, task: Task, measure: Metric, confidence: float) -> tuple[float, Estimate]:
    """The validation score of one network without the others, and its bias-corrected estimate."""
    shares, drawn = choice.alone(place)
    cuts = _cuts(choice, task, shares)
    validation = _score(task, measure, choice.target, choice.mixed(shares), choice.weight, cuts)
    estimate, _ = _without_flattery(choice, task, measure, validation, shares, drawn, confidence)
    return validation, estimate


def _judged(choice: Choice) -> int:
    return len(choice.target) if choice.weight is None else int((choice.weight > 0.0).sum())


def _without_flattery(
    choice: Choice, task: Task, measure: Metric, validation: float, shares: Floats, drawn: Floats, confidence: float
) -> tuple[Estimate, float]:
    """The estimate and the flattery of these shares, (M,), which draws would have set otherwise, (b, M)."""
    found = np.full((2, len(drawn)), np.nan)
    whole, cuts = choice.mixed(shares, choice.rows), _cuts(choice, task, shares)
    for at, (left, own) in enumerate(zip(choice.left, drawn, strict=True)):
        rows = choice.rows[left]
        if not len(rows):
            continue
        truth, weight = choice.target[rows], None if choice.weight is None else choice.weight[rows]
        found[1, at] = _score(task, measure, truth, whole[left], weight, cuts)
        same = np.array_equal(own, shares)
        found[0, at] = found[1, at] if same else _score(task, measure, truth, choice.mixed(own, rows), weight, cuts)
    return corrected(validation, measure, found[0], found[1], choice.units, confidence)


def _cuts(choice: Choice, task: Task, shares: Floats) -> Floats | None:
    """The probability from which these shares give each label, (L,); None of other tasks."""
    if task is not Task.MULTILABEL:
        return None
    return choose_thresholds(choice.mixed(shares), choice.target, choice.weight).each


def _score(
    task: Task,
    measure: Metric,
    truth: NDArray[Any],
    prediction: Floats,
    weight: Floats | None,
    cuts: Floats | None = None,
) -> float:
    if cuts is not None:
        return LabelScorer(truth, prediction, cuts).values(weight, (measure.id,))[measure.id]
    if task is Task.FORECASTING:
        missed = np.abs(prediction - truth).mean(axis=1)
        return float(np.average(missed, weights=weight))
    return Scorer(task, truth, prediction).values(weight, (measure.id,))[measure.id]


def note_selection(found: Selection, choice: Choice, test: Estimate | None, ledger: Ledger) -> None:
    """Write `evaluate.selection-bias`.

    test: the score on the sealed rows, where there are any.
    """
    told = f"{found.label} {found.validation:.4g} on the {found.rows:,} rows that the model was chosen by"
    if found.corrected.value is None:
        ledger.record("evaluate.selection-bias", Outcome.WARNED, f"{told}; {found.corrected.method}")
        return
    among = f"{found.settings} candidates" if found.settings > 1 else "one candidate"
    told += f", {found.corrected.value:.4g} without what a choice among {among} flatters by"
    if found.corrected.low is not None and found.corrected.high is not None:
        told += f" ({found.corrected.low:.4g} to {found.corrected.high:.4g})"
    told += f", by {found.corrected.method}"
    if len(choice.rows) < found.rows:
        told += f" of {len(choice.rows):,} of the rows"
    kept = "epochs, temperatures and thresholds" if choice.target.dtype == np.int8 else "epochs and temperatures"
    told += f"; {kept} are not chosen anew, so a little may be left"
    if test is not None and test.value is not None:
        told += f"; {test.value:.4g} on the sealed test rows"
    ledger.record("evaluate.selection-bias", Outcome.APPLIED, told, value=found.flattery)
