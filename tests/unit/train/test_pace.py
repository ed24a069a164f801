"""The horizon of a training within a budget: slow beginnings do not end it, slow steps do."""

import math

import pytest

from assay.train import device
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


def test_threads_that_wait_for_each_other_are_given_up_at_once(monkeypatch):
    calls, now, threads = [], [0.0], [1]

    def step():
        calls.append(threads[0])
        now[0] += 0.01 if threads[0] == 1 else 5.0

    monkeypatch.setattr(device.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(device.torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    assert device.faster_threads(step, 2) == 1
    assert calls == [1] * 5 + [2]
    calls.clear()
    assert device._seconds_a_step(step, 1) == pytest.approx(0.01)


def test_slow_steps_are_timed_once_and_faster_threads_are_taken(monkeypatch):
    calls, now, threads = [], [0.0], [1]

    def step():
        calls.append(threads[0])
        now[0] += 8.0 / threads[0]

    monkeypatch.setattr(device.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(device.torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    assert device.faster_threads(step, 2) == 2
    assert calls == [1, 1, 2, 2]
    assert math.isclose(now[0], 2 * 8.0 + 2 * 4.0)
