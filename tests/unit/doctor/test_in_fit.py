"""What every fit says of its training by the doctor's rules."""

import math

import numpy as np
import pytest

from assay.doctor.in_fit import constant_loss
from assay.doctor.rules import RULES
from assay.ledger import Outcome
from assay.train.model import Validation


def seen(target, temperatures=(1.0,), weight=None):
    return Validation(np.zeros((1, len(target), 2), np.float32), (1.0,), temperatures, target, weight)


def test_the_constant_answer_of_classes_is_their_share():
    half = np.array([0, 1, 0, 1])
    assert constant_loss(seen(half)) == pytest.approx(math.log(2))
    assert constant_loss(seen(half, weight=np.array([1.0, 0.0, 1.0, 0.0]))) == pytest.approx(0.0)
    assert constant_loss(seen(np.array([0, 2, 2, 2]))) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))


def test_the_constant_answer_of_values_is_their_mean():
    assert constant_loss(seen(np.array([1.5, 2.5]), temperatures=None)) == 1.0
    assert constant_loss(seen(np.zeros((3, 2)), temperatures=None)) is None


def test_a_fit_is_judged_by_the_registry(small_run):
    verdicts = {verdict.practice: verdict for verdict in small_run.report().ledger}
    rules = {
        "train.overfitting": "after.gap",
        "train.learns": "run.not-learning",
        "train.update-ratio": "run.update-ratio",
        "train.dead-units": "run.dead-units",
    }
    for practice, rule in rules.items():
        verdict = verdicts[practice]
        if verdict.outcome is not Outcome.NOT_APPLICABLE:
            assert (verdict.outcome is Outcome.WARNED) == RULES[rule].fires(verdict.value), practice
    assert verdicts["train.learns"].outcome is Outcome.PASSED
    assert verdicts["train.overfitting"].value > 0
    assert verdicts["train.dead-units"].outcome is not Outcome.WARNED
