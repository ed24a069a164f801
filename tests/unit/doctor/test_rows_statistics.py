"""Statistics of rows: each triggers where it should, and not where it should not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from assay.doctor import forest_statistics as forest
from assay.doctor import rows_statistics as of
from assay.doctor.rules import RULES

RNG = np.random.default_rng(0)
PLAIN = RNG.normal(size=(400, 5))
LABELS = (PLAIN[:, 0] + PLAIN[:, 1] > 0).astype(np.int64)


def fires(rule: str, value: float) -> bool:
    return RULES[rule].fires(value)


def test_numbers_that_are_not_finite_are_counted():
    assert of.non_finite(np.array([1.0, np.nan, np.inf, -np.inf])) == 3
    assert of.non_finite(np.array([1, 2])) == 0


def test_scale_is_the_power_of_ten_of_the_largest_column():
    wide = PLAIN.copy()
    wide[:, 2] = wide[:, 2] * 100 + 300
    assert not fires("data.scale", of.scale(PLAIN))
    assert of.scale(wide) == pytest.approx(np.log10(np.sqrt((wide[:, 2] ** 2).mean())))
    assert fires("data.scale", of.scale(PLAIN / 1000))
    assert of.scale((PLAIN > 0) * 1000.0) == 0.0  # flags have no scale


def test_the_scale_of_a_target_takes_notice_of_its_mean():
    assert of.target_scale(np.array([-1.0, 1.0])) == 0.0
    assert of.target_scale(np.array([999.0, 1001.0])) == pytest.approx(3.0, abs=1e-6)


def test_a_value_far_out_is_measured_by_the_others():
    corrupt = PLAIN.copy()
    corrupt[7, 1] = 1e4
    assert of.farthest(PLAIN) < 6
    assert of.farthest(corrupt) == pytest.approx(1e4 / np.delete(corrupt[:, 1], 7).std(), rel=0.01)


@given(some.arrays(np.float64, (12, 2), elements=st.floats(-5, 5)))
def test_shares_are_between_0_and_1(rows):
    hashes = of.keys(rows)
    assert 0 <= of.duplicate_share(hashes) <= 1
    assert of.overlap_share(hashes, hashes) == pytest.approx(1 - of.duplicate_share(hashes))
    assert 0 <= of.constant_share(rows) <= 1


def test_copies_within_and_between_parts_are_counted():
    hashes = of.keys(np.array([[1.0], [2.0], [2.0], [3.0]]))
    assert of.duplicate_share(hashes) == 0.25
    assert of.overlap_share(of.keys(np.array([[1.0], [5.0]])), hashes) == 0.25
    assert of.overlap_share(hashes, of.keys(np.array([[9.0]]))) == 0.0


def test_near_copies_are_nearer_than_rows_are_to_each_other():
    near = PLAIN[:100] + 1e-3 * RNG.normal(size=(100, 5))
    assert fires("data.near-overlap", of.near_overlap(PLAIN, near))
    assert not fires("data.near-overlap", of.near_overlap(PLAIN, RNG.normal(size=(200, 5))))


def test_conflicts_are_equal_rows_with_other_targets():
    rows = np.array([[1.0], [1.0], [2.0], [2.0]])
    assert of.conflict_share(of.keys(rows), np.array([0, 1, 1, 1])) == 0.5


@pytest.mark.parametrize("classes", [True, False])
def test_a_column_that_is_the_target_is_found(classes):
    targets = LABELS if classes else PLAIN[:, 0] * 3
    rows = np.column_stack([RNG.normal(size=(400, 3)), targets])
    value, column = of.best_column(rows, targets, classes=classes)
    assert column == 3
    assert value == pytest.approx(1.0, abs=1e-6)
    assert not fires("data.leak", of.best_column(PLAIN[:, 1:], targets, classes=classes)[0])


def test_mixtures_of_targets_are_compared():
    even, odd = np.repeat([0, 1], 200), np.repeat([0, 1], [300, 100])
    assert of.prevalence_gap(even, even, classes=True) == 0.0
    assert fires("data.prevalence", of.prevalence_gap(even, odd, classes=True))
    assert fires("data.prevalence", of.prevalence_gap(PLAIN[:, 0], PLAIN[:, 1] + 1, classes=False))


@pytest.mark.parametrize("classes", [True, False])
def test_rows_in_the_order_of_their_target_are_noticed(classes):
    targets = LABELS if classes else PLAIN[:, 0]
    batches = np.arange(400) // 20
    assert of.order_of(batches, targets, classes=classes) == 0.0
    assert of.order_of(batches, np.sort(targets), classes=classes) > 0.9


def test_association_of_a_perfect_table_is_1():
    assert of.association(np.diag([50, 50, 50]), alpha=0.01) == pytest.approx(1.0, abs=0.02)
    assert of.association(np.full((3, 3), 20), alpha=0.01) == 0.0


def test_imbalance_and_misfits():
    assert of.imbalance(np.array([0] * 90 + [1] * 9)) == 0.1
    assert of.misfits(np.array([0, 1, 2]), 3) == 0
    assert of.misfits(np.array([1, 2, 3]), 3) == 2  # one outside, and none is 0
    assert of.misfits(np.array([0, 2]), 3) == 0  # a class that no row has


def test_a_forest_finds_what_there_is_to_learn():
    seen = forest.out_of_fold(PLAIN, LABELS, classes=True)
    assert not fires("data.no-signal", forest.signal(*seen, classes=True))
    assert not fires("data.label-noise", forest.contradicted(*seen))
    shuffled = forest.out_of_fold(PLAIN, RNG.permutation(LABELS), classes=True)
    assert fires("data.no-signal", forest.signal(*shuffled, classes=True))


def test_a_forest_contradicts_labels_that_were_turned():
    turned = LABELS.copy()
    turned[RNG.random(400) < 0.25] ^= 1
    assert fires("data.label-noise", forest.contradicted(*forest.out_of_fold(PLAIN, turned, classes=True)))


def test_a_forest_tells_parts_apart_only_where_they_differ():
    other = RNG.normal(size=(300, 5))
    assert not fires("data.drift", forest.apartness(PLAIN, other))
    assert fires("data.drift", forest.apartness(PLAIN, other * 3 + 1))
