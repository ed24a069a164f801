"""Sets of classes and intervals of values that hold the truth at a promised rate: what a model carries of them.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005). Sets: LAC (Sadinle, Lei & Wasserman, JASA
2019), APS (Romano, Sesia & Candes, NeurIPS 2020), RAPS (Angelopoulos, Bates, Malik & Jordan, ICLR 2021). Intervals:
absolute and normalised errors (Lei et al., JASA 2018, section 5.2), CQR (Romano, Patterson & Candes, NeurIPS 2019).
NumPy only: a server lays them around its answers with this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.records import Record

Floats = NDArray[np.float64]

SetKind = Literal["lac", "aps", "raps"]
IntervalKind = Literal["absolute", "normalised", "cqr"]
SETS: tuple[SetKind, ...] = ("lac", "aps", "raps")
INTERVALS: tuple[IntervalKind, ...] = ("absolute", "normalised", "cqr")
#: What the kinds are called where people read them.
CALLED = {"lac": "LAC", "aps": "APS", "raps": "RAPS", "absolute": "absolute", "normalised": "normalised", "cqr": "CQR"}

#: Probabilities of a saved model may differ by so much from those that a limit was found with.
_SLACK = 1e-5
#: Bounds reach a little further, so that rounding does not push out a truth that lies on one.
_WIDER = 1e-9
#: Probabilities that are ranked at once.
_AT_ONCE = 2_000_000
#: Predictions and coordinates end here, in deviations, so that no width explodes with a strange row.
_FURTHEST = 4.0


class Limit(Record):
    """The score that a region reaches, and the calibration rows that it is the quantile of."""

    value: float
    rows: int


class Tried(Record):
    """A kind on halves of the calibration rows, each calibrated on the other.

    size: mean classes of a set, or mean width of an interval. covered: the share that held the truth. worst: how far
    the share is from the one asked for where it is furthest, over sizes of sets or fifths of the predictions. score: of
    intervals the mean interval score (Gneiting & Raftery 2007, section 6.2), which they are chosen by; else None.
    """

    kind: SetKind | IntervalKind
    size: float
    covered: float
    worst: float
    score: float | None = None


class Shape(Record):
    """How wide an interval is for a row, before its limit: planes over `shape_features`.

    center, spread: of predictions, to measure them in. scale: log errors in `unit`, for normalised intervals, between
    `least` and `most`. low, high: the lower and upper quantile of the error in `unit`, for CQR.
    """

    center: float
    spread: float
    unit: float
    scale: tuple[float, ...] = ()
    least: float = 0.0
    most: float = 0.0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Regions(Record):
    """Sets or intervals that hold the truth of a new row with probability `coverage`, if it is like the others.

    limit: of all rows. column: whose groups have limits of their own; `groups` names them, `others` is that of all
    groups with too few calibration rows (None: these were too few even together, and have that of all rows).
    by_class: where the column is the target, the limit of each class.
    penalty, free: of RAPS, for each class of a set beyond so many. shape: of normalised and CQR intervals.
    source: of the calibration rows. tried: the kinds that were compared.
    """

    kind: SetKind | IntervalKind
    coverage: float
    limit: Limit
    column: str | None = None
    groups: dict[str, Limit] = {}
    others: Limit | None = None
    by_class: tuple[Limit, ...] = ()
    penalty: float = 0.0
    free: int = 0
    shape: Shape | None = None
    source: str = "validation rows"
    tried: tuple[Tried, ...] = ()

    @property
    def is_of_classes(self) -> bool:
        """Whether regions are sets of classes."""
        return self.kind in SETS

    @property
    def asks_for(self) -> str | None:
        """The column that rows must have for their groups."""
        return None if self.by_class else self.column

    @property
    def needs_outline(self) -> bool:
        """Whether widths depend on what a row looks like."""
        return self.shape is not None

    def limits(self, groups: Iterable[str | None] | None, rows: int) -> Floats:
        """The limit of each row, (n,). groups: of the rows, None where the model has no column of groups."""
        if groups is None or self.column is None or self.by_class:
            return np.full(rows, self.limit.value)
        rest = (self.limit if self.others is None else self.others).value
        known = {name: limit.value for name, limit in self.groups.items()}
        return np.array([rest if name is None else known.get(name, rest) for name in groups], np.float64).reshape(rows)

    def sets(
        self, probabilities: NDArray[np.floating], groups: Iterable[str | None] | None = None
    ) -> NDArray[np.bool_]:
        """The classes of each row's set, bool (n, K); the likeliest is always one of them.

        Args:
            probabilities: calibrated ones, (n, K).
            groups: of the rows, where limits are by group.
        """
        limits = self.limits(groups, len(probabilities))[:, None]
        if self.by_class:
            limits = np.broadcast_to([limit.value for limit in self.by_class], probabilities.shape)
        held = np.empty(probabilities.shape, bool)
        for some in _blocks(*probabilities.shape):
            scores = set_scores(self.kind, probabilities[some], self.penalty, self.free)
            held[some] = scores <= limits[some] + _SLACK
        held[np.arange(len(held)), np.argmax(probabilities, axis=1)] = True
        return held

    def bounds(
        self, values: Floats, features: Floats | None = None, groups: Iterable[str | None] | None = None
    ) -> tuple[Floats, Floats]:
        """Lower and upper bounds, (n,) each, around predicted `values` (n,).

        features: `shape_features` of the rows, where `needs_outline`.
        """
        low, high, unit = self._planes(values, features)
        reach = self.limits(groups, len(values)) * unit
        reach = reach + _WIDER * np.abs(reach) + 4.0 * np.spacing(np.abs(values))
        below, above = values + low - reach, values + high + reach
        crossed = below > above  # a negative limit of CQR may draw the bounds past each other
        middle = (below + above) / 2.0
        return np.where(crossed, middle, below), np.where(crossed, middle, above)

    def scores(self, answers: Floats, truth: NDArray[np.generic], features: Floats | None = None) -> Floats:
        """How far each truth is from its answer, (n,): a region holds what scores up to its limit.

        Args:
            answers: probabilities (n, K) or values (n,).
            truth: class positions or values, (n,).
            features: see `bounds`.
        """
        if self.is_of_classes:
            found = np.empty(len(answers))
            for some in _blocks(*answers.shape):
                scores = set_scores(self.kind, answers[some], self.penalty, self.free)
                found[some] = np.take_along_axis(scores, truth[some, None].astype(np.int64), axis=1)[:, 0]
            return found
        low, high, unit = self._planes(answers, features)
        error = truth.astype(np.float64) - answers
        return np.asarray(np.maximum(low - error, error - high) / unit)

    def _planes(self, values: Floats, features: Floats | None) -> tuple[Floats, Floats, Floats]:
        """What a bound adds to a value before its limit, below and above, and the unit of limits, (n,) each."""
        zero = np.zeros(len(values))
        if self.shape is None:
            return zero, zero, np.ones(len(values))
        assert features is not None
        shape = self.shape
        if self.kind == "normalised":
            # The plane is clipped before exp, so that no strange row overflows.
            log = np.clip(features @ np.array(shape.scale), np.log(shape.least), np.log(shape.most))
            return zero, zero, shape.unit * np.exp(log)
        low, high = (shape.unit * (features @ np.array(plane)) for plane in (shape.low, shape.high))
        return np.minimum(low, high), np.maximum(low, high), np.full(len(values), shape.unit)


def set_scores(kind: str, probabilities: NDArray[np.floating], penalty: float = 0.0, free: int = 0) -> Floats:
    """The score of every class of every row, (n, K): the smaller, the sooner it is in the set.

    LAC: one minus its probability. APS: the probability of all classes that are likelier. Romano et al. add a random
    part of its own; without it an answer depends on the row alone, no set is empty, and the promise holds as for any
    score. RAPS: that and `penalty` for each place beyond `free`.
    """
    known = probabilities.astype(np.float64)
    if kind == "lac":
        return np.asarray(1.0 - known)
    order = np.argsort(-known, axis=1, kind="stable")
    ranked = np.take_along_axis(known, order, axis=1)
    ranked = np.cumsum(ranked, axis=1) - ranked
    if kind == "raps":
        ranked += penalty * np.maximum(np.arange(1, known.shape[1] + 1) - free, 0)
    scores = np.empty_like(ranked)
    np.put_along_axis(scores, order, ranked, axis=1)
    return scores


def shape_features(values: Floats, shape: Shape, distance: Floats, coordinates: Floats) -> Floats:
    """What widths depend on: the prediction, how unusual the row is, and where it lies, (n, 5 + q).

    Args:
        values: predictions, (n,).
        shape: with what predictions are measured in.
        distance, coordinates: of the rows, (n,) and (n, q); see `Outline`.
    """
    place = np.clip((values - shape.center) / shape.spread, -_FURTHEST, _FURTHEST)
    where = np.clip(coordinates, -_FURTHEST, _FURTHEST)
    first = np.stack([np.ones(len(values)), place, place**2, np.maximum(place, 0.0), np.log1p(distance)], axis=1)
    return np.concatenate([first, where], axis=1)


def _blocks(rows: int, classes: int) -> Iterable[slice]:
    """Slices of rows whose scores are worked on at once."""
    many = max(1, _AT_ONCE // max(classes, 1))
    return (slice(start, start + many) for start in range(0, rows, many))
