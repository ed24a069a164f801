"""Latency: of a batch of one size, with three digits, and the network as it was."""

import torch
from torch import nn

from assay.data.encoding.encode import Encoded
from assay.search.study.latency import BATCH, microseconds_a_row


class Counting(nn.Module):
    """Sums its numbers, and notes how many rows it is given."""

    reads = ()
    rows_at_once = 8

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, numbers, extras, codes):
        self.seen.append(len(numbers))
        return (numbers.sum(1) * self.weight)[None, :, None]


def test_it_is_the_median_of_passes_over_whole_batches():
    network, rows = Counting(), 5
    inputs = Encoded(torch.ones(rows, 2), torch.ones(rows, 0), torch.zeros(rows, 0, dtype=torch.int32))
    threads = torch.get_num_threads()
    found = microseconds_a_row(network, inputs)
    assert found == float(f"{found:.3g}") > 0.0
    assert set(network.seen) == {BATCH}
    assert len(network.seen) >= 3
    assert (network.rows_at_once, torch.get_num_threads(), network.training) == (8, threads, True)
