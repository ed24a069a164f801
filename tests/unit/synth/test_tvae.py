"""The TVAE learns marginals and what columns share, and repeats itself to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import DivergenceError
from assay.synth import tvae
from assay.synth.block import Block, Layout
from assay.synth.fidelity import correlation_ratio, kolmogorov_smirnov, total_variation
from assay.synth.modes import Modes

LAYOUT = Layout(("x", "spiked"), ("c", "y"), (3, 2), ("code", 1))


@pytest.fixture(scope="module")
def real() -> Block:
    """Two bumps that a category tells apart, a number that is mostly 0 and at times missing, a target that follows."""
    rng = np.random.default_rng(0)
    c = rng.choice(3, 1000, p=[0.6, 0.3, 0.1])
    x = np.where(c == 0, rng.normal(0, 1, 1000), rng.normal(8, 2, 1000))
    spiked = np.where(rng.random(1000) < 0.7, 0.0, rng.exponential(100, 1000))
    spiked[rng.random(1000) < 0.1] = np.nan
    return Block(np.stack([x, spiked], axis=1), np.stack([c, (x > 4).astype(np.int64)], axis=1))


@pytest.fixture(scope="module")
def made(real) -> Block:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tvae, "_LEAST_STEPS", 700)
        return tvae.Tvae.fit(real, LAYOUT, seed=0).sample(2000, np.random.default_rng(1))


def test_marginals_are_met(real, made):
    assert kolmogorov_smirnov(real.numbers[:, 0], made.numbers[:, 0]) < 0.15
    assert abs((made.numbers[:, 1] == 0).mean() - (real.numbers[:, 1] == 0).mean()) < 0.08
    assert abs(np.isnan(made.numbers[:, 1]).mean() - np.isnan(real.numbers[:, 1]).mean()) < 0.05
    for at, size in enumerate(LAYOUT.sizes):
        shares = [np.bincount(b.codes[:, at], minlength=size) / len(b) for b in (real, made)]
        assert total_variation(*shares) < 0.1


def test_what_columns_share_is_met(real, made):
    ratios = [correlation_ratio(b.numbers[:, 0], b.codes[:, 1]) for b in (real, made)]
    assert abs(ratios[0] - ratios[1]) < 0.2


def test_it_repeats_itself_to_the_bit(real, monkeypatch):
    monkeypatch.setattr(tvae, "_LEAST_STEPS", 20)
    monkeypatch.setattr(tvae, "_MOST_STEPS", 20)
    one, two = (tvae.Tvae.fit(real, LAYOUT, seed=3).sample(100, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.numbers, two.numbers, equal_nan=True)
    assert np.array_equal(one.codes, two.codes)


def test_a_limit_in_time_is_told(real):
    assert "stopped by the budget" in tvae.Tvae.fit(real, LAYOUT, seed=0, seconds=1e-9).told


def test_a_loss_that_is_not_finite_is_refused(real, monkeypatch):
    monkeypatch.setattr(tvae, "_RATE", 1e30)
    monkeypatch.setattr(tvae, "_LEAST_STEPS", 30)
    monkeypatch.setattr(tvae, "_MOST_STEPS", 30)
    with pytest.raises(DivergenceError, match="finite loss"):
        tvae.Tvae.fit(real, LAYOUT, seed=0)


def test_very_many_categories_are_pooled_and_drawn_by_their_shares(monkeypatch):
    monkeypatch.setattr(tvae, "_LEAST_STEPS", 5)
    monkeypatch.setattr(tvae, "_MOST_STEPS", 5)
    codes = np.concatenate([np.arange(1500), np.zeros(500, np.int64)])
    block = Block(np.empty((2000, 0)), np.stack([codes, codes % 2], axis=1))
    model = tvae.Tvae.fit(block, Layout((), ("c", "y"), (1500, 2), ("code", 1)), seed=0)
    drawn = model.sample(3000, np.random.default_rng(0))
    assert drawn.numbers.shape == (3000, 0)
    assert drawn.codes[:, 0].max() > tvae._MOST_CATEGORIES
    assert drawn.codes[:, 0].max() < 1500


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_numbers_come_back_from_their_modes(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 1, 40), rng.normal(50, 5, 40), np.zeros(15), [np.nan] * 5])
    modes = Modes.of(values, seed=0)
    inside, codes = modes.read(values, rng)
    back = modes.write(inside, codes)
    assert np.array_equal(np.isnan(back), np.isnan(values))
    assert (back[values == 0] == 0).all()
    beyond = np.abs(inside) >= 0.99
    assert np.allclose(back[~beyond], values[~beyond], equal_nan=True)
    assert modes.weight.sum() == pytest.approx(1.0)
