"""What the training rows looked like, column by column: the reference that drift is measured against later."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data import columns
from assay.data.inputs import LARGEST, Input, cells_of, matrices
from assay.data.rows import Rows
from assay.data.schema import Kind
from assay.records import Record

_LEVELS = np.linspace(0.0, 1.0, 21)
_CATEGORIES = 100


class ColumnProfile(Record):
    """One input in the training rows.

    quantiles: at 0, 5, ... 100 % of the known values (numbers, booleans, dates in seconds since 1970).
    categories: counts of the most frequent, at most 100; `other` counts the rest.
    """

    name: str
    kind: Kind
    missing: int
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    categories: dict[str, int] = {}
    other: int = 0


class Profile(Record):
    """The training rows: how many, each input, and the share of each class or the quantiles of the target."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    target: tuple[float, ...]


def profile(train: Rows, inputs: tuple[Input, ...], classes: int) -> Profile:
    """Describe the training rows; `classes` is 0 for a regression."""
    numeric = [item for item in inputs if item.kind not in (Kind.CATEGORY, Kind.TEXT)]
    values = matrices(train.frame, tuple(numeric)).values
    described = {item.name: _numbers(item, values[:, place]) for place, item in enumerate(numeric)}
    for item in inputs:
        if item.name not in described:
            described[item.name] = _words(item, cells_of(train.frame, item.name))
    if classes:
        target = np.bincount(train.target, minlength=classes) / len(train)
    else:
        target = np.quantile(train.target, _LEVELS)
    return Profile(
        rows=len(train), columns=tuple(described[i.name] for i in inputs), target=tuple(float(x) for x in target)
    )


def _numbers(item: Input, values: np.ndarray) -> ColumnProfile:
    known = values[np.isfinite(values)].clip(-LARGEST, LARGEST)
    missing = len(values) - len(known)
    if not len(known):
        return ColumnProfile(name=item.name, kind=item.kind, missing=missing)
    return ColumnProfile(
        name=item.name,
        kind=item.kind,
        missing=missing,
        mean=float(known.mean()),
        deviation=float(known.std()),
        quantiles=tuple(float(q) for q in np.quantile(known, _LEVELS)),
    )


def _words(item: Input, series: pl.Series) -> ColumnProfile:
    """Counts of categories; of a text only whether there is one."""
    if item.kind is Kind.TEXT:
        return ColumnProfile(name=item.name, kind=item.kind, missing=int((columns.as_text(series) == "").sum()))
    cells = columns.as_category(series)
    counts = cells.drop_nulls().alias("category").value_counts(name="rows").sort("rows", "category", descending=True)
    kept = counts.head(_CATEGORIES)
    return ColumnProfile(
        name=item.name,
        kind=item.kind,
        missing=cells.null_count(),
        categories=dict(zip(kept["category"].to_list(), kept["rows"].to_list(), strict=True)),
        other=int(counts["rows"].to_numpy().sum() - kept["rows"].to_numpy().sum()),
    )
