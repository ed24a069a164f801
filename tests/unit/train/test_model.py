import math

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.model import Model, train_model
from assay.train.watch import Unwatched


def schema_of(classes=()):
    columns = [
        Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="c", kind=Kind.CATEGORY, dtype="String", reason="made"),
        Column(name="y", kind=Kind.CATEGORY if classes else Kind.NUMBER, dtype="String", reason="made"),
    ]
    task = Task.BINARY if classes else Task.REGRESSION
    return Schema(columns=tuple(columns), target="y", task=task, task_reason="", classes=classes)


def rows_of(part, rows, seed, *, classes=True, weight=None, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": rng.normal(size=rows), "c": rng.choice(["a", "b"], rows)})
    signal = frame["x"].to_numpy() + (frame["c"] == "a").to_numpy() + 0.1 * rng.normal(size=rows)
    target = (signal > 1.0).astype(np.int64) if classes else offset + scale * signal
    return Rows(part, frame, target, weight, np.arange(rows))


def trained(train, valid, *, classes=True, ledger=None, seed=0, budget=None, epochs=4, loop=None, **model) -> Model:
    schema = schema_of(("no", "yes") if classes else ())
    ledger = Ledger() if ledger is None else ledger
    encoder = Encoder.fit(train, schema, EncodeConfig(), ledger)
    return train_model(
        encoder, train, valid, schema,
        ModelConfig(**{"name": "mlp", "width": 8, "number_bins": 4, "members": 1} | model),
        TrainConfig(**{"epochs": epochs, "batch": 32, "lr": 0.02} | (loop or {})),
        seed=seed, budget=Budget(budget), watch=Unwatched(), ledger=ledger,
    )  # fmt: skip


def test_a_classifier_learns_and_its_first_loss_is_the_priors():
    ledger = Ledger()
    train, valid = rows_of("train", 200, 0), rows_of("valid", 100, 1)
    model = trained(train, valid, ledger=ledger, members=2)
    share = (train.target.sum() + 1) / (len(train) + 2)
    expected = -np.mean(np.where(valid.target == 1, math.log(share), math.log(1 - share)))
    assert ledger["model.prior-bias"].value == pytest.approx(expected, rel=1e-5)
    outputs = model.outputs(valid.frame)
    assert outputs.shape == (2, 100, 2)
    assert (outputs.mean(0).argmax(1) == valid.target).mean() > 0.9
    assert (model.members, model.head.temperatures) == (2, (1.0, 1.0))
    assert model.parameters == sum(parameter.numel() for parameter in model.ensemble.parameters())
    assert model.hotter(2.5).head.temperatures == (2.5, 2.5)


def test_a_regression_answers_in_the_targets_units():
    train = rows_of("train", 300, 0, classes=False, scale=3.0, offset=1e9)
    valid = rows_of("valid", 100, 1, classes=False, scale=3.0, offset=1e9)
    model = trained(train, valid, classes=False, epochs=20)
    assert model.head.mean == pytest.approx(float(train.target.mean()), rel=1e-15)
    assert model.head.deviation == pytest.approx(float(train.target.std()), rel=1e-9)
    error = model.values(valid.frame) - valid.target
    assert np.sqrt((error**2).mean()) < 0.5 * train.target.std()


def test_a_constant_target_is_answered_as_it_is():
    train = rows_of("train", 50, 0, classes=False, scale=0.0, offset=7.0)
    model = trained(train, rows_of("valid", 20, 1, classes=False, scale=0.0, offset=7.0), classes=False, epochs=1)
    assert model.head.deviation == 1.0
    assert model.values(train.frame) == pytest.approx(7.0, abs=0.05)


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e40])
def test_the_unit_of_the_weights_does_not_matter(classes, unit):
    weight = np.random.default_rng(5).uniform(0.0, 2.0, 120)
    found = []
    for factor in (1.0, unit):
        train = rows_of("train", 120, 0, classes=classes, weight=weight * factor)
        valid = rows_of("valid", 60, 1, classes=classes, weight=weight[:60] * factor)
        model = trained(train, valid, classes=classes)
        found.append(np.append(model.outputs(valid.frame).ravel(), [model.head.mean, model.head.deviation]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-4)


def test_weights_move_the_prior():
    train = rows_of("train", 100, 0, weight=None)
    heavy = np.where(train.target == 1, 9.0, 1.0)
    weighted = rows_of("train", 100, 0, weight=heavy)
    ledger = Ledger()
    trained(weighted, rows_of("valid", 50, 1), ledger=ledger, epochs=1)
    relative = heavy / heavy.mean()
    share = (relative[train.target == 1].sum() + 1) / 102
    valid = rows_of("valid", 50, 1).target
    expected = -np.mean(np.where(valid == 1, math.log(share), math.log(1 - share)))
    assert ledger["model.prior-bias"].value == pytest.approx(expected, rel=1e-5)


def test_the_same_seed_gives_the_same_bits():
    train, valid = rows_of("train", 100, 0), rows_of("valid", 50, 1)
    found = []
    for seed, noise in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(noise)
        found.append(trained(train, valid, seed=seed, dropout=0.3).outputs(valid.frame))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_the_ledger_tells_what_training_did():
    ledger = Ledger()
    model = trained(rows_of("train", 100, 0), rows_of("valid", 50, 1), ledger=ledger, seed=7, dropout=0.0)
    applied = {"train.seeded": 7, "train.adamw": 0.01, "train.schedule": 0.02, "train.best-weights": None}
    for practice, value in applied.items():
        assert ledger[practice].outcome is Outcome.APPLIED
        assert value is None or ledger[practice].value == value
    assert ledger["train.clipping"].value == model.trained.clipped
    assert ledger["train.finite"].value == model.trained.steps == 16
    assert ledger["train.best-weights"].value == model.trained.best_epoch
    assert ledger["model.members"].outcome is Outcome.SKIPPED
    assert ledger["train.budget"].outcome is Outcome.NOT_APPLICABLE
    assert ledger["encode.numeric-embeddings"].value == 4


def test_the_ledger_tells_whether_the_budget_was_needed():
    ledger = Ledger()
    train, valid = rows_of("train", 100, 0), rows_of("valid", 50, 1)
    trained(train, valid, ledger=ledger, budget=600.0)
    assert ledger["train.budget"].outcome is Outcome.PASSED
    trained(train, valid, ledger=ledger, budget=0.3, epochs=10_000)
    assert ledger["train.budget"].outcome is Outcome.APPLIED


def test_the_ledger_tells_of_what_was_asked_for_instead():
    ledger = Ledger()
    loop = {
        "optimiser": "sgd", "weight_decay": 0.0, "momentum": 0.5, "schedule": "step", "warmup": 0.0, "clip_norm": 0.0,
        "clip_value": 0.5, "mixup": 0.2, "label_smoothing": 0.1, "swa": 0.5, "batch": 10,
    }  # fmt: skip
    model = trained(rows_of("train", 100, 0), rows_of("valid", 50, 1), ledger=ledger, loop=loop)
    told = {name: (ledger[name].outcome, ledger[name].reason) for name in (
        "train.adamw", "train.schedule", "train.mixup", "train.label-smoothing", "train.averaging", "train.batch-size",
    )}  # fmt: skip
    assert told == {
        "train.adamw": (Outcome.SKIPPED, "sgd without decoupled weight decay"),
        "train.schedule": (Outcome.APPLIED, f"step over {model.trained.horizon} steps from 0.02, without a warm-up"),
        "train.mixup": (Outcome.APPLIED, "rows are mixed with alpha 0.2"),
        "train.label-smoothing": (Outcome.APPLIED, "labels smoothed by 0.1, and the answer is calibrated afterwards"),
        "train.averaging": (Outcome.APPLIED, "the mean of the weights over the last 50% of the training"),
        "train.batch-size": (Outcome.APPLIED, "10 rows a step, as the recipe or the user says"),
    }
    assert ledger["train.clipping"].reason.startswith("each number at most 0.5; ")
    assert ledger["train.precision"].outcome in (Outcome.APPLIED, Outcome.SKIPPED)
    assert ledger["train.threads"].value == model.trained.threads


def test_without_the_prior_outputs_start_at_zero():
    train, valid = rows_of("train", 200, 0), rows_of("valid", 100, 1)
    ledger = Ledger()
    trained(train, valid, ledger=ledger, prior_bias=False)
    assert ledger["model.prior-bias"].value == pytest.approx(math.log(2), abs=1e-4)
    assert ledger["model.prior-bias"].outcome is Outcome.SKIPPED
