"""Runs against each other on the same rows: who is told apart, and who is not."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.schema import Task
from assay.evaluate.compare import paired_test
from assay.evaluate.kept import KeptTest
from assay.evaluate.versus import alike, family


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
