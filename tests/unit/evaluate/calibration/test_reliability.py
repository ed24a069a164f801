"""The smooth calibration error, and tests of errors against those of calibrated models."""

import numpy as np
import pytest

from assay.evaluate.calibration.reliability import in_words, note_reliability, null_tests, smooth_ece
from assay.evaluate.plain_metrics import ece
from assay.ledger import Ledger, Outcome


def rows(count, state=lambda p: p, seed=0):
    """Outcomes of `p` and what is stated of them, (n,) and (n, 2)."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 2, count)
    q = state(p)
    return (rng.random(count) < p).astype(int), np.stack([1 - q, q], axis=1)


def by_hand(truth, stated):
    """The definition: residuals smoothed by a reflected Gaussian on a fine grid, its width found by bisection."""
    grid = (np.arange(2000) + 0.5) / 2000
    residual, p = truth - stated, stated

    def error(width):
        kernel = sum(
            np.exp(-((grid[:, None] - image[None]) ** 2) / (2 * width**2))
            for shift in (-2, 0, 2)
            for image in (p + shift, shift - p)
        ) / (width * np.sqrt(2 * np.pi))
        return np.abs(kernel @ residual / len(p)).mean()

    low, high = 1e-3, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) > middle else (low, middle)
    return low


@pytest.mark.parametrize("state", [lambda p: p, lambda p: p**2, lambda p: 0.2 + 0.6 * p])
def test_the_smooth_error_is_that_of_its_definition(state):
    truth, stated = rows(150, state)
    assert smooth_ece(truth, stated) == pytest.approx(by_hand(truth, stated[:, 1]), rel=0.02)


def test_the_smooth_error_of_a_constant_gap_is_the_gap():
    stated = np.tile([0.3, 0.7], (1000, 1))
    truth = np.arange(1000) % 10 < 5
    assert smooth_ece(truth, stated) == pytest.approx(0.2, abs=0.002)
    assert smooth_ece(truth, stated, np.full(1000, 3.0)) == pytest.approx(0.2, abs=0.002)
    assert np.isnan(smooth_ece(np.empty(0, int), np.empty((0, 2))))


def test_weights_are_repeated_rows():
    truth, stated = rows(300)
    times = np.random.default_rng(1).integers(0, 4, 300)
    repeated = smooth_ece(np.repeat(truth, times), np.repeat(stated, times, axis=0))
    assert smooth_ece(truth, stated, times.astype(float)) == pytest.approx(repeated, rel=1e-6)


def test_a_calibrated_model_is_seldom_accused_and_a_distorted_one_is():
    alarms = [[t.is_miscalibrated for t in null_tests(*rows(400, seed=seed), draws=99)] for seed in range(60)]
    assert 0 < np.mean(alarms, axis=0)[0] + np.mean(alarms, axis=0)[1] < 0.3
    for test in null_tests(*rows(2000, lambda p: p**2)):
        assert test.is_miscalibrated
        assert test.p_value == pytest.approx(1 / 500)
        assert test.value > 2 * test.null


def test_the_null_is_what_few_rows_have_by_chance():
    """Outcomes drawn row by row, and the metric itself."""
    p = (np.arange(200) + 0.5) / 200
    stated = np.stack([1 - p, p], axis=1)
    rng = np.random.default_rng(0)
    expected = [ece((rng.random(200) < p).astype(int), stated) for _ in range(2000)]
    test = null_tests((rng.random(200) < p).astype(int), stated)[0]
    assert test.null_mean == pytest.approx(np.mean(expected), rel=0.05)
    assert test.null == pytest.approx(np.quantile(expected, 0.95), rel=0.05)


def test_weighted_rows_are_drawn_one_by_one():
    truth, stated = rows(500)
    equal = null_tests(truth, stated, np.full(500, 2.0))
    plain = null_tests(truth, stated)
    for one, other in zip(equal, plain, strict=True):
        assert one.value == pytest.approx(other.value)
        assert one.null == pytest.approx(other.null, rel=0.1)
    # A few rows that weigh most are as few rows.
    uneven = np.where(np.arange(500) < 25, 100.0, 1.0)
    assert null_tests(truth, stated, uneven)[0].null > 2 * plain[0].null


def test_many_classes_are_tested_by_the_likeliest():
    rng = np.random.default_rng(0)
    stated = rng.dirichlet([1, 1, 1], 2000)
    truth = (stated.cumsum(axis=1) < rng.random((2000, 1))).sum(axis=1).clip(max=2)
    found = null_tests(truth, stated)
    assert found[0].value == pytest.approx(ece(truth, stated))
    assert not found[1].is_miscalibrated


def test_verdicts_say_both_numbers():
    ledger = Ledger()
    note_reliability(null_tests(*rows(1000)), ledger)
    verdict = ledger["evaluate.reliability"]
    assert verdict.outcome is Outcome.PASSED
    assert "the model cannot be told from a calibrated model on 1,000 rows (ECE 0.0" in verdict.reason
    note_reliability(null_tests(*rows(1000, lambda p: p**3)), ledger)
    assert ledger["evaluate.reliability"].outcome is Outcome.WARNED
    assert "is miscalibrated by 0." in ledger["evaluate.reliability"].reason
    note_reliability((), ledger)
    assert ledger["evaluate.reliability"].outcome is Outcome.NOT_APPLICABLE
    assert null_tests(np.empty(0, int), np.empty((0, 2))) == ()
    assert in_words(()) == "calibration was not tested"


def test_one_row_and_certain_rows_are_no_error():
    for truth, stated in (([1], [[0.4, 0.6]]), ([0, 1], [[1.0, 0.0], [0.0, 1.0]])):
        for test in null_tests(np.array(truth), np.array(stated)):
            assert np.isfinite([test.value, test.null, test.p_value]).all()
            assert not test.is_miscalibrated
