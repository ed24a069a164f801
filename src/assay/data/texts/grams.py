"""Texts as sparse bags of hashed n-grams: words and pairs of words, and the letters within words.

The same function reads texts for training and for predicting. Whole blocks of texts are hashed at once with NumPy,
and no vocabulary has to travel with a model. NumPy only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Words (runs of letters, digits and marks), and any other sign that is not a blank as a word of its own.
_WORD = re.compile(r"\w+|[^\w\s]", re.UNICODE)
#: Shortest and longest run of letters; a blank stands before and after each word (scikit-learn's `char_wb`).
_SHORTEST, _LONGEST = 2, 5
#: Most different n-grams of a text of either kind: of more, those with the smallest hashes are kept, which is a
#: uniform sample of them (Broder, On the resemblance and containment of documents, 1997).
MOST_GRAMS = 4096
#: Characters of texts that are hashed at once; a longer text is hashed alone.
_CHARACTERS = 1 << 20
_MOST_COUNT = 255
_BLANK, _END = np.uint32(32), np.uint32(0)

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Grams:
    """The bags of some texts.

    packed: bucket + buckets * count of each different n-gram, 0 beyond them, int32 (n, most of any text).
    cut: texts with more different n-grams than are kept.
    """

    packed: NDArray[np.int32]
    cut: int


def hashed_grams(texts: Sequence[str], buckets: int) -> Grams:
    """The n-grams of each text and how often they stand in it.

    Words and pairs of words fall into the first half of the buckets, letters into the second. Texts are first folded
    and brought into one form (Unicode NFKC), so that it does not matter how their letters were encoded.

    Args:
        texts: any texts; an empty one has no n-grams.
        buckets: an even number of at most 2^22; bucket 0 is never used.
    """
    parts, cut = [], 0
    for block in _blocks([normalised(text) for text in texts]):
        rows, found, counts, many = _bags(block, buckets)
        parts.append(_padded(len(block), rows, found + buckets * counts))
        cut += many
    return Grams(joined(parts) if parts else np.zeros((0, 1), np.int32), cut)


def word_hashes(texts: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], Words]]:
    """The row and the hash of every word in the order of the texts, some texts at a time; see `hashed_grams`."""
    first = 0
    for block in _blocks([normalised(text) for text in texts]):
        rows, hashes = _single_words(*_summed(block))
        yield rows + first, hashes
        first += len(block)


def normalised(text: str) -> str:
    """The words of a text, folded and in one Unicode form, with one blank between them."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("\0", " ")))


def joined(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Bags of several blocks of rows under each other."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([_widened(part, width) for part in parts])


def _widened(part: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    return np.pad(part, ((0, 0), (0, width - part.shape[1])))


def _blocks(texts: Sequence[str]) -> list[list[str]]:
    blocks: list[list[str]] = []
    size = 0
    for text in texts:
        if not blocks or size + len(text) > _CHARACTERS:
            blocks.append([])
            size = 0
        blocks[-1].append(text)
        size += len(text) + 3
    return blocks


def _bags(texts: Sequence[str], buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Row, bucket and count of every different n-gram, by rising row, and how many rows had too many."""
    signs, row, sums, back = _summed(texts)
    with np.errstate(over="ignore"):
        words = _word_hashes(signs, row, sums, back)
        letters = _letter_hashes(signs, row, sums, back)
    half = buckets // 2
    found = [_counted(*words, half, 1), _counted(*letters, half, half)]
    cut = np.unique(np.concatenate([kept[3] for kept in found]))
    rows, places, counts = (np.concatenate([kept[part] for kept in found]) for part in range(3))
    order = np.argsort(rows, kind="stable")
    return rows[order], places[order], counts[order], len(cut)


def _summed(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64], Words, Words]:
    """The signs of all texts, the row of each, and the sums from which the hash of any run of signs follows."""
    signs = np.frombuffer("".join(f"\0 {text} " for text in texts).encode("utf-32-le", "replace"), np.uint32)
    row = np.cumsum(signs == _END) - 1
    with np.errstate(over="ignore"):
        power: Words = np.cumprod(np.full(len(signs) + 1, _FACTOR, np.uint64), dtype=np.uint64)
        back: Words = np.cumprod(np.full(len(signs) + 1, _INVERSE, np.uint64), dtype=np.uint64)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(signs.astype(np.uint64) * power[:-1])])
    return signs, row, sums, back


def _word_hashes(
    signs: NDArray[np.uint32], row: NDArray[np.int64], sums: Words, back: Words
) -> tuple[NDArray[np.int64], Words]:
    """The row and the hash of every word and of every two words that follow each other."""
    rows, single = _single_words(signs, row, sums, back)
    pairs = np.flatnonzero(rows[1:] == rows[:-1])
    double = _mixed(single[pairs] * _FACTOR + single[pairs + 1])
    return np.concatenate([rows, rows[pairs]]), np.concatenate([single, double])


def _single_words(
    signs: NDArray[np.uint32], row: NDArray[np.int64], sums: Words, back: Words
) -> tuple[NDArray[np.int64], Words]:
    """The row and the hash of every word, in the order of the signs."""
    inside = (signs != _BLANK) & (signs != _END)
    edges = np.diff(np.concatenate([[0], inside.view(np.int8), [0]]))
    start, stop = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return row[start], _mixed((sums[stop] - sums[start]) * back[start])


def _letter_hashes(
    signs: NDArray[np.uint32], row: NDArray[np.int64], sums: Words, back: Words
) -> tuple[NDArray[np.int64], Words]:
    """The row and the hash of every run of letters within a word, the blanks around it among them."""
    blanks = np.concatenate([[0], np.cumsum(signs == _BLANK)])
    ends = np.concatenate([[0], np.cumsum(signs == _END)])
    rows, hashes = [], []
    for size in range(_SHORTEST, _LONGEST + 1):
        start = np.arange(max(len(signs) - size + 1, 0))
        whole = ends[start + size] == ends[start]
        # Between the first and the last sign no blank may stand, and of two signs one must be no blank.
        whole &= blanks[start + size - 1] == blanks[start + 1]
        whole &= blanks[start + size] - blanks[start] < size
        start = start[whole]
        rows.append(row[start])
        hashes.append(_mixed((sums[start + size] - sums[start]) * back[start] + np.uint64(size)))
    return np.concatenate(rows), np.concatenate(hashes)


def _mixed(hashes: Words) -> Words:
    """Every bit of the answer depends on every bit (Steele et al., Fast splittable generators, 2014: splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _counted(
    rows: NDArray[np.int64], hashes: Words, half: int, first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, bucket and count of the different n-grams, and the rows that had more than are kept."""
    places = (hashes % np.uint64(half - 1)).astype(np.int64) + first
    keys, counts = np.unique(rows * (2 * half) + places, return_counts=True)
    rows, places = keys // (2 * half), keys % (2 * half)
    within = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = within < MOST_GRAMS
    if not kept.all():
        kept = _sampled(rows, places)
    return rows[kept], places[kept], np.minimum(counts[kept], _MOST_COUNT), np.unique(rows[~kept])


def _sampled(rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The `MOST_GRAMS` of each row whose buckets, mixed once more, come first."""
    with np.errstate(over="ignore"):
        order = np.lexsort([_mixed(places.astype(np.uint64) + _FACTOR), rows])
    ranked = rows[order]
    kept = np.zeros(len(rows), np.bool_)
    kept[order] = np.arange(len(rows)) - np.searchsorted(ranked, ranked) < MOST_GRAMS
    return kept


def _padded(count: int, rows: NDArray[np.int64], packed: NDArray[np.int64]) -> NDArray[np.int32]:
    sizes = np.bincount(rows, minlength=count)
    made = np.zeros((count, int(sizes.max(initial=1))), np.int32)
    made[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = packed
    return made
