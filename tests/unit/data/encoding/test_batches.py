from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.data.encoding.batches import Batch, Resident, epoch_order, epoch_seed
from assay.data.encoding.encode import Encoded


def rows_of(count, weight=None):
    numbers = torch.arange(2.0 * count).view(count, 2)
    return Batch(Encoded(numbers, numbers[:, :1], numbers[:, :1].int()), torch.arange(count), weight)


@given(rows=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 500))
def test_the_order_is_a_permutation_and_a_pure_function(rows, seed, epoch):
    torch.manual_seed(epoch)
    order = epoch_order(rows, seed, epoch)
    torch.rand(3)
    assert sorted(order.tolist()) == list(range(rows))
    assert torch.equal(order, epoch_order(rows, seed, epoch))


def test_orders_differ_by_seed_and_epoch():
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert epoch_seed(0, 3) != epoch_seed(3, 0)


@given(count=st.integers(1, 70), size=st.integers(1, 80), start=st.integers(0, 5))
def test_an_epoch_holds_every_row_once_and_can_begin_anywhere(count, size, start):
    source = Resident(rows_of(count))
    whole = list(source.epoch(4, 2, size))
    assert sorted(torch.cat([part.target for part in whole]).tolist()) == list(range(count))
    assert [len(part) for part in whole[:-1]] == [size] * (len(whole) - 1)
    rest = list(source.epoch(4, 2, size, start))
    assert [part.target.tolist() for part in rest] == [part.target.tolist() for part in whole[start:]]


def test_rows_keep_what_belongs_to_them():
    weight = torch.arange(20.0)
    source = Resident(rows_of(20, torch.stack([weight, -weight])))
    for part in source.epoch(0, 0, 6):
        assert part.inputs.numbers[:, 0].tolist() == (2 * part.target).tolist()
        assert part.weight.tolist() == [part.target.tolist(), (-part.target).tolist()]
    one = rows_of(20, weight)[3:5]
    assert (one.weight.tolist(), len(one)) == ([3.0, 4.0], 2)
    aimed = replace(rows_of(20), groups=torch.arange(20) % 3, aims=torch.arange(40.0).view(20, 2))
    for part in (aimed[torch.tensor([7, 2])], aimed.to(torch.device("cpu"))[torch.tensor([7, 2])]):
        assert (part.groups.tolist(), part.aims.tolist()) == ([1, 2], [[14.0, 15.0], [4.0, 5.0]])


@pytest.mark.parametrize("rows", [1, 7, 20, 100])
def test_blocks_are_all_rows_in_their_own_order(rows):
    source = Resident(rows_of(20))
    assert torch.cat([part.target for part in source.blocks(rows)]).tolist() == list(range(20))
    assert [len(part) for part in Resident(rows_of(20)[:0]).blocks(rows)] == [0]
