import math

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import CheckpointError, ConfigError
from assay.ledger import Ledger
from assay.models.foreign import ONE_HOT_CODES
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import examples
from assay.train.families.foreign import check_options, open_own, train_own
from assay.train.loop import predict
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched

SETTINGS = TrainConfig(epochs=3, batch=16, lr=0.02)


def schema_of(outputs):
    kind = Kind.NUMBER if outputs == 1 else Kind.CATEGORY
    columns = [
        Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="c", kind=Kind.CATEGORY, dtype="String", reason="made"),
        Column(name="y", kind=kind, dtype="String", reason="made"),
    ]
    task = {1: Task.REGRESSION, 2: Task.BINARY}.get(outputs, Task.MULTICLASS)
    classes = tuple("abcdef"[:outputs]) if outputs > 1 else ()
    return Schema(columns=tuple(columns), target="y", task=task, task_reason="", classes=classes)


def rows_of(part, count, seed, outputs, *, categories=3, weight=None):
    rng = np.random.default_rng(seed)
    words = [f"w{place}" for place in range(categories)]
    frame = pl.DataFrame({"x": rng.normal(size=count), "c": [words[place % categories] for place in range(count)]})
    signal = frame["x"].to_numpy() + (frame["c"] == "w0").to_numpy() + 0.1 * rng.normal(size=count)
    target = 50 + 9 * signal if outputs == 1 else np.digitize(signal, np.linspace(0, 1, outputs + 1)[1:-1])
    return Rows(part, frame, target, weight, np.arange(count))


class Table:
    """A small table with its encoder, and what is asked of `foreign` with it."""

    def __init__(self, outputs=2, rows=96, categories=3, weight=None):
        self.schema = schema_of(outputs)
        self.train = rows_of("train", rows, 0, outputs, categories=categories, weight=weight)
        self.valid = rows_of("valid", 64, 1, outputs, categories=categories)
        self.encoder = Encoder.fit(self.train, self.schema, EncodeConfig(min_category_rows=1), Ledger())
        self.found = examples(self.encoder, self.train, self.valid, self.schema)

    def open(self, model, members=1, seed=0):
        weighted = self.train.weight is not None
        return open_own(model, self.encoder, self.train, self.schema, members=members, seed=seed, weighted=weighted)

    def fit(self, own, place=0, settings=SETTINGS, watch=None, checkpoints=None, seed=0):
        return train_own(
            own, place, self.found, settings, seed=seed, budget=Budget(None), watch=watch or Unwatched(),
            checkpoints=checkpoints,
        )  # fmt: skip


def perceptron(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, outputs))


def with_norm(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs))


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


# Opening


def test_a_factory_makes_each_member_from_its_own_seed():
    table = Table()
    own = table.open(perceptron, members=3, seed=5)
    again = table.open(perceptron, members=1, seed=6)
    assert torch.equal(weights(own.networks[1]), weights(again.networks[0]))
    assert not torch.equal(weights(own.networks[0]), weights(own.networks[1]))
    torch.manual_seed(5)
    assert torch.equal(weights(own.networks[0]), weights(perceptron(6, 2)))
    assert own.parameters == 6 * 8 + 8 + 8 * 2 + 2
    assert own.config.name == "own"
    assert (own.config.members, own.config.parameters) == (3, own.parameters)
    assert own.config.module == "torch.nn.modules.container.Sequential"


def test_opening_leaves_the_generators_of_the_caller_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    Table().open(perceptron)
    assert torch.equal(torch.rand(1), expected)


def test_a_model_that_is_made_already_cannot_be_several():
    with pytest.raises(ConfigError, match=r"model.members=2 was given with a model that is made already. Pass a class"):
        Table().open(perceptron(6, 2), members=2)


def test_a_factory_that_returns_the_same_model_twice_is_refused():
    model = perceptron(6, 2)
    with pytest.raises(ConfigError, match="it returned the same one twice"):
        Table().open(lambda inputs, outputs: model, members=2)


class Lit(nn.Linear):
    def training_step(self, batch, batch_idx):
        return functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_row_weights_do_not_reach_a_training_step():
    table = Table(weight=np.linspace(1.0, 2.0, 96))
    with pytest.raises(ConfigError, match="the rows have weights"):
        table.open(Lit(6, 2))
    assert table.open(nn.Sequential(Lit(6, 2))).opened.kind == "torch"


# Options that would have no effect


def test_options_of_the_optimiser_are_refused_where_the_module_brings_its_own():
    own = Table().open(Lit(6, 2))
    with pytest.raises(ConfigError, match=r"train.lr has none: configure_optimizers decides"):
        check_options(own, TrainConfig(lr=0.1), {"lr"})
    with pytest.raises(ConfigError, match=r"train.mixup has none: the loss is that of training_step"):
        check_options(own, TrainConfig(mixup=0.2), {"mixup"})
    assert check_options(own, TrainConfig(mixup=0.2), set()).mixup == 0.0


def test_options_of_assays_own_layers_are_refused():
    own = Table().open(perceptron)
    with pytest.raises(ConfigError, match=r"train.clip_adaptive has none"):
        check_options(own, TrainConfig(clip_adaptive=0.1), {"clip_adaptive"})
    with pytest.raises(ConfigError, match=r"train.optimiser has none: muon"):
        check_options(own, TrainConfig(optimiser="muon"), {"optimiser"})
    settings = TrainConfig(lr=0.1, mixup=0.2)
    assert check_options(own, settings, {"lr", "mixup"}) is settings


# Training


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_module_learns_and_ends_in_eval_mode(outputs):
    table = Table(outputs)
    trained = table.fit(table.open(perceptron), settings=TrainConfig(epochs=30, batch=16, lr=0.02))
    losses = [epoch.valid_loss for epoch in trained.part.trained.epochs]
    assert min(losses) < 0.5 * trained.first_loss
    assert predict(trained.network, table.found.valid.inputs).shape == (1, 64, outputs)
    assert not trained.network.training
    assert (trained.part.name, trained.part.members, trained.network.members) == ("own", 1, 1)
    assert trained.part.shown.startswith("Sequential( (0): Linear(in_features=")
    assert trained.part.trained.unused == ()


def test_the_statistics_of_batch_norm_are_those_of_the_best_epoch():
    table = Table()
    best = {}

    class Look(Unwatched):
        def epoch(self, record, of):
            best[record.epoch] = module[1].running_mean.clone()

    own = table.open(with_norm)
    module = own.networks[0].module
    trained = table.fit(own, settings=TrainConfig(epochs=12, batch=16, lr=0.5), watch=Look()).part.trained
    assert trained.best_epoch < 12
    assert torch.equal(module[1].running_mean, best[trained.best_epoch])
    assert int(module[1].num_batches_tracked) == trained.best_epoch * 6


def test_a_lone_last_row_is_avoided_for_batch_norm():
    table = Table(rows=97)
    trained = table.fit(table.open(with_norm))
    assert trained.part.train.batch == 17
    assert trained.part.trained.batch == 17
    assert table.fit(table.open(perceptron)).part.train.batch == 16


def test_batches_of_one_row_are_refused_for_batch_norm():
    table = Table()
    with pytest.raises(ConfigError, match="a step takes 1 row of 96"):
        table.fit(table.open(with_norm), settings=TrainConfig(epochs=1, batch=1))
    assert table.fit(table.open(perceptron), settings=TrainConfig(epochs=1, batch=1)).part.trained.steps == 96


def test_the_rate_is_scaled_to_the_batch_as_for_any_network():
    table = Table()
    trained = table.fit(table.open(perceptron), settings=TrainConfig(epochs=1, lr=0.01))
    assert trained.part.train.lr == pytest.approx(0.01 * math.sqrt(trained.part.trained.batch / 256))


def test_parameters_without_a_gradient_are_named():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, rows):
            return self.used(rows)

    table = Table()
    trained = table.fit(table.open(Spare()))
    assert trained.part.trained.unused == ("module.spare.weight", "module.spare.bias")


def test_wide_categories_are_learned_as_vectors():
    table = Table(rows=200, categories=ONE_HOT_CODES + 5)
    own = table.open(perceptron)
    before = own.networks[0].features.vectors.table.detach().clone()
    table.fit(own)
    assert not torch.equal(own.networks[0].features.vectors.table, before)


def test_probabilities_that_hid_behind_a_zero_head_are_refused_after_training():
    class Hidden(nn.Linear):
        def forward(self, rows):
            return super().forward(rows).sigmoid()

    module = Hidden(6, 1)
    nn.init.zeros_(module.weight)
    table = Table()
    with pytest.raises(ConfigError, match="its answers on the first rows are probabilities"):
        table.fit(table.open(module))


def test_a_module_that_counts_on_the_size_of_its_batch_is_told_so():
    class Fixed(nn.Linear):
        def forward(self, rows):
            if self.training and len(rows) not in (1, 16, 64):
                raise ValueError("16 rows, please")
            return super().forward(rows)

    table = Table(rows=100)
    with pytest.raises(ConfigError, match=r"given a float32 tensor of shape \(4, 6\), it raised ValueError: 16 rows"):
        table.fit(table.open(Fixed(6, 2)))


# Resume


class StopAfter(Unwatched):
    def __init__(self, epochs):
        self.epochs = epochs

    def epoch(self, record, of):
        if record.epoch == self.epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize("factory", [perceptron, with_norm])
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"accumulate": 2, "optimiser": "sgd"}])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, factory, changes):
    table, settings = Table(), TrainConfig(**{"epochs": 5, "batch": 16, "lr": 0.02} | changes)

    def fit(stop, directory):
        # The module is made anew from another seed: all that matters must come from the checkpoint.
        own = table.open(factory, seed=0 if stop or directory is None else 99)
        checkpoints = None if directory is None else Checkpoints(directory, {"data": "x"}, every=0.0)
        watch = StopAfter(stop) if stop else None
        return table.fit(own, settings=settings, watch=watch, checkpoints=checkpoints)

    whole = fit(None, None)
    assert fit(2, tmp_path).part.trained.interrupted
    resumed = fit(None, tmp_path)
    assert resumed.part.trained.steps == whole.part.trained.steps
    first, second = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [[(e.train_loss, e.valid_loss) for e in each.part.trained.epochs] for each in (whole, resumed)]
    assert losses[0] == losses[1]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    table = Table()
    checkpoints = Checkpoints(tmp_path, {"data": "x"}, every=0.0)
    table.fit(table.open(perceptron), checkpoints=checkpoints)
    with pytest.raises(CheckpointError, match="a checkpoint must be of the same model as the run that goes on from it"):
        table.fit(table.open(with_norm), checkpoints=checkpoints)
