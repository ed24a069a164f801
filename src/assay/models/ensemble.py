"""Several networks that answer the same rows, as one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from assay.models.network import Network


class Ensemble(nn.Module):
    """The answers of all networks side by side: (numbers, extras, codes) of n rows to (A, n, outputs).

    A is the sum of the networks' members times heads, network by network. How answers are weighted is the head's
    affair.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.members = sum(network.members for network in networks)
        self.parameter_count = sum(network.parameter_count for network in networks)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        if len(self.networks) == 1:
            only: Tensor = self.networks[0](numbers, extras, codes)
            return only
        return torch.cat([network(numbers, extras, codes) for network in self.networks])
