"""Stacking: by hand, against a general solver, and what must always hold of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import optimize

from assay.evaluate.selection import draws
from assay.search.ensemble.combine import mixture_loss
from assay.search.ensemble.stacking import stacked_shares


def _drawn(rows, samples=20):
    return np.concatenate(list(draws(rows, samples, 0)))


def test_errors_that_cancel_are_mixed_in_their_ratio():
    target = np.zeros(40)
    found = stacked_shares([np.full(40, 1.0), np.full(40, -3.0)], target, draws=_drawn(40))
    assert found.shares == pytest.approx([0.75, 0.25], abs=1e-3)


def test_what_is_useless_has_no_share():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    good = np.clip(0.25 + 0.5 * target, 0.01, 0.99)
    noise = rng.random(400)
    answers = [np.stack([1.0 - p, p], axis=1) for p in (good, noise)]
    assert stacked_shares(answers, target, draws=_drawn(400)).shares.tolist() == [1.0, 0.0]


@settings(max_examples=10)
@given(some.integers(0, 1000), some.booleans())
def test_shares_are_those_of_a_general_solver(seed, classes):
    rng = np.random.default_rng(seed)
    if classes:
        target = rng.integers(0, 3, 60)
        answers = [rng.dirichlet(1.0 + 3.0 * np.eye(3)[t], 1)[0] for t in np.tile(target, 3)]
        predictions = list(np.array(answers).reshape(3, 60, 3))
    else:
        target = rng.normal(size=60)
        predictions = [target + rng.normal(size=60) for _ in range(3)]
    found = stacked_shares(predictions, target, draws=np.empty((0, 60))).shares

    def loss(shares):
        return mixture_loss(sum(s * each for s, each in zip(shares, predictions, strict=True)), target, None)

    best = optimize.minimize(
        loss, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda s: s.sum() - 1}
    )
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.0).all()
    assert loss(found) <= best.fun * 1.002 + 1e-9


def test_the_penalty_is_chosen_by_rows_that_were_left_out():
    rng = np.random.default_rng(0)
    target = rng.normal(size=60)
    alike = [target + rng.normal(size=60) for _ in range(12)]
    found = stacked_shares(alike, target, draws=_drawn(60, 40))
    assert found.penalty == 1.0  # twelve that are equally good: nearly equal shares
    assert found.drawn.shape == (40, 12)
    assert found.drawn.sum(1) == pytest.approx(np.ones(40))
