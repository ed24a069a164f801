"""Ridge regression against scikit-learn's, against leaving rows out, and on awkward rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

from assay.train.families.ridge import fit_ridge, fit_scale, fit_sigmoids, one_against_rest

PENALTIES = (0.01, 1.0, 30.0, 1000.0)
SHAPES = [(30, 200), (120, 20)]


def draw(rows, columns, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)) * rng.uniform(0.1, 5, columns) + rng.normal(size=columns)
    targets = features[:, :5] @ rng.normal(size=(5, outputs)) + rng.normal(size=(rows, outputs)) + 2
    return features, targets, rng.uniform(0.2, 3, rows)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_scikit_learns(shape, weighted):
    features, targets, weights = draw(*shape)
    weights = weights if weighted else None
    own = fit_ridge(features, targets, weights, penalties=PENALTIES, standardise=False)
    other = RidgeCV(PENALTIES, gcv_mode="eigen" if shape[0] < shape[1] else "svd", store_cv_results=True)
    other.fit(features, targets, weights)
    assert own.penalty == other.alpha_
    np.testing.assert_allclose(own.weight.T, other.coef_, atol=1e-6)
    np.testing.assert_allclose(own.intercept, other.intercept_, atol=1e-6)
    np.testing.assert_allclose(own.decide(features), other.predict(features), atol=1e-6)
    # Theirs are errors times the weight.
    missed = (targets - own.left_out) ** 2 * (1 if weights is None else weights[:, None])
    np.testing.assert_allclose(missed, other.cv_results_[:, :, PENALTIES.index(own.penalty)], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        own.errors, other.cv_results_.mean((0, 1)) / (1 if weights is None else weights.mean()), rtol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_left_out_answers_are_those_of_models_without_the_row(shape):
    features, targets, weights = draw(*shape)
    own = fit_ridge(features, targets, weights, penalties=(5.0,), standardise=False)
    for row in (0, 7, 29):
        rest = np.arange(len(features)) != row
        other = Ridge(5.0, solver="svd").fit(features[rest], targets[rest], weights[rest])
        np.testing.assert_allclose(own.left_out[row], other.predict(features[[row]])[0], atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_without_weight_teaches_nothing(shape):
    features, targets, weights = draw(*shape)
    weights[::3] = 0.0
    kept = weights > 0
    own = fit_ridge(features, targets, weights, penalties=PENALTIES)
    fewer = fit_ridge(features[kept], targets[kept], weights[kept], penalties=PENALTIES)
    np.testing.assert_allclose(own.weight, fewer.weight, atol=1e-9)
    np.testing.assert_allclose(own.errors, fewer.errors, rtol=1e-9)
    np.testing.assert_allclose(own.left_out[kept], fewer.left_out, atol=1e-9)
    np.testing.assert_allclose(own.left_out[~kept], own.decide(features[~kept]), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_standardising_makes_units_indifferent(shape):
    features, targets, _ = draw(*shape)
    own = fit_ridge(features, targets, penalties=PENALTIES)
    units = np.random.default_rng(1).uniform(0.001, 1000, shape[1])
    other = fit_ridge(features * units + 5, targets, penalties=PENALTIES)
    np.testing.assert_allclose(other.decide(features * units + 5), own.decide(features), atol=1e-6)
    np.testing.assert_allclose(other.left_out, own.left_out, atol=1e-6)


def test_float32_features_are_computed_with_in_double_precision():
    features, targets, _ = draw(40, 10)
    single = features.astype(np.float32)
    own, other = fit_ridge(single, targets), fit_ridge(single.astype(np.float64), targets)
    assert own.weight.dtype == np.float64
    np.testing.assert_allclose(own.weight, other.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("features", [np.ones((6, 4)), np.zeros((6, 0)), np.full((1, 3), 2.0)], ids=str)
def test_features_that_say_nothing_give_the_mean(features):
    targets = np.arange(2.0 * len(features)).reshape(-1, 2)
    own = fit_ridge(features, targets)
    np.testing.assert_allclose(own.decide(features), np.broadcast_to(targets.mean(0), targets.shape))
    assert np.isfinite(own.left_out).all()


def test_as_many_features_as_rows_leave_finite_answers():
    features, targets, _ = draw(12, 400)
    own = fit_ridge(features, targets, penalties=(1e-12,))
    assert np.isfinite(own.left_out).all()
    assert np.isfinite(own.weight).all()


# Classes


def test_targets_of_classes():
    assert one_against_rest(np.array([1, 0]), 3).tolist() == [[-1, 1, -1], [1, -1, -1]]


def sampled(rows, classes, true_scale, seed=0):
    rng = np.random.default_rng(seed)
    decisions = rng.normal(size=(rows, classes))
    chances = np.exp(true_scale * decisions)
    chances /= chances.sum(1, keepdims=True)
    return decisions, (chances.cumsum(1) < rng.random((rows, 1))).sum(1)


@pytest.mark.parametrize("true_scale", [0.5, 3.0])
def test_the_scale_is_found_again(true_scale):
    decisions, codes = sampled(20_000, 4, true_scale)
    assert fit_scale(decisions, codes) == pytest.approx(true_scale, rel=0.05)
    assert fit_scale(decisions / 10, codes) == pytest.approx(10 * true_scale, rel=0.05)


def test_one_column_is_class_1_against_0():
    decisions, codes = sampled(500, 2, 2.0)
    difference = (decisions[:, 1] - decisions[:, 0])[:, None]
    assert fit_scale(difference, codes) == pytest.approx(fit_scale(decisions, codes), rel=1e-4)


def test_weights_of_the_scale_are_counts():
    decisions, codes = sampled(300, 3, 2.0)
    counts = np.random.default_rng(1).integers(0, 4, 300)
    repeated = fit_scale(np.repeat(decisions, counts, 0), np.repeat(codes, counts))
    assert fit_scale(decisions, codes, counts.astype(float)) == pytest.approx(repeated, rel=1e-4)


def test_the_scale_of_rows_that_are_all_right_is_finite():
    few = fit_scale(one_against_rest(np.array([0, 1]), 2), np.array([0, 1]))
    many = fit_scale(one_against_rest(np.arange(200) % 2, 2), np.arange(200) % 2)
    assert 0.1 < few < many < 10


def test_sigmoids_are_a_logistic_regression_of_the_decision():
    rng = np.random.default_rng(0)
    decisions = rng.normal(size=(3000, 2)) * [0.3, 1.0] - [0.6, 0.0]
    chances = 1 / (1 + np.exp(-(decisions * [5.0, 1.5] + [1.0, -2.0])))
    targets = (rng.random((3000, 2)) < chances).astype(np.uint8)
    weights = rng.uniform(0.5, 2.0, 3000)
    slopes, shifts = fit_sigmoids(decisions, targets, weights)
    for label in range(2):
        other = LogisticRegression(C=1e6, tol=1e-8).fit(decisions[:, [label]], targets[:, label], weights)
        assert slopes[label] == pytest.approx(other.coef_[0, 0], rel=0.02)
        assert shifts[label] == pytest.approx(other.intercept_[0], rel=0.02, abs=0.02)


def test_sigmoids_stay_finite_where_decisions_part_the_rows_or_all_are_alike():
    decisions = np.array([[-1.0, 0.3, 0.3], [-0.5, -0.2, 0.1], [0.7, 0.1, -0.4], [1.0, 0.2, 0.2]])
    targets = np.array([[0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]], np.uint8)
    slopes, shifts = fit_sigmoids(decisions, targets)
    stated = 1 / (1 + np.exp(-(slopes * decisions + shifts)))
    assert np.isfinite(stated).all()
    np.testing.assert_allclose(stated[:, 1], 5 / 6, atol=1e-3)  # Platt's target of a label that all four have
    np.testing.assert_allclose(stated[:, 2], 1 / 6, atol=1e-3)
    assert ((stated[:, 0] > 0.5) == targets[:, 0]).all()
