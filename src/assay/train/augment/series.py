"""Random changes of training series that leave their meaning as it is; never for rows that are predicted or scored.

Shape legend: n rows, C channels, T steps of time. Series are (n, C, T) float32 with NaN where nothing was measured.

Iwana & Uchida, An empirical survey of data augmentation for time series classification with neural networks, PLOS ONE
2021, compare them; Um et al., ICMI 2017, have jitter, scaling and permutation. All are pure functions of the series and
a generator; they work on a whole batch at once, and what is missing moves with what is there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from assay.train.augment.series_policy import SeriesPolicy


def augment_series(series: Tensor, policy: SeriesPolicy, generator: torch.Generator) -> Tensor:
    """The series as `policy` changes them; each row's changes are drawn for it alone."""
    steps: list[tuple[float, Callable[[Tensor], Tensor]]] = [
        (policy.slicing, lambda given: window_slicing(given, generator, policy.slice_share)),
        (policy.warping, lambda given: window_warping(given, generator)),
        (policy.permutation, lambda given: permutation(given, generator)),
        (policy.scaling, lambda given: scaling(given, generator, policy.scaling_strength)),
        (policy.jitter, lambda given: jitter(given, generator, policy.jitter_strength)),
    ]
    home = series.device
    series = series.cpu()  # where the generator draws
    for probability, change in steps:
        if probability:
            is_changed = torch.rand(len(series), 1, 1, generator=generator) < probability
            series = torch.where(is_changed, change(series), series)
    return series.to(home)


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
