import numpy as np
import pytest

from assay.evaluate.forecast.paired import Overlap
from assay.evaluate.forecast.scores import Blocks, ForecastScorer, forecast_estimates, forecast_test


def scorer(truth, prediction, *, steps=None, naive=None, deviation=None):
    rows = len(truth)
    steps = np.arange(rows) if steps is None else steps
    return ForecastScorer(
        truth, prediction, np.ones(rows) if naive is None else naive, np.ones(rows) if deviation is None else deviation,
        Blocks.of(steps, truth.shape[1]),
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


def test_blocks_are_at_least_a_horizon_long_and_at_most_half():
    assert Blocks.of(np.arange(100), 10).length == 10
    assert Blocks.of(np.arange(13), 12).length == 6
    assert Blocks.of(np.arange(0, 200, 5), 10).length == 3  # every fifth step: the cube root of 40
    blocks = Blocks.of(np.repeat(np.arange(20), 3), 4)  # three series
    assert (blocks.count, blocks.independent) == (20, 5)
    draws = blocks.draws(50, 0)
    assert draws.shape == (50, 20)
    assert (draws.sum(axis=1) == 20).all()


def test_intervals_allow_for_errors_that_go_together():
    rng = np.random.default_rng(0)
    shared = np.repeat(np.abs(rng.normal(size=20)), 10)[:, None]  # the same error ten origins long
    truth = np.zeros((200, 10))
    together = forecast_estimates(scorer(truth, np.tile(shared, 10)), confidence=0.95, samples=500, seed=0)["mae"]
    alone = forecast_estimates(
        scorer(truth[:, :1], rng.permutation(shared)), confidence=0.95, samples=500, seed=0
    )["mae"]  # fmt: skip
    assert together.low < together.value < together.high
    assert together.high - together.low > 1.8 * (alone.high - alone.low)
    assert "10 at a time" in together.method


def test_few_origins_have_no_interval():
    found = forecast_estimates(scorer(np.zeros((2, 3)), np.ones((2, 3))), confidence=0.95, samples=100, seed=0)
    assert (found["mae"].value, found["mae"].low) == (1.0, None)


def test_a_paired_test_sees_a_small_and_steady_difference():
    rng = np.random.default_rng(0)
    truth, overlap = np.zeros((300, 5)), Overlap.of(np.arange(300), [""] * 300, 5)
    hard = rng.normal(size=(300, 1)) * np.ones((1, 5))
    first, second = scorer(truth, hard), scorer(truth, 1.1 * hard)
    test = forecast_test(first, second, overlap, 0.95)
    assert test.difference.value == pytest.approx(0.1 * np.abs(hard).mean())
    assert test.difference.low > 0
    assert test.p_value < 0.01
    assert forecast_test(first, first, overlap, 0.95).p_value == 1.0
