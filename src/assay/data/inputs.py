"""The inputs of a model: which columns it takes and how their cells become arrays.

The same functions read cells for training and for predicting, so the two cannot differ. NumPy and Polars only: a server
that answers rows imports this and no torch.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data import columns
from assay.data.schema import Kind
from assay.errors import DataError, nearest
from assay.records import Record

#: Codes of categories: the first two slots of every vocabulary.
UNKNOWN, MISSING, FIRST_KNOWN = 0, 1, 2
#: Numbers beyond this size count as this size, so that no sum or square of them overflows.
LARGEST = 1e100

#: Names that begin so are inner names of a bundle, never columns.
RESERVED = "assay:"

_WORD = re.compile(r"\w+", re.UNICODE)


class Input(Record):
    """One column the model takes.

    `format` is how its strings are parsed (see `schema.Column`). A category has its `categories` in code order (code =
    position + 2). A text has its number of hash `buckets` and its longest n-gram.
    """

    name: str
    kind: Kind
    format: str | None = None
    categories: tuple[str, ...] = ()
    buckets: int = 0
    ngrams: int = 0


@dataclass(frozen=True)
class Matrices:
    """Cells as numbers, before anything learned is applied.

    values: numbers, booleans (0/1) and dates (seconds since 1970) in input order, NaN where missing, float64 (n, K).
    codes: category codes, int64 (n, C).
    texts: hashed n-gram counts of all text columns side by side, float32 (n, T).
    """

    values: np.ndarray
    codes: np.ndarray
    texts: np.ndarray


def check_columns(frame: pl.DataFrame, inputs: tuple[Input, ...]) -> None:
    """Raise DataError when `frame` lacks a column that the model takes; other columns and their order do not matter."""
    present = set(frame.columns)
    lacking = [item.name for item in inputs if item.name not in present]
    if lacking:
        shown = ", ".join(repr(name) for name in lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        raise DataError(
            f"the data must have the {len(inputs)} columns the model was trained on",
            f"{len(lacking)} {'is' if len(lacking) == 1 else 'are'} missing: {shown}",
            f"Add the missing columns (empty cells are allowed). {nearest(lacking[0], frame.columns)}",
        )


def cells_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column `name`, renamed: Polars takes names such as `*` or `^a$` for patterns in what is done to a column."""
    return frame.get_column(name).alias("cells")


def feed(frame: pl.DataFrame, inputs: tuple[Input, ...]) -> dict[str, np.ndarray]:
    """The arrays the ONNX model takes, one a column, each of shape (n, 1); a text of shape (n, buckets).

    Raises:
        DataError: a column is missing.
    """
    check_columns(frame, inputs)
    return {item.name: _array(cells_of(frame, item.name), item) for item in inputs}


def _array(series: pl.Series, item: Input) -> np.ndarray:
    if item.kind is Kind.CATEGORY:
        words = [word or "" for word in columns.category_cells(series)]
        return np.array(words, dtype=object).reshape(-1, 1)
    if item.kind is Kind.TEXT:
        return hashed_ngrams(columns.as_text(series).to_list(), item.buckets, item.ngrams)
    return values_of(series, item).reshape(-1, 1)


def values_of(series: pl.Series, item: Input) -> np.ndarray:
    """A number, boolean or date as float64 (n,); NaN where it is missing."""
    if item.kind is Kind.BOOLEAN:
        return columns.as_boolean(series)
    if item.kind is Kind.DATETIME:
        return columns.as_datetime(series, item.format)
    return columns.as_number(series, item.format)


def known_values(values: np.ndarray) -> np.ndarray:
    """The values that are not missing, as the network's first step takes them."""
    finite = np.isfinite(values)
    known = values if finite.all() else values[finite]  # no copies of a large column without need
    is_usual = not len(known) or (known.min() >= -LARGEST and known.max() <= LARGEST)
    return known if is_usual else known.clip(-LARGEST, LARGEST)


def matrices(frame: pl.DataFrame, inputs: tuple[Input, ...]) -> Matrices:
    """The same cells as three matrices, categories looked up in their vocabularies.

    Raises:
        DataError: a column is missing.
    """
    check_columns(frame, inputs)
    numeric = [item for item in inputs if item.kind not in (Kind.CATEGORY, Kind.TEXT)]
    categories = [item for item in inputs if item.kind is Kind.CATEGORY]
    texts = [item for item in inputs if item.kind is Kind.TEXT]
    rows = frame.height
    values = np.empty((rows, len(numeric)), np.float64)
    for position, item in enumerate(numeric):
        values[:, position] = values_of(cells_of(frame, item.name), item)
    codes = np.empty((rows, len(categories)), np.int64)
    for position, item in enumerate(categories):
        codes[:, position] = look_up(columns.as_category(cells_of(frame, item.name)), item.categories)
    hashed = [_array(cells_of(frame, item.name), item) for item in texts]
    return Matrices(values, codes, np.hstack(hashed) if hashed else np.empty((rows, 0), np.float32))


def look_up(series: pl.Series, categories: tuple[str, ...]) -> np.ndarray:
    """Category codes of canonical texts: 0 unknown, 1 missing, then the vocabulary. int64 (n,)."""
    if not categories:
        codes = pl.Series(values=[UNKNOWN], dtype=pl.Int64).new_from_index(0, len(series))
    else:
        numbers = pl.Series(values=range(FIRST_KNOWN, FIRST_KNOWN + len(categories)), dtype=pl.Int64)
        codes = series.replace_strict(pl.Series(values=categories), numbers, default=UNKNOWN, return_dtype=pl.Int64)
    found = codes.to_numpy().copy()
    found[series.is_null().to_numpy()] = MISSING
    return found


def hashed_ngrams(texts: list[str], buckets: int, longest: int) -> np.ndarray:
    """Signed counts of word n-grams in `buckets` hash buckets, float32 (n, buckets).

    Words are runs of letters and digits, folded; an n-gram's bucket and sign come from its CRC-32 (Weinberger et al.,
    Feature Hashing, ICML 2009: the sign makes collisions cancel in expectation).
    """
    counts = np.zeros((len(texts), buckets), np.float32)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.casefold())
        for size in range(1, longest + 1):
            for start in range(len(words) - size + 1):
                code = zlib.crc32(" ".join(words[start : start + size]).encode())
                counts[row, (code >> 1) % buckets] += 1.0 if code & 1 else -1.0
    return counts
