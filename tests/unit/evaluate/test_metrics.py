"""Metrics for many weightings at once, and the registry of what each task reports."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.schema import Task
from assay.evaluate import metrics, plain_metrics
from assay.evaluate.metrics import METRICS, PRIMARY, Scorer


def made(task, seed=0, rows=80):
    rng = np.random.default_rng(seed)
    if task is Task.REGRESSION:
        truth = rng.normal(size=rows)
        return truth, truth + rng.normal(size=rows)
    classes = 2 if task is Task.BINARY else 4
    # Rounded, so that there are ties.
    probabilities = np.round(rng.dirichlet(np.ones(classes), rows), 1) + 0.01
    return rng.integers(0, classes, rows), probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("task", METRICS)
def test_each_task_reports_its_metrics_in_order_and_has_a_primary_one(task):
    values = Scorer(task, *made(task)).values()
    assert list(values) == [m.id for m in METRICS[task]]
    assert all(np.isfinite(value) for value in values.values())
    assert metrics.metric(task, PRIMARY[task]) in METRICS[task]
    with pytest.raises(KeyError, match="no_such"):
        metrics.metric(task, "no_such")


@settings(max_examples=30, deadline=None)
@given(task=st.sampled_from(list(METRICS)), seed=st.integers(0, 10_000))
def test_whole_weights_are_repeated_rows(task, seed):
    truth, prediction = made(task, seed)
    times = np.random.default_rng(seed).integers(0, 4, len(truth))
    repeated = Scorer(task, np.repeat(truth, times), np.repeat(prediction, times, axis=0)).values()
    weighted = Scorer(task, truth, prediction).values(times.astype(float))
    assert weighted == pytest.approx(repeated, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("task", METRICS)
def test_many_weightings_at_once_are_each_alone(task):
    scorer = Scorer(task, *made(task))
    weights = np.random.default_rng(1).poisson(1.0, (5, scorer.rows)).astype(float)
    together = scorer(weights)
    for k, weight in enumerate(weights):
        assert {name: value[k] for name, value in together.items()} == pytest.approx(scorer.values(weight))


@pytest.mark.parametrize("task", METRICS)
def test_only_the_metrics_asked_for_are_computed(task):
    scorer = Scorer(task, *made(task))
    for name, value in scorer.values().items():
        assert scorer.values(only=(name,)) == {name: value}


@pytest.mark.parametrize("task", METRICS)
def test_no_rows_give_nan_everywhere(task):
    classes = 2 if task is Task.BINARY else 3
    empty = np.empty(0) if task is Task.REGRESSION else np.empty((0, classes))
    values = Scorer(task, np.empty(0, int), empty).values()
    assert all(np.isnan(value) for value in values.values())


def test_perfect_predictions_reach_the_best_value_of_each_metric():
    truth = np.array([0, 1, 2, 1, 0])
    values = Scorer(Task.MULTICLASS, truth, np.eye(3)[truth]).values()
    for m in METRICS[Task.MULTICLASS]:
        assert values[m.id] == (1.0 if m.higher_is_better else 0.0)


def test_a_half_is_decided_positive_and_the_likeliest_of_many_classes_wins():
    assert metrics.decide(np.array([[0.5, 0.5], [0.51, 0.49]])).tolist() == [1, 0]
    assert metrics.decide(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]


def test_ece_is_the_mean_gap_of_the_bins():
    # Two bins: 3 rows at 0.9 of which 2 are positive, 1 row at 0.1 that is negative.
    stated = np.array([0.9, 0.9, 0.9, 0.1])
    truth = np.array([1, 1, 0, 0])
    assert plain_metrics.ece(truth, stated) == pytest.approx((3 * abs(0.9 - 2 / 3) + 0.1) / 4)


def test_ece_of_many_classes_looks_at_the_likeliest():
    stated = np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1]])
    assert plain_metrics.ece(np.array([0, 1]), stated) == pytest.approx(0.3)


def test_confusion_counts_rows_by_truth_and_decision():
    table = metrics.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 0], 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
