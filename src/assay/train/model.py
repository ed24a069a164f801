"""Train the networks of a table: examples and options to a trained module, and the model that answers raw rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from assay.data.bands import Bands
from assay.data.decision import DecisionChoice
from assay.data.encoding.batches import Source
from assay.data.encoding.encode import Encoder
from assay.data.outline import Outline
from assay.data.regions import Regions
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.ledger import Ledger
from assay.models.answer import Head
from assay.models.build import build
from assay.models.calibration import CalibrationChoice
from assay.models.config import PICTURES, SERIES, TEXTS, ModelConfig
from assay.models.ensemble import Ensemble
from assay.models.network import Network
from assay.train.batch_size import rows_a_step, scaled_rate
from assay.train.budget import Budget
from assay.train.changes import Policy, policy_of
from assay.train.choice import Choice
from assay.train.config import TrainConfig
from assay.train.device import choose_device
from assay.train.examples import Examples, examples
from assay.train.loop import Trained, fit, predict
from assay.train.losses import member_losses
from assay.train.lr_find import rates_before
from assay.train.members import Member, alike, varied
from assay.train.part import Part
from assay.train.part_verdicts import write_budget, write_rates, write_verdicts
from assay.train.state import Checkpoints
from assay.train.watch import Watch


@dataclass(frozen=True)
class Validation:
    """What the networks answer for rows they did not learn from.

    outputs: raw outputs, (A', n, outputs); with folds, of the member that had not seen the row.
    shares, temperatures: weight of each of the A' answers in the mean, and its temperature (None for values).
    target: class positions, or values in the target's units, (n,), of forecasts (n, H), of labels 0 and 1 (n, L).
    weight: (n,) or None.
    """

    outputs: NDArray[np.float32]
    shares: tuple[float, ...]
    temperatures: tuple[float, ...] | None
    target: NDArray[Any]
    weight: NDArray[np.float64] | None


@dataclass(frozen=True)
class Model:
    """Trained networks with all that is needed to answer raw rows.

    bands: intervals around forecasts. choice: what validation rows chose it from. calibrated, decided: which map of
    probabilities, and which way of deciding, these rows chose. regions: sets or intervals that hold the truth. outline:
    of the training rows. teacher: the ensemble that it learned from and stands in the place of.
    """

    encoder: Encoder
    ensemble: Ensemble
    head: Head
    parts: tuple[Part, ...]
    validation: Validation
    bands: Bands | None = None
    choice: Choice | None = None
    calibrated: CalibrationChoice | None = None
    decided: DecisionChoice | None = None
    regions: Regions | None = None
    outline: Outline | None = None
    teacher: Model | None = None

    @property
    def trained(self) -> Trained:
        """How the network with the largest share was trained; trees where there is no network."""
        return max(self.parts, key=lambda part: (part.is_network, part.share)).trained

    @property
    def seconds(self) -> float:
        """Seconds of training, all networks together, and those of what they learned from."""
        own = sum(part.trained.seconds for part in self.parts)
        return own if self.teacher is None else own + self.teacher.seconds

    @property
    def parameters(self) -> int:
        """Learned numbers, all networks and members together."""
        return self.ensemble.parameter_count

    @property
    def members(self) -> int:
        """Networks that are averaged."""
        return self.ensemble.members

    def outputs(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Raw outputs for raw rows, (A, n, outputs): logits, or standardised values."""
        found: NDArray[np.float32] = predict(self.ensemble, self.encoder.encode(frame)).numpy()
        return found

    def outputs_of(self, rows: Rows) -> NDArray[np.float32]:
        """`outputs` of many rows, a block of them at a time."""
        return np.concatenate([self.outputs(frame) for frame in rows.blocks()], axis=1)

    def in_units(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        """A regression's answers in the target's units, (n,), from `outputs`."""
        return self.head.in_units(raw[:, :, 0], self.head.shares)

    def forecasts(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        """Forecasts in the target's units, (n, H), from `outputs`."""
        return self.head.in_units(raw, self.head.shares)

    def values(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """A regression's answers for raw rows in the target's units, (n,)."""
        return self.in_units(self.outputs(frame))

    def hotter(self, temperature: float) -> Model:
        """The same model with calibrated probabilities: all temperatures multiplied."""
        validation = self.validation
        assert validation.temperatures is not None
        warm = replace(validation, temperatures=tuple(each * temperature for each in validation.temperatures))
        return replace(self, head=self.head.hotter(temperature), validation=warm)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network as it comes from training; `make` builds an untrained one of its kind from seeds.

    What has no parameters, as trees, is made as it is trained, and asked for by the places of members.
    """

    network: Network
    part: Part
    first_loss: float
    make: Callable[[Sequence[int]], Network]


@dataclass(frozen=True)
class Start:
    """A network as it is right before its training, on its device, with the rows and the settings of its members.

    config: with the rate for the batch, which is `scale` times the rate asked for. make: see `TrainedNetwork`.
    """

    network: Network
    make: Callable[[Sequence[int]], Network]
    seeds: tuple[int, ...]
    train: Source
    valid: Source
    config: TrainConfig
    scale: float
    members: tuple[Member, ...]
    first_loss: float

    def again(self) -> Network:
        """Another network that is the same to the bit, on the same device."""
        return moved(self.make(self.seeds), next(self.network.parameters()).device)


def start_of(found: Examples, model: ModelConfig, config: TrainConfig, *, seed: int, vary: bool = False) -> Start:
    """The start of a network family: there are `model.members` that differ in their seed.

    Where they may `vary` they differ in learning rate and dropout as well; with folds there is one of each of these for
    each fold, variant by variant.

    Raises:
        ConfigError: the device is not there, or the batch is larger than the rows.
    """
    device = choose_device(config.device)

    def make(seeds: Sequence[int]) -> Network:
        return network_of(found, model, seeds)

    folds = max(found.folds, 1)
    seeds = tuple(seed + place for place in range(model.members * folds))
    network = make(seeds)
    first_loss = float(
        member_losses(predict(network, found.valid.inputs), found.judged(model.members), heads=network.heads).mean()
    )
    moved(network, device)
    train, valid = found.on(device, model.members, seeds, network.reads)
    scale = scaled_rate(config, rows_a_step(config, train, network))
    fitted = config.model_copy(update={"lr": config.lr * scale})
    if vary:
        members = varied(len(seeds), folds, fitted, dropout=model.dropout, seed=seed)
    else:
        members = alike(len(seeds), fitted, dropout=model.dropout, seed=seed)
    return Start(network, make, seeds, train, valid, fitted, scale, members, first_loss)


def network_of(found: Examples, model: ModelConfig, seeds: Sequence[int]) -> Network:
    """An untrained network of the family, with a member for each seed, on the host."""
    rows = found.sample
    prior = found.prior if model.prior_bias else torch.zeros_like(found.prior)
    return build(
        model, found.encoder.layout, rows.numbers, outputs=found.outputs, prior=prior, seeds=seeds,
        targets=found.targets, rows=rows,
    )  # fmt: skip


def moved(network: Network, device: torch.device | str) -> Network:
    """The network and its noise on the device."""
    network.to(device)
    network.noise.to(device)
    return network


def train_network(
    found: Examples,
    name: str,
    model: ModelConfig,
    config: TrainConfig,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    vary: bool = False,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """The members of one network family, each with the weights of its best epoch; see `start_of`.

    Raises:
        DivergenceError: the numbers are no longer finite.
        BudgetError: no time is left to train.
        ConfigError: the device is not there, or the batch is larger than the rows.
    """
    start = start_of(found, model, config, seed=seed, vary=vary)
    rates = None
    if config.lr_find:
        rates = rates_before(
            name, start.again, start.train, start.valid, start.config, start.members, seed=seed, scale=start.scale,
            budget=budget, checkpoints=checkpoints, tell=watch.note,
        )  # fmt: skip
    network, policy = start.network, changes_of(model, start.config, start.train, found)
    trained = fit(
        network, start.train, start.valid, start.config, start.members, seed=seed, budget=budget, watch=watch,
        checkpoints=checkpoints, policy=policy,
    )  # fmt: skip
    moved(network, "cpu")
    changes = "" if policy is None else policy.told()
    part = Part(
        name, model, start.config, trained, len(start.seeds), network.parameter_count, rates=rates, changes=changes,
        shown=network.shown,
    )  # fmt: skip
    return TrainedNetwork(network, part, start.first_loss, start.make)


def changes_of(model: ModelConfig, config: TrainConfig, train: Source, found: Examples) -> Policy | None:
    """How pictures, series or texts are changed, for a network that reads some."""
    if model.name not in PICTURES + SERIES + TEXTS:
        return None
    first = next(iter(train.blocks(1))).inputs.media[0]
    return policy_of(model, config, min(first.shape[2:], default=0), found.words)


def train_model(
    encoder: Encoder,
    train: Rows,
    valid: Rows,
    schema: Schema,
    model: ModelConfig,
    config: TrainConfig,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
) -> Model:
    """One network trained on `train`, its best epoch chosen on `valid`; all its answers weigh the same.

    Raises:
        DivergenceError: the numbers are no longer finite.
        BudgetError: no time is left to train.
    """
    found = examples(encoder, train, valid, schema)
    one = train_network(found, model.name, model, config, seed=seed, budget=budget, watch=watch)
    answers = one.network.members * one.network.heads
    shares = (1.0 / answers,) * answers
    temperatures = (1.0,) * answers if schema.has_probabilities else None
    thresholds = (0.5,) * found.outputs if schema.is_multilabel else None  # until they are chosen
    head = Head(
        shares, temperatures, found.units.mean, found.units.deviation, thresholds, has_labels=schema.is_multilabel
    )
    outputs = predict(one.network, found.valid.inputs).numpy()
    validation = Validation(outputs, shares, temperatures, valid.target, valid.weight)
    whole = Model(encoder, Ensemble([one.network]), head, (one.part,), validation)
    write_verdicts(ledger, one.part, encoder.layout.numbers, one.first_loss, seed)
    write_budget(ledger, one.part.trained, budget)
    write_rates(ledger, [one.part])
    return whole
