"""The cells that baselines learn from: numbers, codes of categories and texts of some training rows.

They are read with the functions the network's own inputs go through (`data/columns.py`), without the time column: a raw
date lets trees cling to a time that test rows are past.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.columns import as_boolean, as_category, as_datetime, as_number, as_text
from assay.data.schema import Column, Kind, Schema
from assay.data.steps import steps_of, summaries
from assay.data.texts.grams import hashed_grams
from assay.evaluate.metrics import Floats, Ints

#: scikit-learn's boosting takes 255 codes a column: these, one for the rest, and a missing value of its own.
TREE_CATEGORIES = 253
TEXT_BUCKETS = 1 << 18


@dataclass(frozen=True)
class BaselineTask:
    """What every baseline learns from: cells, target and weight of the rows taken, and how long it may take.

    target: class positions or values, (n,), of labels 0 and 1, (n, L).
    """

    reader: CellReader
    cells: Cells
    target: NDArray[Any]
    weight: Floats | None
    classes: int
    seed: int
    deadline: float

    @property
    def kinds_of_target(self) -> int:
        """How many different targets the rows have."""
        return len(np.unique(self.target))


class NothingToLearnError(Exception):
    """A baseline cannot be fitted to these rows; the message says why. Never leaves the baselines."""


@dataclass(frozen=True)
class Cells:
    """The features of some rows.

    values: numbers, booleans, parts of dates and summaries of series, NaN where missing or infinite, (n, V).
    codes: categories by falling frequency in training, -1 for missing, (n, C); the number of kept categories stands for
        rare and unseen ones.
    texts: the text columns.
    """

    values: Floats
    codes: Ints
    texts: tuple[pl.Series, ...]

    @cached_property
    def bags(self) -> list[NDArray[np.int32]]:
        """The n-grams of each text column, see `grams.py`; hashed when first asked for."""
        return [hashed_grams(column.to_list(), TEXT_BUCKETS).packed for column in self.texts]


class CellReader:
    """Turns frames into cells; the vocabularies of categories come from the training frame."""

    def __init__(self, frame: pl.DataFrame, schema: Schema) -> None:
        used = [column for column in schema.features if column.name != schema.time]
        self.without_time = len(used) < len(schema.features)
        self._numeric = [c for c in used if c.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME)]
        self._texts = [c for c in used if c.kind is Kind.TEXT]
        self.series = [c.name for c in used if c.kind is Kind.SEQUENCE]
        self._words = {c.name: _vocabulary(frame[c.name]) for c in used if c.kind is Kind.CATEGORY}
        self.kept = [len(words) for words in self._words.values()]

    def read(self, frame: pl.DataFrame) -> Cells:
        """The cells of some rows."""
        rows = len(frame)
        values = [part for column in self._numeric for part in _numbers(frame[column.name], column)]
        values += [part for name in self.series for part in summaries(steps_of(frame[name])).T]
        codes = [_codes(frame[name], words) for name, words in self._words.items()]
        return Cells(
            np.stack(values, axis=1) if values else np.empty((rows, 0)),
            np.stack(codes, axis=1) if codes else np.empty((rows, 0), np.int64),
            tuple(as_text(frame[column.name]) for column in self._texts),
        )


def _numbers(series: pl.Series, column: Column) -> list[Floats]:
    if column.kind is Kind.BOOLEAN:
        return [as_boolean(series)]
    if column.kind is Kind.NUMBER:
        values = as_number(series, column.format)
        return [np.where(np.isfinite(values), values, np.nan)]
    seconds = as_datetime(series, column.format)
    known = np.isfinite(seconds)
    moments = pl.Series((np.where(known, seconds, 0) * 1e6).astype(np.int64)).cast(pl.Datetime("us"))
    parts = [moments.dt.month(), moments.dt.weekday(), moments.dt.hour()]
    return [np.where(known, part, np.nan) for part in (seconds, *(p.to_numpy().astype(np.float64) for p in parts))]


def _vocabulary(series: pl.Series) -> list[str]:
    """The most frequent categories, ties in the order of the alphabet."""
    counts = as_category(series).drop_nulls().alias("word").value_counts(name="rows")
    ranked: list[str] = counts.sort("rows", "word", descending=[True, False])["word"].head(TREE_CATEGORIES).to_list()
    return ranked


def _codes(series: pl.Series, words: list[str]) -> Ints:
    cells = as_category(series)
    if not words:
        return np.where(cells.is_null().to_numpy(), -1, 0)
    known = cells.replace_strict(words, list(range(len(words))), default=len(words), return_dtype=pl.Int64)
    return np.where(cells.is_null().to_numpy(), -1, known.fill_null(len(words)).to_numpy())
