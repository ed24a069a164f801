"""Whether synthetic columns, and pairs of them, are distributed as the real ones."""

from __future__ import annotations

import numpy as np

from assay._imports import require
from assay.synth.block import Block, Floats, Ints, Layout
from assay.synth.codec import Codec
from assay.synth.record import ColumnFidelity, PairFidelity

#: Columns of the heat map, and of the pairs that are looked at.
MOST_SHOWN, MOST_PAIRED = 24, 60
_WORST = 3
#: Categories of a column that pairs are told by: the rest is one.
_CATEGORIES = 50


def column_fidelity(real: Block, synthetic: Block, held_back: Block, codec: Codec) -> tuple[ColumnFidelity, ...]:
    """One entry a column in the order of the table; ids are left out."""
    found: dict[str, ColumnFidelity] = {}
    for at, name in enumerate(codec.layout.numbers):
        a, b, c = (block.numbers[:, at] for block in (real, synthetic, held_back))
        found[name] = ColumnFidelity(
            name=name, kind=codec.shown[name].kind, measure="KS",
            distance=kolmogorov_smirnov(a, b), held_back=kolmogorov_smirnov(a, c),
            missing_real=float(np.isnan(a).mean()), missing_synthetic=float(np.isnan(b).mean()),
        )  # fmt: skip
    for at, (name, form) in enumerate(codec.coded.items()):
        size = len(form.cells)
        sides = (real, synthetic, held_back)
        a, b, c = (np.bincount(block.codes[:, at], minlength=size + 1) / len(block) for block in sides)
        found[name] = ColumnFidelity(
            name=name, kind=codec.shown[name].kind, measure="TV", distance=total_variation(a, b),
            held_back=total_variation(a, c), missing_real=float(a[:size][form.missing].sum()),
            missing_synthetic=float(b[:size][form.missing].sum()),
        )  # fmt: skip
    return tuple(found[name] for name in codec.shown if name in found)


def kolmogorov_smirnov(first: Floats, second: Floats) -> float:
    """The largest distance of two empirical distribution functions, missing values left out; 1 where one has none."""
    first, second = np.sort(first[~np.isnan(first)]), np.sort(second[~np.isnan(second)])
    if not len(first) or not len(second):
        return float(len(first) != len(second))
    values = np.concatenate([first, second])
    below = [np.searchsorted(one, values, side="right") / len(one) for one in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def total_variation(first: Floats, second: Floats) -> float:
    """Half the sum of the differences of two distributions, (K,) each."""
    return float(np.abs(first - second).sum() / 2)


def pair_fidelity(real: Block, synthetic: Block, held_back: Block, codec: Codec) -> PairFidelity:
    """The associations of all pairs of columns, of the first `MOST_PAIRED` columns of a wide table."""
    order = {name: at for at, name in enumerate(codec.shown)}
    names = sorted([*codec.layout.numbers, *codec.layout.codes], key=order.__getitem__)[:MOST_PAIRED]
    if len(names) < 2:
        return PairFidelity()
    tables = [associations(block, codec.layout, names) for block in (real, synthetic, held_back)]
    upper = np.triu_indices(len(names), 1)
    change = tables[1] - tables[0]
    worst = np.argsort(-np.abs(change[upper]), kind="stable")[:_WORST]
    told = [
        f"{names[i]} and {names[j]}: {tables[0][i, j]:.2f}, synthetic {tables[1][i, j]:.2f}"
        for i, j in zip(upper[0][worst].tolist(), upper[1][worst].tolist(), strict=True)
    ]
    shown = min(len(names), MOST_SHOWN)
    return PairFidelity(
        names=tuple(names[:shown]),
        differences=tuple(tuple(round(value, 4) for value in row[:shown]) for row in change[:shown].tolist()),
        mean_difference=float(np.abs(change[upper]).mean()),
        held_back=float(np.abs(tables[2] - tables[0])[upper].mean()),
        pairs=len(upper[0]),
        worst=tuple(told),
    )


def associations(block: Block, layout: Layout, names: list[str]) -> Floats:
    """How far columns hang together, from 0 to 1, (p, p) in the order of `names`."""
    ranks = {name: _ranks(block.numbers[:, at]) for at, name in enumerate(layout.numbers) if name in names}
    codes = {name: np.minimum(block.codes[:, at], _CATEGORIES) for at, name in enumerate(layout.codes) if name in names}
    table = np.eye(len(names))
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            second = names[j]
            if first in ranks and second in ranks:
                value = _correlation(ranks[first], ranks[second])
            elif first in codes and second in codes:
                value = cramers_v(codes[first], codes[second])
            else:
                number, category = (first, second) if first in ranks else (second, first)
                value = correlation_ratio(ranks[number], codes[category])
            table[i, j] = table[j, i] = value
    return table


def _ranks(values: Floats) -> Floats:
    """Midranks, NaN where missing, (n,)."""
    found = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    found[known] = require("scipy.stats", "rank correlations").rankdata(values[known])
    return found


def _correlation(first: Floats, second: Floats) -> float:
    both = ~(np.isnan(first) | np.isnan(second))
    a, b = first[both], second[both]
    if len(a) < 2 or not a.std() or not b.std():
        return 0.0
    return min(1.0, abs(float(np.corrcoef(a, b)[0, 1])))


def correlation_ratio(values: Floats, codes: Ints) -> float:
    """The root of the share of a number's variance that lies between categories; rows without a number are left out."""
    known = ~np.isnan(values)
    values, codes = values[known], codes[known]
    if len(values) < 2 or not values.std():
        return 0.0
    count = np.bincount(codes)
    mean = np.bincount(codes, values) / np.maximum(count, 1)
    between = (count * (mean - values.mean()) ** 2).sum()
    return float(np.sqrt(min(1.0, between / ((values - values.mean()) ** 2).sum())))


def cramers_v(first: Ints, second: Ints) -> float:
    """Cramer's V of two categories (1946), without a correction for bias."""
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first, second), 1.0)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    square = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(min(1.0, square / (table.sum() * (min(table.shape) - 1)))))
