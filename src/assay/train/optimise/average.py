"""Averages of the weights over the steps: exponential (EMA) or over the last epochs (SWA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from assay.train.config import TrainConfig
from assay.train.optimise.flat import Flat


class Averaged:
    """The running mean that is validated and kept in place of the raw weights, where one was asked for.

    EMA: Polyak & Juditsky (1992), with a warm-up of the decay, (1 + t) / (10 + t), so that the first weights are soon
    forgotten. SWA: Izmailov et al. (UAI 2018), the mean over the epoch ends in the last share of the training.
    """

    def __init__(self, flat: Flat, config: TrainConfig) -> None:
        self.flat, self.ema, self.swa = flat, config.ema, config.swa
        self.mean = flat.weights.clone() if config.ema or config.swa else None
        self.seen = 0

    def narrow(self, index: Tensor) -> None:
        """Keep these members alone, as `flat` has before this."""
        self.mean = None if self.mean is None else self.mean[index]

    def after_step(self) -> None:
        """Move the exponential mean."""
        if self.ema and self.mean is not None:
            self.seen += 1
            self.mean.lerp_(self.flat.weights, 1.0 - min(self.ema, (1.0 + self.seen) / (10.0 + self.seen)))

    def after_epoch(self, progress: float) -> None:
        """Take the epoch's weights into the mean of the last share; `progress` is that of the training, to 1."""
        if self.swa and self.mean is not None and progress >= 1.0 - self.swa:
            self.seen += 1
            self.mean.lerp_(self.flat.weights, 1.0 / self.seen)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with the mean as its weights, as soon as there is one."""
        if self.mean is None or not self.seen:
            yield
            return
        raw = self.flat.weights.clone()
        self.flat.weights.copy_(self.mean)
        try:
            yield
        finally:
            self.flat.weights.copy_(raw)

    def state(self) -> dict[str, Tensor]:
        """The tensors to save."""
        return {} if self.mean is None else {"mean": self.mean}
