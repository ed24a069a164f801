"""Members that end at different times: each leaves the batch when it has, with what it answered and what it learned.

Letters: M members of a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assay.data.encoding.batches import Batch, Source
from assay.errors import DivergenceError
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.changes import Policy
from assay.train.config import TrainConfig
from assay.train.loop import Trained, check_time, epoch, trial_step
from assay.train.members import Member
from assay.train.pace import Turns
from assay.train.preempt import Termination, termination_noted
from assay.train.state import isolated_randomness
from assay.train.threads import Threads, threads_for
from assay.train.training import Training
from assay.train.watch import Epoch, Named, Watch

#: Called after each epoch, with its number; it may end courses before their time.
Ends = Callable[[int], None]


@dataclass(frozen=True)
class Learned:
    """What a member has learned when it ends: its numbers by their names, (1, ...) each, and how it was trained."""

    numbers: Mapping[str, Tensor]
    trained: Trained


@dataclass
class Course:
    """How a member is doing.

    outputs: what it says of the rows that judge it, (heads, rows, outputs), of each half at the epoch that the other
        half chose; None before the first that is finite. last: what it says of them at its last epoch, whether better
        or not. loss: what it was judged by there; infinite where that is not finite. kept: the epoch that is the best
        on all rows, and best what it was judged by in that. halves: the best judgements by each half.
    epochs: passes that it was trained for. history: what each of them was like for this member alone, but for the norm
        of the gradient, the speed and the memory, which are of all members of its network.
    ended: whether it has, or shall. stopped: why, in words. trouble: why it has no outputs, in words.
    learned: where that was asked for, when it has ended.
    """

    outputs: Tensor | None = None
    last: Tensor | None = None
    loss: float = math.inf
    kept: int = 0
    best: float = math.inf
    halves: list[float] = field(default_factory=lambda: [math.inf, math.inf])
    epochs: int = 0
    history: list[Epoch] = field(default_factory=list)
    ended: bool = False
    stopped: str = ""
    trouble: str = ""
    learned: Learned | None = None


@dataclass(frozen=True)
class Lot:
    """Members of one network, the rows that they learn from, those that judge them, and their courses.

    half: in which half of the rows that judge each of them is, bool (n,); None where they are not halved.
    name: what a watch is told that this is.
    """

    network: Network
    train: Source
    valid: Source
    members: Sequence[Member]
    courses: Sequence[Course]
    name: str = ""
    half: Tensor | None = None


def fit_together(
    lots: Sequence[Lot],
    config: TrainConfig,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    policy: Policy | None = None,
    ends: Ends | None = None,
    keeps: bool = False,
    threads: Threads | None = None,
) -> None:
    """Train the members of each lot until they have ended: by patience, by what is not finite, or as `ends` says.

    Lots take turns, an epoch each, so that the folds of a cross-validation are lots. What a member answers does not
    depend on the others, but for a horizon that the budget shortens. Networks are left as they were when the last of
    their members ended, cut to these.

    What a member says of the rows of a half is that of the epoch which was the best on the other half: rows that chose
    an epoch would flatter it (docs/decisions/selection.md). What it learned is of the best on all of them.

    Args:
        keeps: whether what a member has learned is wanted of its course.
        threads: those of trainings like this one, where there were any.

    See `fit` for the rest.

    Raises:
        BudgetError: no time is left for a first step.
        KeyboardInterrupt: interrupted, or asked to end.
    """
    check_time(budget)
    with isolated_randomness(), termination_noted() as termination:
        running = []
        turns = Turns(len(lots)) if len(lots) > 1 else None
        if threads is None:
            threads = threads_for(config, lots[0].network)
        else:
            threads.renew()
        for lot in lots:
            running.append(_Running(lot, config, seed, budget, policy, turns, threads))
        number = 0
        for each in running:
            each.decide(number)  # where it starts as a model that was fitted
        while running:
            number += 1
            for each in running:
                each.pass_once(watch, termination)
                each.decide(number)
            if ends is not None and any(each.is_going for each in running):
                ends(number)
            for each in running:
                each.let_go(keeps=keeps)
            running = [each for each in running if each.is_going]
            for each in running:
                each.go_on()


class _Running:
    """A lot in training; `there` are the courses of the members that are still in its network."""

    def __init__(
        self, lot: Lot, config: TrainConfig, seed: int, budget: Budget, policy: Policy | None, turns: Turns | None,
        threads: Threads | None,
    ) -> None:  # fmt: skip
        self.name, self.there, self._heard = lot.name, list(lot.courses), False
        self._halves = None if lot.half is None else [(~lot.half).nonzero().flatten(), lot.half.nonzero().flatten()]
        self.run = Training(
            lot.network, lot.train, lot.valid, config, lot.members, seed, budget, None, policy=policy, hear=self._hear,
            turns=turns, threads=threads,
        )  # fmt: skip
        self.run.begin(lambda: trial_step(self.run))

    @property
    def is_going(self) -> bool:
        return not all(course.ended for course in self.there)

    def _hear(self, outputs: Tensor, rows: Batch, losses: Tensor, judged: Tensor) -> None:
        self._heard, self._losses = True, losses.tolist()
        self._by_half = [self.run.judge.judged_at(outputs, rows, places).tolist() for places in self._halves or ()]
        apart = outputs.unflatten(0, (len(self.there), -1))
        for course, own, loss in zip(self.there, apart, judged.tolist(), strict=True):
            course.last, course.loss = own, loss

    def pass_once(self, watch: Watch, termination: Termination) -> None:
        """An epoch; what is not finite after it has a reason."""
        watch = Named(watch, self.name)
        try:
            record = epoch(self.run, watch, termination)
        except DivergenceError as error:
            for course in self.there:
                _lose(course, error.came)
            return
        if termination.asked:
            raise KeyboardInterrupt
        watch.epoch(record, self.run.epochs_planned)
        fastest = max(member.lr for member in self.run.members)
        each = zip(self.there, self.run.members, self.run.own_losses(), self._losses, strict=True)
        for course, member, trained, judged in each:
            course.epochs, course.stopped = record.epoch, self.run.stopped
            if not math.isfinite(course.loss):
                rate = f"with a learning rate of at most {member.lr:.3g}"
                _lose(course, f"the validation loss was not finite after epoch {record.epoch} {rate}")
                continue
            own = {
                "train_loss": trained, "valid_loss": judged, "valid_score": None,
                "learning_rate": record.learning_rate * member.lr / fastest,
            }  # fmt: skip
            course.history.append(record.model_copy(update=own))

    def decide(self, number: int) -> None:
        """Keep what is the best so far after the epoch of this number, and end the courses that it was the last of."""
        better = []
        for place, (course, member) in enumerate(zip(self.there, self.run.members, strict=True)):
            if self._heard and course.loss < course.best:
                course.kept, course.best = number, course.loss
                better.append(place)
            if self._heard and math.isfinite(course.loss):
                self._answer(course, place)
            if number and not math.isfinite(course.loss):
                course.ended, course.stopped = True, "the validation loss was not finite"
            elif number - course.kept >= member.patience:
                why = f"the validation loss had not improved for {member.patience} epochs"
                course.ended, course.stopped = True, course.stopped or why
            course.ended = course.ended or bool(course.stopped)
        if better:
            self.run.keep(better, number)
        self._heard = False

    def _answer(self, course: Course, place: int) -> None:
        """Take what the member says now of each half of the rows, where the other half says that it is the best."""
        assert course.last is not None
        if course.outputs is None or (self._halves is None and course.best == course.loss):
            course.outputs = course.last.to("cpu", copy=True)
        for own, judged in enumerate(self._by_half):
            if judged[place] < course.halves[own]:
                course.halves[own] = judged[place]
                others = (self._halves or [])[1 - own]
                course.outputs[:, others] = course.last[:, others].to("cpu")

    def let_go(self, *, keeps: bool) -> None:
        """Take from the members that have ended what is wanted of them."""
        for place, course in enumerate(self.there):
            if not course.ended:
                continue
            if course.last is not None:
                course.last = course.last.to("cpu", copy=True)  # what the others said is let go of
            if keeps and course.outputs is not None:
                course.learned = Learned(self.run.numbers_of(place), self._trained(place))

    def _trained(self, place: int) -> Trained:
        run, course = self.run, self.there[place]
        return Trained(
            epochs=tuple(course.history), best_epochs=(course.kept,), best_losses=(course.best,), lost=(),
            steps=run.step, horizon=run.pace.horizon, batch=run.rows_a_step, threads=torch.get_num_threads(),
            precision=run.precision.name, seconds=run.seconds, stopped=course.stopped or "the search ended it",
            clipped=float(run.guard.clipped) / max(run.step, 1), skipped=int(run.guard.skipped[place]),
            interrupted=False, limited_by_budget=run.pace.is_limited, unused=tuple(run.flat.unused()),
        )  # fmt: skip

    def go_on(self) -> None:
        """Leave out the members that have ended."""
        staying = [place for place, course in enumerate(self.there) if not course.ended]
        if len(staying) < len(self.there):
            self.run.narrow(staying)
            self.there = [self.there[place] for place in staying]


def _lose(course: Course, trouble: str) -> None:
    """Note that a member has no finite numbers any more; where it had some before, they are kept."""
    course.loss = math.inf
    if course.outputs is None:
        course.trouble = trouble
