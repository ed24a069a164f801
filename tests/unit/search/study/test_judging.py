"""What outputs of members are worth: temperatures that no row has a say in which it is judged by."""

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.metrics import metric
from assay.models.config import ModelConfig
from assay.search.planning.jobs import Job
from assay.search.study.judging import Entry, Judge
from assay.search.study.trial import Trial
from assay.train.config import TrainConfig
from assay.train.examples import Units
from assay.train.together import Course

ROWS = 400
CLASSES = {Task.BINARY: 2, Task.MULTICLASS: 4, Task.MULTILABEL: 3}


def schema_of(task):
    made = {"kind": Kind.NUMBER, "dtype": "Float64", "reason": "made"}
    columns = (Column(name="x", **made), Column(name="y", **made))
    names = tuple("abcd"[: CLASSES[task]])
    return Schema(columns=columns, target="y", task=task, task_reason="", classes=names)


def told(task, seed=0):
    """Outputs that say as much as they should, (2, n, K), and the targets they speak of."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, ROWS, CLASSES[task])).astype(np.float32) * 1.5
    mean = logits.mean(0)
    if task is Task.MULTILABEL:
        return logits, (rng.random(mean.shape) < 1.0 / (1.0 + np.exp(-mean))).astype(np.int64)
    chances = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    return logits, (rng.random(ROWS)[:, None] > chances.cumsum(1)).sum(1)


def judge_of(task, target, weight=None, measure="log_loss"):
    frame = pl.DataFrame({"x": np.arange(ROWS, dtype=float), "y": np.arange(ROWS, dtype=float)})
    rows = Rows("valid", frame, target, weight, np.arange(ROWS))
    return Judge(rows, None, schema_of(task), metric(task, measure), Units())


def entry_of(logits):
    courses = [Course() for _ in logits]
    for course, own in zip(courses, logits, strict=True):
        course.outputs = course.last = torch.from_numpy(own[None].copy())
    return Entry(Trial(0, {}, 0), Job("mlp", ModelConfig(), TrainConfig()), {0: courses})


@pytest.mark.parametrize("task", list(CLASSES))
def test_how_sure_a_network_is_does_not_change_what_it_is_worth(task):
    logits, target = told(task)
    judge = judge_of(task, target)
    honest = judge.scored(entry_of(logits), [0])
    over_sure, timid = (judge.scored(entry_of(logits * factor), [0]) for factor in (6.0, 0.2))
    assert over_sure[0] == pytest.approx(honest[0], rel=1e-3)
    assert timid[0] == pytest.approx(honest[0], rel=1e-3)
    np.testing.assert_allclose(over_sure[2], honest[2], atol=2e-3)
    assert honest[1] == (honest[0],)
    np.testing.assert_array_equal(judge.last(entry_of(logits)), honest[2])


@pytest.mark.parametrize("task", list(CLASSES))
def test_no_row_has_a_say_in_the_temperature_that_it_is_judged_by(task):
    logits, target = told(task)
    (half,) = judge_of(task, target).halves
    assert 0 < half.sum() < ROWS
    others = target.copy()
    others[half] = (1 - target[half]) if task is Task.MULTILABEL else (target[half] + 1) % CLASSES[task]
    before = judge_of(task, target).scored(entry_of(logits), [0])[2]
    after = judge_of(task, others).scored(entry_of(logits), [0])[2]
    np.testing.assert_array_equal(before[half], after[half])
    assert np.abs(before[~half] - after[~half]).max() > 0.05  # they heard of the targets that are wrong


def test_rows_without_weight_have_no_say():
    logits, target = told(Task.MULTICLASS)
    wrong, weight = target.copy(), np.ones(ROWS)
    wrong[::5], weight[::5] = (target[::5] + 1) % 4, 0.0
    found = judge_of(Task.MULTICLASS, wrong, weight).scored(entry_of(logits), [0])
    expected = judge_of(Task.MULTICLASS, target, weight).scored(entry_of(logits), [0])
    assert found[0] == pytest.approx(expected[0], rel=1e-3)


def test_one_row_is_judged_as_the_network_says():
    logits, target = told(Task.BINARY)
    frame = pl.DataFrame({"x": [1.0], "y": [1.0]})
    rows = Rows("valid", frame, target[:1], None, np.arange(1))
    judge = Judge(rows, None, schema_of(Task.BINARY), metric(Task.BINARY, "log_loss"), Units())
    answer = judge.scored(entry_of(logits[:, :1]), [0])[2]
    chances = np.exp(logits[:, :1]) / np.exp(logits[:, :1]).sum(2, keepdims=True)
    np.testing.assert_allclose(answer, chances.mean(0), rtol=1e-6)


def test_an_accuracy_is_that_of_the_members_together():
    logits, target = told(Task.MULTICLASS)
    judge = judge_of(Task.MULTICLASS, target, measure="accuracy")
    value, _, answer = judge.scored(entry_of(logits[:1]), [0])
    assert value == pytest.approx((logits[0].argmax(1) == target).mean())
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer.sum(1), 1.0, rtol=1e-6)


def test_a_temperature_is_fitted_to_a_sample_of_many_rows(monkeypatch):
    logits, target = told(Task.MULTICLASS)
    judge = judge_of(Task.MULTICLASS, target)
    whole = judge.scored(entry_of(logits * 6.0), [0])[0]
    monkeypatch.setattr("assay.search.study.judging._ROWS", 60)
    sampled = judge.scored(entry_of(logits * 6.0), [0])[0]
    assert sampled == pytest.approx(whole, rel=0.02)
    assert sampled != whole
