"""Statistics of a training, by hand."""

import math

import numpy as np
import pytest

from assay.doctor import run_statistics as of

RNG = np.random.default_rng(0)


def test_a_jump_is_counted_in_usual_sizes():
    steady = [1.0 + 0.01 * (step % 5) for step in range(60)]
    assert of.jump(steady) == 0.0
    assert of.jump([*steady, 200.0]) == pytest.approx(200 / 1.02, rel=0.01)
    assert of.jump([1.0, 900.0, 1.0]) == 0.0  # too few steps to know what is usual


def test_a_rise_has_to_be_above_chance_and_training_to_fall():
    valid, errors, train = [1.0, 0.5, 1.0], [0.1, 0.1, 0.1], [1.0, 0.5, 0.1]
    assert of.rise(valid, errors, train) == pytest.approx(1.0)
    assert of.rise(valid, [0.1, 0.1, 0.3], train) == 0.0
    assert of.rise(valid, errors, [1.0, 0.5, 0.9]) == 0.0
    assert of.rise([1.0, 0.8, 0.7], errors, train) == 0.0


def test_ratios_are_powers_of_ten():
    assert of.ratio_log10([1.0, 100.0, 10.0]) == pytest.approx(2.0)
    assert of.ratio_log10([1.0]) == 0.0
    assert math.isinf(of.ratio_log10([0.0, 1.0]))


def test_gain_in_standard_errors():
    ours, theirs = np.array([1.0, 1.0, 1.0, 1.0]), np.array([2.0, 3.0, 2.0, 3.0])
    assert of.gain_in_errors(ours, theirs) == pytest.approx(1.5 / (np.std([1, 2, 1, 2], ddof=1) / 2))
    assert of.gain_in_errors(ours, ours) == 0.0
    assert of.gain_in_errors(ours, ours + 1) == 99.0


def test_calibrated_answers_have_no_excess():
    share = RNG.uniform(0.05, 0.95, 2000)
    labels = (RNG.random(2000) < share).astype(np.int64)
    assert of.calibration_excess(np.column_stack([1 - share, share]), labels) == 0.0
    bold = np.where(share > 0.5, 0.99, 0.01)
    assert of.calibration_excess(np.column_stack([1 - bold, bold]), labels) > 0.1


def test_membership_is_seen_in_small_losses():
    others = RNG.exponential(size=500)
    assert of.membership(RNG.exponential(size=500), others) < 0.05
    assert of.membership(np.zeros(500), others) > 0.95
    assert of.membership(np.zeros(500), others[:50]) == 0.0  # too few to know 1 % by
