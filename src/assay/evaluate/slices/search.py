"""The search for weak subgroups: which rows, singled out by one or two columns, have higher losses than the rest.

After SliceLine (Sagadeeva & Boehm, SIGMOD 2021): subgroups of a least size, ranked by a score that weighs how much
higher their mean loss is against how few they are. What chance brings is told by permuting the losses among the rows:
a subgroup counts where it stands out more than the most outstanding of all subgroups does in almost every permutation
(the max-statistic of Westfall & Young, Resampling-Based Multiple Testing, 1993, section 2.6).

Letters: n rows, m atoms (conditions on one column), k candidates (atoms and pairs of them), b permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import FEATURE_KINDS, Kind, Schema
from assay.evaluate.slices.conditions import ASPECTS, NUMERIC, Clause, Condition, rounded
from assay.evaluate.slices.row_values import RowValues

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Candidates at most, the largest first, and permutations.
MOST_CANDIDATES, PERMUTATIONS = 3000, 199
#: Subgroups that are kept at most, and the share that two of them may have in common (Jaccard).
_MOST_KEPT, _IN_COMMON = 6, 0.5
#: Weight of the loss against the size in SliceLine's score.
_ALPHA = 0.95
#: How far a pair must stand out among the rows of each of its atoms, in standard errors.
_BEYOND_PARENT = 2.0
#: Categories of a column that are looked at, columns at most, and different numbers up to which each is a group.
_CATEGORIES, _COLUMNS, _DISTINCT = 12, 60, 5
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_DAY, _DAYS = 86_400.0, 20


@dataclass(frozen=True)
class Atom:
    """A condition on one column; `column` is its place."""

    condition: Condition
    column: int


@dataclass(frozen=True)
class Candidate:
    """A subgroup by the places of its atoms: how it stands out, and how often chance lets any stand out as much."""

    atoms: tuple[int, ...]
    rows: int
    excess: float
    z: float
    p_value: float


@dataclass(frozen=True)
class Searched:
    """What a search found, the best first, and how many candidates it looked at."""

    found: tuple[Candidate, ...]
    candidates: int


# Atoms ---------------------------------------------------------------------------------------------------------------


def atoms_of(values: RowValues, schema: Schema) -> list[Atom]:
    """Conditions on one column each: categories, bands of numbers, what is missing."""
    apart = {schema.target, schema.weight, *schema.dropped}
    columns = [column for column in schema.columns if column.kind in FEATURE_KINDS and column.name not in apart]
    found = []
    for place, column in enumerate(columns[:_COLUMNS]):
        for condition in _of_column(values, column.name, column.kind):
            found.append(Atom(condition, place))
    return found


def _of_column(values: RowValues, name: str, kind: Kind) -> list[Condition]:
    missing: list[Condition] = [(Clause(name, "is missing"),)]
    if kind is Kind.CATEGORY:
        counts = values.words(name).drop_nulls().alias("word").value_counts(name="rows")
        common = counts.sort(["rows", "word"], descending=[True, False])["word"].head(_CATEGORIES)
        return [*((Clause(name, "=", word),) for word in common.to_list()), *missing]
    if kind in NUMERIC:
        return [*_bands(values.numbers(name), name, "", is_date=kind is Kind.DATETIME), *missing]
    read = [aspect for aspect, own in ASPECTS.items() if own is kind]
    bands = [band for aspect in read for band in _bands(values.numbers(name, aspect), name, aspect)]
    return [*bands, *missing]


def _bands(cells: Floats, name: str, aspect: str, *, is_date: bool = False) -> list[Condition]:
    """Each number where they are few, else the quarters and the outer tenths."""
    known = cells[np.isfinite(cells)]
    distinct = np.unique(known[:10_000]) if len(known) else known
    if len(distinct) <= _DISTINCT:
        each = np.unique(known)
        if len(each) <= _DISTINCT:
            return [(Clause(name, "=", float(value), aspect),) for value in each]
    edges = [_edge(float(edge), known, is_date=is_date) for edge in np.quantile(known, _QUANTILES)]
    tenth, *quarters, last = edges
    inner = sorted(set(quarters))
    bands: list[Condition] = [(Clause(name, "<", inner[0], aspect),)]
    for low, high in pairwise(inner):
        bands.append((Clause(name, ">=", low, aspect), Clause(name, "<", high, aspect)))
    bands.append((Clause(name, ">=", inner[-1], aspect),))
    return [*bands, (Clause(name, "<", tenth, aspect),), (Clause(name, ">=", last, aspect),)]


def _edge(value: float, known: Floats, *, is_date: bool) -> float:
    """A border that can be written and read again: dates over a long time are cut at midnight."""
    if is_date and np.ptp(known) > _DAYS * _DAY:
        return float(np.floor(value / _DAY) * _DAY)
    return value if is_date else rounded(value)


# Search --------------------------------------------------------------------------------------------------------------


def search(masks: Bools, columns: Sequence[int], losses: Floats, *, smallest: int, level: float, seed: int) -> Searched:
    """The subgroups whose losses are higher than chance would have it among all that were looked at.

    Args:
        masks: which rows meet each atom, (m, n).
        columns: the column of each atom; two of one column make no pair.
        losses: of the rows, at least 0, (n,).
        smallest: rows that a subgroup, and those outside it, have at least.
        level: how often, at most, anything is found where losses have nothing to do with the rows.
        seed: of the permutations.
    """
    rows, spread = len(losses), float(losses.std())
    kept = np.flatnonzero((masks.sum(1) >= smallest) & (masks.sum(1) <= rows - smallest))
    kept = kept[_first_of_equal(masks[kept])]
    if not len(kept) or not spread > 0.0:
        return Searched((), 0)
    singles = masks[kept].astype(np.float32)
    pairs = _pairs(singles, np.asarray(columns)[kept], smallest)
    members = np.concatenate([singles, singles[pairs[:, 0]] * singles[pairs[:, 1]]])
    sizes = members.sum(1, dtype=np.float64)
    centred = (losses - losses.mean()) / spread
    scale = np.sqrt(sizes * (1.0 - sizes / rows) * rows / (rows - 1.0))
    z = members @ centred.astype(np.float32) / scale
    p_values = _p_values(members, scale, centred, z, seed)
    places = [(int(one),) for one in kept] + [(int(kept[a]), int(kept[b])) for a, b in pairs]
    excess = members @ losses / sizes / max(float(losses.mean()), 1e-12) - 1.0
    score = _ALPHA * excess - (1.0 - _ALPHA) * (rows / sizes - 1.0)
    order = [int(at) for at in np.argsort(-score, kind="stable") if p_values[at] <= level and z[at] > 0.0]
    chosen = _different(order, members, losses, len(kept), pairs)
    found = (
        Candidate(places[at], int(sizes[at]), float(excess[at]), float(z[at]), float(p_values[at])) for at in chosen
    )
    return Searched(tuple(found), len(members))


def _first_of_equal(masks: Bools) -> NDArray[np.int64]:
    """Places of atoms that single out other rows than those before them."""
    packed = np.packbits(masks, axis=1)
    return np.sort(np.unique(packed, axis=0, return_index=True)[1]) if len(masks) else np.empty(0, np.int64)


def _pairs(singles: NDArray[np.float32], columns: NDArray[np.int64], smallest: int) -> NDArray[np.int64]:
    """Pairs of atoms of different columns that leave out some rows of each and keep enough, the largest first, (p, 2).

    Sizes alone decide, so that permuted losses are held against the very same candidates.
    """
    joint = singles @ singles.T
    own = np.diag(joint)
    apart = columns[:, None] != columns[None]
    narrower = joint <= np.minimum(own[:, None], own[None]) - smallest / 2
    first, second = np.nonzero(np.triu((joint >= smallest) & apart & narrower, 1))
    order = np.argsort(-joint[first, second], kind="stable")[: max(MOST_CANDIDATES - len(singles), 0)]
    return np.stack([first[order], second[order]], 1)


def _p_values(members: NDArray[np.float32], scale: Floats, centred: Floats, z: Floats, seed: int) -> Floats:
    """How often the most outstanding candidate of a permutation stands out as much as each, (k,)."""
    rng = np.random.default_rng(seed)
    dealt = rng.permuted(np.tile(centred.astype(np.float32), (PERMUTATIONS, 1)), axis=1)
    highest = np.full(PERMUTATIONS, -np.inf)
    for start in range(0, len(members), 500):
        some = slice(start, start + 500)
        highest = np.maximum(highest, (members[some] @ dealt.T / scale[some, None]).max(0))
    beaten = np.searchsorted(np.sort(highest), z - 1e-6, side="left")
    return np.asarray((1 + PERMUTATIONS - beaten) / (1 + PERMUTATIONS), np.float64)


def _different(
    order: Sequence[int], members: NDArray[np.float32], losses: Floats, singles: int, pairs: NDArray[np.int64]
) -> list[int]:
    """The best candidates that are not much the same as a better one; pairs where they are worse than each atom."""
    kept: list[int] = []
    for at in order:
        own = members[at] > 0
        if at >= singles and not all(_is_worse(own, members[atom] > 0, losses) for atom in pairs[at - singles]):
            continue
        others = (members[other] > 0 for other in kept)
        if all((own & other).sum() <= _IN_COMMON * (own | other).sum() for other in others):
            kept.append(at)
        if len(kept) == _MOST_KEPT:
            break
    return kept


def _is_worse(own: Bools, parent: Bools, losses: Floats) -> bool:
    """Whether the rows of a pair have clearly higher losses than the other rows of one of its atoms."""
    inside, outside = losses[own], losses[parent & ~own]
    if len(outside) < 2:
        return True
    error = np.sqrt(inside.var() / len(inside) + outside.var() / len(outside))
    return bool(inside.mean() - outside.mean() > _BEYOND_PARENT * error)
