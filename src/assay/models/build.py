"""The one registry of networks: typed options to a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

from assay.data.encode import Layout
from assay.models.config import ModelConfig
from assay.models.tabular import TableNetwork

Builder = Callable[[Layout, Tensor, int, ModelConfig], TableNetwork]

NETWORKS: Mapping[str, Builder] = MappingProxyType({"mlp": TableNetwork, "perceptron": TableNetwork})


def build(
    config: ModelConfig, layout: Layout, training_numbers: Tensor, *, outputs: int, prior: Tensor, seed: int
) -> TableNetwork:
    """The network that `config` names, initialised from `seed`.

    training_numbers: scaled numbers of the training rows, (n, N), from which bins are learned.
    prior: starting output, (outputs,): log class shares, or zero for a standardised target.
    """
    network = NETWORKS[config.name](layout, training_numbers, outputs, config)
    network.reset(seed, prior)
    return network
