"""The cells of a column of pictures as pixels: from a store where they were decoded before, else from their files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assay.data.pictures.picture import Damaged, Facts, Fault, PictureFormat, decode, look, read_file
from assay.data.pictures.places import Places, seen_from, shown_place, sum_of
from assay.data.pictures.store import PictureStore
from assay.data.stored import Stored
from assay.errors import DataError

#: Damaged pictures that an error names, and pictures that a format is chosen by.
_NAMED, _LOOKED_AT = 5, 256


@dataclass(frozen=True)
class PictureReader:
    """Pictures that were decoded before, by the place that their cells name."""

    store: PictureStore
    rows: Mapping[str, int]

    @classmethod
    def of(cls, store: PictureStore, places: Sequence[str | None]) -> PictureReader:
        """A reader of the store of these places, in their order."""
        return cls(store, {place: row for row, place in enumerate(places) if place is not None})

    def arrays(self, cells: pl.Series, form: PictureFormat) -> np.ndarray:
        """The pictures, uint8 (n, C, H, W); those that the store does not have are decoded.

        Raises:
            DataError: some cannot be read.
        """
        places = cells.to_list()
        known = form == self.store.form and all(place in self.rows for place in places)
        if not known:
            return decoded(cells, form)
        return self.store.at(np.array([self.rows[place] for place in places], np.int64))


def decoded(cells: pl.Series, form: PictureFormat) -> np.ndarray:
    """The pictures that the cells name (paths, or places within containers) or hold (bytes), uint8 (n, C, H, W).

    Raises:
        DataError: some cannot be read; a picture that is not there has no answer.
    """
    made = np.empty((len(cells), form.channels, form.height, form.width), np.uint8)
    lost: list[tuple[str, str]] = []
    found = cells.to_list()
    with Places() as source, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for row, pixels in enumerate(pool.map(lambda cell: _decode(cell, source, form), found)):
            if isinstance(pixels, Damaged):
                lost.append((_named(found[row], row), pixels.reason))
            else:
                made[row] = pixels.transpose(2, 0, 1)
    if lost:
        shown = "; ".join(f"{name}: {reason}" for name, reason in lost[:_NAMED])
        raise DataError(
            "every picture must be one that can be read",
            f"{len(lost):,} of {len(found):,} cannot: {shown}{'; ...' if len(lost) > _NAMED else ''}",
            "Repair or leave out these rows; a path is taken from where the table lies.",
        )
    return made


def _decode(cell: str | bytes | None, source: Places, form: PictureFormat) -> np.ndarray | Damaged:
    if cell is None:
        return Damaged(Fault.MISSING, "its cell is empty")
    fetched = cell if isinstance(cell, bytes) else source.get(cell)
    if isinstance(fetched, Damaged):
        return fetched
    picture = decode(fetched, form)
    return picture if isinstance(picture, Damaged) else picture.pixels


def _named(cell: str | bytes | None, row: int) -> str:
    return repr(shown_place(cell)) if isinstance(cell, str) else f"row {row + 1}"


def sums_of(cells: pl.Series) -> pl.Series:
    """sha256 of the picture that each cell names or holds, whatever it is called; null where there is none."""
    with Places() as source, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        sums = list(pool.map(lambda cell: _sum(cell, source), cells.to_list()))
    return pl.Series(cells.name, sums, dtype=pl.String)


def _sum(cell: str | bytes | None, source: Places) -> str | None:
    found = source.get(cell) if isinstance(cell, str) else cell
    if isinstance(found, Path):
        found = read_file(found)
    return None if found is None or isinstance(found, Damaged) else sum_of(found)


def looks_of(places: Sequence[str | None]) -> list[Facts]:
    """What some of the pictures are before they are resized; damaged ones are left out."""
    step = max(1, len(places) // _LOOKED_AT)
    facts = []
    with Places() as source:
        for place in places[::step]:
            if place is None:
                continue
            fetched = source.get(place)
            if isinstance(fetched, np.ndarray):
                channels = 3 if fetched.ndim == 3 and fetched.shape[2] >= 3 else 1
                facts.append(Facts("array", fetched.shape[0], fetched.shape[1], 3 if channels == 3 else 1))
            elif not isinstance(fetched, Damaged) and not isinstance(found := look(fetched), Damaged):
                facts.append(found)
    return facts


def placed(frame: pl.DataFrame, names: Sequence[str], source: object) -> pl.DataFrame:
    """The frame with the paths of pictures as they are seen from the folder that its file lies in."""
    if not isinstance(source, str | os.PathLike):
        return frame
    paths = [name for name in names if frame.schema.get(name) == pl.String]  # others hold the pictures themselves
    return frame.with_columns([seen_from(Path(source).parent, frame[name]).alias(name) for name in paths])


def placed_in_files(table: Stored, names: Sequence[str], source: object) -> Stored:
    """The same for a table in files, whose cells are written anew."""
    if isinstance(source, str | os.PathLike):
        for name in (name for name in names if table.schema[name] == pl.String):
            table = table.replacing(seen_from(Path(source).parent, table[name]))
    return table
