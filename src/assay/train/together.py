"""Members that end at different times: each leaves the batch when it has, with what it answered and what it learned.

Letters: M members of a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assay.data.batches import Source
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

    outputs: what it says of the rows that judge it at the epoch that is kept, (heads, rows, outputs); None before the
        first that is finite. last: what it says of them at its last epoch, whether better or not. loss: what it was
        judged by there; infinite where that is not finite. kept: the epoch that is kept, and best what it was judged by
        in that. epochs: passes that it was trained for. history: what each of them was like for this member alone, but
        for the norm of the gradient, the speed and the memory, which are of all members of its network.
    ended: whether it has, or shall. stopped: why, in words. trouble: why it has no outputs, in words.
    learned: where that was asked for, when it has ended.
    """

    outputs: Tensor | None = None
    last: Tensor | None = None
    loss: float = math.inf
    kept: int = 0
    best: float = math.inf
    epochs: int = 0
    history: list[Epoch] = field(default_factory=list)
    ended: bool = False
    stopped: str = ""
    trouble: str = ""
    learned: Learned | None = None


@dataclass(frozen=True)
class Lot:
    """Members of one network, the rows that they learn from, those that judge them, and their courses.

    name: what a watch is told that this is.
    """

    network: Network
    train: Source
    valid: Source
    members: Sequence[Member]
    courses: Sequence[Course]
    name: str = ""


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
) -> None:
    """Train the members of each lot until they have ended: by patience, by what is not finite, or as `ends` says.

    Lots take turns, an epoch each, so that the folds of a cross-validation are lots. The members at one place of all
    lots are peers: they keep the same epoch, the one whose mean judgement over the lots is the best, and end together.
    What a member answers does not depend on the others, but for a horizon that the budget shortens. Networks are left
    as they were when the last of their members ended, cut to these.

    Args:
        keeps: whether what a member has learned is wanted of its course.

    See `fit` for the rest.

    Raises:
        BudgetError: no time is left for a first step.
        KeyboardInterrupt: interrupted, or asked to end.
    """
    check_time(budget)
    peers = [_Peers(some, lots[0].members[at].patience) for at, some in enumerate(_peers(lots))]
    with isolated_randomness(), termination_noted() as termination:
        running = []
        turns = Turns(len(lots)) if len(lots) > 1 else None
        for lot in lots:
            running.append(_Running(lot, config, seed, budget, policy, turns))
            config = config.model_copy(update={"threads": torch.get_num_threads()})  # those that the first one chose
        number = 0
        if all(course.last is not None for lot in lots for course in lot.courses):  # it started fitted
            _look(running, peers, number)
        while running:
            number += 1
            for each in running:
                each.pass_once(watch, termination)
            _look(running, peers, number)
            if ends is not None and any(each.is_going for each in running):
                ends(number)
                for some in peers:
                    some.end_together()
            for each in running:
                each.let_go(keeps=keeps)
            running = [each for each in running if each.is_going]
            for each in running:
                each.go_on()


def _peers(lots: Sequence[Lot]) -> list[tuple[Course, ...]]:
    return list(zip(*(lot.courses for lot in lots), strict=True))


def _look(running: Sequence[_Running], peers: Sequence[_Peers], number: int) -> None:
    """Decide on the epoch of this number: which members keep it, and which it was the last one of."""
    for some in peers:
        some.look(number)
    for each in running:
        each.keep(number)


class _Peers:
    """The courses of one member in all lots.

    The epoch of each lot alone would be the best on the rows that judge it, which flatters; the mean of all lots hardly
    knows one of them (docs/decisions/selection.md).
    """

    def __init__(self, courses: Sequence[Course], patience: int) -> None:
        self.courses, self.patience = courses, patience
        self.best, self.kept = math.inf, 0

    def look(self, number: int) -> None:
        if all(course.ended for course in self.courses):
            return
        loss = sum(course.loss for course in self.courses) / len(self.courses)
        if loss < self.best:
            self.best, self.kept = loss, number
            for course in self.courses:
                course.kept, course.best = number, course.loss
        why = next((course.stopped for course in self.courses if course.stopped), "")
        if not math.isfinite(loss):
            why = why or "the validation loss was not finite"
        elif number - self.kept >= self.patience:
            why = why or f"the validation loss had not improved for {self.patience} epochs"
        if why:
            for course in self.courses:
                course.ended, course.stopped = True, course.stopped or why

    def end_together(self) -> None:
        """End all of them where one was ended."""
        if any(course.ended for course in self.courses):
            for course in self.courses:
                course.ended = True


class _Running:
    """A lot in training; `there` are the courses of the members that are still in its network."""

    def __init__(
        self, lot: Lot, config: TrainConfig, seed: int, budget: Budget, policy: Policy | None, turns: Turns | None
    ) -> None:
        self.name, self.there = lot.name, list(lot.courses)
        self.run = Training(
            lot.network, lot.train, lot.valid, config, lot.members, seed, budget, None, policy=policy, hear=self._hear,
            turns=turns,
        )  # fmt: skip
        self.run.begin(lambda: trial_step(self.run))

    @property
    def is_going(self) -> bool:
        return not all(course.ended for course in self.there)

    def _hear(self, outputs: Tensor, losses: Tensor, judged: Tensor) -> None:
        self._losses: list[float] = losses.tolist()
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

    def keep(self, number: int) -> None:
        """Keep the epoch of this number for the members whose peers say so."""
        places = [place for place, course in enumerate(self.there) if course.kept == number and course.best < math.inf]
        for course in (self.there[place] for place in places):
            assert course.last is not None
            course.outputs = course.last.to("cpu", copy=True)
        if places:
            self.run.keep(places, number)

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
