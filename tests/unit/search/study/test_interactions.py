"""Interactions: a product is one, a sum is none, noise says nothing."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from assay.search.study.interactions import interactions
from assay.search.study.space import Parameter, Space
from assay.search.study.store import Tried
from assay.search.study.trial import Outcome, Trial

SPACE = Space(
    parameters=(
        Parameter(name="train.lr", key="train.lr", low=1e-4, high=1e-1, scale="log"),
        Parameter(name="train.batch", key="train.batch", choices=(32, 64, 128, 256, 512), ordered=True),
        Parameter(name="model.dropout", key="model.dropout", low=0.0, high=0.5),
    ),
    families=("mlp",), known={"mlp": {}},
)  # fmt: skip


def trials(score, count=150, seed=0):
    """Settings drawn evenly, with the score of their rate (0 to 1), batch (0 to 1) and dropout."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        rate, batch, dropout = rng.random(), int(rng.integers(5)), float(rng.random() / 2)
        options = {
            "train.lr": 1e-4 * 1000**rate,
            "train.batch": (32, 64, 128, 256, 512)[batch],
            "model.dropout": dropout,
        }
        outcome = Outcome(number, "complete", float(score(rate, batch / 4, dropout, rng)))
        found.append(Tried(Trial(number, options, 0), 0, 1, number, number, "random", outcome))
    return found


def test_a_best_rate_that_moves_with_the_batch_is_an_interaction():
    found = interactions(SPACE, trials(lambda r, b, d, rng: -((r - b) ** 2)), higher=True, seed=0)
    assert found.trials == 150
    assert found.explained > 0.7
    first = found.contours[0]
    assert {first.x, first.y} == {"train.lr", "train.batch"}
    assert first.strength > 0.4
    assert np.shape(first.means) == (len(first.ys), len(first.xs))
    assert "interact (" in first.told
    assert first.told.endswith("search them together")
    least = interactions(SPACE, trials(lambda r, b, d, rng: (r - b) ** 2), higher=False, seed=0)
    assert least.contours[0].told == first.told


def test_a_sum_is_none():
    found = interactions(SPACE, trials(lambda r, b, d, rng: r + 2 * b), higher=True, seed=0)
    assert found.contours[0].strength < 0.1
    assert "act each by itself" in found.contours[0].told


def test_little_or_noise_says_nothing():
    assert interactions(SPACE, trials(lambda r, b, d, rng: r, count=19), higher=True, seed=0) is None
    assert interactions(SPACE, trials(lambda r, b, d, rng: rng.normal()), higher=True, seed=0) is None
    assert interactions(SPACE, trials(lambda r, b, d, rng: 1.0), higher=True, seed=0) is None
