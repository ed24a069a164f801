"""What `model=` may be: a module, a class or a function that makes one, a LightningModule, a Keras model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from assay.errors import AssayError, ConfigError
from assay.models.foreign import PARTS
from assay.models.keras_module import KerasModule, is_keras
from assay.models.quoting import quoted

#: Characters of a module's own description that reports show.
_SHOWN = 300


@dataclass(frozen=True)
class Sizes:
    """What a factory is told: features, classes (or 1), numbers, extras, and the codes of each category column.

    pictures: channels, height and width of a row's picture; empty where there is none.
    """

    inputs: int
    outputs: int
    numbers: int
    extras: int
    vocabularies: tuple[int, ...]
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A module that takes what a `ForeignNetwork` gives it.

    takes: the matrices it asks for by name; empty for the matrix of features.
    name: its class, with the module it is from. shown: its description, shortened.
    """

    module: nn.Module
    kind: Literal["torch", "lightning", "keras"]
    takes: tuple[str, ...]
    name: str
    shown: str
    notes: tuple[str, ...] = ()


def is_factory(given: object) -> bool:
    """Whether it makes models: a class or a function, and no model itself."""
    return (
        callable(given) and not isinstance(given, nn.Module) and not (is_keras(given) and not isinstance(given, type))
    )


def open_model(given: object, sizes: Sizes, *, has_labels: bool = False) -> Opened:
    """The module that `model=` stands for.

    has_labels: whether its outputs are labels of which a row has any number.

    Raises:
        ConfigError: it is nothing that can be trained here, or its factory raised.
    """
    model: Any = _made(given, sizes) if is_factory(given) else given
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps; the exporter takes the module inside
    if is_keras(model):
        module = KerasModule(model, sizes.inputs, sizes.outputs, has_labels=has_labels)
        return Opened(module, "keras", (), given_name(model), module.shown[:_SHOWN], module.notes)
    if not isinstance(model, nn.Module):
        raise ConfigError(
            "model must be a torch module, a LightningModule or a Keras model, or a class or function that makes one",
            f"{'the factory returned' if is_factory(given) else 'it is'} a {type(model).__name__}",
            "Example: assay.fit(data, target, model=lambda inputs, outputs: torch.nn.Linear(inputs, outputs)).",
        )
    _refuse_scripts(model)
    kind: Literal["torch", "lightning"] = "lightning" if _is_lightning(model) else "torch"
    shown = " ".join(repr(model).split())
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
    return Opened(model, kind, _parts_taken(model), given_name(model), shown)


def _is_lightning(model: nn.Module) -> bool:
    return all(callable(getattr(model, name, None)) for name in ("training_step", "configure_optimizers"))


def _refuse_scripts(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ConfigError(
                "a model must be a module that torch.export can read",
                f"{name or 'it'} is a TorchScript module, which is compiled already and cannot be exported to ONNX",
                "Pass the module that it was scripted or traced from; its weights can be loaded into that.",
            )


def _parts_taken(model: nn.Module) -> tuple[str, ...]:
    """Which of numbers, extras, codes and pictures the module's forward names."""
    names = inspect.signature(model.forward).parameters
    return tuple(part for part in PARTS if part in names)


def given_name(given: object) -> str:
    """The class of a model, or the name of what makes models: `torch.nn.modules.linear.Linear`, `__main__.<lambda>`."""
    named = given if is_factory(given) and hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"


def _made(factory: Any, sizes: Sizes) -> object:  # noqa: ANN401
    """What the factory returns for the sizes that its arguments name."""
    positional, named = _arguments(factory, sizes)
    try:
        return factory(*positional, **named)
    except AssayError:
        raise
    except Exception as error:
        told = ", ".join([*map(str, positional), *(f"{name}={size}" for name, size in named.items())])
        raise ConfigError(
            "the factory given as model must return a module",
            f"called with ({told}), it raised {type(error).__name__}: {quoted(error)}",
            "Call it yourself with these sizes to see the whole traceback.",
        ) from error


def _arguments(factory: Callable[..., object], sizes: Sizes) -> tuple[tuple[int, ...], dict[str, object]]:
    """Sizes by the names of the factory's arguments; up to two arguments of other names are inputs and outputs."""
    offered = vars(sizes)
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in classes have none
        return (), {}
    named = {p.name: offered[p.name] for p in parameters if p.name in offered and p.kind is not p.POSITIONAL_ONLY}
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    lacking = [
        p for p in parameters if p.default is p.empty and p.name not in named and p.kind in (*plain, p.KEYWORD_ONLY)
    ]
    if not lacking:
        return (), named
    if not named and len(lacking) <= 2 and all(p.kind in plain for p in lacking):
        return (sizes.inputs, sizes.outputs)[: len(lacking)], {}
    raise ConfigError(
        "a factory's arguments must be among inputs, outputs, numbers, extras, vocabularies and pictures",
        f"it also needs {', '.join(p.name for p in lacking)}",
        "Wrap it: model=lambda inputs, outputs: Net(inputs, outputs, width=64).",
    )
