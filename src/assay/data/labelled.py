"""Whether a target holds several labels a row: as the user says, or beyond doubt; and the tables with one such column.

A class whose name has a separator in it must not be cut by mistake, so only lists of words and words with `|` between
them that recur are labels without being asked for (`labels.looks_labelled`); the audit says what was taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.data.config import DataConfig
from assay.data.findings import Checked, Finding, Severity
from assay.data.labels import (
    FEWEST_ROWS,
    Labelling,
    joined_columns,
    label_cells,
    looks_labelled,
    separator_in,
)
from assay.data.reading.read import Source, Table
from assay.data.schema import Hints, Schema, Task
from assay.data.steps import is_series
from assay.errors import ConfigError, DataError, nearest
from assay.ledger import Outcome

PRACTICE = "data.labels"
#: Between the names of several target columns.
BETWEEN = ","
#: Target columns that are named in the name of the column they become.
_NAMED = 3


@dataclass(frozen=True)
class Labelled:
    """What was found of labels: how they are written, and what is said of the columns once there is one target."""

    hints: Hints
    labelling: Labelling | None


def find_labels(table: Table, hints: Hints, config: DataConfig) -> Labelled:
    """How labels are written in the training table; `labelling` is None where a row has one class or number.

    Several target columns (`a,b,c`) become one, named after them.

    Raises:
        ConfigError: what is said of the task and of the labels contradicts itself.
        DataError: one of several target columns is not in the table.
    """
    names = several_targets(hints.target, table.frame.columns)
    if names:
        _refuse_other_tasks(hints, config, f"{len(names)} columns are named as the target")
        labelling = Labelling(form="columns", columns=tuple(names))
        return Labelled(hints.model_copy(update={"target": _name_of(names, table.frame.columns)}), labelling)
    if hints.target not in table.frame.columns:
        return Labelled(hints, None)  # `infer` says what is wrong
    return Labelled(hints, _written_in(table, hints, config))


def several_targets(target: str, columns: Sequence[str]) -> list[str]:
    """The target columns that `a,b,c` names; none where it is the name of one column.

    Raises:
        DataError: some of them are columns and others are not, or one is named twice.
    """
    names = [name.strip() for name in target.split(BETWEEN)]
    known = [name for name in names if name in columns]
    if target in columns or len(names) < 2 or not known:
        return []
    if unknown := [name for name in names if name not in columns]:
        raise DataError(
            "every target column must be in the table", f"{unknown[0]!r} is not", nearest(unknown[0], list(columns))
        )
    if len(set(names)) < len(names):
        raise DataError("target columns must differ", f"{target!r} names one twice", "Name each once.")
    return names


def _name_of(names: Sequence[str], columns: Sequence[str]) -> str:
    """`a, b and c`, or `a, b, c and 4 more`, lengthened where a column has that name."""
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    while shown in columns:
        shown += "_"
    return shown


def _refuse_other_tasks(hints: Hints, config: DataConfig, why: str) -> None:
    if hints.task not in (None, Task.MULTILABEL):
        raise ConfigError(
            "the task of several labels a row is multilabel",
            f"{why}, and the task is {hints.task.value}",
            "Leave --task out, or name one column of classes or numbers.",
        )
    if config.labels == "none":
        raise ConfigError(
            "data.labels=none says that a row has no more than one class",
            f"{why}" if hints.task is None else f"the task is {hints.task.value}",
            "Leave one of them out.",
        )


def _written_in(table: Table, hints: Hints, config: DataConfig) -> Labelling | None:
    """How the cells of the one target column hold labels."""
    frame, name, empty = table.frame, hints.target, _is_delimited(table.source)
    said = config.labels if config.labels not in ("auto", "none") else None
    if hints.task is Task.MULTILABEL or said is not None:
        _refuse_other_tasks(hints, config, f"data.labels is {config.labels!r}")
        is_list = is_series(frame.schema[name]) or looks_labelled(frame, name) == "lists"
        if is_list and said is None:
            return Labelling(form="lists")
        return Labelling(form="joined", separator=said or separator_in(frame, name), empty=empty)
    if config.labels == "none" or hints.task is not None:
        return None
    form = looks_labelled(frame, name)
    return None if form is None else Labelling(form=form, empty=empty and form == "joined")


def _is_delimited(source: Source) -> bool:
    """Whether empty cells of the source may be empty words as well as missing ones."""
    return source.delimiter is not None


def with_label_column(table: Table, labelling: Labelling | None, target: str) -> Table:
    """The table with its target in one column.

    Raises:
        DataError: a column of labels is missing or holds something else.
    """
    if labelling is None or labelling.form != "columns":
        return table
    return replace(table, frame=joined_columns(table.frame, labelling, target))


def as_in(source: Source, schema: Schema) -> Schema:
    """The schema for a table of another source, in which an empty cell may say something else."""
    labelling = schema.labelling
    if labelling is None or labelling.form != "joined":
        return schema
    return schema.model_copy(update={"labelling": labelling.model_copy(update={"empty": _is_delimited(source)})})


def check_labels(table: Table, schema: Schema) -> tuple[Checked, ...]:
    """What was taken for labels and how to overrule it, and which labels and cells are odd."""
    labelling = schema.labelling
    if labelling is None:
        return ()
    cells = label_cells(table.frame[schema.target], labelling)
    matrix = cells.matrix(schema.classes)
    known = matrix[~cells.missing]
    told = f"{len(schema.classes)} labels, {float(known.sum(1).mean()) if len(known) else 0.0:.2f} a row"
    bare = int((known.sum(1) == 0).sum())
    notes = [f"{bare:,} rows have none"]
    is_single = all(labels is None or len(labels) < 2 for labels in cells.sets)
    if is_single:
        notes.append("no row has several, so that classes, of which a row has one, would say as much")
    if labelling.left_out:
        rare = ", ".join(f"{name!r} ({rows})" for name, rows in list(labelling.left_out.items())[:8])
        more = f" and {len(labelling.left_out) - 8} more" if len(labelling.left_out) > 8 else ""
        notes.append(
            f"{len(labelling.left_out)} of fewer than {FEWEST_ROWS} rows are not learned and never given: {rare}{more}"
        )
    if cells.repeats:
        notes.append(f"{cells.repeats:,} rows name one twice, which counts once")
    everywhere = [name for name, all_have in zip(schema.classes, known.all(0), strict=True) if all_have]
    if everywhere:
        notes.append(f"every row has {', '.join(map(repr, everywhere[:5]))}, so there is nothing to learn of it")
    what = f"{schema.task_reason}: {told}; {'; '.join(notes)}"
    finding = Finding(
        check=PRACTICE,
        severity=Severity.WARNING if labelling.left_out or everywhere or is_single else Severity.NOTE,
        what=what,
        do=_if_classes(labelling) if is_single else _how_to_overrule(labelling),
        count=len(schema.classes),
        columns=(schema.target,),
    )
    outcome = Outcome.WARNED if finding.severity is Severity.WARNING else Outcome.APPLIED
    rare_rows = list(cells.strangers(schema.classes).values())
    rows = np.unique(np.concatenate(rare_rows)) + 1 if rare_rows else None
    return (Checked(PRACTICE, what, float(len(schema.classes)), (finding,), outcome=outcome, rows=rows),)


def _if_classes(labelling: Labelling) -> str:
    """What to do where no row has more than one label."""
    if labelling.form == "columns":
        return "If a row can have one alone, write its name into one column and fit that."
    if labelling.form == "lists":
        return "If a row can have one alone, write it as a word and say --task multiclass."
    return (
        "If a row can have one alone, say --task multiclass; if labels stand together in a cell with another sign "
        "between them, name it, as in data.labels='/'."
    )


def _how_to_overrule(labelling: Labelling) -> str:
    if labelling.form == "columns":
        return "Name one target column if a row has one answer."
    if labelling.form == "lists":
        return "If each different list is a class of its own, say --task multiclass."
    return "If each different cell is a class of its own, say --task multiclass; another sign is data.labels=';'."
