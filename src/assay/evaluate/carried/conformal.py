"""What split-conformal prediction rests on: the quantile of n scores, and the coverage that it may turn out to have.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); Vovk, Conditional validity of inductive
conformal predictors (ACML 2012), section 3 for the Beta distribution of the coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from assay._imports import require

Floats = NDArray[np.float64]

#: The rank is taken of a whole number where floating point has missed it by so little.
_ROUNDING = 1e-9


def rank(rows: int, coverage: float) -> int:
    """The place, from 1, of the score that holds a new row's with that probability: ceil((n + 1) c); above n: none."""
    return ceil((rows + 1) * coverage - _ROUNDING)


def fewest_rows(coverage: float) -> int:
    """The calibration rows without which no score of theirs holds a new row's with that probability."""
    return ceil(coverage / (1.0 - coverage) - _ROUNDING)


def conformal_quantile(scores: Floats, coverage: float) -> Floats:
    """The `rank`-th smallest along the first axis; infinite where there are too few."""
    place = rank(len(scores), coverage)
    if place > len(scores):
        return np.full(scores.shape[1:], np.inf)
    return np.asarray(np.partition(scores, place - 1, axis=0)[place - 1])


def interval_score(missed: Floats, half_widths: Floats, coverage: float) -> float:
    """Mean width and, for each error beyond it, 2 / (1 - coverage) times how far: the smaller the better.

    Gneiting & Raftery, Strictly Proper Scoring Rules (JASA 2007), section 6.2.
    """
    beyond = np.maximum(missed - half_widths, 0.0)
    return float((2.0 * half_widths + 2.0 / (1.0 - coverage) * beyond).mean())


@dataclass(frozen=True)
class Chance:
    """How many of `rows` new rows are held, where a limit was calibrated on `calibration` rows: beta-binomial.

    The coverage of a limit is Beta(k, n + 1 - k), k its rank, if scores do not tie; test rows add their own chance.
    """

    calibration: int
    coverage: float
    rows: int

    def band(self, confidence: float) -> tuple[float, float]:
        """The shares between which the share held lies with that probability, equal tails."""
        if not self.rows:
            return 0.0, 1.0
        summed = self._cumulative()
        tail = (1.0 - confidence) / 2.0
        low = int(np.searchsorted(summed, tail))
        high = int(np.searchsorted(summed, 1.0 - tail))
        return low / self.rows, min(high, self.rows) / self.rows

    def at_most(self, share: float) -> float:
        """The probability that no more than this share of the rows is held."""
        if not self.rows:
            return 1.0
        return float(self._cumulative()[min(max(floor(share * self.rows + 0.5), 0), self.rows)])

    def _cumulative(self) -> Floats:
        special = require("scipy.special", "the coverage of prediction sets")
        place = min(rank(self.calibration, self.coverage), self.calibration)
        a, b, m = float(place), float(self.calibration + 1 - place), self.rows
        held = np.arange(m + 1, dtype=np.float64)
        log = special.betaln(held + a, m - held + b) - special.betaln(a, b)
        log -= np.log(m + 1.0) + special.betaln(held + 1.0, m - held + 1.0)
        return np.asarray(np.minimum(np.cumsum(np.exp(log)), 1.0))
