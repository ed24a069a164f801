"""SMOTE adds rows on the way from a row of a small class to one of its neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import DataError
from assay.synth.block import Block
from assay.synth.smote import NEIGHBOURS, Smote, shared_out


def two_classes(large: int, small: int, seed: int = 0) -> tuple[Block, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = np.repeat([0, 1], [large, small])
    numbers = rng.normal(size=(large + small, 2)) + 3 * target[:, None]
    return Block(numbers, np.stack([rng.integers(0, 3, large + small), target], axis=1)), target


@given(st.integers(2, 12), st.integers(0, 1000))
def test_points_lie_on_segments_between_neighbours(small, seed):
    block, target = two_classes(30, small, seed)
    made = Smote.fit(block, target, ("a", "b"), 10, np.random.default_rng(0)).sample(10, np.random.default_rng(1))
    rows = block.numbers[target == 1]
    assert (made.codes[:, 1] == 1).all()
    for point in made.numbers:
        ways = rows[None, :, :] - rows[:, None, :]
        length = (ways**2).sum(axis=2)
        share = ((point - rows[:, None, :]) * ways).sum(axis=2) / np.where(length > 0, length, 1.0)
        nearest = rows[:, None, :] + np.clip(share, 0, 1)[:, :, None] * ways
        assert np.abs(nearest - point).max(axis=2).min() < 1e-9


def test_neighbours_and_categories_by_hand():
    numbers = np.array([[0.0], [1.0], [2.0], [10.0], [20.0], [30.0], [40.0], [50.0]])
    codes = np.array([[0, 1], [0, 1], [1, 1], [2, 0], [2, 0], [2, 0], [2, 0], [2, 0]])
    made = Smote.fit(Block(numbers, codes), codes[:, 1], ("a", "b"), 2, np.random.default_rng(0))
    assert made.told == "SMOTE-NC with 5 neighbours, down to 2 in the smallest class: 'b' +2"
    (grown,) = made.classes
    assert grown.neighbours.tolist() == [[1, 2], [0, 2], [1, 0]]
    drawn = made.sample(200, np.random.default_rng(1))
    assert drawn.numbers.min() >= 0.0
    assert drawn.numbers.max() <= 2.0
    # Rows 0 and 1 have a neighbour of either category, and the nearer one decides; row 2 has two of category 0.
    assert (drawn.codes[:, 0] == 0).all()


def test_missing_numbers_come_from_the_row_begun_from():
    block, target = two_classes(40, 10)
    block.numbers[-3:, 0] = np.nan
    made = Smote.fit(block, target, ("a", "b"), 30, np.random.default_rng(0)).sample(3000, np.random.default_rng(1))
    assert np.isnan(made.numbers[:, 0]).mean() == pytest.approx(0.3, abs=0.03)
    assert not np.isnan(made.numbers[:, 1]).any()


def test_the_border_is_begun_from():
    """Of the small class one row lies among the other class, others in a cluster: only the border is begun from."""
    numbers = np.concatenate([np.linspace(0, 1, 30), np.linspace(10, 10.1, 12), [2.0, 2.05, 2.1]])[:, None]
    target = np.repeat([0, 1], [30, 15])
    made = Smote.fit(Block(numbers, target[:, None]), target, ("a", "b"), 5, np.random.default_rng(0), border=True)
    assert sorted(made.classes[0].rows.numbers[made.classes[0].begin, 0].tolist()) == [2.0, 2.05, 2.1]
    assert made.told.startswith("Borderline-SMOTE")


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.integers(0, 300))
def test_the_smallest_class_is_filled_first(counts, rows):
    counts = np.array(counts)
    room = int((counts.max() - counts).sum())
    if rows > room:
        with pytest.raises(DataError, match=f"room for {room:,}"):
            shared_out(counts, rows)
        return
    added = shared_out(counts, rows)
    full = counts + added
    assert added.sum() == rows
    assert added.min() >= 0
    assert full.max() == counts.max()
    grown = full[added > 0]
    assert not len(grown) or grown.max() - full.min() <= 1


def test_a_class_of_one_row_is_refused():
    block, target = two_classes(30, 1)
    with pytest.raises(DataError, match=r"needs at least 2 rows of a class.*the class 'b' has 1"):
        Smote.fit(block, target, ("a", "b"), 5, np.random.default_rng(0))


def test_fewer_rows_than_neighbours_are_enough():
    block, target = two_classes(30, NEIGHBOURS)
    made = Smote.fit(block, target, ("a", "b"), 5, np.random.default_rng(0))
    assert made.classes[0].neighbours.shape == (NEIGHBOURS, NEIGHBOURS - 1)
