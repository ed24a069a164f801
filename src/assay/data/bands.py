"""Intervals around forecasts: what a model carries of them, and how they are laid around its answers."""

from __future__ import annotations

import numpy as np

from assay.records import Record


class Bands(Record):
    """Half widths of the intervals around a forecast.

    coverage: the share of steps that they were made to hold. half_widths: of each step ahead.
    is_relative: whether half widths are in units of the window's own size, at least `least`, instead of the target's.
    windows: of how many validation windows they were learned.
    """

    coverage: float
    half_widths: tuple[float, ...]
    is_relative: bool
    least: float
    windows: int

    def around(self, history: np.ndarray) -> np.ndarray:
        """Half widths for windows whose histories are (n, L): (n, H)."""
        widths = np.array(self.half_widths)
        return np.asarray(self.units(history)[:, None] * widths)

    def units(self, history: np.ndarray) -> np.ndarray:
        """What half widths are in for windows whose histories are (n, L): (n,)."""
        if not self.is_relative:
            return np.ones(len(history))
        return np.asarray(np.maximum(window_sizes(history), self.least))


def window_sizes(history: np.ndarray) -> np.ndarray:
    """The mean absolute change from one step to the next in windows (n, L) without gaps: (n,)."""
    if history.shape[1] < 2:
        return np.zeros(len(history))
    return np.asarray(np.abs(np.diff(history, axis=1)).mean(axis=1))
