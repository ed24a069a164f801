"""The perceptron and the multilayer perceptron: (numbers, extras, codes) of n rows to outputs (M, n, outputs)."""

from __future__ import annotations

from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.models.blocks import ACTIVATIONS, Generators, Inputs, MemberLinear, build_norm
from assay.models.config import ModelConfig
from assay.models.features import Features
from assay.models.network import Dropout, Network, Noise, rows_in_cache


class Hidden(nn.Module):
    """One hidden layer: linear, norm, activation, dropout; (M, n, D) or `Inputs` to (M, n, width)."""

    def __init__(self, inputs: int, config: ModelConfig, noise: Noise) -> None:
        super().__init__()
        self.linear = MemberLinear(len(noise), inputs, config.width, config.initialisation)
        self.norm = build_norm(config.norm, len(noise), config.width)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout, noise)

    def forward(self, rows: Tensor | Inputs) -> Tensor:
        """Compute; see the class for shapes."""
        dropped: Tensor = self.dropout(self.activation(self.norm(self.linear(rows))))
        return dropped


class Mlp(Network):
    """Features, hidden layers (none: a perceptron) and a linear head.

    The perceptron without hidden layers is that of Rosenblatt (1958) with a smooth loss; with bins or vectors of
    numbers it is an additive model.
    """

    def __init__(
        self, members: int, layout: Layout, training_numbers: Tensor, outputs: int, config: ModelConfig
    ) -> None:
        super().__init__(members)
        self.features = Features(members, layout, training_numbers, config)
        widths = [self.features.width] + [config.width] * (config.layers if config.name == "mlp" else 0)
        self.hidden = nn.ModuleList(Hidden(inputs, config, self.noise) for inputs in widths[:-1])
        self.head = MemberLinear(members, widths[-1], outputs)
        self.rows_at_once = rows_in_cache(max(widths))

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.features(numbers, extras, codes)
        for layer in self.hidden:
            rows = layer(rows)
        out: Tensor = self.head(rows)
        return out
