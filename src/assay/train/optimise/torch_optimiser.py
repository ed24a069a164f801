"""An optimiser of torch with its schedules, as LightningModules configure them, in the place of assay's own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from assay.errors import ConfigError
from assay.models.foreign import ForeignNetwork
from assay.models.quoting import form
from assay.train.optimise.flat import Flat
from assay.train.optimise.packed import pack, unpack

#: Metrics that a schedule may watch although validation is not the module's affair here: they are assay's loss.
_VALIDATION = re.compile(r"(val|valid|validation)[_/]?(loss|epoch_loss)", re.ASCII)


class Resumable(Protocol):
    """Something whose state is kept with that of the optimiser."""

    def state(self) -> dict[str, object]:
        """What `restore` takes: numbers, words, tensors and containers of these."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""


@dataclass(frozen=True)
class Timed:
    """A schedule with when it steps: after every `frequency`-th step or epoch; `monitor` is what a plateau looks at."""

    schedule: Any
    interval: str = "epoch"
    frequency: int = 1
    monitor: str | None = None

    @property
    def is_plateau(self) -> bool:
        """Whether it steps on a metric."""
        return isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)


class TorchOptimiser:
    """An optimiser of torch with its schedules, as an `Optimiser` of the loop; its rates are its own."""

    def __init__(
        self,
        flat: Flat,
        network: ForeignNetwork,
        optimizer: torch.optim.Optimizer,
        schedules: Sequence[Timed],
        log: Resumable,
    ) -> None:
        self.flat, self.optimizer, self.schedules, self._log = flat, optimizer, tuple(schedules), log
        self.steps = self.epochs = 0
        self.left_out = _join(flat, network, optimizer)

    @property
    def rate(self) -> float:
        """The learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, rate: float | Tensor, ease: float) -> None:
        """Step with the gathered gradient; the loop's rate and ease are for optimisers of its own."""
        self.steps += 1
        with self.flat.lent():
            self.optimizer.step()
        for timed in self.schedules:
            if timed.interval == "step" and self.steps % timed.frequency == 0:
                timed.schedule.step()

    def close_epoch(self, logged: Mapping[str, float], loss: float) -> None:
        """Schedules that step by epochs step."""
        self.epochs += 1
        for timed in self.schedules:
            if timed.interval != "epoch" or self.epochs % timed.frequency:
                continue
            if timed.is_plateau:
                timed.schedule.step(_monitored(timed.monitor, logged, loss))
            else:
                timed.schedule.step()

    def state(self) -> dict[str, Tensor]:
        """See `Optimiser`."""
        schedules = [timed.schedule.state_dict() for timed in self.schedules]
        whole = {"optimizer": self.optimizer.state_dict(), "schedules": schedules, "epochs": self.epochs}
        return pack(whole | {"log": self._log.state()})

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        """See `Optimiser`."""
        whole = unpack(state)
        self.steps, self.epochs = steps, whole["epochs"]
        self.optimizer.load_state_dict(whole["optimizer"])
        for timed, saved in zip(self.schedules, whole["schedules"], strict=True):
            timed.schedule.load_state_dict(saved)
        self._log.restore(whole["log"])

    def __str__(self) -> str:
        group = self.optimizer.defaults
        shown = [
            name for name in ("lr", "momentum", "weight_decay") if isinstance(group.get(name), float) and group[name]
        ]
        told = [f"{type(self.optimizer).__name__}({', '.join(f'{name}={group[name]:g}' for name in shown)})"]
        told += [f"{type(timed.schedule).__name__} each {timed.interval}" for timed in self.schedules]
        alone = f"; {len(self.left_out)} parameters are in none of its groups and stay as they were"
        return ", ".join(told) + (alone if self.left_out else "")


def _join(flat: Flat, network: ForeignNetwork, optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Names of the parameters that are in no group; the vectors of wide categories join the first one.

    Raises:
        ConfigError: the optimiser has parameters of something else, or needs a closure.
    """
    step = inspect.signature(type(optimizer).step).parameters.get("closure")
    if step is not None and step.default is step.empty:
        raise ConfigError(
            "an optimiser must step with one gradient",
            f"{type(optimizer).__name__} needs a closure that computes the loss again",
            "Use an optimiser such as torch.optim.AdamW.",
        )
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    known = {id(p) for p in network.parameters()}
    if grouped - known:
        raise ConfigError(
            "the optimiser must be over the module's parameters",
            f"{len(grouped - known)} of its {len(grouped)} parameters are not the module's",
            "Give it self.parameters().",
        )
    if network.features is not None:
        optimizer.param_groups[0]["params"] += [p for p in network.features.parameters() if id(p) not in grouped]
        grouped |= {id(p) for p in network.features.parameters()}
    return tuple(name for name, parameter in flat.named if id(parameter) not in grouped)


def _monitored(name: str | None, logged: Mapping[str, float], loss: float) -> float:
    if name is not None and name in logged:
        return logged[name]
    if name is None or _VALIDATION.fullmatch(name):
        return loss
    raise ConfigError(
        "a schedule must monitor what training_step logs, or the validation loss",
        f"it monitors {name!r}, and logged were {', '.join(map(repr, logged)) or 'no metrics'}",
        "Monitor 'val_loss', which is assay's validation loss, or log that metric in training_step.",
    )


# What configure_optimizers may return -------------------------------------------------------------------------------


def configured(found: Any) -> tuple[torch.optim.Optimizer | None, tuple[Timed, ...]]:  # noqa: ANN401
    """The optimiser and its schedules.

    Raises:
        ConfigError: there are several optimisers, or it is none of the forms that Lightning takes.
    """
    if found is None:
        return None, ()
    if isinstance(found, torch.optim.Optimizer):
        return found, ()
    if isinstance(found, Mapping) and isinstance(found.get("optimizer"), torch.optim.Optimizer):
        schedule = found.get("lr_scheduler")
        return found["optimizer"], () if schedule is None else (_timed(schedule),)
    if isinstance(found, (list, tuple)):
        if len(found) == 2 and all(isinstance(part, (list, tuple)) for part in found):
            optimizers, schedules = found
            return _one(optimizers), tuple(_timed(each) for each in schedules)
        if len(found) == 1:
            return configured(found[0])
        _one(found)
    raise ConfigError(
        "configure_optimizers must return an optimiser, with schedules where there are any",
        f"it returned {form(found)}",
        "Return an optimiser, or {'optimizer': ..., 'lr_scheduler': {'scheduler': ..., 'interval': 'step'}}.",
    )


def _one(optimizers: Sequence[Any]) -> torch.optim.Optimizer:
    if len(optimizers) == 1 and isinstance(optimizers[0], torch.optim.Optimizer):
        return optimizers[0]
    raise ConfigError(
        "a LightningModule must have one optimiser to be trained here",
        f"configure_optimizers returned {len(optimizers)}",
        "Put all parameters into groups of one optimiser; training with several in turn needs Lightning's Trainer.",
    )


def _timed(given: Any) -> Timed:  # noqa: ANN401
    timed = Timed(given)
    if isinstance(given, Mapping):
        unknown = set(given) - {"scheduler", "interval", "frequency", "monitor", "strict", "name", "reduce_on_plateau"}
        if unknown or "scheduler" not in given:
            raise ConfigError(
                "a schedule must be given with the keys scheduler, interval, frequency and monitor",
                f"it has {', '.join(sorted(map(repr, given)))}",
                "See configure_optimizers in Lightning's documentation.",
            )
        timed = Timed(
            given["scheduler"], given.get("interval", "epoch"), int(given.get("frequency", 1)), given.get("monitor")
        )
    by_step_on_metric = timed.interval == "step" and timed.is_plateau
    if timed.interval not in ("step", "epoch") or timed.frequency < 1 or by_step_on_metric:
        raise ConfigError(
            "a schedule's interval must be 'step' or 'epoch' (for a plateau 'epoch'), its frequency at least 1",
            f"interval={timed.interval!r}, frequency={timed.frequency}",
            "Change the dict that configure_optimizers returns.",
        )
    if not callable(getattr(timed.schedule, "step", None)):
        raise ConfigError(
            "a schedule must have a method step, as those of torch.optim.lr_scheduler",
            f"it is {form(timed.schedule)}",
            "Return the scheduler object.",
        )
    return timed
