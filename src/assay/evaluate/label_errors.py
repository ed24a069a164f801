"""What the report tells of labels that are likely wrong, see `confident.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.data.findings import Finding, Severity, count_of
from assay.data.pictures.places import shown_place
from assay.data.rows import Rows
from assay.data.schema import Kind, Schema
from assay.data.split.split import Split
from assay.evaluate.confident import Doubts, doubts
from assay.evaluate.exam import validation_answers
from assay.evaluate.judged import judged
from assay.ledger import ROWS_KEPT, Ledger, Outcome
from assay.train.model import Model

_PRACTICE = "audit.label-errors"
#: Labels that are named in words.
_NAMED = 10


def find_label_errors(model: Model, split: Split, schema: Schema, ledger: Ledger) -> tuple[Finding, ...]:
    """What the report tells of likely label errors; the ledger gets the verdict."""
    if schema.windowing is not None:
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, "a forecast is of later values, not of labels")
        return ()
    seen = judged(model, split, validation_answers(model))
    found = doubts(seen, schema)
    if found.refused:
        ledger.record(_PRACTICE, Outcome.SKIPPED, found.refused)
        return ()
    told = f"{len(found):,} of {len(seen):,} rows that were judged without having been learned from"
    what = "label is likely wrong" if schema.has_probabilities else "value is far off what the other columns say"
    if not len(found):
        ledger.record(_PRACTICE, Outcome.PASSED, f"no {what}: {told}", value=0.0)
        return ()
    numbers = seen.rows.positions[found.places] + 1
    own_file = split.valid.cells is not split.train.cells
    are = "is" if len(found) == 1 else "are"
    say = "confidently of another class" if schema.has_probabilities else "far off what the other columns say"
    reason = f"{told} {are} {say}; training rows without folds were not judged"
    outcome = Outcome.WARNED if schema.has_probabilities else Outcome.APPLIED
    ledger.record(_PRACTICE, outcome, reason, value=len(found), rows=() if own_file else numbers.tolist())
    more = f", and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    named = "; ".join(_told(seen.rows, found, schema))
    kind = count_of(len(found), "label") if schema.has_probabilities else count_of(len(found), "value")
    return (
        Finding(
            check=_PRACTICE, severity=Severity.NOTE, count=len(found),
            what=f"{kind} likely wrong, or of rows that are hard: {named}{more}",
            do="Look at them, the surest first (`assay mistakes RUN` lists them), correct them, and train anew.",
            rows=tuple(int(number) for number in numbers[:ROWS_KEPT]), part="valid" if own_file else "data",
        ),
    )  # fmt: skip


def _told(rows: Rows, found: Doubts, schema: Schema) -> list[str]:
    """The first of the rows, each with what it is and what it looks like."""
    names = _names(rows, found.places[:_NAMED], schema)
    told = []
    for at, name in enumerate(names):
        sure = "" if found.probability is None else f" ({found.probability[at]:.2f})"
        told.append(f"{name} is {found.given[at]!r} and looks like {found.likelier[at]!r}{sure}")
    return told


def _names(rows: Rows, places: NDArray[np.int64], schema: Schema) -> list[str]:
    """Files of pictures, or numbers of rows counted from 1."""
    pictures = [column.name for column in schema.features if column.kind is Kind.IMAGE]
    some = rows.at(places)
    if pictures:
        return [repr("/".join(Path(shown_place(str(cell))).parts[-2:])) for cell in some.column(pictures[0]).to_list()]
    return [f"row {position + 1}" for position in some.positions.tolist()]
