"""Rows as generators see them: numbers, and the codes of cells that are taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """n rows of V numbers and C coded columns.

    numbers: float64 (n, V); NaN where missing.
    codes: int64 (n, C); places in the vocabulary of each column, of which a missing cell may be one. A code as large as
        the vocabulary stands for a cell that it does not hold.
    """

    numbers: Floats
    codes: Ints

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Block:
        """The rows at these places."""
        return Block(self.numbers[places], self.codes[places])


@dataclass(frozen=True)
class Layout:
    """What the columns of a block are: `names` of numbers and coded columns, `sizes` of the vocabularies.

    target: where the target is: `("number", place)` or `("code", place)`.
    """

    numbers: tuple[str, ...]
    codes: tuple[str, ...]
    sizes: tuple[int, ...]
    target: tuple[str, int]


class Generator(Protocol):
    """What makes rows once it has learned."""

    @property
    def told(self) -> str:
        """What it is, in words."""
        ...

    def sample(self, rows: int, rng: np.random.Generator) -> Block:
        """So many new rows."""
        ...


def stacked(blocks: Sequence[Block]) -> Block:
    """The rows of all blocks, one below the other."""
    return Block(np.concatenate([b.numbers for b in blocks]), np.concatenate([b.codes for b in blocks]))
