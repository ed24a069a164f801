"""What is to be predicted: the task, and for classes their names and order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.data.columns import as_boolean, as_category, as_number
from assay.data.labels import FEWEST_ROWS, LabelCells, Labelling, label_cells
from assay.data.schema import Column, Hints, Kind, Schema, Task
from assay.data.steps import is_series
from assay.errors import DataError, nearest

#: Classes beyond which a target is more likely a name or an amount.
MOST_CLASSES: Final = 1000
#: Distinct integers up to which they are taken as classes, if each has about this many rows.
_INTEGER_CLASSES: Final = 20
_ROWS_A_CLASS: Final = 20
#: How columns of classes are called, and the rows of each on average that are enough in these.
_CALLED_CLASSES: Final = frozenset({"class", "classes", "label", "labels", "category", "species"})
_ROWS_A_CALLED: Final = 5
#: Beyond this size the squares of a regression's errors overflow.
LARGEST_TARGET: Final = 1e100


@dataclass(frozen=True)
class Target:
    """The target's column under the task, and its classes in the order of the outputs."""

    column: Column
    task: Task
    reason: str
    classes: tuple[str, ...] = ()
    class_dtype: str = "string"
    labelling: Labelling | None = None


def infer_target(series: pl.Series, column: Column, hints: Hints, labelling: Labelling | None = None) -> Target:
    """The task that the cells of the target ask for, unless `hints.task` says it.

    Args:
        series: the column of the target.
        column: what it holds, as any other column.
        hints: what the user says.
        labelling: how several labels of a row are written; None where a row has one class or number.

    Raises:
        DataError: there is nothing to learn (all missing, one value, one row in a class), or the cells do not suit the
            task.
        ValueError: the task is multilabel, and it was not looked how labels are written.
    """
    if labelling is not None:
        return _multilabel(series, column, labelling, hints)
    if hints.task is Task.MULTILABEL:
        raise ValueError("how labels are written is found before the task: see labelled.find_labels")
    if is_series(series.dtype):
        raise DataError(
            f"the target {series.name!r} must hold one class or number in each cell",
            "its cells are lists of numbers",
            "Say --task multilabel if these are labels, name another target, or make one number of each list.",
        )
    # Numbers were counted when the column was; words are reduced to the different ones before they are spelt alike.
    numbers = series.dtype.is_numeric()
    distinct = column.distinct if numbers else as_category(series.unique()).drop_nulls().n_unique()
    if distinct < 2:
        came = "every cell is missing" if distinct == 0 else f"every value is {as_category(series).drop_nulls()[0]!r}"
        raise DataError(f"the target {series.name!r} must have at least two values", came, "Name another target.")
    numeric = _is_numeric(series, column)
    task, reason = _task(series, column, numeric, distinct)
    if hints.task is not None and hints.task is not task:
        task, reason = hints.task, f"{hints.task.value} because you say so"
    if task is Task.REGRESSION:
        return _regression(series, column, numeric, reason, hints)
    return _classification(series, column, task, reason, hints)


def _is_numeric(series: pl.Series, column: Column) -> bool:
    if series.dtype == pl.String:
        return not np.all(np.isnan(as_number(series, column.format))) and column.kind in {Kind.NUMBER, Kind.ID}
    return series.dtype.is_numeric()


def _task(series: pl.Series, column: Column, numeric: bool, distinct: int) -> tuple[Task, str]:
    """The task without a hint, and why."""
    if column.kind is Kind.DATETIME:
        raise DataError(
            f"the target {series.name!r} must hold classes or numbers",
            "it holds dates",
            "Turn it into a number, such as days from a fixed date.",
        )
    if distinct == 2 and not (numeric and column.unparsed):
        return Task.BINARY, "binary because 2 distinct values"
    if column.kind is Kind.CATEGORY or not numeric:
        return Task.MULTICLASS, f"multiclass because {distinct} distinct words"
    return _task_of_numbers(as_number(series, column.format), series.name)


def _task_of_numbers(values: np.ndarray, name: str) -> tuple[Task, str]:
    """Few whole numbers close together, each in many rows, are classes; other numbers are amounts.

    In a column that is called a class, a few rows of each are enough.
    """
    values = values[np.isfinite(values)]
    levels = np.unique(values)
    count = len(levels)
    whole = bool(np.all(levels == np.trunc(levels)))
    close = count > 0 and levels[-1] - levels[0] < 3 * count
    called = name.casefold() in _CALLED_CLASSES
    rows = _ROWS_A_CALLED if called else _ROWS_A_CLASS
    enough = count * rows <= len(values) or (count <= 5 and 3 * count <= len(values))
    if whole and close and count <= _INTEGER_CLASSES and enough:
        return Task.MULTICLASS, (
            f"multiclass because {count} distinct integers from {levels[0]:g} to {levels[-1]:g}"
            f"{' in a column of that name' if called else ''}; "
            "for amounts or grades say --task regression"
        )
    kind = "integers" if whole else "numbers"
    return Task.REGRESSION, f"regression because {count} distinct {kind}"


def _regression(series: pl.Series, column: Column, numeric: bool, reason: str, hints: Hints) -> Target:
    values = as_number(series, column.format)
    if not numeric or column.kind is Kind.BOOLEAN:
        examples = ", ".join(map(repr, as_category(series).drop_nulls().unique(maintain_order=True).head(3).to_list()))
        raise DataError(
            f"the target {series.name!r} of a regression must hold numbers",
            f"it holds words such as {examples}",
            "Say --task binary or multiclass, or name another target.",
        )
    beyond = np.flatnonzero(np.abs(values) > LARGEST_TARGET)  # NaN, a missing cell, is not
    if len(beyond):
        rows = ", ".join(str(row + 1) for row in beyond[:5])
        are = "infinite" if np.isinf(values[beyond]).all() else f"infinite or beyond {LARGEST_TARGET:g}"
        raise DataError(
            f"the target {series.name!r} must hold finite numbers",
            f"{len(beyond)} {'is' if len(beyond) == 1 else 'are'} {are}, first in row{'s' * (len(beyond) > 1)} {rows}",
            "Remove or repair these rows.",
        )
    if hints.positive is not None:
        raise DataError(
            "a positive class belongs to a binary target", f"{series.name!r} is a regression", "Leave --positive out."
        )
    kind_reason = f"number because it is the target of a {Task.REGRESSION.value}"
    return Target(column.model_copy(update={"kind": Kind.NUMBER, "reason": kind_reason}), Task.REGRESSION, reason)


def _classification(series: pl.Series, column: Column, task: Task, reason: str, hints: Hints) -> Target:
    boolean = series.dtype == pl.Boolean
    names = as_category(series)
    counted = names.drop_nulls().value_counts(sort=True)
    counts = dict(zip(counted[names.name].to_list(), counted["count"].to_list(), strict=True))
    _check_classes(series.name, counts, task)
    classes, integer, number = _ordered(list(counts))
    class_dtype = "boolean" if boolean else "integer" if integer else "number" if number else "string"
    if hints.positive is not None:
        classes = _with_positive_last(series.name, classes, hints.positive, task)
    kind = Kind.BOOLEAN if boolean else Kind.CATEGORY
    kind_reason = f"{kind.value} because it is the target of a {task.value} classification"
    update = {"kind": kind, "reason": kind_reason, "distinct": len(classes), "format": None, "unparsed": 0}
    return Target(column.model_copy(update=update), task, reason, tuple(classes), class_dtype)


def _multilabel(series: pl.Series, column: Column, labelling: Labelling, hints: Hints) -> Target:
    """Labels of enough rows to be learned, in order; those of fewer are left out and remembered."""
    if hints.positive is not None:
        raise DataError(
            "a positive class belongs to a binary target",
            f"{series.name!r} holds several labels a row",
            "Leave --positive out.",
        )
    cells = label_cells(series, labelling)
    counts = cells.counts()
    if labelling.form == "columns":  # a column without a single 1 is a label, too
        counts.update(dict.fromkeys(labelling.columns, 0))
    rare = {label: rows for label, rows in sorted(counts.items()) if rows < FEWEST_ROWS}
    classes = _ordered([label for label in counts if label not in rare])[0] if len(counts) > len(rare) else []
    _check_labels(series.name, classes, rare, len(cells.place))
    if labelling.form == "columns":
        classes = [label for label in labelling.columns if label not in rare]
    reason = f"multilabel because {_written(labelling, cells)}"
    if hints.task is Task.MULTILABEL:
        reason = f"multilabel because you say so; {_written(labelling, cells)}"
    update = {
        "kind": Kind.CATEGORY, "reason": "category because it is the target of a multilabel classification",
        "distinct": len(classes), "format": None, "unparsed": 0, "missing": int(cells.missing.sum()),
        "missing_spellings": {},
    }  # fmt: skip
    known = labelling.model_copy(update={"left_out": rare})
    return Target(column.model_copy(update=update), Task.MULTILABEL, reason, tuple(classes), labelling=known)


def _written(labelling: Labelling, cells: LabelCells) -> str:
    """How labels are written, in words."""
    if labelling.form == "lists":
        return "its cells are lists of labels"
    if labelling.form == "columns":
        return f"{len(labelling.columns)} columns of 0 and 1 are its labels"
    several = np.array([labels is not None and len(labels) > 1 for labels in cells.sets], bool)[cells.place].sum()
    return f"{several:,} of its cells hold several labels with {labelling.separator!r} between them"


def _check_labels(name: str, classes: list[str], rare: dict[str, int], rows: int) -> None:
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"the target {name!r} must have at most {MOST_CLASSES} labels of {FEWEST_ROWS} rows or more",
            f"it has {len(classes)} in {rows} rows",
            "Leave rare labels out, or join them with others.",
        )
    if len(classes) < 2:
        found = f"{len(classes)} {'label has' if len(classes) == 1 else 'labels have'} that many"
        few = f", and {len(rare)} have fewer" if rare else ""
        raise DataError(
            f"a multilabel target such as {name!r} must have at least two labels, each in {FEWEST_ROWS} rows or more",
            found + few,
            "Of a single label make a column of 0 and 1 and fit a binary task; if cells hold one class each, say "
            "--task multiclass; name the sign between labels with data.labels, as in data.labels=';'.",
        )


def _check_classes(name: str, counts: dict[str, int], task: Task) -> None:
    rows = sum(counts.values())
    if len(counts) > MOST_CLASSES or (len(counts) > 20 and len(counts) > rows / 2):
        raise DataError(
            f"the target {name!r} must have at most {MOST_CLASSES} classes, each in several rows",
            f"it has {len(counts)} distinct values in {rows} rows",
            "If these are amounts, clean them so that they parse as numbers; if they name rows, name another target.",
        )
    if task is Task.BINARY and len(counts) != 2:
        raise DataError(
            f"the target {name!r} of a binary task must have two values",
            f"it has {len(counts)}",
            "Say --task multiclass, or merge the values.",
        )
    if lonely := [label for label, count in counts.items() if count < 2]:
        shown = ", ".join(repr(label) for label in lonely[:5])
        raise DataError(
            f"every class of {name!r} must have at least 2 rows, to learn from one and be tested on another",
            f"{shown} {'has' if len(lonely) == 1 else 'have'} 1",
            "Add rows of that class, merge it into another, or remove its row.",
        )


def _ordered(labels: list[str]) -> tuple[list[str], bool, bool]:
    """Labels in the order of their numbers, or of their letters; and whether all are integers, or numbers."""
    numbers = as_number(pl.Series(labels, dtype=pl.String), None)
    if np.isnan(numbers).any() or len(np.unique(numbers)) < len(labels):
        return sorted(labels), False, False
    order = sorted(zip(numbers.tolist(), labels, strict=True))
    integer = all(np.isfinite(value) and label == str(int(value)) for value, label in order)
    return [label for _, label in order], integer, True


def _with_positive_last(name: str, classes: list[str], positive: str, task: Task) -> list[str]:
    wanted = as_category(pl.Series([positive], dtype=pl.String))[0] or positive
    if set(classes) == {"false", "true"} and wanted not in classes:
        truth = float(as_boolean(pl.Series([positive], dtype=pl.String))[0])
        wanted = {1.0: "true", 0.0: "false"}.get(truth, wanted)
    if task is not Task.BINARY:
        raise DataError(
            "a positive class belongs to a binary target",
            f"{name!r} has {len(classes)} classes",
            "Leave --positive out.",
        )
    if wanted not in classes:
        raise DataError(
            f"the positive class must be a value of {name!r}", f"{positive!r} is not", nearest(positive, classes)
        )
    return [label for label in classes if label != wanted] + [wanted]


def target_values(series: pl.Series, schema: Schema) -> np.ndarray:
    """The target as the network learns it, shape (n,), of a forecast (n, horizon).

    For classes int64 positions in `schema.classes`, -1 where a cell is missing or of no known class; for regression and
    forecasts float64, NaN where a cell is missing or no number. For labels int8 (n, labels) of 0 and 1, -1 throughout
    where the target is missing; labels that were left out of training are no labels.
    """
    if schema.windowing is not None:
        return series.cast(pl.Array(pl.Float64, schema.windowing.horizon)).to_numpy().copy()
    if schema.labelling is not None:
        return label_cells(series, schema.labelling).matrix(schema.classes)
    if not schema.is_classification:
        return as_number(series, schema[schema.target].format)
    if schema.class_dtype == "boolean":
        # The words of a boolean depend on how it was read: "True", 1 or a true boolean.
        cells = as_boolean(series)
        codes = np.full(len(cells), -1, dtype=np.int64)
        for at, value in enumerate(as_boolean(pl.Series(schema.classes, dtype=pl.String)).tolist()):
            codes[cells == value] = at
        return codes
    known = pl.Series(schema.classes, dtype=pl.String)
    order = pl.Series(range(len(known)), dtype=pl.Int64)
    codes_or_null = as_category(series).replace_strict(known, order, default=-1, return_dtype=pl.Int64)
    return codes_or_null.fill_null(-1).to_numpy(writable=True)
