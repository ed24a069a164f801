"""Options of a trial: what they become, what is refused, and what may differ between members of one network."""

import numpy as np
import polars as pl
import pytest

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.search.study.settings import OWN, job_of, members_of, shape_of
from assay.train.config import TrainConfig

COLUMNS = (
    Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason=""),
    Column(name="y", kind=Kind.CATEGORY, dtype="String", reason=""),
)
SCHEMA = Schema(columns=COLUMNS, target="y", task=Task.BINARY, task_reason="", classes=("a", "b"))


@pytest.fixture(scope="module")
def job():
    """A function from the options of a trial to its job."""
    rows = Rows("train", pl.DataFrame({"x": np.arange(40.0)}), np.arange(40) % 2, None, np.arange(40))
    encoder = Encoder.fit(rows, SCHEMA, EncodeConfig(), Ledger())

    def made(model=None, train=None, **options):
        named = {name.replace("__", "."): value for name, value in options.items()}
        return job_of(named, encoder, 4000, SCHEMA, model or ModelConfig(), train or TrainConfig())

    return made


def test_options_go_over_the_recipe_and_what_the_study_holds(job):
    made = job(ModelConfig(layers=3), TrainConfig(lr=0.5, epochs=7), model__name="resnet", train__lr=0.01)
    assert (made.name, made.model.layers, made.model.width, made.model.norm) == ("resnet", 3, 192, "batch")
    assert (made.train.lr, made.train.epochs, made.train.patience, made.train.schedule) == (0.01, 7, 7, "constant")
    assert made.model.members == 1
    assert job(model__name="mlp", model__members=3).model.members == 3


def test_options_within_options_are_reached(job):
    with pytest.raises(ConfigError, match=r"train\.pictures"):
        job(model__name="mlp", train__pictures__flip=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train__lr": -1.0, "model__name": "mlp"}, r"train\.lr=-1\.0 is not"),
        ({"model__depth": 2, "model__name": "mlp"}, r"model\.depth=2 is not"),
        ({"data__encode__clip": 2.0}, "data.encode.clip was given"),
        ({"lr": 1.0}, "lr was given"),
        ({"model__name": "mlp", "model__heads": 4}, r"model\.heads does not"),
        ({"model__name": "cnn"}, "reads pictures"),
    ],
)
def test_options_that_cannot_be_are_refused(job, options, message):
    with pytest.raises(ConfigError, match=message):
        job(**options)


def test_what_members_may_differ_in_is_no_difference_of_shape(job):
    first = job(model__name="mlp")
    values = {
        "model.dropout": 0.4, "model.members": 2, "train.lr": 0.3, "train.patience": 3, "train.weight_decay": 0.5,
        "train.label_smoothing": 0.2, "train.clip_norm": 0.0, "train.warmup": 0.5, "train.schedule": "constant",
        "train.beta1": 0.5, "train.beta2": 0.6, "train.balance": "focal",
    }  # fmt: skip
    of_a_schedule = {"train.gamma", "train.step_share", "train.milestones", "train.cycles"}
    assert set(values) == OWN - of_a_schedule - {"train.focal_gamma", "train.fairness_weight"}
    for name, value in values.items():
        assert shape_of(job(model__name="mlp", **{name.replace(".", "__"): value})) == shape_of(first)
    assert shape_of(job(model__name="mlp", train__schedule="step", train__gamma=0.5)) == shape_of(first)
    assert shape_of(job(model__name="mlp", train__schedule="plateau")) != shape_of(first)
    focal = job(model__name="mlp", train__balance="focal", train__focal_gamma=1.0)
    assert shape_of(focal) == shape_of(job(model__name="mlp", train__balance="weights"))
    assert shape_of(job(model__name="mlp", train__balance="oversample")) != shape_of(first)  # an epoch is longer
    muon = [job(model__name="mlp", train__optimiser="muon", train__beta1=beta) for beta in (0.8, 0.9)]
    assert shape_of(muon[0]) != shape_of(muon[1])
    for name, value in {"model__width": 64, "train__batch": 32, "train__epochs": 9, "train__mixup": 0.1}.items():
        assert shape_of(job(model__name="mlp", **{name: value})) != shape_of(first)
    assert shape_of(job(model__name="perceptron")) != shape_of(first)


def test_members_have_the_settings_of_their_trial_and_seeds_of_their_own(job):
    made = job(model__name="mlp", model__members=2, model__dropout=0.3, train__lr=0.1, train__label_smoothing=0.05)
    members = members_of(made, [10, 13], 0.5)
    assert [member.seed for member in members] == [10, 13]
    assert {(m.lr, m.dropout, m.label_smoothing, m.weight_decay, m.patience) for m in members} == {
        (0.05, 0.3, 0.05, 0.01, 10)
    }
