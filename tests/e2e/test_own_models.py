"""Models of the user's own from a table to a bundle that answers without the packages they were made with."""

import json
import subprocess
import sys
import threading

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.nn import functional

import assay
from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints
from assay.data.split.split import seal
from assay.ledger import Ledger

FAST = ("budget=none", "evaluate.bootstrap=100", "evaluate.baselines=[majority, linear]")


def table(rows=300, task="binary", wide=40) -> pl.DataFrame:
    """Four numbers, one with gaps, and two categories, of which one has too many values for one-hot columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    hue, place = rng.choice(["red", "green", "blue"], rows), rng.integers(0, wide, rows)
    signal = x @ [1.0, -1.0, 0.5, 0.0] + (hue == "red") + 0.3 * rng.normal(size=rows)
    target = {
        "binary": np.where(signal > 0.3, "yes", "no"),
        "multiclass": np.digitize(signal, [-0.3, 0.9]).astype(str),
        "regression": 1000.0 + 50.0 * signal,
    }[task]
    columns = {f"x{column}": x[:, column] for column in range(4)}
    frame = pl.DataFrame(columns | {"hue": hue, "place": [f"p{one}" for one in place], "y": target})
    return frame.with_columns(pl.when(pl.col("x3") > 1.2).then(None).otherwise(pl.col("x3")).alias("x3"))


def report_of(run) -> dict:
    return json.loads((run.directory / "report.json").read_text(encoding="utf-8"))


def verdicts(report) -> dict:
    return {verdict["practice"]: verdict for verdict in report["ledger"]}


def answers_without(run, frame, tmp_path, packages=("torch", "keras", "pytorch_lightning", "sklearn")):
    """What the bundle answers in a fresh process, which must load none of the packages."""
    rows = tmp_path / "rows.parquet"
    frame.write_parquet(rows)
    program = (
        "import sys, assay, polars\n"
        f"answers = assay.load({str(run.directory)!r}).predict(polars.read_parquet({str(rows)!r}))\n"
        f"assert not {set(packages)!r} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    return pl.read_parquet(tmp_path / "answers.parquet")


# torch


class Tied(nn.Module):
    """Dropout, batch norm, a weight used twice, and one that is never used."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(inputs, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.third.weight = self.second.weight
        self.norm, self.dropout, self.last = nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, outputs)
        self.spare = nn.Linear(3, 3)
        self.lock = threading.Lock()  # cannot be pickled or copied

    def forward(self, x):
        hidden = self.norm(self.first(x)).relu()
        hidden = self.dropout(self.third(self.second(hidden).relu()))
        return self.last(hidden)


def test_a_class_of_modules_becomes_an_ensemble(tmp_path):
    frame = table(rows=600, task="multiclass")
    run = assay.fit(
        frame, "y", model=Tied, out=tmp_path / "run", overrides=[*FAST, "train.epochs=15", "model.members=2"]
    )
    report = report_of(run)
    found = verdicts(report)
    assert found["model.unused-parameters"]["outcome"] == "warned"
    assert found["model.unused-parameters"]["value"] == 2
    assert found["model.unused-parameters"]["reason"].endswith("module.spare.weight, module.spare.bias")
    members = found["model.members"]
    assert members["value"] == 2
    assert "not batched but trained one after another" in members["reason"]
    assert "Tied answers real rows with finite logits" in found["model.own"]["reason"]
    config = report["config"]
    assert (config["model.name"], config["model.members"]) == ("own", 2)
    assert config["model.module"].endswith("Tied")
    assert config["model.parameters"] == found["model.own"]["value"]
    description = report["scores"][0]["description"]
    assert "own-2 " in description
    assert "Tied( (first): Linear(" in description
    assert report["parity"]["difference"] < 1e-5
    network, majority = (
        next(score["estimate"]["value"] for score in report["scores"][place]["scores"] if score["name"] == "accuracy")
        for place in (0, 1)
    )
    assert network > majority + 0.1
    answers = answers_without(run, frame.drop("y").head(20), tmp_path)
    assert answers.height == 20
    assert assay.load(run.directory).verify() <= 1e-5
    assert "Tied( (first)" in (run.directory / "report.html").read_text(encoding="utf-8")


def test_a_module_that_is_made_already_holds_the_trained_weights(tmp_path):
    frame = table().drop("place")
    inputs = assay.describe_inputs(frame, "y").inputs
    module = nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    before = module[0].weight.detach().clone()
    run = assay.fit(frame, "y", model=module, out=tmp_path / "run", overrides=[*FAST, "train.epochs=5"])
    assert not torch.equal(module[0].weight, before)
    assert not module.training
    assert report_of(run)["training"]["parameters"] == inputs * 16 + 16 + 16 + 1


# Lightning


def test_a_lightning_module_brings_its_loss_and_optimiser(tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")

    class Regressor(lightning.LightningModule):
        def __init__(self, inputs):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, 1))

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = functional.l1_loss(self(x).squeeze(1), y)
            self.log("mae", loss)
            return loss

        def validation_step(self, batch, batch_idx):
            raise AssertionError("not called")

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.02)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]

    run = assay.fit(
        table(task="regression"), "y", model=Regressor, out=tmp_path / "run", overrides=[*FAST, "train.epochs=10"]
    )
    report = report_of(run)
    found = verdicts(report)
    brought = "the module brings its own optimiser: AdamW(lr=0.02, weight_decay=0.01), ExponentialLR each epoch"
    assert found["train.adamw"]["reason"] == brought
    assert "methods that are not called here: validation_step" in found["model.own"]["reason"]
    epochs = report["training"]["epochs"]
    assert [epoch["learning_rate"] for epoch in epochs] == pytest.approx([0.02 * 0.9**e for e in range(len(epochs))])
    assert [epoch["logged"]["mae"] for epoch in epochs] == pytest.approx([epoch["train_loss"] for epoch in epochs])
    lines = (run.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["logged"] == epochs[0]["logged"]
    answers = answers_without(run, table(task="regression").drop("y").head(5), tmp_path)
    assert abs(float(answers["prediction"].mean()) - 1000.0) < 200.0


# Keras


def test_the_classic_keras_example_goes_the_whole_way(keras, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    chance = 1.0 / (1.0 + np.exp(-(2.0 * x @ [1.0, -1.0, 0.5, 0.0])))
    frame = pl.DataFrame(
        {f"x{column}": x[:, column] for column in range(4)} | {"y": (rng.random(400) < chance).astype(int)}
    )
    # Keras draws its first weights anew in every process; some of them are still far off after 30 steps at 0.002.
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(10, activation="relu"), keras.layers.Dense(1, activation="sigmoid")])
    assert assay.describe_inputs(frame, "y").inputs == 4
    run = assay.fit(
        frame, "y", model=model, out=tmp_path / "run", overrides=[*FAST, "train.epochs=30", "train.lr=0.01"]
    )
    report = report_of(run)
    assert report["config"]["model.module"] == "keras.src.models.sequential.Sequential"
    assert report["config"]["model.parameters"] == 4 * 10 + 10 + 10 + 1
    described = "own, one network, 61 parameters: Sequential(Dense 10 relu, Dense 1 sigmoid)"
    assert report["scores"][0]["description"] == described
    assert "its last activation, sigmoid, is taken off" in verdicts(report)["model.own"]["reason"]
    scores = {score["name"]: score["estimate"]["value"] for score in report["scores"][0]["scores"]}
    assert scores["accuracy"] > 0.7
    # The bundle's probability is the Keras model's own, but for the temperature of the calibration.
    answers = answers_without(run, frame.drop("y").head(50), tmp_path)
    probability = answers["probability_1"].to_numpy()
    logit = np.log(probability / (1.0 - probability)) * report["calibration"]["temperature"]
    given = torch.from_numpy(encoded(frame).astype(np.float32))
    own = model(given, training=False).detach().numpy()[:, 0]
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-logit)), own, atol=1e-4)


def encoded(frame):
    """The first 50 rows as the model is given them: all numbers, scaled by what the training rows showed."""
    table = read(frame)
    schema = infer(table, Hints(target="y"))
    split = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder = Encoder.fit(split.train, schema, EncodeConfig(), Ledger())
    return encoder.encode(frame.drop("y").head(50)).numbers.numpy()
