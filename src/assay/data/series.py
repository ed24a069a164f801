"""Series as rows of an array: lists of numbers, padded with NaN to one length. NumPy and Polars only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.errors import DataError


@dataclass(frozen=True)
class Steps:
    """One channel of some series.

    values: float32 (n, length), NaN where nothing was measured, and after the end of a shorter series.
    is_longer: bool (n,), whether a series has more steps than are read.
    """

    values: NDArray[np.float32]
    is_longer: NDArray[np.bool_]


def steps(cells: pl.Series, length: int) -> Steps:
    """The first `length` steps of each list of numbers; infinite ones count as missing, as does a missing list.

    Raises:
        DataError: the cells are no lists of numbers.
    """
    lists = _lists(cells)
    counts = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    made = np.full((len(lists), length), np.nan, np.float32)
    rows = np.repeat(np.arange(len(lists)), counts)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = lists.filter(lists.list.len() > 0).explode().cast(pl.Float64).to_numpy()
    with np.errstate(over="ignore"):
        flat = flat.astype(np.float32)
    kept = places < length
    made[rows[kept], places[kept]] = np.where(np.isfinite(flat), flat, np.nan)[kept]
    return Steps(made, counts > length)


def longest(cells: pl.Series) -> int:
    """Steps of the longest series, one at least."""
    found = _lists(cells).list.len().max()
    return max(int(found) if isinstance(found, int) else 0, 1)


def _lists(cells: pl.Series) -> pl.Series:
    if cells.dtype == pl.Null:
        return cells.cast(pl.List(pl.Float64))
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    inner = cells.dtype.inner if isinstance(cells.dtype, pl.List) else None
    if inner is None or not (isinstance(inner, pl.DataType) and (inner.is_numeric() or inner == pl.Null)):
        raise DataError(
            "a series must be a list of numbers", f"there are cells of type {cells.dtype}", "Give lists of numbers."
        )
    return cells
