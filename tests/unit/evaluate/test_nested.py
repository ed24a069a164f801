"""Nested cross-validation: the corrected interval by hand, and that an outer fold never sees the rows it judges."""

import numpy as np
import pytest

from assay.evaluate.nested import mean_of_folds


def test_the_interval_is_that_of_nadeau_and_bengio_by_hand():
    found = mean_of_folds([0.8, 0.9, 0.7], 0.5, 0.95)
    # S^2 = 0.01; (1/3 + 1/2) 0.01 has the root 0.091287; t of 2 degrees is 4.302653.
    assert found.value == pytest.approx(0.8)
    assert found.high - found.value == pytest.approx(4.302653 * 0.0912871, rel=1e-5)
    assert found.method == "mean of 3 outer folds, corrected t"


def test_of_one_fold_there_is_no_interval_and_of_none_no_mean():
    assert mean_of_folds([0.8, float("nan")], 0.5, 0.95).low is None
    assert mean_of_folds([0.8], 0.5, 0.95).value == 0.8
    assert mean_of_folds([], 0.5, 0.95).value is None


def test_it_is_wider_than_folds_that_share_nothing():
    scores = list(np.linspace(0.7, 0.8, 5))
    shared, apart = (mean_of_folds(scores, ratio, 0.95) for ratio in (0.25, 0.0))
    assert shared.high - shared.low == pytest.approx(1.5 * (apart.high - apart.low))
