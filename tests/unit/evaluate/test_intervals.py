"""Intervals of every metric: known values, degenerate input, determinism, coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.schema import Task
from assay.evaluate import intervals
from assay.evaluate.intervals import delong, delong_average, estimates, placements, resamples, wilson
from assay.evaluate.metrics import METRICS
from assay.evaluate.plain_metrics import auroc

from scipy import stats  # isort: skip


def binary(rows, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.random(rows)
    return (rng.random(rows) < score).astype(int), np.stack([1 - score, score], axis=1)


@settings(deadline=None)
@given(rows=st.integers(1, 500), data=st.data())
def test_wilson_is_scipys(rows, data):
    hits = data.draw(st.integers(0, rows))
    expected = stats.binomtest(hits, rows).proportion_ci(0.9, method="wilson")
    assert wilson(hits / rows, rows, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_rows_knows_nothing():
    assert wilson(0.0, 0, 0.95) == (0.0, 1.0)


def delong_by_pairs(truth, score):
    """DeLong's variance by all pairs, O(m k)."""
    wins = np.sign(score[truth == 1][:, None] - score[truth == 0][None]) / 2 + 0.5
    m, k = wins.shape
    return wins.mean(), wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / k


@pytest.mark.parametrize("digits", [1, 6])
def test_delong_by_midranks_is_delong_by_pairs(digits):
    truth, probabilities = binary(200)
    score = np.round(probabilities[:, 1], digits)
    found = placements(truth == 1, score)
    assert (found.area, found.variance) == pytest.approx(delong_by_pairs(truth, score), rel=1e-12)
    assert found.area == pytest.approx(auroc(truth, score), rel=1e-12)
    estimate = delong(truth == 1, score, 0.95)
    assert estimate.method == "DeLong"
    assert 0 < estimate.low < estimate.value < estimate.high < 1


def test_a_perfect_auroc_gets_an_interval_with_width():
    truth = np.repeat([0, 1], 10)
    estimate = delong(truth == 1, np.arange(20.0), 0.95)
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(wilson(1.0, 10, 0.95)[0])
    assert estimate.method == "Wilson on the smaller class"


def test_the_auroc_of_one_positive_row_is_hardly_known():
    truth = np.array([0, 0, 0, 1])
    estimate = delong(truth == 1, np.array([0.1, 0.2, 0.9, 0.5]), 0.95)
    assert estimate.value == pytest.approx(2 / 3)
    assert estimate.high - estimate.low > 0.7


def test_the_average_over_two_classes_has_the_interval_of_the_binary_area():
    truth, probabilities = binary(300)
    one, both = delong(truth == 1, probabilities[:, 1], 0.95), delong_average(truth, probabilities, "macro", 0.95)
    assert (both.value, both.low, both.high) == pytest.approx((one.value, one.low, one.high), abs=1e-3)


def all_resamples(strata, rows, samples, seed):
    return np.concatenate(list(resamples(strata, rows, samples, seed)))


@pytest.mark.parametrize("strata", [None, np.array([0, 4, 4, 2, 4, 0, 4])])
def test_resamples_depend_on_the_seed_alone(strata):
    weights = all_resamples(strata, 7, 50, seed=3)
    assert weights.shape == (50, 7)
    assert np.array_equal(weights, all_resamples(strata, 7, 50, seed=3))
    assert not np.array_equal(weights, all_resamples(strata, 7, 50, seed=4))


def test_plain_resamples_count_draws():
    weights = all_resamples(None, 7, 50, seed=0)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.round(weights)).all()


def test_resamples_of_classes_vary_like_plain_ones_and_lack_no_class():
    strata = np.repeat([0, 1, 2], [1, 49, 150])
    weights = all_resamples(strata, 200, 4000, seed=0)
    sizes = np.stack([weights[:, strata == k].sum(axis=1) for k in range(3)], axis=1)
    assert sizes.min() >= 1
    assert sizes[:, 2].mean() == pytest.approx(150, abs=0.5)
    assert sizes[:, 2].std() == pytest.approx(np.sqrt(200 * 0.75 * 0.25), rel=0.05)
    assert weights[:, 1:].mean(axis=0) == pytest.approx(np.ones(199), abs=0.08)


def test_binary_metrics_have_the_interval_that_suits_them():
    found = estimates(Task.BINARY, *binary(400))
    assert list(found) == [m.id for m in METRICS[Task.BINARY]]
    assert {name: e.method for name, e in found.items()} == {
        "accuracy": "Wilson",
        "balanced_accuracy": "bootstrap (1,000)",
        "precision": "Wilson",
        "recall": "Wilson",
        "f1": "bootstrap (1,000)",
        "auroc": "DeLong",
        "auprc": "bootstrap (1,000)",
        "log_loss": "bootstrap (1,000)",
        "brier": "bootstrap (1,000)",
        "ece": "bootstrap (1,000), reflected",
    }
    assert all(e.low <= e.value <= e.high for e in found.values())
    assert found == estimates(Task.BINARY, *binary(400))
    assert found != estimates(Task.BINARY, *binary(400), seed=1)


def test_weighted_rows_are_always_bootstrapped():
    truth, probabilities = binary(100)
    found = estimates(Task.BINARY, truth, probabilities, np.linspace(0.1, 2, 100), samples=400)
    assert {e.method.removesuffix(", reflected") for e in found.values()} == {"bootstrap (400)"}


def test_many_rows_take_fewer_samples_and_say_so(monkeypatch):
    monkeypatch.setattr(intervals, "WORK", 1e4)
    found = estimates(Task.REGRESSION, np.arange(500.0), np.arange(500.0) + np.sin(np.arange(500)))
    assert found["mae"].method == "bootstrap standard error (50)"
    assert found["mae"].low < found["mae"].value < found["mae"].high


def test_the_bootstrap_of_a_mean_is_the_textbook_interval():
    rng = np.random.default_rng(0)
    error = np.abs(rng.normal(size=500))
    found = estimates(Task.REGRESSION, np.zeros(500), error, samples=5000)["mae"]
    low, high = stats.t.interval(0.95, 499, error.mean(), stats.sem(error))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("task", METRICS)
def test_hardly_any_rows_give_estimates_without_errors_or_warnings(task, rows):
    classes = 2 if task is Task.BINARY else 3
    prediction = np.full(rows, 0.5) if task is Task.REGRESSION else np.full((rows, classes), 1 / classes)
    for estimate in estimates(task, np.zeros(rows, int), prediction).values():
        if estimate.value is None:
            assert estimate.method.startswith("not defined: ")
            assert estimate.low is None
        elif estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high
        if rows == 0:
            assert estimate.method == "not defined: no rows"


def test_the_reason_why_a_metric_is_not_defined_is_said():
    found = estimates(Task.BINARY, np.zeros(5, int), np.tile([0.9, 0.1], (5, 1)))
    assert found["precision"].method == "not defined: no row was decided positive"
    assert found["recall"].method == "not defined: no row is positive"
    assert found["auroc"].method == "not defined: needs rows of two classes"
    flat = estimates(Task.REGRESSION, np.ones(5), np.arange(5.0))
    assert flat["r2"].method == "not defined: the truth does not vary"


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """60 test sets of 200 rows: 95 % intervals miss 3 times on average, 9 times twice in a thousand."""
    large = binary(200_000, seed=99)
    true = {name: e.value for name, e in estimates(Task.BINARY, *large, samples=100).items()}
    missed = dict.fromkeys(("accuracy", "auroc", "auprc", "log_loss", "f1"), 0)
    for seed in range(60):
        found = estimates(Task.BINARY, *binary(200, seed), samples=400, seed=seed)
        for name in missed:
            missed[name] += not found[name].low <= true[name] <= found[name].high
    assert all(count <= 8 for count in missed.values()), missed
