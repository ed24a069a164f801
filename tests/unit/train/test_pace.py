"""The horizon of a training within a budget: slow beginnings do not end it, slow steps do."""

import pytest

from assay.train.pace import Pace


class Clock:
    """A budget whose time is told by hand."""

    def __init__(self, seconds):
        self.seconds, self.now = seconds, 0.0

    def clock(self):
        return self.now

    @property
    def left(self):
        return self.seconds - self.now


def trained(pace, budget, taken, most=1000):
    """Steps until the horizon is reached; `taken` is what each lasts."""
    step = 0
    while step < pace.horizon and step < most:
        budget.now += taken(step)
        step += 1
        pace.after_step(step)
    return step


def test_a_slow_first_step_does_not_shorten_the_training():
    budget = Clock(10.0)
    pace = Pace(budget, planned=60, steps_per_epoch=10)
    assert trained(pace, budget, lambda step: 3.0 if step == 0 else 0.05) == 60
    assert not pace.is_limited


def test_what_was_made_ready_before_the_first_step_is_no_step():
    budget = Clock(10.0)
    pace = Pace(budget, planned=1000, steps_per_epoch=10)
    budget.now = 6.0
    pace.begin()
    steps = trained(pace, budget, lambda _: 0.05)
    assert steps == pytest.approx(4.0 / 0.05, rel=0.05)
    assert 9.5 < budget.now <= 10.0


def test_slow_steps_end_the_training_within_the_budget():
    budget = Clock(10.0)
    pace = Pace(budget, planned=1000, steps_per_epoch=10)
    assert trained(pace, budget, lambda _: 4.0) == 2
    assert budget.now == 8.0
    budget = Clock(10.0)
    pace = Pace(budget, planned=1000, steps_per_epoch=10)
    assert trained(pace, budget, lambda _: 6.0) == 1  # there may be no time for another
