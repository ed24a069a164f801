"""Random convolutions of series with a ridge head, as a member of the ensemble: on the networks' rows and folds.

Nothing in it is trained by descent: kernels are drawn, and the head is fitted in closed form, with its penalty and the
scale of its logits chosen by exact leave-one-out answers (see `ridge.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from assay._imports import require
from assay.data.encoding.batches import Batch, Resident
from assay.data.rows import sample_of
from assay.errors import BudgetError
from assay.models.rocket import Rocket
from assay.train.budget import Budget
from assay.train.examples import Examples
from assay.train.families.closed_head import aims_of, fit_heads, part_of
from assay.train.families.ridge import fit_ridge
from assay.train.model import TrainedNetwork
from assay.train.threads import free_cores, using_threads
from assay.train.watch import Watch

#: The part's name.
ROCKET = "rocket"
#: Features, from the most on; the most that the time and the memory allow are taken.
_FEATURES = (12_000, 6_000, 3_000, 1_000)
#: Series that the speed is measured on, the share of the time that features may take, and their bytes at most.
_TIMED, _SHARE, _BYTES = 8, 0.5, 2 << 30
#: Series by which it is chosen how they are normalised.
_CHOSEN_BY = 500


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
    (place,) = found.places("series")
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
        fitted = fit_heads(learned, judged, train.rows, valid.rows, found, standardise=False)
    part = part_of(
        ROCKET, rocket, fitted, found, valid.rows, place, {"features": rocket.features, "normalised": normalise},
        threads=threads, seconds=budget.clock() - began,
    )  # fmt: skip
    watch.epoch(part.part.trained.epochs[0], 1)
    return part


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
    aims = aims_of(taken.target.numpy(), found)
    errors = {}
    for normalise in (True, False):
        features = Rocket.fit_transform(taken.inputs.media[0], seed, _FEATURES[-1], normalise=normalise)[1]
        errors[normalise] = fit_ridge(features.numpy(), aims, standardise=False).errors.min()
    return bool(errors[True] <= errors[False])
