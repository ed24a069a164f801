"""SMOTE: new rows of small classes, each between a row of its class and one of its neighbours.

Sources: Chawla et al., SMOTE (JAIR 2002), sections 4.2 and 6.1 (SMOTE-NC: a category is the most frequent among the
neighbours, and two that differ count as the median deviation of the numbers); Han, Wang & Mao, Borderline-SMOTE (ICIC
2005), section 3: only rows that have more neighbours of other classes than of their own, yet not of others alone, are
taken to begin from. Numbers are measured in their deviations, which the paper leaves to its reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.errors import DataError
from assay.synth.block import Block, Ints, stacked
from assay.synth.distance import Distance

#: Neighbours of a row (the paper's k), and those by which the border is told (its m).
NEIGHBOURS, BORDER_NEIGHBOURS = 5, 10
#: Rows of a class that neighbours are looked for among, and rows of all classes by which a border is told.
_MOST_OF_CLASS, _MOST_OF_ALL = 20_000, 50_000


@dataclass(frozen=True)
class _Class:
    """A class that gets new rows.

    rows: its rows, n. neighbours: places of those nearest to each among them, (n, k). begin: places of those that new
        rows begin from, (b,). share: of all new rows.
    """

    rows: Block
    neighbours: Ints
    begin: Ints
    share: float


@dataclass(frozen=True)
class Smote:
    """Rows for the classes that are smaller than the largest."""

    classes: tuple[_Class, ...]
    told: str

    @classmethod
    def fit(
        cls, block: Block, target: Ints, names: tuple[str, ...], rows: int, rng: np.random.Generator,
        *, border: bool = False,
    ) -> Smote:  # fmt: skip
        """Look for the neighbours of the rows of all classes that get new ones.

        Args:
            block: the rows.
            target: their classes, (n,).
            names: of the classes.
            rows: how many rows are to be added.
            rng: of samples of very large classes.
            border: whether only rows at the border of their class are begun from.

        Raises:
            DataError: a class has a single row, or no class is smaller than the largest.
        """
        counts = np.bincount(target, minlength=len(names))
        added = shared_out(counts, rows)
        distance = Distance.of(block)
        distance = Distance(distance.mean, distance.scale, _mismatch(block, counts, target))
        grown = [at for at in np.argsort(-added, kind="stable").tolist() if added[at]]
        found = tuple(
            _class(block, target, at, names[at], float(added[at] / added.sum()), distance, rng, border) for at in grown
        )
        kind = "Borderline-SMOTE" if border else "SMOTE" if not block.codes.shape[1] else "SMOTE-NC"
        told = ", ".join(f"{names[at]!r} +{added[at]:,}" for at in grown[:6]) + (", ..." if len(grown) > 6 else "")
        least = min(each.neighbours.shape[1] for each in found)
        fewer = f", down to {least} in the smallest class" if least < NEIGHBOURS else ""
        return cls(found, f"{kind} with {NEIGHBOURS} neighbours{fewer}: {told}")

    def sample(self, rows: int, rng: np.random.Generator) -> Block:
        """So many new rows in random order, the classes in the shares in which they are to grow."""
        wanted = np.array([each.share for each in self.classes]) * rows
        counts = np.floor(wanted + 1e-9).astype(np.int64)
        counts[np.argsort(counts - wanted, kind="stable")[: rows - int(counts.sum())]] += 1
        made = [_between(each, count, rng) for each, count in zip(self.classes, counts.tolist(), strict=True)]
        return stacked(made).at(rng.permutation(rows))


def shared_out(counts: Ints, rows: int) -> Ints:
    """How many of `rows` each class gets, (K,): the smallest is filled up first, none beyond the largest.

    Raises:
        DataError: the classes have not so much room.
    """
    room = int((counts.max() - counts[counts > 0]).sum())
    if rows > room:
        raise DataError(
            "SMOTE adds rows until all classes are as large as the largest, and no more",
            f"{rows:,} rows are asked for, and the rows that it learns from have room for {room:,}",
            "Ask for fewer rows with -n, or for whole tables with --method copula or tvae.",
        )
    low, high = int(counts[counts > 0].min()), int(counts.max())
    while low < high:  # the highest level to which all classes can be filled
        level = (low + high + 1) // 2
        filled = int(np.maximum(level - counts[counts > 0], 0).sum())
        low, high = (level, high) if filled <= rows else (low, level - 1)
    added = np.where(counts > 0, np.maximum(low - counts, 0), 0)
    left = np.flatnonzero((counts > 0) & (counts + added < counts.max()) & (counts <= low))
    added[left[: rows - int(added.sum())]] += 1
    return np.asarray(added, np.int64)


def _mismatch(block: Block, counts: Ints, target: Ints) -> float:
    """What two different categories add to a squared distance: that of a median deviation of the smallest class.

    In units of all rows, as numbers are; 1 where there are no numbers to compare with.
    """
    small = int(np.where(counts > 1, counts, counts.max()).argmin())
    of_class, of_all = Distance.of(block.at(target == small)), Distance.of(block)
    ratios = np.where(np.isfinite(of_class.scale), of_class.scale, 0.0) / of_all.scale
    median = float(np.median(ratios)) if len(ratios) else 0.0
    return median**2 / 2 if median > 0 else 1.0


def _class(
    block: Block, target: Ints, at: int, name: str, share: float, distance: Distance, rng: np.random.Generator,
    border: bool,
) -> _Class:  # fmt: skip
    places = np.flatnonzero(target == at)
    if len(places) < 2:
        raise DataError(
            "SMOTE needs at least 2 rows of a class among those that it learns from, to go from one to the other",
            f"the class {name!r} has {len(places)}",
            "Give more rows of it, merge it into another class, or take --method copula.",
        )
    if len(places) > _MOST_OF_CLASS:
        places = np.sort(rng.choice(places, _MOST_OF_CLASS, replace=False))
    rows = block.at(places)
    _, neighbours = distance.nearest(rows, rows, min(NEIGHBOURS, len(places) - 1), themselves=True)
    begin = _border(block, target, at, places, distance, rng) if border else np.arange(len(places))
    return _Class(rows, neighbours, begin, share)


def _border(block: Block, target: Ints, at: int, places: Ints, distance: Distance, rng: np.random.Generator) -> Ints:
    """The rows of a class in danger: at least half of their neighbours, but not all, are of other classes.

    All rows of the class where none is.
    """
    others = np.arange(len(block))
    if len(others) > _MOST_OF_ALL:
        others = np.union1d(places, rng.choice(others, _MOST_OF_ALL, replace=False))
    k = min(BORDER_NEIGHBOURS, len(others) - 1)
    _, near = distance.nearest(block.at(places), block.at(others), k + 1)
    neighbours = others[near]
    foreign = (target[neighbours] != at).sum(axis=1)  # a row is its own neighbour, and of its own class
    danger = np.flatnonzero((2 * foreign >= k) & (foreign < k))
    return danger if len(danger) else np.arange(len(places))


def _between(grown: _Class, rows: int, rng: np.random.Generator) -> Block:
    """New rows of a class: numbers on the way from a row to a neighbour, categories by the vote of the neighbours.

    A number that is missing at one end of the way is that of the other end; at the beginning, it stays missing.
    """
    begin = grown.begin[rng.integers(0, len(grown.begin), rows)]
    end = grown.neighbours[begin, rng.integers(0, grown.neighbours.shape[1], rows)]
    first, second = grown.rows.numbers[begin], grown.rows.numbers[end]
    share = rng.random((rows, 1))
    numbers = np.where(np.isnan(second), first, first + share * (second - first))
    codes = np.empty((rows, grown.rows.codes.shape[1]), np.int64)
    for at, column in enumerate(grown.rows.codes.T):
        codes[:, at] = _modes(column[grown.neighbours[begin]])
    return Block(numbers, codes)


def _modes(votes: Ints) -> Ints:
    """The most frequent code of each row of (n, k), the nearest neighbour's among equals."""
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    return np.asarray(np.take_along_axis(votes, agreeing.argmax(axis=1)[:, None], axis=1)[:, 0], np.int64)
