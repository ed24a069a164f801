"""Networks for tables: (numbers, extras, codes) of n rows to outputs (M, n, outputs)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from assay.data.encode import Layout
from assay.models.blocks import ACTIVATIONS, MemberBatchNorm, MemberEmbedding, MemberLinear, PiecewiseLinear
from assay.models.config import ModelConfig
from assay.models.network import Dropout, Network, Noise


class Features(nn.Module):
    """All inputs of a row as one vector a member: numbers (widened), extras, category vectors; (M, n, width)."""

    def __init__(self, members: int, layout: Layout, training_numbers: Tensor, config: ModelConfig) -> None:
        super().__init__()
        self.members = members
        self.bins = (
            PiecewiseLinear(training_numbers, config.number_bins) if config.number_bins and layout.numbers else None
        )
        length = min(config.embedding, max(layout.vocabularies, default=1))
        self.embedding = MemberEmbedding(members, layout.vocabularies, length) if layout.vocabularies else None
        binned = self.bins.outputs if self.bins else 0
        self.width = layout.numbers + binned + layout.extras + length * len(layout.vocabularies)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        shared = [numbers, extras] if self.bins is None else [numbers, self.bins(numbers), extras]
        rows = torch.cat(shared, dim=1).unsqueeze(0).expand(self.members, -1, -1)
        return rows if self.embedding is None else torch.cat([rows, self.embedding(codes)], dim=2)


class Hidden(nn.Module):
    """One hidden layer: linear, batch norm, activation, dropout; (M, n, D) to (M, n, width)."""

    def __init__(self, inputs: int, config: ModelConfig, noise: Noise) -> None:
        super().__init__()
        members = len(noise)
        self.linear = MemberLinear(members, inputs, config.width)
        self.norm = MemberBatchNorm(members, config.width) if config.batch_norm else None
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout, noise)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.linear(rows)
        rows = rows if self.norm is None else self.norm(rows)
        dropped: Tensor = self.dropout(self.activation(rows))
        return dropped


class TableNetwork(Network):
    """Features, hidden layers (none: a perceptron) and a linear head; outputs are logits or standardised values."""

    def __init__(
        self, members: int, layout: Layout, training_numbers: Tensor, outputs: int, config: ModelConfig
    ) -> None:
        super().__init__(members)
        self.features = Features(members, layout, training_numbers, config)
        widths = [self.features.width] + [config.width] * (config.layers if config.name == "mlp" else 0)
        self.hidden = nn.ModuleList(Hidden(inputs, config, self.noise) for inputs in widths[:-1])
        self.head = MemberLinear(members, widths[-1], outputs)

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior, its weights at zero.

        With a zero head the first loss is the prior's entropy (Karpathy, A Recipe for Training Neural Networks, 2019).
        """
        for module in self.modules():
            if isinstance(module, MemberLinear | MemberEmbedding):
                module.reset(generators)
        nn.init.zeros_(self.head.weight)
        self.head.bias.copy_(prior.view(-1, 1, prior.shape[-1]))

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.features(numbers, extras, codes)
        for layer in self.hidden:
            rows = layer(rows)
        out: Tensor = self.head(rows)
        return out
