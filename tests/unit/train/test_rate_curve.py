import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import ConfigError
from assay.train.config import TrainConfig
from assay.train.rate_curve import (
    ALL_STEPS,
    DIVERGED,
    RateCurve,
    Running,
    Sweep,
    Walk,
    curve,
    falling,
    steepest,
    sweep_for,
    tenth,
    valley,
)

RATES = tuple(10.0**k for k in range(-8, 2))


def test_rates_grow_by_one_factor_and_end_exactly():
    assert Sweep(1e-3, 1.0, 4).rates == pytest.approx((1e-3, 1e-2, 1e-1, 1.0), rel=1e-12)
    assert Sweep(1e-6, 10.0, 120).rates[-1] == 10.0


def test_a_sweep_suits_the_optimiser_and_the_rate_used():
    assert sweep_for(TrainConfig(), 2e-3, 120, None, None) == Sweep(1e-6, 1.0, 120)
    assert sweep_for(TrainConfig(optimiser="sgd"), 2e-3, 120, None, None) == Sweep(1e-6, 10.0, 120)
    assert sweep_for(TrainConfig(), 0.2, 120, None, None).high == pytest.approx(4.0)
    assert sweep_for(TrainConfig(), 1e-5, 120, None, None).low == pytest.approx(1e-7)
    assert sweep_for(TrainConfig(), 90.0, 120, None, None).high == 100.0
    assert sweep_for(TrainConfig(), 2e-3, 24, 1e-4, 0.5) == Sweep(1e-4, 0.5, 24)


@pytest.mark.parametrize(
    ("steps", "low", "high", "message"),
    [
        (23, None, None, "from 24 to 2,000 steps, but 23 were asked for"),
        (2001, None, None, "2,001 were asked for"),
        (120, 0.0, None, "they go from 0 to 1"),
        (120, 1.0, 0.1, "they go from 1 to 0.1"),
        (120, None, 200.0, "they go from 1e-06 to 200"),
        (120, math.nan, None, "they go from nan to 1"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(steps, low, high, message):
    with pytest.raises(ConfigError, match=message):
        sweep_for(TrainConfig(), 2e-3, steps, low, high)


def test_the_running_mean_is_corrected_for_its_beginning():
    running = Running(40)  # a twentieth of 40 steps: a decay of a half
    assert running.decay == 0.5
    assert [running.after(loss) for loss in (4.0, 1.0, 1.0)] == pytest.approx([4.0, 2.0, 10.0 / 7.0])


def test_the_mean_is_lost_when_it_is_more_than_four_times_its_best():
    running = Running(20)  # no memory
    running.after(1.0)
    running.after(4.0)
    assert not running.is_lost
    running.after(4.01)
    assert running.is_lost
    assert running.best == 1.0


@given(st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=30), st.integers(24, 2000))
def test_a_running_mean_lies_between_the_losses(losses, steps):
    running = Running(steps)
    for place, loss in enumerate(losses):
        seen = losses[: place + 1]
        assert min(seen) * (1 - 1e-9) <= running.after(loss) <= max(seen) * (1 + 1e-9)


def test_the_valley_is_the_middle_of_the_longest_descent():
    # Falls from place 2 to 8: seven points, which count as beginning at 8 - 7 = 1; 1 + 2 + 1 = 4.
    smoothed = (5.0, 5.1, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 9.0)
    assert valley(RATES, smoothed) == RATES[4]


def test_a_bump_within_the_descent_does_not_break_it():
    # 9, 8, 7, 6, 5, 4: six points around the bump, ending at 7; they count as beginning at 1; 1 + 2 + 1 = 4.
    smoothed = (9.0, 8.0, 8.5, 7.0, 6.0, 5.5, 5.0, 4.0, 20.0, 30.0)
    assert valley(RATES, smoothed) == RATES[7 - 7 + 2 + 1]


def reference_valley(lrs, losses):
    """As fastai 2.8 has it in callback/schedule.py, in plain numbers."""
    n = len(losses)
    max_start, max_end = 0, 0
    lds = [1] * n
    for i in range(1, n):
        for j in range(i):
            if (losses[i] < losses[j]) and (lds[i] < lds[j] + 1):
                lds[i] = lds[j] + 1
            if lds[max_end] < lds[i]:
                max_end = i
                max_start = max_end - lds[max_end]
    if max_start < 0:  # all points up to its end are in the valley: fastai then counts from the end of the rates
        return None
    sections = (max_end - max_start) / 3
    return lrs[max_start + int(sections) + int(sections / 2)]


@given(st.lists(st.integers(0, 60), min_size=3, max_size=40))
def test_the_valley_is_that_of_fastai(losses):
    rates = tuple(1.1**k for k in range(len(losses)))
    expected = reference_valley(rates, losses)
    assert expected is None or valley(rates, losses) == expected


def test_the_steepest_fall_is_by_the_logarithm_of_the_rate():
    rates = (1e-3, 1e-2, 2e-2, 1e-1, 1.0, 10.0)
    # 1.0 over a decade; 0.5 over log10 2 = 0.3 of one, the steepest; 0.8 over 0.7 of one.
    assert steepest(rates, (4.0, 3.0, 2.5, 1.7, 1.6, 5.0)) == 1e-2
    # What falls after the least loss is chance.
    assert steepest(rates, (4.0, 3.0, 2.5, 1.7, 9.0, 2.0)) == 1e-2


def test_the_tenth_of_the_rate_with_the_least_loss():
    assert tenth((1e-3, 1e-2, 1e-1), (3.0, 1.0, 2.0)) == pytest.approx(1e-3)


def test_a_flat_or_rising_loss_has_no_descent():
    assert not falling([1.0] * 20)
    assert not falling([1.0 + 0.1 * k for k in range(20)])
    assert not falling([1.0 - 1e-4 * k for k in range(20)])  # 0.2 per cent in all
    assert not falling([])
    assert falling([1.0 - 1e-2 * k for k in range(20)])


def bowl(least=1e-2, steps=100):
    """A loss that falls until `least` and rises beyond, on five decades, without noise."""
    rates = Sweep(1e-5, 1.0, steps).rates
    losses = [1.0 + 0.2 * (math.log10(rate / least)) ** 2 for rate in rates]
    return Walk(rates, tuple(losses), ALL_STEPS)


def test_a_curve_holds_what_is_read_off_it():
    found = curve("mlp", bowl(), steps=100, used=2e-3)
    assert found.suggestion == found.valley
    # The descent is from the eleventh rate, at 10^-4.5, to 10^-2: the middle is at 10^-3.2; the mean lags a little.
    assert 3e-4 < found.valley < 2e-3
    assert found.tenth == pytest.approx(1e-3, rel=1.0)
    assert found.steepest < found.valley
    assert not found.is_far
    assert len(found.smoothed) == len(found.losses) == 100


def test_a_curve_that_does_not_fall_suggests_nothing():
    walk = Walk(Sweep(1e-5, 1.0, 40).rates, (1.0,) * 40, ALL_STEPS)
    found = curve("mlp", walk, steps=40, used=2e-3)
    assert (found.valley, found.steepest, found.tenth, found.is_far) == (None, None, None, False)
    assert curve("mlp", Walk((), (), DIVERGED, 1e-6), steps=40, used=2e-3).suggestion is None


@pytest.mark.parametrize(("used", "far"), [(1e-2, False), (1e-3, False), (0.99e-3, True), (0.1, False), (0.11, True)])
def test_far_is_more_than_a_factor_of_ten(used, far):
    found = RateCurve(network="a", rates=(), losses=(), smoothed=(), used=used, ended="", valley=1e-2)
    assert found.is_far is far


def test_a_curve_travels_as_json():
    found = curve("mlp", bowl(), steps=100, used=2e-3)
    assert RateCurve.from_json(found.to_json(), "here") == found
