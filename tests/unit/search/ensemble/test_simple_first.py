"""When the simplest forecast answers alone: by hand, and how often where there is nothing to gain."""

import numpy as np
import pytest
from scipy import stats

from assay.evaluate.forecast.paired import Overlap
from assay.search.ensemble.simple_first import simple_first
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


def windows(count, horizon=1):
    return Overlap.of(np.arange(count), [""] * count, horizon)


def decided(errors, *, shares=(0.0, 1.0), weight=None, horizon=1):
    made = choice_of(errors, shares=shares, weight=weight)
    count = made.answers.shape[1]
    return simple_first(made, 0, np.ones((1, count)), windows(count, horizon))


#: Squared errors of 4, and those of a network that is better by this in each of six windows.
GAINS = np.array([3.0, 2.0, 3.0, 1.0, 2.0, 3.0])
RIDGE, NETWORK = np.full(6, 2.0), np.sqrt(4.0 - GAINS)


def test_a_steady_gain_is_taken():
    found = decided([RIDGE, NETWORK])
    lead = found.lead
    assert lead.simple == pytest.approx(4.0)
    assert lead.gain == pytest.approx(GAINS.mean())
    assert lead.p_value == pytest.approx(stats.ttest_1samp(GAINS, 0.0, alternative="greater").pvalue, rel=1e-4)
    assert lead.is_clear
    assert found.shares.tolist() == [0.0, 1.0]
    assert found.drawn.tolist() == [[0.0, 1.0]]
    assert "58.3% lower than that of the ridge forecast alone on validation (p = 0.00046, one-sided" in found.way


def test_what_gains_much_at_times_and_loses_at_others_is_not():
    errors = [[2.0] * 6, [0.0, 0.0, 2.5, 2.5, 0.0, 2.5]]
    found = decided(errors, shares=(0.25, 0.75))
    assert found.lead.gain > 0.0
    assert not found.lead.is_clear
    assert found.shares.tolist() == [1.0, 0.0]
    assert found.drawn.tolist() == [[1.0, 0.0]]


def test_a_loss_is_not_clear_however_steady():
    found = decided([NETWORK, RIDGE])
    assert found.lead.p_value > 0.99
    assert found.shares.tolist() == [1.0, 0.0]
    assert "% higher than that of the ridge" in found.way


def test_less_than_two_stretches_tell_nothing():
    found = decided([RIDGE, NETWORK], horizon=4)
    assert found.lead.p_value is None
    assert found.shares.tolist() == [1.0, 0.0]
    assert "too short" in found.way


def test_networks_without_a_share_gain_nothing():
    found = decided([RIDGE, NETWORK], shares=(1.0, 0.0))
    assert (found.lead.gain, found.lead.is_clear) == (0.0, False)
    assert "no share" in found.way


def test_each_draw_decides_by_its_own_windows():
    errors = [[2.0] * 12, np.tile([1.0, 3.0], 6) + 0.05 * np.arange(12)]
    made = choice_of(errors, shares=[0.0, 1.0], drawn=[[0.0, 1.0], [0.0, 1.0]])
    odd = np.tile([2.0, 0.0], 6)
    found = simple_first(made, 0, np.stack([odd, 2.0 - odd]), windows(12))
    assert found.drawn.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert found.shares.tolist() == [1.0, 0.0]


def test_windows_count_by_their_weight():
    errors = [[2.0] * 12, np.tile([1.0, 3.0], 6) + 0.05 * np.arange(12)]
    weight = np.tile([30.0, 0.1], 6)
    assert decided(errors, weight=weight).lead.is_clear
    assert not decided(errors, weight=1.0 / weight).lead.is_clear


def test_one_candidate_is_nothing_to_choose_from():
    made = choice_of([[1.0, 1.0]], shares=[1.0])
    assert simple_first(made, 0, np.ones((1, 2)), windows(2)) is made


def test_luck_is_rarely_taken_for_a_gain():
    rng, taken = np.random.default_rng(0), 0
    for _ in range(200):
        taken += decided(rng.normal(size=(2, 80)), horizon=4).lead.is_clear
    assert 0.01 < taken / 200 < 0.09
