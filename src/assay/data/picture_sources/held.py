"""Pictures that came without files: arrays in memory, and bytes in the cells of a table.

They are written into containers of the kinds that are read anyway, in a folder that is gone when the run ends. From
there on a cell is a place as any other: tables stay small, and store, audit, split and report need not know.

Shape legend: n pictures, H height, W width, C channels (1, 3 or 4).
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from assay.data.pictures.arrays import BETWEEN, ArrayTables, of_pair
from assay.data.pictures.places import HELD
from assay.data.reading.arrays import Arrays
from assay.data.reading.read import Table
from assay.data.stored import Frame, Stored

#: Rows of a table in files whose pictures are in memory at once, and letters of a column's name within a container.
_AT_ONCE, _LETTERS = 256, 40


def hold_arrays(given: Arrays, folder: Path) -> ArrayTables:
    """The table of pictures (n, H, W), (n, H, W, C) or (n, C, H, W) and their labels.

    Raises:
        DataError: pixels are of another shape or type.
        OSError: there is no room.
    """
    path = _free(folder, ".npy")
    np.save(path, given.X, allow_pickle=False)
    return of_pair(given.X, given.y, given.called("X"), f"{path}{BETWEEN}", "arrays")


def hold_cells(table: Table, folder: Path) -> Table:
    """The table with places in columns that hold the bytes of pictures; others are as they were.

    Raises:
        OSError: there is no room.
    """
    frame = table.frame
    for name in [name for name, dtype in frame.schema.items() if dtype == pl.Binary]:
        places = pl.Series(name, _held(name, _cells(frame, name), folder), dtype=pl.String)
        frame = frame.replacing(places) if isinstance(frame, Stored) else frame.with_columns(places)
    return table if frame is table.frame else replace(table, frame=frame)


def _cells(frame: Frame, name: str) -> Iterator[bytes | None]:
    """The cells of a column, of a table in files some at a time."""
    if not isinstance(frame, Stored):
        yield from frame[name]
        return
    for first in range(0, frame.height, _AT_ONCE):
        yield from frame.cells(name, slice(first, min(first + _AT_ONCE, frame.height)))


def _held(name: str, cells: Iterable[bytes | None], folder: Path) -> list[str | None]:
    """The places of pictures in a new container, called by column and row."""
    path = _free(folder, ".zip")
    called = name.replace("\0", "")[:_LETTERS]
    places: list[str | None] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for row, content in enumerate(cells):
            if content is None:
                places.append(None)
                continue
            member = zipfile.ZipInfo(f"{called}{BETWEEN}{row}")  # which may spell the name in another way
            archive.writestr(member, content)
            places.append(f"{path}{BETWEEN}{member.filename}")
    return places


def _free(folder: Path, ending: str) -> Path:
    handle, path = tempfile.mkstemp(ending, HELD, folder)
    os.close(handle)
    return Path(path).absolute()
