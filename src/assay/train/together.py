"""Members that end at different times: each leaves the batch when it has, and what it answered is kept.

What is wanted of them is not their weights but what they say of rows that they did not learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
from assay.train.preempt import termination_noted
from assay.train.state import isolated_randomness
from assay.train.training import Training
from assay.train.watch import Watch

#: Asked after each epoch, with its number: the places of members that shall end before their time.
Ends = Callable[[int], Collection[int]]


@dataclass
class Course:
    """How a member is doing.

    rows: places of the validation rows that judge it, int64, or None for all of them.
    outputs: what it says of these at its best epoch so far, (heads, rows, outputs); None before the first that is
        finite. epochs: passes that it was trained for. ended: whether it has. trouble: why it has no outputs, in words.
    """

    rows: Tensor | None
    outputs: Tensor | None = None
    epochs: int = 0
    ended: bool = False
    trouble: str = ""


def fit_together(
    network: Network,
    train: Source,
    valid: Source,
    config: TrainConfig,
    members: Sequence[Member],
    courses: Sequence[Course],
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    policy: Policy | None = None,
    ends: Ends | None = None,
) -> None:
    """Train members until each has ended: by its patience, by numbers that are not finite, or because `ends` says so.

    The network is left as it was when the last of them ended, narrowed to these. A member's outputs do not depend on
    the others, but for a horizon that the budget shortens.

    Args:
        courses: one a member, which are filled in.
        ends: may read the courses when it is asked.

    See `fit` for the rest.

    Raises:
        BudgetError: no time is left for a first step.
        KeyboardInterrupt: interrupted, or asked to end.
    """
    check_time(budget)
    running = list(range(len(members)))

    def hear(outputs: Tensor, better: Tensor) -> None:
        apart = outputs.unflatten(0, (len(running), -1))
        for place in better.nonzero().flatten().tolist():
            course = courses[running[place]]
            own = apart[place] if course.rows is None else apart[place][:, course.rows.to(apart.device)]
            course.outputs = own.to("cpu", copy=True)

    with isolated_randomness(), termination_noted() as termination:
        run = Training(network, train, valid, config, members, seed, budget, None, policy=policy, hear=hear)
        run.begin(lambda: trial_step(run))
        while running and not run.stopped:
            try:
                record = epoch(run, watch, termination)
            except DivergenceError as error:
                _note_trouble(courses, running, error.came)
                return
            if termination.asked:
                raise KeyboardInterrupt
            for place in running:
                courses[place].epochs = record.epoch
            watch.epoch(record, run.epochs_planned)
            over = {place for place, is_over in zip(running, run.kept.stopped.tolist(), strict=True) if is_over}
            for place in over:
                rate = f"with a learning rate of at most {members[place].lr:.3g}"
                _note_trouble(courses, [place], f"the validation loss was not finite after epoch {record.epoch} {rate}")
            for place in running if run.stopped else over:
                courses[place].ended = True
            if ends is not None and not run.stopped:
                over |= set(ends(record.epoch))
            staying = [here for here, place in enumerate(running) if place not in over]
            if staying and len(staying) < len(running):
                run.narrow(staying)
            running = [running[here] for here in staying]


def _note_trouble(courses: Sequence[Course], places: Sequence[int], came: str) -> None:
    """Say why those that have no outputs have none."""
    for place in places:
        if courses[place].outputs is None:
            courses[place].trouble = came


def places_of(judged: Tensor) -> list[Tensor]:
    """The places of rows that each fold is judged on, from its weights (folds, n)."""
    return [torch.from_numpy(each.numpy().nonzero()[0]) for each in judged]
