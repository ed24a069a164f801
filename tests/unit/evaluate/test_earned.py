"""What practices earned: by hand, against SciPy, and as invariants."""

import numpy as np
import pytest
from scipy import stats

from assay.data.schema import Task
from assay.evaluate.earned import Arms, Effect, Measured, corrected_gain, gain_by_folds, gain_by_rows, told_apart
from assay.evaluate.metrics import metric
from assay.evaluate.record import Estimate


def test_the_corrected_t_by_hand():
    gain, p_value = corrected_gain([1.0, 2.0, 3.0], 0.25, 0.95)
    error = np.sqrt(1 / 3 + 0.25)  # the variance of 1, 2, 3 is 1
    assert gain.value == 2.0
    assert gain.high - 2.0 == pytest.approx(stats.t.ppf(0.975, 2) * error)
    assert p_value == pytest.approx(2 * stats.t.sf(2.0 / error, 2))


def test_without_a_correction_it_is_the_paired_t_test():
    draw = np.random.default_rng(0)
    differences = draw.normal(0.3, 1.0, 12)
    gain, p_value = corrected_gain(differences, 0.0, 0.95)
    expected = stats.ttest_1samp(differences, 0.0)
    interval = expected.confidence_interval(0.95)
    assert p_value == pytest.approx(expected.pvalue)
    assert (gain.low, gain.high) == pytest.approx((interval.low, interval.high))


def test_nothing_that_changed_is_no_gain():
    gain, p_value = corrected_gain([0.0, 0.0, 0.0], 0.25, 0.95)
    assert (gain.value, gain.low, gain.high, p_value) == (0.0, 0.0, 0.0, 1.0)
    assert corrected_gain([0.5], 0.25, 0.95)[0].low is None
    alike, p_value = corrected_gain([0.1, 0.1], 0.25, 0.95)  # of a few rows: chance may be so even
    assert (alike.value, alike.low, p_value) == (0.1, None, 1.0)
    assert corrected_gain([float("nan")], 0.25, 0.95)[0].value is None


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_a_gain_is_above_zero_where_the_practice_helps_whichever_way_the_metric_goes(name):
    draw = np.random.default_rng(1)
    truth = draw.normal(size=300)
    near, far = truth + draw.normal(0, 0.1, 300), truth + draw.normal(0, 0.5, 300)
    gain, p_value = gain_by_rows(Task.REGRESSION, truth, near, (far,), metric(Task.REGRESSION, name), samples=200)
    assert 0 < gain.low < gain.value < gain.high
    assert p_value < 0.02
    back, _ = gain_by_rows(Task.REGRESSION, truth, far, (near,), metric(Task.REGRESSION, name), samples=200)
    assert back.value == pytest.approx(-gain.value)


def test_several_answers_without_count_by_their_mean_score():
    draw = np.random.default_rng(2)
    truth, answers = draw.normal(size=80), draw.normal(size=(3, 80))
    rmse = metric(Task.REGRESSION, "rmse")
    gain, _ = gain_by_rows(Task.REGRESSION, truth, truth, tuple(answers), rmse, samples=100)
    assert gain.value == pytest.approx(np.sqrt(((answers - truth) ** 2).mean(axis=1)).mean())


def test_other_seeds_of_the_same_rows_are_no_other_folds():
    """Two blocks, each judged with two seeds: two differences, which are the means of both seeds."""
    truth, mae = np.zeros((4, 2)), metric(Task.FORECASTING, "mae")
    missed = [(1.0, 1.5, 0), (2.0, 4.0, 1), (1.0, 1.7, 0), (2.0, 5.0, 1)]  # with it, without it, the block
    arms = [Arms(truth, None, truth + own, truth + other, 0.25, block=block) for own, other, block in missed]
    gain, p_value, with_it, without = gain_by_folds(Task.FORECASTING, arms, mae, 0.95)
    expected, expected_p = corrected_gain([0.6, 2.5], 0.25, 0.95)
    assert (gain.value, gain.low, p_value) == pytest.approx((expected.value, expected.low, expected_p))
    assert (with_it, without) == pytest.approx((1.5, 3.05))


def test_groups_are_drawn_whole():
    draw = np.random.default_rng(3)
    group = np.repeat(np.arange(20), 15)
    truth = np.zeros(300)
    near, far = np.zeros(300), draw.normal(0, 1, 20)[group]
    rmse = metric(Task.REGRESSION, "rmse")
    alone, _ = gain_by_rows(Task.REGRESSION, truth, near, (far,), rmse, samples=400)
    whole, _ = gain_by_rows(Task.REGRESSION, truth, near, (far,), rmse, groups=group, samples=400)
    assert whole.high - whole.low > 2 * (alone.high - alone.low)


def test_equal_answers_gain_nothing_on_folds():
    truth = np.array([0, 1, 0, 1, 1, 0])
    answers = np.random.default_rng(4).dirichlet([1, 1], 6)
    arms = [Arms(truth, None, answers, answers, 0.25)] * 3
    gain, p_value, with_it, without = gain_by_folds(Task.BINARY, arms, metric(Task.BINARY, "auroc"), 0.95)
    assert (gain.value, p_value) == (0.0, 1.0)
    assert with_it == without


def effect(name, value, low, high, verdict="unclear"):
    return Effect(
        practice=name, way="trained anew", without="x=0", metric="auroc", label="AUROC", with_score=0.9,
        without_score=0.8, gain=Estimate(value=value, low=low, high=high, method="t"), p_value=1.0, verdict=verdict,
    )  # fmt: skip


def test_verdicts_hold_for_the_whole_family():
    found = [
        Measured(effect("idle", 0.001, -0.01, 0.012), 0.8),
        Measured(effect("good", 0.05, 0.04, 0.06), 0.0001),
        Measured(effect("bad", -0.05, -0.06, -0.04), 0.0002),
        Measured(effect("lucky", 0.01, 0.001, 0.02), 0.04),
        Measured(effect("vital", None, None, None, "needed"), 0.0),
    ]
    told = {each.practice: each for each in told_apart(found, 0.95)}
    assert {name: each.verdict for name, each in told.items()} == {
        "idle": "no measurable effect", "good": "helps", "bad": "hurts", "lucky": "unclear", "vital": "needed",
    }  # fmt: skip
    assert told["good"].p_value == pytest.approx(0.0004)  # four were tested
    assert told["lucky"].p_value == pytest.approx(0.08)
    assert list(told) == ["vital", "good", "lucky", "idle", "bad"]
