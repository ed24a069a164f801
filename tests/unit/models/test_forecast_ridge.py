"""The linear forecast in closed form: what it finds, and that the network of it gives the same."""

import numpy as np
import pytest
import torch

from assay.models.forecast_ridge import ForecastRidge, LinearForecast, known_ahead, sees_ahead

LENGTH, HORIZON = 12, 4


def windows_of(series, *, known=None):
    """History (n, L), targets (n, H), steps of origins (n,), and the channel known ahead, (n, 1, L + H)."""
    steps = np.arange(LENGTH, len(series) - HORIZON + 1)
    history = np.stack([series[step - LENGTH : step] for step in steps])
    targets = np.stack([series[step : step + HORIZON] for step in steps])
    if known is None:
        return history, targets, steps, None
    return history, targets, steps, np.stack([known[None, step - LENGTH : step + HORIZON] for step in steps])


def fitted(*, sized, known):
    """A fit to a season that grows with its level or not, with promotions, in the units asked for."""
    rng = np.random.default_rng(0)
    time = np.arange(300)
    given = (rng.random(300) < 0.3).astype(float)
    size = np.exp(time / 60) if sized else np.ones(300)
    series = size * (3.0 + np.sin(time * 0.7) + 0.05 * rng.normal(size=300) + (given if known else 0.0))
    history, targets, steps, channel = windows_of(series, known=given if known else None)
    ahead = None if channel is None else known_ahead(torch.from_numpy(channel), (0,), LENGTH).numpy()
    return LinearForecast.fit(history, targets, steps, ahead), history, targets, channel, ahead


def test_a_recurrence_is_found_and_gone_on_with():
    time = np.arange(200)
    series = 5.0 + np.sin(0.9 * time) + 0.5 * np.cos(0.35 * time)  # linear in the four steps before
    found = LinearForecast.fit(*windows_of(series)[:3], None)
    assert found.penalty == 1e-3
    assert (found.window.shape, found.change.shape, found.ahead) == ((LENGTH - 1, HORIZON), (HORIZON,), None)
    wanted = 5.0 + np.sin(0.9 * (200 + np.arange(HORIZON))) + 0.5 * np.cos(0.35 * (200 + np.arange(HORIZON)))
    np.testing.assert_allclose(found.answer(series[None, -LENGTH:])[0], wanted, atol=1e-3)


def test_a_trend_is_a_constant_change():
    series = 2.0 * np.arange(100) + 7.0
    found = LinearForecast.fit(*windows_of(series)[:3], None)
    np.testing.assert_allclose(found.answer(series[None, -LENGTH:])[0], [207.0, 209.0, 211.0, 213.0], rtol=1e-3)


def test_an_answer_by_hand():
    weights = np.zeros((2, 1))
    weights[1] = 0.5  # of the step before the last
    found = LinearForecast(weights, np.array([0.25]), np.array([[2.0]]), True, 1.0, 9)
    history = np.array([[1.0, 3.0, 5.0]])  # of deviation sqrt(8 / 3)
    wanted = 5.0 + 0.5 * (3.0 - 5.0) + 0.25 + 2.0 * 1.5 * np.sqrt(8.0 / 3.0)
    assert found.answer(history, np.array([[1.5]])).item() == pytest.approx(wanted)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_the_network_gives_the_same(sized, known):
    found, history, targets, channel, ahead = fitted(sized=sized, known=known)
    series = np.full((len(history), 2 if known else 1, LENGTH + HORIZON if known else LENGTH), np.nan)
    series[:, 0, :LENGTH] = history
    if channel is not None:
        series[:, 1:] = channel
    network = ForecastRidge(found, (1,), mean=history.mean(), deviation=history.std(), reads=(0,)).eval()
    nothing = torch.zeros(len(history), 0)
    answers = network(nothing, nothing, nothing, torch.from_numpy(series).float())
    assert answers.shape == (1, len(history), HORIZON)
    raw = answers[0].double().numpy() * history.std() + history.mean()
    np.testing.assert_allclose(raw, found.answer(history, ahead), rtol=1e-4, atol=1e-4 * history.std())
    assert np.abs(raw - targets).mean() < 0.3 * np.abs(history[:, -1:] - targets).mean()
    assert list(network.parameters()) == []
    assert network.parameter_count == LENGTH * HORIZON + (HORIZON * HORIZON if known else 0)


def test_a_window_that_stands_still_goes_on_standing():
    found, *_ = fitted(sized=True, known=False)
    still = found.answer(np.full((1, LENGTH), 3.0))
    np.testing.assert_allclose(still - 3.0, found.change[None])
    assert np.isfinite(found.answer(np.zeros((1, LENGTH)))).all()


def test_too_much_that_is_known_ahead_is_left_out():
    assert sees_ahead(100, 1900)
    assert not sees_ahead(100, 1901)
    assert not sees_ahead(100, 0)
