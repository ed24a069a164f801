"""What those who propose settings and those who judge them know of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from assay.evaluate.metrics import Metric
from assay.train.budget import Budget
from assay.train.watch import Watch

Value = str | int | float | bool
#: A number of the trial, a step (an epoch, or a fold) and the value there: whether the trial shall end.
Prune = Callable[[int, int, float], bool]


@dataclass(frozen=True)
class Trial:
    """A setting to be judged: options by their dotted names, over what the study holds fixed."""

    number: int
    options: Mapping[str, Value]
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    value: of the study's metric, in the metric's own direction; None where there is none.
    folds: the value in each fold. epochs: passes over the rows, those of its longest member.
    seconds: the trial's share of the time of its group.
    reason: why it was pruned or failed, in words.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    folds: tuple[float, ...] = ()
    epochs: int = 0
    seconds: float = 0.0
    parameters: int = 0
    reason: str = ""


class Objective(Protocol):
    """Judges settings on rows that are never test rows.

    width: settings that are best asked for at a time. folds: of the cross-validation; 1 is one held-out part.
    """

    metric: Metric
    width: int
    folds: int

    def groups(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """The trials in groups that are trained at once, in the order of their first numbers."""
        ...

    def judge(self, group: Sequence[Trial], prune: Prune | None, budget: Budget, watch: Watch) -> list[Outcome]:
        """The outcomes of one group, in its order; a trial that goes wrong has `failed` and its reason.

        Answers of completed trials for rows they had not learned from are kept where `answers_of` finds them.
        """
        ...
