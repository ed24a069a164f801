"""A LightningModule without a Trainer: its own loss, optimiser, schedules and log inside assay's loop.

Lightning is not imported: what counts is that a module has `training_step` and `configure_optimizers`, and that these
mean what Lightning's documentation says they mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from assay.data.encoding.batches import Batch
from assay.errors import AssayError, ConfigError
from assay.models.foreign import ForeignNetwork, raised
from assay.models.quoting import form
from assay.train.losses import are_labels
from assay.train.optimise.flat import Flat
from assay.train.optimise.torch_optimiser import TorchOptimiser, configured
from assay.train.pace import Pace
from assay.train.watch import Epoch

#: Methods with which a module changes how it is trained; these are not called, so a module must not count on them.
_REFUSED = ("optimizer_step", "optimizer_zero_grad", "backward", "lr_scheduler_step", "configure_gradient_clipping")
_PASSED_OVER = (
    "on_fit_start", "on_fit_end", "on_train_start", "on_train_end", "on_train_epoch_start", "on_train_epoch_end",
    "on_train_batch_start", "on_train_batch_end", "on_before_backward", "on_after_backward", "on_before_optimizer_step",
    "on_before_zero_grad", "configure_callbacks", "configure_model", "setup", "prepare_data", "train_dataloader",
    "validation_step", "on_validation_epoch_start", "on_validation_epoch_end",
)  # fmt: skip


class Course(Protocol):
    """What a training shows of where it stands."""

    flat: Flat
    pace: Pace
    step: int
    steps_per_epoch: int
    history: list[Epoch]


class _Trainer:
    """What modules commonly ask of `self.trainer`; anything else is not there, and asking for it says so."""

    logger = None
    loggers: Sequence[object] = ()
    is_global_zero = True
    world_size = num_nodes = num_devices = 1
    max_steps = -1

    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def current_epoch(self) -> int:
        """Finished epochs."""
        return len(self._course.history)

    @property
    def global_step(self) -> int:
        """Finished steps."""
        return self._course.step

    @property
    def num_training_batches(self) -> int:
        """Steps of an epoch."""
        return self._course.steps_per_epoch

    @property
    def max_epochs(self) -> int:
        """Epochs planned."""
        return -(-self._course.pace.planned // self._course.steps_per_epoch)

    @property
    def estimated_stepping_batches(self) -> int:
        """Steps planned."""
        return self._course.pace.planned


class Log:
    """What a module logs in an epoch: sums and counts by name, kept on the device until the epoch ends."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = {}
        self._metrics: dict[str, Any] = {}

    def log(
        self, name: str, value: Any, prog_bar: bool = False, logger: object = None, on_step: object = None,  # noqa: ANN401
        on_epoch: object = None, reduce_fx: object = "mean", enable_graph: bool = False, sync_dist: bool = False,
        sync_dist_group: object = None, add_dataloader_idx: bool = True, batch_size: int | None = None,
        metric_attribute: str | None = None, rank_zero_only: bool = False,
    ) -> None:  # fmt: skip
        """Take note of a number, a tensor of one element, or a metric of torchmetrics (`LightningModule.log`)."""
        if callable(getattr(value, "compute", None)) and callable(getattr(value, "reset", None)):
            self._metrics[name] = value
            return
        one = value.detach().float().mean() if isinstance(value, Tensor) else float(value)
        self.sums[name] = self.sums.get(name, 0.0) + one
        self.counts[name] = self.counts.get(name, 0) + 1

    def log_dict(
        self, dictionary: Mapping[str, Any], prog_bar: bool = False, logger: object = None, on_step: object = None,
        on_epoch: object = None, reduce_fx: object = "mean", enable_graph: bool = False, sync_dist: bool = False,
        sync_dist_group: object = None, add_dataloader_idx: bool = True, batch_size: int | None = None,
        rank_zero_only: bool = False,
    ) -> None:  # fmt: skip
        """Take note of several (`LightningModule.log_dict`)."""
        for name, value in dictionary.items():
            self.log(name, value)

    def close(self) -> dict[str, float]:
        """The means over the epoch, and a new page."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        for name, metric in self._metrics.items():
            means[name] = float(metric.compute())
            metric.reset()
        self.clear()
        return means

    def clear(self) -> None:
        """A new page."""
        self.sums, self.counts, self._metrics = {}, {}, {}

    def state(self) -> dict[str, object]:
        """What `restore` takes; metrics of torchmetrics keep their own state and are not in it."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


class OwnSteps:
    """What a LightningModule brings to its training in place of assay's loss and, if it configures one, optimiser."""

    def __init__(self, network: ForeignNetwork) -> None:
        """Refuse what cannot be trained this way.

        Raises:
            ConfigError: manual optimisation, or methods that assay's loop does not call.
        """
        self.network: ForeignNetwork = network
        self.module: Any = network.module
        self.log = Log()
        self.passed_over = [name for name in _PASSED_OVER if _overrides(self.module, name)]
        self.configures = _overrides(self.module, "configure_optimizers")
        self._optimiser: TorchOptimiser | None = None
        self._is_first = True
        _refuse_manual(self.module)

    def attach(self, course: Course) -> TorchOptimiser | None:
        """Let the module log into here, and ask where the training stands; the optimiser that it brings, if any."""
        self.module.log, self.module.log_dict = self.log.log, self.log.log_dict
        self.module.trainer = _Trainer(course)
        try:
            made = self.module.configure_optimizers()
        except AssayError:
            raise
        except Exception as error:
            raise raised("configure_optimizers", (), error) from error
        optimizer, schedules = configured(made)
        if optimizer is not None:
            self._optimiser = TorchOptimiser(course.flat, self.network, optimizer, schedules, self.log)
        return self._optimiser

    def release(self) -> None:
        """Leave the module as it was: without a log of assay's and without a trainer."""
        for name in ("log", "log_dict"):
            vars(self.module).pop(name, None)
        if "trainer" in vars(self.module):
            del self.module.trainer
        else:
            self.module.trainer = None

    @property
    def optimises(self) -> bool:
        """Whether it brought an optimiser."""
        return self._optimiser is not None

    @property
    def description(self) -> str:
        """The optimiser in words: `AdamW(lr=0.001), StepLR each epoch`; empty where assay's is used."""
        return "" if self._optimiser is None else str(self._optimiser)

    @property
    def rate(self) -> float:
        """The learning rate of the module's optimiser, of its first group."""
        assert self._optimiser is not None
        return self._optimiser.rate

    def losses(self, rows: Batch, place: int) -> Tensor:
        """The loss of `training_step`, (1,); `place` is that of the batch in its epoch.

        Raises:
            ConfigError: it raised, or returned no loss.
        """
        inputs = rows.inputs
        given = self.network.inputs(inputs.numbers, inputs.extras, inputs.codes, *inputs.media)
        target = rows.target.float() if are_labels(rows.target) else rows.target  # as binary cross-entropies take it
        try:
            with warnings.catch_warnings():
                if self._is_first:  # (n, 1) against (n,) would be compared each with each, and train on nonsense
                    warnings.filterwarnings("error", message="Using a target size")
                found = self.module.training_step((given, target), place)
        except AssayError:
            raise
        except Exception as error:
            raise raised("training_step", {"x": given, "y": target}, error) from error
        self._is_first = False
        self.network.settle_buffers()
        return _loss_of(found)

    def close_epoch(self, loss: float) -> dict[str, float]:
        """What was logged over the epoch; schedules that step by epochs step, a plateau on what it monitors.

        loss: assay's validation loss.
        """
        logged = self.log.close()
        if self._optimiser is not None:
            self._optimiser.close_epoch(logged, loss)
        return logged


def _loss_of(found: object) -> Tensor:
    loss = found.get("loss") if isinstance(found, Mapping) else found
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        without = " without a gradient" if isinstance(loss, Tensor) and loss.numel() == 1 else ""
        raise ConfigError(
            "training_step must return the loss, a tensor of one number, or a dict with it under 'loss'",
            f"it returned {form(loss)}{without}",
            "Return the mean loss over the batch.",
        )
    return loss.reshape(1)


def _refuse_manual(module: Any) -> None:  # noqa: ANN401
    if not getattr(module, "automatic_optimization", True):
        raise ConfigError(
            "a LightningModule must leave the steps to the loop",
            "automatic_optimization is False: its training_step calls the optimiser itself",
            "Return the loss from training_step, or train it with Lightning's Trainer.",
        )
    refused = [name for name in _REFUSED if _overrides(module, name)]
    if refused:
        raise ConfigError(
            "a LightningModule must leave the steps to the loop",
            f"it overrides {', '.join(refused)}, which is not called here",
            "Remove it (train.clip_norm clips gradients, schedules step by interval and frequency), or train it with "
            "Lightning's Trainer.",
        )


def _overrides(module: nn.Module, name: str) -> bool:
    """Whether a class of the user's own defines the method."""
    owner = next((cls for cls in type(module).__mro__ if name in vars(cls)), None)
    theirs = ("pytorch_lightning", "lightning", "lightning_fabric", "torch")
    return owner is not None and owner.__module__.partition(".")[0] not in theirs
