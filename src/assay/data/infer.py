"""A raw table to its schema: the kind of every column, the target, the task; hints overrule every inference."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data.columns import as_number
from assay.data.inputs import RESERVED
from assay.data.kinds import distinct_counts, infer_column
from assay.data.labels import Labelling
from assay.data.reading.read import Table
from assay.data.schema import Column, Hints, Kind, Schema
from assay.data.stored import Frame
from assay.data.target import infer_target
from assay.errors import DataError, nearest


def infer(table: Table, hints: Hints, labelling: Labelling | None = None) -> Schema:
    """The kinds of all columns, the target and the task.

    Args:
        table: a raw table of at least two rows.
        hints: the target, and what the user says about columns.
        labelling: how the target holds several labels a row; None where it holds one class or number.

    Raises:
        DataError: a hint names no column or contradicts another, a column is not of the kind that a hint gives it, the
            target cannot be predicted, or no column is left to predict from.
    """
    _check_hints(table, hints)
    distinct = distinct_counts(table.frame)
    columns = [
        infer_column(table.frame[name], distinct[name], hints.kinds.get(name), table.source.decimal)
        for name in table.frame.columns
    ]
    own = next(column for column in columns if column.name == hints.target)
    target = infer_target(table.frame[hints.target], own, hints, labelling)
    columns = [target.column if column.name == hints.target else column for column in columns]
    schema = Schema(
        columns=tuple(columns),
        target=hints.target,
        task=target.task,
        task_reason=target.reason,
        classes=target.classes,
        class_dtype=target.class_dtype,
        labelling=target.labelling,
        group=hints.group,
        time=hints.time,
        weight=hints.weight,
        sensitive=hints.sensitive,
        dropped=hints.drop,
    )
    _check_parts(table.frame, schema)
    return schema


def _check_hints(table: Table, hints: Hints) -> None:
    names = table.frame.columns
    if table.frame.height < 2:
        raise DataError(
            "a table must have at least two rows, and many more to learn from", "it has one", "Give more data."
        )
    own = next((name for name in names if name.startswith(RESERVED)), None)
    if own is not None:
        raise DataError(f"no column may begin with {RESERVED!r}, as inner names do", f"{own!r} does", "Rename it.")
    single = {"target": hints.target, "group": hints.group, "time": hints.time, "weight": hints.weight}
    said = [(part, name) for part, name in single.items() if name is not None]
    said += [("drop", name) for name in hints.drop] + [("sensitive", name) for name in hints.sensitive]
    said += [("as", name) for name in hints.kinds]
    known = set(names)
    for part, name in said:
        if name not in known:
            do = nearest(name, names)
            if len(names) == 1:
                do += " With one column only, the delimiter is none of comma, semicolon, tab and |: use one of these."
            raise DataError(f"the {part} column must be in the table", f"{name!r} is not", do)
    exclusive = [(part, name) for part, name in said if part not in {"as", "sensitive"}]
    exclusive += [("sensitive", name) for name in hints.sensitive if name == hints.target]
    parts: dict[str, str] = {}
    for part, name in exclusive:
        if parts.setdefault(name, part) != part:
            raise DataError(
                "a column must have one part",
                f"{name!r} is given as {parts[name]} and as {part}",
                "Give each of them a column of its own.",
            )


def _check_parts(frame: Frame, schema: Schema) -> None:
    """Refuse a schema without features, a weight that is none, and a time that has no order."""
    if not schema.features:
        reasons = "; ".join(f"{c.name!r} is {c.reason}" for c in schema.columns[:4] if c.name != schema.target)
        raise DataError(
            "at least one column must be usable to predict from",
            f"all of them are constant, ids or have another part ({reasons or 'there is only the target'})",
            "Give more columns, or overrule a kind with --as NAME=KIND.",
        )
    if schema.time is not None and schema[schema.time].kind not in {Kind.DATETIME, Kind.NUMBER, Kind.ID}:
        raise DataError(
            f"the time column {schema.time!r} must hold dates or numbers",
            f"it is {schema[schema.time].reason}",
            "Name another column, or write its dates as 2024-12-31.",
        )
    if schema.weight is not None:
        _check_weight(frame[schema.weight], schema[schema.weight])


def _check_weight(series: pl.Series, column: Column) -> None:
    weights = as_number(series, column.format)
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(wrong) or not weights.any():
        rows = ", ".join(str(row + 1) for row in wrong[:5])
        are = "is none, in row" if len(wrong) == 1 else "are none, first in rows"
        came = f"{len(wrong)} {are} {rows} ({series[int(wrong[0])]!r})" if len(wrong) else "all are 0"
        raise DataError(
            f"the weights in {series.name!r} must be finite numbers of at least 0, some above",
            came,
            "Repair these cells, or name another column.",
        )
