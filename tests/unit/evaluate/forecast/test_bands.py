import numpy as np
import pytest

from assay.evaluate.forecast.bands import adaptive_coverage, fit_bands, fixed_coverage


def test_half_widths_are_order_statistics_of_the_errors():
    missed = np.arange(1.0, 20.0)[:, None] * np.array([1.0, 2.0])  # 19 windows, two steps
    flat = np.tile(np.array([0.0, 1.0]), (19, 2))
    bands = fit_bands(missed, flat, 0.9)
    assert not bands.is_relative  # all windows are of one size
    assert bands.half_widths == (18.0, 36.0)  # the ceil(20 * 0.9)th of 19
    assert bands.around(flat).shape == (19, 2)


def test_too_few_windows_take_the_largest_error():
    assert fit_bands(np.array([[3.0], [1.0]]), np.zeros((2, 4)), 0.9).half_widths == (3.0,)


def test_errors_in_proportion_to_the_size_of_windows_make_relative_bands():
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(size=400))
    history = size[:, None] * np.array([0.0, 1.0, 0.0])
    missed = size[:, None] * rng.exponential(size=(400, 2))
    bands = fit_bands(missed, history, 0.8)
    assert bands.is_relative
    held = fixed_coverage(missed, bands.around(history))
    assert held.held == pytest.approx([0.8, 0.8], abs=0.01)
    assert bands.units(np.zeros((1, 3)))[0] == bands.least  # a constant window


@pytest.mark.parametrize("horizon", [1, 5])
def test_adaptive_intervals_keep_their_coverage_when_errors_grow(horizon):
    rng = np.random.default_rng(1)
    calibration = np.abs(rng.normal(size=(300, horizon)))
    scores = np.abs(rng.normal(size=(2000, horizon))) * np.linspace(1.0, 3.0, 2000)[:, None]
    steps, units = np.arange(2000), np.ones(2000)
    fixed = fixed_coverage(scores, np.tile(np.quantile(calibration, 0.9, axis=0), (2000, 1)))
    adaptive = adaptive_coverage(calibration, scores, units, steps, 0.9)
    assert fixed.held.mean() < 0.75
    assert adaptive.held == pytest.approx([0.9] * horizon, abs=0.01)


def test_without_a_rate_they_are_as_fixed():
    rng = np.random.default_rng(2)
    calibration, scores = np.abs(rng.normal(size=(99, 3))), np.abs(rng.normal(size=(50, 3)))
    bands = fit_bands(calibration, np.zeros((99, 2)), 0.9)
    fixed = fixed_coverage(scores, bands.around(np.zeros((50, 2))))
    still = adaptive_coverage(calibration, scores, np.ones(50), np.arange(50), 0.9, rate=0.0)
    assert still.held.tolist() == fixed.held.tolist()
    assert still.half_width == pytest.approx(fixed.half_width)


def test_an_outcome_is_used_only_once_it_is_known():
    calibration = np.arange(1.0, 10.0)[:, None] * np.ones((1, 4))
    scores = np.full((6, 4), 100.0)
    scores[:, 1:] = 0.0
    early = adaptive_coverage(calibration, scores, np.ones(6), np.arange(6), 0.8, rate=0.2)
    assert early.held[0] < 1.0  # one step ahead every outcome misses until the interval is endless
    assert early.held[1:].tolist() == [1.0, 1.0, 1.0]
    later = adaptive_coverage(calibration, scores, np.ones(6), np.arange(6) * 0, 0.8, rate=0.2)
    assert later.held[0] == 0.0  # at one moment nothing is known yet
