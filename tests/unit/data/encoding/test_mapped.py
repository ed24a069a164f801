"""Rows in files: every row once an epoch, in an order that seed and epoch decide and that can be taken up anywhere."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.config import EncodeConfig
from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoder
from assay.data.encoding.mapped import Mapped, bytes_encoded, map_rows
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.ledger import Ledger

N = 103
KINDS = {"x": Kind.NUMBER, "c": Kind.CATEGORY, "b": Kind.BOOLEAN}


def made(n=N, names=("x", "c", "b")):
    """Rows whose number is their place, an encoder of them, and their targets."""
    frame = pl.DataFrame(
        {
            "x": np.arange(n, dtype=np.float64),
            "c": [("red", "green", None)[i % 3] for i in range(n)],
            "b": [i % 2 == 0 for i in range(n)],
        }
    ).select(names)
    columns = [Column(name=name, kind=KINDS[name], dtype="", reason="") for name in names]
    columns.append(Column(name="y", kind=Kind.NUMBER, dtype="", reason=""))
    schema = Schema(columns=tuple(columns), target="y", task=Task.REGRESSION, task_reason="")
    rows = Rows("train", frame, np.arange(n, dtype=np.float64), None, np.arange(n))
    return rows, Encoder.fit(rows, schema, EncodeConfig(scale="none", clip=0), Ledger()), torch.arange(float(n))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    rows, encoder, target = made()
    return map_rows(encoder, rows, target, target * 2, tmp_path_factory.mktemp("mapped"), seed=5, block=16)


def places(batches) -> list[int]:
    return [int(value) for batch in batches for value in batch.target]


@given(batch=st.integers(1, 120), seed=st.integers(0, 50), epoch=st.integers(0, 5))
@settings(max_examples=40)
def test_an_epoch_holds_every_row_once_in_full_batches(mapped, batch, seed, epoch):
    batches = list(mapped.epoch(seed, epoch, batch))
    assert sorted(places(batches)) == list(range(N))
    assert [len(each) for each in batches[:-1]] == [batch] * (len(batches) - 1)
    assert len(batches) == -(-N // batch)


@given(batch=st.integers(1, 60), start=st.integers(0, 120), epoch=st.integers(0, 3))
@settings(max_examples=40)
def test_an_epoch_goes_on_from_any_batch_exactly(mapped, batch, start, epoch):
    whole, rest = list(mapped.epoch(9, epoch, batch)), list(mapped.epoch(9, epoch, batch, start))
    assert [each.target.tolist() for each in rest] == [each.target.tolist() for each in whole[start:]]


def test_the_order_follows_from_seed_and_epoch(mapped):
    assert places(mapped.epoch(1, 2, 10)) == places(mapped.epoch(1, 2, 10))
    orders = {tuple(places(mapped.epoch(seed, epoch, 10))) for seed in range(3) for epoch in range(4)}
    assert len(orders) == 12


def test_what_is_skipped_is_not_read(mapped, monkeypatch):
    read = []
    monkeypatch.setattr(Mapped, "_read", lambda self, first, order: read.append(first) or _nothing(order))
    list(mapped.epoch(1, 0, 16, start=6))
    assert len(read) == 1


def _nothing(order):
    return Batch(torch.empty(len(order), 0), torch.zeros(len(order)), None)


def test_inputs_targets_and_weights_stay_together(mapped):
    rows, encoder, _ = made()
    expected = encoder.encode(rows.frame)
    for batch in [*mapped.epoch(3, 1, 17), *mapped.blocks(20)]:
        at = batch.target.long()
        assert torch.equal(batch.inputs.numbers, expected.numbers[at])
        assert torch.equal(batch.inputs.extras, expected.extras[at])
        assert torch.equal(batch.inputs.codes, expected.codes[at])
        assert torch.equal(batch.weight, batch.target * 2)
    assert sorted(places(mapped.blocks(20))) == list(range(N))


def test_rows_of_a_sorted_table_are_spread_over_the_blocks(tmp_path):
    rows, encoder, target = made(2000)
    mapped = map_rows(encoder, rows, target, None, tmp_path, seed=0, block=100)
    means = [float(block.target.mean()) for block in mapped.blocks(100)]
    # The mean of 100 of 2,000 numbers drawn at random has a deviation of 56.
    assert np.std(means) < 90
    assert abs(np.corrcoef(np.arange(20), means)[0, 1]) < 0.6


def test_one_block_gives_the_batches_of_rows_in_memory(tmp_path):
    rows, encoder, target = made()
    mapped = map_rows(encoder, rows, target, None, tmp_path, seed=7)
    resident = Resident(Batch(encoder.encode_rows(rows), target, None))
    for ours, theirs in zip(mapped.epoch(4, 3, 10), resident.epoch(4, 3, 10), strict=True):
        assert torch.equal(ours.target, theirs.target)
        assert torch.equal(ours.inputs.numbers, theirs.inputs.numbers)
    assert places(mapped.blocks()) == list(range(N))


def test_weights_of_each_member_follow_their_rows(tmp_path):
    rows, encoder, target = made()
    weight = torch.stack([target, -target])
    mapped = map_rows(encoder, rows, target, weight, tmp_path, seed=1, block=10)
    for batch in mapped.epoch(0, 0, 7):
        assert torch.equal(batch.weight, torch.stack([batch.target, -batch.target]))


def test_tables_without_numbers_or_categories(tmp_path):
    for names in (("c",), ("x",), ("b",)):
        rows, encoder, target = made(names=names)
        mapped = map_rows(encoder, rows, target, None, tmp_path, seed=1, block=10)
        batch = next(mapped.epoch(0, 0, 7))
        assert torch.equal(batch.inputs.numbers, encoder.encode(rows.frame).numbers[batch.target.long()])
        assert batch.inputs.codes.shape == (7, len(encoder.layout.vocabularies))


def test_the_size_is_four_bytes_an_input():
    _, encoder, _ = made()
    assert bytes_encoded(encoder.layout, 10) == 10 * 4 * 3
