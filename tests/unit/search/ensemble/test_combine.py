"""Greedy weighting: by hand, and what must always hold of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from assay.evaluate.selection import draws
from assay.search.ensemble.combine import greedy_shares, guarded_shares, mixture_loss, steps_that_hold


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


# The guard ------------------------------------------------------------------------------------------------------------


def _drawn(rows, samples=30):
    return np.concatenate(list(draws(rows, samples, 0)))


def _with_noise(rng, rows, noise):
    """Two models that each know a half of what there is to know, and are right about it; and models that know nothing.

    What they know is calibrated: else useless models would help by shrinking the answer.
    """
    first, second = rng.normal(size=(2, rows))
    target = first + second + rng.normal(size=rows)
    return target, [first, second, *rng.normal(size=(noise, rows))]


def _held_out(shares, predictions, target, rows):
    mixed = sum(share * each[rows] for share, each in zip(shares, predictions, strict=True))
    return mixture_loss(mixed, target[rows], None)


def test_two_hundred_useless_models_do_not_lower_the_held_out_score():
    guarded, without = [], []
    for seed in range(5):
        target, predictions = _with_noise(np.random.default_rng(seed), 2_200, 200)
        chosen_by, judged_by = np.arange(200), np.arange(200, 2_200)
        seen = [each[chosen_by] for each in predictions]
        few = guarded_shares(seen, target[chosen_by], draws=_drawn(200, 20)).shares
        pure = greedy_shares(seen[:2], target[chosen_by])
        guarded.append(_held_out(few, predictions, target, judged_by))
        without.append(_held_out(pure, predictions[:2], target, judged_by))
    assert np.mean(guarded) < 1.01 * np.mean(without)


def test_steps_are_left_out_only_where_all_of_them_are_clearly_worse_by_hand():
    best, last = np.array([1.0, 1.0, 1.0]), np.array([1.1, 1.2, 1.3])
    assert steps_that_hold(np.stack([best + 0.5, best, last])) == 2
    doubtful = np.array([0.9, 1.3, 0.9])  # worse by 0.033, give or take 0.17
    assert steps_that_hold(np.stack([best + 0.5, best, doubtful])) == 3
    assert steps_that_hold(np.stack([best, best - 0.1])) == 2
    assert steps_that_hold(np.ones((4, 1))) == 4


def test_steps_that_hold_are_kept():
    rng = np.random.default_rng(0)
    target = rng.normal(size=2_000)
    predictions = [target + rng.normal(size=2_000) for _ in range(4)]  # equally good: the mean is best
    found = guarded_shares(predictions, target, draws=_drawn(2_000))
    assert found.shares == pytest.approx([0.25] * 4, abs=0.05)
    assert found.steps == len(found.outside) == 40


def test_draws_choose_what_they_would_have_chosen_alone():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 90)
    predictions = [rng.dirichlet(np.ones(3), size=90) for _ in range(4)]
    weights = _drawn(90, 5)
    found = guarded_shares(predictions, target, draws=weights, rounds=6)
    for shares, weight in zip(found.drawn, weights, strict=True):
        assert shares == pytest.approx(greedy_shares(predictions, target, weight, rounds=found.steps), abs=1e-6)


def test_rows_that_are_drawn_from_may_be_some():
    rng = np.random.default_rng(0)
    target = rng.normal(size=100)
    predictions = [target + rng.normal(size=100) for _ in range(3)]
    some_rows = np.arange(0, 100, 2)
    found = guarded_shares(predictions, target, draws=_drawn(50), rows=some_rows)
    assert found.shares.tolist() == greedy_shares(predictions, target, rounds=found.steps).tolist()
    assert found.drawn.shape == (30, 3)


def test_a_draw_that_cannot_choose_says_what_all_rows_say():
    target = np.array([0.0, 0.0])
    found = guarded_shares([np.array([0.0, 2.0]), np.array([1.0, 1.0])], target, draws=np.array([[1.0, 1.0]]))
    assert np.isnan(found.outside).all()
    assert found.drawn[0].tolist() == found.shares.tolist() == [0.0, 1.0]
