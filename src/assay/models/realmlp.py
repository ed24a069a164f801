"""RealMLP: (numbers, extras, codes) of n rows to outputs (M, n, outputs).

Shape legend: M members, n rows, D inputs of a layer, H its outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Encoded, Layout
from assay.models.blocks import ACTIVATIONS, Generators, Inputs, linear
from assay.models.config import Activation, ModelConfig
from assay.models.features import Features
from assay.models.network import Dropout, MemberModule, Network, Noise, rows_in_cache

#: Known categories up to which a column is one-hot: nine levels with the missing one.
_MOST_ONE_HOT = 8
#: Rows whose convex combinations the biases start from.
_SIMPLEX = 5
#: Factors of the learning rate by the last part of a parameter's name (appendix A, table A.1); weights have 1.
_RATES: Mapping[str, float] = MappingProxyType({"scale": 6.0, "bias": 0.1, "blend": 0.1})
#: Rows the initial weights are fitted to.
_MOST_ROWS = 2048


class NtkLinear(MemberModule):
    """`rows @ weight / sqrt(D) + bias`, the neural tangent parametrisation (Jacot et al., NeurIPS 2018).

    Its inputs may have a learned scale each, which is applied to the weights: what all members share need not be
    copied.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, scales: bool = False) -> None:
        super().__init__()
        self.factor = 1.0 / math.sqrt(max(inputs, 1))
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))
        self.scale = nn.Parameter(torch.ones(members, inputs, 1)) if scales else None

    def reset(self, generators: Generators) -> None:
        """Standard normal weights, biases zero, scales one; `fit` goes on from there."""
        for weight, generator in zip(self.weight.data, generators, strict=True):
            nn.init.normal_(weight, generator=generator)
        nn.init.zeros_(self.bias)
        if self.scale is not None:
            nn.init.ones_(self.scale)

    def fit(self, rows: Tensor | Inputs, generators: Generators) -> None:
        """Scale each unit's weights to unit deviation over `rows`, and let its bias take a convex mix of rows to zero.

        The data-driven initialisation of appendix A.1 ("he+5"); each unit draws its rows and their shares anew.
        """
        nn.init.zeros_(self.bias)
        deviation = self(rows).std(1, correction=0, keepdim=True)
        self.weight.div_(torch.where(deviation > 0, deviation, 1.0))
        products = self(rows)
        for bias, product, generator in zip(self.bias, products, generators, strict=True):
            shape = (_SIMPLEX, product.shape[1])
            chosen = torch.randint(len(product), shape, generator=generator)
            share = torch.empty(shape, dtype=product.dtype).exponential_(generator=generator)
            bias.copy_(-(product.gather(0, chosen) * (share / share.sum(0))).sum(0, keepdim=True))

    def forward(self, rows: Tensor | Inputs) -> Tensor:
        """Compute; see the class for shapes."""
        weight = self.weight if self.scale is None else self.weight * self.scale
        return linear(self.bias, rows, weight, self.factor)


class Blend(MemberModule):
    """x + (f(x) - x) * blend, a learned share of the activation f in each unit: (M, n, H) to the same."""

    def __init__(self, members: int, units: int, activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.blend = nn.Parameter(torch.ones(members, 1, units))

    def reset(self, generators: Generators) -> None:
        """All of the activation."""
        nn.init.ones_(self.blend)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return torch.lerp(rows, self.activation(rows), self.blend.to(rows.dtype))


class Hidden(nn.Module):
    """One hidden layer: linear, blended activation, dropout; (M, n, D) or `Inputs` to (M, n, width)."""

    def __init__(
        self, inputs: int, config: ModelConfig, activation: Activation, noise: Noise, *, is_first: bool
    ) -> None:
        super().__init__()
        self.linear = NtkLinear(len(noise), inputs, config.width, scales=is_first)
        self.activation = Blend(len(noise), config.width, activation)
        self.dropout = Dropout(config.dropout, noise)

    def forward(self, rows: Tensor | Inputs) -> Tensor:
        """Compute; see the class for shapes."""
        dropped: Tensor = self.dropout(self.activation(self.linear(rows)))
        return dropped


class RealMlp(Network):
    """RealMLP-TD: an MLP whose parts and defaults were tuned together on 118 data sets.

    Holzmüller, Grinsztajn & Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data,
    NeurIPS 2024, section 3 and appendix A; in doubt, as in the authors' package pytabkit. Its robust scaling and smooth
    clipping are done before the network. Two things differ: a missing category is a level of its own, silent at first,
    and the prior is added to the biases of the last layer, so that outputs start around it and not around zero.

    Outputs are limited to the range of the training targets, where these are numbers; only in evaluation.
    """

    starts_at_prior = False
    lowest: Tensor
    highest: Tensor

    def __init__(
        self,
        members: int,
        layout: Layout,
        training_numbers: Tensor,
        outputs: int,
        config: ModelConfig,
        rows: Encoded,
        targets: Tensor | None,
    ) -> None:
        super().__init__(members)
        own: Activation = "selu" if outputs > 1 else "mish"
        activation = own if config.activation == "auto" else config.activation
        self.features = Features(
            members, layout, training_numbers, config, most_one_hot=_MOST_ONE_HOT, signed=True, deviation=1.0
        )
        widths = [self.features.width] + [config.width] * config.layers
        hidden = [
            Hidden(inputs, config, activation, self.noise, is_first=not place)
            for place, inputs in enumerate(widths[:-1])
        ]
        self.hidden = nn.ModuleList(hidden)
        self.head = NtkLinear(members, widths[-1], outputs)
        self.rows_at_once = rows_in_cache(max(widths))
        self._sample = rows[:: max(len(rows) // _MOST_ROWS, 1)]
        lowest, highest = torch.tensor(-math.inf), torch.tensor(math.inf)
        if targets is not None and targets.is_floating_point() and len(targets):
            lowest, highest = targets.aminmax()
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest)

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights and fit them to the training rows, layer after layer."""
        super().initialise(generators, prior)
        was_training = self.training
        self.eval()
        rows = self.features(self._sample.numbers, self._sample.extras, self._sample.codes)
        for layer in self._hidden:
            layer.linear.fit(rows, generators)
            rows = layer(rows)
        self.head.fit(rows, generators)
        self.head.bias.add_(prior.view(-1, 1, prior.shape[-1]))
        self._hidden[0].linear.weight[:, self.features.missing] = 0.0
        self.train(was_training)

    @property
    def _hidden(self) -> list[Hidden]:
        return cast(list[Hidden], list(self.hidden))

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """Rates of the paper; everything decays but biases."""
        return {name: _factors(name) for name, _ in self.named_parameters()}

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = self.features(numbers, extras, codes)
        for layer in self.hidden:
            rows = layer(rows)
        out: Tensor = self.head(rows)
        return out if self.training else out.clamp(self.lowest, self.highest)


def _factors(name: str) -> tuple[float, float]:
    if name.startswith("features.vectors."):
        return 0.1, 1.0
    last = name.rpartition(".")[2]
    return _RATES.get(last, 1.0), float(last != "bias")
