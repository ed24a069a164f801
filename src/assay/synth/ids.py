"""Columns that name their rows: names are made anew in the pattern of the real ones, and none of these is given out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import gcd
from typing import Protocol

import numpy as np
import polars as pl

from assay.data.schema import Column

#: Names that a pattern must have for each that is needed, so that new ones are found quickly.
_ROOM = 10
#: Names are counted in 64 bits: this many in all, twice over, is their product with a step.
_MOST = 1 << 31
_SHAPE = str.maketrans({**dict.fromkeys("0123456789", "9"), **{chr(65 + i): "A" for i in range(26)},
                        **{chr(97 + i): "a" for i in range(26)}})  # fmt: skip


class IdForm(Protocol):
    """Names for rows, the same for the same places whatever block they are asked for in."""

    def write(self, name: str, first: int, rows: int) -> pl.Series:
        """Names for the rows from place `first` on."""
        ...


@dataclass(frozen=True)
class Counted:
    """Whole numbers that count on: from where the real ones began, where these count rows, else from after the last."""

    dtype: pl.DataType
    start: int

    def write(self, name: str, first: int, rows: int) -> pl.Series:
        """The next numbers."""
        return pl.Series(name, np.arange(self.start + first, self.start + first + rows)).cast(self.dtype)


@dataclass(frozen=True)
class Patterned:
    """Strings of the most frequent shape: at each place one of the characters that real names have there.

    The i-th name is the number `(step * i + offset) mod names` in the mixed radix of the places, so that no name comes
    twice; a real one is passed over, in strides of `rows`.
    """

    alphabets: tuple[str, ...]
    names: int
    step: int
    offset: int
    rows: int
    real: frozenset[str]

    def write(self, name: str, first: int, rows: int) -> pl.Series:
        """New names."""
        made = self._names(np.arange(first, first + rows, dtype=np.int64))
        taken = [at for at, text in enumerate(made) if text in self.real]
        for stride in range(1, _ROOM):
            if not taken:
                break
            again = self._names(np.array(taken, np.int64) + first + stride * self.rows)
            for at, text in zip(taken, again, strict=True):
                made[at] = text
            taken = [at for at in taken if made[at] in self.real]
        return pl.Series(name, made, dtype=pl.String)

    def _names(self, places: np.ndarray) -> list[str]:
        left = (places * self.step + self.offset) % self.names
        columns = []
        for alphabet in reversed(self.alphabets):
            radix = len(alphabet)
            columns.append(np.array(list(alphabet))[left % radix])
            left = left // radix
        return ["".join(letters) for letters in zip(*(column.tolist() for column in reversed(columns)), strict=True)]


def id_form(cells: pl.Series, column: Column, rows: int, rng: np.random.Generator) -> IdForm | str:
    """How to make `rows` new names in the pattern of `cells`, or why none can be made, in words."""
    present = cells.drop_nulls()
    if cells.dtype.is_integer():
        counts_rows = "counts the rows" in column.reason
        numbers = present.to_numpy()
        start = int(numbers.min()) if counts_rows else int(numbers.max()) + 1
        try:
            pl.Series([start + rows - 1]).cast(cells.dtype)
        except (pl.exceptions.PolarsError, OverflowError):
            return f"its type {cells.dtype} has no more numbers"
        return Counted(cells.dtype, start)
    if cells.dtype != pl.String:
        return f"names of type {cells.dtype} are not made"
    return _patterned(present.to_list(), rows, rng)


def _patterned(names: list[str], rows: int, rng: np.random.Generator) -> Patterned | str:
    shape = Counter(text.translate(_SHAPE) for text in names).most_common(1)[0][0]
    alike = [text for text in names if text.translate(_SHAPE) == shape]
    alphabets = [_alphabet(letters) for letters in zip(*alike, strict=True)]
    count = 1
    for at in range(len(alphabets) - 1, -1, -1):
        if count * len(alphabets[at]) > _MOST:  # enough names: what is before stays as one real name has it
            alphabets[at] = alike[0][at]
        count *= len(alphabets[at])
    if count < _ROOM * (rows + len(names)):
        return f"its pattern has {count:,} names only, too few for {rows:,} new ones"
    step = int(rng.integers(count // 3, count // 2))
    while gcd(step, count) != 1:
        step += 1
    return Patterned(tuple(alphabets), count, step, int(rng.integers(count)), rows, frozenset(names))


def _alphabet(letters: tuple[str, ...]) -> str:
    """The characters of a place: all digits where there are several of them, else those that were seen."""
    seen = set(letters)
    if len(seen) > 1 and seen <= set("0123456789"):
        return "0123456789"
    return "".join(sorted(seen))
