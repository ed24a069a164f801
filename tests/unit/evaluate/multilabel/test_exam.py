"""Intervals and tables of labels, degenerate ones among them, and models with thresholds of their own."""

import numpy as np
import pytest

from assay.data.schema import Schema, Task
from assay.evaluate.assess import Output
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.multilabel.exam import assess_labels, label_estimates
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.ledger import Ledger

LABELS = ("often", "rare", "never", "every")
SCHEMA = Schema(columns=(), target="t", task=Task.MULTILABEL, task_reason="", classes=LABELS)
CUTS = np.full(4, 0.5)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    truth = (rng.random((150, 4)) < [0.4, 0.05, 0.0, 1.0]).astype(np.int8)
    return truth, np.clip(0.45 * truth + 0.6 * rng.random((150, 4)), 0.0, 1.0)


def test_every_metric_has_an_interval_around_it(drawn):
    found = label_estimates(LabelScorer(*drawn, CUTS), samples=200, classes=LABELS)
    for name, estimate in found.items():
        assert estimate.low <= estimate.value <= estimate.high, name
    assert found["f1_macro"].method.endswith("over 3 of 4 labels (not 'never')")
    assert found["auroc_macro"].method.endswith("over 2 of 4 labels (not 'never', 'every')")
    assert "over" not in found["f1_micro"].method


def test_the_same_seed_gives_the_same_intervals(drawn):
    scorer = LabelScorer(*drawn, CUTS)
    assert label_estimates(scorer, samples=100, seed=1) == label_estimates(scorer, samples=100, seed=1)
    assert label_estimates(scorer, samples=100, seed=1) != label_estimates(scorer, samples=100, seed=2)


def test_what_is_not_defined_says_why():
    bare = label_estimates(LabelScorer(np.zeros((20, 2)), np.full((20, 2), 0.1), np.full(2, 0.5)), samples=50)
    assert bare["f1_macro"].value is None
    assert "no row has a label" in bare["f1_macro"].method
    assert "no label was given" in bare["precision_micro"].method
    assert bare["hamming_loss"].value == 0.0


def test_a_better_model_is_found_better_and_labels_are_told(drawn):
    truth, stated = drawn
    shares = np.tile(truth.mean(0), (150, 1))
    outputs = [
        Output("network", "network", "", stated, 1.0, 1.0), Output("label shares", "baseline", "", shares, 1.0, 1.0)
    ]  # fmt: skip
    ledger = Ledger()
    cuts = [CUTS, np.array([0.3, 0.5, 0.5, 0.5])]
    found = assess_labels(SCHEMA, truth, None, outputs, cuts, EvaluateConfig(bootstrap=200), seed=0, ledger=ledger)
    (compared,) = found.comparisons
    assert (compared.metric, compared.verdict) == ("f1_micro", "better")
    assert compared.difference.low > 0
    often, rare, never, every = found.labels
    assert (often.rows, rare.rows, never.rows, every.rows) == tuple(truth.sum(0))
    assert often.f1.low <= often.f1.value <= often.f1.high
    assert (never.auroc, every.auroc) == (None, None)
    assert never.recall.value is None
    assert {curve.name for curve in found.roc} == {"often", "rare"}
    assert ledger["evaluate.proper-score"].value == pytest.approx(
        next(score.estimate.value for score in found.scores[0].scores if score.name == "log_loss")
    )
    assert "F1 (micro)" not in ledger["evaluate.intervals"].reason  # none is without
