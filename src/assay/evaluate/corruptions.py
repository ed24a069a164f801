"""What may happen to the cells of a served row: missing, noisy, shifted, unseen, misspelt, blurred.

Each change takes the cells of some rows and gives them changed; what it is given is never written to. Pictures after
Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions (ICLR 2019), section 4.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.columns import as_category, as_number, as_text
from assay.data.encoding.encode import Encoder
from assay.data.inputs import cells_of
from assay.data.pictures.reader import decoded
from assay.data.schema import Column, Kind, Schema
from assay.data.steps import SERIES, steps_of
from assay.data.texts.typos import SHORTEST, shorter

Generator = np.random.Generator
Pixels = NDArray[np.uint8]

#: A word that no training row has.
UNSEEN = "a category that no training row has"


@dataclass(frozen=True)
class Corruption:
    """A change of some columns: its kind and strength in words."""

    kind: str
    strength: str
    columns: int
    apply: Callable[[pl.DataFrame, Generator], pl.DataFrame]


def without_column(name: str) -> Corruption:
    """A column that is missing where a model is served."""
    return Corruption(name, "missing", 1, lambda frame, _: frame.with_columns(_emptied(frame[name])))


def corruptions(schema: Schema, encoder: Encoder) -> list[Corruption]:
    """All changes that the columns of a table can undergo, from weak to strong within a kind."""
    by_kind = {kind: [column for column in schema.features if column.kind is kind] for kind in Kind}
    found: list[Corruption] = []
    able = [column for column in schema.features if column.kind is not Kind.IMAGE]
    if able:
        found += [_missing(able, share) for share in (0.1, 0.3)]
    if numbers := by_kind[Kind.NUMBER]:
        found += [_noisy(numbers, size) for size in (0.1, 0.3, 1.0)]
        found += [_shifted(numbers, size) for size in (0.5, 1.0)]
    if categories := by_kind[Kind.CATEGORY]:
        found += [_unseen(categories, share) for share in (0.1, 0.3)]
    if texts := by_kind[Kind.TEXT]:
        found += [_misspelt(texts, share) for share in (0.1, 0.3)]
    if series := by_kind[Kind.SEQUENCE]:
        found += [_noisy_series(series, size) for size in (0.25, 0.5)]
        found += [_gaps(series, share) for share in (0.1, 0.3)]
    if by_kind[Kind.IMAGE]:
        found += _of_pictures(by_kind[Kind.IMAGE][0], encoder)
    return found


# Tables --------------------------------------------------------------------------------------------------------------


def _emptied(cells: pl.Series) -> pl.Series:
    return pl.Series(cells.name, [None], dtype=cells.dtype).new_from_index(0, len(cells))


def _missing(columns: Sequence[Column], share: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        gone = rng.random((len(columns), frame.height)) < share
        return frame.with_columns(
            _emptied(frame[column.name]).zip_with(pl.Series(lost), frame[column.name])
            for column, lost in zip(columns, gone, strict=True)
        )

    return Corruption("cells missing", f"{share:.0%} of them", len(columns), apply)


def _numbers(frame: pl.DataFrame, column: Column, change: Callable[[NDArray[np.float64], float], Any]) -> pl.Series:
    """A column of numbers, changed by what is told the numbers and their deviation."""
    cells = as_number(frame[column.name], column.format)
    known = cells[np.isfinite(cells)]
    largest = float(np.abs(known).max()) if len(known) else 0.0
    deviation = largest * float((known / largest).std()) if largest else 0.0  # squares of large numbers would overflow
    changed = np.asarray(change(cells, deviation), np.float64)
    return pl.Series(column.name, changed, nan_to_null=True)


def _noisy(columns: Sequence[Column], size: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        return frame.with_columns(
            _numbers(frame, column, lambda x, deviation: x + size * deviation * rng.standard_normal(len(x)))
            for column in columns
        )

    return Corruption("noise on numbers", f"{size:g} SD", len(columns), apply)


def _shifted(columns: Sequence[Column], size: float) -> Corruption:
    def apply(frame: pl.DataFrame, _: Generator) -> pl.DataFrame:
        return frame.with_columns(
            _numbers(frame, column, lambda x, deviation: x + size * deviation) for column in columns
        )

    return Corruption("numbers shifted", f"by {size:g} SD", len(columns), apply)


def _unseen(columns: Sequence[Column], share: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        made = []
        for column in columns:
            cells = as_category(frame[column.name])
            new = pl.Series(column.name, [UNSEEN]).new_from_index(0, len(cells))
            made.append(new.zip_with(pl.Series(rng.random(len(cells)) < share), cells.alias(column.name)))
        return frame.with_columns(made)

    return Corruption("unseen categories", f"{share:.0%} of cells", len(columns), apply)


# Texts ---------------------------------------------------------------------------------------------------------------


def _misspelt(columns: Sequence[Column], share: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        return frame.with_columns(
            pl.Series(column.name, [misspelt(text, share, rng) for text in as_text(frame[column.name]).to_list()])
            for column in columns
        )

    return Corruption("typos", f"{share:.0%} of words", len(columns), apply)


def misspelt(text: str, share: float, rng: Generator) -> str:
    """The text with a letter left out of a share of its longer words."""
    words = text.split(" ")
    for place in np.flatnonzero(rng.random(len(words)) < share).tolist():
        word = words[place]
        if len(word) >= SHORTEST and word.isalpha():
            spellings = shorter(word)
            words[place] = spellings[int(rng.integers(len(spellings)))]
    return " ".join(words)


# Series --------------------------------------------------------------------------------------------------------------


def _series(
    frame: pl.DataFrame, columns: Sequence[Column], change: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> pl.DataFrame:
    """The frame with all steps of these series changed."""
    made = []
    for column in columns:
        steps = steps_of(frame[column.name])
        values = change(steps.values)
        lists = [
            [None if step != step else step for step in values[start:stop].tolist()] if stop > start else None
            for start, stop in zip(steps.starts[:-1], steps.starts[1:], strict=True)
        ]
        made.append(pl.Series(column.name, lists, dtype=SERIES))
    return frame.with_columns(made)


def _noisy_series(columns: Sequence[Column], size: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        def noisy(values: NDArray[np.float64]) -> NDArray[np.float64]:
            known = values[np.isfinite(values)]
            deviation = float(known.std()) if len(known) else 0.0
            return values + size * deviation * rng.standard_normal(len(values))

        return _series(frame, columns, noisy)

    return Corruption("noise on series", f"{size:g} SD", len(columns), apply)


def _gaps(columns: Sequence[Column], share: float) -> Corruption:
    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        return _series(frame, columns, lambda values: np.where(rng.random(len(values)) < share, np.nan, values))

    return Corruption("steps missing", f"{share:.0%} of them", len(columns), apply)


# Pictures ------------------------------------------------------------------------------------------------------------


def _blurred(pixels: Pixels, radius: float, _: Generator) -> Pixels:
    """A Gaussian blur, its radius in pixels."""
    ndimage = require("scipy.ndimage", "blurring pictures")
    return np.asarray(ndimage.gaussian_filter(pixels.astype(np.float32), (0, 0, radius, radius)).round(), np.uint8)


def _speckled(pixels: Pixels, deviation: float, rng: Generator) -> Pixels:
    return _bytes(pixels + deviation * rng.standard_normal(pixels.shape, np.float32))


def _brighter(pixels: Pixels, factor: float, _: Generator) -> Pixels:
    return _bytes(pixels.astype(np.float32) * factor)


def _flatter(pixels: Pixels, factor: float, _: Generator) -> Pixels:
    mean = pixels.mean((1, 2, 3), keepdims=True, dtype=np.float32)
    return _bytes(mean + (pixels - mean) * factor)


def _compressed(pixels: Pixels, quality: float, _: Generator) -> Pixels:
    image = require("PIL.Image", "compressing pictures")
    made = np.empty_like(pixels)
    for row, picture in enumerate(pixels):
        file = io.BytesIO()
        image.fromarray(_plain(picture)).save(file, "JPEG", quality=int(quality))
        again = np.asarray(image.open(file))
        made[row] = again[None] if again.ndim == 2 else again.transpose(2, 0, 1)
    return made


def _bytes(values: NDArray[np.float32]) -> Pixels:
    return np.asarray(values.round().clip(0, 255), np.uint8)


def _plain(picture: Pixels) -> Pixels:
    """(C, H, W) as Pillow takes it."""
    return picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))


_LOOKS: Mapping[str, tuple[Callable[[Pixels, float, Generator], Pixels], tuple[tuple[float, str], ...]]] = (
    MappingProxyType(
        {
            "blur": (_blurred, ((0.7, "radius 0.7 pixels"), (1.5, "radius 1.5 pixels"))),
            "noise": (_speckled, ((10.0, "deviation 10 of 255"), (30.0, "deviation 30 of 255"))),
            "brightness": (_brighter, ((0.6, "0.6 times"), (1.5, "1.5 times"))),
            "contrast": (_flatter, ((0.6, "0.6 times"), (0.3, "0.3 times"))),
            "JPEG": (_compressed, ((40.0, "quality 40"), (10.0, "quality 10"))),
        }
    )
)


def _of_pictures(column: Column, encoder: Encoder) -> list[Corruption]:
    return [
        Corruption(f"pictures: {kind}", words, 1, _on_pixels(column.name, encoder, change, strength))
        for kind, (change, strengths) in _LOOKS.items()
        for strength, words in strengths
    ]


def _on_pixels(
    name: str, encoder: Encoder, change: Callable[[Pixels, float, Generator], Pixels], strength: float
) -> Callable[[pl.DataFrame, Generator], pl.DataFrame]:
    """A change of the pictures as the network takes them; changed ones are cells of PNG bytes."""

    def apply(frame: pl.DataFrame, rng: Generator) -> pl.DataFrame:
        item = next(item for item in encoder.inputs if item.name == name)
        assert item.picture is not None
        pixels = (encoder.readers.pictures or decoded)(cells_of(frame, name), item.picture)
        files = [_png(picture) for picture in change(pixels, strength, rng)]
        return frame.with_columns(pl.Series(name, files, dtype=pl.Binary))

    return apply


def _png(picture: Pixels) -> bytes:
    image = require("PIL.Image", "changing pictures")
    file = io.BytesIO()
    image.fromarray(_plain(picture)).save(file, "PNG", compress_level=1)
    return file.getvalue()
