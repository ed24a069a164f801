"""The steps of series: cells that are lists of numbers, as one long array with borders, and numbers that sum them up.

A missing step is NaN, whether it was null, NaN or infinite; a missing series has no steps. NumPy and Polars only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.errors import DataError

#: The one type that cells with the steps of a series have.
SERIES: Final = pl.List(pl.Float64)
#: What `summaries` gives, in order.
SUMMARY: Final = ("mean", "deviation", "min", "max", "first", "last", "slope", "length", "missing share")

#: Steps beyond this size count as this size, so that no sum or square of them overflows.
_LARGEST: Final = 1e100


@dataclass(frozen=True)
class Steps:
    """The steps of the n series of a column, one series behind the other.

    values: float64, shape (steps of all series,); NaN where missing.
    starts: int64, shape (n + 1,); series i is `values[starts[i]:starts[i + 1]]`.
    infinite: how many of the missing steps were infinite.
    """

    values: np.ndarray
    starts: np.ndarray
    infinite: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each series, missing ones included, int64 (n,)."""
        return np.diff(self.starts)

    @property
    def owner(self) -> np.ndarray:
        """The series that each step belongs to, int64, shape (steps,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def known(self) -> np.ndarray:
        """How many steps of each series are not missing, int64 (n,)."""
        return np.bincount(self.owner[~np.isnan(self.values)], minlength=len(self)).astype(np.int64)


def is_series(dtype: pl.DataType) -> bool:
    """Whether the cells of this type are lists of numbers; lists that are all empty count as such."""
    if not isinstance(dtype, pl.List | pl.Array):
        return False
    if isinstance(dtype, pl.Array) and len(dtype.shape) > 1:
        return False
    inner = dtype.inner
    return inner == pl.Null or (inner.is_numeric() and not inner.is_nested())


def steps_of(series: pl.Series) -> Steps:
    """The steps of a column of lists of numbers; a column that is missing throughout has none, whatever its type.

    Raises:
        DataError: the cells are something else.
    """
    if series.null_count() == len(series):
        return Steps(np.empty(0), np.zeros(len(series) + 1, np.int64))
    if not is_series(series.dtype):
        shown = ", ".join(repr(cell) for cell in series.drop_nulls().head(2).to_list())
        raise DataError(
            f"the column {series.name!r} must hold a list of numbers in each cell",
            f"it is of type {series.dtype} ({shown})",
            "Give lists, as Parquet, JSON lines and data frames hold them.",
        )
    lists = series.cast(SERIES)
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    # Empty lists are left out first, because each of them would become a missing step.
    filled = lists.filter(pl.Series(lengths > 0))
    values = filled.explode().to_numpy(writable=True) if len(filled) else np.empty(0)
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return Steps(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), int(infinite.sum()))


def is_missing(series: pl.Series) -> np.ndarray:
    """Which series have no step with a value, bool (n,)."""
    return np.asarray(steps_of(series).known == 0)


def summaries(steps: Steps) -> np.ndarray:
    """Each series in nine numbers, in the order of `SUMMARY`: float64, shape (n, 9).

    Mean, deviation, least, largest, first and last known step, and the slope of a straight line through the known steps
    (a step); NaN where no step is known, the slope also where one is. A missing series has the length 0 and is missing
    to a share of 1.
    """
    n = len(steps)
    found = np.full((n, len(SUMMARY)), np.nan)
    lengths, known = steps.lengths, steps.known
    found[:, 7] = lengths
    found[:, 8] = 1.0 - known / np.maximum(lengths, 1)
    present = np.flatnonzero(known)
    if not len(present):
        return found
    is_known = ~np.isnan(steps.values)
    owner = steps.owner[is_known]
    values = steps.values[is_known].clip(-_LARGEST, _LARGEST)
    place = (np.arange(len(steps.values)) - steps.starts[steps.owner])[is_known].astype(np.float64)
    ends = np.cumsum(known[present])
    begins = ends - known[present]

    count = np.maximum(known, 1)
    mean = np.bincount(owner, values, n) / count
    middle = np.bincount(owner, place, n) / count
    off, away = values - mean[owner], place - middle[owner]
    spread = np.bincount(owner, away**2, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.bincount(owner, off * away, n) / spread
    columns = (mean, np.sqrt(np.bincount(owner, off**2, n) / count), slope)
    for at, column in zip((0, 1, 6), columns, strict=True):
        found[present, at] = column[present]
    found[present, 2] = np.minimum.reduceat(values, begins)
    found[present, 3] = np.maximum.reduceat(values, begins)
    found[present, 4] = values[begins]
    found[present, 5] = values[ends - 1]
    return found


def padded(series: pl.Series, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first steps of each series, float32 (n, length), NaN after its end; and which have more, bool (n,).

    Raises:
        DataError: the cells are no lists of numbers.
    """
    steps = steps_of(series)
    made = np.full((len(steps), length), np.nan, np.float32)
    places = np.arange(len(steps.values)) - np.repeat(steps.starts[:-1], steps.lengths)
    kept = places < length
    with np.errstate(over="ignore"):
        values = steps.values[kept].astype(np.float32)
    made[steps.owner[kept], places[kept]] = np.where(np.isfinite(values), values, np.nan)
    return made, steps.lengths > length
