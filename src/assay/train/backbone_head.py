"""A pretrained network of pictures, frozen, with a linear head, as a member of the ensemble.

Features of all pictures are computed once; the head is fitted in closed form (see `closed_head.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.data.batches import Resident
from assay.errors import BudgetError
from assay.models.backbone import Backbone, Enlarged, Provenance, features_of, load_backbone
from assay.models.linear_head import LinearHead
from assay.train.budget import Budget
from assay.train.closed_head import fit_heads, part_of
from assay.train.device import free_cores, using_threads
from assay.train.examples import Examples
from assay.train.model import TrainedNetwork
from assay.train.watch import Watch

#: The part's name.
BACKBONE = "backbone"
#: Sides that small pictures are brought to, the better and dearer one first; larger pictures keep theirs.
_SIDES = (128, 96, 64)
#: Pictures at once, those that the speed is measured on, and the share of the time that features may take.
_AT_ONCE, _TIMED, _SHARE = 64, 16, 0.9
#: Features that vary less are left out where layers are trained further.
_LEAST_DEVIATION = 1e-6
#: Features that are computed of a picture, and of its mirror image where they are alike.
_STAGES = 2


@dataclass(frozen=True)
class BackboneHead:
    """A frozen backbone with a linear head.

    part: as a part of a model. weights: where the backbone's are from. extractor: from pictures to features.
    center, scale: of the features of training pictures, (D,); 0 where one does not vary.
    head: on the features as they are; the first fold's. seconds: that the features of a picture took.
    """

    part: TrainedNetwork
    weights: Provenance
    extractor: Enlarged
    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    head: LinearHead
    seconds: float


def train_backbone_head(
    found: Examples, name: str, *, mirror: bool, budget: Budget, watch: Watch, threads: int = 0
) -> BackboneHead:
    """Features of the backbone `name` with a ridge head for each fold, or one.

    Args:
        found: rows in memory, with pictures.
        mirror: whether features are the mean of a picture's and its mirror image's.
        threads: of the processor; 0 for as many as are free.

    Raises:
        BudgetError: there is no time for it.
        ConfigError: there is no such backbone, or there are no weights of it.
        MissingExtraError: timm is not installed.
    """
    (place,) = found.places("pictures")
    began = budget.clock()
    backbone, provenance = load_backbone(name, stages=_STAGES)
    backbone.mirror = mirror
    threads = threads or free_cores()
    train, valid = found.on(torch.device("cpu"), 1, list(range(max(found.folds, 1))), (place,))
    assert isinstance(train, Resident)
    assert isinstance(valid, Resident)
    own, other = train.rows.inputs.media[0], valid.rows.inputs.media[0]

    def features(pictures: Tensor) -> np.ndarray:
        def tell(done: int, of: int) -> None:
            watch.steps(done, of, BACKBONE)

        return features_of(extractor, pictures.numpy(), batch=_AT_ONCE, progress=tell).numpy()

    with using_threads(threads), require("threadpoolctl", "a ridge head").threadpool_limits(limits=threads):
        extractor = _affordable(backbone, own, len(own) + (0 if found.folds else len(other)), budget)
        begun = budget.clock()
        learned = features(own)
        a_picture = (budget.clock() - begun) / max(len(own), 1)
        judged = learned if found.folds else features(other)
        fitted = fit_heads(learned, judged, train.rows, valid.rows, found)
    part = part_of(
        BACKBONE, extractor, fitted, found, valid.rows, place,
        {"backbone": provenance.name, "side": extractor.side, "features": provenance.features, "mirror": mirror},
        threads=threads, seconds=budget.clock() - began,
    )  # fmt: skip
    part.network.rows_at_once = _AT_ONCE
    watch.epoch(part.part.trained.epochs[0], 1)
    deviation = learned.std(0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > _LEAST_DEVIATION)
    return BackboneHead(part, provenance, extractor, learned.mean(0), scale, fitted[0].head, a_picture)


def _affordable(backbone: Backbone, pictures: Tensor, rows: int, budget: Budget) -> Enlarged:
    """The backbone on the largest side for which there is the time."""
    for side in _SIDES:
        extractor = Enlarged(backbone, side).eval()
        if math.isinf(budget.left):
            return extractor
        some = pictures[:_TIMED]
        with torch.inference_mode():
            extractor(some[:2])
            began = budget.clock()
            extractor(some)
        if (budget.clock() - began) / max(len(some), 1) * rows <= _SHARE * budget.left:
            return extractor
    raise BudgetError(
        "the budget must leave time for the features of a backbone",
        f"those of {rows:,} pictures need more than the {budget.left:.0f} s that are its",
        "Give more time with --budget.",
    )
