"""Layers with a leading member axis: M networks computed as one batched product.

Shape legend: M members, n rows, D inputs of a layer, H its outputs, C category columns, V codes, E vector length.
A layer's parameters lead with M; rows come as (n, D), shared by all members, or as (M, n, D).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.data.inputs import MISSING, UNKNOWN
from assay.models.config import Activation

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "selu": functional.selu,
    "tanh": torch.tanh,
    "leaky_relu": functional.leaky_relu,
}


#: Limits of bins that keep float32 finite: the width of a bin, and how many widths an open one reaches.
_NARROWEST, _FURTHEST = 1e-30, 1e6


class MemberLinear(nn.Module):
    """A linear layer of each member, as one `baddbmm`: (M, n, D) to (M, n, H)."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """He initialisation (He et al., ICCV 2015), each member from its own generator; biases zero."""
        bound = math.sqrt(6.0 / max(self.weight.shape[1], 1))
        for member, generator in enumerate(generators):
            nn.init.uniform_(self.weight.data[member], -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return torch.baddbmm(self.bias, rows, self.weight)


class MemberBatchNorm(nn.Module):
    """Batch normalisation of each member's units (Ioffe & Szegedy, ICML 2015): (M, n, H) to (M, n, H)."""

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, units: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.gain = nn.Parameter(torch.ones(members, 1, units))
        self.shift = nn.Parameter(torch.zeros(members, 1, units))
        self.register_buffer("mean", torch.zeros(members, 1, units))
        self.register_buffer("variance", torch.ones(members, 1, units))

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        mean, variance = self.mean, self.variance
        if self.training and rows.shape[1] > 1:
            mean = rows.mean(1, keepdim=True)
            variance = rows.var(1, keepdim=True, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance * (rows.shape[1] / (rows.shape[1] - 1)), self.momentum)
        return (rows - mean) * (variance + self.epsilon).rsqrt() * self.gain + self.shift


class MemberEmbedding(nn.Module):
    """Vectors of categories, all columns in one table: codes (n, C) to (M, n, C * E).

    Guo & Berkhahn, Entity Embeddings of Categorical Variables (2016). The vectors of unknown and missing start at zero:
    where training has none of them, they say nothing.
    """

    offsets: Tensor

    def __init__(self, members: int, vocabularies: tuple[int, ...], length: int) -> None:
        super().__init__()
        self.total, self.length = sum(vocabularies), length
        starts = torch.tensor([0, *vocabularies[:-1]], dtype=torch.int64).cumsum(0)
        member_starts = torch.arange(members, dtype=torch.int64).view(-1, 1, 1) * self.total
        self.register_buffer("offsets", starts + member_starts)
        self.table = nn.Parameter(torch.empty(members, self.total, length))
        self._silent = [int(start) + code for start in starts for code in (UNKNOWN, MISSING)]

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Normal vectors of unit expected length, each member from its own generator."""
        for table, generator in zip(self.table.data, generators, strict=True):
            nn.init.normal_(table, std=1.0 / math.sqrt(self.length), generator=generator)
            table[self._silent] = 0.0

    def forward(self, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return functional.embedding(codes.unsqueeze(0) + self.offsets, self.table.flatten(0, 1)).flatten(2)


class PiecewiseLinear(nn.Module):
    """Piecewise-linear encoding of numbers: (n, N) to (n, total bins).

    Each number becomes one value a bin: 0 below the bin, 1 above it, the position within it inside; the outer bins are
    open, so that values beyond the training range go on growing (Gorishniy et al., On Embeddings for Numerical Features
    in Tabular Deep Learning, NeurIPS 2022, section 3.1). Bins are quantiles of the training rows.
    """

    column: Tensor
    start: Tensor
    inverse_width: Tensor
    floor: Tensor
    ceiling: Tensor

    def __init__(self, numbers: Tensor, bins: int) -> None:
        super().__init__()
        column, start, width, floor, ceiling = [], [], [], [], []
        for position in range(numbers.shape[1]):
            edges = bin_edges(numbers[:, position], bins)
            for place in range(len(edges) - 1):
                column.append(position)
                start.append(edges[place])
                width.append(edges[place + 1] - edges[place])
                floor.append(-_FURTHEST if place == 0 else 0.0)
                ceiling.append(_FURTHEST if place == len(edges) - 2 else 1.0)
        self.outputs = len(column)
        self.register_buffer("column", torch.tensor(column, dtype=torch.int64))
        self.register_buffer("start", torch.tensor(start))
        self.register_buffer("inverse_width", 1.0 / torch.tensor(width).clamp_min(_NARROWEST))
        self.register_buffer("floor", torch.tensor(floor))
        self.register_buffer("ceiling", torch.tensor(ceiling))

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        inside = (numbers.index_select(1, self.column) - self.start) * self.inverse_width
        return torch.minimum(torch.maximum(inside, self.floor), self.ceiling)


def bin_edges(values: Tensor, bins: int) -> list[float]:
    """Edges of at most `bins` bins with about equally many training values; at least one bin.

    A value that fills more than a bin alone (a spike, such as many zeros) gets an edge of its own, and the other edges
    are quantiles of the rest: plain quantiles would all fall on the spike.
    """
    ordered, counts = values.unique(return_counts=True)
    if len(ordered) <= bins + 1:
        edges = ordered
    else:
        heavy = counts > len(values) / bins
        rest = values[~torch.isin(values, ordered[heavy])]
        levels = torch.linspace(0, 1, max(bins + 1 - int(heavy.sum()), 2))
        ranks = (levels * (len(rest) - 1)).round().long()
        edges = torch.cat([ordered[heavy], rest.sort().values[ranks]]).unique()
    kept = [float(edge) for edge in edges]
    return kept if len(kept) > 1 else [kept[0], kept[0] + 1.0]
