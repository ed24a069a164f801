import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.split import deal_labels
from assay.data.split.deal_labels import cut_by_labels, set_codes

SHARES = np.array([0.8, 0.1, 0.1])


def shares_of(part_of, target, parts=3):
    return np.array([[target[part_of == part, k].sum() for k in range(target.shape[1])] for part in range(parts)])


def test_every_label_has_its_share_of_every_part():
    rng = np.random.default_rng(0)
    target = (rng.random((1000, 6)) < np.array([0.5, 0.3, 0.1, 0.05, 0.02, 0.01])).astype(np.int8)
    part_of = cut_by_labels(np.arange(1000), target, SHARES, np.random.default_rng(1))
    assert np.bincount(part_of).tolist() == [800, 100, 100]
    expected = target.sum(0) * SHARES[:, None]
    assert np.abs(shares_of(part_of, target) - expected).max() <= 2.0


def test_a_label_of_three_rows_is_in_every_part():
    target = np.zeros((60, 2), np.int8)
    target[:3, 0] = 1
    target[::2, 1] = 1
    part_of = cut_by_labels(np.arange(60), target, SHARES, np.random.default_rng(0))
    assert sorted(part_of[:3].tolist()) == [0, 1, 2]


@given(st.integers(1, 40), st.integers(0, 2**31), st.integers(1, 4))
def test_units_stay_whole_and_no_part_is_empty(units, seed, labels):
    rng = np.random.default_rng(seed)
    ids = np.unique(rng.integers(0, units, 3 * units), return_inverse=True)[1]
    target = rng.integers(0, 2, (len(ids), labels)).astype(np.int8)
    part_of = cut_by_labels(ids, target, SHARES, rng)
    for unit in np.unique(ids):
        assert len(set(part_of[ids == unit])) == 1
    if ids.max() + 1 >= 3:
        assert set(part_of) == {0, 1, 2}


def test_the_same_seed_deals_alike_and_another_does_not():
    target = np.random.default_rng(0).integers(0, 2, (200, 3)).astype(np.int8)
    first, again, other = (
        cut_by_labels(np.arange(200), target, SHARES, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_of_many_units_common_labels_are_left_to_chance(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deal_labels, "ONE_BY_ONE", 50)
    target = np.zeros((2000, 2), np.int8)
    target[:10, 0], target[500:, 1] = 1, 1
    part_of = cut_by_labels(np.arange(2000), target, SHARES, np.random.default_rng(0))
    assert shares_of(part_of, target)[:, 0].tolist() == [8, 1, 1]
    assert np.bincount(part_of).tolist() == [1600, 200, 200]


def test_sets_are_numbered_and_missing_ones_are_not():
    codes = set_codes(np.array([[0, 1], [1, 1], [0, 1], [-1, -1], [0, 0]], np.int8))
    assert codes[0] == codes[2]
    assert codes[3] == -1
    assert len(set(codes.tolist())) == 4
