"""Two forecasts of the same windows against each other: a lead, and how sure it is where neighbouring windows overlap.

Diebold & Mariano (J. Business & Economic Statistics 1995): the mean difference of two losses over its standard error,
which sums autocovariances up to the last lag at which windows share a step. Harvey, Leybourne & Newbold (International
J. of Forecasting 1997): what makes up for few origins, and Student's t. Two more steps, for at a horizon of 12 the test
of the paper finds a lead where there is none in 10 to 40 cases of 100 (`docs/decisions/forecasting.md`):

- The variance is the larger of the truncated sum, which may be negative, and the one with Bartlett's weights.
- t has as many degrees of freedom as there are stretches of origins that share no step, less one. At a horizon of 1
  these are all origins, and the test is that of the paper.

Several series at one origin are one witness, whatever they have in common (Driscoll & Kraay, Review of Economics and
Statistics 1998). Of many series the lead must hold over these as well, as the clusters of a robust variance (Cameron &
Miller, J. Human Resources 2015): the p-value is the larger of both.

Letters: n windows, T origins in time, s series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.evaluate.clusters import FEW_CLUSTERS
from assay.evaluate.compare import PairedTest
from assay.evaluate.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Stretches of origins that a test over time needs, and those from which on it must agree with a test over series.
FEWEST_STRETCHES, _TELLING_STRETCHES = 2, 5
#: Differences below this share of the loss are those of arithmetic in single precision.
_TIE = 1e-6


@dataclass(frozen=True)
class Support:
    """What windows are worth as witnesses: stretches of origins that share no step, and series."""

    stretches: int
    series: int

    @property
    def is_enough(self) -> bool:
        """Whether anything can be tested by them."""
        return self.stretches >= FEWEST_STRETCHES or self.series >= FEW_CLUSTERS

    def common(self, other: Support) -> Support:
        """The lesser of both, of a difference between windows and others."""
        return Support(min(self.stretches, other.stretches), min(self.series, other.series))


@dataclass(frozen=True)
class Overlap:
    """Which windows share steps with which.

    place: of each window's origin among all of them, int64 (n,). origins: their steps, rising, int64 (T,).
    series: of each window, from 0 on, int64 (n,). horizon: steps that a window forecasts.
    """

    place: Ints
    origins: Ints
    series: Ints
    horizon: int

    @classmethod
    def of(cls, steps: Ints, names: Sequence[str] | Ints, horizon: int) -> Overlap:
        """The overlap of windows whose origins are at these steps, of series of these names."""
        origins, place = np.unique(steps, return_inverse=True)
        _, series = np.unique(np.asarray(names), return_inverse=True)
        return cls(place.astype(np.int64), origins, series.astype(np.int64), horizon)

    def at(self, windows: Ints) -> Overlap:
        """The overlap of the windows at these places."""
        return Overlap.of(self.origins[self.place[windows]], self.series[windows], self.horizon)

    @property
    def reach(self) -> int:
        """How many origins one after another share a step, at most."""
        apart = int(np.median(np.diff(self.origins))) if len(self.origins) > 1 else 1
        return -(-self.horizon // max(apart, 1))

    @property
    def clusters(self) -> int:
        """Series."""
        return int(self.series.max(initial=-1)) + 1

    @cached_property
    def support(self) -> Support:
        """What all windows are worth as witnesses."""
        return Support(len(self.origins) // self.reach, self.clusters)

    def support_of(self, windows: Bools) -> Support:
        """What some windows are worth, (n,)."""
        origins = self.origins[np.unique(self.place[windows])]
        stretches, at = 0, 0
        while at < len(origins):
            stretches, at = stretches + 1, int(np.searchsorted(origins, origins[at] + self.horizon))
        return Support(min(stretches, self.support.stretches), len(np.unique(self.series[windows])))

    def over_time(self, pulls: Floats) -> Floats:
        """What the windows of each origin add up to, (T,)."""
        return np.bincount(self.place, pulls, len(self.origins)).astype(np.float64)

    def over_series(self, pulls: Floats) -> Floats:
        """What the windows of each series add up to, (s,)."""
        return np.bincount(self.series, pulls, self.clusters).astype(np.float64)


@dataclass(frozen=True)
class _Sureness:
    """A standard error with the degrees of freedom of its t, and by what it was found."""

    error: float
    freedom: int
    told: str


def leads(first: Floats, second: Floats) -> Floats:
    """What the first loss of each window is lower by than the second, (n,), 0 where it is too little to be any."""
    lead = second - first
    least = _TIE * float(second.mean()) if len(second) else 0.0
    return np.where(np.abs(lead) <= least, 0.0, lead)


def lead_test(lead: Floats, overlap: Overlap, confidence: float, weight: Floats | None = None) -> PairedTest:
    """Whether the mean of what each window's loss is lower by with the first forecast, (n,), is more than chance.

    The difference is the mean lead, positive where the first forecast is better; p is two-sided. weight: of each
    window, (n,); ones by default.
    """
    share = np.ones(len(lead)) if weight is None else np.asarray(weight, np.float64)
    share = share / share.sum()
    value = float(share @ lead)
    return pulled_test(value, share * (lead - value), overlap, overlap.support, confidence)


def pulled_test(
    value: float, pulls: Floats, overlap: Overlap, support: Support, confidence: float, name: str = "Diebold-Mariano"
) -> PairedTest:
    """Whether a value that every window pulls at, such as a difference of two means, is other than 0.

    Args:
        value: what is tested.
        pulls: how far each window moves it, (n,), which sum to 0: of a mean, the window's own less it, over n.
        overlap: of the windows. support: of those that the value is of.
        confidence: of the interval. name: of the test over time.
    """
    found = _sureness(pulls, overlap, support, name)
    if not found:
        why = f"needs {FEWEST_STRETCHES} stretches of origins that share no step, or {FEW_CLUSTERS} series"
        return PairedTest(Estimate(value=value, method=f"not defined: {why}"), 1.0, f"{name}: it {why}")
    told = ", and ".join(each.told for each in found)
    error = max(each.error for each in found)
    if not error > 0.0:
        low = high = 0.0 if value == 0.0 else None
        return PairedTest(Estimate(value=value, low=low, high=high, method=f"{told}; nothing varies"), 1.0, told, 0.0)
    special = require("scipy.special", "a paired test")
    half, p_value = 0.0, 0.0
    for each in found:
        half = max(half, each.error * float(special.stdtrit(each.freedom, (1.0 + confidence) / 2.0)))
        # An error of 0 beside one that is not: as sure as can be.
        sure = 2.0 * float(special.stdtr(each.freedom, -abs(value) / each.error)) if each.error > 0.0 else 0.0
        p_value = max(p_value, sure)
    estimate = Estimate(value=value, low=value - half, high=value + half, method=told)
    return PairedTest(estimate, min(p_value, 1.0), told, error)


def _sureness(pulls: Floats, overlap: Overlap, support: Support, name: str) -> list[_Sureness]:
    """The errors that a value must exceed: over time, over many series, or over both; none where nothing is known."""
    found = []
    is_many = support.series >= FEW_CLUSTERS
    if support.stretches >= (_TELLING_STRETCHES if is_many else FEWEST_STRETCHES):
        found.append(_over_time(overlap.over_time(pulls), overlap, support, name))
    if is_many:
        each, count = overlap.over_series(pulls), overlap.clusters
        error = float(np.sqrt((each**2).sum() * count / (count - 1)))
        found.append(_Sureness(error, support.series - 1, f"Student's t of {count:,} series"))
    return found


def _over_time(pulls: Floats, overlap: Overlap, support: Support, name: str) -> _Sureness:
    """Diebold & Mariano's standard error with the correction for few origins."""
    count, reach = len(pulls), overlap.reach
    few = (count + 1 - 2 * reach + reach * (reach - 1) / count) / count
    error = float(np.sqrt(long_run(pulls, overlap.origins, overlap.horizon) / few))
    told = f"{name} (HLN) of {count:,} origins, lag {reach - 1}"
    return _Sureness(error, support.stretches - 1, told)


def long_run(pulls: Floats, origins: Ints, horizon: int) -> float:
    """The variance of a sum of what each origin adds, (T,), where those less than a horizon apart go together.

    The larger of the sum of all products within a horizon, and of these with Bartlett's weights (Newey & West,
    Econometrica 1987), which is never negative.
    """
    whole = weighted = float(pulls @ pulls)
    for ahead in range(1, len(pulls)):
        apart = origins[ahead:] - origins[:-ahead]
        near = apart < horizon
        if not near.any():
            break
        products = 2.0 * pulls[ahead:][near] * pulls[:-ahead][near]
        whole += float(products.sum())
        weighted += float(products @ (1.0 - apart[near] / horizon))
    return max(whole, weighted, 0.0)
