"""What is to be predicted: the task, and for classes their names and order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.data.columns import as_boolean, as_category, as_number
from assay.data.schema import Column, Hints, Kind, Task
from assay.data.steps import is_series
from assay.errors import DataError, nearest

#: Classes beyond which a target is more likely a name or an amount.
MOST_CLASSES: Final = 1000
#: Distinct integers up to which they are taken as classes, if each has about this many rows.
_INTEGER_CLASSES: Final = 20
_ROWS_A_CLASS: Final = 20
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


def infer_target(series: pl.Series, column: Column, hints: Hints) -> Target:
    """The task that the cells of the target ask for, unless `hints.task` says it.

    Raises:
        DataError: there is nothing to learn (all missing, one value, one row in a class), or the cells do not suit the
            task.
    """
    if is_series(series.dtype):
        raise DataError(
            f"the target {series.name!r} must hold one class or number in each cell",
            "its cells are lists of numbers",
            "Name another target, or make one number of each list.",
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
    if task is Task.MULTILABEL:
        raise DataError(
            "the task must be binary, multiclass or regression", "it is multilabel", "Train one model a label."
        )
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
    return _task_of_numbers(as_number(series, column.format))


def _task_of_numbers(values: np.ndarray) -> tuple[Task, str]:
    """Few whole numbers close together, each in many rows, are classes; other numbers are amounts."""
    values = values[np.isfinite(values)]
    levels = np.unique(values)
    count = len(levels)
    whole = bool(np.all(levels == np.trunc(levels)))
    close = count > 0 and levels[-1] - levels[0] < 3 * count
    enough = count * _ROWS_A_CLASS <= len(values) or (count <= 5 and 3 * count <= len(values))
    if whole and close and count <= _INTEGER_CLASSES and enough:
        return Task.MULTICLASS, (
            f"multiclass because {count} distinct integers from {levels[0]:g} to {levels[-1]:g}; "
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
