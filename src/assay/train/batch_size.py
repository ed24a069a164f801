"""Rows a step: what was asked for, or what suits the number of rows and fits the memory."""

from __future__ import annotations

import math

import torch

from assay.data.encoding.batches import Source
from assay.errors import ConfigError
from assay.models.network import Network
from assay.train.config import TrainConfig
from assay.train.device import free_memory

#: The batch that recipes and rates are made for, and the rows from which a larger one is taken.
USUAL = 256
_LARGER = ((1_000_000, 1024), (200_000, 512))
#: A small table is passed in at least this many steps, in batches of at least these rows.
_FEWEST_STEPS, _SMALLEST = 8, 32
#: Share of the free memory that a step may take, and numbers kept for a row and each number of its inputs and outputs.
_SHARE_OF_MEMORY, _COPIES = 0.5, 12


def rows_a_step(config: TrainConfig, train: Source, network: Network) -> int:
    """Rows of a batch.

    Raises:
        ConfigError: more rows were asked for than there are.
    """
    rows = len(train)
    if config.batch == "full":
        return rows
    if config.batch == "auto":
        return min(suited(rows), fitting(network), rows)
    if config.batch > rows:
        raise ConfigError(
            "a batch must not be larger than the training rows",
            f"train.batch={config.batch} was given for {rows:,} training rows",
            "Take train.batch=full for all rows at once, or leave train.batch=auto.",
        )
    return config.batch


def suited(rows: int) -> int:
    """The batch for a number of rows: larger for large tables, smaller where an epoch would be a few steps only."""
    for least, batch in _LARGER:
        if rows >= least:
            return batch
    if rows >= USUAL * _FEWEST_STEPS:
        return USUAL
    return max(_SMALLEST, 1 << round(math.log2(max(rows / _FEWEST_STEPS, 1.0))))


def fitting(network: Network) -> int:
    """Rows whose activations fit into the free memory, from the widths of the network's parameters; at least one."""
    parameters = list(network.parameters())
    widths = sum(parameter.shape[-1] * len(parameter) for parameter in parameters if parameter.ndim > 1)
    bytes_a_row = 4 * _COPIES * max(widths, 1) * network.heads
    device = parameters[0].device if parameters else torch.device("cpu")
    return max(1, int(_SHARE_OF_MEMORY * free_memory(device) / bytes_a_row))


def scaled_rate(config: TrainConfig, batch: int) -> float:
    """Factor of the learning rate for a batch that assay chose.

    It is the root of the ratio to the usual batch for optimisers that normalise the gradient (Malladi et al., NeurIPS
    2022), and the ratio itself for SGD (Goyal et al., 2017).
    """
    if config.batch != "auto":
        return 1.0
    ratio = batch * config.accumulate / USUAL
    return ratio if config.optimiser == "sgd" else math.sqrt(ratio)
