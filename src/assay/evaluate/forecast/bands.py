"""Intervals of forecasts from validation windows (split conformal), and their coverage over time.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); Lei et al., Distribution-Free Predictive
Inference for Regression (JASA 2018), section 5.2 for intervals in units of each row's own size. Windows that follow one
another are not exchangeable, so the coverage is measured on the test windows; there adaptive conformal inference (Gibbs
& Candes, NeurIPS 2021) is shown beside it, which widens intervals after misses and narrows them after hits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.bands import Bands, window_sizes
from assay.evaluate.carried.conformal import interval_score, rank

Floats = NDArray[np.float64]

#: Step by which the adaptive level moves after each outcome.
RATE = 0.05
#: Windows are no smaller than this share of the middle one, for intervals in units of their size.
_LEAST_SHARE = 0.05


def fit_bands(missed: Floats, history: Floats, coverage: float) -> Bands:
    """The intervals that held that share of the validation steps, for each step ahead.

    They are in units of the target, or of each window's own size, whichever has the better interval score (Gneiting &
    Raftery 2007, section 6.2): the mean width alone would favour intervals that fail where errors are large.

    Args:
        missed: absolute errors of the validation windows, (n, H).
        history: their histories, (n, L).
        coverage: the share of steps to hold.
    """
    sizes = window_sizes(history)
    least = _LEAST_SHARE * float(np.median(sizes))
    plain = _quantiles(missed, coverage)
    if least > 0.0:
        units = np.maximum(sizes, least)
        relative = _quantiles(missed / units[:, None], coverage)
        if interval_score(missed, units[:, None] * relative, coverage) < interval_score(missed, plain, coverage):
            return Bands(
                coverage=coverage, half_widths=tuple(relative.tolist()), is_relative=True, least=least,
                windows=len(missed),
            )  # fmt: skip
    return Bands(
        coverage=coverage, half_widths=tuple(plain.tolist()), is_relative=False, least=least, windows=len(missed)
    )


def _quantiles(scores: Floats, coverage: float) -> Floats:
    """The ceil((n + 1) c)-th smallest score of each step, the largest where there are too few, (H,)."""
    place = min(rank(len(scores), coverage), len(scores))
    return np.asarray(np.sort(scores, axis=0)[place - 1])


@dataclass(frozen=True)
class Coverage:
    """How many steps intervals held, by step ahead, (H,), and their half widths on average."""

    held: Floats
    half_width: float


def fixed_coverage(missed: Floats, half_widths: Floats) -> Coverage:
    """Of intervals that stay as they are: errors and half widths (n, H)."""
    return Coverage((missed <= half_widths).mean(axis=0), float(half_widths.mean()))


def adaptive_coverage(
    calibration: Floats, scores: Floats, units: Floats, steps: NDArray[np.int64], coverage: float, rate: float = RATE
) -> Coverage:
    """Of intervals whose level follows the outcomes: an origin is answered by the level that those known by then left.

    Args:
        calibration: absolute errors of validation windows in units, (m, H).
        scores: of the windows in question, (n, H).
        units: what theirs are in, (n,).
        steps: of the origins, (n,); the outcome h steps ahead is known from the origin h steps later on.
        coverage: the share asked for.
        rate: by how much the level moves; 0 leaves intervals fixed.
    """
    horizon = scores.shape[1]
    ordered = np.vstack([np.sort(calibration, axis=0), np.full((1, horizon), np.inf)])
    moments, place = np.unique(steps, return_inverse=True)
    groups = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    level = np.full(horizon, 1.0 - coverage)
    ahead, seen = np.arange(1, horizon + 1), np.zeros(horizon, np.int64)
    misses = np.empty((len(moments), horizon))
    held, width = np.zeros(horizon), 0.0
    for now, rows in enumerate(groups):
        known = np.searchsorted(moments, moments[now] - ahead, side="right")
        while (late := seen < known).any():
            level[late] += rate * ((1.0 - coverage) - misses[seen[late], np.flatnonzero(late)])
            seen[late] += 1
        limit = _at_level(ordered, level)
        inside = scores[rows] <= limit
        misses[now] = 1.0 - inside.mean(axis=0)
        held += inside.sum(axis=0)
        # An endless interval counts as wide as the widest seen in validation.
        shown = np.where(np.isinf(limit), ordered[-2], limit)
        width += float((units[rows][:, None] * shown).sum())
    return Coverage(held / len(scores), width / scores.size)


def _at_level(ordered: Floats, level: Floats) -> Floats:
    """The limits that leave `level` of the calibration scores (m + 1, H, the last one infinite) above, (H,)."""
    place = np.ceil(len(ordered) * (1.0 - level)).astype(np.int64)
    found = ordered[np.clip(place - 1, 0, len(ordered) - 1), np.arange(len(level))]
    return np.where(place < 1, 0.0, found)
