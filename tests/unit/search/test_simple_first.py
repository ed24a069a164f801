"""When the simplest forecast answers alone: by hand, and how often where there is nothing to gain."""

import numpy as np
import pytest

from assay.search.simple_first import simple_first, stretches
from assay.train.choice import Choice


def choice_of(errors, *, shares, drawn=None, weight=None):
    """Candidates that miss a truth of zero by these errors, (M, n)."""
    answers = np.asarray(errors, np.float32)[:, :, None]
    rows = np.arange(answers.shape[1])
    drawn = np.asarray([shares] if drawn is None else drawn, np.float64)
    return Choice(
        (), np.arange(len(answers)), answers, np.zeros((len(rows), 1)), weight, np.asarray(shares, np.float64), rows,
        np.zeros((len(drawn), len(rows)), bool), drawn, 2, "greedy",
    )  # fmt: skip


def decided(errors, *, stretch, shares=(0.0, 1.0), weight=None):
    made = choice_of(errors, shares=shares, weight=weight)
    return simple_first(made, 0, np.ones((1, len(stretch))), np.asarray(stretch))


def test_stretches_share_no_step_and_are_a_few():
    assert stretches(np.arange(96), 10).tolist() == np.repeat(np.arange(8), 12).tolist()
    assert stretches(np.arange(13), 12).tolist() == [0] * 7 + [1] * 6
    assert stretches(np.array([5, 5, 5]), 3).tolist() == [0, 0, 0]
    several = stretches(np.tile(np.arange(40), 3), 10)  # of three series
    assert several.tolist() == np.tile(np.repeat(np.arange(4), 10), 3).tolist()


def test_what_gains_in_each_of_two_stretches_is_taken():
    found = decided([[2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.9, 1.9]], stretch=[0, 0, 1, 1])
    lead = found.lead
    assert lead.simple == pytest.approx(4.0)
    assert lead.gain == pytest.approx((3.0 + 0.39) / 2)
    assert lead.error == pytest.approx((3.0 - 0.39) / 2)
    assert (lead.stretches, lead.is_clear) == (2, True)
    assert found.shares.tolist() == [0.0, 1.0]
    assert found.drawn.tolist() == [[0.0, 1.0]]
    assert "42.4% lower than that of the ridge forecast alone, with a standard error of 32.6% over 2" in found.way


def test_what_gains_much_in_one_stretch_and_loses_in_the_other_is_not():
    found = decided([[2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 2.1, 2.1]], stretch=[0, 0, 1, 1], shares=(0.25, 0.75))
    assert found.lead.mixed < found.lead.simple
    assert not found.lead.is_clear
    assert found.shares.tolist() == [1.0, 0.0]
    assert found.drawn.tolist() == [[1.0, 0.0]]


def test_one_stretch_tells_nothing():
    found = decided([[2.0, 2.0], [0.0, 0.0]], stretch=[0, 0])
    assert found.shares.tolist() == [1.0, 0.0]
    assert "too short" in found.way


def test_each_draw_decides_by_its_own_windows():
    errors = [[2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 1.0, 3.0]]
    made = choice_of(errors, shares=[0.0, 1.0], drawn=[[0.0, 1.0], [0.0, 1.0]])
    found = simple_first(made, 0, np.array([[2.0, 0, 2, 0], [0, 2, 0, 2]]), np.array([0, 0, 1, 1]))
    assert found.drawn.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert found.shares.tolist() == [1.0, 0.0]


def test_windows_count_by_their_weight():
    errors = [[2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 1.0, 3.0]]
    weight = np.array([9.0, 1.0, 9.0, 1.0])
    assert decided(errors, stretch=[0, 0, 1, 1], weight=weight).lead.is_clear
    assert not decided(errors, stretch=[0, 0, 1, 1], weight=1.0 / weight).lead.is_clear


def test_one_candidate_is_nothing_to_choose_from():
    made = choice_of([[1.0, 1.0]], shares=[1.0])
    assert simple_first(made, 0, np.ones((1, 2)), np.array([0, 1])) is made


def test_luck_is_rarely_taken_for_a_gain():
    rng, taken = np.random.default_rng(0), 0
    for _ in range(200):
        errors = rng.normal(size=(2, 80))
        taken += decided(errors, stretch=np.repeat(np.arange(8), 10)).lead.is_clear
    assert 0.08 < taken / 200 < 0.28  # a t of 7 degrees of freedom exceeds 1 in 0.175 of all cases
