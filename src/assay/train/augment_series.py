"""Random changes of training series that leave their meaning as it is; never for rows that are predicted or scored.

Shape legend: n rows, C channels, T steps of time. Series are (n, C, T) float32 with NaN where nothing was measured.

Iwana & Uchida, An empirical survey of data augmentation for time series classification with neural networks, PLOS ONE
2021, compare them; Um et al., ICMI 2017, have jitter, scaling and permutation. All are pure functions of the series and
a generator; they work on a whole batch at once, and what is missing moves with what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from assay.records import Record


def jitter(series: Tensor, generator: torch.Generator, strength: float = 0.03) -> Tensor:
    """Add normal noise of `strength` deviations of each channel of each series."""
    noise = torch.randn(series.shape, generator=generator)
    return series + noise * (strength * _deviation(series))


def scaling(series: Tensor, generator: torch.Generator, strength: float = 0.1) -> Tensor:
    """Multiply each channel of each series by a normal factor around 1."""
    return series * (1.0 + strength * torch.randn(*series.shape[:2], 1, generator=generator))


def window_warping(
    series: Tensor, generator: torch.Generator, window: float = 0.1, factors: tuple[float, float] = (0.5, 2.0)
) -> Tensor:
    """Slow down or speed up a window of each series and stretch the whole to its length again (Le Guennec et al. 2016).

    window: its share of the series. factors: how many times as long it becomes, one of two.
    """
    rows, _, steps = series.shape
    long = max(window * (steps - 1), 1e-6)
    start = torch.rand(rows, 1, generator=generator) * max(steps - 1 - long, 0.0)
    factor = torch.tensor(factors)[torch.randint(len(factors), (rows, 1), generator=generator)]
    whole = steps - 1 + (factor - 1.0) * long
    warped = torch.linspace(0.0, 1.0, steps) * whole  # places in the warped series
    place = warped - start
    inside = start + place / factor
    after = warped - (factor - 1.0) * long
    return _read(series, torch.where(place < 0, warped, torch.where(place < factor * long, inside, after)))


def window_slicing(series: Tensor, generator: torch.Generator, share: float = 0.9) -> Tensor:
    """Stretch a random slice of each series to its length (Le Guennec et al. 2016)."""
    rows, _, steps = series.shape
    long = share * (steps - 1)
    start = torch.rand(rows, 1, generator=generator) * (steps - 1 - long)
    return _read(series, start + torch.linspace(0.0, 1.0, steps) * long)


def permutation(series: Tensor, generator: torch.Generator, pieces: int = 4) -> Tensor:
    """Cut each series into pieces, about as long as each other, and put them in another order."""
    rows, _, steps = series.shape
    pieces = min(pieces, steps)
    piece = torch.arange(steps) * pieces // steps
    order = torch.rand(rows, pieces, generator=generator).argsort(1)
    taken = order.argsort(1)[:, piece].argsort(stable=True, dim=1)  # (n, T): steps by the new place of their piece
    return series.gather(2, taken.unsqueeze(1).expand_as(series))


class Mixed(NamedTuple):
    """Series that are mixed with other rows' series: share * own + (1 - share) * other, targets likewise.

    series: (n, C, T). other: (n,) row each is mixed with. share: (n,) of its own, at least a half.
    """

    series: Tensor
    other: Tensor
    share: Tensor


def mixup(series: Tensor, generator: torch.Generator, alpha: float = 0.2) -> Mixed:
    """Mix each series with another row's, by a share of Beta(alpha, alpha) (Zhang et al., mixup, ICLR 2018).

    Where only one of the two was measured, it stands alone.
    """
    rows = len(series)
    other = torch.randperm(rows, generator=generator)
    share = _beta(rows, alpha, generator)
    share = torch.maximum(share, 1.0 - share)
    beside, own = series[other], share.view(-1, 1, 1)
    mixed = own * series + (1.0 - own) * beside
    return Mixed(torch.where(series.isnan(), beside, torch.where(beside.isnan(), series, mixed)), other, share)


def _beta(rows: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draws of Beta(alpha, alpha), (n,), as a share of two Gamma draws."""
    both = torch._standard_gamma(torch.full((2, rows), alpha, dtype=torch.float64), generator)
    return ((both[0] + 1e-300) / (both.sum(0) + 2e-300)).float()


def _deviation(series: Tensor) -> Tensor:
    """Of what was measured, (n, C, 1); 0 where nothing was."""
    there = series.isfinite()
    count = there.sum(2, keepdim=True).clamp(min=1)
    known = torch.where(there, series, 0.0)
    mean = known.sum(2, keepdim=True) / count
    return (torch.where(there, series - mean, 0.0).square().sum(2, keepdim=True) / count).sqrt()


def _read(series: Tensor, places: Tensor) -> Tensor:
    """Values at places (n, T) between 0 and T - 1, on straight lines between steps.

    Beside a missing step the nearer one is taken, so that gaps and ends keep their size.
    """
    last = series.shape[2] - 1
    places = places.clamp(0.0, float(last))
    below = places.floor().long().clamp(max=max(last - 1, 0))
    above = (below + 1).clamp(max=last)
    share = (places - below).unsqueeze(1)
    left, right = (series.gather(2, each.unsqueeze(1).expand_as(series)) for each in (below, above))
    nearer = torch.where(share < 0.5, left, right)
    return torch.where(left.isnan() | right.isnan(), nearer, left + (right - left) * share)


class SeriesPolicy(Record):
    """Which changes training series undergo: each with a probability, drawn for each row of each batch."""

    jitter: float = Field(0.0, ge=0.0, le=1.0, description="Probability of added noise.")
    jitter_strength: float = Field(0.03, gt=0.0, le=1.0, description="Noise, in deviations of the series.")
    scaling: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a factor for each channel.")
    scaling_strength: float = Field(0.1, gt=0.0, le=1.0, description="Deviation of the factor around 1.")
    window_warping: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a window that is slower or faster.")
    window_slicing: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a slice stretched to the length.")
    slice_share: float = Field(0.9, gt=0.0, le=1.0, description="Share of the series that a slice keeps.")
    permutation: float = Field(0.0, ge=0.0, le=1.0, description="Probability of pieces in another order.")
    pieces: int = Field(4, ge=2, le=64, description="Pieces of a permutation.")
    mixup: float = Field(0.0, ge=0.0, le=1.0, description="Probability that a batch is mixed with itself.")
    mixup_alpha: float = Field(0.2, gt=0.0, le=4.0, description="Both parameters of mixup's Beta distribution.")

    @property
    def is_idle(self) -> bool:
        """Whether nothing is changed."""
        return not any(
            (self.jitter, self.scaling, self.window_warping, self.window_slicing, self.permutation, self.mixup)
        )

    def apply(self, series: Tensor, generator: torch.Generator) -> Mixed:
        """A changed batch; each row comes with the row it is mixed with and its own share, 1 where it is not mixed."""
        steps: list[tuple[float, Callable[[Tensor], Tensor]]] = [
            (self.window_slicing, lambda given: window_slicing(given, generator, self.slice_share)),
            (self.window_warping, lambda given: window_warping(given, generator)),
            (self.permutation, lambda given: permutation(given, generator, self.pieces)),
            (self.scaling, lambda given: scaling(given, generator, self.scaling_strength)),
            (self.jitter, lambda given: jitter(given, generator, self.jitter_strength)),
        ]
        for probability, change in steps:
            if probability:
                is_changed = torch.rand(len(series), 1, 1, generator=generator) < probability
                series = torch.where(is_changed, change(series), series)
        if self.mixup and float(torch.rand((), generator=generator)) < self.mixup:
            return mixup(series, generator, self.mixup_alpha)
        return Mixed(series, torch.arange(len(series)), torch.ones(len(series)))
