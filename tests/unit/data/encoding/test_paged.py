"""Rows with media in files give the batches of rows in memory, whatever the widths of their blocks."""

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encoding import paged as module
from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoder
from assay.data.encoding.paged import Paged, bytes_of_media, encode_into_files
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.ledger import Ledger

N = 40


@pytest.fixture(scope="module")
def encoded():
    """Rows of a number and a text that grows longer, and their encoder."""
    texts = [" ".join(f"word{k}" for k in range(1 + i // 4)) for i in range(N)]
    frame = pl.DataFrame({"x": np.arange(N, dtype=np.float64), "t": texts})
    kinds = {"x": Kind.NUMBER, "t": Kind.TEXT, "y": Kind.NUMBER}
    columns = tuple(Column(name=name, kind=kind, dtype="", reason="") for name, kind in kinds.items())
    schema = Schema(columns=columns, target="y", task=Task.REGRESSION, task_reason="")
    rows = Rows("train", frame, np.arange(N, dtype=np.float64), None, np.arange(N))
    return rows, Encoder.fit(rows, schema, EncodeConfig(text_encoder="none"), Ledger())


def test_blocks_of_other_widths_come_out_as_in_memory(encoded, tmp_path, monkeypatch):
    rows, encoder = encoded
    monkeypatch.setattr(module, "_BLOCK_BYTES", 7 * bytes_of_media(encoder, rows) // N)
    in_memory, in_files = encoder.encode_rows(rows), encode_into_files(encoder, rows, tmp_path)
    assert len(in_memory.media) == len(in_files.media) == 1
    for one, other in zip(
        (in_memory.numbers, in_memory.extras, in_memory.codes, *in_memory.media),
        (in_files.numbers, in_files.extras, in_files.codes, *in_files.media),
        strict=True,
    ):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.mark.parametrize(("batch", "start"), [(7, 0), (7, 3), (40, 0), (64, 0)])
def test_batches_are_those_of_rows_in_memory(encoded, tmp_path, batch, start):
    rows, encoder = encoded
    target = torch.arange(float(N))
    weight = torch.stack([target, target + 1])
    in_memory = Resident(Batch(encoder.encode_rows(rows), target, None)).weighing(weight).reading((0,))
    in_files = Paged(Batch(encode_into_files(encoder, rows, tmp_path), target, None)).weighing(weight).reading((0,))
    assert isinstance(in_files.to(torch.device("cpu")), Paged)
    pairs = list(zip(in_memory.epoch(3, 1, batch, start), in_files.epoch(3, 1, batch, start), strict=True))
    assert len(pairs) == -(-N // batch) - start
    for one, other in pairs:
        assert torch.equal(one.inputs.media[0], other.inputs.media[0])
        assert torch.equal(one.inputs.numbers, other.inputs.numbers)
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.weight, other.weight)
