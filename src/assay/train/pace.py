"""How many steps the budget affords: the schedule's horizon is fitted to the speed that is seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from assay.train.budget import Budget

#: Steps after which the speed is known, sooner if they take this share of the time; then looked at again at this share.
_TIMED_STEPS, _TIMED_SHARE, _AGAIN_SHARE = 40, 0.1, 0.05
#: Share of what is left that is planned for: the speed may fall.
_PLANNED = 0.97


@dataclass
class Pace:
    """The horizon in steps: `planned`, or fewer when the budget ends sooner."""

    budget: Budget
    planned: int
    steps_per_epoch: int
    horizon: int = field(init=False)
    validating: float = field(default=0.0, init=False)
    """Seconds that the last validation took."""

    def __post_init__(self) -> None:
        self.horizon = self.planned
        self._began = self._fitted = self.budget.clock()
        self._allowed = self.budget.left
        self._validated, self._first = 0.0, 0
        self._is_first, self._is_known = True, False

    @property
    def is_limited(self) -> bool:
        """Whether the budget shortened the training."""
        return self.horizon < self.planned

    def begin(self) -> None:
        """The first step comes next; the time up to now was for making ready, and says nothing of the speed."""
        self._began = self._fitted = self.budget.clock()
        self._allowed = self.budget.left

    def resume(self, step: int, horizon: int) -> None:
        """Go on at `step` with the horizon of before."""
        self._first, self.horizon = step, horizon

    def after_step(self, step: int) -> None:
        """Look at the clock now and then, and fit the horizon."""
        now = self.budget.clock()
        if not self._is_known:
            seconds, steps = now - self._began, step - self._first
            if self._is_first and seconds < self.budget.left:
                # It makes what the steps to come find made, and may take many times as long as they.
                self._began, self._first = now, step
            elif self._is_first or steps >= _TIMED_STEPS or seconds > _TIMED_SHARE * self._allowed:
                self.fit(step)
            self._is_first = False
        elif self.budget.left <= self.validating:
            self.horizon = step
        elif now - self._fitted > _AGAIN_SHARE * self._allowed:
            self.fit(step)

    def after_validation(self, step: int, seconds: float) -> None:
        """Take note of what a validation costs; the pace is looked at again."""
        self.validating = seconds
        self._validated += seconds
        if self._is_known and step < self.horizon:
            self.fit(step)

    def fit(self, step: int) -> None:
        """Set the horizon to what the budget affords at the speed seen so far."""
        now = self.budget.clock()
        self._is_known, self._fitted = True, now
        a_step = (now - self._began - self._validated) / max(step - self._first, 1)
        a_step += self.validating / self.steps_per_epoch
        left = max(self.budget.left - self.validating, 0.0) * _PLANNED
        affordable = float("inf") if a_step <= 0.0 else step + left / a_step
        self.horizon = max(int(min(self.planned, affordable)), step)


@dataclass
class Turns:
    """What trainings that take turns on one machine share: how many they are, and what all of them have done.

    first: the time at which the first step of all was over, which takes longer than others; None before it.
    """

    trainings: int
    steps: int = 0
    validated: float = 0.0
    first: float | None = None


class TurnPace(Pace):
    """The horizon of a training that waits for others between its epochs.

    By its own clock a training would take the time of the others for its own, and end after a step or two.
    """

    def __init__(self, budget: Budget, planned: int, steps_per_epoch: int, turns: Turns) -> None:
        super().__init__(budget, planned, steps_per_epoch)
        self.turns = turns

    def after_step(self, step: int) -> None:
        """Look at the clock: after each of the first steps, now and then later."""
        turns, now = self.turns, self.budget.clock()
        turns.steps += 1
        if turns.first is None:
            turns.first = now
        elif self.budget.left <= self.validating:
            self.horizon = step
        elif turns.steps <= _TIMED_STEPS or now - self._fitted > _AGAIN_SHARE * self._allowed:
            self.fit(step)

    def after_validation(self, step: int, seconds: float) -> None:
        """Take note of what a validation costs."""
        self.validating = seconds
        self.turns.validated += seconds

    def fit(self, step: int) -> None:
        """Set the horizon to the share of what the budget affords to all at the speed seen so far."""
        turns, now = self.turns, self.budget.clock()
        assert turns.first is not None
        self._fitted = now
        a_step = (now - turns.first - turns.validated) / max(turns.steps - 1, 1)
        a_step += self.validating / self.steps_per_epoch
        left = max(self.budget.left - turns.trainings * self.validating, 0.0) * _PLANNED
        affordable = float("inf") if a_step <= 0.0 else (turns.steps + left / a_step) / turns.trainings
        self.horizon = max(int(min(self.planned, affordable)), step)
