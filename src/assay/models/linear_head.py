"""A linear head on features that are not trained, as a network: fitted elsewhere, it stands here as plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assay.models.network import Network


@dataclass(frozen=True)
class LinearHead:
    """A member: weight (features, outputs) and bias (outputs,), float32."""

    weight: Tensor
    bias: Tensor


class FeaturesWithHead(Network):
    """Features of a row's series or picture, and a linear model of them for each member.

    Nothing in it is a parameter, for it is fitted by another method than descent. Shapes are those of every network;
    it reads what `extractor` takes, one array, and makes it (n, features).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, extractor: nn.Module, members: Sequence[LinearHead], reads: Sequence[int]) -> None:
        super().__init__(len(members))
        self.extractor, self.reads = extractor, tuple(reads)
        self.register_buffer("weight", torch.stack([member.weight for member in members]))
        self.register_buffer("bias", torch.stack([member.bias for member in members]).unsqueeze(1))

    @property
    def parameter_count(self) -> int:
        """Learned numbers, all members together."""
        return self.weight.numel() + self.bias.numel()

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute; see the class."""
        features: Tensor = self.extractor(media[0])
        return torch.baddbmm(self.bias, features.unsqueeze(0).expand(self.members, -1, -1), self.weight)
