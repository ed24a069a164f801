"""Ticks are round, inside the range, evenly apart; ranges are never empty."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report.ticks import Axis, finite, labels_on, span, tick_labels, ticks, whole_ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted", "expected"),
    [
        (0, 1, 5, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0, 10, 4, (0, 2.5, 5, 7.5, 10)),
        (-1, 1, 4, (-1, -0.5, 0, 0.5, 1)),
        (0.896, 0.931, 5, (0.9, 0.91, 0.92, 0.93)),
        (1, 18, 6, (5, 10, 15)),
        (0, 500_000, 5, (0, 100_000, 200_000, 300_000, 400_000, 500_000)),
        (0, 3e-7, 3, (0, 1e-7, 2e-7, 3e-7)),
    ],
)
def test_ticks_are_round(low, high, wanted, expected):
    assert ticks(low, high, wanted) == pytest.approx(expected)


def test_a_range_of_no_length_has_its_one_value_and_no_range_has_none():
    assert ticks(3, 3) == (3,)
    assert ticks(math.nan, 1) == ()
    assert ticks(0, math.inf) == (0,)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 8))
def test_ticks_lie_inside_and_evenly(low, length, wanted):
    high = low + length
    found = ticks(low, high, wanted)
    room = (high - low) * 1e-6 + abs(low) * 1e-9
    assert len(found) <= wanted + 1
    assert all(low - room <= value <= high + room for value in found)
    gaps = [b - a for a, b in pairwise(found)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-3, abs=room) for gap in gaps)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0, 0.2, 0.4), ("0.0", "0.2", "0.4")),
        ((0, 2.5, 5), ("0.0", "2.5", "5.0")),
        ((0, 100_000), ("0", "100\u202f000")),
        ((-1, 0), ("−1", "0")),
        ((0, 1e-7), ("0", "1\u00a0×\u00a010⁻⁷")),
        ((), ()),
    ],
)
def test_labels_share_their_decimals(values, labels):
    assert tick_labels(values) == labels


def test_span_has_a_margin_keeps_given_ends_and_is_never_empty():
    assert span([0, 10], Axis("x"), 0.1) == (-1, 11)
    assert span([0, 10], Axis("x", 0, 10)) == (0, 10)
    assert span([5, 5], Axis("x")) == (2.5, 7.5)
    assert span([0, 0], Axis("x")) == (-0.5, 0.5)
    assert span([], Axis("x")) == (-0.05, 1.05)
    assert span([None, math.nan, 4, 6], Axis("x"), 0) == (4, 6)
    assert span([1, 2], Axis("x", low=9)) == (8.5, 9.5)


def test_finite_leaves_out_what_is_not_a_number():
    assert finite([1, None, math.nan, math.inf, 2.5]) == [1.0, 2.5]


def test_an_axis_of_powers_has_ticks_within_one_where_it_spans_hardly_one():
    axis = Axis("rate", powers=True)
    wide = whole_ticks(axis, -3.2, -0.8, ticks(-3.2, -0.8, 6))
    assert (wide, labels_on(axis, wide)) == ((-3.0, -2.0, -1.0), ("10⁻³", "10⁻²", "10⁻¹"))
    narrow = whole_ticks(axis, math.log10(0.06), math.log10(0.6), ticks(math.log10(0.06), math.log10(0.6), 6))
    assert labels_on(axis, narrow) == ("0.1", "0.2", "0.5")
    assert [10**value for value in narrow] == pytest.approx([0.1, 0.2, 0.5])


def test_an_axis_that_counts_has_whole_ticks():
    assert whole_ticks(Axis("epoch", whole=True), 0.0, 2.0, (0.0, 0.5, 1.0, 1.5, 2.0)) == (0.0, 1.0, 2.0)
    assert whole_ticks(Axis("loss"), 0.0, 1.0, (0.0, 0.5, 1.0)) == (0.0, 0.5, 1.0)
