"""Our metrics against scikit-learn's, on random and awkward input."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from assay.evaluate import plain_metrics as ours


def binary(seed, ties, weighted, n=300):
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    truth = (rng.random(n) < score**2).astype(int)
    if ties:
        score = np.round(score, 1)
    return truth, score, rng.integers(0, 4, n) * 0.5 if weighted else None


def many(seed, ties, weighted, n=300, classes=4):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.5), n)
    if ties:
        probabilities = np.round(probabilities * 4 + 0.2) + 0.1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(classes, p=p) for p in probabilities])
    return truth, probabilities, rng.random(n) if weighted else None


CASES = [(seed, ties, weighted) for seed in range(3) for ties in (False, True) for weighted in (False, True)]


@pytest.mark.parametrize("case", CASES)
def test_binary_metrics_are_scikit_learns(case):
    truth, score, weight = binary(*case)
    decision = (score >= 0.5).astype(int)
    pairs = [
        (ours.accuracy(truth, decision, weight), reference.accuracy_score(truth, decision, sample_weight=weight)),
        (
            ours.balanced_accuracy(truth, decision, weight),
            reference.balanced_accuracy_score(truth, decision, sample_weight=weight),
        ),
        (ours.precision(truth, decision, weight), reference.precision_score(truth, decision, sample_weight=weight)),
        (ours.recall(truth, decision, weight), reference.recall_score(truth, decision, sample_weight=weight)),
        (ours.f1(truth, decision, weight), reference.f1_score(truth, decision, sample_weight=weight)),
        (ours.auroc(truth, score, weight), reference.roc_auc_score(truth, score, sample_weight=weight)),
        (ours.auprc(truth, score, weight), reference.average_precision_score(truth, score, sample_weight=weight)),
        (ours.log_loss(truth, score, weight), reference.log_loss(truth, score, sample_weight=weight)),
        (ours.brier(truth, score, weight), reference.brier_score_loss(truth, score, sample_weight=weight)),
    ]
    for own, expected in pairs:
        assert own == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_multiclass_metrics_are_scikit_learns(case):
    truth, probabilities, weight = many(*case)
    decision = probabilities.argmax(axis=1)
    area = {"sample_weight": weight, "multi_class": "ovr"}
    one_hot = np.eye(4)[truth]
    pairs = [
        (ours.accuracy(truth, decision, weight), reference.accuracy_score(truth, decision, sample_weight=weight)),
        (
            ours.balanced_accuracy(truth, decision, weight),
            reference.balanced_accuracy_score(truth, decision, sample_weight=weight),
        ),
        (ours.auroc(truth, probabilities, weight), reference.roc_auc_score(truth, probabilities, **area)),
        (
            ours.auroc(truth, probabilities, weight, "weighted"),
            reference.roc_auc_score(truth, probabilities, average="weighted", **area),
        ),
        (
            ours.auprc(truth, probabilities, weight),
            reference.average_precision_score(one_hot, probabilities, average="macro", sample_weight=weight),
        ),
        (ours.log_loss(truth, probabilities, weight), reference.log_loss(truth, probabilities, sample_weight=weight)),
        (
            ours.brier(truth, probabilities, weight),
            reference.brier_score_loss(truth, probabilities, sample_weight=weight),
        ),
    ]
    for average in ("macro", "weighted"):
        for own, theirs in (
            (ours.precision, reference.precision_score),
            (ours.recall, reference.recall_score),
            (ours.f1, reference.f1_score),
        ):
            pairs.append(
                (
                    own(truth, decision, weight, average),
                    theirs(truth, decision, sample_weight=weight, average=average, zero_division=0),
                )
            )
    for own, expected in pairs:
        assert own == pytest.approx(expected, rel=1e-12)


def test_a_class_never_chosen_counts_zero_and_a_class_without_rows_is_left_out():
    truth = np.array([0, 0, 1, 1, 1, 3])
    decision = np.array([0, 1, 1, 1, 2, 0])
    present = [0, 1, 3]
    for own, theirs in (
        (ours.precision, reference.precision_score),
        (ours.recall, reference.recall_score),
        (ours.f1, reference.f1_score),
    ):
        expected = theirs(truth, decision, labels=present, average="macro", zero_division=0)
        assert own(truth, decision, average="macro") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 5, 60, 61])
def test_regression_metrics_are_scikit_learns(weighted, rows):
    rng = np.random.default_rng(rows)
    truth, predicted = rng.normal(1e3, 5, rows), rng.normal(1e3, 5, rows)
    weight = rng.random(rows) + 0.1 if weighted else None
    given = {"sample_weight": weight}
    assert ours.rmse(truth, predicted, weight) == pytest.approx(
        reference.root_mean_squared_error(truth, predicted, **given)
    )
    assert ours.mae(truth, predicted, weight) == pytest.approx(reference.mean_absolute_error(truth, predicted, **given))
    assert ours.median_error(truth, predicted, weight) == pytest.approx(
        reference.median_absolute_error(truth, predicted, **given)
    )
    if rows > 1:
        assert ours.r2(truth, predicted, weight) == pytest.approx(reference.r2_score(truth, predicted, **given))


def test_where_scikit_learn_warns_or_raises_we_say_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_class, score = np.ones(5, int), np.linspace(0, 1, 5)
        assert np.isnan(ours.auroc(one_class, score))
        assert np.isnan(ours.auprc(np.zeros(5, int), score))
        assert np.isnan(ours.precision(one_class, np.zeros(5, int)))
        assert np.isnan(ours.recall(np.zeros(5, int), one_class))
        assert np.isnan(ours.f1(np.zeros(5, int), np.zeros(5, int)))
        assert np.isnan(ours.r2(np.full(7, 0.1), np.arange(7.0)))
        assert np.isnan(ours.r2(np.full(1, 0.1), np.arange(1.0)))
        empty = np.empty(0)
        for function in (ours.accuracy, ours.balanced_accuracy, ours.precision, ours.recall, ours.f1):
            assert np.isnan(function(empty.astype(int), empty.astype(int)))
        for function in (ours.auroc, ours.auprc, ours.log_loss, ours.brier, ours.ece):
            assert np.isnan(function(empty.astype(int), empty))
        for function in (ours.rmse, ours.mae, ours.r2, ours.median_error):
            assert np.isnan(function(empty, empty))
        assert ours.log_loss(one_class, np.zeros(5)) == pytest.approx(-np.log(np.finfo(float).eps))
