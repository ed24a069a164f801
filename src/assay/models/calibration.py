"""Maps from stated to honest probabilities, as numbers of NumPy and as a module that is exported.

They are applied to the averaged answer of all networks, in double precision: what they make of a probability close to 1
hangs on what is left to 1. Sources: Platt, Probabilistic Outputs for Support Vector Machines (1999); Guo et al., On
Calibration of Modern Neural Networks (ICML 2017), section 4.2, vector scaling; Kull, Silva Filho & Flach, Beta
calibration (AISTATS 2017); Zadrozny & Elkan, Transforming Classifier Scores (KDD 2002), isotonic regression, here
with the centres of its blocks joined (Oron & Flournoy, Centered Isotonic Regression, 2017), so that no two answers
become one; one isotonic function for all of more than two classes (Zhang, Kailkhura & Han, Mix-n-Match, ICML 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]
MapKind = Literal["vector", "beta", "isotonic"]
Kind = Literal["none", "temperature", "vector", "beta", "isotonic"]

#: Probabilities, and what is left to 1, are taken as at least this.
TINY = 1e-12
#: Rise of the answer's log odds beyond the first and the last knot, for one of the stated ones: the order is kept, and
#: no more is claimed than what was seen.
TAIL = 0.1


@dataclass(frozen=True)
class CalibrationMap:
    """A fitted map of probabilities (n, K) to such that sum to 1; `p` is a probability and `r` what is left of it to 1.

    Where `has_labels`, columns are labels that do not exclude each other: each is mapped for itself, by a slope or two
    and a shift of its own, and nothing is summed.

    vector: softmax of slopes * log p + shifts, one of each a class; of two classes as `beta`, with both slopes equal.
    beta: sigmoid of slopes * log p - rests * log r + shifts, over the sum of the classes; of two classes the positive
        one alone.
    isotonic: sigmoid of the line through (knots, heights), both log odds and rising, over the sum of the classes.
    """

    kind: MapKind
    slopes: tuple[float, ...] = ()
    rests: tuple[float, ...] = ()
    shifts: tuple[float, ...] = ()
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()
    has_labels: bool = False

    @property
    def is_softmax(self) -> bool:
        """Whether the classes are scaled together: vector scaling of more than two."""
        return self.kind == "vector" and not self.rests

    @property
    def bends(self) -> tuple[float, ...]:
        """By how much the line through the knots gets steeper at each of them."""
        rises = np.diff(self.heights) / np.diff(self.knots)
        return tuple(np.diff(np.concatenate([[TAIL], rises, [TAIL]])).tolist())

    def apply(self, stated: Floats) -> Floats:
        """Calibrated probabilities (n, K)."""
        stated = np.asarray(stated, np.float64)
        of_two = stated.shape[1] == 2 and not self.has_labels
        own = stated[:, 1:] if of_two else stated
        whole = 1.0 if self.has_labels else stated.sum(axis=1, keepdims=True)
        rest = stated[:, :1] if of_two else whole - stated
        own, rest = np.log(np.maximum(own, TINY)), np.log(np.maximum(rest, TINY))
        if self.is_softmax:
            scaled = own * np.array(self.slopes) + np.array(self.shifts)
            grown = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return np.asarray(grown / grown.sum(axis=1, keepdims=True), np.float64)
        odds = self._odds(own, rest)
        if of_two:
            return np.concatenate([_sigmoid(-odds), _sigmoid(odds)], axis=1)
        shares = _sigmoid(odds)
        if self.has_labels:
            return shares
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)

    def _odds(self, own: Floats, rest: Floats) -> Floats:
        if self.kind != "isotonic":
            return np.asarray(own * np.array(self.slopes) - rest * np.array(self.rests) + np.array(self.shifts))
        odds = own - rest
        below, above = np.minimum(odds - self.knots[0], 0.0), np.maximum(odds - self.knots[-1], 0.0)
        return np.asarray(np.interp(odds, self.knots, self.heights) + TAIL * (below + above), np.float64)


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0))), np.float64)


class Calibrated(nn.Module):
    """A `CalibrationMap` as a module: stated probabilities (n, K) in float64 in, calibrated ones out."""

    slopes: Tensor
    rests: Tensor
    shifts: Tensor
    knots: Tensor
    bends: Tensor

    def __init__(self, found: CalibrationMap) -> None:
        super().__init__()
        self.is_softmax, self.is_isotonic, self.has_labels = found.is_softmax, bool(found.knots), found.has_labels
        self.start = found.heights[0] if found.heights else 0.0
        held = {"slopes": found.slopes, "rests": found.rests, "shifts": found.shifts, "knots": found.knots}
        held["bends"] = found.bends if found.knots else ()
        for name, values in held.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, stated: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        of_two = stated.shape[1] == 2 and not self.has_labels
        own = stated[:, 1:] if of_two else stated
        rest = stated[:, :1] if of_two else (1.0 if self.has_labels else stated.sum(-1, keepdim=True)) - stated
        own, rest = own.clamp(min=TINY).log(), rest.clamp(min=TINY).log()
        if self.is_softmax:
            return (own * self.slopes + self.shifts).softmax(-1)
        odds = self._odds(own, rest)
        if of_two:
            return torch.cat([(-odds).sigmoid(), odds.sigmoid()], -1)
        shares = odds.sigmoid()
        return shares if self.has_labels else shares / shares.sum(-1, keepdim=True)

    def _odds(self, own: Tensor, rest: Tensor) -> Tensor:
        if not self.is_isotonic:
            return own * self.slopes - rest * self.rests + self.shifts
        odds = own - rest
        found = self.start + TAIL * (odds - self.knots[0])
        # One knot after another: all at once would take as many times the memory.
        for place in range(len(self.knots)):
            found = found + self.bends[place] * (odds - self.knots[place]).clamp(min=0.0)
        return found


@dataclass(frozen=True)
class KindLoss:
    """The cross-validated log loss of a kind of calibration, and the standard error of its distance from the best."""

    kind: Kind
    loss: float
    error: float


@dataclass(frozen=True)
class CalibrationChoice:
    """Which kind of calibration was taken, and why.

    losses: of every kind that was tried, from the simplest on; empty where none was chosen among. rows: that it was
    fitted on. reason: in words. is_doubtful: whether it was asked for with fewer rows than it needs.
    """

    kind: Kind
    losses: tuple[KindLoss, ...]
    rows: int
    reason: str
    is_doubtful: bool = False
