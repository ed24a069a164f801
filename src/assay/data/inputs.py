"""The inputs of a model: which columns it takes and how their cells become arrays.

The same functions read cells for training and for predicting, so the two cannot differ. NumPy and Polars only: a server
that answers rows imports this and no torch.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from assay.data import columns
from assay.data.pictures.picture import PictureFormat
from assay.data.pictures.reader import decoded
from assay.data.schema import Kind
from assay.data.steps import padded
from assay.data.texts import grams, tokens, words
from assay.data.texts.tokens import Tokenizer
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
    position + 2). A text is read in up to four ways: words counted in a few hash `buckets`, up to its longest n-gram
    `ngrams`; a sparse bag of words and letters in `grams` buckets; `windows` windows (0: as many as there can be) of
    `window` tokens; its first `words` words in their order. 0 stands for not so. A sequence is read up to `length`
    steps, and a picture brought to one format.
    """

    name: str
    kind: Kind
    format: str | None = None
    categories: tuple[str, ...] = ()
    buckets: int = 0
    ngrams: int = 0
    grams: int = 0
    window: int = 0
    windows: int = 0
    words: int = 0
    length: int = 0
    picture: PictureFormat | None = None


def is_numeric(item: Input) -> bool:
    """Whether the column is one of the values: a number, a boolean or a date."""
    return item.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME)


ViewKind = Literal["grams", "words", "windows", "series", "pictures"]
#: Views of several columns together; others are of one.
_JOINT: tuple[ViewKind, ...] = ("words", "series")


@dataclass(frozen=True)
class View:
    """An array of its own that is read from columns.

    `grams` (n, k) and `windows` (n, w, t) of tokens are int32 of one text; what k, w and t are depends on the rows, and
    zeros may follow. So are `words` (n, l), of all texts of a row. `series` (n, C, T) is float32 of all sequences, a
    channel each, NaN where nothing was measured. `pictures` (n, C, H, W) are uint8.
    """

    items: tuple[Input, ...]
    kind: ViewKind

    @property
    def name(self) -> str:
        """Of the input of the ONNX model."""
        return f"{RESERVED}{self.kind}" + ("" if self.kind in _JOINT else f":{self.items[0].name}")

    @property
    def shape(self) -> tuple[str | int, ...]:
        """The axes after the rows: names of those that are free, lengths of the others."""
        if self.kind == "series":
            return len(self.items), self.items[0].length
        if self.kind == "pictures":
            form = self.items[0].picture
            assert form is not None
            return form.channels, form.height, form.width
        return ("windows", "tokens") if self.kind == "windows" else (self.kind,)


def views_of(inputs: tuple[Input, ...]) -> tuple[View, ...]:
    """The arrays that texts and series are read to beside `Matrices.texts`, in the order of `Matrices.media`."""
    bags = [View((item,), "grams") for item in inputs if item.grams]
    read = tuple(item for item in inputs if item.words)
    words = [View(read, "words")] if read else []
    channels = tuple(item for item in inputs if item.length)
    series = [View(channels, "series")] if channels else []
    pictures = [View((item,), "pictures") for item in inputs if item.picture is not None]
    return (*bags, *words, *series, *pictures, *(View((item,), "windows") for item in inputs if item.window))


@dataclass(frozen=True)
class Matrices:
    """Cells as numbers, before anything learned is applied.

    values: numbers, booleans (0/1) and dates (seconds since 1970) in input order, NaN where missing, float64 (n, K).
    codes: category codes, int64 (n, C).
    texts: hashed n-gram counts of all text columns side by side, float32 (n, T).
    media: an array for each of `views_of` the inputs.
    cut: texts or series that are longer than they are read, by the name of their view.
    """

    values: np.ndarray
    codes: np.ndarray
    texts: np.ndarray
    media: tuple[np.ndarray, ...] = ()
    cut: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Readers:
    """What some cells are read with: texts by a tokenizer, and pictures by a reader that has decoded them before."""

    tokenizer: Tokenizer | None = None
    pictures: Callable[[pl.Series, PictureFormat], np.ndarray] | None = None


NO_READERS = Readers()


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


def feed(frame: pl.DataFrame, inputs: tuple[Input, ...], readers: Readers = NO_READERS) -> dict[str, np.ndarray]:
    """The arrays the ONNX model takes: one a column of shape (n, 1), of a text (n, buckets), and those of `views_of`.

    Raises:
        DataError: a column is missing.
    """
    check_columns(frame, inputs)
    plain = {item.name: _array(cells_of(frame, item.name), item) for item in inputs if not is_viewed(item)}
    return plain | {view.name: _viewed(frame, view, readers)[0] for view in views_of(inputs)}


def input_names(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """The names of the ONNX model's inputs: the columns, and the arrays that texts are read to."""
    return (*(item.name for item in inputs if not is_viewed(item)), *(view.name for view in views_of(inputs)))


def is_viewed(item: Input) -> bool:
    """Whether a column has no array under its own name."""
    return item.kind in (Kind.SEQUENCE, Kind.IMAGE) or (item.kind is Kind.TEXT and not item.buckets)


def _viewed(frame: pl.DataFrame, view: View, readers: Readers) -> tuple[np.ndarray, int]:
    """The array of a view, and how many texts or series are longer than they are read."""
    if view.kind == "series":
        found = [padded(cells_of(frame, item.name), item.length) for item in view.items]
        longer = np.logical_or.reduce([is_longer for _, is_longer in found])
        return np.stack([channel for channel, _ in found], 1), int(longer.sum())
    if view.kind == "words":
        every = [columns.as_text(cells_of(frame, item.name)).to_list() for item in view.items]
        read = words.word_ids(every, view.items[0].words)
        return read.ids, read.cut
    (item,) = view.items
    if item.picture is not None:
        return (readers.pictures or decoded)(cells_of(frame, item.name), item.picture), 0
    texts = columns.as_text(cells_of(frame, item.name)).to_list()
    if view.kind == "grams":
        bags = grams.hashed_grams(texts, item.grams)
        return bags.packed, bags.cut
    if readers.tokenizer is None:
        raise ValueError("windows of tokens need the tokenizer that the model was trained with")
    windows = readers.tokenizer.windows(texts, item.window, item.windows or tokens.MOST_WINDOWS)
    return windows.ids, windows.cut


def joined_media(parts: Sequence[tuple[np.ndarray, ...]], views: tuple[View, ...]) -> tuple[np.ndarray, ...]:
    """The arrays of several blocks of rows under each other."""
    join: Mapping[str, Callable[[Sequence[np.ndarray]], np.ndarray]] = {
        "grams": grams.joined,
        "words": words.joined,
        "windows": tokens.joined,
        "series": np.concatenate,
        "pictures": np.concatenate,
    }
    return tuple(join[view.kind](arrays) for view, arrays in zip(views, zip(*parts, strict=True), strict=True))


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


def matrices(frame: pl.DataFrame, inputs: tuple[Input, ...], readers: Readers = NO_READERS) -> Matrices:
    """The same cells as matrices, categories looked up in their vocabularies.

    Raises:
        DataError: a column is missing.
    """
    check_columns(frame, inputs)
    numeric = [item for item in inputs if is_numeric(item)]
    categories = [item for item in inputs if item.kind is Kind.CATEGORY]
    texts = [item for item in inputs if item.buckets]
    rows = frame.height
    values = np.empty((rows, len(numeric)), np.float64)
    for position, item in enumerate(numeric):
        values[:, position] = values_of(cells_of(frame, item.name), item)
    codes = np.empty((rows, len(categories)), np.int64)
    for position, item in enumerate(categories):
        codes[:, position] = look_up(columns.as_category(cells_of(frame, item.name)), item.categories)
    hashed = [_array(cells_of(frame, item.name), item) for item in texts]
    read = {view.name: _viewed(frame, view, readers) for view in views_of(inputs)}
    return Matrices(
        values, codes, np.hstack(hashed) if hashed else np.empty((rows, 0), np.float32),
        tuple(array for array, _ in read.values()), {name: cut for name, (_, cut) in read.items()},
    )  # fmt: skip


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
