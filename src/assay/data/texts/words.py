"""Texts as sequences of hashed words, as networks that read words in their order take them.

The same function reads texts for training and for predicting, and no vocabulary travels with a model: a word is the
bucket of its hash. The first ids are kept for what is no word. NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.texts.grams import word_hashes

#: Ids that are no words: none, a word that is hidden or not known, and the border between two columns.
PADDING, MASK, BORDER = 0, 1, 2
#: Signs that end a sentence have ids of their own, from `FIRST_END` on; words come from `FIRST_WORD` on.
ENDS, FIRST_END, FIRST_WORD = ".!?\u3002\u061f\u0964", 3, 16
#: Buckets of words: of 10,000 different words four in a hundred share theirs.
BUCKETS = 1 << 18


@dataclass(frozen=True)
class WordIds:
    """The words of some rows.

    ids: of each word, 0 beyond the last, int32 (n, most words of any row).
    cut: rows with more words than are read.
    """

    ids: NDArray[np.int32]
    cut: int


def word_ids(texts: Sequence[Sequence[str]], most: int, buckets: int = BUCKETS) -> WordIds:
    """The words of each row's texts, one column after another with a border between them.

    Words are folded and in one Unicode form, and signs count as words; see `grams.normalised`.

    Args:
        texts: of each column, all of one length; an empty text has no words.
        most: words of a text that are read at most.
        buckets: words fall into those from `FIRST_WORD` on.
    """
    count = len(texts[0])
    rows, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    is_cut = np.zeros(count, np.bool_)
    for place, column in enumerate(texts):
        if place:
            rows.append(np.arange(count))
            ids.append(np.full(count, BORDER))
        row, hashed = _hashed(column, buckets)
        within = np.arange(len(row)) - np.searchsorted(row, row)
        is_cut[row[within >= most]] = True
        rows.append(row[within < most])
        ids.append(hashed[within < most])
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return WordIds(_padded(count, row[order], np.concatenate(ids)[order]), int(is_cut.sum()))


def words_a_row(ids: NDArray[np.int32]) -> float:
    """How many words a row of ids (n, l) has on average."""
    return float((ids != PADDING).sum(1).mean()) if len(ids) else 0.0


def ids_of(words: Sequence[str], buckets: int = BUCKETS) -> NDArray[np.int64]:
    """The id of each of these words, 0 of what is not one word."""
    row, hashed = _hashed(words, buckets)
    found = np.zeros(len(words), np.int64)
    found[row] = hashed
    found[np.bincount(row, minlength=len(words)) != 1] = PADDING
    return found


def substitutes(found: Mapping[str, Sequence[str]]) -> NDArray[np.int32]:
    """A table of words to take the place of others: of each bucket the ids of these, 0 after the last, (BUCKETS, k)."""
    table = np.zeros((BUCKETS, max(map(len, found.values()), default=1)), np.int32)
    rows = np.repeat(ids_of(list(found)), [len(others) for others in found.values()])
    columns = np.array([place for others in found.values() for place in range(len(others))], np.int64)
    table[rows, columns] = ids_of([other for others in found.values() for other in others])
    table[PADDING] = PADDING
    return np.take_along_axis(table, (table == PADDING).argsort(1, kind="stable"), 1)


def _hashed(texts: Sequence[str], buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row and the id of every word."""
    blocks = list(word_hashes(texts))
    if not blocks:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, hashes = (np.concatenate(part) for part in zip(*blocks, strict=True))
    ids = (hashes % np.uint64(buckets - FIRST_WORD)).astype(np.int64) + FIRST_WORD
    for place, end in enumerate(_ENDS):
        ids[hashes == end] = FIRST_END + place
    return rows, ids


def _padded(count: int, rows: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int32]:
    sizes = np.bincount(rows, minlength=count)
    made = np.full((count, max(int(sizes.max(initial=1)), 1)), PADDING, np.int32)
    made[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = ids
    return made


def joined(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """The words of several blocks of rows under each other."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


_ENDS = np.concatenate([hashes for _, hashes in word_hashes(list(ENDS))])
