"""Dealing rows to parts: whole units at random within strata, or in time. Arrays in, arrays out.

A unit is a set of rows that must stay together (one group, equal rows), given as dense ids, one a row.
"""

from __future__ import annotations

import numpy as np

from assay.errors import DataError

#: Strata of a regression target: its deciles.
TARGET_BINS = 10
#: Random cuts tried when groups mix classes, the best balanced one is kept; fewer above `MANY_UNITS` units, where
#: chance alone balances well.
DRAWS, DRAWS_OF_MANY, MANY_UNITS = 40, 4, 20_000


def connected(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense ids of the components that two partitions of the same rows (dense ids, shape (n,)) form together.

    Labels spread by minimum with pointer jumping (Shiloach & Vishkin, J. Algorithms 1982), so chains end in few rounds.
    """
    label = np.arange(first.max(initial=-1) + 1)
    while True:
        lowest = np.full(second.max(initial=-1) + 1, len(label))
        np.minimum.at(lowest, second, label[first])
        spread = label.copy()
        np.minimum.at(spread, first, lowest[second])
        spread = spread[spread]
        if np.array_equal(spread, label):
            return np.unique(label[first], return_inverse=True)[1]
        label = spread


def rows_kept_together(units: np.ndarray) -> int:
    """How many rows share their unit with another row."""
    sizes = np.bincount(units)
    return int(sizes[sizes > 1].sum())


def cut_at_random(units: np.ndarray, strata: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The part of every row when whole units are dealt at random within strata.

    Args:
        units: dense unit ids of the rows, shape (n,).
        strata: the stratum of each unit, shape (units,).
        shares: share of each part, summing to 1, shape (parts,).
        rng: the only source of chance.

    Returns:
        Part positions, int64, shape (n,).
    """
    sizes = np.bincount(units)
    # Strata are few; NumPy sorts numbers of 16 bits many times faster than longer ones.
    order = np.argsort(strata.astype(np.uint16) if strata.max(initial=0) < 1 << 16 else strata, kind="stable")
    borders = np.flatnonzero(np.diff(strata[order])) + 1
    part_of = np.empty(len(sizes), dtype=np.int64)
    for members in np.split(order, borders):
        part_of[members] = _deal(sizes[members], shares, rng)
    return np.asarray(part_of[units])


def _deal(sizes: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts of one stratum's units: large units by where they lie on a shuffled line, single rows fill the rest."""
    order = rng.permutation(len(sizes))
    large, single = order[sizes[order] > 1], order[sizes[order] == 1]
    part_of = np.zeros(len(sizes), dtype=np.int64)
    if len(large):
        ends = np.cumsum(sizes[large])
        middles = (ends - sizes[large] / 2.0) / ends[-1]
        part_of[large] = np.searchsorted(np.cumsum(shares)[:-1], middles, side="right")
    quota = largest_remainder(int(sizes.sum()), shares)
    short = np.maximum(quota - np.bincount(part_of[large], weights=sizes[large], minlength=len(shares)), 0.0)
    if len(single):
        counts = largest_remainder(len(single), short / short.sum(), at_least=0)
        part_of[single] = np.repeat(np.arange(len(shares)), counts)
    return fill_empty(part_of, sizes, len(shares))


def fill_empty(part_of: np.ndarray, sizes: np.ndarray, parts: int) -> np.ndarray:
    """Give each part at least one unit where there are enough: the smallest of the part that has most units."""
    if len(part_of) < parts:
        return part_of
    for part in range(parts):
        counts = np.bincount(part_of, minlength=parts)
        if counts[part] == 0:
            donors = np.flatnonzero(part_of == counts.argmax())
            part_of[donors[sizes[donors].argmin()]] = part
    return part_of


def largest_remainder(total: int, shares: np.ndarray, at_least: int = 1) -> np.ndarray:
    """Whole numbers that sum to `total` and lie within one of `total * shares` (Hamilton's method).

    No part gets fewer than `at_least` as long as `total` allows it; the largest part gives.
    """
    exact = total * shares
    counts = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[rest] += 1
    if total >= at_least * len(shares):
        while counts.min() < at_least:
            counts[counts.argmin()] += 1
            counts[counts.argmax()] -= 1
    return counts


def cut_in_time(units: np.ndarray, times: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The part of every row when units are ordered by their last time, oldest first; equal times stay together.

    Args:
        units: dense unit ids of the rows, shape (n,).
        times: a number for each row that grows with time, shape (n,).
        shares: share of each part in the order of time, shape (parts,).

    Returns:
        Part positions, int64, shape (n,).

    Raises:
        DataError: fewer different times than parts.
    """
    last = np.full(units.max() + 1, -np.inf)
    np.maximum.at(last, units, times)
    moments, moment_of = np.unique(last, return_inverse=True)
    if len(moments) < len(shares):
        raise DataError(
            f"a cut in time needs at least {len(shares)} different times",
            f"there are {len(moments)}",
            "Choose a finer time column, or leave --time out.",
        )
    rows_until = np.cumsum(np.bincount(moment_of[units]))
    wanted = np.cumsum(largest_remainder(len(units), shares))[:-1]
    firsts: list[int] = []
    for i, rows in enumerate(wanted):
        low, high = (firsts[-1] if firsts else 0) + 1, len(moments) - (len(wanted) - i) + 1
        nearest_border = int(np.abs(rows_until[low - 1 : high - 1] - rows).argmin())
        firsts.append(low + nearest_border)
    part_of = np.searchsorted(np.array(firsts, dtype=np.int64), moment_of, side="right")
    return np.asarray(part_of[units])


def target_bins(target: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The decile of each unit's mean target, shape (units,); fewer bins for few units."""
    sizes = np.bincount(units)
    means = np.bincount(units, weights=target) / sizes
    bins = max(1, min(TARGET_BINS, len(sizes) // TARGET_BINS))
    edges = np.quantile(means, np.arange(1, bins) / bins)
    return np.searchsorted(edges, means, side="right").astype(np.int64)


def rarest_class(target: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, bool]:
    """The class of each unit - of its classes the rarest in the table - and whether any unit mixes classes."""
    rank = np.argsort(np.argsort(np.bincount(target), kind="stable"), kind="stable")[target]
    lowest = np.full(units.max() + 1, rank.max())
    np.minimum.at(lowest, units, rank)
    return lowest, bool((lowest[units] != rank).any())


def pool_small(strata: np.ndarray, parts: int) -> np.ndarray:
    """Strata with fewer units than parts are joined to one; if that is still too small, all are one stratum."""
    codes, counts = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    small = counts[codes] < parts
    if 0 < small.sum() < parts:
        return np.zeros_like(codes)
    return np.asarray(np.where(small, len(counts), codes))


def imbalance(part_of: np.ndarray, target: np.ndarray, shares: np.ndarray) -> float:
    """Largest difference of class share between a part and the whole, plus size errors, plus one per absent class."""
    classes = int(target.max()) + 1
    table = np.bincount(part_of * classes + target, minlength=len(shares) * classes).reshape(len(shares), classes)
    overall = np.bincount(target, minlength=classes)
    rows = table.sum(axis=1)
    differences = np.abs(table / np.maximum(rows, 1)[:, None] - overall / len(target)).max()
    sizes = np.abs(rows / len(target) - shares).max()
    return float(differences + sizes + ((table == 0) & (overall > 0)).sum())
