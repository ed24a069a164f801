"""Generators that copy are found out, and those that do not are let pass."""

import numpy as np
import polars as pl
import pytest

from assay.synth.attacks import Copies, Counted, Sides, closeness, detection, membership
from assay.synth.block import Block
from assay.synth.distance import Distance


def rows(count: int, seed: int, shift: float = 0.0) -> Block:
    rng = np.random.default_rng(seed)
    return Block(rng.normal(shift, 1.0, (count, 4)), rng.integers(0, 3, (count, 2)))


LEARNED, HELD_BACK = rows(300, 1), rows(300, 2)


def test_a_generator_that_copies_is_found_out():
    found = membership(Sides(LEARNED, HELD_BACK, LEARNED), LEARNED, seed=0)
    assert found.auroc.value == 1.0
    near = closeness(Sides(LEARNED, HELD_BACK, LEARNED), LEARNED, Counted(300, 300, 0.0), seed=0)
    assert near.median == 0.0
    assert near.closer.value == 1.0
    assert near.held_back_median > 0.3


def test_independent_rows_give_nothing_away():
    sides = Sides(LEARNED, HELD_BACK, rows(300, 3))
    found = membership(sides, LEARNED, seed=0)
    assert found.auroc.low < 0.5 < found.auroc.high
    near = closeness(sides, LEARNED, Counted(300, 0, 0.0), seed=0)
    assert near.closer.low < 0.5 < near.closer.high


def test_the_detector_sees_a_shift_and_nothing_where_there_is_none():
    assert detection(LEARNED, rows(300, 4, shift=1.0), seed=0).auroc.low > 0.8
    same = detection(LEARNED, rows(300, 5), seed=0).auroc
    assert same.low < 0.55


def test_distances_by_hand():
    block = Block(np.array([[0.0, 1.0], [2.0, np.nan], [4.0, 3.0]]), np.array([[0], [0], [1]]))
    metric = Distance.of(block)
    deviation = np.sqrt(8 / 3)
    distances, places = metric.nearest(block, block, 2, themselves=True)
    first = np.sqrt((2 / deviation) ** 2 / 2 + (1 / 1.0) ** 2 / 2 + 1)  # the missing number stands at the mean 2
    assert distances[0, 0] == pytest.approx(first)
    assert places[0].tolist() == [1, 2]
    assert metric.nearest(block, block)[0][:, 0].tolist() == [0.0, 0.0, 0.0]


def test_copies_are_counted_exactly():
    learned = pl.DataFrame({"a": [1.5, None, 3.0], "b": ["x", "y", None]})
    made = pl.DataFrame({"a": [1.5, 1.5, None, 3.0, 3.0], "b": ["x", "y", "y", None, None]})
    assert Copies(learned).among(made) == 4
    assert Copies(learned).among(made.head(0)) == 0


def test_too_few_rows_are_no_number():
    few = rows(2, 0)
    assert detection(few, few, seed=0).auroc.value is None
    assert membership(Sides(few, few.at(slice(0, 0)), few), few, seed=0).auroc.value is None
