"""Costs, ordered classes, gain and lift beside scikit-learn, on random and degenerate rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix, mean_absolute_error, roc_curve

from assay.evaluate.decision.metrics import class_distance, expected_cost, gains, lift_at, quadratic_kappa

SEEDS = st.integers(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, classes=st.integers(2, 6), count=st.integers(2, 60))
def test_decisions_are_scored_as_scikit_learn_does(seed, classes, count):
    rng = np.random.default_rng(seed)
    truth, decided, weight = rng.integers(0, classes, count), rng.integers(0, classes, count), rng.random(count) + 0.1
    truth[:2] = [0, 1]
    labels, costs = np.arange(classes), rng.random((classes, classes))
    for w in (None, weight):
        kappa = cohen_kappa_score(truth, decided, labels=labels, weights="quadratic", sample_weight=w)
        assert quadratic_kappa(truth, decided, classes, w) == pytest.approx(kappa)
        distance = mean_absolute_error(truth, decided, sample_weight=w)
        assert class_distance(truth, decided, classes, w) == pytest.approx(distance)
        table = confusion_matrix(truth, decided, labels=labels, sample_weight=w)
        assert expected_cost(truth, decided, costs, w) == pytest.approx((table * costs).sum() / table.sum())


def test_by_hand():
    truth, decided = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 0])
    assert class_distance(truth, decided, 3) == 0.75
    assert expected_cost(truth, decided, ((0, 1, 1), (1, 0, 3), (7, 1, 0))) == 2.5
    # Squared distances 1 + 4 = 5; by chance, of margins (1, 1, 2) and (2, 0, 2): (4 + 1 + 1 + 4 * 2 * 2 / 2 ...) / 4.
    by_chance = sum((i - j) ** 2 * a * b for i, a in enumerate((1, 1, 2)) for j, b in enumerate((2, 0, 2))) / 4
    assert quadratic_kappa(truth, decided, 3) == pytest.approx(1 - 5 / by_chance)


def test_degenerate_rows_are_not_defined_and_no_error():
    one = np.zeros(5, int)
    assert np.isnan(quadratic_kappa(one, one, 3))
    assert (class_distance(one, one, 3), expected_cost(one, one, ((0, 1), (1, 0)))) == (0.0, 0.0)
    none = np.empty(0, int)
    assert np.isnan([quadratic_kappa(none, none, 3), class_distance(none, none, 3)]).all()
    assert np.isnan(expected_cost(none, none, ((0, 1), (1, 0))))
    assert np.isnan(expected_cost(one, one, ((0, 1), (1, 0)), np.zeros(5)))
    assert np.isnan(lift_at(one > 0, np.arange(5.0)))
    assert gains(one > 0, np.arange(5.0))[0].size == 0
    assert np.isnan(lift_at(none > 0, np.empty(0)))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, count=st.integers(2, 60))
def test_gains_follow_from_scikit_learns_roc_curve(seed, count):
    rng = np.random.default_rng(seed)
    positive, score, weight = rng.random(count) < 0.4, rng.integers(0, 9, count) / 9, rng.random(count) + 0.1
    positive[:2] = [True, False]
    for w in (None, weight):
        alarms, hits, _ = roc_curve(positive, score, sample_weight=w, drop_intermediate=False)
        share = np.average(positive, weights=w)
        rows, found = gains(positive, score, w)
        assert found == pytest.approx(hits)
        assert rows == pytest.approx(share * hits + (1 - share) * alarms)


def test_lift_of_a_perfect_a_random_and_a_tied_ranking():
    positive = np.arange(1000) < 200
    assert lift_at(positive, -np.arange(1000.0)) == pytest.approx(5.0)
    assert lift_at(positive, np.arange(1000.0)) == pytest.approx(0.0)
    assert lift_at(positive, np.zeros(1000)) == pytest.approx(1.0)
    top = np.random.default_rng(0).random(1000)
    among = positive[np.argsort(-top)[:100]].mean()
    assert lift_at(positive, top) == pytest.approx(among / 0.2)
    assert lift_at(positive, top, weight=np.full(1000, 3.0)) == pytest.approx(among / 0.2)
    assert lift_at(positive, top, share=1.0) == pytest.approx(1.0)
