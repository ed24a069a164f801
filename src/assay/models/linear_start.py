"""Linear forecasts in closed form: ridge regression of all steps ahead on the window."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.rows import sample_of

Floats = NDArray[np.float64]

#: Penalties tried, for inputs of unit size.
PENALTIES = tuple(10.0**place for place in range(-3, 5))
#: The penalty where nothing can be held out.
USUAL = 10.0
#: Windows that a start is fitted to at most, and the share of them, the last, by which the penalty is chosen.
_WINDOWS, _HELD_OUT = 20_000, 0.2


def ridges(inputs: Floats, aims: Floats, penalties: tuple[float, ...] = PENALTIES) -> list[Floats]:
    """The weights (D, H) for each penalty, of inputs (n, D) brought to unit size, and aims (n, H)."""
    scale = np.sqrt((inputs**2).mean(axis=0))
    scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    scaled = inputs * scale
    squares, vectors = np.linalg.eigh(scaled.T @ scaled)
    projected = vectors.T @ (scaled.T @ aims)
    squares = np.maximum(squares, 0.0)[:, None]
    return [scale[:, None] * (vectors @ (projected / (squares + penalty))) for penalty in penalties]


def linear_start(windows: Tensor, aims: Tensor, sizes: Tensor) -> Tensor:
    """Weights (L, H) that forecast aims (n, H) from windows (n, L), both in units of the window's size, (n, 1).

    The penalty is the best for the last windows, a horizon apart from those that are learned from for the while; they
    are judged in the target's units.
    """
    kept = sample_of(len(windows), _WINDOWS)
    if kept is not None:
        places = torch.from_numpy(kept)
        windows, aims, sizes = windows[places], aims[places], sizes[places]
    inputs, wanted, size = (each.double().numpy() for each in (windows, aims, sizes))
    border = round(len(inputs) * (1.0 - _HELD_OUT))
    taught = border - wanted.shape[1]
    penalty = USUAL
    if taught >= 2 and border < len(inputs):
        errors = [
            float(np.abs((inputs[border:] @ weights - wanted[border:]) * size[border:]).mean())
            for weights in ridges(inputs[:taught], wanted[:taught])
        ]
        penalty = PENALTIES[int(np.argmin(errors))]
    return torch.from_numpy(ridges(inputs, wanted, (penalty,))[0]).float()
