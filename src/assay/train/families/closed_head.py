"""Linear heads of features that are not trained, fitted in closed form on the networks' rows and folds.

The penalty of a head and the scale of its logits are chosen by exact leave-one-out answers (see `ridge.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.data.encoding.batches import Batch
from assay.models.config import ModelConfig
from assay.models.linear_head import FeaturesWithHead, LinearHead
from assay.models.network import Network
from assay.train.config import TrainConfig
from assay.train.device import peak_memory_mb
from assay.train.examples import Examples
from assay.train.families.ridge import Ridge, fit_ridge, fit_scale, fit_sigmoids, one_against_rest
from assay.train.loop import Trained
from assay.train.losses import row_losses, score_name
from assay.train.model import TrainedNetwork
from assay.train.part import Part, Setting
from assay.train.watch import Epoch, ScoreName

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """A head and its losses on the rows that judge it and on its own."""

    head: LinearHead
    ridge: Ridge
    loss: float
    train_loss: float


def fit_heads(
    learned: Floats, judged: Floats, train: Batch, valid: Batch, found: Examples, *, standardise: bool = True
) -> list[Fitted]:
    """A head for each fold, or one: features of the rows that are learned from, (n, D), and of those that judge.

    standardise: whether features are brought to unit deviation for the penalty.
    """
    return [
        _fit(learned, train, judged, valid, fold, found, standardise=standardise) for fold in range(max(found.folds, 1))
    ]


def part_of(
    name: str,
    extractor: nn.Module,
    fitted: Sequence[Fitted],
    found: Examples,
    valid: Batch,
    place: int,
    options: Mapping[str, Setting],
    *,
    threads: int,
    seconds: float,
) -> TrainedNetwork:
    """The heads behind their features as a part of a model.

    Args:
        extractor: from the array at `place` of the media to features.
        options: what to show of how it was made.
    """
    losses, train_losses = [each.loss for each in fitted], [each.train_loss for each in fitted]
    trained = fitted_at_once(losses, train_losses, len(found.train), threads, seconds, score_name(found.targets))

    def make(members: Sequence[int]) -> Network:
        return FeaturesWithHead(extractor, [fitted[member].head for member in members], (place,))

    network = make(range(len(fitted)))
    shown = dict(options) | {
        "penalty": ", ".join(f"{each.ridge.penalty:.3g}" for each in fitted), "solver": "ridge, leave-one-out",
    }  # fmt: skip
    part = Part(
        name, ModelConfig(), TrainConfig(), trained, len(fitted), network.parameter_count, is_network=False,
        options=shown,
    )  # fmt: skip
    return TrainedNetwork(network.eval(), part, first_loss(found, valid), make)


def aims_of(target: NDArray[Any], found: Examples) -> NDArray[np.float64]:
    """Targets of a ridge, (n, outputs)."""
    if found.has_labels:
        return np.where(target > 0, 1.0, -1.0)
    return one_against_rest(target, found.outputs) if found.classifies else target[:, None].astype(np.float64)


def _fit(
    learned: Floats, train: Batch, judged: Floats, valid: Batch, fold: int, found: Examples, *, standardise: bool
) -> Fitted:
    own, weight = counted(train.weight, fold, len(train))
    other, judged_weight = counted(valid.weight, fold, len(valid))
    target, aim = train.target.numpy()[own], valid.target.numpy()[other]
    ridge = fit_ridge(learned[own], aims_of(target, found), weight, standardise=standardise)
    scale, shift = _units_of(ridge, target, weight, found)
    head = LinearHead(
        torch.from_numpy((scale * ridge.weight).astype(np.float32)),
        torch.from_numpy((scale * ridge.intercept + shift).astype(np.float32)),
    )
    loss = loss_of(scale * ridge.decide(judged[other]) + shift, aim, judged_weight)
    return Fitted(head, ridge, loss, loss_of(scale * ridge.left_out + shift, target, weight))


def _units_of(
    ridge: Ridge, target: NDArray[Any], weight: NDArray[np.float64], found: Examples
) -> tuple[float | NDArray[np.float64], float | NDArray[np.float64]]:
    """What decisions are multiplied with and what is added to them to make logits: one factor, of labels one each."""
    if found.has_labels:
        return fit_sigmoids(ridge.left_out, target, weight)
    return (fit_scale(ridge.left_out, target, weight) if found.classifies else 1.0), 0.0


def counted(weight: Tensor | None, fold: int, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows that count in a fold, and their weights."""
    if weight is None:
        return np.arange(rows), np.ones(rows)
    own = (weight[fold] if weight.ndim == 2 else weight).double().numpy()
    places = np.flatnonzero(own)
    return places, own[places]


def loss_of(outputs: NDArray[np.float64], target: NDArray[np.generic], weight: NDArray[np.float64] | None) -> float:
    """Log loss of logits, of labels their mean, or mean squared error of values; infinite where there is no row."""
    if not len(target):
        return math.inf
    given, aims = torch.from_numpy(np.asarray(outputs, np.float64)), torch.from_numpy(np.asarray(target))
    each = row_losses(given.unsqueeze(0), aims)[0]
    return float(np.average(each.numpy(), weights=weight))


def first_loss(found: Examples, valid: Batch) -> float:
    """The validation loss of the prior alone."""
    prior = np.tile(found.prior.double().numpy(), (len(valid), 1))
    return loss_of(prior, valid.target.numpy(), np.ones(len(valid)))


def fitted_at_once(
    losses: Sequence[float],
    train_losses: Sequence[float],
    rows: int,
    threads: int,
    seconds: float,
    score: ScoreName,
) -> Trained:
    """The record of members that are fitted in closed form, by their losses on the rows that judge and on their own."""
    record = Epoch(
        epoch=1,
        step=1,
        seconds=seconds,
        train_loss=float(np.mean(train_losses)),
        valid_loss=float(np.mean(losses)),
        valid_score=None,
        score_name=score,
        learning_rate=0.0,
        gradient_norm=0.0,
        memory_mb=peak_memory_mb(),
    )
    return Trained(
        epochs=(record,), best_epochs=(1,) * len(losses), best_losses=tuple(losses), lost=(),
        steps=1, horizon=1, batch=rows, threads=threads, precision="float64", seconds=seconds,
        stopped="it is fitted in closed form", clipped=0.0, skipped=0, interrupted=False, limited_by_budget=False,
    )  # fmt: skip
