"""Baselines learn what is there to learn, read awkward cells, keep to time and rows, and say what they left out."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.baselines import fit_baselines
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.plain_metrics import accuracy, auroc, r2
from assay.ledger import Ledger, Outcome

KINDS = {"size": Kind.NUMBER, "shop": Kind.CATEGORY, "sold": Kind.BOOLEAN, "day": Kind.DATETIME, "note": Kind.TEXT}


def table(rows, seed=0):
    """Cells of every kind, with missing and infinite ones; size and shop carry the signal."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows)
    shop = rng.choice(["a", "b", "c"], rows)
    signal = size + np.where(shop == "a", 2.0, -1.0)
    cells = size.copy()
    cells[rng.random(rows) < 0.05] = np.nan
    if rows > 20:
        cells[3], cells[4] = np.inf, -np.inf
    start = datetime(2024, 1, 1)
    frame = pl.DataFrame(
        {
            "size": cells,
            "shop": [None if gone else str(name) for gone, name in zip(rng.random(rows) < 0.05, shop, strict=True)],
            "sold": rng.random(rows) < 0.5,
            "day": [start + timedelta(hours=int(h)) for h in rng.integers(0, 9000, rows)],
            "note": [f"word{w} and more" for w in rng.integers(0, 5, rows)],
        }
    )
    return frame, signal, rng


def made(task, rows, seed=0, weight=None, part="train"):
    frame, signal, rng = table(rows, seed)
    noisy = signal + rng.normal(0, 0.3, rows)
    target = {
        Task.REGRESSION: noisy * 1e4,
        Task.BINARY: (noisy > 0).astype(int),
        Task.MULTICLASS: np.digitize(noisy, [-0.7, 0.8]),
    }[task]
    return Rows(part=part, cells=frame, target=target, weight=weight, positions=np.arange(rows))


def schema(task, kinds=KINDS, time=None):
    return Schema(
        columns=tuple(Column(name=name, kind=kind, dtype="", reason="") for name, kind in kinds.items()),
        target="y",
        task=task,
        task_reason="",
        classes={Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("x", "y", "z")}.get(task, ()),
        time=time,
    )


def fit(rows, plan, seconds=None, **options):
    ledger = Ledger()
    config = EvaluateConfig(**options)
    return fit_baselines(rows, plan, config, seed=0, seconds=seconds, threads=1, ledger=ledger), ledger


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_linear_and_trees_learn_what_the_trivial_model_cannot(task, weighted):
    weight = np.random.default_rng(0).random(800) + 0.1 if weighted else None
    (trivial, linear, trees), ledger = fit(made(task, 800, weight=weight), schema(task))
    test = made(task, 400, seed=1, part="test")
    if task is Task.REGRESSION:
        assert trivial.name == "mean value"
        assert r2(test.target, trivial.predict(test)) < 0.01
        assert min(r2(test.target, model.predict(test)) for model in (linear, trees)) > 0.7
    else:
        assert trivial.name == "majority class"
        found = [model.predict(test) for model in (trivial, linear, trees)]
        assert all(p.shape == (400, len(schema(task).classes)) for p in found)
        assert all(p.sum(axis=1) == pytest.approx(np.ones(400)) for p in found)
        score = auroc if task is Task.MULTICLASS else lambda truth, p: auroc(truth, p[:, 1])
        assert score(test.target, found[0]) == 0.5
        assert min(score(test.target, p) for p in found[1:]) > 0.9
    assert ledger["evaluate.baselines"].outcome is Outcome.APPLIED
    assert ledger["evaluate.baselines"].value == 3
    assert "without the text columns" in trees.description


@pytest.mark.parametrize("rows", [2, 3, 10])
@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_a_handful_of_rows_works(task, rows):
    few = made(task, rows)
    few = Rows("train", few.frame, np.arange(rows) % 2 * (1.0 if task is Task.REGRESSION else 1), None, few.positions)
    target = few.target if task is Task.REGRESSION else few.target.astype(int)
    models, _ = fit(Rows("train", few.frame, target, None, few.positions), schema(task))
    assert [model.name for model in models][1:] == ["linear model", "boosted trees"]
    for model in models:
        answer = model.predict(made(task, 7, seed=1, part="test"))
        assert np.isfinite(answer).all()
        assert len(answer) == 7


def test_the_trivial_model_gives_weighted_shares():
    rows = made(Task.BINARY, 4)
    rows = Rows("train", rows.frame, np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 6.0]), rows.positions)
    (model,), _ = fit(rows, schema(Task.BINARY), baselines=("majority",))
    assert model.predict(rows)[0] == pytest.approx([1 / 3, 2 / 3])


def test_unseen_and_missing_cells_are_answered():
    models, _ = fit(made(Task.BINARY, 500), schema(Task.BINARY))
    strange = pl.DataFrame(
        {
            "size": [None, 1e300],
            "shop": ["nowhere", None],
            "sold": [None, True],
            "day": [None, None],
            "note": [None, ""],
        },
        schema_overrides={"size": pl.Float64, "day": pl.Datetime, "note": pl.String},
    )
    for model in models:
        assert np.isfinite(model.predict(Rows("test", strange, np.zeros(2, int), None, np.arange(2)))).all()


def test_columns_that_are_wholly_missing_in_training_are_no_trouble():
    rows = made(Task.REGRESSION, 300)
    empty = rows.frame.with_columns(size=pl.lit(None, pl.Float64), shop=pl.lit(None, pl.String))
    models, _ = fit(Rows("train", empty, rows.target, None, rows.positions), schema(Task.REGRESSION))
    for model in models:
        assert np.isfinite(model.predict(made(Task.REGRESSION, 20, seed=2, part="test"))).all()


def test_the_time_column_is_left_out_and_this_is_said():
    kinds = {"day": Kind.DATETIME, "size": Kind.NUMBER}
    (_, linear, trees), _ = fit(made(Task.BINARY, 300), schema(Task.BINARY, kinds, time="day"))
    assert "without the time column" in linear.description
    assert "without the time column" in trees.description
    test = made(Task.BINARY, 50, seed=1, part="test")
    later = Rows("test", test.frame.with_columns(day=pl.lit(datetime(2050, 1, 1))), test.target, None, test.positions)
    assert np.array_equal(trees.predict(test), trees.predict(later))


def test_a_class_with_one_row_does_not_make_the_trees_diverge():
    rows = made(Task.MULTICLASS, 600)
    target = np.where(rows.target == 2, 1, rows.target)
    target[0] = 2
    models, _ = fit(Rows("train", rows.frame, target, None, rows.positions), schema(Task.MULTICLASS))
    answer = models[-1].predict(rows)
    assert accuracy(target, answer.argmax(axis=1)) > 0.9


def test_a_class_without_training_rows_gets_probability_zero():
    rows = made(Task.MULTICLASS, 300)
    target = np.where(rows.target == 1, 0, rows.target)
    models, _ = fit(Rows("train", rows.frame, target, None, rows.positions), schema(Task.MULTICLASS))
    for model in models:
        assert (model.predict(rows)[:, 1] == 0).all()


def test_no_more_rows_than_allowed_are_learned_from_and_this_is_said():
    models, _ = fit(made(Task.BINARY, 700), schema(Task.BINARY), baseline_rows=300)
    assert all("300 of 700 training rows" in model.description for model in models)


def test_a_baseline_for_which_no_time_is_left_is_named():
    models, ledger = fit(made(Task.BINARY, 300), schema(Task.BINARY), seconds=0.0)
    assert [model.name for model in models] == ["majority class"]
    verdict = ledger["evaluate.baselines"]
    assert verdict.outcome is Outcome.WARNED
    assert "linear model (no time was left), boosted trees (no time was left)" in verdict.reason


def test_what_cannot_be_fitted_is_named_with_the_reason():
    plan = schema(Task.BINARY, {"note": Kind.TEXT})
    models, ledger = fit(made(Task.BINARY, 300), plan)
    assert [model.name for model in models] == ["majority class", "linear model"]
    assert "TF-IDF of words and letters" in models[1].description
    assert "boosted trees (no column it can use)" in ledger["evaluate.baselines"].reason
    one = made(Task.BINARY, 300)
    one = Rows("train", one.frame, np.zeros(300, int), None, one.positions)
    _, ledger = fit(one, schema(Task.BINARY))
    assert "linear model (its training rows are of one class)" in ledger["evaluate.baselines"].reason


def test_the_same_seed_gives_the_same_answers():
    rows, test = made(Task.MULTICLASS, 400), made(Task.MULTICLASS, 50, seed=1, part="test")
    first, second = (fit(rows, schema(Task.MULTICLASS))[0] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.predict(test), b.predict(test))


def test_no_baseline_asked_for_is_said():
    models, ledger = fit(made(Task.BINARY, 50), schema(Task.BINARY), baselines=())
    assert models == ()
    assert ledger["evaluate.baselines"].outcome is Outcome.SKIPPED


def test_series_are_summed_up_for_both_baselines():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    cells = [
        None if row % 50 == 0 else (rng.normal(size=int(rng.integers(3, 30))).cumsum() * 0.1 + label).tolist()
        for row, label in enumerate(target)
    ]
    frame = pl.DataFrame({"s": cells}, schema={"s": pl.List(pl.Float64)})
    rows = Rows(part="train", cells=frame, target=target, weight=None, positions=np.arange(400))
    (_, linear, trees), ledger = fit(rows, schema(Task.BINARY, {"s": Kind.SEQUENCE}))
    assert min((model.predict(rows).argmax(1) == target).mean() for model in (linear, trees)) > 0.85
    assert "each series as 9 numbers" in linear.description
    assert ledger["evaluate.baselines"].outcome is Outcome.APPLIED
    words = Rows(part="test", cells=frame.with_columns(s=pl.lit(None)), target=target, weight=None, positions=target)
    assert np.isfinite(trees.predict(words)).all()
