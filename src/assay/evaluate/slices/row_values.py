"""What conditions ask of rows: cells as numbers or words, and numbers read off texts, pictures and series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.columns import as_boolean, as_category, as_datetime, as_number, as_text
from assay.data.pictures.reader import PictureReader
from assay.data.rows import Rows
from assay.data.schema import Kind, Schema
from assay.data.steps import is_missing, steps_of, summaries
from assay.evaluate.slices.conditions import NUMERIC, Clause

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_COMPARE: Mapping[str, Callable[[Floats, float], Bools]] = MappingProxyType(
    {
        "=": lambda cells, value: np.asarray(cells == value),
        "!=": lambda cells, value: np.asarray((cells != value) & ~np.isnan(cells)),
        "<": lambda cells, value: np.asarray(cells < value),
        "<=": lambda cells, value: np.asarray(cells <= value),
        ">": lambda cells, value: np.asarray(cells > value),
        ">=": lambda cells, value: np.asarray(cells >= value),
    }
)
#: Pictures whose pixels are taken into memory at once.
_PICTURES_AT_ONCE = 2048
#: Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


class RowValues:
    """The cells of some rows as conditions ask for them, each column read once.

    Args:
        rows: theirs.
        schema: of their table.
        pictures: what has decoded the pictures of the rows, where there are any.
    """

    def __init__(self, rows: Rows, schema: Schema, pictures: PictureReader | None = None) -> None:
        self.rows, self.schema, self.pictures = rows, schema, pictures
        self._numbers: dict[tuple[str, str], Floats] = {}
        self._words: dict[str, pl.Series] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def holds(self, condition: Sequence[Clause]) -> Bools:
        """Which rows meet all clauses, (n,); a missing cell meets none but `is missing`."""
        met = np.ones(len(self), bool)
        for clause in condition:
            met &= self._meets(clause)
        return met

    def _meets(self, clause: Clause) -> Bools:
        if clause.value is None:
            missing = self.missing(clause.name, clause.aspect)
            return missing if clause.sign == "is missing" else ~missing
        if isinstance(clause.value, float):
            return _COMPARE[clause.sign](self.numbers(clause.name, clause.aspect), clause.value)
        words = self.words(clause.name)
        met = words == clause.value if clause.sign == "=" else words != clause.value
        return np.asarray(met.fill_null(False).to_numpy(), bool)

    def numbers(self, name: str, aspect: str = "") -> Floats:
        """The cells of a column, or what an aspect of them is, as numbers (n,); NaN where missing."""
        key = (name, aspect)
        if key not in self._numbers:
            self._numbers[key] = self._read(name, aspect)
        return self._numbers[key]

    def words(self, name: str) -> pl.Series:
        """The cells of a column in their one spelling; null where missing."""
        if name not in self._words:
            self._words[name] = as_category(self.rows.column(name))
        return self._words[name]

    def missing(self, name: str, aspect: str = "") -> Bools:
        """Which cells are missing, (n,)."""
        kind = self.schema[name].kind
        if aspect or kind in NUMERIC:
            return np.isnan(self.numbers(name, aspect))
        if kind is Kind.SEQUENCE:
            return is_missing(self.rows.column(name))
        return np.asarray(self.words(name).is_null().to_numpy(), bool)

    def _read(self, name: str, aspect: str) -> Floats:
        cells, column = self.rows.column(name), self.schema[name]
        if aspect in ("words", "letters"):
            texts = as_text(cells)
            counted = texts.str.count_matches(r"\S+") if aspect == "words" else texts.str.len_chars()
            return _absent(counted.cast(pl.Float64).to_numpy().copy(), (texts == "").to_numpy())
        if aspect in ("steps", "mean", "deviation"):
            found = summaries(steps_of(cells))
            return np.asarray(found[:, {"steps": 7, "mean": 0, "deviation": 1}[aspect]], np.float64)
        if aspect:
            return self._looks(cells, aspect)
        if column.kind is Kind.BOOLEAN:
            return as_boolean(cells)
        if column.kind is Kind.DATETIME:
            return as_datetime(cells, column.format)
        return as_number(cells, column.format)

    def _looks(self, cells: pl.Series, aspect: str) -> Floats:
        """Mean and deviation of the grey of decoded pictures, or how many pixels their files had; NaN where unknown."""
        made = np.full(len(cells), np.nan)
        if self.pictures is None:
            return made
        known = [
            (row, self.pictures.rows[place]) for row, place in enumerate(cells.to_list()) if place in self.pictures.rows
        ]
        if not known:
            return made
        where, stored = (np.array(part, np.int64) for part in zip(*known, strict=True))
        if aspect == "pixels":
            facts = self.pictures.store.facts
            sizes = (facts["height"].cast(pl.Float64) * facts["width"].cast(pl.Float64)).to_numpy()
            made[where] = sizes[stored]
            return made
        for start in range(0, len(stored), _PICTURES_AT_ONCE):
            some = slice(start, start + _PICTURES_AT_ONCE)
            grey = greys(self.pictures.store.at(stored[some]))
            made[where[some]] = grey.mean((1, 2)) if aspect == "brightness" else grey.std((1, 2))
        return made


def greys(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures (n, C, H, W) of 0 to 255 as grey ones, (n, H, W)."""
    if pictures.shape[1] == 1:
        return pictures[:, 0].astype(np.float32)
    weights = np.array(_LUMA, np.float32)
    return np.asarray(np.tensordot(pictures[:, :3].astype(np.float32), weights, (1, 0)), np.float32)


def _absent(values: Floats, missing: Bools) -> Floats:
    values[missing] = np.nan
    return values
