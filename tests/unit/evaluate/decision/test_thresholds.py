"""Thresholds: the best of the rows, theory where the rows say nothing against it, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from assay.data.decision import LIKELIEST, Rule
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.thresholds import (
    EQUAL,
    Cuts,
    aim_of,
    best_cut,
    check_decisions,
    choose_rule,
    choose_threshold,
    cost_matrix,
    elkan,
    note_decision,
    promised_f1,
)
from assay.ledger import Ledger, Outcome


def rows(count, share=0.5, seed=0):
    """Calibrated probabilities whose mean is near `share`, and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2 * share, 2 * (1 - share), count)
    return p, rng.random(count) < p


def schema(task, classes):
    target = Column(name="y", kind=Kind.CATEGORY, dtype="String", reason="made")
    return Schema(columns=(target,), target="y", task=task, task_reason="made", classes=classes)


MEASURES = {
    "accuracy": lambda y, d, w: accuracy_score(y, d, sample_weight=w),
    "f1": lambda y, d, w: f1_score(y, d, sample_weight=w, zero_division=0.0),
    "balanced_accuracy": lambda y, d, w: balanced_accuracy_score(y, d, sample_weight=w),
    "cost": lambda y, d, w: -np.average(np.where(y & ~d, 5.0, np.where(~y & d, 1.0, 0.0)), weights=w),
}


@pytest.mark.parametrize("aim", MEASURES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40))
def test_cuts_are_what_scikit_learn_says_and_the_best_is_the_best(aim, seed, count):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 8, count) / 8  # many ties
    y, w = rng.random(count) < 0.4, rng.integers(1, 4, count).astype(float)
    y[:2] = [True, False]
    costs = cost_matrix((1.0, 5.0))
    cuts = Cuts.of(p, y, w)
    expected = [MEASURES[aim](y, p >= cut, w) for cut in cuts.thresholds]
    assert cuts.values(aim, costs) == pytest.approx(expected)
    best = best_cut(cuts, aim, costs)
    assert MEASURES[aim](y, p >= best, w) == pytest.approx(max(MEASURES[aim](y, p >= cut, w) for cut in (*p, 1.1)))
    for cut in (0.0, 0.3, 0.5, 1.0):
        assert cuts.at(cut) == pytest.approx((w[y & (p >= cut)].sum(), w[~y & (p >= cut)].sum()))


def test_rows_that_are_certain_cannot_be_left_out():
    cuts = Cuts.of(np.array([1.0, 1.0, 0.2]), np.array([True, False, False]), np.ones(3))
    assert cuts.hits.tolist() == [1.0, 1.0]
    assert cuts.thresholds == pytest.approx([0.6, 0.1])


def test_what_it_is_chosen_for():
    assert aim_of(EvaluateConfig(), 0.3) == "accuracy"
    assert aim_of(EvaluateConfig(), 0.05) == "f1"
    assert aim_of(EvaluateConfig(), 0.95) == "balanced_accuracy"
    assert aim_of(EvaluateConfig(costs=(1, 5)), 0.3) == "cost"
    assert aim_of(EvaluateConfig(threshold="f1"), 0.5) == "f1"
    assert aim_of(EvaluateConfig(threshold=0.3), 0.5) == "given"


def test_calibrated_probabilities_are_decided_as_theory_has_it():
    p, y = rows(4000)
    kept = [choose_threshold(*rows(2000, seed=seed), None, EvaluateConfig())[0] == 0.5 for seed in range(10)]
    assert np.mean(kept) >= 0.8
    found, choice = choose_threshold(p, y, None, EvaluateConfig(costs=(1.0, 4.0)))
    assert elkan(cost_matrix((1.0, 4.0))) == 0.2
    assert found == pytest.approx(0.2, abs=0.06)
    assert choice.aim == "cost"
    assert choice.value < choice.at_half
    assert choice.gain > 3 * choice.error > 0
    assert "cost of a row on these rows" in choice.reason


def test_distorted_probabilities_are_decided_where_the_rows_say():
    p, y = rows(4000)
    found, choice = choose_threshold(p**3, y, None, EvaluateConfig())
    assert found == pytest.approx(0.125, abs=0.05)
    assert choice.gain == pytest.approx(accuracy_score(y, p >= 0.5) - accuracy_score(y, p**3 >= 0.5), abs=0.01)
    assert "by folds that chose without the rows they are judged on" in choice.reason


def test_rare_classes_are_decided_for_f1():
    p, y = rows(5000, 0.06)
    found, choice = choose_threshold(p, y, None, EvaluateConfig())
    assert choice.aim == "f1"
    # In theory half of the highest F1 (Lipton et al. 2014).
    assert found == pytest.approx(choice.value / 2, abs=0.06)
    assert choice.value == pytest.approx(f1_score(y, p >= found))
    assert choice.at_half == pytest.approx(f1_score(y, p >= 0.5))
    assert choice.gain > 0.02


def test_half_of_the_promised_f1_is_the_threshold_where_the_rows_say_no_more():
    promised = promised_f1(np.array([0.9, 0.1, 0.6]), np.ones(3))
    assert promised == pytest.approx(2 * 1.5 / (2 + 1.6))  # the first and the third are decided positive
    doubled = promised_f1(np.array([0.9, 0.1, 0.6]), np.array([2.0, 1.0, 1.0]))
    assert doubled == pytest.approx(promised_f1(np.array([0.9, 0.9, 0.1, 0.6]), np.ones(4)))
    p, y = rows(300, 0.15)
    found, choice = choose_threshold(p, y, None, EvaluateConfig(threshold="f1"))
    assert found == np.float32(promised_f1(p, np.ones(300)) / 2)
    assert "half of the highest F1 that the probabilities promise" in choice.reason


def test_the_promised_threshold_costs_less_on_other_rows_than_the_best_of_few():
    fresh, truth = rows(100_000, 0.15, seed=99)
    lost = []
    for seed in range(20):
        p, y = rows(300, 0.15, seed=seed)
        chosen = choose_threshold(p, y, None, EvaluateConfig(threshold="f1"))[0]
        best = best_cut(Cuts.of(p, y, np.ones(300)), "f1", EQUAL)
        lost.append(f1_score(truth, fresh >= best) - f1_score(truth, fresh >= chosen))
    assert np.mean(lost) < -0.003


def test_balanced_accuracy_is_decided_at_the_share_of_the_positive():
    p, y = rows(4000, 0.3)
    found, _ = choose_threshold(p, y, None, EvaluateConfig(threshold="balanced_accuracy"))
    assert found == pytest.approx(y.mean(), abs=0.05)


def test_a_number_is_taken_as_it_is():
    p, y = rows(500)
    found, choice = choose_threshold(p, y, None, EvaluateConfig(threshold=0.3))
    assert (found, choice.aim, choice.is_doubtful) == (0.3, "given", False)
    assert choice.value == pytest.approx(accuracy_score(y, p >= 0.3))
    assert choice.gain == pytest.approx(choice.value - choice.at_half)
    assert "as evaluate.threshold has it" in choice.reason


def test_the_standard_error_is_that_of_the_rows():
    p, y = rows(3000)
    _, choice = choose_threshold(p, y, None, EvaluateConfig(threshold=0.3))
    off = (y == (p >= 0.3)).astype(float) - (y == (p >= 0.5))
    assert choice.error == pytest.approx(off.std() / np.sqrt(3000), rel=0.2)


def test_few_rows_of_a_class_choose_nothing():
    p, y = rows(200)
    y[:] = False
    y[:9] = True
    found, choice = choose_threshold(p, y, None, EvaluateConfig())
    assert (found, choice.is_doubtful) == (0.5, True)
    assert "only 9 rows of a class" in choice.reason
    assert choose_threshold(p, y, None, EvaluateConfig(costs=(1, 3)))[0] == 0.25
    for count in (0, 1):
        found, choice = choose_threshold(p[:count], y[:count], None, EvaluateConfig())
        assert (found, choice.is_doubtful) == (0.5, True)


def test_weights_are_repeated_rows_and_none_is_no_row():
    p, y = rows(600, 0.1)
    times = np.random.default_rng(0).integers(0, 3, 600)
    weighted = choose_threshold(p, y, times.astype(float), EvaluateConfig(threshold="f1"))[1]
    kept = times > 0
    again = choose_threshold(p[kept], y[kept], times[kept].astype(float), EvaluateConfig(threshold="f1"))[1]
    assert weighted == again
    repeated = choose_threshold(np.repeat(p, times), np.repeat(y, times), None, EvaluateConfig(threshold="f1"))[1]
    assert weighted.value == pytest.approx(repeated.value)


# Rules


def test_rules_of_many_classes():
    rng = np.random.default_rng(0)
    stated = rng.dirichlet([1, 1, 1], 3000)
    truth = (stated.cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1).clip(max=2)
    assert choose_rule(stated, truth, None, EvaluateConfig())[0] == LIKELIEST
    costs = (0, 1, 9, 1, 0, 1, 1, 1, 0)
    rule, choice = choose_rule(stated, truth, None, EvaluateConfig(costs=costs))
    assert rule == Rule(costs=((0, 1, 9), (1, 0, 1), (1, 1, 0)))
    paid = np.array(costs).reshape(3, 3)[truth, rule(stated)].mean()
    assert choice.value == pytest.approx(paid)
    assert paid < choice.at_half
    assert choice.gain == pytest.approx(choice.at_half - choice.value)


def test_verdicts():
    ledger = Ledger()
    p, y = rows(2000, 0.1)
    stated = np.stack([1 - p, p], axis=1)
    note_decision(choose_rule(stated, y.astype(int), None, EvaluateConfig())[1], ledger)
    verdict = ledger["evaluate.thresholds"]
    assert verdict.outcome is Outcome.APPLIED
    assert verdict.reason.startswith("positive is decided from a probability of 0.")
    assert verdict.value > 0
    note_decision(choose_rule(stated[:5], y[:5].astype(int), None, EvaluateConfig())[1], ledger)
    assert ledger["evaluate.thresholds"].outcome is Outcome.WARNED
    note_decision(choose_rule(np.eye(3), np.arange(3), None, EvaluateConfig())[1], ledger)
    assert ledger["evaluate.thresholds"].outcome is Outcome.NOT_APPLICABLE


# Options


def test_costs_are_two_numbers_or_a_square():
    assert cost_matrix((1.0, 5.0)) == ((0.0, 1.0), (5.0, 0.0))
    assert cost_matrix((0.0, 1.0, 5.0, 0.0)) == cost_matrix((1.0, 5.0))
    assert EQUAL == ((0.0, 1.0), (1.0, 0.0))
    for wrong in ((1.0,), (1.0, 2.0, 3.0), (1.0, -1.0), (0.0, 0.0), (1.0, float("inf"))):
        with pytest.raises(ValidationError, match="costs must be"):
            EvaluateConfig(costs=wrong)
    with pytest.raises(ValidationError, match=r"needs evaluate\.costs"):
        EvaluateConfig(threshold="cost")
    for wrong in (0.0, 1.0, "roc"):
        with pytest.raises(ValidationError):
            EvaluateConfig(threshold=wrong)


def test_yes_and_no_are_still_understood():
    assert EvaluateConfig(calibrate=True).calibration == "auto" == EvaluateConfig().calibration
    assert EvaluateConfig(calibrate=False).calibration == "none" == EvaluateConfig(calibrate=None).calibration
    assert EvaluateConfig(calibrate="beta").calibration == "beta"
    assert EvaluateConfig.model_validate({"calibrate": "true"}).calibration == "auto"


def test_what_does_not_suit_the_task_is_refused():
    two, three = schema(Task.BINARY, ("no", "yes")), schema(Task.MULTICLASS, ("a", "b", "c"))
    labels, value = schema(Task.MULTILABEL, ("a", "b")), schema(Task.REGRESSION, ())
    for fine, config in (
        (two, EvaluateConfig(threshold=0.3)),
        (two, EvaluateConfig(costs=(1, 5))),
        (three, EvaluateConfig(costs=(0, 1, 2) * 3)),
        (labels, EvaluateConfig()),
        (value, EvaluateConfig()),
    ):
        check_decisions(fine, config)
    for wrong, config, told in (
        (three, EvaluateConfig(threshold="f1"), "a threshold parts two classes"),
        (labels, EvaluateConfig(threshold=0.3), "a threshold parts two classes"),
        (three, EvaluateConfig(costs=(1, 5)), "costs of 3 classes must be 3 times 3 numbers"),
        (two, EvaluateConfig(costs=(0, 1, 2) * 3), "costs of 2 classes must be 2 times 2 numbers"),
        (value, EvaluateConfig(costs=(1, 5)), "costs are those of taking one class for another"),
        (labels, EvaluateConfig(calibrate="isotonic"), "calibrated by a few numbers"),
        (two, EvaluateConfig(costs=(0, 5)), "a wrong decision must cost more"),
    ):
        with pytest.raises(ConfigError, match=told):
            check_decisions(wrong, config)
