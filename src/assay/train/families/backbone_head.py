"""A pretrained network of pictures, frozen, with a linear head, as a member of the ensemble.

Features of all pictures are computed once; the head is fitted in closed form (see `closed_head.py`).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.data.encoding.batches import Batch, Resident
from assay.errors import BudgetError
from assay.models.backbone import Backbone, Enlarged, Provenance, features_of, open_backbone
from assay.models.linear_head import LinearHead
from assay.train.budget import Budget
from assay.train.examples import Examples
from assay.train.families.closed_head import fit_heads, part_of
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.threads import free_cores, using_threads
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
class LinearStart:
    """A linear model of frozen features, from which a backbone is trained further.

    extractor: from pictures to features. head: on the features as they are; the first fold's.
    center, scale: of the features of training pictures, (D,); 0 where one does not vary.
    """

    extractor: Enlarged
    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    head: LinearHead


@dataclass(frozen=True)
class BackboneHead:
    """A frozen backbone with a linear head.

    part: as a part of a model. weights: where the backbone's are from. start: what further training begins with.
    seconds: that the features of a picture took.
    """

    part: TrainedNetwork
    weights: Provenance
    start: LinearStart
    seconds: float


def train_backbone_head(
    found: Examples,
    name: str,
    file: str | None = None,
    *,
    mirror: bool,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> BackboneHead:
    """Features of the backbone `name` with a ridge head for each fold, or one.

    It is fitted anew by a run that goes on, for pictures of the same side.

    Args:
        found: rows in memory, with pictures.
        name, file: see `open_backbone`.
        mirror: whether features are the mean of a picture's and its mirror image's.
        threads: of the processor; 0 for as many as are free.
        checkpoints: where the side of the pictures is kept.

    Raises:
        BudgetError: there is no time for it.
        ConfigError: there is no such backbone, or there are no weights of it.
        MissingExtraError: timm is not installed.
    """
    (place,) = found.places("pictures")
    began = budget.clock()
    backbone, provenance = open_backbone(name, file, stages=_STAGES)
    backbone.mirror = mirror
    threads = threads or free_cores()
    train, valid = _pictures(found, place)
    rows = len(train) + (0 if found.folds else len(valid))
    with using_threads(threads), require("threadpoolctl", "a ridge head").threadpool_limits(limits=threads):
        extractor = Enlarged(backbone, _side(backbone, train.inputs.media[0], rows, budget, checkpoints)).eval()
        begun = budget.clock()
        learned = _features(extractor, train, watch)
        a_picture = (budget.clock() - begun) / max(len(train), 1)
        judged = learned if found.folds else _features(extractor, valid, watch)
        fitted = fit_heads(learned, judged, train, valid, found)
    part = part_of(
        BACKBONE, extractor, fitted, found, valid, place,
        {"backbone": provenance.name, "side": extractor.side, "features": provenance.features, "mirror": mirror},
        threads=threads, seconds=budget.clock() - began,
    )  # fmt: skip
    part.network.rows_at_once = _AT_ONCE
    watch.epoch(part.part.trained.epochs[0], 1)
    return BackboneHead(part, provenance, _start(extractor, learned, fitted[0].head), a_picture)


def start_at(side: int, head: BackboneHead, found: Examples, watch: Watch, threads: int = 0) -> LinearStart:
    """Where further training begins with pictures of another side: a linear model of their own features."""
    (place,) = found.places("pictures")
    backbone = copy.deepcopy(head.start.extractor.backbone)
    backbone.mirror = False
    extractor = Enlarged(backbone, side).eval()
    threads = threads or free_cores()
    train, valid = _pictures(found, place)
    with using_threads(threads), require("threadpoolctl", "a ridge head").threadpool_limits(limits=threads):
        learned = _features(extractor, train, watch)
        # Only the head is of use, so that validation pictures are not asked.
        (fitted,) = fit_heads(learned, learned[: len(valid)], train, train[: len(valid)], found)
    return _start(extractor, learned, fitted.head)


def sides_for(pictures: Tensor, most: int) -> list[int]:
    """Sides up to `most` that pictures, (n, C, H, W), can be enlarged to, the largest one first.

    Pictures that are larger themselves keep their side, so that one of the list is enough for them.
    """
    own = min(pictures.shape[2:])
    return [side for side in _SIDES if side <= most and (side > own or side == most)] or [most]


def _pictures(found: Examples, place: int) -> tuple[Batch, Batch]:
    """Training and validation rows with their pictures."""
    train, valid = found.on(torch.device("cpu"), 1, list(range(max(found.folds, 1))), (place,))
    assert isinstance(train, Resident)
    assert isinstance(valid, Resident)
    return train.rows, valid.rows


def _features(extractor: Enlarged, rows: Batch, watch: Watch) -> NDArray[np.float32]:
    def tell(done: int, of: int) -> None:
        watch.steps(done, of, BACKBONE)

    found: NDArray[np.float32] = features_of(
        extractor, rows.inputs.media[0].numpy(), batch=_AT_ONCE, progress=tell
    ).numpy()
    return found


def _start(extractor: Enlarged, learned: NDArray[np.float32], head: LinearHead) -> LinearStart:
    deviation = learned.std(0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > _LEAST_DEVIATION)
    return LinearStart(extractor, learned.mean(0), scale, head)


def _side(backbone: Backbone, pictures: Tensor, rows: int, budget: Budget, checkpoints: Checkpoints | None) -> int:
    """The largest side for which there is the time; a run that goes on keeps to its own.

    Raises:
        BudgetError: there is no time for any.
    """
    before = None if checkpoints is None else checkpoints.remembered("backbone.side")
    side = _affordable(backbone, pictures, rows, budget) if before is None else int(before)
    if checkpoints is not None:
        checkpoints.kept("backbone.side", side)
    if not side:
        raise BudgetError(
            "the budget must leave time for the features of a backbone",
            f"those of {rows:,} pictures need more than the {max(budget.left, 0.0):.0f} s that are its",
            "Give more time with --budget.",
        )
    return side


def _affordable(backbone: Backbone, pictures: Tensor, rows: int, budget: Budget) -> int:
    """The largest side for which there is the time, or 0."""
    for side in _SIDES:
        if math.isinf(budget.left):
            return side
        extractor = Enlarged(backbone, side).eval()
        some = pictures[:_TIMED]
        with torch.inference_mode():
            extractor(some[:2])
            began = budget.clock()
            extractor(some)
        if (budget.clock() - began) / max(len(some), 1) * rows <= _SHARE * budget.left:
            return side
    return 0
