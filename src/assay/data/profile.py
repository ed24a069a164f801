"""What the training rows looked like, column by column: the reference that drift is measured against later."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data import columns
from assay.data.inputs import Input, known_values, values_of
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind
from assay.data.steps import steps_of, summaries
from assay.records import Record

#: Rows that quantiles are taken of at most.
SAMPLE_ROWS = 1_000_000
_LEVELS = np.linspace(0.0, 1.0, 21)
_CATEGORIES = 100


class ColumnProfile(Record):
    """One input in the training rows.

    quantiles: at 0, 5, ... 100 % of the known values (numbers, booleans, dates in seconds since 1970).
    categories: counts of the most frequent, at most 100; `other` counts the rest.
    lengths: of series, at 0, 5, ... 100 %; mean, deviation and quantiles are then those of the mean of each series.
    """

    name: str
    kind: Kind
    missing: int
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    categories: dict[str, int] = {}
    other: int = 0
    lengths: tuple[float, ...] = ()


class Profile(Record):
    """The training rows: how many, each input, and the share of each class or the quantiles of the target."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    target: tuple[float, ...]


def profile(train: Rows, inputs: tuple[Input, ...], classes: int) -> Profile:
    """Describe the training rows; `classes`, or labels, are 0 for a regression."""
    places = sample_of(len(train), SAMPLE_ROWS)
    described = [_described(item, train.column(item.name), places) for item in inputs]
    if train.target.dtype == np.int8:  # of labels
        target = train.target.mean(axis=0)
    elif classes:
        target = np.bincount(train.target, minlength=classes) / len(train)
    else:
        target = np.quantile(train.target, _LEVELS)
    return Profile(rows=len(train), columns=tuple(described), target=tuple(float(x) for x in target))


def _described(item: Input, series: pl.Series, places: np.ndarray | None) -> ColumnProfile:
    if item.kind in (Kind.CATEGORY, Kind.TEXT):
        return _words(item, series)
    if item.kind is Kind.SEQUENCE:
        return _series(item, series, places)
    if item.kind is Kind.IMAGE:
        return ColumnProfile(name=item.name, kind=item.kind, missing=series.null_count())
    return _numbers(item, values_of(series, item), places)


def _series(item: Input, series: pl.Series, places: np.ndarray | None) -> ColumnProfile:
    """Statistics of the means of the series, and the lengths of those that are there."""
    steps = steps_of(series)
    lengths = steps.lengths[steps.known > 0]
    described = _numbers(item, summaries(steps)[:, 0], places)
    found = tuple(float(q) for q in np.quantile(lengths, _LEVELS)) if len(lengths) else ()
    return described.model_copy(update={"lengths": found})


def _numbers(item: Input, values: np.ndarray, places: np.ndarray | None) -> ColumnProfile:
    """Statistics of all values; the quantiles of a large table are those of the rows at `places`."""
    known = known_values(values)
    missing = len(values) - len(known)
    if not len(known):
        return ColumnProfile(name=item.name, kind=item.kind, missing=missing)
    return ColumnProfile(
        name=item.name,
        kind=item.kind,
        missing=missing,
        mean=float(known.mean()),
        deviation=float(known.std()),
        quantiles=tuple(float(q) for q in _quantiles(known, values, places)),
    )


def _quantiles(known: np.ndarray, values: np.ndarray, places: np.ndarray | None) -> np.ndarray:
    drawn = known if places is None else known_values(values[places])
    # Sorted first, because NumPy sorts quicker than it looks for many quantiles.
    found = np.quantile(np.sort(drawn if len(drawn) else known), _LEVELS)
    found[0], found[-1] = known.min(), known.max()
    return np.asarray(found)


def _words(item: Input, series: pl.Series) -> ColumnProfile:
    """Counts of categories; of a text only whether there is one."""
    if item.kind is Kind.TEXT:
        return ColumnProfile(name=item.name, kind=item.kind, missing=int((columns.as_text(series) == "").sum()))
    counts = columns.category_counts(series)
    kept = counts.head(_CATEGORIES)
    total = int(counts["rows"].to_numpy().sum())
    return ColumnProfile(
        name=item.name,
        kind=item.kind,
        missing=len(series) - total,
        categories=dict(zip(kept["category"].to_list(), kept["rows"].to_list(), strict=True)),
        other=total - int(kept["rows"].to_numpy().sum()),
    )
