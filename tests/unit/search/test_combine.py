"""Greedy weighting: by hand, and what must always hold of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from assay.search.combine import greedy_shares, mixture_loss


def test_the_losses_are_log_loss_and_mean_squared_error():
    probabilities = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert mixture_loss(probabilities, np.array([0, 0]), None) == pytest.approx(-np.log([0.5, 0.1]).mean())
    assert mixture_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0]), np.array([3.0, 1.0])) == pytest.approx(3.0)


def test_a_probability_of_zero_is_a_finite_loss():
    assert np.isfinite(mixture_loss(np.array([[0.0, 1.0]]), np.array([0]), None))


def test_the_only_model_is_all():
    assert greedy_shares([np.array([1.0, 2.0])], np.array([0.0, 0.0])).tolist() == [1.0]


def test_what_never_helps_is_dropped():
    target = np.array([1.0, 2.0, 3.0])
    assert greedy_shares([target + 5.0, target, target - 7.0], target).tolist() == [0.0, 1.0, 0.0]


def test_errors_that_cancel_are_mixed_in_their_ratio():
    target = np.zeros(4)
    too_high, too_low = np.full(4, 1.0), np.full(4, -3.0)
    # 3/4 of the one and 1/4 of the other is exact, and is reached with four models.
    assert greedy_shares([too_high, too_low], target, rounds=4).tolist() == [0.75, 0.25]


def test_rows_without_weight_do_not_count():
    target = np.array([0.0, 0.0])
    first, second = np.array([0.0, 9.0]), np.array([9.0, 0.0])
    assert greedy_shares([first, second], target, np.array([1.0, 0.0])).tolist() == [1.0, 0.0]


@given(some.integers(0, 10_000), some.integers(1, 5), some.booleans())
def test_the_mixture_is_never_worse_than_the_best_model(seed, models, classes):
    rng = np.random.default_rng(seed)
    if classes:
        predictions = [rng.dirichlet(np.ones(3), size=20) for _ in range(models)]
        target = rng.integers(0, 3, 20)
    else:
        predictions, target = [rng.normal(size=20) for _ in range(models)], rng.normal(size=20)
    shares = greedy_shares(predictions, target)
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0.0).all()
    mixed = sum(share * each for share, each in zip(shares, predictions, strict=True))
    best = min(mixture_loss(each, target, None) for each in predictions)
    assert mixture_loss(mixed, target, None) <= best * (1 + 1e-9) + 1e-12
