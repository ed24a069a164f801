"""A forecast that is linear in the window, fitted in closed form: as arrays, and as a network beside others.

Letters: n windows, L steps before the origin, H steps ahead, K channels known ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.models.linear_start import PENALTIES, USUAL, ridges
from assay.models.network import Network

Floats = NDArray[np.float64]

#: Share of the windows, the latest, by which the penalty is chosen.
_HELD_OUT = 0.2
#: Inputs at most; beyond these what is known ahead is left out.
_MOST_INPUTS = 2000
#: The least size of a window beside its last value, and where that is 0: a constant one has none.
_LEAST_SHARE, _LEAST_SIZE = 1e-9, 1e-30


@dataclass(frozen=True)
class LinearForecast:
    """All steps ahead from the change of each step before the last one, from a constant, and from what is known ahead.

    window: (L - 1, H). change: (H,). ahead: (K * H, H), None where nothing known ahead is seen.
    is_sized: what is known ahead acts in units of the window's deviation, and windows were learned from in these.
    penalty: that was chosen. windows: that were learned from.
    """

    window: Floats
    change: Floats
    ahead: Floats | None
    is_sized: bool
    penalty: float
    windows: int

    def answer(self, history: Floats, ahead: Floats | None = None) -> Floats:
        """Forecasts (n, H) of windows (n, L), with what is known ahead of them, (n, K * H); see `fit`."""
        last = history[:, -1:]
        found = (history[:, :-1] - last) @ self.window + self.change + last
        if self.ahead is not None and ahead is not None:
            size = _sizes(history) if self.is_sized else 1.0
            found = found + ahead @ self.ahead * size
        return np.asarray(found, np.float64)

    @classmethod
    def fit(cls, history: Floats, targets: Floats, steps: NDArray[np.int64], ahead: Floats | None) -> LinearForecast:
        """Ridge regression of all steps ahead (Toner & Darlow, ICML 2024: what DLinear comes down to).

        The penalty, and whether windows are taken in units of their deviation, is the best for the latest windows, a
        horizon apart from those that are learned from for the while, by mean absolute error.

        Args:
            history: the steps before, (n, L). targets: the steps ahead, (n, H).
            steps: of the origins in time, (n,).
            ahead: what is known ahead, (n, K * H), each channel from its mean before the origin.
        """
        border = np.quantile(steps, 1.0 - _HELD_OUT)
        judged, taught = steps > border, steps <= border - targets.shape[1]
        choices = []
        for is_sized in (True, False):
            inputs, aims, size = _in_units(history, targets, ahead, is_sized=is_sized)
            errors = np.full(len(PENALTIES), np.inf)
            if judged.any() and taught.sum() >= 2:
                for place, weights in enumerate(ridges(inputs[taught], aims[taught])):
                    errors[place] = np.abs((inputs[judged] @ weights - aims[judged]) * size[judged]).mean()
            best = PENALTIES[int(errors.argmin())] if np.isfinite(errors).any() else USUAL
            choices.append((float(errors.min()), best))
        is_sized = choices[0][0] <= choices[1][0]
        penalty = choices[0 if is_sized else 1][1]
        inputs, aims, _ = _in_units(history, targets, ahead, is_sized=is_sized)
        weights = ridges(inputs, aims, (penalty,))[0]
        length = history.shape[1]
        # The last step of the window is its level, and so always 0: the constant stands in its place.
        return cls(
            weights[: length - 1], weights[length - 1], None if ahead is None else weights[length:], is_sized, penalty,
            len(history),
        )  # fmt: skip


def sees_ahead(length: int, ahead: int) -> bool:
    """Whether a linear forecast takes so many numbers that are known ahead beside a window."""
    return 0 < ahead <= _MOST_INPUTS - length


def _in_units(
    history: Floats, targets: Floats, ahead: Floats | None, *, is_sized: bool
) -> tuple[Floats, Floats, Floats]:
    """Inputs (n, D), answers (n, H) and the unit of each window, (n, 1), all measured from its last value."""
    last = history[:, -1:]
    size = _sizes(history) if is_sized else np.ones_like(last)
    inputs = (history - last) / size
    inputs[:, -1] = 1.0 / size[:, 0]
    whole = inputs if ahead is None else np.concatenate([inputs, ahead], axis=1)
    return whole, (targets - last) / size, size


def _sizes(history: Floats) -> Floats:
    """The deviation of each window, (n, 1), above 0."""
    least = _LEAST_SHARE * np.abs(history[:, -1:]) + _LEAST_SIZE
    sizes: Floats = np.maximum(history.std(axis=1, keepdims=True), least)
    return sizes


class ForecastRidge(Network):
    """A `LinearForecast` as a network of one member: (numbers, extras, codes, series) to (1, n, H).

    Nothing in it is a parameter, for it is fitted by another method than descent.

    known: places of the channels that are known ahead. mean, deviation: the units of the answer.
    """

    window: Tensor
    change: Tensor
    ahead: Tensor

    def __init__(
        self, fitted: LinearForecast, known: Sequence[int], mean: float, deviation: float, reads: Sequence[int]
    ) -> None:
        super().__init__(1)
        self.length, self.horizon = len(fitted.window) + 1, len(fitted.change)
        self.known = tuple(known) if fitted.ahead is not None else ()
        self.is_sized, self.mean, self.deviation, self.reads = fitted.is_sized, mean, deviation, tuple(reads)
        ahead = np.zeros((0, self.horizon)) if fitted.ahead is None else fitted.ahead
        # Answers are of unit deviation; what is known ahead comes as it is, and in units of a window already if sized.
        ahead = ahead if fitted.is_sized else ahead / deviation
        for name, weights in (("window", fitted.window), ("change", fitted.change / deviation), ("ahead", ahead)):
            self.register_buffer(name, torch.from_numpy(np.asarray(weights, np.float32)))

    @property
    def parameter_count(self) -> int:
        """Learned numbers."""
        return self.window.numel() + self.change.numel() + self.ahead.numel()

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media[0] is the window, (n, C, T) float32 with NaN where nothing is known."""
        own = (media[0][:, 0, : self.length] - self.mean) / self.deviation
        own = torch.where(own.isfinite(), own, torch.zeros_like(own))
        last = own[:, -1:]
        found = (own[:, :-1] - last) @ self.window + self.change + last
        if self.known:
            effect = known_ahead(media[0], self.known, self.length) @ self.ahead
            found = found + (effect * self._sizes(own) if self.is_sized else effect)
        return found.unsqueeze(0)

    def _sizes(self, own: Tensor) -> Tensor:
        spread = (own - own.mean(1, keepdim=True)).square().mean(1, keepdim=True).sqrt()
        least = _LEAST_SHARE * (own[:, -1:] + self.mean / self.deviation).abs() + _LEAST_SIZE
        return torch.maximum(spread, least)


def known_ahead(series: Tensor, known: Sequence[int], length: int) -> Tensor:
    """The steps to come of these channels of windows (n, C, T), from their means before the origin, (n, K * H)."""
    steps = series[:, list(known)]
    steps = torch.where(steps.isfinite(), steps, torch.zeros_like(steps))
    return (steps[:, :, length:] - steps[:, :, :length].mean(2, keepdim=True)).flatten(1)
