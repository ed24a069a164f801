"""Rows as examples: in memory or in files, with the same batches where the order is the same."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encoding.batches import Resident
from assay.data.encoding.encode import Encoder
from assay.data.encoding.mapped import Mapped
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.folds import Folds
from assay.data.stored import Spill
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.train import examples as module
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import examples, folded
from assay.train.model import train_network
from assay.train.watch import Unwatched

COLUMNS = tuple(Column(name=name, kind=Kind.NUMBER, dtype="Float64", reason="") for name in ("x", "z", "y"))
SCHEMA = Schema(columns=COLUMNS, target="y", task=Task.REGRESSION, task_reason="")


def rows_of(part, count, seed):
    x, z = np.random.default_rng(seed).normal(size=(2, count))
    target = np.sin(2 * x) + z
    return Rows(part, pl.DataFrame({"x": x, "z": z}), target, np.where(x > 0, 2.0, 1.0), np.arange(count))


@pytest.fixture(scope="module")
def rows():
    train, valid = rows_of("train", 600, 0), rows_of("valid", 100, 1)
    return train, valid, Encoder.fit(train, SCHEMA, EncodeConfig(), Ledger())


def found(rows, spill=None, ledger=None):
    train, valid, encoder = rows
    return examples(encoder, train, valid, SCHEMA, seed=1, spill=spill, ledger=ledger)


def test_rows_lie_in_files_where_memory_is_not_allowed_them(rows, tmp_path):
    ledger = Ledger()
    # 600 rows of two numbers of four bytes, and the shuffled copy.
    assert isinstance(found(rows, Spill(tmp_path, 9600), ledger).train, Resident)
    assert "data.memory" not in ledger
    assert isinstance(found(rows, Spill(tmp_path, 9599), ledger).train, Mapped)
    assert ledger["data.memory"].outcome is Outcome.APPLIED


def test_a_network_trained_from_files_is_that_trained_from_memory(rows, tmp_path):
    model = ModelConfig(name="mlp", members=2, width=16, number_bins=8)
    config = TrainConfig(epochs=3, patience=3, batch=64, threads=1)
    networks = [
        train_network(
            each, "mlp", model, config, seed=4, budget=Budget(None), watch=Unwatched()
        ).network.state_dict()
        for each in (found(rows), found(rows, Spill(tmp_path, 0)))
    ]  # fmt: skip
    assert networks[0].keys() == networks[1].keys()
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_networks_are_fitted_to_a_sample_of_many_rows(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE_ROWS", 50)
    in_memory, in_files = found(rows), found(rows, Spill(tmp_path, 0))
    assert in_memory.sample.numbers.shape == (50, 2)
    assert torch.equal(in_memory.sample.numbers, in_files.sample.numbers)
    assert in_memory.targets.shape == (600,)


def test_bags_weigh_the_rows_wherever_they_lie(rows, tmp_path):
    for spill in (None, Spill(tmp_path, 0)):
        bagged = replace(found(rows, spill), bagged=True)
        train, _ = bagged.on(torch.device("cpu"), 2, [1, 2])
        batch = next(train.epoch(0, 0, 600))
        assert batch.weight.shape == (2, 600)
        assert float(batch.weight.mean()) == pytest.approx(1.0, abs=0.15)


def test_folds_in_files_are_refused(rows, tmp_path):
    train, _, encoder = rows
    judged = np.arange(600) % 2 == np.arange(2)[:, None]
    folds = Folds(~judged, judged, "two folds")
    assert folded(encoder, train, SCHEMA, folds, Spill(tmp_path, 9600)).folds == 2
    with pytest.raises(ConfigError, match=r"ensemble\.folds=1"):
        folded(encoder, train, SCHEMA, folds, Spill(tmp_path, 9599))
