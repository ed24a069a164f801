"""Confident learning: by hand, and on labels that were flipped on purpose."""

import numpy as np
import polars as pl
import pytest

from assay.data.rows import Rows
from assay.data.schema import Schema, Task
from assay.evaluate.confident import doubts, suspects
from assay.evaluate.judged import Judged


def test_by_hand():
    # Mean own probability: class 0: (0.9 + 0.8 + 0.9 + 0.8 + 0.1) / 5 = 0.7; class 1 likewise.
    first = np.array([0.9, 0.8, 0.9, 0.8, 0.1, 0.1, 0.2, 0.1, 0.2, 0.9])
    labels = np.array([0] * 5 + [1] * 5)
    found = suspects(np.stack([first, 1 - first], 1), labels)
    assert found.places.tolist() == [4, 9]
    assert found.likelier.tolist() == [1, 0]
    # A row that is likelier of the other class, but not as sure as rows of that class are, is left alone.
    first[4] = 0.4
    assert suspects(np.stack([first, 1 - first], 1), labels).places.tolist() == [9]


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found_and_few_others(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 2000)
    logits = rng.normal(0, 1, (2000, 4))
    logits[np.arange(2000), truth] += 4.0
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, flipped = truth.copy(), rng.choice(2000, 100, replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, 4, 100)) % 4
    found = suspects(probabilities, labels)
    right = np.isin(found.places, flipped)
    assert right.sum() >= 75
    assert right.mean() > 0.8
    assert right[:40].all()  # the surest come first
    assert (found.likelier[right] == truth[found.places[right]]).all()


def test_nothing_is_suspected_where_answers_agree_or_classes_are_rare():
    labels = np.arange(300) % 3
    assert len(suspects(np.eye(3)[labels] * 0.9 + 0.1 / 3, labels)) == 0
    rare = np.array([0] * 50 + [1])
    assert len(suspects(np.tile([0.2, 0.8], (51, 1)), rare)) == 0
    assert len(suspects(np.zeros((0, 2)), np.zeros(0, np.int64))) == 0


def judged(target, answers):
    rows = Rows("valid", pl.DataFrame({"x": np.arange(len(target))}), target, None, np.arange(len(target)))
    return Judged(rows, answers)


def test_single_labels_are_doubted_where_a_row_has_several():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (400, 3))
    answers = np.where(truth == 1, 0.9, 0.1) + rng.normal(0, 0.02, (400, 3))
    answers[[7, 30]] = np.where(truth[[7, 30]] == 1, 0.97, 0.03)
    given = truth.copy()
    given[7, 2] = 1 - given[7, 2]
    given[30, 0] = 1 - given[30, 0]
    schema = Schema(columns=(), target="y", task=Task.MULTILABEL, task_reason="", classes=("a", "b", "c"))
    found = doubts(judged(given, answers), schema)
    assert sorted(found.places.tolist()) == [7, 30]
    place = found.places.tolist().index(7)
    words = ("c", "not c") if given[7, 2] else ("not c", "c")
    assert (found.given[place], found.likelier[place]) == words
    assert found.probability[place] == pytest.approx(0.9, abs=0.1)
    assert found.own[place] == pytest.approx(1 - found.probability[place])


def test_values_far_from_those_of_like_rows_are_doubted():
    rng = np.random.default_rng(1)
    answers = np.linspace(1, 100, 2000)
    truth = answers + rng.normal(0, 0.05, 2000) * answers  # errors grow with what is measured
    truth[100] += 12.0  # a large error where errors are small
    schema = Schema(columns=(), target="y", task=Task.REGRESSION, task_reason="")
    found = doubts(judged(truth, answers), schema)
    assert found.places[0] == 100
    # Beyond three quartile ranges of a normal distribution lie two in a million.
    assert len(found) <= 3
    assert found.missed[0] == pytest.approx(answers[100] - truth[100])


def test_a_model_that_knows_nothing_doubts_nothing():
    labels = np.array([0] * 60 + [1] * 40)
    schema = Schema(columns=(), target="y", task=Task.BINARY, task_reason="", classes=("a", "b"))
    found = doubts(judged(labels, np.tile([0.6, 0.4], (100, 1))), schema)
    assert "cannot doubt any" in found.refused
    assert len(found) == 0
