"""The training loop: fit -> epoch -> step.

Tensors stay in memory, rows are shuffled once an epoch and then sliced, nothing waits for a number inside a step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encode import Encoded
from assay.errors import BudgetError, DivergenceError
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.optim import build_optimiser, clip_members, member_norms
from assay.train.schedule import warm_cosine
from assay.train.watch import Epoch, Watch

#: Steps after which the speed is known and the schedule is fitted to the budget; sooner, if they take this share of it.
_TIMED_STEPS = 40
_TIMED_SHARE = 0.1
_EVALUATION_ROWS = 8192


@dataclass(frozen=True)
class Batch:
    """Encoded rows with their target ((n,) int64 classes or float32 standardised values) and weight ((n,) float32)."""

    inputs: Encoded
    target: Tensor
    weight: Tensor | None

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        return Batch(self.inputs[rows], self.target[rows], None if self.weight is None else self.weight[rows])


@dataclass(frozen=True)
class Trained:
    """What a fit ends with; the network holds the best weights of each member."""

    epochs: tuple[Epoch, ...]
    best_epoch: int
    steps: int
    horizon: int
    seconds: float
    stopped: str
    clipped: float
    interrupted: bool
    limited_by_budget: bool


def fit(
    network: Network, train: Batch, valid: Batch, config: TrainConfig, *, seed: int, budget: Budget, watch: Watch
) -> Trained:
    """Train `network` in place until the epochs, the patience or the budget end, and keep each member's best weights.

    Raises:
        DivergenceError: a loss or a gradient is not finite.
        BudgetError: no time is left for a first step.
        KeyboardInterrupt: interrupted before the first step.
    """
    if budget.left <= 0:
        raise BudgetError(
            "the budget must leave time to train",
            f"{budget.used:.0f} s had passed before the first step, and what follows training needs the rest",
            "Give more time with --budget, or fewer baselines with evaluate.baselines=majority.",
        )
    run = _Run(network, train, valid, config, seed, budget)
    interrupted = False
    try:
        while not run.stopped:
            watch.epoch(run.epoch(), run.epochs_planned)
    except KeyboardInterrupt:
        run.interrupt()
        interrupted = True
    return run.finish(interrupted)


class _Run:
    """The state of one fit."""

    def __init__(
        self, network: Network, train: Batch, valid: Batch, config: TrainConfig, seed: int, budget: Budget
    ) -> None:
        self.network, self.train, self.valid, self.config, self.seed, self.budget = (
            network, train, valid, config, seed, budget,
        )  # fmt: skip
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.members = network.members
        self.optimiser = build_optimiser(network, config)
        self.steps_per_epoch = -(-len(train) // config.batch)
        self.horizon = self.steps_per_epoch * config.epochs
        self.best = BestWeights(network, self.members)
        self.history: list[Epoch] = []
        self.step, self.clipped = 0, 0.0
        self.stopped = ""
        self.limited_by_budget, self.timed = False, False
        self.started = time.monotonic()
        self.allowed = budget.left

    @property
    def epochs_planned(self) -> int:
        return -(-self.horizon // self.steps_per_epoch)

    def epoch(self) -> Epoch:
        """Train one pass (or until the horizon), validate, and remember the best."""
        shuffled = self.train[epoch_order(len(self.train), self.seed, len(self.history))]
        self.network.noise.seed([_epoch_seed(self.seed + m, len(self.history)) for m in range(self.members)])
        todo = min(self.steps_per_epoch, self.horizon - self.step)
        losses, norms, rates = torch.zeros(todo), torch.zeros(todo), [0.0] * todo
        self.network.train()
        for place in range(todo):
            rows = slice(place * self.config.batch, (place + 1) * self.config.batch)
            rates[place] = self._set_rate()
            losses[place], norms[place] = self._step(shuffled[rows])
            if self._is_time_to_fit():
                self._fit_horizon()
            if self.step >= self.horizon:
                losses, norms = losses[: place + 1], norms[: place + 1]
                break
        self._check_finite(losses, norms, rates)
        return self._close_epoch(losses, norms, rates)

    def _step(self, rows: Batch) -> tuple[Tensor, Tensor]:
        """One update of every member; the mean loss and the largest member's gradient norm, both unread."""
        outputs = self.network(rows.inputs.numbers, rows.inputs.extras, rows.inputs.codes)
        loss = member_losses(outputs, rows, self.config.label_smoothing)
        penalty = self._l1_penalty()
        self.optimiser.zero_grad(set_to_none=True)
        (loss.sum() + penalty).backward()
        norms = member_norms(self.parameters, self.members)
        if self.config.clip_norm:
            clip_members(self.parameters, norms, self.config.clip_norm)
        self.optimiser.step()
        self.step += 1
        return loss.detach().mean(), norms.max()

    def _l1_penalty(self) -> Tensor | float:
        if not self.config.l1:
            return 0.0
        weights = [p for name, p in self.network.named_parameters() if name.endswith("weight")]
        return self.config.l1 * torch.stack([w.abs().sum() for w in weights]).sum()

    def _set_rate(self) -> float:
        rate = self.config.lr * warm_cosine(self.step, self.horizon, self.config.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _is_time_to_fit(self) -> bool:
        """Whether the speed is known well enough now, or no time is left."""
        if not self.timed:
            spent = time.monotonic() - self.started
            self.timed = self.step >= _TIMED_STEPS or spent > _TIMED_SHARE * self.allowed
            return self.timed
        return self.budget.left <= 0

    def _fit_horizon(self) -> None:
        """Shorten the schedule to what the budget affords at the speed seen so far."""
        spent = time.monotonic() - self.started
        affordable = self.step + max(self.budget.left, 0.0) * 0.93 / (spent / self.step)
        if affordable < self.horizon:
            self.horizon = max(int(affordable), self.step)
            self.limited_by_budget = True

    def _check_finite(self, losses: Tensor, norms: Tensor, rates: list[float]) -> None:
        bad = (~(losses.isfinite() & norms.isfinite())).nonzero()
        if len(bad):
            place = int(bad[0])
            step = self.step - len(losses) + place + 1
            before = f"{float(norms[place - 1]):.3g}" if place else "not known"
            raise DivergenceError(
                "training must keep finite numbers",
                f"at step {step} the loss was {float(losses[place]):.4g} and the gradient norm "
                f"{float(norms[place]):.4g} "
                f"(one step before: {before}) at a learning rate of {rates[place]:.3g}",
                self._advice(),
            )

    def _close_epoch(self, losses: Tensor, norms: Tensor, rates: list[float]) -> Epoch:
        valid_losses, valid_score = self._validate()
        improved = self.best.update(valid_losses, len(self.history) + 1)
        if self.config.clip_norm:
            self.clipped += float((norms > self.config.clip_norm).sum())
        record = Epoch(
            epoch=len(self.history) + 1,
            step=self.step,
            seconds=time.monotonic() - self.started,
            train_loss=float(losses.mean()),
            valid_loss=float(valid_losses.mean()),
            valid_score=valid_score if math.isfinite(valid_score) else None,
            score_name="accuracy" if self.valid.target.dtype == torch.int64 else "R2",
            learning_rate=rates[len(losses) - 1],
            gradient_norm=float(norms.median()),
        )
        self.history.append(record)
        if self.step >= self.horizon:
            self.stopped = "the time budget was used up" if self.limited_by_budget else "all epochs were run"
        elif not improved and len(self.history) - self.best.epoch >= self.config.patience:
            self.stopped = f"the validation loss had not improved for {self.config.patience} epochs"
        return record

    def _validate(self) -> tuple[Tensor, float]:
        """Validation loss of each member, (members,), and the accuracy or R2 of their average.

        Raises:
            DivergenceError: a loss is not finite: the last steps spoiled the weights.
        """
        outputs = predict(self.network, self.valid.inputs)
        losses = member_losses(outputs, self.valid, 0.0)
        if not bool(losses.isfinite().all()):
            rate = self.optimiser.param_groups[0]["lr"]
            raise DivergenceError(
                "training must keep finite numbers",
                f"after step {self.step} the validation loss was {float(losses.sum()):.4g} at the rate {rate:.3g}",
                self._advice(),
            )
        return losses, average_score(outputs, self.valid)

    def _advice(self) -> str:
        return (
            f"Lower the learning rate, for example train.lr={self.config.lr / 10:.1g}, or clip harder with "
            "train.clip_norm=0.5; check the data for extreme values with `assay audit`."
        )

    def interrupt(self) -> None:
        """Ctrl-C: keep the best weights so far; before the first epoch ended, the weights as they stand.

        Raises:
            KeyboardInterrupt: no step was done, there is nothing to keep.
        """
        if not self.step:
            raise KeyboardInterrupt
        self.stopped = "it was interrupted"
        if not self.history:
            self.best.update(self._validate()[0], 0)

    def finish(self, interrupted: bool) -> Trained:
        """Put the best weights back and tell how it went."""
        self.best.restore()
        self.network.eval()
        return Trained(
            epochs=tuple(self.history),
            best_epoch=self.best.epoch,
            steps=self.step,
            horizon=self.horizon,
            seconds=time.monotonic() - self.started,
            stopped=self.stopped,
            clipped=self.clipped / self.step,
            interrupted=interrupted,
            limited_by_budget=self.limited_by_budget,
        )


class BestWeights:
    """A copy of each member's weights from its own best validation epoch."""

    def __init__(self, network: nn.Module, members: int) -> None:
        self.network, self.members = network, members
        self.losses = torch.full((members,), torch.inf)
        self.epoch = 0
        self._kept: dict[str, Tensor] = {}

    def update(self, losses: Tensor, epoch: int) -> bool:
        """Keep the weights of the members whose loss fell; whether any did."""
        better = losses < self.losses
        if not bool(better.any()):
            return False
        for name, tensor in self._learned().items():
            kept = self._kept.setdefault(name, tensor.clone())
            kept.view(self.members, -1)[better] = tensor.view(self.members, -1)[better]
        self.losses = torch.where(better, losses, self.losses)
        self.epoch = epoch
        return True

    def restore(self) -> None:
        """Put the kept weights back into the network."""
        for name, tensor in self._learned().items():
            if name in self._kept:
                tensor.copy_(self._kept[name])

    def _learned(self) -> dict[str, Tensor]:
        """Parameters and running statistics: tensors that lead with the member axis."""
        found = {name: parameter.data for name, parameter in self.network.named_parameters()}
        statistics = {name: b for name, b in self.network.named_buffers() if name.endswith((".mean", ".variance"))}
        return found | statistics


def epoch_order(rows: int, seed: int, epoch: int) -> Tensor:
    """The order of rows in an epoch: a pure function of seed and epoch, so that a run can be resumed. int64 (rows,)."""
    generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
    return torch.randperm(rows, generator=generator)


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (2**63 - 1)


def member_losses(outputs: Tensor, rows: Batch, label_smoothing: float) -> Tensor:
    """Weighted mean loss of each member: cross-entropy of logits (M, n, classes), or squared error of (M, n, 1)."""
    members = outputs.shape[0]
    if rows.target.dtype == torch.int64:
        target = rows.target.expand(members, -1).reshape(-1)
        each = functional.cross_entropy(
            outputs.flatten(0, 1), target, reduction="none", label_smoothing=label_smoothing
        ).view(members, -1)
    else:
        each = (outputs.squeeze(2) - rows.target).square()
    if rows.weight is None:
        return each.mean(1)
    return (each * rows.weight).sum(1) / rows.weight.sum().clamp_min(1e-12)


def average_score(outputs: Tensor, rows: Batch) -> float:
    """Accuracy of the members' mean probabilities, or R2 of their mean value; NaN where the target does not vary."""
    weight = torch.ones(len(rows)) if rows.weight is None else rows.weight
    if rows.target.dtype == torch.int64:
        hit = outputs.softmax(-1).mean(0).argmax(1) == rows.target
        return float((hit * weight).sum() / weight.sum())
    spread = (rows.target - (rows.target * weight).sum() / weight.sum()).square()
    left = (outputs.mean(0).squeeze(1) - rows.target).square()
    return float(1.0 - (left * weight).sum() / (spread * weight).sum()) if bool(spread.any()) else float("nan")


def predict(network: nn.Module, inputs: Encoded) -> Tensor:
    """Outputs of all members for all rows, (M, n, outputs), in blocks, without gradients."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        blocks = [
            network(block.numbers, block.extras, block.codes)
            for block in (inputs[i : i + _EVALUATION_ROWS] for i in range(0, max(len(inputs), 1), _EVALUATION_ROWS))
        ]
    network.train(was_training)
    return torch.cat(blocks, dim=1)
