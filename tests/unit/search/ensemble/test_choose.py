"""Draws of validation rows: what is drawn as one, and how many for how many rows."""

import numpy as np
import polars as pl

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.search.ensemble.choose import guarded, stacked


def _schema(task, *, group=None):
    classes = ("no", "yes") if task is Task.BINARY else ()
    columns = [Column(name=name, kind=Kind.CATEGORY, dtype="String", reason="made") for name in ("g", "y")]
    return Schema(columns=tuple(columns), target="y", task=task, task_reason="", classes=classes, group=group)


def _rows(target, groups=None):
    cells = pl.DataFrame({"g": [str(each) for each in (range(len(target)) if groups is None else groups)]})
    return Rows("valid", cells, np.asarray(target), None, np.arange(len(target)))


def _values(rng, rows, models=3):
    target = rng.normal(size=rows)
    return target, [target + rng.normal(size=rows) for _ in range(models)]


def test_a_choice_keeps_what_it_was_made_from():
    target, answers = _values(np.random.default_rng(0), 120)
    made = guarded((), [0, 0, 1], answers, _rows(target), None, _schema(Task.REGRESSION), 0)
    assert made.answers.shape == (3, 120)
    assert made.owner.tolist() == [0, 0, 1]
    assert made.left.shape == (60, 120)
    assert made.drawn.shape == (60, 3)
    assert made.units == 120
    assert np.allclose(made.left.mean(), np.exp(-1), atol=0.02)
    assert made.way.startswith("greedy weights; ")


def test_groups_are_left_out_whole():
    target, answers = _values(np.random.default_rng(0), 90)
    groups = np.repeat(np.arange(30), 3)
    made = guarded((), [0, 1, 2], answers, _rows(target, groups), None, _schema(Task.REGRESSION, group="g"), 0)
    left = made.left.reshape(-1, 30, 3)
    assert (left == left[:, :, :1]).all()
    assert made.units == 30


def test_every_draw_has_each_class():
    rng = np.random.default_rng(0)
    target = np.append([1, 1, 1], np.zeros(97, int))
    answers = [rng.dirichlet(np.ones(2), 100) for _ in range(2)]
    made = guarded((), [0, 1], answers, _rows(target), None, _schema(Task.BINARY), 0)
    assert (~made.left[:, :3]).any(axis=1).all()


def test_rows_that_no_fold_is_judged_on_are_not_drawn_from():
    target, answers = _values(np.random.default_rng(0), 100)
    weight = np.repeat([0.0, 1.0], 50)
    made = guarded((), [0, 1, 2], answers, _rows(target), weight, _schema(Task.REGRESSION), 0)
    assert made.rows.tolist() == list(range(50, 100))


def test_of_very_many_rows_some_are_drawn_from():
    target, answers = _values(np.random.default_rng(0), 100_000, models=2)
    made = guarded((), [0, 1], answers, _rows(target), None, _schema(Task.REGRESSION), 0)
    assert made.left.shape == (16, 30_000)
    assert (np.diff(made.rows) > 0).all()


def test_stacking_tells_what_it_earned():
    target, answers = _values(np.random.default_rng(0), 200)
    made = stacked((), [0, 1, 2], answers, _rows(target), None, _schema(Task.REGRESSION), 0)
    assert made.way.startswith(
        "stacking, as ensemble.stacking=true asked: on rows that 60 draws left out the loss is 0."
    )
    assert made.shares.sum() == 1.0
    assert "with greedy weights" in made.way
