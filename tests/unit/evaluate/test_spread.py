"""The two chances in a score: the jackknife against the truth of a simulation, by hand, and where nothing is known."""

import numpy as np
import pytest

from assay.data.schema import Task
from assay.evaluate.estimate import Estimate
from assay.evaluate.metrics import Scorer, metric
from assay.evaluate.spread import PRACTICE, Block, spread_of
from assay.ledger import Ledger, Outcome

AUROC = metric(Task.BINARY, "auroc")
ON_TEST = Estimate(value=0.8, low=0.75, high=0.85, method="DeLong")


def told_apart(blocks, shares, score, on_test=ON_TEST):
    ledger = Ledger()
    found = spread_of(
        blocks, shares, score, on_test, AUROC, rows=100, differ="other seeds", confidence=0.95, ledger=ledger
    )
    return found, ledger[PRACTICE]


def test_of_a_mean_it_is_the_standard_error_by_hand():
    values = np.array([0.70, 0.80, 0.90, 0.60])
    found, verdict = told_apart([Block("mlp", 4, 1)], [0.25] * 4, lambda shares: float(shares @ values))
    (part,) = found.parts
    assert part.deviation == pytest.approx(values.std(ddof=1))
    assert found.train_error == part.error == pytest.approx(values.std(ddof=1) / 2.0)
    assert (part.lowest, part.mean, part.highest) == (pytest.approx(0.6), pytest.approx(0.75), pytest.approx(0.9))
    assert found.test_error == pytest.approx(0.05 / 1.959964, rel=1e-5)
    half = 1.959964 * np.hypot(found.test_error, found.train_error)
    assert (found.both.low, found.both.high) == (
        pytest.approx(0.8 - half, rel=1e-5),
        pytest.approx(0.8 + half, rel=1e-5),
    )
    assert verdict.outcome is Outcome.WARNED  # the seeds move the score by more than the test rows do
    assert "too narrow" in verdict.reason


def test_unequal_shares_and_several_parts_add_their_variances():
    values = np.array([0.70, 0.80, 0.90, 0.60, 0.75, 0.85])
    shares = np.array([0.30, 0.15, 0.15, 0.0, 0.2, 0.2])  # the fourth was dropped; the last two are heads of one member
    blocks = [Block("mlp", 4, 1), Block("tabm", 1, 2)]
    found, _ = told_apart(blocks, shares, lambda shares: float(shares @ values))
    (part,) = found.parts
    weights = np.array([0.5, 0.25, 0.25])
    assert (part.members, part.share) == (3, pytest.approx(0.6))
    assert part.error == pytest.approx(0.6 * values[:3].std(ddof=1) * np.sqrt((weights**2).sum()))
    assert found.alone == pytest.approx(0.4)


def test_it_is_what_training_anew_does_to_an_auroc():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    signal = truth + rng.normal(0.0, 1.5, 500)

    def ensemble():
        """Probabilities (6, n, 2) of members that see the same signal, each with a noise of its own."""
        up = 1.0 / (1.0 + np.exp(-(signal + rng.normal(0.0, 1.0, (6, 500)))))
        return np.stack([1.0 - up, up], axis=2)

    scores, errors = [], []
    for _ in range(150):
        members = ensemble()

        def score(shares, members=members):
            return Scorer(Task.BINARY, truth, np.tensordot(shares, members, 1)).values(None, ("auroc",))["auroc"]

        found, _ = told_apart([Block("mlp", 6, 1)], [1 / 6] * 6, score)
        scores.append(score(np.full(6, 1 / 6)))
        errors.append(found.train_error)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(scores), rel=0.25)


@pytest.mark.parametrize(
    ("blocks", "shares", "why"),
    [
        ([Block("mlp", 1, 4)], [0.25] * 4, "no part of the model has two members"),
        ([Block("mlp", 2, 1)], [1.0, 0.0], "no part of the model has two members"),
        ([Block("mlp", 80, 1)], [1 / 80] * 80, "too many members"),
    ],
)
def test_where_nothing_can_be_known_that_is_said(blocks, shares, why):
    found, verdict = told_apart(blocks, shares, lambda shares: 0.5)
    assert found is None
    assert verdict.outcome is Outcome.SKIPPED
    assert why in verdict.reason


def test_what_is_in_closed_form_has_no_chance_of_training():
    values = np.array([0.70, 0.80, 0.90, 0.60])
    blocks = [Block("dlinear", 3, 1), Block("ridge", 1, 1, is_fixed=True)]
    found, _ = told_apart(blocks, [0.2, 0.2, 0.2, 0.4], lambda shares: float(shares @ values))
    assert found.alone == 0.0
    assert found.train_error == pytest.approx(0.6 * values[:3].std(ddof=1) / np.sqrt(3))
    found, verdict = told_apart(blocks, [0.0, 0.0, 0.0, 1.0], lambda shares: float(shares @ values))
    assert (found, verdict.outcome, verdict.value) == (None, Outcome.PASSED, 0.0)
    assert "alike with every seed" in verdict.reason


def test_an_interval_that_is_not_normal_has_its_own_standard_error():
    ledger, values = Ledger(), np.array([0.7, 0.9])
    found = spread_of(
        [Block("gru", 2, 1)], [0.5, 0.5], lambda shares: float(shares @ values), ON_TEST, AUROC, rows=100,
        differ="other seeds", confidence=0.95, ledger=ledger, test_error=0.01,
    )  # fmt: skip
    assert found.test_error == 0.01
    assert found.both.high == pytest.approx(0.8 + 1.959964 * np.hypot(0.01, found.train_error), rel=1e-5)


def test_a_score_that_is_not_defined_has_no_spread():
    undefined = Estimate(value=None, method="not defined: needs rows of two classes")
    found, verdict = told_apart([Block("mlp", 2, 1)], [0.5, 0.5], lambda shares: float("nan"), undefined)
    assert (found, verdict.outcome) == (None, Outcome.NOT_APPLICABLE)


def test_without_an_interval_of_the_test_rows_there_is_none_of_both():
    bare = Estimate(value=0.8, method="no interval from one row")
    found, verdict = told_apart([Block("mlp", 2, 1)], [0.5, 0.5], lambda shares: float(shares @ [0.7, 0.9]), bare)
    assert (found.test_error, found.both.low) == (0.0, None)
    assert verdict.outcome is Outcome.APPLIED
