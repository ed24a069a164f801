"""How numbers are widened before the first layer: bins and waves.

Shape legend: M members, n rows, N numbers, B bins, K waves, E length of a number's vector. Inside, rows come last, so
that what differs between numbers is a factor of whole rows and not of single cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models.blocks import Generators, draw_uniform
from assay.models.config import ModelConfig
from assay.models.network import MemberModule

#: Limits of bins that keep float32 finite: the width of a bin, and how many widths an open one reaches.
_NARROWEST, _FURTHEST = 1e-30, 1e6
_TURN = 2.0 * math.pi


class Bins(nn.Module):
    """Base of piecewise-linear encodings, whose bins are quantiles of the training rows.

    Each number becomes one value a bin: 0 below the bin, 1 above it, the position within it inside; the outer bins are
    open, so that values beyond the training range go on growing (Gorishniy et al., On Embeddings for Numerical Features
    in Tabular Deep Learning, NeurIPS 2022, section 3.1).
    """

    start: Tensor
    inverse_width: Tensor
    floor: Tensor
    ceiling: Tensor

    def keep(self, start: Tensor, width: Tensor, floor: Tensor, ceiling: Tensor) -> None:
        """Take what the bins are, four tensors of one shape; a bin without width is always 0."""
        self.register_buffer("start", start)
        self.register_buffer("inverse_width", torch.where(width > 0, 1.0 / width.clamp_min(_NARROWEST), 0.0))
        self.register_buffer("floor", floor)
        self.register_buffer("ceiling", ceiling)

    def place(self, numbers: Tensor) -> Tensor:
        """Where numbers stand in their bins; `numbers` broadcast against the bins."""
        return torch.clamp((numbers - self.start) * self.inverse_width, self.floor, self.ceiling)


class PiecewiseLinear(Bins):
    """The bins of all numbers side by side: (n, N) to (n, `outputs`)."""

    column: Tensor

    def __init__(self, numbers: Tensor, bins: int) -> None:
        super().__init__()
        tables = [_bin_table(column, bins) for column in numbers.t()]
        self.sizes = [table.shape[1] for table in tables]
        self.outputs = sum(self.sizes)
        self.register_buffer("column", torch.arange(len(tables)).repeat_interleave(torch.tensor(self.sizes)))
        self.keep(*torch.cat(tables, dim=1))

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return self.place(numbers.index_select(1, self.column))


class PaddedBins(Bins):
    """The bins of each number, as many for all, those too many 0: (n, N) to (N, B, n)."""

    def __init__(self, numbers: Tensor, bins: int) -> None:
        super().__init__()
        tables = [_bin_table(column, bins).t() for column in numbers.t()]
        padded = nn.utils.rnn.pad_sequence(tables, batch_first=True)  # (N, B, 4)
        self.keep(*padded.permute(2, 0, 1).unsqueeze(3).contiguous())

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return self.place(numbers.t().unsqueeze(1))


def _bin_table(values: Tensor, bins: int) -> Tensor:
    """Start, width, lowest and highest value of each bin of one number, (4, bins)."""
    edges = torch.tensor(bin_edges(values, bins))
    count = len(edges) - 1
    floor, ceiling = torch.zeros(count), torch.ones(count)
    floor[0], ceiling[-1] = -_FURTHEST, _FURTHEST
    return torch.stack([edges[:-1], edges.diff().clamp_min(_NARROWEST), floor, ceiling])


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


class NumberVectors(MemberModule):
    """Base of what makes a vector of each number, each member its own: (n, N) to (M, n, N * E), number by number."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length


class LinearVectors(NumberVectors):
    """x * w + b: the tokens of an FT-Transformer (Gorishniy et al., NeurIPS 2021, section 3.3)."""

    def __init__(self, members: int, numbers: int, length: int) -> None:
        super().__init__(length)
        self.weight = nn.Parameter(torch.empty(members, numbers, length))
        self.bias = nn.Parameter(torch.empty(members, numbers, length))

    def reset(self, generators: Generators) -> None:
        """Uniform between -1 and 1 over the root of the length, as the authors' package."""
        draw_uniform(self.weight, self.length, generators)
        draw_uniform(self.bias, self.length, generators)

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the base for shapes."""
        vectors = torch.addcmul(self.bias.unsqueeze(1), numbers.unsqueeze(2), self.weight.unsqueeze(1))
        return vectors.flatten(2)


class PiecewiseVectors(NumberVectors):
    """Bins of a number through a linear layer of its own, in two forms.

    Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022, section 3.4: the
    bins,
    a linear layer, ReLU. `residual`: a linear vector of the number plus the bins through a layer that starts at zero,
    without ReLU, as in TabM (Gorishniy et al., ICLR 2025, appendix), so that what is learned first is linear.
    """

    def __init__(self, members: int, training_numbers: Tensor, bins: int, length: int, *, residual: bool) -> None:
        super().__init__(length)
        self.bins = PaddedBins(training_numbers, bins)
        numbers, most = self.bins.start.shape[:2]
        self.weight = nn.Parameter(torch.empty(members, numbers, length, most))
        self.linear = LinearVectors(members, numbers, length) if residual else None
        if not residual:
            self.bias = nn.Parameter(torch.empty(members, numbers, length, 1))

    def reset(self, generators: Generators) -> None:
        """As the authors' package; the linear part of the residual form is a module of its own."""
        if self.linear is not None:
            nn.init.zeros_(self.weight)
            return
        draw_uniform(self.weight, self.weight.shape[-1], generators)
        draw_uniform(self.bias, self.weight.shape[-1], generators)

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the base for shapes."""
        bins = self.bins(numbers)
        # Member by member: one product over members and numbers together has other last bits than a member's alone.
        vectors = torch.stack([weight @ bins for weight in self.weight])
        if self.linear is None:
            vectors = functional.relu(vectors + self.bias)
        flat = vectors.flatten(1, 2).transpose(1, 2)
        whole: Tensor = flat if self.linear is None else flat + self.linear(numbers)
        return whole


class PeriodicVectors(NumberVectors):
    """ReLU of a linear layer of sines and cosines of a number, each number its own (the same paper, section 3.5: PLR).

    scales: deviation of each initial frequency, in turns over one unit of the number; the paper's sigma.
    """

    def __init__(self, members: int, numbers: int, scales: Sequence[float], length: int) -> None:
        super().__init__(length)
        self.scales, frequencies = torch.tensor(scales).view(1, -1, 1), len(scales)
        self.frequency = nn.Parameter(torch.empty(members, numbers, frequencies, 1))
        self.weight = nn.Parameter(torch.empty(members, numbers, length, 2 * frequencies))
        self.bias = nn.Parameter(torch.empty(members, numbers, length, 1))

    def reset(self, generators: Generators) -> None:
        """Frequencies normal, cut at three deviations, as the authors' package."""
        for frequency, generator in zip(self.frequency.data, generators, strict=True):
            nn.init.trunc_normal_(frequency, a=-3.0, b=3.0, generator=generator)
            frequency.mul_(self.scales)
        draw_uniform(self.weight, self.weight.shape[-1], generators)
        draw_uniform(self.bias, self.weight.shape[-1], generators)

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the base for shapes."""
        angle = (self.frequency * _TURN) * numbers.t().unsqueeze(1)
        waves = torch.cat([angle.cos(), angle.sin()], dim=2)
        vectors = functional.relu(self.weight @ waves + self.bias)
        return vectors.flatten(1, 2).transpose(1, 2)


class CosineVectors(NumberVectors):
    """A linear layer of cosines with phases, each number its own: (n, N) to (M, n, N * E).

    Holzmüller, Grinsztajn & Steinwart, Better by Default, NeurIPS 2024, section 3 and appendix A.1: with the number
    itself beside it, this is their PBLD embedding.
    """

    def __init__(self, members: int, numbers: int, scales: Sequence[float], length: int) -> None:
        super().__init__(length)
        self.scales, frequencies = torch.tensor(scales).view(1, -1, 1), len(scales)
        self.frequency = nn.Parameter(torch.empty(members, numbers, frequencies, 1))
        self.phase = nn.Parameter(torch.empty(members, numbers, frequencies, 1))
        self.weight = nn.Parameter(torch.empty(members, numbers, length, frequencies))
        self.bias = nn.Parameter(torch.empty(members, numbers, length, 1))

    def reset(self, generators: Generators) -> None:
        """Frequencies normal with their scales as deviations, phases uniform over a turn."""
        for frequency, phase, generator in zip(self.frequency.data, self.phase.data, generators, strict=True):
            nn.init.normal_(frequency, generator=generator)
            frequency.mul_(self.scales)
            nn.init.uniform_(phase, -math.pi, math.pi, generator=generator)
        draw_uniform(self.weight, self.weight.shape[-1], generators)
        draw_uniform(self.bias, self.weight.shape[-1], generators)

    def forward(self, numbers: Tensor) -> Tensor:
        """Compute; see the base for shapes."""
        transposed = numbers.t().contiguous()
        if self.training:
            with torch.autocast(numbers.device.type, enabled=False):
                vectors: Tensor = _Cosines.apply(transposed, self.frequency, self.phase, self.weight, self.bias)
        else:
            angle = ((self.frequency * _TURN) * transposed.unsqueeze(1)) + self.phase
            vectors = self.weight @ angle.cos() + self.bias
        return vectors.flatten(1, 2).transpose(1, 2)


class _Cosines(torch.autograd.Function):
    """`weight @ cos(2 pi frequency * x + phase) + bias` for x (N, n): (M, N, E, n), in half of autograd's time.

    The waves are by far the widest thing in a network of numbers, so they are written and read as few times as can be.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        numbers: Tensor,
        frequency: Tensor,
        phase: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        angle = ((frequency * _TURN) * numbers.unsqueeze(1)).add_(phase)
        cosine = angle.cos()
        ctx.save_for_backward(numbers, angle, cosine, weight)
        return (weight @ cosine).add_(bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        numbers, angle, cosine, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        falls = (weight.transpose(2, 3) @ gradient).mul_(angle.sin())  # minus the gradient of the angles
        by_frequency = (falls * numbers.unsqueeze(1)).sum(3, keepdim=True).mul_(-_TURN)
        by_phase = falls.sum(3, keepdim=True).neg_()
        by_weight = gradient @ cosine.transpose(2, 3)
        return None, by_frequency, by_phase, by_weight, gradient.sum(3, keepdim=True)


def frequency_scales(config: ModelConfig) -> list[float]:
    """The scale of each frequency of a number: from `frequency_scale` to `frequency_spread` times it, in equal ratios.

    The papers draw all of a number's frequencies alike. No one scale suits all tables - a longitude wants many waves, a
    noisy measurement hardly one - and a network that is given all of them chooses (docs/decisions/ensembles.md).
    """
    steps = max(config.frequencies - 1, 1)
    return [config.frequency_scale * config.frequency_spread ** (place / steps) for place in range(config.frequencies)]


def build_vectors(
    members: int, training_numbers: Tensor, config: ModelConfig, length: int | None = None
) -> NumberVectors | None:
    """What makes vectors of `length` (by default the configured one) of numbers, or None where they stay."""
    numbers, made = training_numbers.shape[1], config.number_embedding if length is None else length
    if not numbers:
        return None
    if config.numbers == "periodic":
        return PeriodicVectors(members, numbers, frequency_scales(config), made)
    if config.numbers == "pbld":
        return CosineVectors(members, numbers, frequency_scales(config), made - 1)
    if config.numbers in ("piecewise_embedded", "piecewise_residual") and config.number_bins:
        residual = config.numbers == "piecewise_residual"
        return PiecewiseVectors(members, training_numbers, config.number_bins, made, residual=residual)
    return None
