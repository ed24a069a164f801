"""TabM and TabM-mini: (numbers, extras, codes) of n rows to outputs (M * k, n, outputs).

Shape legend: M members, k heads of a member, n rows, D inputs of a layer, H its outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.models.blocks import ACTIVATIONS, DefaultLinear, Generators, draw_uniform, linear
from assay.models.config import ModelConfig
from assay.models.features import Features
from assay.models.network import Dropout, MemberModule, Network, Noise, rows_in_cache

#: Known categories up to which a column is one-hot. The paper has all columns one-hot, which a large vocabulary
#: forbids.
_MOST_ONE_HOT = 8


class Adapter(MemberModule):
    """The scale of each input that makes k different networks of one: (M, 1, n, D) to (M, k, n, D).

    Its entries are random signs, or normal where numbers have vectors; columns of one input share theirs (the authors'
    package, `start_scaling_init_chunks`).
    """

    def __init__(self, members: int, heads: int, chunks: list[int], *, signs: bool) -> None:
        super().__init__()
        self.chunks, self.signs = torch.tensor(chunks, dtype=torch.int64), signs
        self.scale = nn.Parameter(torch.empty(members, heads, 1, sum(chunks)))

    def reset(self, generators: Generators) -> None:
        """Draw one entry a head and input."""
        for scale, generator in zip(self.scale.data, generators, strict=True):
            drawn = torch.randn((len(scale), 1, len(self.chunks)), generator=generator)
            each = torch.where(drawn < 0, -1.0, 1.0) if self.signs else drawn
            scale.copy_(each.repeat_interleave(self.chunks, dim=2))

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return rows * self.scale


class SharedLinear(DefaultLinear):
    """A linear layer that all heads of a member share: (M, k, n, D) to (M, k, n, H)."""

    def forward(self, rows: Tensor) -> Tensor:  # type: ignore[override]  # heads are an axis of their own here
        """Compute; see the class for shapes."""
        outputs: Tensor = super().forward(rows.flatten(1, 2)).unflatten(1, rows.shape[1:3])
        return outputs


class EnsembleLinear(MemberModule):
    """A shared weight between vectors of each head: (x * before) @ weight * after + bias; (M, k, n, D) to (M, k, n, H).

    Wen, Tran & Ba, BatchEnsemble, ICLR 2020, equation 5. The vectors start at one, the biases alike in all heads.
    """

    def __init__(self, members: int, heads: int, inputs: int, outputs: int, *, scales_inputs: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.before = nn.Parameter(torch.ones(members, heads, 1, inputs)) if scales_inputs else None
        self.after = nn.Parameter(torch.ones(members, heads, 1, outputs))
        self.bias = nn.Parameter(torch.empty(members, heads, 1, outputs))

    def reset(self, generators: Generators) -> None:
        """Weights and the biases of one head as torch's own linear layer; the other heads take over the biases."""
        inputs = self.weight.shape[1]
        draw_uniform(self.weight, inputs, generators)
        if self.before is not None:
            nn.init.ones_(self.before)
        nn.init.ones_(self.after)
        one = self.bias.data[:, :1].clone()
        draw_uniform(one, inputs, generators)
        self.bias.data.copy_(one.expand_as(self.bias))

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        scaled = rows if self.before is None else rows * self.before
        product = torch.bmm(scaled.flatten(1, 2), self.weight).unflatten(1, rows.shape[1:3])
        return torch.addcmul(self.bias, product, self.after)


class Hidden(nn.Module):
    """One hidden layer: linear, activation, dropout; (M, k, n, D) to (M, k, n, width)."""

    def __init__(self, linear: nn.Module, config: ModelConfig, noise: Noise) -> None:
        super().__init__()
        self.linear = linear
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout, noise)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        dropped: Tensor = self.dropout(self.activation(self.linear(rows)))
        return dropped


class HeadsLinear(MemberModule):
    """A linear layer of each head of its own: (M, k, n, D) to (M * k, n, H)."""

    def __init__(self, members: int, heads: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, heads, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(members, heads, 1, outputs))

    def reset(self, generators: Generators) -> None:
        """As torch's own linear layers."""
        for parameter in (self.weight, self.bias):
            draw_uniform(parameter, self.weight.shape[2], generators)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return linear(self.bias.flatten(0, 1), rows.flatten(0, 1), self.weight.flatten(0, 1))


class TabM(Network):
    """An MLP that answers k times: one set of weights, and vectors of each head that make k networks of it.

    Gorishniy, Kotelnikov & Babenko, TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling, ICLR
    2025, section 3.3: BatchEnsemble whose vectors all start at one but the first; TabM-mini keeps only that first one.
    The loss is to be the mean of the heads' losses, not the loss of their mean. Numbers with vectors of bins make their
    TabM with a dagger. The prior is added to the biases of the heads, so that outputs start around it.
    """

    starts_at_prior = False

    def __init__(
        self, members: int, layout: Layout, training_numbers: Tensor, outputs: int, config: ModelConfig
    ) -> None:
        super().__init__(members)
        self.heads = config.heads
        self.features = Features(members, layout, training_numbers, config, most_one_hot=_MOST_ONE_HOT)
        signs = self.features.vectors is None
        self.adapter = Adapter(members, self.heads, self.features.chunks, signs=signs)
        widths = [self.features.width] + [config.width] * config.layers
        self.hidden = nn.ModuleList()
        for place, inputs in enumerate(widths[:-1]):
            layer = (
                SharedLinear(members, inputs, config.width)
                if config.name == "tabm_mini"
                else EnsembleLinear(members, self.heads, inputs, config.width, scales_inputs=place > 0)
            )
            self.hidden.append(Hidden(layer, config, self.noise))
        self.head = HeadsLinear(members, self.heads, widths[-1], outputs)
        self.rows_at_once = rows_in_cache(self.heads * max(widths))

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights; the heads start around the prior."""
        super().initialise(generators, prior)
        self.head.bias.add_(prior.view(-1, 1, 1, prior.shape[-1]))

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.adapter(self.features(numbers, extras, codes).joined().unsqueeze(1))
        for layer in self.hidden:
            rows = layer(rows)
        out: Tensor = self.head(rows)
        return out
