"""Paired tests, Holm's correction, verdicts and the advice drawn from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.data.schema import Task
from assay.evaluate.compare import PairedTest, advice, comparisons, holm, paired_test
from assay.evaluate.metrics import metric
from assay.evaluate.record import Estimate, ModelScores, Score


def two_columns(score):
    return np.stack([1 - score, score], axis=1)


def noisy(seed, rows=400):
    """Truth, a good score and a poorer one that shares its errors in part."""
    rng = np.random.default_rng(seed)
    score = rng.random(rows)
    truth = (rng.random(rows) < score).astype(int)
    return truth, score, np.clip(score + rng.normal(0, 0.5, rows), 0, 1)


def test_the_better_score_wins_on_auroc():
    truth, good, poor = noisy(0)
    test = paired_test(Task.BINARY, truth, two_columns(good), two_columns(poor))
    assert test.test == "DeLong, paired"
    assert test.p_value < 1e-4
    assert 0 < test.difference.low < test.difference.value < test.difference.high
    turned = paired_test(Task.BINARY, truth, two_columns(poor), two_columns(good))
    assert turned.difference.value == pytest.approx(-test.difference.value)
    assert turned.p_value == pytest.approx(test.p_value)


def test_paired_delong_agrees_with_the_bootstrap():
    truth, good, poor = noisy(1)
    exact = paired_test(Task.BINARY, truth, two_columns(good), two_columns(poor))
    drawn = paired_test(Task.BINARY, truth, two_columns(good), two_columns(poor), np.ones(400), samples=2000)
    assert drawn.test == "paired bootstrap (2,000)"
    assert drawn.difference.value == pytest.approx(exact.difference.value)
    assert drawn.difference.low == pytest.approx(exact.difference.low, abs=0.01)
    assert drawn.difference.high == pytest.approx(exact.difference.high, abs=0.01)


def test_equal_models_are_rejected_as_often_as_the_level_says():
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 100)
        first, second = truth + rng.normal(0, 1, 100), truth + rng.normal(0, 1, 100)
        rejected += paired_test(Task.BINARY, truth, two_columns(first), two_columns(second)).p_value < 0.05
    assert 2 <= rejected <= 20


@pytest.mark.parametrize(("wins", "losses", "name"), [(9, 2, "McNemar, exact"), (90, 60, "McNemar")])
def test_accuracy_is_compared_by_mcnemar(wins, losses, name):
    rows = 500
    truth = np.zeros(rows, int)
    right, wrong = np.eye(3)[0], np.eye(3)[1]
    first = np.tile(right, (rows, 1))
    second = first.copy()
    second[:wins], first[wins : wins + losses] = wrong, wrong
    test = paired_test(Task.MULTICLASS, truth, first, second)
    assert test.test == name
    assert test.difference.value == pytest.approx((wins - losses) / rows)
    if name == "McNemar, exact":
        assert test.p_value == pytest.approx(stats.binomtest(losses, wins + losses).pvalue)
    else:
        assert test.p_value == pytest.approx(stats.chi2.sf(30**2 / 150, 1))
    assert test.difference.low < test.difference.value < test.difference.high


def test_the_smaller_rmse_wins():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    test = paired_test(Task.REGRESSION, truth, truth + rng.normal(0, 1, 300), truth + rng.normal(0, 2, 300))
    assert test.test == "paired bootstrap (1,000)"
    assert test.difference.low > 0.5
    assert test.p_value == pytest.approx(2 / 1001)


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_a_model_against_itself_is_not_distinguishable(task):
    rng = np.random.default_rng(0)
    prediction = rng.random(50) if task is Task.REGRESSION else rng.dirichlet(np.ones(2 + (task != Task.BINARY)), 50)
    truth = rng.random(50) if task is Task.REGRESSION else rng.integers(0, 2, 50)
    test = paired_test(task, truth, prediction, prediction)
    assert (test.difference.value, test.p_value) == (0.0, 1.0)
    (found,) = comparisons(task, ["linear model"], [test], 0.95)
    assert found.verdict == "not distinguishable"


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_rows_of_one_class_allow_no_verdict(task, rows):
    prediction = np.zeros(rows) if task is Task.REGRESSION else np.full((rows, 2 + (task != Task.BINARY)), 0.3)
    test = paired_test(task, np.zeros(rows, int), prediction, prediction)
    assert test.p_value == 1.0
    if rows == 0:
        assert test.difference.value is None
        assert test.difference.method.startswith("not defined: ")


def test_holm_is_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


NAMES = ["majority class", "linear model", "boosted trees"]


def advised(differences, p_values, rows=1000):
    """Advice on a network of AUROC 0.9 with the given leads over the baselines."""
    auroc = metric(Task.BINARY, "auroc")

    def model(name, value):
        estimate = Estimate(value=value, method="DeLong")
        score = Score(name="auroc", label=auroc.label, higher_is_better=True, estimate=estimate)
        kind = "network" if name == "network" else "baseline"
        return ModelScores(name=name, kind=kind, description="", scores=(score,), fit_seconds=0, predict_seconds=0)

    scores = [model("network", 0.9)] + [model(n, 0.9 - d) for n, d in zip(NAMES, differences, strict=False)]
    tests = [
        PairedTest(Estimate(value=d, method=""), p, "DeLong, paired")
        for d, p in zip(differences, p_values, strict=True)
    ]
    return advice(scores, comparisons(Task.BINARY, NAMES[: len(tests)], tests, 0.95), rows)


@pytest.mark.parametrize(
    ("differences", "p_values", "words"),
    [
        (
            (0.4, 0.05, 0.02),
            (1e-9, 1e-9, 1e-5),
            "The network beats every baseline: AUROC 0.900 against 0.880 for the best of them, boosted trees "
            "(p < 0.001).",
        ),
        (
            (0.4, 0.05, -0.02),
            (1e-9, 1e-9, 1e-5),
            "You do not need a deep network here: boosted trees are better (AUROC 0.920 against 0.900, p < 0.001).",
        ),
        (
            (0.4, 0.05, 0.001),
            (1e-9, 1e-9, 0.6),
            "You do not need a deep network here: boosted trees are as good (AUROC 0.899 against 0.900; 1,000 test "
            "rows do not tell the two apart, p = 0.6).",
        ),
        (
            (0.4, 0.001, -0.03),
            (1e-9, 0.6, 1e-5),
            "You do not need a deep network here: the linear model is as good (AUROC 0.899 against 0.900; 1,000 test "
            "rows do not tell the two apart, p = 0.6). Boosted trees are better than the network (0.930, p < 0.001).",
        ),
        (
            (0.01, 0.01, 0.01),
            (0.5, 0.5, 0.5),
            "The network cannot be told apart from the majority class on 1,000 test rows (AUROC 0.900 against 0.890, "
            "p = 1): these rows do not show that it has learned anything.",
        ),
        (
            (-0.1, 0.01, 0.01),
            (1e-4, 0.5, 0.5),
            "Do not use this network: it is worse than the majority class (AUROC 0.900 against 1.000, p < 0.001).",
        ),
        ((), (), "No baseline was fitted, so nothing says whether a deep network is needed here."),
    ],
)
def test_the_advice_follows_the_verdicts(differences, p_values, words):
    assert advised(differences, p_values) == words


def test_no_test_rows_allow_no_advice():
    assert advised((), (), rows=0) == "There are no test rows, so nothing can be said about how good the model is."


@pytest.mark.parametrize(("each", "verdict"), [(2, "not distinguishable"), (10, "better")])
def test_a_perfect_ranking_against_a_constant_is_told_apart_with_enough_rows(each, verdict):
    truth = np.repeat([0, 1], each)
    perfect = np.stack([1.0 - truth, truth + 0.0], axis=1)
    constant = np.full((2 * each, 2), 0.5)
    test = paired_test(Task.BINARY, truth, perfect, constant)
    assert test.difference.value == 0.5
    assert test.p_value == 2.0 ** (1 - each)
    assert test.difference.low < 0.5 < test.difference.high
    (found,) = comparisons(Task.BINARY, ["majority class"], [test], 0.95)
    assert found.verdict == verdict
    swapped = paired_test(Task.BINARY, truth, constant, perfect)
    assert (swapped.difference.value, swapped.p_value) == (-0.5, test.p_value)
    assert (swapped.difference.low, swapped.difference.high) == (-test.difference.high, -test.difference.low)
