"""Texts that are nearly copies of each other, found without comparing all pairs.

A text is the set of its runs of three words (Broder, On the resemblance and containment of documents, 1997). The least
hash of a set under a permutation is the same for two sets with the probability of their Jaccard similarity; texts that
agree in all hashes of a band are looked at exactly (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 2014,
3.4). NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.data.texts.grams import Words, word_hashes

#: Words of a run.
SHINGLE = 3
#: Of two texts of similarity 0.8, 0.8^5 agree in all five hashes of a band, and 99 of 100 pairs in one band of twelve.
BANDS, ROWS = 12, 5
#: Texts with fewer different runs are alike by chance.
FEWEST = 4

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def shingles(texts: Sequence[str]) -> tuple[NDArray[np.int64], Words]:
    """The row and the hash of every different run of three words, by rising row and hash."""
    rows, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for row, words in word_hashes(texts):
        if len(words) < SHINGLE:
            continue
        summed: Words = (words[:-2] * _FACTOR + words[1:-1]) * _FACTOR + words[2:]
        runs: Words = summed ^ (summed >> np.uint64(29))
        within = row[2:] == row[:-2]
        own, runs = row[2:][within], runs[within]
        own, runs = different(own, runs)
        rows.append(own)
        hashes.append(runs)
    return np.concatenate(rows), np.concatenate(hashes)


def different(rows: NDArray[np.int64], hashes: Words) -> tuple[NDArray[np.int64], Words]:
    """The different hashes of each row, by rising row and hash."""
    order = np.lexsort([hashes, rows])
    rows, hashes = rows[order], hashes[order]
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])
    return rows[is_new], hashes[is_new]


def signatures(rows: NDArray[np.int64], hashes: Words) -> tuple[NDArray[np.int64], Words]:
    """The rows that have runs, (k,), and the least hash of each under every permutation, (k, BANDS * ROWS).

    rows, hashes: see `shingles`. A permutation of 64-bit numbers is a product with an odd number.
    """
    drawn = np.random.default_rng(0).integers(1 << 63, size=BANDS * ROWS, dtype=np.uint64)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    if not len(starts):
        return np.empty(0, np.int64), np.empty((0, BANDS * ROWS), np.uint64)
    least = [np.minimum.reduceat(hashes * (factor | np.uint64(1)), starts) for factor in drawn]
    return rows[starts], np.stack(least, 1)


def near_pairs(texts: Sequence[str], similarity: float = 0.8) -> NDArray[np.int64]:
    """Pairs of texts whose sets of runs have at least this Jaccard similarity, (p, 2), the earlier text first.

    Of many that are alike, each is paired with the earliest in a band, not with all others.
    """
    rows, hashes = shingles(texts)
    sizes = np.bincount(rows, minlength=len(texts))
    large = sizes[rows] >= FEWEST
    rows, hashes = rows[large], hashes[large]
    named, least = signatures(rows, hashes)
    pairs = [np.empty((0, 2), np.int64)]
    for band in range(BANDS):
        part = least[:, band * ROWS : (band + 1) * ROWS]
        keys = np.zeros(len(part), np.uint64)
        for column in part.T:
            keys = (keys ^ column) * _FACTOR
            keys ^= keys >> np.uint64(32)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        first = np.searchsorted(ordered, ordered)
        later = first < np.arange(len(order))
        pairs.append(np.stack([named[order[first[later]]], named[order[later]]], 1))
    found = np.unique(np.concatenate(pairs), axis=0)
    return found[jaccard(rows, hashes, found) >= similarity]


def jaccard(rows: NDArray[np.int64], hashes: Words, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The similarity of each pair of rows, (p,): runs of both over runs of either."""
    first, last = np.searchsorted(rows, pairs), np.searchsorted(rows, pairs, "right")
    found = np.zeros(len(pairs))
    for place, ((a, b), (a_end, b_end)) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        both = len(np.intersect1d(hashes[a:a_end], hashes[b:b_end], assume_unique=True))
        found[place] = both / max(a_end - a + b_end - b - both, 1)
    return found
