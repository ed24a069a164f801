"""Members that end at different times: each leaves the batch when it has, and what it answered is kept.

What is wanted of them is not their weights but what they say of rows that they did not learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.data.batches import Source
from assay.errors import DivergenceError
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.changes import Policy
from assay.train.config import TrainConfig
from assay.train.loop import check_time, epoch, trial_step
from assay.train.members import Member
from assay.train.preempt import Termination, termination_noted
from assay.train.state import isolated_randomness
from assay.train.training import Training
from assay.train.watch import Named, Watch

#: Called after each epoch, with its number; it may end courses before their time.
Ends = Callable[[int], None]


@dataclass
class Course:
    """How a member is doing.

    outputs: what it says of the rows that judge it at its best epoch so far, (heads, rows, outputs); None before the
        first that is finite. last: what it says of them at its last epoch, whether better or not. epochs: passes that
        it was trained for. ended: whether it has, or shall. trouble: why it has no outputs, in words.
    """

    outputs: Tensor | None = None
    last: Tensor | None = None
    epochs: int = 0
    ended: bool = False
    trouble: str = ""


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
) -> None:
    """Train the members of each lot until they have ended: by patience, by what is not finite, or as `ends` says.

    Lots take turns, an epoch each, so that the folds of a cross-validation are lots. What a member answers does not
    depend on the others, but for a horizon that the budget shortens. Networks are left as they were when the last of
    their members ended, cut to these.

    See `fit` for the rest.

    Raises:
        BudgetError: no time is left for a first step.
        KeyboardInterrupt: interrupted, or asked to end.
    """
    check_time(budget)
    with isolated_randomness(), termination_noted() as termination:
        running = []
        for lot in lots:
            running.append(_Running(lot, config, seed, budget, policy))
            config = config.model_copy(update={"threads": torch.get_num_threads()})  # those that the first one chose
        number = 0
        while running:
            number += 1
            for each in running:
                each.pass_once(watch, termination)
            if ends is not None and any(each.is_going for each in running):
                ends(number)
            running = [each for each in running if each.is_going]
            for each in running:
                each.go_on()


class _Running:
    """A lot in training; `there` are the courses of the members that are still in its network."""

    def __init__(self, lot: Lot, config: TrainConfig, seed: int, budget: Budget, policy: Policy | None) -> None:
        self.name, self.there = lot.name, list(lot.courses)
        self.run = Training(
            lot.network, lot.train, lot.valid, config, lot.members, seed, budget, None, policy=policy, hear=self._hear
        )
        self.run.begin(lambda: trial_step(self.run))

    @property
    def is_going(self) -> bool:
        return not all(course.ended for course in self.there)

    def _hear(self, outputs: Tensor, better: Tensor) -> None:
        apart = outputs.unflatten(0, (len(self.there), -1))
        for course, own in zip(self.there, apart, strict=True):
            course.last = own
        for place in better.nonzero().flatten().tolist():
            self.there[place].outputs = apart[place].to("cpu", copy=True)

    def pass_once(self, watch: Watch, termination: Termination) -> None:
        """An epoch; courses that it was the last one of are ended."""
        watch = Named(watch, self.name)
        try:
            record = epoch(self.run, watch, termination)
        except DivergenceError as error:
            for course in self.there:
                _end(course, error.came)
            return
        if termination.asked:
            raise KeyboardInterrupt
        watch.epoch(record, self.run.epochs_planned)
        stopped = self.run.kept.stopped.tolist()
        for course, member, is_over in zip(self.there, self.run.members, stopped, strict=True):
            course.epochs = record.epoch
            if is_over or self.run.stopped:
                rate = f"with a learning rate of at most {member.lr:.3g}"
                _end(course, f"the validation loss was not finite after epoch {record.epoch} {rate}")

    def go_on(self) -> None:
        """Leave out the members that have ended."""
        staying = [place for place, course in enumerate(self.there) if not course.ended]
        if len(staying) < len(self.there):
            self.run.narrow(staying)
            self.there = [self.there[place] for place in staying]


def _end(course: Course, trouble: str) -> None:
    """End a course; where it has no outputs, `trouble` says why."""
    course.ended = True
    if course.last is not None:
        course.last = course.last.to("cpu", copy=True)  # what the others said is let go of
    if course.outputs is None:
        course.trouble = trouble
