"""Learning-rate schedules: plain functions of progress, so that their horizon can be moved to fit a budget."""

from __future__ import annotations

import math
from bisect import bisect_right

from assay.train.config import TrainConfig


def factor(step: int, horizon: int, config: TrainConfig) -> float:
    """Factor of the highest learning rate at `step` of `horizon`: a linear warm-up, then the schedule of `config`.

    Warm-up after Goyal et al. (2017): `config.warmup` is the share of the steps in which the rate rises. What plateaus
    take off is not in here (see `Plateau`).
    """
    rising = config.warmup * horizon
    if config.schedule == "one_cycle":
        return one_cycle(step / max(horizon, 1), max(config.warmup, 1e-9))
    if step < rising:
        return (step + 1) / (rising + 1)
    return _after_warmup(min(1.0, (step - rising) / max(horizon - rising, 1.0)), config)


def _after_warmup(progress: float, config: TrainConfig) -> float:
    """The schedule's factor at `progress` from 0 to 1."""
    match config.schedule:
        case "constant" | "plateau":
            return 1.0
        case "step":
            return math.pow(config.gamma, math.floor(progress / config.step_share))
        case "multistep":
            return math.pow(config.gamma, bisect_right(config.milestones, progress))
        case "exponential":
            return math.pow(config.gamma, progress)
        case "restarts":
            return cosine(math.modf(progress * config.cycles)[0] if progress < 1.0 else 1.0)
        case "coslog4":
            return coslog4(progress)
        case "flat_cosine":
            return flat_cosine(progress)
    return cosine(progress)


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter, SGDR, ICLR 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def coslog4(progress: float) -> float:
    """Four cosine waves of doubling length from 0 to 0 (Holzmueller et al., RealMLP, NeurIPS 2024, section 3)."""
    return 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + 15.0 * progress)))


def flat_cosine(progress: float) -> float:
    """1 in the first half, then half a cosine to 0 (Holzmueller et al., RealMLP, NeurIPS 2024, appendix A)."""
    return 1.0 if progress < 0.5 else cosine(2.0 * progress - 1.0)


def one_cycle(progress: float, rising: float) -> float:
    """A cosine up from 1/25 in the share `rising`, then down to 1/250,000 (Smith & Topin, Super-Convergence, 2018)."""
    low, lowest = 1.0 / 25.0, 1.0 / 250_000.0
    if progress < rising:
        return low + (1.0 - low) * (1.0 - cosine(progress / rising))
    return lowest + (1.0 - lowest) * cosine(min(1.0, (progress - rising) / (1.0 - rising)))


class Plateau:
    """A factor that falls when the loss has not improved for some epochs (torch's ReduceLROnPlateau)."""

    def __init__(self, config: TrainConfig) -> None:
        self.patience, self.gamma = config.plateau_patience, config.gamma
        self.is_on = config.schedule == "plateau"
        self.factor, self.best, self.waited = 1.0, math.inf, 0

    def look(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        if not self.is_on:
            return
        if loss < self.best * (1.0 - 1e-4):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.factor, self.waited = self.factor * self.gamma, 0
