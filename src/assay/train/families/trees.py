"""Boosted trees trained as members of the ensemble: on the networks' rows, folds and inputs, in a share of the time.

All folds are boosted side by side, a few rounds at a time with a look at the clock, so that whenever it ends each fold
has its trees. What is not cut short depends on rows and seed alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.data.encoding.batches import Source
from assay.data.rows import sample_of
from assay.errors import BudgetError, TerminatedError
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.models.trees import Forest, Trees
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import peak_memory_mb
from assay.train.examples import Examples
from assay.train.families.booster import DEEPEST, MOST_LEAVES, PATIENCE, Booster, Columns, Learned, NothingToLearnError
from assay.train.families.label_booster import LabelBooster
from assay.train.loop import Trained
from assay.train.losses import score_name
from assay.train.model import TrainedNetwork
from assay.train.part import Part, Setting
from assay.train.preempt import Termination, termination_noted
from assay.train.state import Checkpoints, Progress
from assay.train.threads import free_cores
from assay.train.watch import Epoch, Watch

#: The part's name.
TREES = "trees"
#: Rounds of boosting at most, and trees of a member at most: with many classes, a round has one for each.
_MOST_ROUNDS, _MOST_TREES = 1000, 3000
#: The learning rate, and the highest where only few rounds are allowed, so that these still get somewhere.
_RATE, _HIGHEST_RATE, _ROUNDS_TIMES_RATE = 0.1, 0.3, 30.0
#: Rounds between two looks at the clock: few first, to learn the speed, then more, for each stretch bins all rows anew.
_STRETCHES, _LONGEST = (5, 10, 20, 40), 50
#: Rows x columns to learn from at most, 400 MB as scikit-learn copies them.
_CELLS = 50_000_000


def train_trees(
    found: Examples,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """Boosted trees, with folds one booster for each, each with the rounds up to its lowest validation loss.

    Finished trees are kept as a checkpoint; those that were not finished are grown again, to the same trees.

    Args:
        threads: of the processor; 0 for as many as are free.

    Raises:
        BudgetError: there is no time for the first rounds, or there is nothing to learn; `came` says which.
        TerminatedError: SIGTERM came.
        KeyboardInterrupt: interrupted before every fold had trees.
    """
    kept = None if checkpoints is None else checkpoints.latest()
    if kept is not None:
        trained = _trained(kept.progress, kept.tensors, len(found.train))
        for record in trained.epochs:
            watch.epoch(record, len(trained.epochs))
        return _part(_kept_forests(kept.tensors), trained, kept.progress.counters)
    threads = threads or free_cores()
    with _limited(threads), termination_noted() as termination:
        run = _Boosting(found, seed, budget, watch, termination, threads)
        interrupted = run.grow(checkpoints)
    forests = run.forests(found.prior.double().numpy())
    progress, tensors = run.progress(), run.tensors(forests)
    if checkpoints is not None and not interrupted:
        checkpoints.save(progress, tensors)
    trained = _trained(progress, tensors, len(found.train), interrupted=interrupted)
    return _part(forests, trained, progress.counters)


class _Boosting:
    """The boosters of all folds, grown side by side."""

    def __init__(
        self, found: Examples, seed: int, budget: Budget, watch: Watch, termination: Termination, threads: int
    ) -> None:
        self.budget, self.watch, self.termination, self.threads = budget, watch, termination, threads
        self._began = budget.clock()
        folds = max(found.folds, 1)
        # A round of classes that are two, or of values, has one tree.
        a_round = found.outputs if found.outputs > 2 else 1
        self.most = min(_MOST_ROUNDS, max(_MOST_TREES // a_round, 1))
        self.rate = min(max(_ROUNDS_TIMES_RATE / self.most, _RATE), _HIGHEST_RATE)
        self.score_name = score_name(found.targets)
        self.boosters = self._made(found, folds, seed)
        self.history: list[Epoch] = []
        self.reached: list[int] = []
        """The rounds after each stretch."""
        self.stopped, self.limited = "", False

    def _made(self, found: Examples, folds: int, seed: int) -> list[Booster | LabelBooster]:
        columns = Columns.of(found.encoder.layout)
        train, valid = found.on(torch.device("cpu"), 1, [seed + fold for fold in range(folds)])
        copies = found.outputs if found.has_labels else 1  # each label has the rows for itself
        learned, judged = _read(train, columns, seed, _CELLS // copies), _read(valid, columns, seed, _CELLS // copies)
        boosters: list[Booster | LabelBooster] = []
        for fold in range(folds):
            own, other, chance = _of_fold(*learned, fold), _of_fold(*judged, fold), (seed + fold) % 2**31
            try:
                if found.has_labels:
                    boosters.append(
                        LabelBooster(
                            own, other, columns, rate=self.rate, most=self.most, seed=chance, check=self._check_time
                        )
                    )
                else:
                    boosters.append(Booster(own, other, columns, rate=self.rate, most=self.most, seed=chance))
            except NothingToLearnError as reason:
                raise BudgetError(
                    "boosted trees need rows of two classes in every fold", str(reason), "Leave ensemble.trees=false."
                ) from None
        return boosters

    def _check_time(self) -> None:
        """Refuse to begin with another booster where the time is up.

        Raises:
            BudgetError: it is.
        """
        if not self.history and self.budget.left <= 0.0:
            raise _no_time(self.budget)

    @property
    def first_loss(self) -> float:
        """Validation loss before the first round."""
        return float(np.mean([booster.valid_losses[0] for booster in self.boosters]))

    def grow(self, checkpoints: Checkpoints | None) -> bool:
        """Grow until the boosters are done or the time is up; whether Ctrl-C ended it."""
        try:
            while not self.stopped:
                self._stretch(checkpoints)
                self._decide_end()
        except KeyboardInterrupt:
            if not all(booster.rounds for booster in self.boosters):
                raise
            self.stopped = "it was interrupted"
            if not self.reached or max(booster.rounds for booster in self.boosters) > self.reached[-1]:
                self._tell()
            return True
        return False

    def _stretch(self, checkpoints: Checkpoints | None) -> None:
        """Some rounds of every booster that is not done."""
        place = len(self.history)
        planned = _STRETCHES[place] if place < len(_STRETCHES) else _LONGEST
        rounds = min(planned, self._affordable())
        self.limited = rounds < planned
        for booster in self.boosters if rounds else ():
            if not booster.done:
                self._check_time()
                booster.grow(rounds)
            if self.termination.asked:
                raise _terminated(checkpoints)
        if rounds:
            self._tell()

    def _affordable(self) -> int:
        """Rounds of all boosters that the time left allows, by the speed so far."""
        if not self.history or math.isinf(self.budget.left):
            return _LONGEST
        grown = sum(booster.rounds for booster in self.boosters)
        growing = sum(not booster.done for booster in self.boosters)
        a_round = self.history[-1].seconds / max(grown, 1) * growing
        return int(max(self.budget.left, 0.0) / max(a_round, 1e-9))

    def _tell(self) -> None:
        self.reached.append(max(booster.rounds for booster in self.boosters))
        record = Epoch(
            epoch=len(self.history) + 1,
            step=self.reached[-1],
            seconds=self.budget.clock() - self._began,
            train_loss=float(np.mean([booster.train_losses[-1] for booster in self.boosters])),
            valid_loss=float(np.mean([booster.valid_losses[-1] for booster in self.boosters])),
            valid_score=None,
            score_name=self.score_name,
            learning_rate=self.rate,
            gradient_norm=0.0,
            memory_mb=peak_memory_mb(),
        )
        self.history.append(record)
        planned = len(_STRETCHES) + max(0, -(-(self.most - sum(_STRETCHES)) // _LONGEST))
        self.watch.epoch(record, planned)

    def _decide_end(self) -> None:
        if all(booster.done for booster in self.boosters):
            self.limited = False
            full = all(booster.rounds >= self.most for booster in self.boosters)
            early = f"the validation loss had not improved for {PATIENCE} rounds"
            self.stopped = "all rounds were run" if full else early
        elif self.limited:
            self.stopped = "the time budget was used up"

    # What is kept of it ----------------------------------------------------------------------------------------------

    def forests(self, prior: NDArray[np.float64]) -> list[Forest]:
        """The trees of each fold, those after its best round left out."""
        return [booster.forest(prior) for booster in self.boosters]

    def progress(self) -> Progress:
        """How it went, as a checkpoint says it."""
        counters = {"limited": float(self.limited), "first_loss": self.first_loss, "rate": self.rate}
        return Progress(
            step=self.reached[-1],
            epoch=len(self.history),
            place=0,
            horizon=self.reached[-1] if self.limited else self.most,
            seconds=self.budget.clock() - self._began,
            used=self.budget.used,
            counters=counters,
            history=tuple(record.model_dump_json() for record in self.history),
            stopped=self.stopped,
            python_random="",
            threads=self.threads,
        )

    def tensors(self, forests: Sequence[Forest]) -> dict[str, Tensor]:
        """The trees by name, with the stretch and the loss of each fold's best round."""
        named = {f"{place}.{name}": t for place, forest in enumerate(forests) for name, t in forest.tensors().items()}
        best = [bisect_left(self.reached, booster.best) + 1 for booster in self.boosters]
        losses = [booster.valid_losses[booster.best] for booster in self.boosters]
        return named | {"best": torch.tensor(best), "losses": torch.tensor(losses, dtype=torch.float64)}


# Around it ----------------------------------------------------------------------------------------------------------


def _part(forests: Sequence[Forest], trained: Trained, counters: Mapping[str, float]) -> TrainedNetwork:
    def make(members: Sequence[int]) -> Network:
        return Trees([forests[member] for member in members])

    network = make(range(len(forests)))
    rounds = sorted(forest.rounds for forest in forests)
    options: dict[str, Setting] = {
        "rounds": str(rounds[0]) if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}",
        "learning rate": counters["rate"],
        "leaves": MOST_LEAVES,
        "depth": DEEPEST,
    }
    size = network.parameter_count
    part = Part(TREES, ModelConfig(), TrainConfig(), trained, len(forests), size, is_network=False, options=options)
    return TrainedNetwork(network.eval(), part, counters["first_loss"], make)


def _trained(progress: Progress, tensors: Mapping[str, Tensor], rows: int, *, interrupted: bool = False) -> Trained:
    return Trained(
        epochs=tuple(Epoch.model_validate_json(text) for text in progress.history),
        best_epochs=tuple(tensors["best"].tolist()),
        best_losses=tuple(tensors["losses"].tolist()),
        lost=(),
        steps=progress.step,
        horizon=progress.horizon,
        batch=rows,
        threads=progress.threads,
        precision="float64",
        seconds=progress.seconds,
        stopped=progress.stopped,
        clipped=0.0,
        skipped=0,
        interrupted=interrupted,
        limited_by_budget=bool(progress.counters["limited"]),
    )


def _kept_forests(tensors: Mapping[str, Tensor]) -> list[Forest]:
    """The forests that `_Boosting.tensors` named."""
    names = [field.name for field in fields(Forest)]
    return [Forest(*(tensors[f"{fold}.{name}"] for name in names)) for fold in range(len(tensors["best"]))]


def _read(source: Source, columns: Columns, seed: int, cells: int) -> tuple[Learned, NDArray[np.float32] | None]:
    """All rows, or a random sample of too many, and the weights they have in each fold, (M, n), where these differ."""
    taken = sample_of(len(source), max(1000, cells // len(columns.order)), seed)
    matrices, targets, first = [], [], 0
    for rows in source.blocks():
        matrix, target = columns.matrix(rows.inputs), rows.target.numpy()
        if taken is not None:
            inside = taken[(taken >= first) & (taken < first + len(rows))] - first
            matrix, target = matrix[inside], target[inside]
        first += len(rows)
        matrices.append(matrix)
        targets.append(target)
    weight = None if source.weight is None else source.weight.numpy()
    if weight is not None and taken is not None:
        weight = weight[..., taken]
    each = weight if weight is not None and weight.ndim == 2 else None
    return Learned(np.concatenate(matrices), np.concatenate(targets), None if each is not None else weight), each


def _of_fold(rows: Learned, weights: NDArray[np.float32] | None, fold: int) -> Learned:
    """The rows that count in the fold; weights that are all alike are none."""
    if weights is None:
        return rows
    weight = weights[fold]
    counted = np.flatnonzero(weight)
    weight = weight[counted]
    alike = not len(weight) or bool((weight == weight[0]).all())
    return Learned(rows.matrix[counted], rows.target[counted], None if alike else weight)


def _limited(threads: int) -> AbstractContextManager[object]:
    control = require("threadpoolctl", "ensemble.trees")
    limits: AbstractContextManager[object] = control.threadpool_limits(limits=threads)
    return limits


def _no_time(budget: Budget) -> BudgetError:
    return BudgetError(
        "the budget must leave time for the first boosted trees",
        f"{budget.used:.0f} s had passed before every fold had some",
        "Give more time with --budget, or leave ensemble.trees=false.",
    )


def _terminated(checkpoints: Checkpoints | None) -> KeyboardInterrupt | TerminatedError:
    """What ends a run on SIGTERM; without a place for checkpoints, what Ctrl-C does."""
    if checkpoints is None:
        return KeyboardInterrupt()
    return TerminatedError(
        "a run must be left to end by itself",
        "it was asked to end (SIGTERM) while boosted trees were grown",
        "No network was trained yet: begin it anew, and it grows the same trees.",
    )
