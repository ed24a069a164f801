"""The one registry of networks: typed options to a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor

from assay.data.encode import Layout
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.models.tabular import TableNetwork

Builder = Callable[[int, Layout, Tensor, int, ModelConfig], Network]

NETWORKS: Mapping[str, Builder] = MappingProxyType({"mlp": TableNetwork, "perceptron": TableNetwork})


def build(
    config: ModelConfig,
    layout: Layout,
    training_numbers: Tensor,
    *,
    outputs: int,
    prior: Tensor,
    seeds: Sequence[int],
    targets: Tensor | None = None,
) -> Network:
    """The network that `config` names with a member for each of `seeds` (whatever `config.members` says).

    training_numbers: scaled numbers of the training rows, (n, N), from which bins are learned.
    prior: starting output, (outputs,) or (M, outputs): log class shares, or zero for a standardised target.
    targets: of the training rows, (n,) classes or standardised values, for networks whose inputs are fitted to them.
    """
    network = NETWORKS[config.name](len(seeds), layout, training_numbers, outputs, config)
    network.reset(seeds, prior)
    return network
