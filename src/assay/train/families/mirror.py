"""Whether pictures may be mirrored: a quick model of plain pictures is asked about their mirror images.

A letter mirrored is another sign, a cat mirrored is a cat. Rather than to ask what is shown, a ridge regression of
coarse pixels is fitted to training pictures and scored on validation pictures, as they are and mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.batches import Batch
from assay.data.rows import sample_of
from assay.train.examples import Examples
from assay.train.families.closed_head import aims_of
from assay.train.families.ridge import fit_ridge

#: Sides of the coarse pictures, and pictures that are learned from and judged by at most.
_SIDE, _LEARNED, _JUDGED = 12, 4000, 2000
#: Share of what the quick model knows that may be lost on mirror images.
_LOST = 0.3


@dataclass(frozen=True)
class MirrorTest:
    """Accuracy, or R2, of a quick model on validation pictures and on their mirror images, and of knowing nothing."""

    plain: float
    mirrored: float
    chance: float

    @property
    def passed(self) -> bool:
        """Whether mirror images are known nearly as well, so that training may have them."""
        return self.plain - self.mirrored <= _LOST * max(self.plain - self.chance, 0.0)

    def told(self) -> str:
        """The numbers in words."""
        return f"a quick model scores {self.plain:.3f} on validation pictures and {self.mirrored:.3f} mirrored"


def mirror_test(found: Examples, seed: int) -> MirrorTest:
    """Ask a quick model about the pictures of validation rows and about their mirror images."""
    train, valid = (
        next(iter(source.blocks(len(source))))
        for source in found.on(torch.device("cpu"), 1, [0], found.places("pictures"))
    )
    train, valid = _some(train, _LEARNED, seed), _some(valid, _JUDGED, seed)
    ridge = fit_ridge(_coarse(train.inputs.media[0]), aims_of(train.target.numpy(), found))
    pictures, target = valid.inputs.media[0], valid.target.numpy()
    plain, mirrored = (_score(ridge.decide(_coarse(each)), target) for each in (pictures, pictures.flip(3)))
    if not found.classifies:
        return MirrorTest(plain, mirrored, 0.0)
    return MirrorTest(plain, mirrored, float(np.bincount(target).max() / len(target)))


def _some(rows: Batch, most: int, seed: int) -> Batch:
    taken = sample_of(len(rows), most, seed)
    return rows if taken is None else rows[torch.from_numpy(taken)]


def _coarse(pictures: Tensor) -> NDArray[np.float32]:
    """Pictures as a few pixels each, (n, C * side * side)."""
    height, width = pictures.shape[2:]
    side = min(_SIDE, height), min(_SIDE, width)
    coarse = [functional.adaptive_avg_pool2d(some.float() / 255.0, side).flatten(1) for some in pictures.split(512)]
    found: NDArray[np.float32] = torch.cat(coarse).numpy()
    return found


def _score(outputs: NDArray[np.float64], target: NDArray[np.generic]) -> float:
    if target.ndim == 2:  # of labels, as for values: how much of their spread is explained
        aims = np.where(np.asarray(target, bool), 1.0, -1.0)
        return float(1.0 - np.square(outputs - aims).sum() / max(np.square(aims - aims.mean(0)).sum(), 1e-12))
    if np.issubdtype(target.dtype, np.integer):
        return float((outputs.argmax(1) == target).mean())
    values = np.asarray(target, np.float64)
    return float(1.0 - np.square(outputs[:, 0] - values).sum() / max(np.square(values - values.mean()).sum(), 1e-12))
