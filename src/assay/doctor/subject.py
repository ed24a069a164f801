"""What the doctor examines: a model, its loss and its rows, and where there are such, the steps of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from assay.errors import ConfigError, nearest

Loss = Callable[[Any, Tensor], Tensor]


@dataclass
class Subject:
    """A training as it stands before its first step.

    model: any torch module.
    loss: of outputs and targets, a mean over rows.
    train: batches `(inputs, targets)`, iterable more than once, such as a DataLoader; inputs may be several tensors,
        `(first, second, targets)`, or a mapping of arguments of `forward`.
    valid, test: the same of rows the model does not learn from.
    optimiser: of the model's parameters.
    step: your own training step of one batch, if the usual one (train mode, gradients to zero, forward, loss,
        backward, step) is not what you do; with what your loop does around it, such as `model.train()`. It may return
        the loss.
    evaluate: your own evaluation, `model.eval()` included, without arguments.
    """

    model: nn.Module
    loss: Loss
    train: Iterable[Any]
    valid: Iterable[Any] | None = None
    test: Iterable[Any] | None = None
    optimiser: Optimizer | None = None
    step: Callable[[Any], object] | None = None
    evaluate: Callable[[], object] | None = None


_CONTRACT = "Return assay.doctor.Subject(model=..., loss=..., train=...), or a dict with these keys."


def subject_of(given: object) -> Subject:
    """The subject that was returned, or made of a mapping.

    Raises:
        ConfigError: it is neither, a part is missing or unknown, or is not what it should be.
    """
    if isinstance(given, Mapping):
        known = [field.name for field in fields(Subject)]
        unknown = [str(name) for name in given if name not in known]
        if unknown:
            raise ConfigError("a subject has known parts", f"{unknown[0]!r} was given", nearest(unknown[0], known))
        missing = [name for name in known[:3] if name not in given]
        if missing:
            raise ConfigError("a subject has a model, a loss and train", f"{missing[0]!r} is missing", _CONTRACT)
        given = Subject(*(given.get(name) for name in known))  # type: ignore[arg-type]
    if not isinstance(given, Subject):
        raise ConfigError("the function must return a subject", f"it returned {type(given).__name__}", _CONTRACT)
    _check(given)
    return given


def _check(subject: Subject) -> None:
    if not isinstance(subject.model, nn.Module):
        raise ConfigError("the model must be a torch module", f"it is {type(subject.model).__name__}", _CONTRACT)
    if subject.optimiser is not None and not isinstance(subject.optimiser, Optimizer):
        came = f"it is {type(subject.optimiser).__name__}"
        raise ConfigError("the optimiser must be one of torch", came, "Leave it out, or pass torch's.")
    for name in ("loss", "step", "evaluate"):
        part = getattr(subject, name)
        if not callable(part) and (part is not None or name == "loss"):
            raise ConfigError(f"{name} must be a function", f"it is {type(part).__name__}", _CONTRACT)
    for name in ("train", "valid", "test"):
        part = getattr(subject, name)
        if part is None and name != "train":
            continue
        if not isinstance(part, Iterable):
            raise ConfigError(f"{name} must yield batches", f"it is {type(part).__name__}", "Pass a DataLoader.")
        if isinstance(part, Iterator):
            came = "it is an iterator, which ends for good"
            raise ConfigError(f"{name} must be iterable again and again", came, "Pass a DataLoader or a list.")
    if isinstance(subject.optimiser, torch.optim.LBFGS) and subject.step is None:
        came = "LBFGS needs a closure"
        raise ConfigError("the usual step must suit the optimiser", came, "Give your own as step=... .")
    if subject.step is not None and subject.optimiser is None:
        came = "a step was given without its optimiser"
        raise ConfigError("a step is examined with its optimiser", came, "Add optimiser=... to the subject.")


@dataclass(frozen=True)
class Batch:
    """A batch taken apart: positional and named arguments of the model, and the targets."""

    inputs: tuple[Any, ...]
    named: dict[str, Any]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tensors(self) -> list[Tensor]:
        """The inputs that are tensors with a row for each target."""
        return [x for x in (*self.inputs, *self.named.values()) if isinstance(x, Tensor) and len(x) == len(self)]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with each of `tensors` changed; targets stay."""

        def of(x: Any) -> Any:  # noqa: ANN401  # whatever a model takes
            return change(x) if isinstance(x, Tensor) and len(x) == len(self) else x

        return Batch(tuple(map(of, self.inputs)), {name: of(x) for name, x in self.named.items()}, self.targets)

    def rows(self, places: Tensor | slice) -> Batch:
        """Some of the rows."""
        cut = self.mapped(lambda x: x[places])
        return Batch(cut.inputs, cut.named, self.targets[places])


def taken_apart(batch: Any, device: torch.device) -> Batch:  # noqa: ANN401
    """The batch of a loader on a device.

    Raises:
        ConfigError: it is not inputs followed by targets.
    """
    if not isinstance(batch, list | tuple) or len(batch) < 2 or not isinstance(batch[-1], Tensor):
        raise ConfigError(
            "a batch must be inputs followed by a tensor of targets",
            f"one is {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, list | tuple) else ""),
            "Yield (inputs, targets); inputs may be several tensors or a mapping of arguments.",
        )
    *inputs, targets = (_to(part, device) for part in batch)
    if not targets.ndim or not len(targets):
        raise ConfigError("a batch must have rows", f"its targets have shape {tuple(targets.shape)}", "Yield rows.")
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return Batch((), dict(inputs[0]), targets)
    return Batch(tuple(inputs), {}, targets)


def _to(part: Any, device: torch.device) -> Any:  # noqa: ANN401
    if isinstance(part, Tensor):
        return part.to(device)
    if isinstance(part, Mapping):
        return {name: _to(inner, device) for name, inner in part.items()}
    return part


def answers(model: nn.Module, batch: Batch) -> Tensor:
    """What the model answers, if that is one tensor.

    Raises:
        ConfigError: it answers with something else.
    """
    outputs = model(*batch.inputs, **batch.named)
    if not isinstance(outputs, Tensor):
        came = f"it answers with {type(outputs).__name__}"
        raise ConfigError("the model must answer with one tensor", came, "Wrap it in a module that picks the answer.")
    return outputs


def device_of(model: nn.Module) -> torch.device:
    """Where the model is; the CPU where it has no parameters."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
