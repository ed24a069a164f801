"""Which labels are likely wrong: confident learning on answers to rows that the model did not learn from.

Source: Northcutt, Jiang & Chuang, Confident Learning (JAIR 2021), sections 3.1 and 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.data.findings import Finding, Severity, count_of
from assay.data.rows import Rows, joined
from assay.data.schema import Kind, Schema
from assay.data.split import Split
from assay.evaluate.exam import validation_answers
from assay.evaluate.metrics import Floats
from assay.ledger import ROWS_KEPT, Ledger, Outcome
from assay.train.model import Model

_PRACTICE = "audit.label-errors"
#: Labels that are named in words, and rows of a class below which its own mean probability says little.
_NAMED, _FEW = 10, 5


@dataclass(frozen=True)
class Suspects:
    """Rows whose label is likely wrong, the surest first: their places, and what they are likelier to be, (s,) each."""

    places: NDArray[np.int64]
    likelier: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)


def suspects(probabilities: Floats, labels: NDArray[np.int64]) -> Suspects:
    """Rows that are confidently of another class than their label.

    A class is confidently a row's where its probability reaches the mean that the rows labelled so give it; of several
    the likeliest counts. So classes that a model is never sure of are not suspected throughout. The rows come in order
    of how much more probable the other class is.

    Args:
        probabilities: of rows that were not learned from, (n, K).
        labels: positions of their classes, (n,).
    """
    rows, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(rows), labels]
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts < _FEW] = np.inf
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    likelier = confident.argmax(1)
    found = np.flatnonzero((confident.max(1) > 0.0) & (likelier != labels))
    found = found[probabilities[found, likelier[found]] > own[found]]
    margin = probabilities[found, likelier[found]] - own[found]
    order = found[np.argsort(-margin, kind="stable")]
    return Suspects(order.astype(np.int64), likelier[order].astype(np.int64))


def find_label_errors(model: Model, split: Split, schema: Schema, ledger: Ledger) -> tuple[Finding, ...]:
    """What the report tells of likely label errors; the ledger gets the verdict."""
    if schema.is_multilabel:
        reason = "confident learning is of one class a row; labels that do not exclude each other are not judged"
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, reason)
        return ()
    if not schema.is_classification:
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, "a regression has no labels")
        return ()
    seen, rows = model.validation, split.valid
    if len(seen.target) != len(rows):  # folds: every row was judged by networks that had not seen it
        rows = joined(split.train, split.valid)
    answers = validation_answers(model)
    counted = np.ones(len(rows), bool) if seen.weight is None else seen.weight > 0.0
    places = np.flatnonzero(counted)
    labels = seen.target[places].astype(np.int64)
    known, common = (answers[places].argmax(1) == labels).mean(), np.bincount(labels).max() / len(labels)
    if known <= common:
        reason = (
            f"the model gets {known:.0%} of the labels right, no more than the commonest class: it cannot doubt any"
        )
        ledger.record(_PRACTICE, Outcome.SKIPPED, reason)
        return ()
    found = suspects(answers[places], labels)
    told = f"{len(found):,} of {len(places):,} rows that were judged without having been learned from"
    if not len(found):
        ledger.record(_PRACTICE, Outcome.PASSED, f"no label is likely wrong: {told}", value=0.0)
        return ()
    where = places[found.places]
    numbers = rows.positions[where] + 1
    own_file = split.valid.cells is not split.train.cells
    are = "is" if len(found) == 1 else "are"
    reason = f"{told} {are} confidently of another class; training rows without folds were not judged"
    ledger.record(_PRACTICE, Outcome.WARNED, reason, value=len(found), rows=() if own_file else numbers.tolist())
    named = [
        f"{name} is {schema.classes[int(seen.target[place])]!r} and looks like {schema.classes[int(other)]!r} "
        f"({answers[place, other]:.2f})"
        for name, place, other in zip(_names(rows, where[:_NAMED], schema), where, found.likelier, strict=False)
    ]
    more = f", and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return (
        Finding(
            check=_PRACTICE, severity=Severity.NOTE, count=len(found),
            what=f"{count_of(len(found), 'label')} likely wrong, or of rows that are hard: {'; '.join(named)}{more}",
            do="Look at them, the surest first, and correct what is wrong; then train anew.",
            rows=tuple(int(number) for number in numbers[:ROWS_KEPT]), part="valid" if own_file else "data",
        ),
    )  # fmt: skip


def _names(rows: Rows, places: NDArray[np.int64], schema: Schema) -> list[str]:
    """Files of pictures, or numbers of rows counted from 1."""
    pictures = [column.name for column in schema.features if column.kind is Kind.IMAGE]
    some = rows.at(places)
    if pictures:
        return [repr("/".join(Path(str(cell)).parts[-2:])) for cell in some.column(pictures[0]).to_list()]
    return [f"row {position + 1}" for position in some.positions.tolist()]
