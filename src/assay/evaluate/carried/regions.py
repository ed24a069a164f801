"""Calibrate prediction sets and intervals on rows that no network learned from, and choose their kind by their size.

A kind is tried on halves of the rows, each calibrated on the other (Vovk, Cross-conformal predictors, 2015, in spirit).
What a kind learns itself - the penalty of RAPS, the planes of normalised and CQR intervals - it learns on one half of
its rows, and the limit is found on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.regions import (
    INTERVALS,
    SETS,
    IntervalKind,
    Limit,
    Regions,
    SetKind,
    Shape,
    Tried,
    set_scores,
    shape_features,
)
from assay.evaluate.carried.conformal import conformal_quantile, fewest_rows

Floats = NDArray[np.float64]
Kind = SetKind | IntervalKind

#: Rows below which kinds are not compared, and the simplest is taken.
FEWEST_TO_COMPARE = 200
#: Rows that a kind learns from at most, of its half.
_MOST_LEARNED = 5_000
#: Sets this much larger than the smallest are as good, and the evenest coverage decides; of intervals the simplest.
_AS_SMALL, _AS_GOOD = 1.05, 1.01
#: A stratum is judged from so many rows on.
_FEWEST_OF_STRATUM = 20
#: Penalties that RAPS may have, as in section 4 of its paper.
_PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)
#: Ridge of the planes, in rows; steps of the quantile planes, and the size of an error that counts as none.
_RIDGE, _STEPS, _TINY = 1.0, 40, 1e-4
#: Normalised intervals are between so many times the typical width.
_NARROWEST, _WIDEST = 0.1, 10.0


@dataclass(frozen=True)
class Judged:
    """Rows that were answered without having been learned from.

    answers: probabilities (n, K) or values (n,). truth: class positions or values, (n,). groups: of the rows, or None.
    distance, coordinates: see `Outline`, (n,) and (n, q); None where there is no outline.
    """

    answers: Floats
    truth: NDArray[np.generic]
    groups: tuple[str | None, ...] | None = None
    distance: Floats | None = None
    coordinates: Floats | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def has_classes(self) -> bool:
        """Whether answers are probabilities."""
        return self.answers.ndim == 2

    def at(self, rows: NDArray[np.int64]) -> Judged:
        """The rows at these places."""
        return Judged(
            self.answers[rows], self.truth[rows],
            None if self.groups is None else tuple(self.groups[row] for row in rows),
            None if self.distance is None else self.distance[rows],
            None if self.coordinates is None else self.coordinates[rows],
        )  # fmt: skip

    def features(self, shape: Shape | None) -> Floats | None:
        """What widths depend on, (n, F)."""
        if shape is None:
            return None
        assert self.distance is not None
        assert self.coordinates is not None
        return shape_features(self.answers, shape, self.distance, self.coordinates)


def fit_regions(
    judged: Judged,
    coverage: float,
    asked: str = "auto",
    *,
    column: str | None = None,
    by_class: bool = False,
    source: str = "validation rows",
    seed: int = 0,
) -> Regions | None:
    """Sets or intervals that hold the truth with this probability; None where the rows are too few for any.

    Args:
        judged: the calibration rows.
        coverage: the probability.
        asked: a kind, or `auto` for the one that does best.
        column: whose groups have limits of their own.
        by_class: whether each class has; `column` is then the target.
        source: of the rows, in words.
        seed: of the halves.
    """
    if len(judged) < fewest_rows(coverage):
        return None
    kinds = possible(judged, coverage) if asked == "auto" else (_checked(asked),)
    tried: tuple[Tried, ...] = ()
    if len(kinds) > 1 and len(judged) >= FEWEST_TO_COMPARE:
        every = (_tried(kind, judged, coverage, seed) for kind in kinds)
        tried = tuple(each for each in every if np.isfinite(each.size))
    kind = chosen(tried) if tried else kinds[0]
    found = _calibrated(kind, judged, coverage, column, seed, by_class=by_class)
    return None if found is None else found.model_copy(update={"source": source, "tried": tried})


def _checked(asked: str) -> Kind:
    for kind in (*SETS, *INTERVALS):
        if kind == asked:
            return kind
    raise ValueError(f"no such kind: {asked!r}")


def possible(judged: Judged, coverage: float) -> tuple[Kind, ...]:
    """The kinds that these rows can have, the simplest first; RAPS is APS where there are few classes."""
    if judged.has_classes:
        return SETS if judged.answers.shape[1] > 2 else ("lac", "aps")
    enough = len(judged) // 2 >= fewest_rows(coverage)
    return INTERVALS if judged.distance is not None and enough else ("absolute",)


def chosen(tried: Sequence[Tried]) -> Kind:
    """Of sets that are about as small as the smallest, the one with the evenest coverage; the best of intervals.

    The mean size alone would always be for LAC, which is the smallest on average and holds less where a row is hard
    (Sadinle et al., section 2); the width alone would be for intervals that fail where errors are large.
    """
    if tried[0].score is None:
        least = min(each.size for each in tried)
        return min((each for each in tried if each.size <= _AS_SMALL * least), key=lambda each: each.worst).kind
    best = min(each.score for each in tried if each.score is not None)
    return next(each.kind for each in tried if each.score is not None and each.score <= _AS_GOOD * best)


# Calibration ----------------------------------------------------------------------------------------------------------


def _calibrated(
    kind: Kind, judged: Judged, coverage: float, column: str | None, seed: int, *, by_class: bool = False
) -> Regions | None:
    """The kind with what it learns from one half of the rows, and the limits of the other half, or of all rows."""
    learned, held = _parts(kind, judged, coverage, seed)
    if learned is None:
        return None
    bare = _learned(kind, judged.at(learned), coverage)
    rest = judged.at(held)
    scores = bare.scores(rest.answers, rest.truth, rest.features(bare.shape))
    limit = float(conformal_quantile(scores, coverage))
    if not np.isfinite(limit):
        return None
    whole = bare.model_copy(update={"limit": Limit(value=limit, rows=len(rest))})
    if by_class:
        return _by_class(whole, column, scores, rest)
    return whole if column is None else _by_group(whole, column, scores, rest.groups)


def _parts(
    kind: Kind, judged: Judged, coverage: float, seed: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Rows to learn from (none for most kinds) and rows for the limit; None where there are too few for both."""
    order = np.arange(len(judged))
    if kind in ("lac", "aps", "absolute"):
        return order[:0], order
    many = min(len(judged) // 2, _MOST_LEARNED)
    order = np.random.default_rng(seed).permutation(len(judged))
    too_few = many < 10 or len(judged) - many < fewest_rows(coverage)
    return (None if too_few else np.sort(order[:many])), np.sort(order[many:])


def _by_group(whole: Regions, column: str, scores: Floats, groups: tuple[str | None, ...] | None) -> Regions:
    """Mondrian: a limit for each group with enough rows, and one for all others together."""
    assert groups is not None
    names = np.array(["" if name is None else name for name in groups], dtype=object)
    absent = np.array([name is None for name in groups])
    limits: dict[str, Limit] = {}
    left = absent.copy()
    for name in sorted(set(names[~absent])):
        rows = (names == name) & ~absent
        if rows.sum() < fewest_rows(whole.coverage):
            left |= rows
        else:
            value = float(conformal_quantile(scores[rows], whole.coverage))
            limits[name] = Limit(value=value, rows=int(rows.sum()))
    others = None
    if left.sum() >= fewest_rows(whole.coverage):
        others = Limit(value=float(conformal_quantile(scores[left], whole.coverage)), rows=int(left.sum()))
    return whole.model_copy(update={"column": column, "groups": limits, "others": others})


def _by_class(whole: Regions, column: str | None, scores: Floats, rest: Judged) -> Regions:
    """A limit for each class with enough rows (label-conditional), and that of all rows for the others."""
    limits = []
    for place in range(rest.answers.shape[1]):
        own = scores[rest.truth == place]
        value = float(conformal_quantile(own, whole.coverage))
        limits.append(Limit(value=value, rows=len(own)) if np.isfinite(value) else whole.limit)
    return whole.model_copy(update={"column": column, "by_class": tuple(limits)})


# What a kind learns itself --------------------------------------------------------------------------------------------


def _learned(kind: Kind, some: Judged, coverage: float) -> Regions:
    """The kind without a limit."""
    bare = Regions(kind=kind, coverage=coverage, limit=Limit(value=0.0, rows=0))
    if kind == "raps":
        return _regularised(bare, some)
    if kind in ("normalised", "cqr"):
        return bare.model_copy(update={"shape": _shape(kind, some, coverage)})
    return bare


def _regularised(bare: Regions, some: Judged) -> Regions:
    """RAPS with the places that are free and the penalty that makes the smallest sets (appendix E of the paper)."""
    places = np.arange(len(some))
    ranks = 1 + (some.answers > some.answers[places, some.truth.astype(np.int64)][:, None]).sum(axis=1)
    free = int(min(conformal_quantile(ranks.astype(np.float64), bare.coverage), some.answers.shape[1]))
    best, smallest = bare, np.inf
    for penalty in _PENALTIES:
        found = bare.model_copy(update={"penalty": penalty, "free": free})
        limit = float(conformal_quantile(found.scores(some.answers, some.truth), bare.coverage))
        size = float((set_scores("raps", some.answers, penalty, free) <= limit).sum(axis=1).mean())
        if size < smallest:
            best, smallest = found, size
    return best


def _shape(kind: Kind, some: Judged, coverage: float) -> Shape:
    """The planes of widths: of the log error, or of its lower and upper quantile."""
    error = some.truth.astype(np.float64) - some.answers
    unit = max(float(np.median(np.abs(error))), 1e-6 * float(np.abs(error).mean())) or 1.0
    low, high = np.quantile(some.answers, [0.1, 0.9])
    spread = max(float(high - low) / 2.5631, 1e-9 * max(abs(float(low)), abs(float(high)), 1.0))
    shape = Shape(center=float(np.median(some.answers)), spread=spread, unit=unit)
    features = some.features(shape)
    assert features is not None
    if kind == "normalised":
        # An error of nothing has no logarithm: small ones count as a twentieth of the middle one.
        plane = _ridge(features, np.log(np.maximum(np.abs(error) / unit, 0.05)), np.ones(len(error)))
        typical = float(np.exp(np.median(features @ plane)))
        return shape.model_copy(
            update={"scale": tuple(plane.tolist()), "least": _NARROWEST * typical, "most": _WIDEST * typical}
        )
    tail = (1.0 - coverage) / 2.0
    below, above = (quantile_plane(features, error / unit, level) for level in (tail, 1.0 - tail))
    return shape.model_copy(update={"low": tuple(below.tolist()), "high": tuple(above.tolist())})


def quantile_plane(features: Floats, values: Floats, level: float) -> Floats:
    """Coefficients (F,) of the plane over features (n, F) that `level` of the values (n,) lie below.

    Quantile regression by majorisation (Hunter & Lange, Quantile regression via an MM algorithm, JCGS 2000), with a
    ridge on all but the first feature, which is 1.
    """
    plane = np.zeros(features.shape[1])
    plane[0] = np.quantile(values, level)
    pull = (2.0 * level - 1.0) * features.sum(axis=0)
    for _ in range(_STEPS):
        weight = 1.0 / (_TINY + np.abs(values - features @ plane))
        plane = _ridge(features, values, weight, pull)
    return plane


def _ridge(features: Floats, values: Floats, weight: Floats, pull: Floats | float = 0.0) -> Floats:
    """Weighted least squares with a small ridge on all but the first coefficient."""
    weighted = features * weight[:, None]
    square = weighted.T @ features
    square[np.diag_indices(len(square))] += np.append(1e-12, np.full(len(square) - 1, _RIDGE))
    return np.asarray(np.linalg.solve(square, weighted.T @ values + pull))


# How a kind does ------------------------------------------------------------------------------------------------------


def _tried(kind: Kind, judged: Judged, coverage: float, seed: int) -> Tried:
    """The kind calibrated on each half and judged on the other, on average."""
    order = np.random.default_rng([seed, 1]).permutation(len(judged))
    halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    found = [_judged_on(kind, judged.at(a), judged.at(b), coverage, seed) for a, b in (halves, halves[::-1])]
    size, covered, worst, score = (float(np.mean(each)) for each in zip(*found, strict=True))
    return Tried(kind=kind, size=size, covered=covered, worst=worst, score=None if judged.has_classes else score)


def _judged_on(
    kind: Kind, learned: Judged, other: Judged, coverage: float, seed: int
) -> tuple[float, float, float, float]:
    """Mean size, share held, how far off it is in the worst stratum, and the mean interval score (0 of sets)."""
    regions = _calibrated(kind, learned, coverage, None, seed)
    if regions is None:
        return np.inf, 0.0, 1.0, np.inf
    inside, sizes = held_by(regions, other)
    if other.has_classes:
        return float(sizes.mean()), float(inside.mean()), worst_stratum(inside, sizes, coverage), 0.0
    low, high = regions.bounds(other.answers, other.features(regions.shape))
    truth = other.truth.astype(np.float64)
    beyond = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    score = float((sizes + 2.0 / (1.0 - coverage) * beyond).mean())
    worst = worst_stratum(inside, fifths(other.answers).astype(np.float64), coverage)
    return float(sizes.mean()), float(inside.mean()), worst, score


def held_by(regions: Regions, judged: Judged) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each truth is in its region, (n,), and how large that is, (n,): classes, or width."""
    if judged.has_classes:
        sets = regions.sets(judged.answers, judged.groups)
        return sets[np.arange(len(sets)), judged.truth.astype(np.int64)], sets.sum(axis=1).astype(np.float64)
    low, high = regions.bounds(judged.answers, judged.features(regions.shape), judged.groups)
    truth = judged.truth.astype(np.float64)
    return (low <= truth) & (truth <= high), high - low


def fifths(values: Floats) -> NDArray[np.int64]:
    """The fifth of the values that each is in, 0 to 4, (n,)."""
    return np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values)


def worst_stratum(inside: NDArray[np.bool_], strata: Floats, coverage: float) -> float:
    """How far the share held falls below the one asked for in the stratum where it is furthest below, at least 0.

    Strata are the sizes of sets (Angelopoulos et al., section 4) or parts of the predictions, (n,). That more is held
    than was asked for is no fault: sets of one class have no smaller size to take.
    """
    gaps = [0.0]
    for stratum in np.unique(strata):
        rows = strata == stratum
        if rows.sum() >= _FEWEST_OF_STRATUM:
            gaps.append(coverage - float(inside[rows].mean()))
    return max(gaps)
