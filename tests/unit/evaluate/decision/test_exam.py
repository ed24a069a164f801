"""The record of decisions on the test rows."""

import numpy as np
import pytest

from assay.data.decision import LIKELIEST, DecisionChoice, Rule
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.exam import decided_again, decision_report
from assay.evaluate.decision.metrics import class_distance, expected_cost, lift_at, quadratic_kappa
from assay.evaluate.decision.order import check_order, is_ordered
from assay.evaluate.decision.thresholds import choose_rule
from assay.evaluate.plain_metrics import f1, precision, recall


def schema(classes, dtype="string"):
    target = Column(name="y", kind=Kind.CATEGORY, dtype="String", reason="made")
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Schema(columns=(target,), target="y", task=task, task_reason="made", classes=classes, class_dtype=dtype)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, count)
    return (rng.random(count) < p).astype(int), np.stack([1 - p, p], axis=1)


CONFIG = EvaluateConfig(bootstrap=500)


def test_two_classes_have_curves_a_lift_and_with_costs_a_cost():
    truth, stated = rows(2000)
    config = CONFIG.model_copy(update={"costs": (1.0, 4.0)})
    rule, choice = choose_rule(*rows(2000, seed=1)[::-1], None, config)
    made = decision_report(schema(("no", "yes")), truth, stated, None, rule, choice, config, seed=0)
    cost, lift = made.scores
    decided = rule(stated)
    assert cost.value == pytest.approx(expected_cost(truth, decided, ((0, 1), (4, 0))))
    assert lift.value == pytest.approx(lift_at(truth == 1, stated[:, 1]))
    for score in made.scores:
        assert score.low < score.value < score.high
        assert score.method == "bootstrap (500)"
    assert made.threshold == rule.threshold
    trade = made.trade
    assert 50 < len(trade.thresholds) <= 400
    for at in (10, 40):
        chosen = (stated[:, 1] >= trade.thresholds[at]).astype(int)
        assert trade.precision[at] == pytest.approx(precision(truth, chosen))
        assert trade.recall[at] == pytest.approx(recall(truth, chosen))
        assert trade.f1[at] == pytest.approx(f1(truth, chosen))
        assert trade.cost[at] == pytest.approx(expected_cost(truth, chosen, ((0, 1), (4, 0))))
    assert (np.diff(trade.thresholds) < 0).all()
    assert made.gains.rows[-1] == made.gains.positives[-1] == made.gains.lift[-1] == pytest.approx(1.0)
    near = int(np.argmin(np.abs(np.array(made.gains.rows) - 0.1)))
    assert made.gains.lift[near] == pytest.approx(lift.value, rel=0.1)


def test_intervals_are_those_of_a_plain_bootstrap_of_the_rows():
    truth, stated = rows(500)
    config = CONFIG.model_copy(update={"costs": (1.0, 4.0), "bootstrap": 4000})
    rule, choice = Rule((0.2,)), DecisionChoice("given", "", costs=((0, 1), (4, 0)))
    made = decision_report(schema(("no", "yes")), truth, stated, None, rule, choice, config, seed=0)
    paid = np.array([[0, 1], [4, 0]])[truth, rule(stated)]
    error = paid.std() / np.sqrt(500)
    assert made.scores[0].high - made.scores[0].low == pytest.approx(2 * 1.96 * error, rel=0.08)
    again = decision_report(schema(("no", "yes")), truth, stated, np.full(500, 2.0), rule, choice, config, seed=0)
    assert again.scores[0].value == pytest.approx(made.scores[0].value)
    assert again.scores[0].high - again.scores[0].low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_ordered_numbers_have_a_kappa_and_a_distance():
    rng = np.random.default_rng(0)
    stated = rng.dirichlet([1, 1, 1, 1], 400)
    truth = np.clip(stated.argmax(axis=1) + rng.integers(-1, 2, 400), 0, 3)
    choice = DecisionChoice("likeliest", "the likeliest class is decided")
    numbers = schema(("3", "4", "5", "7"), "integer")
    made = decision_report(numbers, truth, stated, None, LIKELIEST, choice, CONFIG, seed=0)
    kappa, distance = made.scores
    decided = stated.argmax(axis=1)
    assert kappa.value == pytest.approx(quadratic_kappa(truth, decided, 4))
    assert distance.value == pytest.approx(class_distance(truth, decided, 4))
    assert kappa.low < kappa.value < kappa.high < 1
    assert (made.trade, made.gains, made.threshold) == (None, None, None)
    words = schema(("a", "b", "c", "d"))
    assert decision_report(words, truth, stated, None, LIKELIEST, choice, CONFIG, seed=0) is None


def test_which_classes_are_ordered():
    assert is_ordered(schema(("1", "2", "10"), "integer"))
    assert is_ordered(schema(("0.5", "1.5", "2.5"), "number"))
    assert not is_ordered(schema(("2", "10", "-1"), "integer"))
    assert not is_ordered(schema(("0", "1"), "integer"))
    assert not is_ordered(schema(("1", "2", "3")))


@pytest.mark.parametrize("truth", [np.empty(0, int), np.zeros(1, int), np.ones(3, int), np.zeros(3, int)])
def test_rows_of_one_class_are_a_named_gap(truth):
    stated = np.full((len(truth), 2), 0.5)
    choice = DecisionChoice("accuracy", "", costs=((0, 1), (1, 0)))
    made = decision_report(schema(("no", "yes")), truth, stated, None, Rule((0.5,)), choice, CONFIG, seed=0)
    (lift,) = made.scores
    assert made.trade is None
    if truth.sum() == 0:
        assert (lift.value, made.gains) == (None, None)
        assert lift.method == "not defined: no row is positive"
    else:
        assert lift.value == pytest.approx(1.0)


def test_costs_stand_beside_those_of_baselines_paired_by_rows():
    truth, stated = rows(800)
    config = CONFIG.model_copy(update={"costs": (1.0, 4.0)})
    rule, choice = Rule((0.2,)), DecisionChoice("given", "", costs=((0, 1), (4, 0)))
    never, own = np.zeros(800, np.int64), rule(stated)
    made = decision_report(
        schema(("no", "yes")),
        truth,
        stated,
        None,
        rule,
        choice,
        config,
        seed=0,
        rivals=[("never", never), ("same", own)],
    )
    idle, same = made.rivals
    assert idle.cost == pytest.approx(4.0 * truth.mean())
    apart = np.array([[0, 1], [4, 0]])[truth, own] - 4.0 * truth
    assert idle.difference.value == pytest.approx(apart.mean())
    half = 1.96 * apart.std(ddof=1) / np.sqrt(800)
    assert idle.difference.high - idle.difference.low == pytest.approx(2 * half, rel=0.15)
    assert (same.difference.value, same.difference.low, same.difference.high) == (0.0, 0.0, 0.0)
    plain = decision_report(
        schema(("no", "yes")), truth, stated, None, rule, choice, CONFIG, seed=0, rivals=[("never", never)]
    )
    assert plain.rivals == ()  # nobody said what errors cost


def test_classes_have_the_order_that_was_given():
    rng = np.random.default_rng(3)
    names = ("high", "low", "medium")  # as they are sorted
    truth = rng.integers(0, 3, 400)
    stated = rng.dirichlet([1, 1, 1], 400) + 2 * np.eye(3)[truth]
    stated /= stated.sum(1, keepdims=True)
    config = CONFIG.model_copy(update={"order": ("low", "medium", "high")})
    choice = DecisionChoice("likeliest", "the likeliest class is decided")
    made = decision_report(schema(names), truth, stated, None, LIKELIEST, choice, config, seed=0)
    kappa, distance = made.scores
    place = np.array([2, 0, 1])
    assert kappa.value == pytest.approx(quadratic_kappa(place[truth], place[stated.argmax(1)], 3))
    assert distance.value == pytest.approx(class_distance(place[truth], place[stated.argmax(1)], 3))
    assert made.order == ("low", "medium", "high")
    assert decision_report(schema(names), truth, stated, None, LIKELIEST, choice, CONFIG, seed=0) is None


@pytest.mark.parametrize(
    ("order", "classes", "says"),
    [
        (("low", "high"), ("high", "low", "medium"), "it lacks 'medium'"),
        (("low", "mid", "high"), ("high", "low", "medium"), "no class is 'mid'; it lacks 'medium'"),
        (("a", "a", "b", "c"), ("a", "b", "c"), "a class is named twice"),
        (("no", "yes"), ("no", "yes"), "the task is binary"),
    ],
)
def test_an_order_that_is_none_is_refused(order, classes, says):
    with pytest.raises(ConfigError, match=says):
        check_order(order, schema(classes))


def test_new_rows_are_judged_by_the_costs_and_the_order_of_the_run():
    truth, stated = rows(500)
    config = CONFIG.model_copy(update={"costs": (1.0, 4.0)})
    rule, choice = Rule((0.2,)), DecisionChoice("cost", "by costs", costs=((0, 1), (4, 0)))
    made = decision_report(schema(("no", "yes")), truth, stated, None, rule, choice, config, seed=0)
    other, seen = rows(300, seed=7)
    again = decided_again(made, schema(("no", "yes")), other, seen, None, rule, CONFIG, seed=0)
    assert again.scores[0].value == pytest.approx(expected_cost(other, rule(seen), ((0, 1), (4, 0))))
    assert (again.threshold, again.has_costs, again.aim) == (0.2, True, "cost")
    free = decision_report(schema(("no", "yes")), truth, stated, None, rule, choice, CONFIG, seed=0)
    again = decided_again(free, schema(("no", "yes")), other, seen, None, rule, CONFIG, seed=0)
    assert [score.name for score in again.scores] == ["lift"]
