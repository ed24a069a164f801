"""What the encoding learns from training rows: statistics of number columns, one column at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from assay.data.config import EncodeConfig
from assay.data.inputs import known_values
from assay.data.rows import sample_of

#: Rows that medians, quantiles and deviations are taken of at most: their error is then below 0.1 % in rank.
SAMPLE_ROWS = 1_000_000
#: A column with fewer known values than this in the sample is taken whole.
_FEW = 10_000
#: Seconds of the cycles a date is laid on.
CYCLES = {"day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}
#: A date whose training values span less than this many turns of a cycle says nothing about that cycle.
_LEAST_TURNS = 1.5

#: Distinct quantiles of a column and their normal scores.
Knots = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """Which columns of `Matrices.values` are what; `trends` become scaled numbers."""

    trends: list[int]
    booleans: list[int]
    dates: list[int]
    text_sizes: list[int]


@dataclass
class Learned:
    """What is known of each column of `Matrices.values`, in their order.

    fill: the median; center, scale: of scaled = (value - center) * scale.
    flagged: columns that get a flag for missing; incomplete: how many columns lack a value.
    cycle_columns, cycle_periods: the cycles that dates are laid on, and their seconds.
    knots: of the trends, where they are scaled by quantiles.
    sampled: rows the statistics rest on where that is not all of them.
    """

    fill: list[float] = field(default_factory=list)
    center: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    flagged: list[int] = field(default_factory=list)
    incomplete: int = 0
    cycle_columns: list[int] = field(default_factory=list)
    cycle_periods: list[float] = field(default_factory=list)
    knots: dict[int, Knots] = field(default_factory=dict)
    sampled: int | None = None


def learn(columns: Iterable[np.ndarray], plan: Plan, config: EncodeConfig) -> Learned:
    """Learn from the columns of the training rows, float64 (n,), NaN or infinite where missing; in the plan's order."""
    learned = Learned()
    places: np.ndarray | None = None
    for column, values in enumerate(columns):
        if column == 0:
            places = sample_of(len(values), SAMPLE_ROWS)
            learned.sampled = None if places is None else len(places)
        known = known_values(values)
        drawn = known if places is None else known_values(values[places])
        drawn = known if len(drawn) < _FEW else drawn
        _learn_scale(learned, column, known, drawn, plan, config)
        if len(known) < len(values):
            learned.incomplete += 1
            if config.missing_flags and len(known):
                learned.flagged.append(column)
        if column in plan.dates and len(known):
            _learn_cycles(learned, column, known)
        if config.scale == "quantile" and column in plan.trends:
            learned.knots[column] = quantile_knots(drawn, np.linspace(0.0, 1.0, config.quantiles + 1))
    return learned


def _learn_scale(
    learned: Learned, column: int, known: np.ndarray, drawn: np.ndarray, plan: Plan, config: EncodeConfig
) -> None:
    fill, center, scale = 0.0, 0.0, 0.0  # nothing is known of an empty column, so it must say nothing later
    if len(known):
        method = "standard" if column in plan.booleans or config.scale == "quantile" else config.scale
        fill = float(np.median(drawn))
        center, scale = _center_and_scale(drawn, float(known.min()), float(known.max()), method)
    learned.fill.append(fill)
    learned.center.append(center)
    learned.scale.append(scale)


def _center_and_scale(drawn: np.ndarray, low: float, high: float, method: str) -> tuple[float, float]:
    """Centre and factor of a column; a column without spread gets the factor 0, so that it says nothing.

    drawn: known values, all or a sample. low, high: the ends of all of them.
    """
    if method == "none":
        return 0.0, 1.0
    if low == high:  # the deviation of equal values may come out above zero by rounding
        return low, 0.0
    if method == "unit":
        center, spread = low, high - low
    elif method == "symmetric":
        center, spread = (low + high) / 2, (high - low) / 2
    elif method == "robust":
        lower, center, upper = (float(q) for q in np.quantile(drawn, (0.25, 0.5, 0.75)))
        spread = upper - lower or (high - low) / 2
    else:
        above = drawn - low  # a sum of large numbers would lose their digits
        center, spread = low + float(above.mean()), float(above.std())
    return center, 1.0 / spread if spread > 0 and np.isfinite(1.0 / spread) else 0.0


def _learn_cycles(learned: Learned, column: int, known: np.ndarray) -> None:
    """The cycles that the dates of a column go through often enough."""
    span = known.max() - known.min()
    whole_days = bool((known % CYCLES["day"] == 0).all())
    for name, period in CYCLES.items():
        if span >= _LEAST_TURNS * period and not (name == "day" and whole_days):
            learned.cycle_columns.append(column)
            learned.cycle_periods.append(period)


def quantile_knots(known: np.ndarray, levels: np.ndarray) -> Knots:
    """Distinct quantiles of known values and their normal scores; ties get the score of their middle rank."""
    if not len(known):
        return np.array([0.0]), np.array([0.0])
    edges, first = np.unique(np.quantile(known, levels), return_index=True)
    last = np.append(first[1:], len(levels)) - 1
    middle = np.clip((levels[first] + levels[last]) / 2, 1e-3, 1 - 1e-3)
    return edges, math.sqrt(2.0) * torch.erfinv(torch.from_numpy(2 * middle - 1)).numpy()
