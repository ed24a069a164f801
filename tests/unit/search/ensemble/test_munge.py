"""Rows made of near ones: cells that occur, in rows that lie between neighbours, the same for the same seed."""

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.encoding.encode import Encoded
from assay.data.rows import Rows
from assay.search.ensemble.munge import as_points, munge, neighbours

#: Two heaps of rows that are far apart: whatever is mixed stays within its heap.
HEAPS, EACH = 2, 30


@pytest.fixture(scope="module")
def heaps():
    rng = np.random.default_rng(0)
    heap = np.repeat(np.arange(HEAPS), EACH)
    frame = pl.DataFrame(
        {
            "heap": [f"heap {at}" for at in heap],
            "x": 100.0 * heap + rng.standard_normal(len(heap)),
            "n": pl.Series([None if at % 7 == 0 else int(at) for at in range(len(heap))], dtype=pl.Int64),
            "word": [f"word {at}" for at in range(len(heap))],
        }
    )
    rows = Rows("train", frame, heap.astype(np.int64), None, np.arange(len(heap)))
    numbers = torch.tensor(frame["x"].to_list()).unsqueeze(1)
    codes = torch.from_numpy(heap.astype(np.int32)).unsqueeze(1)
    return rows, Encoded(numbers, torch.zeros(len(heap), 0), codes)


def test_cells_are_of_rows_that_are_near_each_other(heaps):
    rows, inputs = heaps
    made = munge(rows, inputs, 480, 0)
    assert made.schema == rows.cells.schema
    assert made.height == 480
    for heap in range(HEAPS):
        own = made.filter(pl.col("heap") == f"heap {heap}")
        known = rows.cells.filter(pl.col("heap") == f"heap {heap}")
        assert own.height == 240  # training rows take turns
        assert set(own["x"]) <= set(known["x"])
        assert set(own["word"]) <= set(known["word"])
    assert 0 < made["n"].null_count() < 480


def test_about_a_quarter_of_the_cells_are_the_other_rows(heaps):
    rows, inputs = heaps
    made = munge(rows, inputs, 6000, 0)
    # x and the word of a row are both its own or both of one other: they part where one of them alone is taken
    own = dict(zip(rows.cells["x"], rows.cells["word"], strict=True))
    parted = np.mean([own[x] != word for x, word in zip(made["x"], made["word"], strict=True)])
    assert parted == pytest.approx(2 * 0.25 * 0.75, abs=0.02)


def test_the_seed_says_which(heaps):
    rows, inputs = heaps
    assert munge(rows, inputs, 50, 3).equals(munge(rows, inputs, 50, 3))
    assert not munge(rows, inputs, 50, 3).equals(munge(rows, inputs, 50, 4))


def test_rows_of_a_part_are_mixed_and_no_others(heaps):
    rows, inputs = heaps
    places = np.arange(EACH, 2 * EACH)
    made = munge(rows.at(places), inputs[torch.from_numpy(places)], 100, 0)
    assert set(made["heap"]) == {"heap 1"}


def test_the_nearest_rows_are_those_of_the_least_distance_without_the_row_itself():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    found = neighbours(points, np.random.default_rng(0))
    assert found.tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]


def test_categories_are_about_as_far_apart_as_any_others():
    codes = torch.arange(40, dtype=torch.int32).unsqueeze(1)
    points = as_points(Encoded(torch.zeros(40, 0), torch.zeros(40, 0), codes), 0)
    apart = torch.cdist(points, points)
    others = apart[~torch.eye(40, dtype=torch.bool)]
    assert apart.diagonal().abs().max() < 1e-3
    assert others.mean() == pytest.approx(2**0.5, abs=0.1)
    assert others.min() > 0.3
