"""Scores of forecasts by hand, and how often their intervals hold the truth."""

import numpy as np
import pytest

from assay.evaluate.forecast.paired import Overlap, lead_test
from assay.evaluate.forecast.scores import ForecastScorer, forecast_test


def scorer(truth, prediction, *, steps=None, naive=None, deviation=None, names=None):
    rows = len(truth)
    steps = np.arange(rows) if steps is None else steps
    overlap = Overlap.of(steps, [""] * rows if names is None else names, truth.shape[1])
    return ForecastScorer(
        truth, prediction, np.ones(rows) if naive is None else naive, np.ones(rows) if deviation is None else deviation,
        overlap,
    )  # fmt: skip


def test_metrics_by_hand():
    truth, prediction = np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([[2.0, 4.0], [0.0, 1.0]])
    found = scorer(truth, prediction, naive=np.array([0.5, np.nan]), deviation=np.array([1.0, 3.0])).values
    assert found["mae"] == pytest.approx((1.5 + 1.5) / 2)
    assert found["rmse"] == pytest.approx(np.sqrt((2.5 + 4.5) / 2))
    assert found["mase"] == pytest.approx(3.0)  # of the one series that has a naive error
    assert found["smape"] == pytest.approx(100 * ((2 / 3 + 2 / 3) / 2 + (0 + 6 / 5) / 2) / 2)
    assert found["mse_standardised"] == pytest.approx((2.5 + 4.5 / 9) / 2)
    assert scorer(truth, prediction).by_step.tolist() == [0.5, 2.5]


def test_an_interval_is_that_of_the_mean_on_the_scale_of_logarithms():
    missed = np.random.default_rng(0).normal(size=(60, 4))
    made = scorer(np.zeros((60, 4)), missed)
    found = made.estimates(0.95)
    mean = lead_test(np.abs(missed).mean(axis=1), made.overlap, 0.95).difference
    reach = np.exp((mean.high - mean.value) / mean.value)
    assert (found["mae"].low, found["mae"].high) == pytest.approx((mean.value / reach, mean.value * reach))
    square = lead_test((missed**2).mean(axis=1), made.overlap, 0.95).difference
    reach = np.exp((square.high - square.value) / square.value / 2)
    assert found["rmse"].value == pytest.approx(np.sqrt(square.value))
    assert found["rmse"].high == pytest.approx(np.sqrt(square.value) * reach)
    assert found["mae"].method == "Student's t (HLN) of 60 origins, lag 3"


@pytest.mark.parametrize(("count", "horizon"), [(24, 12), (60, 12), (50, 4)])
def test_intervals_hold_the_truth_of_windows_that_overlap(count, horizon):
    """A bootstrap of stretches a horizon long held it in 55, 88 and 88 of 100."""
    rng, held, truth = np.random.default_rng(0), 0, np.zeros((count, horizon))
    for _ in range(200):
        missed = np.lib.stride_tricks.sliding_window_view(rng.normal(size=count + horizon), horizon)[:count]
        found = scorer(truth, missed).estimates(0.95)["mae"]
        held += found.low <= np.sqrt(2 / np.pi) <= found.high
    assert held >= 182


def test_windows_without_a_unit_are_left_out_of_what_needs_one():
    missed, naive = np.random.default_rng(0).normal(size=(40, 2)), np.where(np.arange(40) % 2, np.nan, 0.5)
    found = scorer(np.zeros((40, 2)), missed, naive=naive).estimates(0.95)["mase"]
    assert found.value == pytest.approx(np.abs(missed[::2]).mean() / 0.5)
    assert 0.0 < found.low < found.value < found.high
    none = scorer(np.zeros((40, 2)), missed, naive=np.full(40, np.nan)).estimates(0.95)["mase"]
    assert (none.value, none.method) == (None, "not defined: no series has a naive error in training")


def test_less_than_two_stretches_have_no_interval():
    found = scorer(np.zeros((13, 12)), np.ones((13, 12)) + np.arange(13)[:, None]).estimates(0.95)["mae"]
    assert (found.value, found.low) == (7.0, None)
    assert found.method.startswith("no interval: needs 2 stretches")


def test_no_error_at_all_is_known_for_sure():
    found = scorer(np.zeros((30, 2)), np.zeros((30, 2))).estimates(0.95)
    assert (found["mae"].value, found["mae"].low, found["mae"].high) == (0.0, 0.0, 0.0)


def test_a_paired_test_sees_a_small_and_steady_difference():
    rng = np.random.default_rng(0)
    truth = np.zeros((300, 5))
    hard = rng.normal(size=(300, 1)) * np.ones((1, 5))
    first, second = scorer(truth, hard), scorer(truth, 1.1 * hard)
    test = forecast_test(first, second, 0.95)
    assert test.difference.value == pytest.approx(0.1 * np.abs(hard).mean())
    assert test.difference.low > 0
    assert test.p_value < 0.01
    assert forecast_test(first, first, 0.95).p_value == 1.0
