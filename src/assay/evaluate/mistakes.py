"""What a model gets wrong: its surest errors, the rows that no model gets right, and labels that are likely wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.encoding.encode import Encoder
from assay.data.schema import Kind, Schema
from assay.evaluate.assess import Output
from assay.evaluate.compare import TRIVIAL
from assay.evaluate.confident import Doubts, doubts
from assay.evaluate.inspection_record import ListedRow, Mistakes, MixedUp, ShownRow
from assay.evaluate.judged import Judged
from assay.evaluate.row_losses import Deciding, absolute_or_log
from assay.evaluate.shown import show, shown_columns
from assay.ledger import Ledger, Outcome

PRACTICE = "evaluate.mistakes"
#: Rows that are shown of each kind, more where a row is a picture; pairs of classes; rows of each kind in the list.
_SHOWN, _SHOWN_PICTURES, _PAIRS, _LISTED = 10, 24, 12, 1000
#: Answers of models that look at no column, which would call every rare class hard.
_LOOKS_AT_NOTHING = (*TRIVIAL, "label shares", "last season")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Doubted:
    """Rows with what is doubted of them."""

    judged: Judged
    found: Doubts

    @property
    def told(self) -> _Told:
        """What was given and what is likelier, in the order of the doubts."""
        found = self.found
        return _Told(found.given, found.likelier, found.probability, found.own, found.missed)

    def reason(self, schema: Schema) -> str:
        """Why they are to be looked at."""
        what = "label likely wrong" if schema.has_probabilities else "value far off"
        return f"{what}, though learned from" if self.judged.is_learned else what


@dataclass(frozen=True)
class _Told:
    """Answers in words: what was given and predicted, (n,) each, with what the model was how sure of."""

    given: Sequence[str]
    predicted: Sequence[str]
    probability: Floats | None
    own: Floats | None
    missed: Floats | None


def mistakes(
    tested: Judged,
    outputs: Sequence[Output],
    unseen: Judged,
    learned: Judged | None,
    schema: Schema,
    encoder: Encoder,
    *,
    files: dict[str, str],
    deciding: Deciding,
    ledger: Ledger,
) -> Mistakes:
    """The rows that were answered wrongly, and the rows to look at before training again.

    Args:
        tested: rows that were scored.
        outputs: what the models answer to them, the network first.
        unseen: rows that the network did not learn from and that it doubts the labels of.
        learned: training rows that are not among them, with its answers: what it is sure of against their label it is
            sure of although it learned the label. None where there are none.
        files: parts of the split that have a file of their own, with its name.
        deciding: how answers become decisions.
    """
    losses = absolute_or_log(tested.answers, tested.rows.target)
    wrong = deciding.wrong(tested.answers, tested.rows.target)
    surest = _ordered(losses, wrong)
    hard = _hardest(tested, outputs, schema, losses, deciding)
    doubted = [_Doubted(some, doubts(some, schema)) for some in (unseen, learned) if some is not None]
    most = _SHOWN_PICTURES if any(column.kind is Kind.IMAGE for column in schema.features) else _SHOWN
    record = Mistakes(
        judged=len(tested), wrong=None if wrong is None else int(wrong.sum()), columns=shown_columns(schema),
        surest=_shown(tested, surest[:most], schema, encoder, files, deciding, _why_surest(schema)),
        hardest=_shown(tested, hard[~np.isin(hard, surest[:most])][:most], schema, encoder, files, deciding,
                       "no model has it right" if schema.is_classification else "far off for every model"),
        pairs=_pairs(tested, schema, deciding),
        doubted=tuple(row for each in doubted for row in _doubted(each, schema, encoder, files, most)),
        doubted_count=sum(len(each.found) for each in doubted), doubted_of=sum(len(each.judged) for each in doubted),
        listed=_listed(tested, surest, hard, doubted, schema, files, deciding),
        listed_of=sum(len(each.found) for each in doubted) + (int(wrong.sum()) if wrong is not None else 0),
    )  # fmt: skip
    _note(record, schema, ledger)
    return record


def _ordered(losses: Floats, wrong: NDArray[np.bool_] | None) -> Ints:
    """Places of the rows that are wrong, the highest loss first; of numbers all rows."""
    order = np.argsort(-losses, kind="stable")
    return order if wrong is None else order[wrong[order]]


def _hardest(tested: Judged, outputs: Sequence[Output], schema: Schema, losses: Floats, deciding: Deciding) -> Ints:
    """Rows on which all models together have the highest loss, those alone that every one gets wrong where classes are.

    Nothing where there is no other model that looks at the columns.
    """
    others = [output.prediction for output in outputs[1:] if output.name not in _LOOKS_AT_NOTHING]
    if not others:
        return np.empty(0, np.int64)
    target = tested.rows.target
    each = np.stack([losses, *(absolute_or_log(other, target) for other in others)])
    # Of numbers the model that is nearest counts: the row is hard where even that one is far off.
    order = np.argsort(-(each.mean(0) if schema.has_probabilities else each.min(0)), kind="stable")
    if not schema.is_classification:
        return order[:_LISTED]
    missed = np.logical_and.reduce([deciding.classes(answers) != target for answers in (tested.answers, *others)])
    return np.asarray(order[missed[order]], np.int64)


def _why_surest(schema: Schema) -> str:
    return "sure of another class" if schema.is_classification else "furthest off"


# Rows in words -------------------------------------------------------------------------------------------------------


def _told(judged: Judged, schema: Schema, deciding: Deciding) -> _Told:
    """Truth and answers of the rows in words."""
    target, answers = judged.rows.target, judged.answers
    if schema.is_multilabel:
        return _Told(_sets(target > 0, schema), _sets(deciding.sets(answers), schema), None, None, None)
    if not schema.is_classification:
        missed = answers - target
        return _Told([f"{v:.6g}" for v in target], [f"{v:.6g}" for v in answers], None, None, missed)
    chosen, rows = deciding.classes(answers), np.arange(len(target))
    names = schema.classes
    return _Told(
        [names[int(k)] for k in target], [names[int(k)] for k in chosen], answers[rows, chosen], answers[rows, target],
        None,
    )  # fmt: skip


def _sets(given: NDArray[np.bool_], schema: Schema) -> list[str]:
    return [", ".join(schema.classes[at] for at in np.flatnonzero(row)) or "no label" for row in given]


def _shown(
    judged: Judged,
    places: Ints,
    schema: Schema,
    encoder: Encoder,
    files: dict[str, str],
    deciding: Deciding,
    reason: str,
) -> tuple[ShownRow, ...]:
    some = judged.at(places)
    told = _told(some, schema, deciding)
    return _rows(some, told, schema, encoder, files, [reason] * len(some))


def _rows(
    some: Judged, told: _Told, schema: Schema, encoder: Encoder, files: dict[str, str], reasons: Sequence[str]
) -> tuple[ShownRow, ...]:
    cells = show(some.rows, schema, encoder)
    return tuple(
        ShownRow(
            number=int(some.rows.positions[at]) + 1, part=some.part(at), file=files.get(some.part(at), ""),
            given=told.given[at], predicted=told.predicted[at], probability=_at(told.probability, at),
            own=_at(told.own, at), missed=_at(told.missed, at), reason=reasons[at], cells=cells.cells[at],
            picture=cells.pictures[at], series=cells.series[at],
        )
        for at in range(len(some))
    )  # fmt: skip


def _at(values: Floats | None, place: int) -> float | None:
    return None if values is None else float(values[place])


def _doubted(
    each: _Doubted, schema: Schema, encoder: Encoder, files: dict[str, str], most: int
) -> tuple[ShownRow, ...]:
    some = each.judged.at(each.found.places[:most])
    return _rows(some, each.told, schema, encoder, files, [each.reason(schema)] * len(some))


def _pairs(tested: Judged, schema: Schema, deciding: Deciding) -> tuple[MixedUp, ...]:
    """The pairs of classes that are mixed up most, by rows."""
    if not schema.is_classification:
        return ()
    target, chosen, size = tested.rows.target, deciding.classes(tested.answers), len(schema.classes)
    wrong = np.flatnonzero(target != chosen)
    cells, counts = np.unique(target[wrong] * size + chosen[wrong], return_counts=True)
    having = np.bincount(target, minlength=size)
    return tuple(
        MixedUp(
            truth=schema.classes[int(cells[at]) // size], predicted=schema.classes[int(cells[at]) % size],
            rows=int(counts[at]), share=float(counts[at] / having[int(cells[at]) // size]),
        )
        for at in np.argsort(-counts, kind="stable")[:_PAIRS]
    )  # fmt: skip


# The list for relabelling --------------------------------------------------------------------------------------------


def _listed(
    tested: Judged,
    surest: Ints,
    hard: Ints,
    doubted: Sequence[_Doubted],
    schema: Schema,
    files: dict[str, str],
    deciding: Deciding,
) -> tuple[ListedRow, ...]:
    """Doubted labels first, then errors on the test rows, those first that no model gets right."""
    listed: list[ListedRow] = []
    for each in doubted:
        some = each.judged.at(each.found.places[:_LISTED])
        listed += _lines(some, each.told, files, [each.reason(schema)] * len(some))
    if not schema.has_probabilities:
        return tuple(listed)
    order = np.concatenate([hard[np.isin(hard, surest)], surest[~np.isin(surest, hard)]])[:_LISTED]
    wrong = tested.at(order)
    alone = "answered wrongly, as by every model" if schema.is_classification else "answered wrongly"
    reasons = [alone if is_hard else "answered wrongly" for is_hard in np.isin(order, hard)]
    return (*listed, *_lines(wrong, _told(wrong, schema, deciding), files, reasons))


def _lines(some: Judged, told: _Told, files: dict[str, str], reasons: Sequence[str]) -> tuple[ListedRow, ...]:
    return tuple(
        ListedRow(
            number=int(some.rows.positions[at]) + 1, part=some.part(at), file=files.get(some.part(at), ""),
            given=told.given[at], predicted=told.predicted[at], probability=_at(told.probability, at),
            reason=reasons[at],
        )
        for at in range(len(some))
    )  # fmt: skip


def _note(found: Mistakes, schema: Schema, ledger: Ledger) -> None:
    parts = [] if found.wrong is None else [f"{found.wrong:,} of {found.judged:,} test rows are answered wrongly"]
    if found.hardest and schema.is_classification:
        parts.append("some of them by every model")
    noun = "labels likely wrong" if schema.has_probabilities else "values far off"
    parts.append(f"{found.doubted_count:,} {noun} of {found.doubted_of:,} other rows")
    ledger.record(PRACTICE, Outcome.APPLIED, "; ".join(parts), value=float(found.wrong or 0))
