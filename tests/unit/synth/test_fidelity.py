"""Distances of distributions and associations, against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.synth.fidelity import correlation_ratio, cramers_v, kolmogorov_smirnov, total_variation

values = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(values, values)
def test_kolmogorov_smirnov_is_that_of_scipy(first, second):
    ours = kolmogorov_smirnov(np.array([*first, np.nan]), np.array(second))
    places = np.arange(-5.0, 6.0)
    below = [stats.ecdf(each).cdf.evaluate(places) for each in (first, second)]
    assert ours == pytest.approx(np.abs(below[0] - below[1]).max())


def test_a_column_that_is_all_missing_is_as_far_as_can_be():
    nothing = np.array([np.nan, np.nan])
    assert kolmogorov_smirnov(nothing, np.array([1.0])) == 1.0
    assert kolmogorov_smirnov(nothing, nothing) == 0.0


def test_total_variation_by_hand():
    assert total_variation(np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.5, 0.3])) == pytest.approx(0.3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=12, max_size=60))
def test_cramers_v_is_that_of_scipy(pairs):
    first, second = np.array(pairs).T
    table = np.zeros((4, 3))
    np.add.at(table, (first, second), 1)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    expected = stats.contingency.association(table.astype(int), method="cramer") if min(table.shape) > 1 else 0.0
    assert cramers_v(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_correlation_ratio_by_hand():
    numbers, codes = np.array([1.0, 3.0, 5.0, 7.0, np.nan]), np.array([0, 0, 1, 1, 1])
    assert correlation_ratio(numbers, codes) == pytest.approx(np.sqrt(16 / 20))
    assert correlation_ratio(np.ones(4), codes[:4]) == 0.0
