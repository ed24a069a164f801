"""The rates of groups with their intervals, the largest gaps between them, and what chance alone would give.

The interval of a gap holds for all pairs of groups at once: the largest of several differences is flattered by being
chosen. It is the studentised maximum of the bootstrap's deviations (Romano & Wolf, Econometrica 2005), and since the
largest difference moves by no more than the differences do, it covers it at least as often as it says.

What chance would give is a permutation test: the names of the groups are dealt out anew among the rows that a rate is
of (for the TPR the positive rows), so that groups keep their sizes. Of shares the permutations' distribution is the
multivariate hypergeometric, from which is drawn without permuting any rows; means take its normal limit (Hajek 1960).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from assay.evaluate.fair.groups import Grouping
from assay.evaluate.fair.measures import Compared, Measured
from assay.evaluate.fair.record import Gap, Share
from assay.evaluate.intervals import quantile, wilson
from assay.evaluate.metrics import Floats, Ints

#: A rate of a part of the rows, such as the TPR, needs so much less of them than a group does.
PART_OF_LEAST = 3
#: Permutations: as many as this makes of groups times permutations, within limits.
_NULL_WORK, _MOST_NULL, _FEWEST_NULL = 100_000, 5_000, 2_000
#: Rows times bootstrap samples of weighted rows, or of rows that belong together: in all, and at once.
_WORK, _FEWEST, _BLOCK = 1e7, 100, 1e6
#: Agresti & Coull (The American Statistician 1998): shares of 0 and 1 are not certain.
_ADDED = 4.0


@dataclass(frozen=True)
class Weighing:
    """How rows count: their weights, (n,), and which belong together, (n,); None for alike and for alone."""

    weight: Floats | None = None
    clusters: Ints | None = None

    @property
    def is_plain(self) -> bool:
        """Whether every row counts once and stands alone."""
        return self.weight is None and self.clusters is None

    @property
    def method(self) -> str:
        """How intervals and chance are found, in words."""
        if self.is_plain:
            return (
                "Wilson intervals of shares, normal ones of means; of gaps, a bootstrap stratified by group that holds "
                "for all pairs at once; chance by permuting the groups of rows"
            )
        drawn = "rows" if self.clusters is None else "rows that belong together as one"
        return f"a bootstrap that draws {drawn}, for all pairs of groups at once; chance by its standard errors"


@dataclass(frozen=True)
class Counted:
    """A measure by group.

    means: (G,), NaN without rows. rows: that count for it, (G,). errors: standard errors, (G,). centres, deviations:
    what replicates lie around, (G,), and how far off, (b, G).
    """

    measured: Measured
    means: Floats
    rows: Ints
    errors: Floats
    centres: Floats
    deviations: Floats


def count(
    measures: Sequence[Measured], grouping: Grouping, weighing: Weighing, *, samples: int, rng: np.random.Generator
) -> dict[str, Counted]:
    """Every measure of every group, by id, with replicates of a bootstrap."""
    if not weighing.is_plain:
        return _resampled(measures, grouping, weighing, samples, rng)
    return {measured.told.id: _stratified(measured, grouping, samples, rng) for measured in measures}


def _stratified(measured: Measured, grouping: Grouping, samples: int, rng: np.random.Generator) -> Counted:
    """Of rows that count alike: a share's replicates are binomial, a mean's are normal."""
    codes, values, groups = grouping.codes[measured.among], measured.values[measured.among], len(grouping.names)
    rows = np.bincount(codes, minlength=groups)
    sums = np.bincount(codes, weights=values, minlength=groups).astype(np.float64)
    means = _over(sums, rows)
    if measured.told.is_share:
        centres = (sums + _ADDED / 2) / (rows + _ADDED)
        errors = np.sqrt(centres * (1 - centres) / np.maximum(rows, 1))
        drawn = rng.binomial(rows, centres, (samples, groups)) / np.maximum(rows, 1)
        return Counted(measured, means, rows, errors, centres, drawn - centres)
    squares = np.bincount(codes, weights=(values - means[codes]) ** 2, minlength=groups)
    errors = np.sqrt(squares / np.maximum(rows - 1, 1) / np.maximum(rows, 1))
    return Counted(measured, means, rows, errors, means, rng.normal(size=(samples, groups)) * errors)


def _over(above: Floats, below: Floats | Ints) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0), np.float64)


def _resampled(
    measures: Sequence[Measured], grouping: Grouping, weighing: Weighing, samples: int, rng: np.random.Generator
) -> dict[str, Counted]:
    """Of rows that weigh differently or belong together: a Bayesian bootstrap (Rubin 1981) of what stands alone.

    Its weights are above zero, so that no group is without rows in a replicate.
    """
    order = np.argsort(grouping.codes, kind="stable")
    rows, groups = len(order), len(grouping.names)
    weight = (np.ones(rows) if weighing.weight is None else weighing.weight)[order]
    units = (np.arange(rows) if weighing.clusters is None else weighing.clusters)[order]
    among = np.stack([measured.among[order] for measured in measures], axis=1)
    values = np.stack([measured.values[order] for measured in measures], axis=1)
    sums = np.concatenate([np.where(among, values, 0.0), among], axis=1) * weight[:, None]
    ends = np.searchsorted(grouping.codes[order], np.arange(groups + 1))
    parts = [slice(first, last) for first, last in pairwise(ends)]
    taken = int(np.clip(_WORK / max(rows, 1), min(_FEWEST, samples), samples))
    drawn = np.empty((taken, groups, sums.shape[1]))
    block = max(1, int(_BLOCK / max(rows, 1)))
    for first in range(0, taken, block):
        times = rng.standard_exponential((min(block, taken - first), int(units.max(initial=-1)) + 1))[:, units]
        for group, part in enumerate(parts):
            drawn[first : first + block, group] = times[:, part] @ sums[part]
    whole = np.stack([sums[part].sum(axis=0) for part in parts])
    alike = np.stack([(among[part] * weight[part, None] ** 2).sum(axis=0) for part in parts])
    count_of = np.stack([among[part].sum(axis=0) for part in parts])
    found = {}
    for at, measured in enumerate(measures):
        means, below = _over(whole[:, at], whole[:, at + len(measures)]), whole[:, at + len(measures)]
        replicates = np.divide(
            drawn[:, :, at], drawn[:, :, at + len(measures)], out=np.tile(means, (taken, 1)),
            where=drawn[:, :, at + len(measures)] > 0,
        )  # fmt: skip
        equal = np.divide(below**2, alike[:, at], out=np.zeros(groups), where=alike[:, at] > 0)
        found[measured.told.id] = _spread(measured, means, count_of[:, at], equal, replicates, rng)
    return found


def _spread(
    measured: Measured, means: Floats, rows: Ints, equal: Floats, drawn: Floats, rng: np.random.Generator
) -> Counted:
    """Errors from replicates (b, G); `equal` rows of one weight are worth as much as those of each group."""
    errors = drawn.std(axis=0, ddof=1)
    deviations = drawn - means
    if measured.told.is_share:
        # Without an exception in a group nothing varies there, yet as many as no row shows are possible.
        certain = (errors < 1e-12) & (equal > 0)
        centres = (equal * np.nan_to_num(means) + _ADDED / 2) / (equal + _ADDED)
        least = np.sqrt(centres * (1 - centres) / np.maximum(equal, 1e-300))
        deviations[:, certain] = rng.normal(size=(len(drawn), int(certain.sum()))) * least[certain]
        errors = np.where(certain, least, errors)
    return Counted(measured, means, rows, errors, means, deviations)


def share_of(counted: Counted, group: int, weighing: Weighing, confidence: float) -> Share:
    """The measure of one group with its interval: Wilson's for shares, of as many rows as weights leave of them."""
    rows, mean, error = int(counted.rows[group]), float(counted.means[group]), float(counted.errors[group])
    if not rows or np.isnan(mean):
        return Share(value=None, rows=rows)
    if not counted.measured.told.is_share:
        half = quantile(confidence) * error
        return (
            Share(value=mean, low=mean - half, high=mean + half, rows=rows) if rows > 1 else Share(value=mean, rows=1)
        )
    alike = float(rows)
    if not weighing.is_plain and error > 0:
        # The rows that would give this error if they stood alone and weighed the same.
        centre = (rows * mean + _ADDED / 2) / (rows + _ADDED)
        alike = min(alike, centre * (1 - centre) / error**2)
    low, high = wilson(mean, alike, confidence)
    return Share(value=mean, low=low, high=high, rows=rows)


# Gaps -----------------------------------------------------------------------------------------------------------------


def gap_of(
    compared: Compared, counts: Mapping[str, Counted], grouping: Grouping, big: Sequence[int], weighing: Weighing,
    *, least: int, confidence: float, rng: np.random.Generator,
) -> Gap | None:  # fmt: skip
    """The largest gap over the measures compared, or None where fewer than two groups have rows enough.

    Args:
        compared: which measures.
        counts: those, by id.
        grouping: names the groups.
        big: positions of the groups that are large enough, ascending.
        weighing: how rows count.
        least: rows that a group must have; of the rows that a rate is of, a part of that.
        confidence: of the interval, and of what chance gives.
        rng: of the permutations.
    """
    used = []
    for name in compared.measures:
        own = counts[name]
        known = np.isfinite(own.means)
        enough = [group for group in big if known[group] and own.rows[group] * PART_OF_LEAST >= least]
        if len(enough) > 1:
            used.append((own, np.array(enough)))
    if not used:
        return None
    if compared.is_ratio:
        return _ratio(compared, used[0][0], used[0][1], grouping, weighing, confidence, rng)
    differences = [own.means[places][:, None] - own.means[places][None, :] for own, places in used]
    worst = max(range(len(used)), key=lambda at: float(differences[at].max()))
    own, places = used[worst]
    value = float(differences[worst].max())
    low, high = _reach(used, differences, confidence)
    drawn = [np.ptp(_null(each, groups, weighing, rng), axis=1) for each, groups in used]
    taken = min(map(len, drawn))
    null = np.max([each[:taken] for each in drawn], axis=0)
    is_share = own.measured.told.is_share
    return Gap(
        id=compared.id, label=compared.label, measure=own.measured.told.id, value=value,
        low=min(low, value), high=min(high, 1.0) if is_share else high,
        lowest=grouping.names[places[own.means[places].argmin()]],
        highest=grouping.names[places[own.means[places].argmax()]],
        groups=len(places), by_chance=float(np.quantile(null, confidence)), p_value=_p_value(null >= value - 1e-9),
    )  # fmt: skip


def _p_value(reached: np.ndarray) -> float:
    """The share of permutations that reach the gap, the data among them (Phipson & Smyth 2010)."""
    return float((1 + reached.sum()) / (1 + len(reached)))


def _reach(
    used: Sequence[tuple[Counted, Ints]], differences: Sequence[Floats], confidence: float
) -> tuple[float, float]:
    """How small and how large the largest difference may be."""
    taken = min(len(own.deviations) for own, _ in used)
    most, errors = np.zeros(taken), []
    for own, places in used:
        upper = np.triu_indices(len(places), 1)
        first, second = places[upper[0]], places[upper[1]]
        error = np.hypot(own.errors[first], own.errors[second])
        off = np.abs(own.deviations[:taken, first] - own.deviations[:taken, second])
        most = np.maximum(most, np.divide(off, error, out=np.zeros_like(off), where=error > 0).max(axis=1))
        errors.append(error)
    factor = float(np.quantile(most, confidence))
    sizes = [np.abs(each[np.triu_indices(len(each), 1)]) for each in differences]
    low = max(float((size - factor * error).max()) for size, error in zip(sizes, errors, strict=True))
    high = max(float((size + factor * error).max()) for size, error in zip(sizes, errors, strict=True))
    return max(low, 0.0), high


def _null(own: Counted, places: Ints, weighing: Weighing, rng: np.random.Generator) -> Floats:
    """Means of the groups at `places` where nothing tells them apart, (b, G): off a mean that they share."""
    taken = int(np.clip(_NULL_WORK // len(places), _FEWEST_NULL, _MOST_NULL))
    rows = own.rows[places]
    if not weighing.is_plain:
        return rng.normal(size=(taken, len(places))) * own.errors[places] + np.average(own.means[places], weights=rows)
    if own.measured.told.is_share:
        hits = int(np.rint(own.means[places] * rows).sum())
        return rng.multivariate_hypergeometric(rows, hits, taken, method="marginals") / rows
    mean = np.average(own.means[places], weights=rows)
    within = (own.errors[places] ** 2 * rows * np.maximum(rows - 1, 1)).sum()
    between = (rows * (own.means[places] - mean) ** 2).sum()
    deviation = np.sqrt((within + between) / max(rows.sum() - 1, 1))
    return np.asarray(mean + rng.normal(size=(taken, len(places))) * deviation / np.sqrt(rows), np.float64)


def _ratio(
    compared: Compared, own: Counted, places: Ints, grouping: Grouping, weighing: Weighing, confidence: float,
    rng: np.random.Generator,
) -> Gap | None:  # fmt: skip
    """The smallest rate over the largest; its interval is that of the largest difference of their logarithms."""
    means = own.means[places]
    if not means.max() > 0:
        return None
    value = float(means.min() / means.max())
    centres = np.maximum(own.centres[places], 1e-9)
    logs = np.log(centres)
    inner = Counted(own.measured, logs, own.rows[places], own.errors[places] / centres, logs,
                    own.deviations[:, places] / centres)  # fmt: skip
    at = np.arange(len(places))
    small, large = _reach([(inner, at)], [logs[:, None] - logs[None, :]], confidence)
    null = np.maximum(_null(own, places, weighing, rng), 0.0)
    ratios = np.divide(null.min(axis=1), null.max(axis=1), out=np.ones(len(null)), where=null.max(axis=1) > 0)
    return Gap(
        id=compared.id, label=compared.label, measure=own.measured.told.id, value=value,
        low=min(float(np.exp(-large)), value), high=max(float(np.exp(-small)), value),
        lowest=grouping.names[places[means.argmin()]], highest=grouping.names[places[means.argmax()]],
        groups=len(places), by_chance=float(np.quantile(ratios, 1 - confidence)),
        p_value=_p_value(ratios <= value + 1e-9), is_ratio=True,
    )  # fmt: skip
