"""Sets and intervals as a model lays them around its answers: by hand, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.regions import Limit, Regions, Shape, set_scores, shape_features

SHARES = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])


def regions(kind, limit, **more):
    return Regions(kind=kind, coverage=0.9, limit=Limit(value=limit, rows=100), **more)


def test_scores_of_classes_by_hand():
    assert set_scores("lac", SHARES) == pytest.approx(1.0 - SHARES)
    assert set_scores("aps", SHARES) == pytest.approx(np.array([[0.0, 0.5, 0.8], [0.8, 0.0, 0.9]]))
    assert set_scores("raps", SHARES, penalty=0.1, free=1) == pytest.approx(
        np.array([[0.0, 0.6, 1.0], [0.9, 0.0, 1.1]])
    )  # ties in the order of the classes


def test_sets_by_hand():
    assert regions("lac", 0.75).sets(SHARES).tolist() == [[True, True, False], [False, True, False]]
    assert regions("aps", 0.55).sets(SHARES).tolist() == [[True, True, False], [False, True, False]]
    assert regions("raps", 0.65, penalty=0.1, free=1).sets(SHARES).tolist() == [
        [True, True, False], [False, True, False]
    ]  # fmt: skip


def test_the_likeliest_class_is_in_every_set():
    assert regions("lac", 0.01).sets(SHARES).tolist() == [[True, False, False], [False, True, False]]


def test_probabilities_of_a_saved_model_give_the_same_sets():
    limit = float(np.float64(1.0) - SHARES[0, 1])
    shifted = (SHARES + np.array([3e-7, -3e-7, 0.0])).astype(np.float32)
    assert (regions("lac", limit).sets(SHARES) == regions("lac", limit).sets(shifted)).all()


def test_groups_have_limits_of_their_own():
    own = {"a": Limit(value=0.1, rows=50), "b": Limit(value=0.9, rows=50)}
    found = regions("lac", 0.6, column="g", groups=own, others=Limit(value=0.75, rows=9))
    assert found.limits(["a", "b", "new", None], 4).tolist() == [0.1, 0.9, 0.75, 0.75]
    assert found.model_copy(update={"others": None}).limits(["new"], 1).tolist() == [0.6]
    shares = np.tile(SHARES[:1], (3, 1))
    assert found.sets(shares, ["a", "b", "new"]).sum(axis=1).tolist() == [1, 3, 2]


def test_classes_have_limits_of_their_own():
    by_class = tuple(Limit(value=value, rows=50) for value in (0.4, 0.75, 0.9))
    found = regions("lac", 0.6, column="target", by_class=by_class)
    assert found.asks_for is None
    assert found.sets(SHARES).tolist() == [[True, True, True], [False, True, True]]


def test_absolute_intervals_by_hand():
    low, high = regions("absolute", 2.0).bounds(np.array([1.0, 5.0]))
    assert low == pytest.approx([-1.0, 3.0])
    assert high == pytest.approx([3.0, 7.0])


def features(values, shape):
    return shape_features(values, shape, np.zeros(len(values)), np.zeros((len(values), 0)))


def test_normalised_intervals_are_in_units_of_the_difficulty():
    shape = Shape(center=0.0, spread=1.0, unit=2.0, scale=(0.0, 1.0, 0.0, 0.0, 0.0), least=0.5, most=10.0)
    values = np.array([0.0, 1.0, -4.0, 4.0])
    found = regions("normalised", 3.0, shape=shape)
    low, high = found.bounds(values, features(values, shape))
    assert (high - low) / 2.0 == pytest.approx([6.0, 6.0 * np.e, 3.0, 60.0])  # the last two at the ends
    scores = found.scores(values, values + np.array([2.0, -2.0, 1.0, 20.0]), features(values, shape))
    assert scores == pytest.approx([1.0, 1.0 / np.e, 1.0, 1.0])


def test_quantile_intervals_may_be_lopsided_and_never_cross():
    shape = Shape(center=0.0, spread=1.0, unit=1.0, low=(-1.0, 0, 0, 0, 0), high=(3.0, 0, 0, 0, 0))
    values = np.array([10.0])
    found = regions("cqr", 0.5, shape=shape)
    low, high = found.bounds(values, features(values, shape))
    assert (low[0], high[0]) == pytest.approx((8.5, 13.5))
    assert found.scores(values, np.array([14.0]), features(values, shape)).tolist() == [1.0]
    assert found.scores(values, np.array([11.0]), features(values, shape)).tolist() == [-2.0]
    low, high = found.model_copy(update={"limit": Limit(value=-9.0, rows=9)}).bounds(values, features(values, shape))
    assert low[0] == high[0] == pytest.approx(11.0)


@given(st.sampled_from(["lac", "aps", "raps"]), st.integers(2, 6), st.floats(0.0, 1.2), st.integers(0, 10_000))
def test_a_larger_limit_never_takes_a_class_away(kind, classes, limit, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(classes), 20)
    smaller, larger = (regions(kind, value, penalty=0.05, free=1).sets(shares) for value in (limit, limit + 0.1))
    assert (larger | ~smaller).all()
    assert smaller.any(axis=1).all()


@pytest.mark.parametrize("kind", ["lac", "aps", "raps"])
def test_a_truth_is_held_where_its_score_is_within_the_limit(kind):
    rng = np.random.default_rng(0)
    shares, truth = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    found = regions(kind, 0.8, penalty=0.02, free=2)
    held = found.sets(shares)[np.arange(300), truth]
    within = found.scores(shares, truth) <= 0.8 + 1e-5
    assert (held == (within | (shares.argmax(1) == truth))).all()


def test_regions_travel_as_json():
    found = regions("raps", 0.7, penalty=0.1, free=2, column="g", groups={"a": Limit(value=0.5, rows=10)})
    assert Regions.from_json(found.to_json(), "here") == found


def test_no_rows_have_no_sets():
    assert regions("aps", 0.5).sets(np.empty((0, 3))).shape == (0, 3)
