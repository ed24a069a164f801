"""Power laws through learning curves: known ones are found, and intervals hold the truth about as often as they say."""

from itertools import pairwise

import numpy as np
import pytest

from assay.evaluate.learning_curve import REPEATS, SHARES, draws
from assay.evaluate.power_law import fit_power_law, gain_of_more

SIZES = np.array([500.0, 1000.0, 2000.0, 4000.0])


def curve(a, b, c, noise, seed):
    rng = np.random.default_rng(seed)
    law = a * (SIZES / SIZES.max()) ** -b + c
    return law[:, None] + noise * rng.standard_normal((4, 3))


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 0.4, 0.2), (0.05, 0.5, 0.0), (0.2, 0.3, 0.05)])
def test_a_clean_law_is_found(a, b, c):
    law = fit_power_law(SIZES, curve(a, b, c, 1e-6, 0))
    for rows in (500, 4000, 8000):
        assert law.at(rows) == pytest.approx(a * (rows / 4000) ** -b + c, rel=0.02)


def test_a_flat_curve_promises_nothing():
    gain = gain_of_more(SIZES, curve(0.0, 0.4, 0.3, 0.003, 1), 4000, 8000, confidence=0.95, seed=0)
    assert gain.low < 0.0 < gain.high
    assert abs(gain.value) < 0.005


def test_intervals_hold_the_gain():
    held = 0
    for seed in range(60):
        b = 0.2 + 0.4 * np.random.default_rng(seed).random()
        truth = 0.1 * (1 - 2.0**-b)
        gain = gain_of_more(SIZES, curve(0.1, b, 0.1, 0.004, seed), 4000, 8000, confidence=0.95, seed=seed)
        held += gain.low <= truth <= gain.high
        assert gain.low <= gain.value <= gain.high
    assert held >= 52  # at 95 % fewer happen once in a hundred times


def test_no_error_is_below_zero():
    law = fit_power_law(SIZES, curve(0.02, 1.4, 0.0, 1e-4, 2))
    assert law.c >= 0.0
    assert law.at(1e9) >= 0.0


def test_larger_draws_hold_the_smaller_ones():
    learns = draws(800, 100, 0)
    assert learns.shape == (len(SHARES) * REPEATS, 900)
    assert learns[:, 800:].sum() == 0
    assert learns.sum(1).tolist() == [100] * 3 + [200] * 3 + [400] * 3 + [800] * 3
    for repeat in range(REPEATS):
        own = learns[repeat::REPEATS]
        assert all((small <= large).all() for small, large in pairwise(own))
