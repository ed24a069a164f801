import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from assay.evaluate.metrics import LABEL_METRICS
from assay.evaluate.multilabel.metrics import LabelScorer


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 5)) < np.array([0.5, 0.3, 0.2, 0.1, 0.4])).astype(np.int8)
    prediction = np.clip(0.5 * truth + rng.random((200, 5)) * 0.6, 0.001, 0.999).round(2)
    return truth, prediction, np.array([0.4, 0.5, 0.6, 0.3, 0.7])


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_those_of_scikit_learn(answers, weighted):
    truth, prediction, cuts = answers
    weight = np.random.default_rng(1).random(200) * 3 if weighted else None
    chosen = (prediction >= cuts).astype(int)
    found = LabelScorer(truth, prediction, cuts).values(weight)
    expected = {
        f"{name}_{average}": measure(truth, chosen, average=average, sample_weight=weight, zero_division=0)
        for name, measure in (
            ("f1", reference.f1_score), ("precision", reference.precision_score), ("recall", reference.recall_score)
        )
        for average in ("micro", "macro")
    }  # fmt: skip
    expected |= {
        "f1_samples": reference.f1_score(truth, chosen, average="samples", sample_weight=weight, zero_division=1),
        "subset_accuracy": reference.accuracy_score(truth, chosen, sample_weight=weight),
        "hamming_loss": reference.hamming_loss(truth, chosen, sample_weight=weight),
        "auroc_macro": reference.roc_auc_score(truth, prediction, average="macro", sample_weight=weight),
        "auroc_micro": reference.roc_auc_score(truth, prediction, average="micro", sample_weight=weight),
        "auprc_macro": reference.average_precision_score(truth, prediction, average="macro", sample_weight=weight),
        "auprc_micro": reference.average_precision_score(truth, prediction, average="micro", sample_weight=weight),
        "log_loss": np.mean(
            [reference.log_loss(truth[:, k], prediction[:, k], sample_weight=weight) for k in range(5)]
        ),
        "brier": np.mean(
            [reference.brier_score_loss(truth[:, k], prediction[:, k], sample_weight=weight) for k in range(5)]
        ),
    }
    assert set(found) == {metric.id for metric in LABEL_METRICS}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_a_case_by_hand():
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    prediction = np.array([[0.9, 0.2], [0.4, 0.8], [0.1, 0.1], [0.7, 0.3]])
    found = LabelScorer(truth, prediction, np.array([0.5, 0.5])).values()
    assert found["f1_micro"] == pytest.approx(2 * 2 / (3 + 4))
    assert found["f1_macro"] == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert found["f1_samples"] == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)  # nothing given to a row without is right
    assert found["subset_accuracy"] == 0.5
    assert found["hamming_loss"] == 3 / 8
    assert found["auroc_macro"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["ece"] == pytest.approx(
        sum(abs(p - t) for p, t in zip(prediction.ravel(), truth.ravel(), strict=True)) / 8
    )


def test_labels_without_rows_are_left_out_of_macro_averages():
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]])
    prediction = np.array([[0.9, 0.1, 0.9], [0.2, 0.9, 0.9], [0.8, 0.1, 0.9]])
    scorer = LabelScorer(truth, prediction, np.full(3, 0.5))
    found = scorer.values()
    assert found["f1_macro"] == 1.0  # of the first and the last
    assert found["auroc_macro"] == 1.0  # of the first alone: all rows have the last
    assert found["auprc_macro"] == 1.0
    by_label = scorer.by_label(np.ones((1, 3)))
    assert np.isnan(by_label["recall"][0, 1])
    assert by_label["precision"][0].tolist() == [1.0, 0.0, 1.0]
    ranked = scorer.ranking_by_label(np.ones((1, 3)))
    assert np.isnan(ranked["auroc"][0, 1:]).all()


def test_what_is_not_defined_is_nan_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = LabelScorer(np.zeros((0, 2)), np.zeros((0, 2)), np.full(2, 0.5)).values()
        bare = LabelScorer(np.zeros((3, 2)), np.full((3, 2), 0.1), np.full(2, 0.5)).values()
    assert all(np.isnan(value) for value in none.values())
    assert {name for name, value in bare.items() if np.isnan(value)} == {
        "f1_micro", "f1_macro", "precision_micro", "recall_micro", "precision_macro", "recall_macro", "auroc_macro",
        "auroc_micro", "auprc_macro", "auprc_micro",
    }  # fmt: skip
    assert (bare["subset_accuracy"], bare["f1_samples"], bare["hamming_loss"]) == (1.0, 1.0, 0.0)


def test_weights_repeat_rows(answers):
    truth, prediction, cuts = answers
    counts = np.random.default_rng(2).integers(0, 3, 200)
    repeated = np.repeat(np.arange(200), counts)
    weighted = LabelScorer(truth, prediction, cuts).values(counts.astype(float))
    plain = LabelScorer(truth[repeated], prediction[repeated], cuts).values()
    assert weighted == pytest.approx(plain)
