"""Dealing rows with any number of labels to parts, so that each label has its share of every part."""

from __future__ import annotations

import numpy as np

from assay.data.split.deal import fill_empty, largest_remainder

#: Units that are dealt one by one at most; the rest have common labels only, which chance balances well.
ONE_BY_ONE = 100_000


def set_codes(target: np.ndarray) -> np.ndarray:
    """A number for each different set of labels (n, labels), int64 (n,), -1 where the target is missing."""
    if not len(target):
        return np.empty(0, np.int64)
    codes = np.unique(target, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return np.where(target[:, 0] < 0, -1, codes)


def cut_by_labels(units: np.ndarray, target: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The part of every row when whole units are dealt so that each label has its share of every part.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas, ECML PKDD 2011, algorithm 1): the label with the fewest
    rows left is dealt first, each of its units to the part that still wants most rows of it, of equal ones to the part
    with most room, then by chance. What a part wants is a whole number, at least one of a label with rows enough.

    Args:
        units: dense unit ids of the rows, shape (n,).
        target: 0 and 1, shape (n, labels).
        shares: share of each part, summing to 1, shape (parts,).
        rng: the only source of chance.

    Returns:
        Part positions, int64, shape (n,).
    """
    sizes = np.bincount(units)
    order = np.argsort(units, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    labels = np.add.reduceat(target[order].astype(np.int64), firsts, axis=0)
    wanted = np.stack([largest_remainder(int(count), shares) for count in labels.sum(axis=0)], axis=1).astype(float)
    room = largest_remainder(len(units), shares).astype(np.float64)
    part_of = np.full(len(sizes), -1)
    _deal_labels(part_of, labels, sizes, wanted, room, rng)
    _deal_rest(part_of, sizes, room, rng)
    return np.asarray(fill_empty(part_of, sizes, len(shares))[units])


def _deal_labels(
    part_of: np.ndarray,
    labels: np.ndarray,
    sizes: np.ndarray,
    wanted: np.ndarray,
    room: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Deal the units that have a label, the rarest label first; `part_of`, `wanted` and `room` change in place."""
    left, dealt = labels.sum(axis=0), 0
    while left.any() and dealt < ONE_BY_ONE:
        label = int(np.where(left > 0, left, left.max() + 1).argmin())
        own = rng.permutation(np.flatnonzero((labels[:, label] > 0) & (part_of < 0)))
        own = own[np.argsort(-labels[own, label], kind="stable")]  # what is large is placed while there is room
        for unit in own.tolist():
            place = _hungriest(wanted[:, label], room, rng)
            part_of[unit] = place
            wanted[place] -= labels[unit]
            room[place] -= sizes[unit]
        left -= labels[own].sum(axis=0)
        dealt += len(own)


def _hungriest(wanted: np.ndarray, room: np.ndarray, rng: np.random.Generator) -> int:
    best = np.flatnonzero(wanted == wanted.max())
    if len(best) > 1:
        best = best[room[best] == room[best].max()]
    return int(best[0] if len(best) == 1 else rng.choice(best))


def _deal_rest(part_of: np.ndarray, sizes: np.ndarray, room: np.ndarray, rng: np.random.Generator) -> None:
    """Units without a label, and those that are left, to where there is room."""
    rest = rng.permutation(np.flatnonzero(part_of < 0))
    for unit in rest[sizes[rest] > 1].tolist():
        part_of[unit] = int(room.argmax())
        room[part_of[unit]] -= sizes[unit]
    single = rest[sizes[rest] == 1]
    if len(single):
        open_room = np.maximum(room, 0.0)
        counts = largest_remainder(len(single), open_room / open_room.sum(), at_least=0)
        part_of[single] = np.repeat(np.arange(len(room)), counts)
