"""The ResNet for tables: (numbers, extras, codes) of n rows to outputs (M, n, outputs)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.models.blocks import ACTIVATIONS, Generators, MemberLinear, build_norm
from assay.models.config import ModelConfig
from assay.models.features import Features
from assay.models.network import Dropout, Network, Noise, rows_in_cache


class Block(nn.Module):
    """rows + linear(dropout(activation(linear(norm(rows))))): (M, n, width) to the same."""

    def __init__(self, config: ModelConfig, noise: Noise) -> None:
        super().__init__()
        members, inner = len(noise), max(round(config.width * config.expansion), 1)
        self.inner = inner
        self.norm = build_norm(config.norm, members, config.width)
        self.widen = MemberLinear(members, config.width, inner, config.initialisation)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout, noise)
        self.narrow = MemberLinear(members, inner, config.width, config.initialisation)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        inside = self.dropout(self.activation(self.widen(self.norm(rows))))
        return torch.add(rows, self.narrow(inside))


class ResNet(Network):
    """A linear layer, residual blocks, and a head of norm, activation and linear layer.

    Gorishniy, Rubachev, Khrulkov & Babenko, Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, section
    3.2.
    Their second dropout, on the residual branch, is left out: their own default for it is 0. The head's weights start
    at zero instead of at random, so that the first loss is the prior's.
    """

    def __init__(
        self, members: int, layout: Layout, training_numbers: Tensor, outputs: int, config: ModelConfig
    ) -> None:
        super().__init__(members)
        self.features = Features(members, layout, training_numbers, config)
        self.first = MemberLinear(members, self.features.width, config.width, config.initialisation)
        blocks = [Block(config, self.noise) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = build_norm(config.norm, members, config.width)
        self.activation = ACTIVATIONS[config.activation]
        self.head = MemberLinear(members, config.width, outputs)
        self.rows_at_once = rows_in_cache(max(self.features.width, config.width, *(each.inner for each in blocks)))

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.first(self.features(numbers, extras, codes))
        for block in self.blocks:
            rows = block(rows)
        out: Tensor = self.head(self.activation(self.norm(rows)))
        return out
