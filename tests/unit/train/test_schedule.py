import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.train.schedule import warm_cosine


def test_it_rises_in_a_line_and_falls_along_half_a_cosine():
    found = [warm_cosine(step, 100, 0.1) for step in range(101)]
    assert found[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert found[10] == 1.0
    assert found[55] == pytest.approx(0.5)
    assert found[40] == pytest.approx(0.5 * (1 + math.cos(math.pi / 3)))
    assert found[100] == pytest.approx(0.0, abs=1e-12)


def test_without_warm_up_it_starts_at_the_top():
    assert warm_cosine(0, 50, 0.0) == 1.0


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.99))
def test_it_rises_once_and_falls_once_within_bounds(steps, warmup):
    found = [warm_cosine(step, steps, warmup) for step in range(steps)]
    assert all(0.0 < factor <= 1.0 for factor in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


@given(steps=st.integers(2, 500), warmup=st.floats(0, 0.5), beyond=st.integers(0, 10))
def test_it_ends_at_zero(steps, warmup, beyond):
    assert warm_cosine(steps + beyond, steps, warmup) == pytest.approx(0.0, abs=1e-9)
