"""Train the network of a table: rows to batches, options to a module, the loop, and what the ledger says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.batches import Batch, Resident
from assay.data.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.ledger import Ledger, Outcome
from assay.models.answer import Head
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.train.batch_size import rows_a_step, scaled_rate
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import choose_device
from assay.train.loop import Trained, fit, predict
from assay.train.losses import member_losses
from assay.train.members import alike
from assay.train.watch import Watch

#: Validation loss / training loss from which overfitting is warned of.
_OVERFIT_RATIO = 1.25


@dataclass(frozen=True)
class Model:
    """A trained network with all it needs to answer raw rows."""

    encoder: Encoder
    network: Network
    head: Head
    trained: Trained

    @property
    def parameters(self) -> int:
        """Learned numbers, all members together."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def members(self) -> int:
        """Networks that are averaged."""
        return self.network.members

    def outputs(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Raw outputs of every member for raw rows, (members, n, outputs): logits, or standardised values."""
        found: NDArray[np.float32] = predict(self.network, self.encoder.encode(frame)).numpy()
        return found

    def in_units(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        """A regression's answers in the target's units, (n,), from `outputs`."""
        mean = raw.astype(np.float64).mean(0)[:, 0]
        answers: NDArray[np.float64] = mean * self.head.deviation + self.head.mean
        return answers

    def values(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """A regression's answers for raw rows in the target's units, (n,)."""
        return self.in_units(self.outputs(frame))

    def with_temperature(self, temperature: float) -> Model:
        """The same model with calibrated probabilities."""
        return replace(self, head=replace(self.head, temperature=temperature))


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
    """A network trained on `train`, its best epoch chosen on `valid`.

    Raises:
        DivergenceError: the numbers are no longer finite.
        BudgetError: no time is left to train.
    """
    head, device = _head(train, schema), choose_device(config.device)
    batches = [_batch(encoder, rows, schema, head) for rows in (train, valid)]
    prior = _prior(train, schema)
    seeds = range(seed, seed + model.members)
    network = build(model, encoder.layout, batches[0].inputs.numbers, outputs=len(prior), prior=prior, seeds=seeds)
    first_loss = float(member_losses(predict(network, batches[1].inputs), batches[1], heads=network.heads).mean())
    network.to(device)
    network.noise.to(device)
    learned, held = (Resident(batch.to(device)) for batch in batches)
    batch = rows_a_step(config, learned, network)
    fitted = config.model_copy(update={"lr": config.lr * scaled_rate(config, batch)})
    members = alike(model.members, fitted, dropout=model.dropout, seed=seed)
    trained = fit(network, learned, held, fitted, members, seed=seed, budget=budget, watch=watch)
    network.to("cpu")
    found = Model(encoder, network, head, trained)
    _write_verdicts(ledger, found, model, config, seed, first_loss)
    _write_budget(ledger, found.trained, budget)
    return found


def _head(train: Rows, schema: Schema) -> Head:
    if schema.is_classification:
        return Head(temperature=1.0)
    weight = _relative(train.weight)
    mean = float(np.average(train.target, weights=weight))
    deviation = float(np.sqrt(np.average((train.target - mean) ** 2, weights=weight)))
    return Head(temperature=None, mean=mean, deviation=deviation or 1.0)


def _batch(encoder: Encoder, rows: Rows, schema: Schema, head: Head) -> Batch:
    relative = _relative(rows.weight)
    weight = None if relative is None else torch.from_numpy(relative).float()
    if schema.is_classification:
        target = torch.from_numpy(rows.target.astype(np.int64))
    else:
        target = torch.from_numpy((rows.target - head.mean) / head.deviation).float()
    return Batch(encoder.encode(rows.frame), target, weight)


def _relative(weight: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Row weights with a mean of one: only their ratios count, whatever unit they were given in."""
    if weight is None:
        return None
    shares = weight / weight.max()
    return np.asarray(shares / shares.mean(), np.float64)


def _prior(train: Rows, schema: Schema) -> Tensor:
    """Where the output starts: log shares of the classes (each counted once more), or zero."""
    if not schema.is_classification:
        return torch.zeros(1)
    counts = np.bincount(train.target, weights=_relative(train.weight), minlength=len(schema.classes)) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def _write_verdicts(
    ledger: Ledger, found: Model, model: ModelConfig, config: TrainConfig, seed: int, first_loss: float
) -> None:
    trained, applied = found.trained, Outcome.APPLIED
    last = trained.epochs[-1] if trained.epochs else None
    ledger.record("train.seeded", applied, f"every random choice follows from seed {seed}", value=seed)
    reason = f"the first validation loss, {first_loss:.4f}, is that of the training prior"
    ledger.record("model.prior-bias", applied, reason, value=first_loss)
    single = "one network; model.members=4 trains four and averages them"
    averaged = f"{model.members} networks with seeds {seed} to {seed + model.members - 1}, averaged"
    outcome = applied if model.members > 1 else Outcome.SKIPPED
    ledger.record("model.members", outcome, averaged if model.members > 1 else single, value=model.members)
    reason = f"AdamW with decay {config.weight_decay:g} on weights, none on biases and norms"
    ledger.record("train.adamw", applied, reason, value=config.weight_decay)
    reason = (
        f"cosine to zero over {trained.horizon:,} steps from {config.lr:g}, warm-up over {config.warmup:.0%} of them"
    )
    ledger.record("train.schedule", applied, reason, value=config.lr)
    if config.clip_norm:
        reason = f"norm at most {config.clip_norm:g}; {trained.clipped:.1%} of {trained.steps:,} steps were clipped"
        ledger.record("train.clipping", applied, reason, value=trained.clipped)
    else:
        ledger.record("train.clipping", Outcome.SKIPPED, "switched off with train.clip_norm=0")
    reason = f"patience {config.patience} epochs; training ended after {len(trained.epochs)} because {trained.stopped}"
    ledger.record("train.early-stopping", applied, reason, value=len(trained.epochs))
    reason = f"weights of epoch {trained.best_epoch} of {len(trained.epochs)} (each member its own best)"
    ledger.record("train.best-weights", applied, reason, value=trained.best_epoch)
    held = model.dropout or config.weight_decay or config.l1
    reason = f"dropout {model.dropout:g}, weight decay {config.weight_decay:g}, L1 {config.l1:g}"
    ledger.record("train.regularisation", applied if held else Outcome.SKIPPED, reason, value=model.dropout)
    reason = f"all {trained.steps:,} steps had a finite loss and gradient"
    ledger.record("train.finite", Outcome.PASSED, reason, value=trained.steps)
    if model.number_bins and found.encoder.layout.numbers:
        reason = f"{found.encoder.layout.numbers} numbers widened to at most {model.number_bins} quantile bins each"
        ledger.record("encode.numeric-embeddings", applied, reason, value=model.number_bins)
    elif found.encoder.layout.numbers:
        ledger.record("encode.numeric-embeddings", Outcome.SKIPPED, "switched off with model.number_bins=0")
    if last is not None and last.train_loss > 0:
        _write_gap(ledger, last.valid_loss / last.train_loss)


def _write_gap(ledger: Ledger, ratio: float) -> None:
    reason = f"in the last epoch the validation loss was {ratio:.2f} times the training loss"
    if ratio > _OVERFIT_RATIO:
        advice = "; more dropout or weight decay may help (the best epoch's weights were kept)"
        ledger.record("train.overfitting", Outcome.WARNED, reason + advice, value=ratio)
    else:
        ledger.record("train.overfitting", Outcome.PASSED, reason, value=ratio)


def _write_budget(ledger: Ledger, trained: Trained, budget: Budget) -> None:
    if np.isinf(budget.seconds):
        ledger.record("train.budget", Outcome.NOT_APPLICABLE, "no time budget was given", value=trained.seconds)
    elif trained.limited_by_budget:
        reason = (
            f"the schedule was shortened to {trained.horizon:,} steps to fit the time left; such a run depends on the "
            "machine's speed and is repeated exactly only with the same number of steps"
        )
        ledger.record("train.budget", Outcome.APPLIED, reason, value=trained.seconds)
    else:
        reason = f"training took {trained.seconds:.1f} s and did not need to be shortened"
        ledger.record("train.budget", Outcome.PASSED, reason, value=trained.seconds)
