"""Baselines of labels: shares, one model a label, and what is said of labels that nothing can be learned of."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.baselines import fit_baselines
from assay.evaluate.config import EvaluateConfig
from assay.ledger import Ledger

LABELS = ("a", "b", "every", "never")


def rows_of(count, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    target = np.stack([x[:, 0] > 0, x[:, 1] > 1, np.ones(count), np.zeros(count)], axis=1).astype(np.int8)
    frame = pl.DataFrame({"x": x[:, 0], "y": x[:, 1]})
    return Rows("train", frame, target, None, np.arange(count))


SCHEMA = Schema(
    columns=tuple(Column(name=name, kind=Kind.NUMBER, dtype="", reason="") for name in "xy"),
    target="labels", task=Task.MULTILABEL, task_reason="", classes=LABELS,
)  # fmt: skip


def fitted(rows, seconds=None, ledger=None):
    ledger = Ledger() if ledger is None else ledger
    models = fit_baselines(rows, SCHEMA, EvaluateConfig(), seed=0, seconds=seconds, threads=1, ledger=ledger)
    return {model.name: model for model in models}


@pytest.fixture(scope="module")
def models():
    return fitted(rows_of(400))


def test_each_is_fitted_to_each_label(models):
    test = rows_of(200, seed=1)
    assert list(models) == ["label shares", "linear model", "boosted trees"]
    shares = models["label shares"].predict(test)
    np.testing.assert_allclose(shares, np.tile(rows_of(400).target.mean(0), (200, 1)))
    for name in ("linear model", "boosted trees"):
        stated = models[name].predict(test)
        assert stated.shape == (200, 4)
        assert ((stated[:, :2] > 0.5) == test.target[:, :2]).mean() > 0.95, name
        assert (stated[:, 2:] == [1.0, 0.0]).all()
        assert "2 at their share, for all rows are alike" in models[name].description


def test_the_linear_model_is_a_logistic_regression_a_label(models):
    train, test = rows_of(400), rows_of(50, seed=1)
    values, others = (each.frame.to_numpy() for each in (train, test))
    scaled, asked = ((each - values.mean(0)) / values.std(0) for each in (values, others))
    for label in (0, 1):
        other = LogisticRegression(max_iter=1000).fit(scaled, train.target[:, label])
        np.testing.assert_allclose(
            models["linear model"].predict(test)[:, label], other.predict_proba(asked)[:, 1], atol=0.02
        )


def test_without_a_label_that_varies_they_say_so():
    rows = rows_of(100)
    same = Rows("train", rows.cells, np.ones_like(rows.target), None, rows.positions)
    ledger = Ledger()
    assert list(fitted(same, ledger=ledger)) == ["label shares"]
    assert "no label varies in its training rows" in ledger["evaluate.baselines"].reason


def test_without_time_labels_stay_at_their_share():
    models = fitted(rows_of(400), seconds=1e-3)
    told = " ".join(model.description for model in models.values())
    assert list(models) == ["label shares"] or "for want of time" in told or "stopped by the time limit" in told
