"""`model=` at the border of `assay.fit`: what may stand beside it, what it is given, and that nothing stays behind."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import assay
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.own import asked_by_hand, check_model, members_of
from assay.request import Request, with_table

FAST = ("train.epochs=2", "evaluate.bootstrap=100", "evaluate.baselines=[majority]")


def table(rows=120, task="binary") -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    signal = x[:, 0] + 0.5 * rng.normal(size=rows)
    target = signal if task == "regression" else np.where(signal > 0, "yes", "no")
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "hue": rng.choice(["red", "green"], rows), "y": target})


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs)


# What is asked for beside it


def test_a_preset_is_not_what_somebody_asked_for():
    assert asked_by_hand(compose("best"), "model") == {}
    chosen = compose("quick", overrides=["model.width=64", "train.lr=0.1"])
    assert asked_by_hand(chosen, "model") == {"width": 64}
    assert asked_by_hand(chosen, "train") == {"lr": 0.1}
    assert asked_by_hand(RunConfig(model=ModelConfig(members=2)), "model") == {"members": 2}


@pytest.mark.parametrize(
    ("preset", "overrides", "factory", "members"),
    [
        ("standard", [], True, 1),
        ("standard", ["model.members=3"], True, 3),
        ("standard", ["model.members=3"], False, 3),
        ("best", [], True, 1),
        ("best", [], False, 1),
        ("quick", [], True, 1),
    ],
)
def test_how_many_are_trained(preset, overrides, factory, members):
    assert members_of(compose(preset, overrides=overrides), from_factory=factory) == members


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.width=64", "model.width"),
        ("model.name=perceptron", "model.name"),
        ("ensemble.recipes=[mlp]", "ensemble.recipes"),
        ("ensemble.folds=5", "ensemble.folds"),
        ("ensemble.trees=true", "ensemble.trees"),
    ],
)
def test_options_of_assays_networks_contradict_a_model(override, named):
    config = compose(overrides=[override])
    with pytest.raises(ConfigError, match=f"model= was given together with {named}, which choose or shape"):
        check_model(config, linear)
    if not override.startswith("ensemble"):
        check_model(config, None)


def test_what_a_run_recorded_of_its_model_may_be_given_again():
    config = RunConfig(model=ModelConfig(name="own", module="torch.nn.Linear", parameters=3, members=1))
    check_model(config, linear)
    with pytest.raises(ConfigError, match=r"model.name=own stands for a model of your own, but none was given"):
        check_model(config, None)


def test_options_that_do_not_contradict_pass():
    check_model(compose("best", overrides=["model.members=2", "ensemble.folds=1", "train.lr=0.1"]), linear)


# What it is given


def test_inputs_are_described_as_the_model_gets_them():
    found = assay.describe_inputs(table(), "y")
    hot = ("hue is unknown", "hue is missing", "hue = green", "hue = red")
    assert found.features == ("a", "b", *hot)
    assert (found.inputs, found.outputs, found.classes) == (6, 2, ("no", "yes"))
    assert (found.numbers, found.extras) == (("a", "b"), ())
    assert found.codes == {"hue": ("unknown", "missing", "green", "red")}
    assert str(found).startswith("given a float32 matrix of 6 features: a, b, hue is unknown,")
    assert str(found).endswith(
        "to return: logits of no, yes, (rows, 2), or one logit for the second, (rows, 1) or (rows,)"
    )


def test_values_are_described_as_standardised():
    found = assay.describe_inputs(table(task="regression"), "y", drop=["hue"], overrides=["data.encode.scale=standard"])
    assert (found.features, found.outputs) == (("a", "b"), 1)
    assert str(found) == (
        "given a float32 matrix of 2 features: a, b; to return: one standardised value a row, (rows, 1) or (rows,)"
    )


# Nothing is left behind where it does not fit


class Breaks(nn.Linear):
    """Goes wrong in its second epoch."""

    def forward(self, rows):
        if self.training and len(rows) not in (1, 64):
            raise RuntimeError("no such kernel")
        return super().forward(rows)


@pytest.mark.parametrize(
    ("model", "overrides", "came"),
    [
        (lambda inputs, outputs: nn.Linear(inputs, 5), [], r"it returned a float32 tensor of shape \(64, 5\)"),
        (nn.Linear(4, 2), [], r"given a float32 tensor of shape \(64, 6\), it raised RuntimeError: mat1 and mat2"),
        ("mlp", [], "it is a str"),
        (linear, ["model.layers=3"], "model= was given together with model.layers"),
        (nn.Linear(6, 2), ["model.members=4"], "model.members=4 was given with a model that is made already"),
        (lambda inputs, outputs: Breaks(inputs, outputs), ["train.batch=20"], "it raised RuntimeError: no such kernel"),
        (linear, ["train.optimiser=muon"], "train.optimiser has none"),
    ],
)
def test_what_does_not_fit_leaves_nothing_on_disk(tmp_path, model, overrides, came):
    torch.manual_seed(0)
    with pytest.raises(ConfigError, match=came) as caught:
        assay.fit(table(), "y", model=model, out=tmp_path / "run", overrides=[*FAST, *overrides])
    assert all((caught.value.must, caught.value.came, caught.value.do))
    assert list(tmp_path.iterdir()) == []


def test_what_onnx_has_no_operation_for_is_refused(tmp_path):
    class Odd(nn.Linear):
        def forward(self, rows):
            return torch.special.i0e(super().forward(rows))

    with pytest.raises(ConfigError, match="the exporter says: ") as caught:
        assay.fit(
            table(), "y", model=lambda inputs, outputs: Odd(inputs, outputs), out=tmp_path / "run", overrides=FAST
        )
    assert caught.value.do == "Nothing was saved. Use other operations in its forward."
    assert [path.name for path in tmp_path.iterdir()] == [".run.partial"]  # what was trained can be gone on with


def test_the_command_says_that_a_model_was_given():
    request = Request(table(), None, None, with_table(compose(), {"target": "y"}), (), nn.Linear(1, 1))
    assert request.command == "assay fit <DataFrame> --target y <model Linear>"
