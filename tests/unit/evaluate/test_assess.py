"""The assessment as a whole: what the report is drawn from, and what the ledger is told."""

import numpy as np
import pytest

from assay.data.schema import Schema, Task
from assay.errors import DivergenceError
from assay.evaluate.assess import Output, assess, note_gap, thin
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.metrics import METRICS, PRIMARY, metric
from assay.evaluate.record import Estimate
from assay.ledger import Ledger, Outcome

CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("x", "y", "z"), Task.REGRESSION: ()}


def made(task, rows=400, spread=(0.5, 2.0)):
    """Truth, and a good and a poor prediction of it."""
    rng = np.random.default_rng(0)
    if task is Task.REGRESSION:
        truth = rng.normal(size=rows)
        return truth, [truth + rng.normal(0, s, rows) for s in spread]
    truth = rng.integers(0, len(CLASSES[task]), rows)
    logits = [2 * np.eye(len(CLASSES[task]))[truth] + rng.normal(0, s, (rows, len(CLASSES[task]))) for s in spread]
    return truth, [np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in logits]


def assessed(task, rows=400, weight=None, models=2, group=None, clusters=None):
    truth, predictions = made(task, rows)
    names = ["network", "linear model"][:models]
    outputs = [
        Output(name, "network" if name == "network" else "baseline", f"a {name}", prediction, 1.5, 0.25)
        for name, prediction in zip(names, predictions, strict=False)
    ]
    ledger = Ledger()
    schema = Schema(columns=(), target="t", task=task, task_reason="", classes=CLASSES[task], group=group)
    options = EvaluateConfig(bootstrap=400)
    found = assess(schema, truth, weight, outputs, options, seed=0, ledger=ledger, clusters=clusters)
    return found, ledger, truth


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", METRICS)
def test_every_model_has_every_score_and_the_network_is_compared(task, weighted):
    found, ledger, _ = assessed(task, weight=np.linspace(0.5, 2, 400) if weighted else None)
    assert [model.name for model in found.scores] == ["network", "linear model"]
    for model in found.scores:
        assert [score.name for score in model.scores] == [m.id for m in METRICS[task]]
        assert all(score.estimate.low <= score.estimate.value <= score.estimate.high for score in model.scores)
        assert (model.fit_seconds, model.predict_seconds) == (1.5, 0.25)
    assert found.primary == PRIMARY[task] == found.comparisons[0].metric
    assert found.comparisons[0].verdict == "better"
    assert found.advice.startswith("The network beats every baseline: ")
    assert ledger["evaluate.intervals"].outcome is Outcome.APPLIED
    assert ledger["evaluate.intervals"].value == len(METRICS[task])
    assert ledger["evaluate.baselines"].reason == "linear model"
    assert ledger["evaluate.paired-test"].reason.startswith("better against linear model")
    proper = Outcome.NOT_APPLICABLE if task is Task.REGRESSION else Outcome.APPLIED
    assert ledger["evaluate.proper-score"].outcome is proper


def test_rows_of_one_group_are_not_independent_and_the_ledger_says_so():
    few = assessed(Task.BINARY, group="patient", clusters=np.arange(400) // 100)[1]["evaluate.intervals"]
    assert few.outcome is Outcome.WARNED
    assert "rows of one 'patient' are drawn together, and so few of them" in few.reason
    many = assessed(Task.BINARY, group="patient", clusters=np.arange(400) // 2)[1]["evaluate.intervals"]
    assert many.outcome is Outcome.APPLIED


def test_a_binary_task_has_curves_of_every_model():
    found, _, truth = assessed(Task.BINARY)
    assert sum(map(sum, found.confusion)) == 400
    assert [sum(row) for row in found.confusion] == np.bincount(truth).tolist()
    assert [curve.name for curve in found.roc] == ["network", "linear model"]
    auroc = next(score.estimate.value for score in found.scores[0].scores if score.name == "auroc")
    for roc, pr in zip(found.roc, found.precision_recall, strict=True):
        assert len(roc.x) <= 200
        assert len(pr.x) <= 200
        assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
        assert pr.x[-1] == 1
        assert pr.y[-1] == pytest.approx((truth == 1).mean())
    assert np.trapezoid(found.roc[0].y, found.roc[0].x) == pytest.approx(auroc, abs=0.003)
    assert sum(b.rows for b in found.reliability) == 400
    assert found.residuals is None


def test_a_multiclass_task_has_curves_of_every_class_of_the_network():
    found, _, _ = assessed(Task.MULTICLASS)
    assert [curve.name for curve in found.roc] == ["x", "y", "z"]
    assert len(found.precision_recall) == 3
    assert np.shape(found.confusion) == (3, 3)


def test_a_regression_has_a_sample_of_residuals():
    found, _, truth = assessed(Task.REGRESSION, rows=1500)
    assert len(found.residuals.truth) == len(found.residuals.predicted) == 1000
    assert set(found.residuals.truth) <= set(truth)
    assert found.confusion == found.roc == found.precision_recall == found.reliability == ()


@pytest.mark.parametrize("task", METRICS)
def test_no_test_rows_are_an_assessment_without_numbers(task):
    found, ledger, _ = assessed(task, rows=0)
    assert all(score.estimate.value is None for model in found.scores for score in model.scores)
    assert found.comparisons[0].verdict == "not distinguishable"
    assert found.advice == "There are no test rows, so nothing can be said about how good the model is."
    assert ledger["evaluate.intervals"].outcome is Outcome.WARNED


def test_without_baselines_nothing_is_compared():
    found, ledger, _ = assessed(Task.BINARY, models=1)
    assert found.comparisons == ()
    assert ledger["evaluate.baselines"].outcome is Outcome.SKIPPED
    assert ledger["evaluate.paired-test"].outcome is Outcome.NOT_APPLICABLE


def test_predictions_that_are_not_finite_are_refused():
    output = Output("network", "network", "", np.array([1.0, np.nan]), 0, 0)
    schema = Schema(columns=(), target="t", task=Task.REGRESSION, task_reason="")
    with pytest.raises(DivergenceError, match="network gave none for 1 of 2 test rows"):
        assess(schema, np.zeros(2), None, [output], EvaluateConfig(), seed=0, ledger=Ledger())


@pytest.mark.parametrize(
    ("name", "valid", "outcome"),
    [
        ("auroc", 0.92, Outcome.PASSED),
        ("auroc", 0.97, Outcome.WARNED),
        ("auroc", 0.5, Outcome.PASSED),
        ("log_loss", 0.8, Outcome.WARNED),
        ("log_loss", 1.2, Outcome.PASSED),
        ("auroc", float("nan"), Outcome.NOT_APPLICABLE),
    ],
)
def test_a_validation_score_better_than_the_test_interval_is_a_warning(name, valid, outcome):
    ledger = Ledger()
    note_gap(valid, Estimate(value=0.9, low=0.88, high=0.95, method=""), metric(Task.BINARY, name), ledger=ledger)
    assert ledger["evaluate.train-test-gap"].outcome is outcome


def test_thinning_keeps_the_ends_and_the_shape():
    x = np.linspace(0, 1, 10_000)
    y = np.sqrt(x)
    kept = thin(x, y, 200)
    assert len(kept) <= 200
    assert (kept[0], kept[-1]) == (0, 9999)
    assert np.interp(x, x[kept], y[kept]) == pytest.approx(y, abs=0.006)
    assert thin(x[:50], y[:50], 200).tolist() == list(range(50))
