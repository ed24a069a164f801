"""A pretrained network of pictures whose last layers are trained further, with a linear head.

Shape legend: n pictures, C channels, H height, W width, D features.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from assay._imports import require
from assay.models.backbone import Enlarged
from assay.models.blocks import MemberLinear
from assay.models.linear_head import LinearHead
from assay.models.network import Network

#: A layer learns this much slower than the one above it, and the head this much faster than the last layer.
_LAYER_DECAY, _HEAD_FASTER = 0.7, 5.0
#: Pictures of one call without gradients.
_AT_ONCE = 64


def depths(network: nn.Module) -> Mapping[str, int]:
    """The layer of each parameter of a network of timm, from 0 at the input on, as timm groups them."""
    grouped = require("timm.models", "a backbone that is trained further").group_parameters
    return grouped(network, network.group_matcher(coarse=True), reverse=True)  # type: ignore[no-any-return,operator]


class TunedBackbone(Network):
    """One network: a copy of a backbone whose last layers learn, and a linear head on its features.

    Statistics of batch normalisation stay those that it was trained with: batches of a few pictures are no better ones.
    Features are those of a picture alone, not averaged with its mirror image's. Tables beside pictures are not read.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self, extractor: Enlarged, layers: int, center: Tensor, scale: Tensor, outputs: int, reads: Sequence[int]
    ) -> None:
        """Copy the backbone.

        Args:
            layers: from the last one on, that learn.
            center, scale: of the features of training pictures, (D,); the head sees (features - center) * scale.
        """
        super().__init__(1)
        self.extractor = copy.deepcopy(extractor)
        self.extractor.backbone.mirror = False
        network = self.extractor.backbone.network
        places = depths(network)
        self._last = max(places.values())
        self._places = {f"extractor.backbone.network.{name}": place for name, place in places.items()}
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(places[name] > self._last - layers)
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.head = MemberLinear(1, len(center), outputs)
        self.reads = tuple(reads)
        self.rows_at_once = _AT_ONCE

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Start at the prior, with the backbone's own layers."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def start_from(self, head: LinearHead) -> None:
        """Start from a linear model of the features as they were before training, (D, outputs)."""
        with torch.no_grad():
            spread = torch.where(self.scale > 0, 1.0 / self.scale.clamp_min(1e-30), 0.0)
            self.head.weight[0] = head.weight * spread.unsqueeze(1)
            self.head.bias[0, 0] = head.bias + self.center @ head.weight

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """Discriminative rates (Howard & Ruder, ULMFiT, ACL 2018, 3.2); vectors do not decay."""
        found = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                place = self._places.get(name)
                rate = _HEAD_FASTER if place is None else _LAYER_DECAY ** (self._last - place)
                found[name] = rate, float(name.endswith("weight") and parameter.ndim > 1)
        return found

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media[0] are the pictures, uint8 (n, C, H, W)."""
        features: Tensor = self.extractor(media[0])
        out: Tensor = self.head(((features - self.center) * self.scale).unsqueeze(0))
        return out
