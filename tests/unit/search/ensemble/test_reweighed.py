"""What kept answers say of other weights, fewer parts and no temperature."""

import numpy as np
import pytest

from assay.data.schema import Task
from assay.evaluate.kept import Judged
from assay.evaluate.multilabel.metrics import scorer_for
from assay.evaluate.plain_metrics import log_loss
from assay.search.ensemble.reweighed import without
from assay.switches import SWITCHES, Switch


def probabilities(logit):
    one = 1 / (1 + np.exp(-logit))
    return np.stack([1 - one, one], axis=-1)


@pytest.fixture(scope="module")
def judged():
    """Two members of a network that know half each, trees that know nothing; logits are three times too sure."""
    draw = np.random.default_rng(0)
    halves = draw.normal(size=(2, 600))
    truth = (draw.random(600) < probabilities(2 * halves.sum(0))[:, 1]).astype(np.int64)
    logits = np.stack([2 * halves[0], 2 * halves[1], draw.normal(size=600)])
    sure = 3 * np.stack([np.zeros((3, 600)), logits], axis=-1)
    return Judged(
        truth, None, probabilities(logits).astype(np.float32), ("mlp", "mlp", "trees"), sure.astype(np.float32),
        np.array([0.5, 0.5, 0.0]),
    )  # fmt: skip


def loss(judged, answers):
    return log_loss(judged.truth, answers)


def test_a_mixture_is_better_than_the_best_candidate(judged):
    pair = without(judged, SWITCHES["search.ensemble"], seed=0)
    assert pair.with_it.shape == (600, 2)
    np.testing.assert_allclose(pair.with_it.sum(1), 1.0, atol=1e-6)
    assert loss(judged, pair.with_it) < loss(judged, pair.without[0]) - 0.02


def test_a_part_without_a_share_is_not_missed(judged):
    pair = without(judged, SWITCHES["search.trees"], seed=0)
    assert loss(judged, pair.without[0]) == pytest.approx(loss(judged, pair.with_it), abs=0.01)


def test_a_part_that_knows_is_missed(judged):
    pair = without(judged, Switch(recomputed="without part", part="mlp"), seed=0)
    assert loss(judged, pair.without[0]) > loss(judged, pair.with_it) + 0.1


def test_the_mean_of_members_stands_against_each_of_them(judged):
    pair = without(judged, SWITCHES["model.members"], seed=0)
    assert len(pair.without) == 2
    np.testing.assert_allclose(pair.with_it, np.mean(pair.without, axis=0))


def test_a_temperature_mends_what_is_too_sure(judged):
    pair = without(judged, SWITCHES["evaluate.calibration"], seed=0)
    assert loss(judged, pair.with_it) < loss(judged, pair.without[0])
    np.testing.assert_array_equal(pair.with_it.argmax(1), pair.without[0].argmax(1))


def test_what_cannot_be_asked_says_why(judged):
    alone = Judged(judged.truth, None, judged.answers[:1], ("mlp",), None, np.ones(1))
    assert "one candidate alone" in without(alone, SWITCHES["search.ensemble"], seed=0)
    assert "no trees among" in without(alone, SWITCHES["search.trees"], seed=0)
    assert "no mean of members" in without(alone, SWITCHES["model.members"], seed=0)
    assert "no probabilities" in without(alone, SWITCHES["evaluate.calibration"], seed=0)
    assert "nothing but mlp" in without(alone, Switch(recomputed="without part", part="mlp"), seed=0)


def test_groups_are_not_parted(judged):
    groups = np.repeat(np.arange(100), 6)
    whole = Judged(judged.truth, None, judged.answers, judged.parts, judged.logits, judged.shares, groups)
    pair = without(whole, SWITCHES["search.ensemble"], seed=0)
    assert np.isfinite(pair.with_it).all()


def test_of_labels_the_temperature_is_fitted_too():
    """Logits that are three times too sure, of three labels: a third of them is right again."""
    draw = np.random.default_rng(3)
    logits = draw.normal(size=(2, 900, 3)) * 1.5
    truth = (draw.random((900, 3)) < 1 / (1 + np.exp(-logits.mean(0)))).astype(np.int8)
    answers = (1 / (1 + np.exp(-logits))).astype(np.float32)
    kept = Judged(truth, None, answers, ("mlp", "mlp"), (3 * logits).astype(np.float32), np.array([0.5, 0.5]))
    pair = without(kept, SWITCHES["evaluate.calibration"], seed=0)
    losses = [scorer_for(Task.MULTILABEL, truth, each).values(None, ("log_loss",))["log_loss"]
              for each in (pair.with_it, *pair.without)]  # fmt: skip
    assert losses[0] < losses[1] - 0.02
    mixed = without(kept, SWITCHES["search.ensemble"], seed=0)
    assert mixed.with_it.shape == (900, 3)
