"""Random convolutions of series with a ridge head, as a member of the ensemble: on the networks' rows and folds.

Nothing in it is trained by descent: kernels are drawn, and the head is fitted in closed form, with its penalty and the
scale of its logits chosen by exact leave-one-out answers (see `ridge.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.data.batches import Batch, Resident
from assay.data.rows import sample_of
from assay.errors import BudgetError
from assay.models.config import ModelConfig
from assay.models.linear_head import FeaturesWithHead, LinearHead
from assay.models.network import Network
from assay.models.rocket import Rocket
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import free_cores, peak_memory_mb, using_threads
from assay.train.examples import Examples
from assay.train.loop import Trained
from assay.train.model import TrainedNetwork
from assay.train.part import Part, Setting
from assay.train.ridge import Ridge, fit_ridge, fit_scale, one_against_rest
from assay.train.watch import Epoch, Watch

#: The part's name.
ROCKET = "rocket"
#: Features, from the most on; the most that the time and the memory allow are taken.
_FEATURES = (12_000, 6_000, 3_000, 1_000)
#: Series that the speed is measured on, the share of the time that features may take, and their bytes at most.
_TIMED, _SHARE, _BYTES = 8, 0.5, 2 << 30
#: Series by which it is chosen how they are normalised.
_CHOSEN_BY = 500

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Fitted:
    """A head and its losses on the rows that judge it and on its own."""

    head: LinearHead
    ridge: Ridge
    loss: float
    train_loss: float


def place_of_series(found: Examples) -> int | None:
    """Place of the series among the media; None where there are none in memory."""
    if not isinstance(found.train, Resident):
        return None
    return next((place for place, view in enumerate(found.encoder.layout.media) if view.kind == "series"), None)


def train_rocket(found: Examples, *, seed: int, budget: Budget, watch: Watch, threads: int = 0) -> TrainedNetwork:
    """Rocket features with a ridge head for each fold, or one.

    It is quick and depends on rows and seed alone, so a run that goes on does it again and keeps no checkpoint of it.

    Args:
        found: rows in memory, with series.
        threads: of the processor; 0 for as many as are free.

    Raises:
        BudgetError: there is no time for it, or nothing to learn; `came` says which.
        KeyboardInterrupt: interrupted.
    """
    place = place_of_series(found)
    assert place is not None
    began = budget.clock()
    threads = threads or free_cores()
    folds = max(found.folds, 1)
    train, valid = found.on(torch.device("cpu"), 1, [seed + fold for fold in range(folds)], (place,))
    assert isinstance(train, Resident)
    assert isinstance(valid, Resident)
    with using_threads(threads), require("threadpoolctl", "a ridge head").threadpool_limits(limits=threads):
        series = train.rows.inputs.media[0]
        size = _affordable(series, len(valid), seed, budget)
        normalise = _normalises(train.rows, found, seed)
        rocket, features = Rocket.fit_transform(series, seed, size, normalise=normalise)
        learned = features.numpy()
        judged = learned if found.folds else rocket.transform(valid.rows.inputs.media[0]).numpy()
        fitted = [_fit(learned, train.rows, judged, valid.rows, fold, found) for fold in range(folds)]
    trained = _trained(fitted, len(train), threads, budget.clock() - began, "accuracy" if found.classifies else "R2")
    watch.epoch(trained.epochs[0], 1)

    def make(members: Sequence[int]) -> Network:
        return FeaturesWithHead(rocket, [fitted[member].head for member in members], (place,))

    network = make(range(folds))
    options: dict[str, Setting] = {
        "features": rocket.features,
        "penalty": ", ".join(f"{each.ridge.penalty:.3g}" for each in fitted),
        "solver": "ridge, leave-one-out",
        "normalised": normalise,
    }
    part = Part(
        ROCKET, ModelConfig(), TrainConfig(), trained, folds, network.parameter_count, is_network=False,
        options=options,
    )  # fmt: skip
    return TrainedNetwork(network.eval(), part, _first_loss(found, valid.rows), make)


def _affordable(series: Tensor, others: int, seed: int, budget: Budget) -> int:
    """The most features for which there is the time and the memory."""
    rows = len(series) + others
    for size in _FEATURES:
        if 4 * size * rows > _BYTES:
            continue
        if math.isinf(budget.left):
            return size
        some = series[:_TIMED]
        rocket = Rocket.fit(some, seed, size)
        began = budget.clock()
        rocket.transform(some)
        a_row = (budget.clock() - began) / len(some)
        if a_row * rows <= _SHARE * budget.left:
            return size
    raise BudgetError(
        "the budget must leave time and memory for random convolutions of the series",
        f"{rows:,} series of {series.shape[2]:,} steps need more",
        "Give more time with --budget.",
    )


def _normalises(rows: Batch, found: Examples, seed: int) -> bool:
    """Whether each series is to be taken by its own mean and deviation: by leave-one-out errors of a few features."""
    some = sample_of(len(rows), _CHOSEN_BY, seed)
    taken = rows if some is None else rows[torch.from_numpy(some)]
    aims = _aims(taken.target.numpy(), found)
    errors = {}
    for normalise in (True, False):
        features = Rocket.fit_transform(taken.inputs.media[0], seed, _FEATURES[-1], normalise=normalise)[1]
        errors[normalise] = fit_ridge(features.numpy(), aims).errors.min()
    return bool(errors[True] <= errors[False])


def _aims(target: NDArray[Any], found: Examples) -> NDArray[np.float64]:
    """Targets of a ridge, (n, outputs)."""
    return one_against_rest(target, found.outputs) if found.classifies else target[:, None].astype(np.float64)


def _fit(learned: Floats, train: Batch, judged: Floats, valid: Batch, fold: int, found: Examples) -> _Fitted:
    own, weight = _counted(train.weight, fold, len(train))
    other, judged_weight = _counted(valid.weight, fold, len(valid))
    target, aim = train.target.numpy()[own], valid.target.numpy()[other]
    ridge = fit_ridge(learned[own], _aims(target, found), weight)
    scale = fit_scale(ridge.left_out, target, weight) if found.classifies else 1.0
    head = LinearHead(
        torch.from_numpy((scale * ridge.weight).astype(np.float32)),
        torch.from_numpy((scale * ridge.intercept).astype(np.float32)),
    )
    loss = _loss(scale * ridge.decide(judged[other]), aim, judged_weight)
    return _Fitted(head, ridge, loss, _loss(scale * ridge.left_out, target, weight))


def _counted(weight: Tensor | None, fold: int, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows that count in a fold, and their weights."""
    if weight is None:
        return np.arange(rows), np.ones(rows)
    own = (weight[fold] if weight.ndim == 2 else weight).double().numpy()
    places = np.flatnonzero(own)
    return places, own[places]


def _loss(outputs: NDArray[np.float64], target: NDArray[np.generic], weight: NDArray[np.float64]) -> float:
    """Log loss of logits, or mean squared error of values; infinite where there is no row."""
    if not len(target):
        return math.inf
    given, aims = torch.from_numpy(np.asarray(outputs, np.float64)), torch.from_numpy(np.asarray(target))
    if aims.dtype == torch.int64:
        each = torch.nn.functional.cross_entropy(given, aims, reduction="none")
    else:
        each = (given[:, 0] - aims).square()
    return float(np.average(each.numpy(), weights=weight))


def _first_loss(found: Examples, valid: Batch) -> float:
    prior = np.tile(found.prior.double().numpy(), (len(valid), 1))
    return _loss(prior, valid.target.numpy(), np.ones(len(valid)))


def _trained(
    fitted: Sequence[_Fitted], rows: int, threads: int, seconds: float, score: Literal["accuracy", "R2"]
) -> Trained:
    record = Epoch(
        epoch=1,
        step=1,
        seconds=seconds,
        train_loss=float(np.mean([each.train_loss for each in fitted])),
        valid_loss=float(np.mean([each.loss for each in fitted])),
        valid_score=None,
        score_name=score,
        learning_rate=0.0,
        gradient_norm=0.0,
        memory_mb=peak_memory_mb(),
    )
    return Trained(
        epochs=(record,), best_epochs=(1,) * len(fitted), best_losses=tuple(each.loss for each in fitted), lost=(),
        steps=1, horizon=1, batch=rows, threads=threads, precision="float64", seconds=seconds,
        stopped="it is fitted in closed form", clipped=0.0, skipped=0, interrupted=False, limited_by_budget=False,
    )  # fmt: skip
