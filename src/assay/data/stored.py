"""Tables too large for memory: each column in files of its own, mapped into memory while it is looked at.

A `Stored` stands where a Polars frame does: columns by name, rows by position. Cells of a fixed size lie in plain
files, which are mapped without a copy and let go with the column; strings and lists lie in Arrow files and are read on
demand.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import polars as pl

from assay.data.steps import SERIES

#: Types of cells that differ in length, which lie in Arrow files.
_UNEVEN = (pl.String, pl.Binary, SERIES)
#: Rows of a batch in an Arrow file: what is read of it for a single row.
_BATCH_ROWS = 65_536
#: Bytes of a cell by its type, as Polars keeps it; a guess for strings and others, whose cells differ in length.
_BYTES = {pl.Int8: 1, pl.UInt8: 1, pl.Boolean: 1, pl.Int16: 2, pl.UInt16: 2, pl.Int32: 4, pl.UInt32: 4, pl.Float32: 4}
_BYTES_OF_DATE, _BYTES_OF_NUMBER, _BYTES_OF_WORDS = 4, 8, 32


class Columns(Protocol):
    """Columns of equal length by name, each to be had one at a time: frames of Polars, `Stored`, and others."""

    @property
    def height(self) -> int:
        """How many rows there are."""
        ...

    @property
    def columns(self) -> list[str]:
        """The names in their order."""
        ...

    def __getitem__(self, name: str, /) -> pl.Series: ...


@dataclass(frozen=True)
class Spill:
    """Where tables of more than `limit` bytes are kept: a folder that whoever made it removes."""

    folder: Path
    limit: int


@dataclass(frozen=True)
class Stored:
    """A table in files, one column a file; a file is touched only while its column is looked at.

    columns of `places` have a file each, called by its number; of `holes` some cells are missing.
    """

    folder: Path
    height: int
    schema: Mapping[str, pl.DataType]
    places: Mapping[str, int]
    holes: frozenset[str]

    @property
    def columns(self) -> list[str]:
        """The names in their order."""
        return list(self.schema)

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.schema)

    def __getitem__(self, name: str) -> pl.Series:
        return self.cells(name, slice(0, self.height))

    def gather(self, rows: slice | np.ndarray) -> pl.DataFrame:
        """The rows at these positions (or in this slice of step 1), in memory."""
        return pl.DataFrame([self.cells(name, rows) for name in self.schema])

    def select(self, names: Sequence[str]) -> Stored:
        """The same rows with these columns only."""
        return replace(self, schema={name: self.schema[name] for name in names})

    def with_empty(self, names: Sequence[str]) -> Stored:
        """The same rows with more columns, of strings that are all missing."""
        return replace(self, schema={**self.schema, **{name: pl.String() for name in names}})

    def replacing(self, series: pl.Series) -> Stored:
        """The same rows with other cells in the column of this name; those before stay in their file.

        Raises:
            OSError: there is no room.
        """
        number = 1 + max((int(path.stem) for path in self.folder.iterdir()), default=-1)
        _write(series, self.folder / str(number))
        holes = self.holes - {series.name}
        if series.null_count() and series.dtype not in _UNEVEN:
            holes |= {series.name}
        return replace(
            self, schema={**self.schema, series.name: series.dtype}, places={**self.places, series.name: number},
            holes=holes,
        )  # fmt: skip

    def filtered(self, kept: np.ndarray) -> Stored:
        """The rows that are kept, bool (n,), in files of their own within the same folder; the table before is removed.

        Raises:
            OSError: there is no room.
        """
        made = store((self[name].filter(pl.Series(kept)) for name in self.schema), self.folder.parent)
        self.remove()
        return made

    def remove(self) -> None:
        """Remove its files."""
        shutil.rmtree(self.folder)

    def cells(self, name: str, rows: slice | np.ndarray) -> pl.Series:
        """The cells of one column at these positions (or in this slice of step 1)."""
        dtype = self.schema[name]
        if name not in self.places:
            count = len(range(*rows.indices(self.height))) if isinstance(rows, slice) else len(rows)
            return pl.Series(name, [None], dtype=dtype).new_from_index(0, count)
        stem = self.folder / str(self.places[name])
        if dtype in _UNEVEN:
            return _words(stem.with_suffix(".arrow"), rows).alias(name)
        values = np.memmap(stem.with_suffix(".values"), _physical(dtype), "r")[rows]
        cells = pl.Series(name, values).cast(dtype)
        if name in self.holes:
            absent = np.memmap(stem.with_suffix(".absent"), np.bool_, "r")[rows]
            cells = cells.set(pl.Series(absent), None)
        return cells


#: The cells of a table, in memory or in files: both have `height`, `width`, `columns`, `schema`, `[name]` and `select`.
Frame: TypeAlias = pl.DataFrame | Stored


def gather(frame: Frame, rows: slice | np.ndarray) -> pl.DataFrame:
    """The rows of `frame` at these positions (or in this slice of step 1), in memory."""
    return frame.gather(rows) if isinstance(frame, Stored) else frame[rows]


def cells_at(frame: Frame, name: str, rows: np.ndarray) -> pl.Series:
    """The cells of one column of `frame` at these positions."""
    return frame.cells(name, rows) if isinstance(frame, Stored) else frame[name].gather(rows)


def store(columns: Iterable[pl.Series], folder: Path) -> Stored:
    """Write columns of equal length and plain types (see `frames.tidy`) into a new folder within `folder`.

    Columns are taken one at a time, so that memory holds one of them.

    Raises:
        OSError: there is no room.
    """
    place = Path(tempfile.mkdtemp(prefix="table-", dir=folder))
    height, holes = 0, set()
    schema: dict[str, pl.DataType] = {}
    for number, series in enumerate(columns):
        height, schema[series.name] = len(series), series.dtype
        _write(series, place / str(number))
        if series.null_count() and series.dtype not in _UNEVEN:
            holes.add(series.name)
    return Stored(place, height, schema, {name: number for number, name in enumerate(schema)}, frozenset(holes))


def _write(series: pl.Series, stem: Path) -> None:
    """Libraries make bytes and Python writes them, so that a full disk is an OSError."""
    if series.dtype in _UNEVEN:
        made = BytesIO()
        series.alias("cells").to_frame().write_ipc(made, record_batch_size=_BATCH_ROWS)
        stem.with_suffix(".arrow").write_bytes(made.getbuffer())
        return
    physical = series.to_physical()
    if series.null_count():
        stem.with_suffix(".absent").write_bytes(_bytes_of(series.is_null()))
        physical = physical.fill_null(False if series.dtype == pl.Boolean else 0)
    stem.with_suffix(".values").write_bytes(_bytes_of(physical))


def _bytes_of(series: pl.Series) -> memoryview:
    return np.ascontiguousarray(series.to_numpy()).view(np.uint8).data


def _physical(dtype: pl.DataType) -> np.dtype[np.generic]:
    """The NumPy type that the cells of a column lie in."""
    physical: np.dtype[np.generic] = pl.Series(dtype=dtype).to_physical().to_numpy().dtype
    return physical


def _words(path: Path, rows: slice | np.ndarray) -> pl.Series:
    """Strings or lists: the span of rows that holds the wanted ones is read, then these are taken out of it."""
    if isinstance(rows, slice):
        return _span(path, rows.start or 0, rows.stop)
    if not len(rows):
        return _span(path, 0, 0)
    first = int(rows.min())
    return _span(path, first, int(rows.max()) + 1).gather(rows - first)


def _span(path: Path, start: int, stop: int) -> pl.Series:
    return pl.scan_ipc(path, glob=False).slice(start, stop - start).collect().to_series()


def is_full(error: Exception) -> bool:
    """Whether the error says that there is no room on the disk, as opposed to that a file cannot be read."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def bytes_of_table(rows: int, types: Iterable[pl.DataType]) -> int:
    """About how much memory a table takes."""
    return rows * sum(_bytes_of_cell(dtype) for dtype in types)


def _bytes_of_cell(dtype: pl.DataType) -> int:
    if dtype == pl.Date:
        return _BYTES_OF_DATE
    if dtype.is_numeric() or dtype == pl.Boolean or dtype.is_temporal():
        return _BYTES.get(dtype.base_type(), _BYTES_OF_NUMBER)
    return _BYTES_OF_WORDS
