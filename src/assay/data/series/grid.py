"""The steps of series whose times have gaps or are uneven: rows of cases on an even grid.

What the grid is, is found once, on the training table, and travels with the folding. NumPy only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from assay.data.series.clock import JITTER
from assay.errors import DataError
from assay.records import Record

#: Share of the gaps between neighbours that must be whole multiples of the step for times to count as even.
EVEN: Final = 0.98
#: Series get so many times their rows as steps at most, however short some gaps are beside the mean.
_MOST_GROWTH: Final = 4.0
#: Steps for each row to answer, from which on a time must be a mistake.
_MOST_STEPS: Final = 50

Every = float | Literal["auto", "rows"]


class Grid(Record):
    """Which times series are brought to.

    every: from one step to the next, in units of the column of steps, seconds for dates.
    distance: a channel that says how many steps the nearest row is away, where times are uneven and steps lie between
    rows; None where rows are whole steps apart, and a step without a row is missing.
    """

    every: float
    distance: str | None = None


@dataclass(frozen=True)
class Unevenness:
    """How uneven times are: the least, median and largest gap between neighbours, and the share off the commonest."""

    least: float
    median: float
    largest: float
    off: float


def find_grid(moments: np.ndarray, codes: np.ndarray, every: Every, name: str, taken: Collection[str]) -> Grid | None:
    """The grid of cases (dense `codes`, (n,), ascending) at `moments` (n,), ascending in each; None for none.

    Args:
        every: the step, or `auto` to take the commonest gap, the median or the least where nearly all are whole
            multiples of it and steps have rows, else the median; `rows` takes rows as steps, whatever their times.
        name: of the column of steps, after which the channel of distances is called.
        taken: names that it cannot have.
    """
    gaps = _gaps(moments, codes)
    if every == "rows" or not len(gaps):
        return None
    middle = float(np.median(gaps))
    if every == "auto":
        least = float(gaps.mean()) / _MOST_GROWTH
        candidates = [step for step in (_commonest(gaps, middle), middle, float(gaps.min())) if step >= least]
        otherwise = max(middle, least)
    else:
        candidates, otherwise = [float(every)], float(every)
    for step in candidates:
        if 1.0 - _off(gaps, step) >= EVEN:
            return Grid(every=step)
    free = (f"{name} distance{f' {at}' if at > 1 else ''}" for at in range(1, len(taken) + 2))
    return Grid(every=otherwise, distance=next(each for each in free if each not in taken))


def unevenness(moments: np.ndarray, codes: np.ndarray, grid: Grid) -> Unevenness:
    """How uneven the times of cases are beside the grid's step."""
    gaps = _gaps(moments, codes)
    return Unevenness(float(gaps.min()), float(np.median(gaps)), float(gaps.max()), _off(gaps, grid.every))


def _gaps(moments: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.asarray(np.diff(moments)[np.diff(codes) == 0])


def _commonest(gaps: np.ndarray, middle: float) -> float:
    """The commonest gap; those that differ by rounding alone are one."""
    _, kind, counts = np.unique(np.round(gaps / middle, 6), return_inverse=True, return_counts=True)
    return float(np.median(gaps[kind == counts.argmax()]))


def _off(gaps: np.ndarray, step: float) -> float:
    """The share of gaps that are no whole multiple of a step."""
    parts = gaps / step
    whole = (np.abs(parts - np.round(parts)) <= JITTER) & (parts >= 1.0 - JITTER)
    return 1.0 - float(whole.mean())


@dataclass(frozen=True)
class Placed:
    """Rows of cases on a grid, the steps of all cases behind each other.

    places: of each row, in steps, float64 (n,), ascending. codes: the case of each row, int64 (n,). owner: the case of
    each step, int64 (t,).
    """

    grid: Grid
    places: np.ndarray
    codes: np.ndarray
    owner: np.ndarray

    def values(self, cells: np.ndarray) -> np.ndarray:
        """A channel of rows, float64 (n,) with NaN where missing, at every step, (t,).

        Between the rows of uneven times it is on the straight line through the known cells beside a step, and missing
        before the first and after the last of them.
        """
        if self.grid.distance is None:
            found = np.full(len(self.owner), np.nan)
            found[self.places.astype(np.int64)] = cells
            return found
        known = ~np.isnan(cells)
        if not known.any():
            return np.full(len(self.owner), np.nan)
        before, after, inside = self._beside(known)
        places, values = self.places[known], cells[known]
        width = places[after] - places[before]
        share = np.where(
            width > 0, (np.arange(len(self.owner)) - places[before]) / np.where(width > 0, width, 1.0), 0.0
        )
        with np.errstate(invalid="ignore"):  # infinite cells, which the audit counts
            line = values[before] + (values[after] - values[before]) * share
        return np.where(inside, np.where(share > 0, line, values[before]), np.nan)

    def distances(self) -> np.ndarray:
        """How many steps the nearest row of its case is away from each step, float64 (t,)."""
        before, after, inside = self._beside(np.ones(len(self.places), np.bool_))
        steps = np.arange(len(self.owner))
        back = steps - self.places[before]
        return np.asarray(np.where(inside, np.minimum(back, self.places[after] - steps), back).clip(min=0.0))

    def _beside(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Among known rows the last up to each step and the first from it on, and where both are of its case."""
        places, codes = self.places[known], self.codes[known]
        steps = np.arange(len(self.owner))
        last = np.searchsorted(places, steps, side="right") - 1
        first = np.searchsorted(places, steps, side="left")
        inside = (last >= 0) & (first < len(places))
        before, after = last.clip(min=0), first.clip(max=len(places) - 1)
        return before, after, inside & (codes[before] == self.owner) & (codes[after] == self.owner)


def placed(moments: np.ndarray, codes: np.ndarray, grid: Grid) -> Placed:
    """The rows of cases (dense `codes`, (n,), ascending) at `moments` (n,), ascending in each, on their grid.

    Raises:
        DataError: a case would have far more steps than rows.
    """
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(np.append(first, len(codes)))
    apart = np.diff(moments, prepend=0.0) / grid.every
    apart[first] = 0.0
    if grid.distance is None:
        # From row to row, so that what is off a little does not add up.
        apart[apart > 0] = np.maximum(np.round(apart[apart > 0]), 1.0)
        since = np.cumsum(apart)
        since -= np.repeat(since[first], lengths)
    else:
        since = (moments - np.repeat(moments[first], lengths)) / grid.every
        whole = np.round(since)
        since = np.where(np.abs(since - whole) < 1e-6, whole, since)
    steps = np.floor(since[first + lengths - 1]) + 1.0
    if steps.sum() > _MOST_STEPS * max(len(codes), 1000):
        raise DataError(
            "series must be measured at most of their steps",
            f"at one step each {grid.every:g} there would be {steps.sum():,.0f} steps of {len(codes):,} rows",
            "Look for a mistaken time, give a longer step with data.every, or take rows as steps: data.every=rows.",
        )
    starts = np.cumsum(steps) - steps
    owner = np.repeat(np.arange(len(steps)), steps.astype(np.int64))
    return Placed(grid, np.repeat(starts, lengths) + since, codes, owner)
