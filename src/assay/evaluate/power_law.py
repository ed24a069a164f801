"""Errors by rows learned from, as a power law with a floor, and what more rows would bring.

error(n) = a * (n / N)^-b + c, N being the most rows (Hestness et al., Deep Learning Scaling is Predictable,
Empirically, 2017; Viering & Loog, The Shape of Learning Curves, TPAMI 2023). A few points do not determine three
numbers: the exponent is drawn towards 0.4 as far as the points leave it open, and how far the answer depends on that is
part of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.estimate import Estimate

Floats = NDArray[np.float64]

#: Exponents that are tried, where they are drawn to, and how strongly (a normal prior).
_EXPONENTS = np.linspace(0.05, 1.5, 59)
_CENTRE, _SPREAD = 0.4, 0.3
_DRAWS = 1000
#: Spread of an error that is taken for granted, as a share of it: repeats may agree by chance.
_LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a * (n / most)^-b + c."""

    a: float
    b: float
    c: float
    most: float

    def at(self, rows: float) -> float:
        """The error after so many rows."""
        return float(self.a * (rows / self.most) ** -self.b + self.c)


def fit_power_law(sizes: Floats, errors: Floats) -> PowerLaw:
    """The law through the mean errors.

    Args:
        sizes: rows, (p,).
        errors: of each repeat, (p, r).
    """
    shares = sizes / sizes.max()
    a, b, c = _fitted(shares, errors.mean(1)[None], _noise(errors), np.full(1, _CENTRE))
    return PowerLaw(float(a[0]), float(b[0]), float(c[0]), float(sizes.max()))


def gain_of_more(sizes: Floats, errors: Floats, now: float, then: float, *, confidence: float, seed: int) -> Estimate:
    """How much lower the error would be after `then` rows than after `now`.

    The interval is of laws through means that are drawn anew with the spread of the repeats, each drawn towards an
    exponent of its own from the prior.
    """
    rng = np.random.default_rng(seed)
    shares, noise = sizes / sizes.max(), _noise(errors)
    law = fit_power_law(sizes, errors)
    drawn = errors.mean(1) + noise * rng.standard_normal((_DRAWS, len(sizes)))
    centres = np.clip(rng.normal(_CENTRE, _SPREAD, _DRAWS), _EXPONENTS[0], _EXPONENTS[-1])
    a, b, _ = _fitted(shares, drawn, noise, centres)
    ends = np.array([now, then]) / sizes.max()
    gains = a * (ends[0] ** -b - ends[1] ** -b)
    value = law.at(now) - law.at(then)
    low, high = np.quantile(gains, [(1 - confidence) / 2, (1 + confidence) / 2])
    method = f"power law, {_DRAWS:,} draws"
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)), method=method)


def _noise(errors: Floats) -> float:
    """The standard error of a mean of the repeats, pooled over the sizes."""
    repeats = errors.shape[1]
    spread = float(np.sqrt(errors.var(axis=1, ddof=1).mean())) if repeats > 1 else 0.0
    return max(spread, _LEAST_NOISE * float(np.abs(errors).mean()), 1e-12) / float(np.sqrt(repeats))


def _fitted(shares: Floats, means: Floats, noise: float, centres: Floats) -> tuple[Floats, Floats, Floats]:
    """a, b and c of the likeliest law for each of the means (d, p), by least squares at every exponent; c >= 0."""
    best = np.full(len(means), np.inf)
    found = [np.zeros(len(means)) for _ in range(3)]
    for exponent in _EXPONENTS:
        basis = shares**-exponent
        centred = basis - basis.mean()
        a = (means @ centred) / (centred @ centred)
        c = means.mean(1) - a * basis.mean()
        below = c < 0.0  # no error is below 0: the law goes through the origin then
        a = np.where(below, (means @ basis) / (basis @ basis), a)
        c = np.where(below, 0.0, c)
        missed = ((means - a[:, None] * basis - c[:, None]) ** 2).sum(1) / noise**2
        cost = missed + ((exponent - centres) / _SPREAD) ** 2
        better = cost < best
        best[better] = cost[better]
        for kept, value in zip(found, (a, np.full(len(a), exponent), c), strict=True):
            kept[better] = value[better]
    return found[0], found[1], found[2]
