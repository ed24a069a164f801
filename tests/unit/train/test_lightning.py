"""Real LightningModules in assay's loop, against loops written by hand."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler

from assay.data.encoding.batches import Batch, Resident, epoch_order
from assay.data.encoding.encode import Encoded, Layout
from assay.errors import ConfigError
from assay.models.foreign import VECTOR_LENGTH, ForeignNetwork
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.lightning import OwnSteps
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.optimise.torch_optimiser import configured
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched

LAYOUT = Layout(numbers=4, extras=0, vocabularies=())
ROWS, BATCH, EPOCHS = 100, 16, 4
SETTINGS = TrainConfig(epochs=EPOCHS, batch=BATCH, clip_norm=0.0)


def batch_of(seed, rows=ROWS, wide=0):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, 4, generator=generator)
    target = (numbers.sum(1) + 0.3 * torch.randn(rows, generator=generator) > 0).long()
    codes = torch.randint(0, wide, (rows, 1), generator=generator).int() if wide else torch.zeros(rows, 0).int()
    return Batch(Encoded(numbers, torch.zeros(rows, 0), codes), target, None)


@pytest.fixture(scope="module")
def lightning():
    return pytest.importorskip("pytorch_lightning")


@pytest.fixture
def classifier(lightning):
    """A function that makes a LightningModule with the optimiser that it is given a function for."""

    class Classifier(lightning.LightningModule):
        def __init__(self, optimise, inputs):
            super().__init__()
            torch.manual_seed(3)
            self.layers = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, 2))
            self.optimise = optimise

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = functional.cross_entropy(self(x), y)
            self.log("train_loss", loss, prog_bar=True)
            self.log_dict({"place": batch_idx, "epoch": float(self.current_epoch)})
            return loss

        def configure_optimizers(self):
            return self.optimise(self)

    def make(optimise=lambda module: torch.optim.Adam(module.parameters(), lr=0.01), inputs=4):
        return Classifier(optimise, inputs)

    return make


def train(module, *, settings=SETTINGS, checkpoints=None, watch=None, layout=LAYOUT, wide=0, rows=ROWS):
    network = ForeignNetwork(module, layout, 2)
    network.reset([0], torch.zeros(2))
    steps = OwnSteps(network)
    try:
        trained = fit(
            network, Resident(batch_of(0, rows, wide)), Resident(batch_of(1, rows, wide)), settings,
            alike(1, settings, dropout=0.0, seed=0), seed=0, budget=Budget(None), watch=watch or Unwatched(),
            checkpoints=checkpoints, own=steps,
        )  # fmt: skip
    finally:
        steps.release()
    return network, trained, steps


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


# Parity with a loop as Lightning runs it ----------------------------------------------------------------------------


def by_hand(module, *, per_step=False):
    """Losses and rates of each epoch, with optimiser and schedule as Lightning steps them, and the final weights."""
    optimizer, timed = configured(module.configure_optimizers())
    schedule = timed[0].schedule if timed else None
    train, valid, history = batch_of(0), batch_of(1), []
    for epoch in range(EPOCHS):
        losses = []
        for chosen in epoch_order(ROWS, 0, epoch).split(BATCH):
            optimizer.zero_grad()
            loss = functional.cross_entropy(module(train.inputs.numbers[chosen]), train.target[chosen])
            loss.backward()
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            if schedule is not None and per_step:
                schedule.step()
            losses.append(loss.item())
        with torch.no_grad():
            valid_loss = functional.cross_entropy(module(valid.inputs.numbers), valid.target).item()
        if schedule is not None and not per_step:
            schedule.step(*([valid_loss] if isinstance(schedule, lr_scheduler.ReduceLROnPlateau) else []))
        history.append((sum(losses) / len(losses), valid_loss, rate))
    return history, weights(module)


STEPS = EPOCHS * math.ceil(ROWS / BATCH)
OPTIMISERS = {
    "adamw": lambda module: torch.optim.AdamW(module.parameters(), lr=0.02, weight_decay=0.1),
    "list": lambda module: [torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)],
    "groups": lambda module: torch.optim.RMSprop(
        [{"params": module.layers[0].parameters(), "lr": 0.003}, {"params": module.layers[2].parameters()}], lr=0.01
    ),
    "lists": lambda module: (
        [optimizer := torch.optim.Adam(module.parameters(), lr=0.02)],
        [lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)],
    ),
    "dict": lambda module: {
        "optimizer": (optimizer := torch.optim.Adam(module.parameters(), lr=0.02)),
        "lr_scheduler": {
            "scheduler": lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=STEPS),
            "interval": "step",
        },
    },
    "plateau": lambda module: {
        "optimizer": (optimizer := torch.optim.SGD(module.parameters(), lr=2.0)),
        "lr_scheduler": {
            "scheduler": lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.2),
            "monitor": "val_loss",
        },
    },
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_losses_and_rates_are_those_of_a_loop_by_hand(classifier, name):
    expected, last = by_hand(classifier(OPTIMISERS[name]), per_step=name == "dict")
    network, trained, _ = train(classifier(OPTIMISERS[name]))
    found = [(epoch.train_loss, epoch.valid_loss, epoch.learning_rate) for epoch in trained.epochs]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0.0, atol=1e-6)
    if trained.best_epoch == EPOCHS:
        torch.testing.assert_close(weights(network), last, rtol=0.0, atol=1e-6)


def test_a_schedule_steps_at_its_frequency(classifier):
    def optimise(module):
        optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
        halved = lr_scheduler.ExponentialLR(optimizer, 0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": halved, "interval": "epoch", "frequency": 2}}

    _, trained, _ = train(classifier(optimise))
    assert [epoch.learning_rate for epoch in trained.epochs] == pytest.approx([1.0, 1.0, 0.5, 0.5])


def test_a_plateau_may_watch_what_training_logs(classifier):
    seen = []

    class Watching(lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics, epoch=None):
            seen.append(metrics)
            super().step(metrics, epoch)

    def optimise(module):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": Watching(optimizer), "monitor": "train_loss"}}

    _, trained, _ = train(classifier(optimise))
    assert seen == pytest.approx([epoch.train_loss for epoch in trained.epochs], rel=1e-6)


def test_without_an_optimiser_of_its_own_it_gets_the_configured_one(classifier):
    settings = SETTINGS.model_copy(update={"schedule": "constant", "warmup": 0.0, "lr": 0.02, "optimiser": "adam"})
    _, trained, steps = train(classifier(lambda module: None), settings=settings)
    expected, _ = by_hand(classifier(lambda module: torch.optim.Adam(module.parameters(), lr=0.02)))
    assert not steps.optimises
    assert [epoch.train_loss for epoch in trained.epochs] == pytest.approx([loss for loss, _, _ in expected], abs=1e-5)


# What a module sees -------------------------------------------------------------------------------------------------


def test_what_is_logged_is_in_the_epochs_as_means(classifier):
    module = classifier()
    _, trained, _ = train(module)
    assert [set(epoch.logged) for epoch in trained.epochs] == [{"train_loss", "place", "epoch"}] * EPOCHS
    places = math.ceil(ROWS / BATCH)
    for number, epoch in enumerate(trained.epochs):
        assert epoch.logged["train_loss"] == pytest.approx(epoch.train_loss, rel=1e-6)
        assert epoch.logged["place"] == (places - 1) / 2
        assert epoch.logged["epoch"] == number


def test_a_metric_of_torchmetrics_is_computed_over_the_epoch(lightning):
    torchmetrics = pytest.importorskip("torchmetrics")

    class Counting(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear, self.seen = nn.Linear(4, 2), torchmetrics.SumMetric()

        def forward(self, x):
            return self.linear(x)

        def training_step(self, batch, batch_idx):
            self.seen.update(len(batch[1]))
            self.log("rows", self.seen)
            return functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    _, trained, _ = train(Counting())
    assert [epoch.logged["rows"] for epoch in trained.epochs] == [ROWS] * EPOCHS


def test_the_module_can_ask_where_the_training_stands(classifier):
    seen = []

    def optimise(module):
        trainer = module.trainer
        seen.extend([trainer.estimated_stepping_batches, trainer.max_epochs, trainer.num_training_batches])
        seen.extend([module.global_step, module.current_epoch, trainer.logger, module.logger])
        return torch.optim.Adam(module.parameters())

    train(classifier(optimise))
    assert seen == [STEPS, EPOCHS, STEPS // EPOCHS, 0, 0, None, None]


def test_nothing_of_the_loop_stays_on_the_module(classifier):
    module = classifier()
    train(module)
    assert not {"log", "log_dict", "trainer"} & set(vars(module))
    assert module._trainer is None


def test_vectors_of_wide_categories_join_the_optimiser(classifier):
    wide = 40
    layout = Layout(numbers=4, extras=0, vocabularies=(wide,))
    module = classifier(lambda module: torch.optim.SGD(module.parameters(), lr=0.5), inputs=4 + VECTOR_LENGTH)
    network = ForeignNetwork(module, layout, 2)
    network.reset([0], torch.zeros(2))
    start = network.features.vectors.table.detach().clone()
    network, trained, _ = train(module, layout=layout, wide=wide)
    assert not trained.unused
    moved = (network.features.vectors.table.detach() - start).abs().sum(-1)[0]
    seen = batch_of(0, wide=wide).inputs.codes.unique()
    assert bool((moved[seen.long()] > 0).all())


def test_parameters_in_no_group_are_counted_and_stay(classifier):
    module = classifier(lambda module: torch.optim.SGD(module.layers[2].parameters(), lr=0.5))
    before = module.layers[0].weight.detach().clone()
    _, _, steps = train(module)
    assert torch.equal(module.layers[0].weight, before)
    assert steps.description == "SGD(lr=0.5); 2 parameters are in none of its groups and stay as they were"


def test_the_optimiser_is_described(classifier):
    assert train(classifier(OPTIMISERS["lists"]))[2].description == "Adam(lr=0.02), StepLR each epoch"


class Duck(nn.Linear):
    """A module that is no LightningModule and has its two methods."""

    def training_step(self, batch, batch_idx):
        return {"loss": functional.cross_entropy(self(batch[0]), batch[1])}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_is_not_needed():
    module = Duck(4, 2)
    _, trained, _ = train(module)
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss
    assert not {"log", "log_dict", "trainer"} & set(vars(module))


class ByName(Duck):
    def forward(self, numbers):
        return super().forward(numbers)

    def training_step(self, batch, batch_idx):
        x, y = batch
        assert set(x) == {"numbers"}
        return functional.cross_entropy(self(**x), y)


def test_matrices_that_are_asked_for_by_name_come_as_a_dict():
    network = ForeignNetwork(ByName(4, 2), LAYOUT, 2, ("numbers",))
    assert OwnSteps(network).losses(batch_of(0), 0).shape == (1,)


# Resume -------------------------------------------------------------------------------------------------------------


class StopAfter(Unwatched):
    def __init__(self, epochs):
        self.epochs = epochs

    def epoch(self, record, of):
        if record.epoch == self.epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_resumed_training_ends_with_the_same_bits(classifier, tmp_path, name):
    whole, expected, _ = train(classifier(OPTIMISERS[name]))

    def checkpoints():
        return Checkpoints(tmp_path, {"configuration": "x"}, every=0.0)

    stopped = train(classifier(OPTIMISERS[name]), checkpoints=checkpoints(), watch=StopAfter(2))[1]
    assert stopped.interrupted
    network, resumed, _ = train(classifier(OPTIMISERS[name]), checkpoints=checkpoints())
    assert resumed.steps == expected.steps
    assert torch.equal(weights(network), weights(whole))
    found, wanted = (
        [(e.train_loss, e.valid_loss, e.learning_rate, e.logged) for e in t.epochs] for t in (resumed, expected)
    )
    assert found == wanted


def test_a_training_resumed_within_an_epoch_logs_the_same_means(classifier, tmp_path):
    expected = train(classifier())[1]

    class Stopping(Checkpoints):
        """Writes one checkpoint in the middle of an epoch and then ends the run."""

        def write(self, progress, tensors):
            super().write(progress, tensors)
            if progress.step == 10:
                raise KeyboardInterrupt

    train(classifier(), checkpoints=Stopping(tmp_path, {"c": "x"}, every=0.0))
    checkpoints = Checkpoints(tmp_path, {"c": "x"})
    assert checkpoints.newest == 10
    resumed = train(classifier(), checkpoints=checkpoints)[1]
    assert [epoch.logged for epoch in resumed.epochs] == [epoch.logged for epoch in expected.epochs]


# What is refused ----------------------------------------------------------------------------------------------------


def refused(call) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        call()
    return caught.value


def test_several_optimisers_are_refused(classifier):
    def two(module):
        return [torch.optim.SGD(module.layers[place].parameters(), lr=0.1) for place in (0, 2)]

    for form in (list, tuple):
        error = refused(lambda form=form: train(classifier(lambda module: form(two(module)))))
        assert error.came == "configure_optimizers returned 2"
    error = refused(lambda: train(classifier(lambda module: tuple({"optimizer": each} for each in two(module)))))
    assert error.came == "configure_optimizers returned 2"


def test_manual_optimisation_is_refused(classifier):
    module = classifier()
    module.automatic_optimization = False
    assert "automatic_optimization is False" in refused(lambda: train(module)).came


@pytest.mark.parametrize("name", ["optimizer_step", "backward", "lr_scheduler_step", "configure_gradient_clipping"])
def test_methods_that_change_the_steps_are_refused(classifier, name):
    module = classifier()
    changed = type("Changed", (type(module),), {name: lambda self, *given: None})
    module.__class__ = changed
    assert (
        refused(lambda: OwnSteps(ForeignNetwork(module, LAYOUT, 2))).came
        == f"it overrides {name}, which is not called here"
    )


def test_methods_that_are_passed_over_are_named(lightning):
    class Module(lightning.LightningModule):
        def training_step(self, batch, batch_idx): ...
        def validation_step(self, batch, batch_idx): ...
        def on_train_epoch_end(self): ...

    found = OwnSteps(ForeignNetwork(Module(), LAYOUT, 2)).passed_over
    assert found == ["on_train_epoch_end", "validation_step"]


@pytest.mark.parametrize(
    ("returned", "came"),
    [
        (lambda loss: None, "a NoneType"),
        (lambda loss: loss.item(), "a float"),
        (lambda loss: loss.detach(), r"a float32 tensor of shape \(\) without a gradient"),
        (lambda loss: {"los": loss}, "a NoneType"),
        (lambda loss: loss.expand(2), r"a float32 tensor of shape \(2,\)"),
    ],
)
def test_training_step_must_return_the_loss(returned, came):
    class Module(Duck):
        def training_step(self, batch, batch_idx):
            return returned(functional.cross_entropy(self(batch[0]), batch[1]))

    with pytest.raises(ConfigError, match=f"it returned {came}"):
        train(Module(4, 2))


def test_what_training_step_raises_is_quoted():
    class Module(Duck):
        def training_step(self, batch, batch_idx):
            raise KeyError("mask")

    error = refused(lambda: train(Module(4, 2)))
    shapes = "x: a float32 tensor of shape (16, 4), y: a int64 tensor of shape (16,)"
    assert error.must == "the model's training_step must take what it is given"
    assert error.came == f"given {shapes}, it raised KeyError: 'mask'"


def test_a_target_that_would_be_broadcast_is_refused():
    class Module(Duck):
        def training_step(self, batch, batch_idx):
            return functional.mse_loss(self(batch[0])[:, :1], batch[1].float())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "Using a target size" in refused(lambda: train(Module(4, 2))).came


def test_an_optimiser_that_needs_a_closure_is_refused(classifier):
    error = refused(lambda: train(classifier(lambda module: torch.optim.LBFGS(module.parameters()))))
    assert error.came == "LBFGS needs a closure that computes the loss again"


def test_an_optimiser_of_something_else_is_refused(classifier):
    error = refused(lambda: train(classifier(lambda module: torch.optim.SGD(nn.Linear(4, 2).parameters(), lr=0.1))))
    assert error.came == "2 of its 2 parameters are not the module's"


def test_a_schedule_must_monitor_something_there_is(classifier):
    def optimise(module):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_acc"}}

    error = refused(lambda: train(classifier(optimise)))
    assert error.came == "it monitors 'val_acc', and logged were 'train_loss', 'place', 'epoch'"


@pytest.mark.parametrize(
    ("schedule", "came"),
    [
        ({"interval": "step"}, "it has 'interval'"),
        ({"scheduler": 3}, "it is a int"),
        ({"scheduler": 3, "interval": "batch"}, "interval='batch', frequency=1"),
        ({"scheduler": 3, "frequency": 0}, "interval='epoch', frequency=0"),
        ({"scheduler": 3, "intervall": "step"}, "it has 'intervall', 'scheduler'"),
    ],
)
def test_a_schedule_must_be_given_as_lightning_takes_it(schedule, came):
    parameters = nn.Linear(1, 1).parameters()
    given = {"optimizer": torch.optim.SGD(parameters, lr=0.1), "lr_scheduler": schedule}
    assert refused(lambda: configured(given)).came == came


@pytest.mark.parametrize("given", ["adam", {"lr_scheduler": 1}, 3])
def test_what_is_no_optimiser_is_refused(given):
    assert refused(lambda: configured(given)).must.startswith("configure_optimizers must return an optimiser")


def test_labels_are_given_as_binary_cross_entropies_take_them():
    class Labels(nn.Linear):
        def training_step(self, batch, batch_idx):
            return functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return None

    rows = batch_of(0)
    target = torch.stack([rows.target == 1, rows.inputs.numbers[:, 0] > 0], dim=1).to(torch.uint8)
    network = ForeignNetwork(Labels(4, 2), LAYOUT, 2, has_labels=True)
    network.reset([0], torch.zeros(2))
    found = OwnSteps(network).losses(replace(rows, target=target), 0)
    expected = functional.binary_cross_entropy_with_logits(network.module(rows.inputs.numbers), target.float())
    assert found.item() == expected.item()
