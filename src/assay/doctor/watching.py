"""What is seen inside a model while it answers: activations, signals, and in which mode it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from assay.doctor.model_statistics import layers

_ZEROING: tuple[Any, ...] = (functional.relu, functional.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_BOUNDING: tuple[Any, ...] = (
    torch.tanh,
    Tensor.tanh,
    functional.tanh,
    torch.sigmoid,
    Tensor.sigmoid,
    functional.sigmoid,
)
#: Distance from an end of its range, as a share of it, within which an activation is stuck.
_END = 0.015


class Activations(TorchFunctionMode):
    """Sees what ReLU, tanh and sigmoid give, whether called as modules or as functions.

    The layers inside of torch's recurrent modules are not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.zeroing: list[Tensor] = []
        self.bounded: list[tuple[Tensor, float]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  # whatever the function gives
        """Call the function and keep what is an activation."""
        result = func(*args, **(kwargs or {}))
        if func in _ZEROING:
            self.zeroing.append(result.detach())
        elif func in _BOUNDING:
            low = -1.0 if "tanh" in getattr(func, "__name__", "") else 0.0
            self.bounded.append((result.detach(), low))
        return result

    def dead(self, answers: Tensor) -> float | None:
        """Share of units that are zero for every row, in the worst layer; None without such a layer."""
        shares = [dead_share(each) for each in self.zeroing if each.data_ptr() != answers.data_ptr()]
        return max(shares, default=None)

    def saturated(self, answers: Tensor) -> float | None:
        """Share of activations stuck at an end of their range, in the worst layer; None without such a layer."""
        shares = [saturated_share(each, low) for each, low in self.bounded if each.data_ptr() != answers.data_ptr()]
        return max(shares, default=None)


def dead_share(activation: Tensor) -> float:
    """Share of units that are zero in every row.

    A unit is a column of (n, d), a channel of (n, c, h, w); of three axes it is the one that has fewer dead units.
    """
    zero = activation == 0
    axes = {2: (1,), 3: (1, 2)}.get(activation.ndim, (1,))
    shares = []
    for axis in axes:
        units = zero.movedim(axis, 0).flatten(1)
        shares.append(float(units.all(dim=1).float().mean()))
    return min(shares)


def saturated_share(activation: Tensor, low: float) -> float:
    """Share of activations within 1.5 % of an end of the range (low, 1)."""
    width = (1.0 - low) * _END
    return float(((activation < low + width) | (activation > 1.0 - width)).float().mean())


@contextmanager
def signals(model: nn.Module) -> Iterator[list[float]]:
    """Standard deviations of what the layers but the last answer, in the order of their work."""
    found: list[float] = []
    hidden = layers(model)[:-1]
    hooks = [
        module.register_forward_hook(lambda _module, _given, out: found.append(float(out.detach().double().std())))
        for _, module in hidden
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def modes(model: nn.Module) -> Iterator[list[bool]]:
    """Whether the model was in train mode, at each forward pass."""
    found: list[bool] = []
    hook = model.register_forward_pre_hook(lambda module, _: found.append(module.training))
    try:
        yield found
    finally:
        hook.remove()


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout of nothing, in whatever mode."""
    drops = [m for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    recurrent = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
    before = [m.p for m in drops], [m.dropout for m in recurrent]
    for drop in drops:
        drop.p = 0.0
    for each in recurrent:
        each.dropout = 0.0
    try:
        yield
    finally:
        for drop, p in zip(drops, before[0], strict=True):
            drop.p = p
        for each, p in zip(recurrent, before[1], strict=True):
            each.dropout = p
