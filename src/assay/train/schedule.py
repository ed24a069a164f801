"""Learning-rate schedules: plain functions of progress."""

from __future__ import annotations

import math


def warm_cosine(step: int, steps: int, warmup: float) -> float:
    """Factor of the highest learning rate at `step` of `steps`: linear warm-up, then half a cosine down to zero.

    Loshchilov & Hutter, SGDR (ICLR 2017); warm-up after Goyal et al. (2017). `warmup` is the share of the
    steps in which the rate rises.
    """
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - rising) / max(steps - rising, 1.0))))
