"""Two forecasts of the same windows: by hand, against SciPy, and how often a lead is found where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.evaluate.forecast.paired import Overlap, lead_test, leads, long_run


def overlap(count, horizon, *, apart=1, series=1):
    """Windows of so many origins of each series."""
    return Overlap.of(np.tile(apart * np.arange(count), series), np.repeat(np.arange(series), count), horizon)


def without_a_lead(rng, count, horizon):
    """Leads of windows whose steps miss by chance alone: means of all steps that a window forecasts."""
    steps = np.abs(rng.normal(size=count + horizon)) - np.abs(rng.normal(size=count + horizon))
    return np.convolve(steps, np.ones(horizon) / horizon, mode="valid")[:count]


def test_one_step_ahead_it_is_students_t():
    lead = np.random.default_rng(0).normal(0.3, 1.0, 50)
    found = lead_test(lead, overlap(50, 1), 0.95)
    expected = stats.ttest_1samp(lead, 0.0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.error == pytest.approx(stats.sem(lead))
    assert found.test == "Diebold-Mariano (HLN) of 50 origins, lag 0"


def test_two_steps_ahead_by_hand():
    lead = np.array([1.0, 3.0, 2.0, 4.0, 6.0, 2.0])
    # Less the mean of 3: -2, 0, -1, 1, 3, -1; squares 16, neighbours 0 + 0 - 1 + 3 - 3 = -1. Of the truncated sum
    # 16 - 2 and Bartlett's 16 - 1 the latter is the larger, over 36. Correction: (6 + 1 - 4 + 2 / 6) / 6 = 5 / 9.
    found = lead_test(lead, overlap(6, 2), 0.95)
    error = np.sqrt(15 / 36 / (5 / 9))
    assert found.p_value == pytest.approx(2 * stats.t.sf(3 / error, 2))
    assert found.difference.high == pytest.approx(3 + stats.t.ppf(0.975, 2) * error)
    assert found.test.endswith("of 6 origins, lag 1")


def test_errors_that_go_together_are_summed_to_the_last_lag_within_a_horizon():
    pulls = np.random.default_rng(1).normal(size=40).cumsum()
    pulls -= pulls.mean()
    lags = range(-3, 4)
    products = [pulls[max(k, 0) : 40 + min(k, 0)] @ pulls[max(-k, 0) : 40 + min(-k, 0)] for k in lags]
    assert long_run(pulls, np.arange(40), 4) == pytest.approx(sum(products))
    # Every fifth step: the next one shares four of nine steps, those after it none.
    near = pulls @ pulls + 2 * pulls[1:] @ pulls[:-1]
    assert long_run(pulls, 5 * np.arange(40), 9) == pytest.approx(near)
    # A gap as long as the horizon parts them.
    parted = np.concatenate([np.arange(20), np.arange(24, 44)])
    halves = [long_run(each, np.arange(20), 4) for each in (pulls[:20], pulls[20:])]
    assert long_run(pulls, parted, 4) == pytest.approx(sum(halves))


def test_a_variance_is_never_negative():
    pulls = np.tile([1.0, -1.0], 20)
    assert long_run(pulls, np.arange(40), 2) == pytest.approx(40 - 39)  # the truncated sum is 40 - 78


def test_stretches_share_no_step():
    def stretches(*given, **more):
        return overlap(*given, **more).support.stretches

    assert (stretches(13, 12), stretches(24, 12), stretches(25, 12, apart=5)) == (1, 2, 8)
    assert (stretches(7, 3, apart=10), stretches(1, 3), overlap(1, 3).reach) == (7, 0, 3)


def test_some_windows_are_worth_the_stretches_they_lie_in():
    windows = overlap(60, 3, series=2)
    month = np.zeros(120, bool)
    month[10:16] = True  # six origins of the first series
    assert (windows.support_of(month).stretches, windows.support_of(month).series) == (2, 1)
    assert windows.support_of(np.ones(120, bool)) == windows.support
    assert windows.support_of(~month) == windows.support
    assert windows.support_of(np.zeros(120, bool)).stretches == 0


def test_less_than_two_stretches_tell_nothing():
    found = lead_test(np.full(13, 5.0) + np.arange(13), overlap(13, 12), 0.95)
    assert found.difference.value == pytest.approx(11.0)
    assert (found.difference.low, found.p_value) == (None, 1.0)
    assert "needs 2 stretches of origins that share no step" in found.test
    assert not overlap(13, 12).support.is_enough


@pytest.mark.parametrize(("count", "horizon"), [(24, 12), (60, 12), (200, 24), (50, 4)])
def test_luck_is_rarely_taken_for_a_lead(count, horizon):
    """The test with the truncated sum and T - 1 degrees of freedom finds one in 31, 16, 10 and 7 of 100."""
    rng, windows = np.random.default_rng(0), overlap(count, horizon)
    found = [lead_test(without_a_lead(rng, count, horizon), windows, 0.95).p_value < 0.05 for _ in range(400)]
    assert np.mean(found) < 0.085


def test_a_lead_is_found_where_there_is_one():
    rng, windows = np.random.default_rng(0), overlap(200, 24)
    found = [lead_test(without_a_lead(rng, 200, 24) + 0.4, windows, 0.95).p_value < 0.05 for _ in range(100)]
    assert np.mean(found) > 0.8


def test_series_at_one_origin_are_one_witness():
    lead = np.random.default_rng(0).normal(0.2, 1.0, 60)
    alone, five = lead_test(lead, overlap(60, 3), 0.95), lead_test(np.tile(lead, 5), overlap(60, 3, series=5), 0.95)
    assert five.p_value == pytest.approx(alone.p_value)
    assert five.difference.low == pytest.approx(alone.difference.low)


def test_a_lead_must_hold_over_many_series_too():
    rng = np.random.default_rng(0)
    of_series, noise = rng.normal(0.2, 1.0, 25), 0.1 * rng.normal(size=(25, 60))
    lead = (of_series[:, None] + noise).ravel()
    found = lead_test(lead, overlap(60, 3, series=25), 0.95)
    expected = stats.ttest_1samp(lead.reshape(25, 60).mean(1), 0.0)
    assert found.p_value == pytest.approx(expected.pvalue)  # over time alone it would be sure
    assert found.difference.low == pytest.approx(expected.confidence_interval(0.95).low)
    assert found.test.endswith("lag 2, and Student's t of 25 series")
    shared = np.tile(rng.normal(0.0, 1.0, 60), 25) + 0.3  # all series alike: now time decides
    over_time = lead_test(shared[:60], overlap(60, 3), 0.95)
    assert lead_test(shared, overlap(60, 3, series=25), 0.95).p_value == pytest.approx(over_time.p_value)


def test_many_series_are_told_apart_in_one_stretch_of_time():
    lead = np.random.default_rng(0).normal(0.5, 1.0, (30, 4))
    found = lead_test(lead.ravel(), overlap(4, 6, series=30), 0.95)
    assert found.p_value == pytest.approx(stats.ttest_1samp(lead.mean(1), 0.0).pvalue)
    assert found.test == "Student's t of 30 series"


def test_forecasts_that_are_the_same_are_not_told_apart():
    loss = np.random.default_rng(0).random(50)
    found = lead_test(leads(loss, loss * (1.0 + 1e-8)), overlap(50, 3), 0.95)
    assert (found.difference.value, found.difference.low, found.difference.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_lead_that_never_varies_has_no_interval():
    found = lead_test(np.full(50, 0.5), overlap(50, 3), 0.95)
    assert (found.difference.value, found.difference.low, found.p_value) == (0.5, None, 1.0)
    assert found.difference.method.endswith("nothing varies")


@given(
    st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=8, max_size=40),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_size_nor_side_changes_the_answer(drawn, horizon, random):
    lead, steps = np.array(drawn), np.arange(len(drawn))
    found = lead_test(lead, Overlap.of(steps, [""] * len(drawn), horizon), 0.95)
    assert 0.0 <= found.p_value <= 1.0
    order = np.array(random.sample(range(len(drawn)), len(drawn)))
    shuffled = lead_test(-4.0 * lead[order], Overlap.of(steps[order], [""] * len(drawn), horizon), 0.95)
    assert shuffled.difference.value == pytest.approx(-4.0 * found.difference.value, abs=1e-9)
    if found.difference.low is not None and found.difference.low < found.difference.high - 1e-6:
        assert shuffled.p_value == pytest.approx(found.p_value, rel=1e-4, abs=1e-9)
        assert found.difference.low <= found.difference.value <= found.difference.high
