"""Origins of forecasts that are drawn as stretches, a horizon long, of all series at once.

Windows whose origins are less than a horizon apart share steps and errors (moving blocks: Künsch, Annals of Statistics
1989; around the end: Politis & Romano 1992). They guard weights against luck; intervals and tests are of `paired.py`,
for of few stretches a bootstrap is far too sure.

Letters: n windows, T origins in time, B bootstrap samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Origins in time and how they are drawn.

    place: of each window among the origins, int64 (n,). count: T. length: origins of a block.
    """

    place: NDArray[np.int64]
    count: int
    length: int

    @classmethod
    def of(cls, steps: NDArray[np.int64], horizon: int) -> Blocks:
        """The blocks of windows whose origins are at these steps: a horizon long, or longer, at most half of all."""
        moments, place = np.unique(steps, return_inverse=True)
        apart = int(np.median(np.diff(moments))) if len(moments) > 1 else 1
        wanted = max(-(-horizon // max(apart, 1)), round(len(moments) ** (1 / 3)))
        return cls(place, len(moments), max(1, min(wanted, len(moments) // 2)))

    @property
    def independent(self) -> int:
        """Blocks that do not overlap."""
        return max(self.count // self.length, 1)

    def draws(self, samples: int, seed: int) -> Floats:
        """How often each origin is drawn in each sample, (B, T)."""
        rng = np.random.default_rng(seed)
        blocks = -(-self.count // self.length)
        first = rng.integers(self.count, size=(samples, blocks))
        drawn = (first[:, :, None] + np.arange(self.length)) % self.count
        drawn = drawn.reshape(samples, -1)[:, : self.count]
        flat = drawn + self.count * np.arange(samples)[:, None]
        return np.bincount(flat.ravel(), minlength=samples * self.count).reshape(samples, -1).astype(np.float64)
