"""All parameters of M networks as one matrix with a row a member, so that a step is a few products over it.

A loop over parameters costs more than the arithmetic of a small network. Here the modules' parameters are views of
`weights`, and what optimisers, clipping, averages and checkpoints do is done once for all of them. Elementwise torch
operations give the same bits wherever an element stands, so a member's steps do not depend on its company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from assay.errors import ConfigError
from assay.models.network import Network


class Flat:
    """The parameters that learn: `weights` (M, P) and `gradient` (M, P), P numbers a member.

    The module's parameters become views of `weights`: they must not be moved to another device afterwards.
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        """Move the parameters of `network` into one matrix.

        Raises:
            ConfigError: no parameter learns, or they are of several types.
        """
        self.members = members
        named = network.lasting_parameters() if isinstance(network, Network) else network.named_parameters()
        self.named = [(name, p) for name, p in named if p.requires_grad]
        _check(self.named)
        sizes = [parameter.numel() // members for _, parameter in self.named]
        first = self.named[0][1]
        self.weights = torch.empty((members, sum(sizes)), dtype=first.dtype, device=first.device)
        self.gradient = torch.zeros_like(self.weights)
        self.columns: list[slice] = []
        self._into: list[Tensor] = []
        self._without: list[str] = []
        self._first_without: tuple[str, ...] | None = None
        start = 0
        for (_, parameter), size in zip(self.named, sizes, strict=True):
            columns = slice(start, start + size)
            place = self.weights[:, columns].view(parameter.shape)
            place.copy_(parameter.detach())
            parameter.data = place
            self.columns.append(columns)
            self._into.append(self.gradient[:, columns].view(parameter.shape))
            start += size

    def narrow(self, index: Tensor) -> None:
        """Keep the rows of these members alone, as the network has: its parameters become views of what is left."""
        self.members = len(index)
        self.weights = self.weights[index]
        self.gradient = torch.zeros_like(self.weights)
        self._into = []
        for (_, parameter), columns in zip(self.named, self.columns, strict=True):
            parameter.data = self.weights[:, columns].view(parameter.shape)
            self._into.append(self.gradient[:, columns].view(parameter.shape))

    def gather(self) -> None:
        """Bring the gradients of the backward pass into `gradient`; a parameter without one counts as zero."""
        given, into = [], []
        self._without.clear()
        for (name, parameter), place in zip(self.named, self._into, strict=True):
            if parameter.grad is None:
                place.zero_()
                self._without.append(name)
            else:
                given.append(parameter.grad)
                into.append(place)
                parameter.grad = None
        torch._foreach_copy_(into, given)
        if self._first_without is None:
            self._first_without = tuple(self._without)

    def norms(self) -> Tensor:
        """Norm of each member's gradient, (M,)."""
        norms: Tensor = torch.linalg.vector_norm(self.gradient, dim=1)
        return norms

    def row(self, value: Callable[[str, nn.Parameter], float]) -> Tensor:
        """A number for each parameter, by its name, spread over its columns: (1, P)."""
        spread = torch.empty_like(self.weights[:1])
        for (name, parameter), columns in zip(self.named, self.columns, strict=True):
            spread[:, columns] = value(name, parameter)
        return spread

    def release(self) -> None:
        """Give every parameter memory of its own again, as exporters and other users of the module expect."""
        for _, parameter in self.named:
            parameter.data = parameter.detach().clone(memory_format=torch.contiguous_format)

    def unused(self) -> list[str]:
        """Names of the parameters that the first backward pass gave no gradient."""
        if self._first_without is not None:
            return list(self._first_without)
        return [name for name, parameter in self.named if parameter.grad is None]

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The gathered gradients as the parameters' own, as torch's optimisers take them; none where none was."""
        without = set(self._without)
        for (name, parameter), gradient in zip(self.named, self._into, strict=True):
            parameter.grad = None if name in without else gradient
        try:
            yield
        finally:
            for _, parameter in self.named:
                parameter.grad = None


def _check(named: list[tuple[str, nn.Parameter]]) -> None:
    if not named:
        raise ConfigError(
            "a network must have parameters that learn",
            "it has none with requires_grad",
            "Give it layers, or set requires_grad on some parameters.",
        )
    types = {parameter.dtype for _, parameter in named}
    if len(types) > 1:
        shown = ", ".join(sorted(str(each).removeprefix("torch.") for each in types))
        raise ConfigError(
            "all parameters that learn must be of one type", f"they are {shown}", "Convert the module with .float()."
        )
