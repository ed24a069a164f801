"""Runs against each other on the same rows: who is told apart, and who is not."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.data.schema import Task
from assay.evaluate.compare import paired_test
from assay.evaluate.kept import KeptTest
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Estimate, Nested
from assay.evaluate.versus import alike, family, fold_family, window_family


def kept(truth, score):
    answers = np.stack([1 - score, score], axis=1)
    return KeptTest(truth, answers, None, np.arange(len(truth), dtype=np.uint64))


@pytest.fixture(scope="module")
def runs():
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 400)
    noise = draw.normal(size=(3, 400))
    scores = [1 / (1 + np.exp(-(strength * (truth - 0.5) + each))) for strength, each in
              zip([3.0, 3.0, 0.3], [noise[0], noise[1], noise[2]], strict=True)]  # fmt: skip
    return truth, scores


def test_two_that_are_alike_and_one_that_is_behind(runs):
    truth, scores = runs
    made = family(Task.BINARY, ["a", "b", "c"], [kept(truth, each) for each in scores], 0.95, 200)
    assert made.rows == 400
    assert made.runs[-1] == "c"
    assert set(made.groups[0]) == {"a", "b"}
    assert made.groups[1:] == (("c",),)
    assert {pair.test for pair in made.pairs} == {"DeLong, paired"}
    assert "cannot tell" in made.sentence
    assert made.sentence.endswith("c is behind all of them.")


def test_p_values_are_those_of_the_paired_tests_after_holm(runs):
    truth, scores = runs
    each = [kept(truth, score) for score in scores]
    made = family(Task.BINARY, ["a", "b", "c"], each, 0.95, 200)
    named = dict(zip("abc", each, strict=True))
    raw = {
        (pair.first, pair.second): paired_test(
            Task.BINARY, truth, named[pair.first].answers, named[pair.second].answers
        ).p_value
        for pair in made.pairs
    }
    least = min(raw, key=raw.get)
    found = {(pair.first, pair.second): pair.p_value for pair in made.pairs}
    assert found[least] == pytest.approx(min(1.0, 3 * raw[least]))
    assert all(found[pair] >= raw[pair] for pair in raw)


def test_a_run_without_answers_is_not_paired(runs):
    truth, scores = runs
    made = family(Task.BINARY, ["a", "old"], [kept(truth, scores[0]), None], 0.95, 200)
    assert made.pairs == ()
    assert "old has no answers to the test rows" in made.sentence


def test_rows_in_another_order_are_not_paired(runs):
    truth, scores = runs
    other = kept(truth[::-1].copy(), scores[1])
    assert "not in the same order" in family(Task.BINARY, ["a", "b"], [kept(truth, scores[0]), other], 0.95, 200).why


def test_a_run_against_itself_is_not_told_apart(runs):
    truth, scores = runs
    made = family(Task.BINARY, ["a", "a"], [kept(truth, scores[0])] * 2, 0.95, 200)
    assert made.sentence == "400 test rows cannot tell these 2 runs apart."


def test_rows_that_belong_together_are_drawn_together():
    """Ten rows of each of forty patients are forty witnesses: the interval is far wider than that of DeLong."""
    draw = np.random.default_rng(1)
    patient = np.repeat(np.arange(40), 10)
    truth = np.repeat(draw.integers(0, 2, 40), 10)
    scores = [
        1 / (1 + np.exp(-(truth - 0.5 + np.repeat(draw.normal(size=40), 10) + 0.01 * draw.normal(size=400))))
        for _ in range(2)
    ]
    alone = family(Task.BINARY, ["a", "b"], [kept(truth, each) for each in scores], 0.95, 400).pairs[0]
    together = [replace(kept(truth, each), clusters=patient) for each in scores]
    grouped = family(Task.BINARY, ["a", "b"], together, 0.95, 400).pairs[0]
    assert "of 40 groups" in grouped.test
    assert grouped.difference.value == pytest.approx(alone.difference.value)
    widths = [pair.difference.high - pair.difference.low for pair in (grouped, alone)]
    assert widths[0] > 2 * widths[1]


def test_several_labels_are_compared_by_their_own_thresholds():
    draw = np.random.default_rng(2)
    truth = draw.integers(0, 2, (300, 3))
    rows = np.arange(300, dtype=np.uint64)
    good, bad = (
        np.clip(0.5 + strength * (truth - 0.5) + draw.normal(0, 0.2, truth.shape), 0, 1) for strength in (1, 0.1)
    )
    runs = [KeptTest(truth, answers, None, rows, thresholds=(0.5,) * 3) for answers in (bad, good, good)]
    made = family(Task.MULTILABEL, ["bad", "good", "same"], runs, 0.95, 200)
    assert made.runs[-1] == "bad"
    assert made.groups == (("good", "same"), ("bad",))
    assert made.metric == "f1_micro"
    expected = LabelScorer(truth, bad, np.full(3, 0.5)).values(None, ("f1_micro",))["f1_micro"]
    assert made.scores[-1] == pytest.approx(expected)
    old = KeptTest(truth, good, None, rows)
    assert "kept no thresholds" in family(Task.MULTILABEL, ["good", "old"], [runs[1], old], 0.95, 200).why


def windows_of(miss, *, origins=120, horizon=4, start=0):
    """What a run kept that misses each step by so much, times noise that all runs share."""
    draw = np.random.default_rng(3)
    truth, noise = draw.normal(size=(origins, horizon)), draw.normal(size=(origins, horizon))
    own = np.random.default_rng(round(1000 * miss)).normal(size=(origins, horizon))
    answers = truth + miss * noise + 0.1 * own
    return KeptTest(
        truth, answers, None, np.arange(origins, dtype=np.uint64), np.zeros(origins, np.int64),
        steps=start + np.arange(origins),
    )  # fmt: skip


def test_forecasts_of_the_same_windows_are_told_apart_over_their_origins():
    runs = [windows_of(1.2), windows_of(1.0), windows_of(0.999)]
    made = window_family(["far", "near", "same"], runs, 0.95)
    assert (made.metric, made.where) == ("mae", "120 test windows")
    assert made.runs[-1] == "far"
    assert set(made.groups[0]) == {"near", "same"}
    assert made.scores[-1] == pytest.approx(np.abs(runs[0].answers - runs[0].truth).mean())
    assert {pair.test for pair in made.pairs} == {"Diebold-Mariano (HLN) of 120 origins, lag 3"}
    assert made.sentence.endswith("far is behind all of them.")
    alone = window_family(["far", "near"], runs[:2], 0.95).pairs[0]
    worst = next(pair for pair in made.pairs if {pair.first, pair.second} == {"near", "far"})
    assert alone.p_value < worst.p_value <= 3 * alone.p_value * (1 + 1e-9)  # Holm's over three


def test_forecasts_of_other_windows_are_not_paired():
    made = window_family(["a", "b"], [windows_of(1.0), windows_of(1.0, start=1)], 0.95)
    assert (made.pairs, made.why) == ((), "the windows that they kept are not the same")
    assert "old has no answers" in window_family(["a", "old"], [windows_of(1.0), None], 0.95).why
    few = window_family(["a", "b"], [windows_of(each, origins=13, horizon=12) for each in (1.0, 3.0)], 0.95)
    assert few.sentence == "13 test windows cannot tell these 2 runs apart."
    assert "needs 2 stretches" in few.pairs[0].test


def in_folds(*scores, label="AUROC", higher=True):
    mean = Estimate(value=float(np.mean(scores)), method="mean")
    return Nested(
        metric="auroc", label=label, higher_is_better=higher, scores=scores, estimate=mean, rows=500, seconds=1.0,
        ratio=0.25, folds="the same",
    )  # fmt: skip


def test_outer_folds_are_compared_by_the_corrected_t_by_hand():
    made = fold_family(["a", "b"], [in_folds(0.80, 0.84, 0.82), in_folds(0.78, 0.80, 0.79)], 0.95)
    (pair,) = made.pairs
    # Differences 0.02, 0.04, 0.03: mean 0.03, S 0.01, error 0.01 sqrt(1/3 + 1/4) = 0.0076376; t 3.92792 of 2 degrees.
    assert pair.difference.value == pytest.approx(0.03)
    assert pair.difference.high - 0.03 == pytest.approx(4.302653 * 0.0076376, rel=1e-4)
    assert pair.p_value == pytest.approx(2 * stats.t.sf(3.92792, 2), rel=1e-4)
    assert made.sentence == "3 outer folds cannot tell these 2 runs apart."
    assert pair.test == "corrected resampled t of 3 outer folds"


def test_an_error_is_better_where_it_is_smaller():
    low, high = in_folds(1.0, 1.1, 0.9, 1.0, label="RMSE", higher=False), in_folds(2.0, 2.1, 1.9, 2.01, higher=False)
    made = fold_family(["high", "low"], [high, low], 0.95)
    assert made.runs == ("low", "high")
    assert made.pairs[0].verdict == "better"
    assert made.sentence == "low is better than every other run on 4 outer folds."


@given(
    st.integers(1, 7).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(n), 2)) or [(0, 0)])))
    )
)
def test_groups_hold_only_pairs_and_all_of_them(drawn):
    count, pairs = drawn
    names = [str(at) for at in range(count)]
    near = {(str(a), str(b)) for a, b in pairs if a != b}
    groups = alike(names, sorted(near))
    inside = {pair for group in groups for pair in combinations(group, 2)}
    assert inside == near
    assert set(names) == {name for group in groups for name in group}
    assert not any(set(one) < set(other) for one in groups for other in groups)
