"""What those who propose settings and those who judge them know of each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from assay.evaluate.metrics import Metric
from assay.train.budget import Budget
from assay.train.watch import Watch

Value = str | int | float | bool
#: What a study may go for: the metric of its trials, microseconds a row, bytes of the numbers of the networks, and the
#: gap between sensitive groups.
Goal = Literal["score", "latency", "size", "fairness"]
#: What one number of a network takes in its file.
_BYTES = 4
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
    latency: microseconds that its network takes for a row, where the study asks for it. gap: between sensitive groups,
    where it asks for that (`group_gap.py`).
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
    latency: float | None = None
    gap: float | None = None

    def values(self, goals: Sequence[Goal]) -> list[float]:
        """What it came to, by goal; NaN where a number is missing."""
        size = float(_BYTES * self.parameters)
        known = {"score": self.value, "latency": self.latency, "size": size, "fairness": self.gap}
        found = (known[goal] for goal in goals)
        return [math.nan if value is None else value for value in found]


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

    def cost(self, group: Sequence[Trial]) -> float:
        """What a pass of the trials of a group costs beside one of other groups: the cheapest are judged first."""
        ...

    def judge(self, group: Sequence[Trial], prune: Prune | None, budget: Budget, watch: Watch) -> list[Outcome]:
        """The outcomes of one group, in its order; a trial that goes wrong has `failed` and its reason.

        Answers of completed trials for rows they had not learned from are kept where `answers_of` finds them.
        """
        ...
