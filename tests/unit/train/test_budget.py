import math
import time

import pytest

from assay.train.budget import Budget


def test_without_a_number_it_never_ends():
    budget = Budget(None)
    assert budget.left == math.inf
    assert budget.holding(100.0).left == math.inf


def test_seconds_count_from_the_start_given():
    budget = Budget(60.0, started=time.monotonic() - 10.0)
    assert budget.used == pytest.approx(10.0, abs=0.5)
    assert budget.left == pytest.approx(50.0, abs=0.5)
    assert budget.holding(20.0).left == pytest.approx(30.0, abs=0.5)
    assert Budget(1.0, started=time.monotonic() - 10.0).left < 0


def test_the_clock_can_be_another():
    now = [100.0]
    budget = Budget(60.0, clock=lambda: now[0])
    now[0] = 110.0
    assert (budget.used, budget.left, budget.holding(20.0).left) == (10.0, 50.0, 30.0)
