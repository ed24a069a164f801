"""The Gaussian copula keeps marginals, and what columns share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.synth.block import Block, Layout
from assay.synth.copula import Copula, latent_correlation, nearest_correlation
from assay.synth.fidelity import correlation_ratio, kolmogorov_smirnov, total_variation


def example(rows: int, seed: int = 0) -> tuple[Block, Layout]:
    """A number with a spike, a number that follows it and is missing at times, a category and a target that do."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    z = 0.8 * x + 0.6 * rng.normal(size=rows)
    spiked = np.where(x < 0.5, 0.0, np.exp(x))
    second = np.where(rng.random(rows) < 0.2, np.nan, z)
    category = np.digitize(x + rng.normal(size=rows), [-1.5, 0.3, 1.5])
    target = (z + rng.normal(size=rows) > 0.5).astype(np.int64)
    block = Block(np.stack([spiked, second], axis=1), np.stack([category, target], axis=1))
    return block, Layout(("spiked", "second"), ("category", "target"), (4, 2), ("code", 1))


def test_marginals_are_met():
    block, layout = example(4000)
    made = Copula.fit(block, layout).sample(4000, np.random.default_rng(1))
    for at in range(2):
        assert kolmogorov_smirnov(block.numbers[:, at], made.numbers[:, at]) < 0.04
        shares = [np.bincount(b.codes[:, at], minlength=4) / len(b) for b in (block, made)]
        assert total_variation(*shares) < 0.04
    assert abs(np.isnan(made.numbers[:, 1]).mean() - 0.2) < 0.03
    assert abs((made.numbers[:, 0] == 0).mean() - (block.numbers[:, 0] == 0).mean()) < 0.04
    assert made.numbers[:, 0].max() <= block.numbers[:, 0].max()


def test_what_columns_share_is_met():
    block, layout = example(8000)
    made = Copula.fit(block, layout).sample(8000, np.random.default_rng(1))
    for codes in range(2):
        ratios = [correlation_ratio(b.numbers[:, 1], b.codes[:, codes]) for b in (block, made)]
        assert abs(ratios[0] - ratios[1]) < 0.06
    both = [~np.isnan(b.numbers[:, 1]) for b in (block, made)]
    ranks = [
        np.corrcoef(np.argsort(np.argsort(b.numbers[known].T, axis=1), axis=1))[0, 1]
        for b, known in zip((block, made), both, strict=True)
    ]
    assert abs(ranks[0] - ranks[1]) < 0.05


def test_the_same_draws_give_the_same_rows():
    block, layout = example(300)
    one, two = (Copula.fit(block, layout).sample(50, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.numbers, two.numbers, equal_nan=True)
    assert np.array_equal(one.codes, two.codes)


def test_few_values_do_not_thin_a_correlation():
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 200_000)
    halves = np.where(z[:, 0] > 0, 1, -1) * np.sqrt(2 / np.pi)  # the mean of a normal variable above, or below, 0
    found = latent_correlation(np.stack([halves, z[:, 1]], axis=1))
    assert found[0, 1] == pytest.approx(0.6, abs=0.01)


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_nearest_correlation_is_one(size, seed):
    rng = np.random.default_rng(seed)
    wild = np.triu(rng.uniform(-1, 1, (size, size)), 1)
    wild = wild + wild.T + np.eye(size)
    found = nearest_correlation(wild)
    assert np.allclose(np.diag(found), 1.0)
    assert np.allclose(found, found.T)
    assert np.linalg.eigvalsh(found).min() >= -1e-9


def test_the_nearest_correlation_of_higham():
    """The example of Higham (2002), section 4, whose answer is printed there."""
    found = nearest_correlation(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]), tolerance=1e-10)
    assert found[0, 1] == pytest.approx(0.7607, abs=1e-3)
    assert found[0, 2] == pytest.approx(0.1573, abs=1e-3)
