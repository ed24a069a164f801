"""A pretrained network of pictures, frozen, with a linear head, as a member of the ensemble.

Features of all pictures are computed once; the head is fitted in closed form (see `closed_head.py`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from assay._imports import require
from assay.data.batches import Resident
from assay.errors import BudgetError
from assay.models.backbone import Backbone, Provenance, features_of, load_backbone
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
#: Features that are computed of a picture, and of its mirror image where they are alike.
_STAGES = 2


class Enlarged(nn.Module):
    """A backbone that small pictures are brought to a larger side for: uint8 (n, C, H, W) to (n, D).

    side: the least shorter side; larger pictures stay as they are.
    """

    def __init__(self, backbone: Backbone, side: int) -> None:
        super().__init__()
        self.backbone, self.side = backbone, side

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class."""
        height, width = pictures.shape[2:]
        factor = self.side / min(height, width)
        values = pictures.float()
        if factor > 1.0:
            size = [max(1, round(height * factor)), max(1, round(width * factor))]
            values = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
        found: Tensor = self.backbone(values)
        return found


def train_backbone_head(
    found: Examples, name: str, *, mirror: bool, budget: Budget, watch: Watch, threads: int = 0
) -> tuple[TrainedNetwork, Provenance]:
    """Features of the backbone `name` with a ridge head for each fold, or one, and where its weights are from.

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
        learned = features(own)
        judged = learned if found.folds else features(other)
        fitted = fit_heads(learned, judged, train.rows, valid.rows, found)
    part = part_of(
        BACKBONE, extractor, fitted, found, valid.rows, place,
        {"backbone": provenance.name, "side": extractor.side, "features": provenance.features, "mirror": mirror},
        threads=threads, seconds=budget.clock() - began,
    )  # fmt: skip
    part.network.rows_at_once = _AT_ONCE
    watch.epoch(part.part.trained.epochs[0], 1)
    return part, provenance


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
