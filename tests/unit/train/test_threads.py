"""Threads: never more than there may be, the number that is sooner, and another one where steps become slow."""

import math
import os

import pytest
import torch

from assay.train import threads as module
from assay.train.threads import Threads, allowed_cores, free_cores, using_threads


def test_threads_are_set_and_given_back():
    before = torch.get_num_threads()

    def fail():
        with using_threads(0) as threads:
            assert threads == torch.get_num_threads() == 1
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.get_num_threads() == before


def test_never_more_threads_than_the_process_may_use():
    with using_threads(10_000) as threads:
        assert threads == allowed_cores() <= len(os.sched_getaffinity(0))
    assert 1 <= free_cores() <= allowed_cores()


def test_threads_that_wait_for_each_other_are_given_up_at_once(monkeypatch):
    calls, now, threads = [], [0.0], [1]

    def step():
        calls.append(threads[0])
        now[0] += 0.01 if threads[0] == 1 else 5.0

    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module.torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    assert module.faster_threads(step, 2) == 1
    assert calls == [1] * 5 + [2]
    calls.clear()
    assert module._seconds_a_step(step, 1) == pytest.approx(0.01)


def test_slow_steps_are_timed_once_and_faster_threads_are_taken(monkeypatch):
    calls, now, threads = [], [0.0], [1]

    def step():
        calls.append(threads[0])
        now[0] += 8.0 / threads[0]

    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module.torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    assert module.faster_threads(step, 2) == 2
    assert calls == [1, 1, 2, 2]
    assert math.isclose(now[0], 2 * 8.0 + 2 * 4.0)


@pytest.fixture
def begun(monkeypatch):
    """Makes threads whose number is chosen already, and tells what torch was told to use."""
    told = []
    monkeypatch.setattr(module.torch, "set_num_threads", told.append)

    def make(most, known):
        threads = Threads(most)
        threads.go_on(known)
        told.clear()
        return threads, told

    return make


def trained(threads, seconds, pace):
    """Train for so many seconds of steps; `pace` says by the number of threads what a step lasts. Steps are counted."""
    steps = 0
    while seconds > 0.0:
        threads.after_step(pace(threads.known))
        seconds, steps = seconds - pace(threads.known), steps + 1
    return steps


def quiet(threads):
    return {1: 0.010, 2: 0.006, 4: 0.004}[threads]


def contended(threads):
    """Beside another process the fewer threads, the sooner."""
    return {1: 0.012, 2: 0.100, 4: 1.0}[threads]


def test_nothing_changes_while_the_pace_stays_what_it_was(begun):
    threads, told = begun(2, 2)
    trained(threads, 600.0, quiet)
    assert (threads.known, told) == (2, [])
    one, told = begun(2, 1)  # one was found to be sooner: it stays, so that a run can be repeated
    trained(one, 600.0, quiet)
    assert (one.known, told) == (1, [])


def test_fewer_threads_are_used_where_others_come_and_more_again_when_they_are_gone(begun):
    threads, told = begun(4, 4)
    trained(threads, 5.0, quiet)
    trained(threads, 8.0, contended)
    assert threads.known == 1
    assert told == [2, 1]  # at once, one after the other
    steps = trained(threads, 600.0, contended)
    assert threads.known == 1
    assert 600.0 / steps < 1.05 * contended(1)  # that two are tried now and then costs little
    trained(threads, 700.0, quiet)
    assert threads.known == 4


def test_steps_that_are_slow_with_any_number_of_threads_are_left_as_they_were(begun):
    threads, told = begun(2, 2)
    trained(threads, 5.0, quiet)
    trained(threads, 700.0, lambda _: 0.050)
    assert threads.known == 2
    assert told[:2] == [1, 2]
    assert len(told) <= 16  # ever less often


def test_a_number_that_loses_is_given_up_after_one_long_step(begun):
    threads, told = begun(2, 2)
    trained(threads, 5.0, quiet)
    for _ in range(200):
        threads.after_step(0.030 if threads.known == 2 else 5.0)
    assert told[:2] == [1, 2]


def test_one_core_is_never_looked_at(begun):
    threads, told = begun(1, 1)
    trained(threads, 1.0, quiet)
    trained(threads, 10.0, contended)
    assert (threads.known, told) == (1, [])


def test_a_training_begins_with_what_one_like_it_had(begun):
    threads, told = begun(2, 2)
    trained(threads, 5.0, quiet)
    threads.renew()
    for _ in range(5):  # the folds of a trial
        assert not threads.begin(lambda: None)
    trained(threads, 30.0, lambda count: 3.0 * quiet(count))  # it may be larger
    assert told == [2] * 5
    trained(threads, 30.0, contended)
    assert threads.known == 1


def test_that_one_thread_is_sooner_is_measured_again_after_a_while(begun, monkeypatch):
    now, measured = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "faster_threads", lambda step, most: measured.append(most) or len(measured))
    threads = Threads(2)
    assert threads.begin(lambda: None)
    assert (threads.known, measured) == (1, [2])
    now[0] = 59.0
    assert not threads.begin(lambda: None)
    now[0] = 61.0
    assert threads.begin(lambda: None)
    assert (threads.known, measured) == (2, [2, 2])
    now[0] = 1000.0
    assert not threads.begin(lambda: None)  # steps tell when two are too many
