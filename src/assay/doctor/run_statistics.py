"""Statistics of a training, its losses, gradients and answers: each a number held against a limit elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.doctor.rows_statistics import Floats, Labels

#: Steps a gradient is compared with, and steps from which on it is.
_WINDOW, _FEWEST = 100, 20


def jump(norms: Sequence[float]) -> float:
    """The largest norm of a gradient, in medians of the hundred before it; 0 for fewer than 20 steps.

    A norm also has to be 10 median absolute deviations above the median to count.
    """
    largest = 0.0
    for place in range(_FEWEST, len(norms)):
        before = np.asarray(norms[max(0, place - _WINDOW) : place])
        median = float(np.median(before))
        spread = float(np.median(np.abs(before - median)))
        # A norm that has fallen to nothing says little of a jump: the usual size counts as well.
        usual = max(median, 0.1 * float(np.median(norms[:_FEWEST])), 1e-12)
        if norms[place] > median + 10 * spread:
            largest = max(largest, norms[place] / usual)
    return largest


def rise(losses: Sequence[float], errors: Sequence[float], train: Sequence[float]) -> float:
    """How far the last validation loss is above the least, as a share of it; 0 where that is chance.

    Args:
        losses: validation losses, in time.
        errors: their standard errors over rows.
        train: training losses at the same moments; where they do not fall after the least, it is no overfitting.
    """
    if len(losses) < 3:
        return 0.0
    best = int(np.argmin(losses))
    last = len(losses) - 1
    if best == last or train[last] >= train[best]:
        return 0.0
    above = losses[last] - losses[best]
    return above / max(losses[best], 1e-12) if above > 2 * errors[last] else 0.0


def ratio_log10(sizes: Sequence[float]) -> float:
    """log10 of the largest over the smallest size; infinite where one is nothing, 0 for fewer than two."""
    if len(sizes) < 2:
        return 0.0
    return math.inf if min(sizes) <= 0 else math.log10(max(sizes) / min(sizes))


def gain_in_errors(ours: Floats, theirs: Floats) -> float:
    """Mean gain of paired losses (theirs - ours), in its standard errors."""
    gain = theirs - ours
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    mean = float(gain.mean())
    if error <= 1e-12:
        return 0.0 if abs(mean) <= 1e-12 else math.copysign(99.0, mean)
    return mean / error


def upper_gap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Mean of paired score differences (ours - theirs), upper 99 % bound."""
    gap = ours - theirs
    return float(gap.mean() + 2.33 * gap.std(ddof=1) / math.sqrt(len(gap))) if len(gap) > 1 else 0.0


def calibration_excess(probabilities: Floats, labels: Labels, *, draws: int = 200, bins: int = 15) -> float:
    """Expected calibration error beyond the 99 % quantile of a calibrated model's on as many rows; at least 0.

    The quantile is of labels drawn from the probabilities themselves: the error of a perfect model is not zero on few
    rows.
    """
    confidence, answer = probabilities.max(axis=1), probabilities.argmax(axis=1)
    rng = np.random.default_rng(0)
    null = [_ece(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(draws)]
    return max(0.0, _ece(confidence, answer == labels, bins) - float(np.quantile(null, 0.99)))


def _ece(confidence: Floats, hits: NDArray[np.bool_], bins: int) -> float:
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=confidence - hits, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def membership(train: Floats, others: Floats) -> float:
    """Share of training rows found by their small loss at 1 % false alarms, lower 99 % bound (Clopper-Pearson-like).

    The bound is Wilson's, which is close to the exact one and needs no tables.
    """
    if len(others) < 100 or not len(train):
        return 0.0
    limit = np.quantile(others, 0.01)
    n, share, z = len(train), float((train < limit).mean()), 2.33
    centre = share + z * z / (2 * n)
    width = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - width) / (1 + z * z / n))
