"""Rows with pictures, as they are given to a model: files, their bytes, or pixels.

Shape legend: n pictures, H height, W width, C channels (1, 3 or 4).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assay._imports import require
from assay.data.inputs import Input, Readers, cells_of
from assay.data.picture_sources.files import ENDINGS, read_pictures
from assay.data.picture_sources.tables import is_pictures
from assay.data.pictures.arrays import pixels_of
from assay.data.pictures.cells import as_bytes, bytes_in, is_record
from assay.data.pictures.reader import decoded, placed
from assay.data.reading.frames import array_of, from_object, is_array, tidy
from assay.data.reading.read import read
from assay.errors import DataError


def picture_rows(data: Any, name: str) -> pl.DataFrame:  # noqa: ANN401  # see below
    """The rows of a model that reads pictures from the column `name`.

    Args:
        data: a path of a table, a folder, an archive, arrays or one picture; the bytes of a picture; pixels (H, W, C)
            of one or (n, H, W, C) of several, or without C where they are grey; a list of paths, bytes or pixels; or
            rows as a frame, dict or list of dicts, whose cells are paths, bytes or pixels. A record of `bytes` and
            `path`, as Hugging Face data sets have it, stands for its bytes.
        name: of the column.

    Raises:
        DataError: it is none of them.
    """
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data), name)
    if isinstance(data, bytes | bytearray | memoryview):
        return _of_cells([data], name)
    if is_array(data):
        return _of_cells(_one_by_one(array_of(data, "pixels")), name)
    if isinstance(data, list | tuple):
        if not any(isinstance(row, Mapping) and not is_record(row) for row in data):
            return _of_cells(data, name)
        others = [{key: value for key, value in row.items() if key != name} for row in data]
        return _beside(others, [row.get(name) for row in data], name)
    if isinstance(data, Mapping) and name in data:
        return _beside({key: value for key, value in data.items() if key != name}, _listed(data[name]), name)
    frame = from_object(data, [])[0]
    if name not in frame.columns:
        return tidy(frame, [])
    cells = as_bytes(frame[name])
    cells = frame[name] if cells is None else cells
    if cells.dtype not in (pl.Binary, pl.Object):
        return tidy(frame.with_columns(cells), [])
    return _beside(frame.drop(name), cells.to_list(), name)


def with_pictures(rows: pl.DataFrame, inputs: tuple[Input, ...], readers: Readers) -> pl.DataFrame:
    """Rows with their pictures in them, as the model sees them: files may be gone where the bundle goes."""
    for item in inputs:
        if item.picture is not None:
            pixels = (readers.pictures or decoded)(cells_of(rows, item.name), item.picture)
            files = [_png(picture.transpose(1, 2, 0), compress=6) for picture in pixels]
            rows = rows.with_columns(pl.Series(item.name, files, dtype=pl.Binary))
    return rows


def _of_path(path: Path, name: str) -> pl.DataFrame:
    if path.suffix.casefold() in ENDINGS and path.is_file():
        return pl.DataFrame({name: [str(path)]})
    if not is_pictures(path):
        frame = read(path).frame
        assert isinstance(frame, pl.DataFrame)  # without a place to put it, a table is in memory
        return placed(frame, [name], path)
    parts = read_pictures(path).parts.values()
    return pl.concat([frame.select(pl.col("image").alias(name)) for frame in parts])


def _one_by_one(pixels: np.ndarray) -> list[np.ndarray]:
    """The pictures of an array; of three axes the last is colours where it has 3 or 4."""
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        return [pixels]
    return list(pixels)


def _listed(cells: Any) -> Sequence[object]:  # noqa: ANN401
    return list(array_of(cells, "pixels")) if is_array(cells) else list(cells)


def _beside(others: Any, cells: Sequence[object], name: str) -> pl.DataFrame:  # noqa: ANN401  # a frame or columns
    """Pictures and the other columns of their rows."""
    made = _of_cells(cells, name)
    rest = tidy(from_object(others, [])[0], []) if len(getattr(others, "columns", others)) else pl.DataFrame()
    if rest.width and rest.height != made.height:
        raise DataError(
            "all columns must have the same number of cells",
            f"{name!r} has {made.height} and the others have {rest.height}",
            "Give columns of one length.",
        )
    return rest.hstack(made) if rest.width else made


def _of_cells(cells: Sequence[object], name: str) -> pl.DataFrame:
    """Paths as they are, where all are such; else the bytes of all pictures."""
    cells = [bytes_in(cell) for cell in cells]
    if all(cell is None or isinstance(cell, str | os.PathLike) for cell in cells):
        paths = [None if cell is None else os.fspath(cell) for cell in cells]  # type: ignore[call-overload]
        return pl.DataFrame({name: pl.Series(paths, dtype=pl.String)})
    return pl.DataFrame({name: pl.Series([_bytes_of(cell) for cell in cells], dtype=pl.Binary)})


def _bytes_of(cell: object) -> bytes | None:
    """The bytes of a picture; what cannot be read is told with its row when it is decoded."""
    if cell is None:
        return None
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, str | os.PathLike):
        path = Path(cell)
        return path.read_bytes() if path.is_file() else b""
    pixels = array_of(cell, "pixels")
    if pixels.dtype.kind == "f" and pixels.size and not (pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise DataError(
            "pixels must be uint8, uint16, or values of 0 to 1",
            f"they are {pixels.dtype} from {pixels.min():g} to {pixels.max():g}",
            "Scale them as those that the model learned from; NaN is no colour.",
        )  # fmt: skip
    return _png(pixels_of(pixels))


def _png(pixels: np.ndarray, compress: int = 0) -> bytes:
    """Pixels (H, W) or (H, W, C) as a file that holds exactly these, of uint16 the high byte.

    Args:
        pixels: of uint8 or uint16.
        compress: from 0, quick and large, to 9.

    Raises:
        DataError: they are no picture.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or not pixels.size:
        raise DataError(
            "pixels of a picture must have the shape (height, width), with 1, 3 or 4 channels at either end",
            f"they have {pixels.shape}", "Give one picture, or several: (pictures, height, width, channels).",
        )  # fmt: skip
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            "pixels must be uint8, uint16, or values of 0 to 1", f"they are {pixels.dtype}", "Convert them."
        )
    values = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    made = io.BytesIO()
    image = require("PIL.Image", "reading pictures").fromarray(np.ascontiguousarray(values))
    image.save(made, "PNG", compress_level=compress)
    return made.getvalue()
