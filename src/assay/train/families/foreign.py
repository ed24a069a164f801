"""Models of the user's own: opened, examined on the first rows, and trained one after another in assay's loop."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import torch

from assay.data.encoding.batches import Source
from assay.data.encoding.encode import Encoder, Layout
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.models.examine import ROWS, Examined, examine, refuse_probabilities
from assay.models.foreign import FeatureMatrix, ForeignNetwork, is_of_pictures
from assay.models.network import Network
from assay.models.opening import Opened, Sizes, is_factory, open_model
from assay.train.batch_size import rows_a_step, scaled_rate
from assay.train.budget import Budget
from assay.train.changes import policy_of
from assay.train.config import TrainConfig
from assay.train.device import choose_device
from assay.train.examples import Examples
from assay.train.lightning import OwnSteps
from assay.train.loop import fit, predict
from assay.train.losses import member_losses
from assay.train.members import alike
from assay.train.model import TrainedNetwork
from assay.train.part import Part
from assay.train.state import Checkpoints, isolated_randomness, seed_all
from assay.train.watch import Watch

#: Options of training that a module with a loss, or an optimiser, of its own has no use for.
_OF_THE_LOSS = ("label_smoothing", "mixup", "balance")
_OF_THE_OPTIMISER = (
    "optimiser", "lr", "momentum", "nesterov", "beta1", "beta2", "alpha", "epsilon", "weight_decay", "easing",
    "schedule", "warmup", "gamma", "step_share", "milestones", "cycles", "plateau_patience",
)  # fmt: skip


@dataclass(frozen=True)
class Own:
    """A model of the user's own, ready to be trained: a network of one member for each that is averaged."""

    networks: tuple[ForeignNetwork, ...]
    opened: Opened
    examined: Examined

    @property
    def parameters(self) -> int:
        """Numbers that one of them learns."""
        return self.networks[0].parameter_count

    @property
    def saving(self) -> float:
        """Seconds to hold back for saving it, by what reading it for the export took."""
        return self.examined.seconds * len(self.networks)

    @property
    def config(self) -> ModelConfig:
        """What the configuration records of it."""
        members = len(self.networks)
        return ModelConfig(name="own", module=self.opened.name, parameters=self.parameters, members=members)


def open_own(
    given: object, encoder: Encoder, train: Rows, schema: Schema, *, members: int, seed: int, weighted: bool
) -> Own:
    """What `model=` stands for, examined on the first training rows; a factory is called once a member.

    Every random choice of the factory follows from its member's seed: `seed`, `seed + 1`, ...

    Raises:
        ConfigError: it cannot be trained, tested or saved as it is; the error says why.
    """
    if members > 1 and not is_factory(given):
        raise ConfigError(
            "several members must be several models",
            f"model.members={members} was given with a model that is made already",
            "Pass a class or a function that makes one, as in model=lambda inputs, outputs: Net(inputs, outputs).",
        )
    rows = encoder.encode(train.at(np.arange(min(ROWS, len(train)))).frame)
    networks: list[ForeignNetwork] = []
    outputs = len(schema.classes) if schema.has_probabilities else 1
    layout = encoder.layout
    sizes = _sizes(layout, outputs)
    with isolated_randomness():
        for place in range(members):
            seed_all(seed + place)
            opened = open_model(given, sizes, has_labels=schema.is_multilabel)
            if any(opened.module is network.module for network in networks):
                raise ConfigError(
                    "a factory must make a new model each time",
                    "it returned the same one twice",
                    "Make the model inside the function.",
                )
            _check_pictures(opened, layout)
            network = ForeignNetwork(opened.module, layout, outputs, opened.takes, has_labels=schema.is_multilabel)
            network.reset([seed + place], torch.zeros(outputs))
            examined = examine(network, rows)
            networks.append(network)
    if opened.kind == "lightning":
        _check_lightning(networks[0], weighted)
    return Own(tuple(networks), opened, examined)


def _sizes(layout: Layout, outputs: int) -> Sizes:
    """What a factory may ask for; of pictures alone the inputs are their channels."""
    places = layout.places("pictures")
    shape = tuple(int(size) for place in places for size in layout.media[place].shape)
    width = shape[0] if is_of_pictures(layout) else FeatureMatrix(layout).width
    return Sizes(width, outputs, layout.numbers, layout.extras, layout.vocabularies, shape)


def _check_pictures(opened: Opened, layout: Layout) -> None:
    """Refuse a model that would pass over the pictures of a table, or asks for pictures where there are none.

    Raises:
        ConfigError: it would.
    """
    has, asks = bool(layout.places("pictures")), "pictures" in opened.takes
    if asks and not has:
        came = "its forward has an argument `pictures`, and the rows have none"
        raise ConfigError("a model of your own asks for what the rows have", came, "Leave the argument out.")
    if not has or asks:
        return
    if opened.kind == "keras":
        raise ConfigError(
            "pictures are given to torch modules and LightningModules alone", "model= is a Keras model",
            "Pass a torch module, or leave the pictures out with --drop.",
        )  # fmt: skip
    if opened.takes or not is_of_pictures(layout):
        raise ConfigError(
            "a model of your own must say that it takes the pictures of rows that have other columns too",
            "its forward has no argument `pictures`",
            "Write forward(self, numbers, extras, codes, pictures), with those of the four that it needs, or leave the "
            "pictures out with --drop.",
        )


def _check_lightning(network: ForeignNetwork, weighted: bool) -> None:
    OwnSteps(network)
    if weighted:
        _refuse_weights("the rows have weights")


def _refuse_weights(came: str) -> NoReturn:
    raise ConfigError(
        "row weights must reach the loss",
        f"{came}, and training_step of a LightningModule is given none",
        "Leave the weights out, or pass torch.nn.Sequential(module), which trains its forward with assay's loss.",
    )


def check_options(own: Own, config: TrainConfig, asked: Collection[str], *, bagging: bool = False) -> TrainConfig:
    """The options of training that hold for `own`.

    Args:
        asked: names of the options that were set by hand.
        bagging: whether members are to learn from samples of their own, which are row weights.

    Raises:
        ConfigError: one of them has no effect on such a model.
    """
    useless = {"clip_adaptive": "limits the units of assay's own layers"} if config.clip_adaptive else {}
    if config.optimiser == "muon":
        useless["optimiser"] = "muon is for the hidden matrices of assay's own layers"
    reads = bool(own.networks[0].reads)
    useless |= {"series": "it is given no series"} if "series" in asked else {}
    useless |= {name: "it is given no pictures" for name in ("pictures", "cutmix") if name in asked and not reads}
    if config.lr_find:
        useless["lr_find"] = "a model of your own may share what it holds with a copy, so rates are not tested on one"
    if own.opened.kind == "lightning":
        if bagging:
            _refuse_weights("ensemble.bagging weights the rows for each member")
        useless |= {name: "the loss is that of training_step" for name in _OF_THE_LOSS if name in asked}
        if OwnSteps(own.networks[0]).configures:
            useless |= {name: "configure_optimizers decides" for name in _OF_THE_OPTIMISER if name in asked}
    if useless:
        raise ConfigError(
            "every option must have an effect on the model",
            "; ".join(f"train.{name} has none: {why}" for name, why in useless.items()),
            "Leave it out.",
        )
    return config.model_copy(update={"mixup": 0.0}) if own.opened.kind == "lightning" else config


def train_own(
    own: Own,
    place: int,
    found: Examples,
    config: TrainConfig,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """One of the networks of `own`, with the weights of its best epoch.

    Raises:
        DivergenceError: the numbers are no longer finite.
        BudgetError: no time is left to train.
        ConfigError: the module raised, or its answer turned out to be of a wrong form.
    """
    network = own.networks[place]
    device = choose_device(config.device)
    first_loss = float(member_losses(predict(network, found.valid.inputs), found.valid).mean())
    network.to(device)
    network.noise.to(device)
    train, valid = found.on(device, 1, [seed + place], network.reads)
    policy = policy_of(own.config, config, 0)
    if checkpoints is not None:
        checkpoints = replace(checkpoints, identity={**checkpoints.identity, "model": _fingerprint(network)})
    fitted = _fitted(config, train, network, own.examined.fewest_rows)
    members = alike(1, fitted, dropout=0.0, seed=seed + place)
    steps = OwnSteps(network) if own.opened.kind == "lightning" else None
    try:
        trained = fit(
            network, train, valid, fitted, members, seed=seed + place, budget=budget, watch=watch,
            checkpoints=checkpoints, own=steps, policy=policy,
        )  # fmt: skip
    finally:
        if steps is not None:
            steps.release()
        network.to("cpu")
        network.noise.to("cpu")
    if own.examined.is_constant:
        with torch.no_grad():
            refuse_probabilities(network, found.sample.reading(network.reads))
    name = "own" if len(own.networks) == 1 else f"own-{place + 1}"
    brings = steps.description if steps is not None else ""
    changes = "" if policy is None else policy.told()
    part = Part(
        name, own.config, fitted, trained, 1, own.parameters, shown=own.opened.shown, brings=brings, changes=changes
    )
    return TrainedNetwork(network, part, first_loss, _not_made_again)


def _fingerprint(network: ForeignNetwork) -> str:
    """What a checkpoint of it fits: names and shapes of its parameters and statistics."""
    tensors = dict(network.lasting_parameters()) | dict(network.statistics())
    text = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    return hashlib.sha256(text.encode()).hexdigest()


def _not_made_again(seeds: Sequence[int]) -> Network:
    raise AssertionError(f"a network of one member is never cut down ({len(seeds)} seeds)")


def _fitted(config: TrainConfig, train: Source, network: ForeignNetwork, fewest: int) -> TrainConfig:
    """The options with the rate for the batch, and a batch that leaves no lone row where that is one too few.

    Raises:
        ConfigError: a batch of one row was asked for.
    """
    rows, batch = len(train), rows_a_step(config, train, network)
    fitted = config.model_copy(update={"lr": config.lr * scaled_rate(config, batch)})
    if fewest == 1 or (batch > 1 and rows % batch != 1):
        return fitted
    if batch == 1:
        raise ConfigError(
            "a batch must have two rows at least for this model, as batch norm needs",
            f"a step takes 1 row of {rows}",
            "Take train.batch=2 or more, or leave train.batch=auto.",
        )
    while rows % batch == 1:
        batch += 1
    return fitted.model_copy(update={"batch": batch})
