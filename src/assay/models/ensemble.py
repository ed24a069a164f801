"""Several networks that answer the same rows, as one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from assay.models.network import Network


class Ensemble(nn.Module):
    """The answers of all networks side by side: (numbers, extras, codes, *media) of n rows to (A, n, outputs).

    A is the sum of the networks' members times heads, network by network. How answers are weighted is the head's
    affair.

    reads: places of the media that any of the networks reads. rows_at_once: rows that any can take in one call.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.reads = tuple(sorted({place for network in networks for place in network.reads}))
        self._places = [tuple(self.reads.index(place) for place in network.reads) for network in networks]
        self.rows_at_once = min(network.rows_at_once for network in networks)
        self.members = sum(network.members for network in networks)
        self.parameter_count = sum(network.parameter_count for network in networks)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute; see the class for shapes. Of the media those that `reads` names come, and no others."""
        answers = [
            network(numbers, extras, codes, *(media[place] for place in places))
            for network, places in zip(self.networks, self._places, strict=True)
        ]
        return answers[0] if len(answers) == 1 else torch.cat(answers)
