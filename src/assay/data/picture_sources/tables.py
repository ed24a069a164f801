"""A source of pictures as the tables of its parts; its pictures decoded once, the damaged ones named and left out."""

from __future__ import annotations

import hashlib
import os
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from assay.data.audit.pictures import (
    PictureView,
    damaged,
    duplicates,
    empty_pictures,
    near_duplicates,
    odd_sizes,
    shortcuts,
)
from assay.data.findings import Checked, Finding
from assay.data.picture_sources.files import ENDINGS, of_array_tables, read_pictures
from assay.data.picture_sources.held import hold_arrays
from assay.data.pictures.arrays import ENDINGS as ARRAYS
from assay.data.pictures.arrays import LABEL
from assay.data.pictures.picture import Damaged, PictureFormat, read_file, suggest
from assay.data.pictures.places import Places
from assay.data.pictures.reader import PictureReader, looks_of
from assay.data.pictures.store import Progress, store_pictures
from assay.data.reading.arrays import Arrays
from assay.data.reading.read import Source, Table
from assay.data.schema import Kind, Schema
from assay.data.stored import Frame, Stored
from assay.data.target import target_values
from assay.errors import DataError


@dataclass(frozen=True)
class Pictures:
    """The pictures of a run.

    reader: how their cells are read. form: what every picture became. checked: what was found about them.
    tables: without the rows of pictures that are damaged, of which there were `lost`.
    """

    column: str
    reader: PictureReader
    form: PictureFormat
    checked: tuple[Checked, ...]
    tables: Mapping[str, Table]
    lost: int


def is_pictures(source: object) -> bool:
    """Whether a source is one of pictures: a folder, arrays, idx files, or an archive with pictures in it."""
    if isinstance(source, Arrays):
        return source.has_pictures
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    if path.is_dir():
        return True
    name = path.name.casefold()
    if name.endswith(ARRAYS) or "idx3-ubyte" in name or "idx1-ubyte" in name:
        return path.is_file()
    if not name.endswith(".zip") or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(member).suffix.casefold() in ENDINGS for member in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def read_picture_tables(
    source: str | os.PathLike[str] | Arrays, folder: Path | None = None
) -> tuple[dict[str, Table], tuple[Finding, ...]]:
    """The tables of a source's parts, `train`, `valid` and `test` or `data` alone, and what is odd about its classes.

    The sum of a table covers the bytes of its pictures and their labels. Arrays in memory are written into `folder`.

    Raises:
        DataError: there is nothing there, it is damaged, or it is laid out in another way.
    """
    if isinstance(source, Arrays):
        assert folder is not None, "pictures in memory need a folder to lie in"
        called, found = source.name, of_array_tables(hold_arrays(source, folder), source.called("y"))
    else:
        called, found = Path(source).name, read_pictures(Path(source))
    tables = {}
    for part, frame in found.parts.items():
        if LABEL not in frame.columns:
            raise DataError(
                "pictures to learn from must have labels", f"those of {called!r} have none",
                "Put each class into a folder of its own, or give a table with a column of paths and one of labels.",
            )  # fmt: skip
        name = called if part == "data" else f"{called} ({part})"
        record = Source(
            name=name, format=found.kind, rows=frame.height, columns=frame.width, sha256=_sum_of(frame),
            notes=found.notes,
        )  # fmt: skip
        tables[part] = Table(frame, record)
    return tables, found.findings


def _sum_of(frame: pl.DataFrame) -> str:
    digest = hashlib.sha256()
    with Places() as source:
        for place, label in frame.select("image", LABEL).iter_rows():
            fetched = source.get(place)
            content = fetched if isinstance(fetched, bytes | np.ndarray) else b""
            if isinstance(fetched, Path) and not isinstance(found := read_file(fetched), Damaged):
                content = found
            digest.update(f"{label}|{len(content)}|".encode())
            digest.update(content.tobytes() if isinstance(content, np.ndarray) else content)
    return digest.hexdigest()


def open_pictures(
    tables: Mapping[str, Table], schema: Schema, folder: Path, *, longest: int, progress: Progress | None = None
) -> Pictures | None:
    """Decode all pictures of the tables, examine them, and leave out the rows of those that are damaged.

    Args:
        tables: the training table first.
        schema: of these tables.
        folder: where decoded pictures are kept.
        longest: the longest side that pictures are shrunk to.
        progress: called with pictures done, and all of them.

    Returns:
        The pictures, or None where no column has any.

    Raises:
        DataError: several columns have pictures, or not one can be read.
        OSError: there is no room on the disk.
    """
    names = [column.name for column in schema.features if column.kind is Kind.IMAGE]
    if not names:
        return None
    if len(names) > 1:
        others = " ".join(f"--drop {shlex.quote(name)}" for name in names[1:])
        raise DataError(
            "a row may have one picture", f"{', '.join(map(repr, names))} are columns of pictures",
            f"Leave all but one out: {others} takes {names[0]!r}.",
        )  # fmt: skip
    (column,) = names
    frames = {part: table.frame for part, table in tables.items()}
    places = pl.concat([frame[column].cast(pl.String) for frame in frames.values()])
    looks = looks_of(frames[next(iter(frames))][column].to_list())
    if not looks:
        raise DataError(
            "pictures must be files that can be read", f"of those that column {column!r} names, none looked at can be",
            "A path is taken from where the table lies; PNG, JPEG, WebP, BMP, TIFF and GIF are read. If the pictures "
            f"are not here, leave the column out with --drop {column}.",
        )  # fmt: skip
    form = suggest(looks, longest)
    store = store_pictures(places, form, folder, progress=progress)
    sizes = [frame.height for frame in frames.values()]
    part = np.repeat(np.arange(len(sizes)), sizes)
    labels = [_labels(frame, schema) for frame in frames.values()]
    view = PictureView(store, np.concatenate(labels), schema.classes, part, tuple(frames))
    checks = (damaged, duplicates, near_duplicates, odd_sizes, empty_pictures, shortcuts)
    checked = tuple(check(view) for check in checks)
    sound = np.split(store.sound, np.cumsum(sizes)[:-1])
    kept = {
        name: tables[name] if own.all() else replace(tables[name], frame=_of_rows(frame, own))
        for (name, frame), own in zip(frames.items(), sound, strict=True)
    }
    return Pictures(
        column, PictureReader.of(store, places.to_list()), form, checked, kept, int((~store.sound).sum())
    )  # fmt: skip


def _of_rows(frame: Frame, kept: np.ndarray) -> Frame:
    return frame.filtered(kept) if isinstance(frame, Stored) else frame.filter(pl.Series(kept))


def _labels(frame: Frame, schema: Schema) -> np.ndarray:
    """Class positions, -1 where unknown and for values."""
    if not schema.is_classification:
        return np.full(frame.height, -1)
    return np.asarray(target_values(frame[schema.target], schema), np.int64)
