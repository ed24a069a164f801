"""What a network takes for a row: the median of forward passes over one batch, in one thread."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import torch

from assay.data.encoding.encode import Encoded
from assay.models.network import Network
from assay.train.loop import predict
from assay.train.threads import using_threads

#: Rows of the batch that is timed; passes that warm up; passes that are timed, and seconds after which no more are.
BATCH, _WARM, _PASSES, _MOST_SECONDS = 256, 2, 21, 0.5
#: Digits that a median of so few passes is worth.
_DIGITS = 3


def microseconds_a_row(network: Network, inputs: Encoded) -> float:
    """Microseconds for a row of a batch of `BATCH` rows, without reading cells: encoded rows in, outputs out.

    The median of passes is what a machine that does other things for a moment does not change.

    Args:
        inputs: encoded rows, at least one; the first ones are repeated where there are fewer than a batch.
    """
    rows = inputs[torch.arange(BATCH) % len(inputs)]
    rows_at_once, network.rows_at_once = network.rows_at_once, BATCH
    spent: list[float] = []
    with using_threads(1):
        for turn in range(_WARM + _PASSES):
            began = perf_counter()
            predict(network, rows)
            if turn >= _WARM:
                spent.append(perf_counter() - began)
            if spent and sum(spent) > _MOST_SECONDS:
                break
    network.rows_at_once = rows_at_once
    return float(f"{1e6 * median(spent) / BATCH:.{_DIGITS}g}")
