"""The rank, the quantile and the chance of split-conformal prediction: by hand, against SciPy, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.evaluate.carried.conformal import Chance, conformal_quantile, fewest_rows, interval_score, rank


@pytest.mark.parametrize(
    ("rows", "coverage", "place"),
    [(9, 0.9, 9), (8, 0.9, 9), (19, 0.9, 18), (99, 0.95, 95), (100, 0.9, 91), (1, 0.5, 1)],
)
def test_the_rank_is_the_ceiling_of_n_plus_one_times_the_coverage(rows, coverage, place):
    assert rank(rows, coverage) == place


@pytest.mark.parametrize(("coverage", "rows"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.8, 4), (0.55, 2)])
def test_fewer_rows_have_no_quantile(coverage, rows):
    assert fewest_rows(coverage) == rows
    assert conformal_quantile(np.arange(float(rows)), coverage) == rows - 1
    assert np.isinf(conformal_quantile(np.arange(rows - 1.0), coverage))


def test_the_quantile_is_of_each_column():
    scores = np.arange(1.0, 20.0)[::-1, None] * np.array([1.0, 2.0])
    assert conformal_quantile(scores, 0.9).tolist() == [18.0, 36.0]


@given(st.integers(1, 400), st.floats(0.51, 0.99))
def test_the_quantile_holds_its_share_of_the_calibration_rows(rows, coverage):
    scores = np.random.default_rng(rows).normal(size=rows)
    limit = conformal_quantile(scores, coverage)
    assert (scores <= limit).mean() >= coverage - 1e-9
    if np.isfinite(limit):
        assert (scores <= limit).sum() == rank(rows, coverage)


def test_the_interval_score_by_hand():
    missed, half = np.array([1.0, 3.0]), np.array([2.0, 2.0])
    assert interval_score(missed, half, 0.9) == pytest.approx(4.0 + 20.0 * 1.0 / 2.0)


@pytest.mark.parametrize(("calibration", "coverage", "rows"), [(99, 0.9, 50), (500, 0.95, 1000), (19, 0.8, 7)])
def test_chance_is_beta_binomial(calibration, coverage, rows):
    place = rank(calibration, coverage)
    theirs = stats.betabinom(rows, place, calibration + 1 - place)
    chance = Chance(calibration, coverage, rows)
    for held in (0, rows // 2, rows - 1, rows):
        assert chance.at_most(held / rows) == pytest.approx(float(theirs.cdf(held)), abs=1e-9)
    low, high = chance.band(0.95)
    assert low == theirs.ppf(0.025) / rows
    assert high == theirs.ppf(0.975) / rows


def test_chance_without_rows_says_nothing():
    assert Chance(100, 0.9, 0).band(0.95) == (0.0, 1.0)
    assert Chance(100, 0.9, 0).at_most(0.0) == 1.0


def test_the_band_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    calibration, rows = 60, 80
    low, high = Chance(calibration, 0.9, rows).band(0.9)
    held = np.array(
        [(rng.random(rows) <= conformal_quantile(rng.random(calibration), 0.9)).mean() for _ in range(3000)]
    )
    inside = ((held >= low) & (held <= high)).mean()
    assert 0.89 <= inside <= 0.96  # the band is of whole rows, so a little wider
