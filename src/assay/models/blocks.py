"""Layers with a leading member axis: M networks computed as one batched product.

Shape legend: M members, n rows, D inputs of a layer, H its outputs, C category columns, V codes, E vector length.
A layer's parameters lead with M; rows come as (M, n, D), or as `Inputs`, where what all members share stands once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.data.inputs import MISSING, UNKNOWN
from assay.models.config import Activation, Initialisation, Norm
from assay.models.network import MemberModule

Generators = Sequence[torch.Generator]


class Inputs(NamedTuple):
    """The inputs of a network's first layer.

    shared: what no member changes, (n, S).
    own: what each member computes, (M, n, O), or None where nothing is. Columns: shared first, then own.
    """

    shared: Tensor
    own: Tensor | None

    def joined(self) -> Tensor:
        """All columns side by side: (M, n, S + O), or (1, n, S) where members own nothing."""
        shared = self.shared.unsqueeze(0)
        if self.own is None:
            return shared
        return torch.cat([shared.expand(len(self.own), -1, -1), self.own], dim=2)


def linear(bias: Tensor, rows: Tensor | Inputs, weight: Tensor, scale: float = 1.0) -> Tensor:
    """`scale * rows @ weight + bias` of each member: weight (M, D, H), bias (M, 1, H); returns (M, n, H).

    Shared inputs are read in place by every member's product; copying them M times would cost as much as a thin layer.
    """
    if weight.shape[2] == 1:
        return _single_output(bias, rows, weight * scale if scale != 1.0 else weight)
    if isinstance(rows, Tensor):
        return torch.baddbmm(bias, rows, weight, alpha=scale)
    members, size = len(weight), rows.shared.shape[1]
    shared = rows.shared.expand(members, -1, -1)
    if rows.own is None:
        return torch.baddbmm(bias, shared, weight, alpha=scale)
    upper, lower = weight.split([size, rows.own.shape[2]], dim=1)
    product = torch.baddbmm(bias, rows.own, lower, alpha=scale)
    return torch.baddbmm(product, shared, upper, alpha=scale) if size else product


def _single_output(bias: Tensor, rows: Tensor | Inputs, weight: Tensor) -> Tensor:
    """The same for one output.

    As sums, because torch computes a single member's product with a vector in another way than several members', and
    the last bits would differ.
    """
    inputs = rows if isinstance(rows, Tensor) else rows.joined()
    return (inputs * weight.transpose(1, 2)).sum(2, keepdim=True) + bias


class MemberLinear(MemberModule):
    """A linear layer of each member, as one `baddbmm`: (M, n, D) or `Inputs` to (M, n, H)."""

    def __init__(self, members: int, inputs: int, outputs: int, initialisation: Initialisation = "he") -> None:
        super().__init__()
        self.initialisation = initialisation
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def reset(self, generators: Generators) -> None:
        """Draw weights as `initialisation` says, each member from its own generator; biases are zero."""
        for weight, generator in zip(self.weight.data, generators, strict=True):
            draw_weights(weight, self.initialisation, generator)
        nn.init.zeros_(self.bias)

    def start(self, prior: Tensor) -> None:
        """Make every output the prior, (outputs,) or (M, outputs).

        With zero weights the first loss is the prior's entropy (Karpathy, A Recipe for Training Neural Networks, 2019).
        """
        nn.init.zeros_(self.weight)
        self.bias.copy_(prior.view(-1, 1, prior.shape[-1]))

    def forward(self, rows: Tensor | Inputs) -> Tensor:
        """Compute; see the class for shapes."""
        return linear(self.bias, rows, self.weight)


def draw_weights(weight: Tensor, initialisation: Initialisation, generator: torch.Generator) -> None:
    """Fill one member's weights (D, H) in place.

    he: variance 2 / D (He et al., ICCV 2015); xavier: 2 / (D + H) (Glorot & Bengio, AISTATS 2010); lecun: 1 / D (LeCun
    et al., Efficient BackProp, 1998); all uniform. orthogonal: Saxe et al., ICLR 2014.
    """
    inputs, outputs = weight.shape
    if initialisation == "orthogonal":
        if weight.numel():
            nn.init.orthogonal_(weight, generator=generator)
        return
    variances = {"he": 2.0 / max(inputs, 1), "xavier": 2.0 / (inputs + outputs), "lecun": 1.0 / max(inputs, 1)}
    bound = math.sqrt(3.0 * variances[initialisation])
    nn.init.uniform_(weight, -bound, bound, generator=generator)


def draw_uniform(parameter: Tensor, inputs: int, generators: Generators) -> None:
    """Fill (M, ...) between -1 and 1 over the root of `inputs`, torch's own default for linear layers."""
    bound = 1.0 / math.sqrt(max(inputs, 1))
    for part, generator in zip(parameter.data, generators, strict=True):
        nn.init.uniform_(part, -bound, bound, generator=generator)


class DefaultLinear(MemberLinear):
    """A linear layer that starts as torch's own, with biases at zero if wished."""

    def __init__(self, members: int, inputs: int, outputs: int, *, zero_bias: bool = False) -> None:
        super().__init__(members, inputs, outputs)
        self.zero_bias = zero_bias

    def reset(self, generators: Generators) -> None:
        """Weights and biases uniform between -1 and 1 over the root of the inputs."""
        draw_uniform(self.weight, self.weight.shape[1], generators)
        nn.init.zeros_(self.bias) if self.zero_bias else draw_uniform(self.bias, self.weight.shape[1], generators)


class MemberBatchNorm(MemberModule):
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

    def reset(self, generators: Generators) -> None:
        """No change to the units, and no rows seen."""
        for one, zero in ((self.gain, self.shift), (self.variance, self.mean)):
            nn.init.ones_(one)
            nn.init.zeros_(zero)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        if not self.training or rows.shape[1] < 2:
            scale = self.gain * (self.variance + self.epsilon).rsqrt()
            return torch.addcmul(self.shift, rows - self.mean, scale)
        mean = rows.mean(1, keepdim=True)
        centred = rows - mean
        variance = centred.square().mean(1, keepdim=True)
        with torch.no_grad():
            self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
            unbiased = variance * (rows.shape[1] / (rows.shape[1] - 1))
            self.variance.lerp_(unbiased.to(self.variance.dtype), self.momentum)
        return torch.addcmul(self.shift, centred, self.gain * (variance + self.epsilon).rsqrt())


class MemberLayerNorm(MemberModule):
    """Layer normalisation of each row (Ba, Kiros & Hinton, 2016): (M, n, H) to (M, n, H)."""

    def __init__(self, members: int, units: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.units, self.epsilon = units, epsilon
        self.gain = nn.Parameter(torch.ones(members, 1, units))
        self.shift = nn.Parameter(torch.zeros(members, 1, units))

    def reset(self, generators: Generators) -> None:
        """No change to the normalised units."""
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.shift)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        normal = functional.layer_norm(rows, (self.units,), eps=self.epsilon)
        return torch.addcmul(self.shift, normal, self.gain)


def build_norm(norm: Norm, members: int, units: int) -> nn.Module:
    """The normalisation that `norm` names, of (M, n, units)."""
    if norm == "none":
        return nn.Identity()
    return MemberBatchNorm(members, units) if norm == "batch" else MemberLayerNorm(members, units)


class MemberEmbedding(MemberModule):
    """Vectors of categories, all columns in one table: codes (n, C) to (M, n, C * E).

    Guo & Berkhahn, Entity Embeddings of Categorical Variables (2016). The vectors of unknown and missing start at zero:
    where training has none of them, they say nothing.

    deviation: of the initial vectors' entries; by default such that a vector has unit expected length.
    """

    offsets: Tensor

    def __init__(
        self, members: int, vocabularies: tuple[int, ...], length: int, deviation: float | None = None
    ) -> None:
        super().__init__()
        self.total, self.length = sum(vocabularies), length
        self.deviation = 1.0 / math.sqrt(length) if deviation is None else deviation
        starts = torch.tensor([0, *vocabularies[:-1]], dtype=torch.int64).cumsum(0)
        member_starts = torch.arange(members, dtype=torch.int64).view(-1, 1, 1) * self.total
        self.register_buffer("offsets", starts + member_starts)
        self.table = nn.Parameter(torch.empty(members, self.total, length))
        self._silent = [int(start) + code for start in starts for code in (UNKNOWN, MISSING)]

    def reset(self, generators: Generators) -> None:
        """Normal vectors, each member from its own generator."""
        for table, generator in zip(self.table.data, generators, strict=True):
            nn.init.normal_(table, std=self.deviation, generator=generator)
            table[self._silent] = 0.0

    def cut(self, members: int) -> None:
        """The rows of the first tables are those of any."""
        self.offsets = self.offsets[:members]

    def forward(self, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return functional.embedding(codes.unsqueeze(0) + self.offsets, self.table.flatten(0, 1)).flatten(2)


def first_columns(matrix: Tensor, count: int) -> Tensor:
    """The first `count` columns; the matrix itself where it has no more, which leaves no node in an export."""
    return matrix if matrix.shape[1] == count else matrix[:, :count]


class OneHot(nn.Module):
    """Categories as zeros and ones, all columns side by side: codes (n, C) to (n, `outputs`); nothing is learned.

    An unknown category is all zeros, a missing one has a column of its own, the last of its block. Two known categories
    can share one column, as 1 and -1 (RealMLP, appendix A.1).
    """

    column: Tensor
    plus: Tensor
    minus: Tensor

    def __init__(self, vocabularies: tuple[int, ...], *, signed: bool) -> None:
        super().__init__()
        column, plus, minus = [], [], []
        self.sizes: list[int] = []
        self.missing: list[int] = []
        for place, size in enumerate(vocabularies):
            known = list(range(MISSING + 1, size))
            pairs = [(known[0], known[1])] if signed and len(known) == 2 else [(code, -1) for code in known]
            pairs.append((MISSING, -1))
            column += [place] * len(pairs)
            plus += [code for code, _ in pairs]
            minus += [code for _, code in pairs]
            self.sizes.append(len(pairs))
            self.missing.append(len(column) - 1)
        self.outputs = len(column)
        self.register_buffer("column", torch.tensor(column, dtype=torch.int64))
        self.register_buffer("plus", torch.tensor(plus, dtype=torch.int64))
        self.register_buffer("minus", torch.tensor(minus, dtype=torch.int64))

    def forward(self, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        code = codes.index_select(1, self.column)
        return (code == self.plus).float() - (code == self.minus).float()


class _Mish(torch.autograd.Function):
    """x * tanh(softplus(x)), written with one exponential, and with its slope kept for the way back.

    With e = exp(x) and p = e * (e + 2), tanh(softplus(x)) is p / (p + 2), and its slope 4 e (e + 1) / (p + 2)^2. Both
    ways together take a third of torch's time. From x = 20 on, the factor is 1 in float32 and float64 squares stay
    finite.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:  # noqa: ANN401
        exponential = rows.clamp(max=20.0).exp_()
        product = (exponential + 2.0).mul_(exponential)
        inverse = (product + 2.0).reciprocal_()
        factor = product.mul_(inverse)
        slope = torch.addcmul(exponential, exponential, exponential).mul_(inverse).mul_(inverse).mul_(4.0)
        ctx.save_for_backward(slope.mul_(rows).add_(factor))
        return factor * rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (slope,) = ctx.saved_tensors
        product: Tensor = gradient * slope
        return product


def mish(rows: Tensor) -> Tensor:
    """Mish (Misra, BMVC 2020), quick where gradients are wanted."""
    if rows.requires_grad and rows.dtype in (torch.float32, torch.float64):
        found: Tensor = _Mish.apply(rows)
        return found
    return functional.mish(rows)


#: `auto` is what most families take; one that wants another resolves it itself.
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "auto": functional.relu,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": mish,
    "selu": functional.selu,
    "elu": functional.elu,
    "tanh": torch.tanh,
    "leaky_relu": functional.leaky_relu,
}
