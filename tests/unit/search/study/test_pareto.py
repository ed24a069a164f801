"""Fronts: by hand, against every pair of trials, and which trial is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assay.errors import ConfigError
from assay.search.study.pareto import costs_of, front_of, goals_named, take, told
from assay.search.study.store import Tried
from assay.search.study.trial import Outcome, Trial

BOTH = ("score", "latency")


def tried(number, score, latency=1.0, parameters=100, state="complete", gap=None):
    outcome = Outcome(number, state, score, parameters=parameters, latency=latency, gap=gap)
    return Tried(Trial(number, {}, 0), 0, 1, number, number, "tpe", outcome)


def numbers(found):
    return [each.number for each in found]


def test_goals_are_named_in_their_order_and_once():
    assert goals_named([]) == ("score",)
    assert goals_named(["latency,score"]) == BOTH
    assert goals_named(["score", "size", "latency"]) == ("score", "latency", "size")
    assert goals_named(["fairness,score"]) == ("score", "fairness")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("score,latenzy", "Did you mean 'latency'"),
        ("latency", "the score is not among them"),
        ("score,score", "named twice"),
        ("score,epsilon", "no network is trained with differential privacy yet"),
    ],
)
def test_other_goals_are_refused_with_the_reason(asked, said):
    with pytest.raises(ConfigError, match=said):
        goals_named([asked])


def test_the_front_has_what_nothing_equals_in_all_goals():
    trials = [tried(0, 0.9, 10.0), tried(1, 0.8, 2.0), tried(2, 0.8, 3.0), tried(3, 0.95, 20.0), tried(4, 0.5, 2.0),
              tried(5, 0.8, 2.0), tried(6, 0.99, 0.1, state="pruned"), tried(7, None, state="failed")]  # fmt: skip
    assert numbers(front_of(trials, BOTH, higher=True)) == [3, 0, 1]
    assert numbers(front_of(trials, BOTH, higher=False)) == [4]
    assert numbers(front_of(trials, ("score",), higher=True)) == [3]
    assert front_of([], BOTH, higher=True) == []


def test_size_is_four_bytes_a_parameter():
    trials = [tried(0, 0.9, parameters=1000), tried(1, 0.8, parameters=10)]
    assert trials[0].outcome.values(("score", "size")) == [0.9, 4000.0]
    assert numbers(front_of(trials, ("score", "size"), higher=True)) == [0, 1]
    assert told(trials[0], ("score", "latency", "size"), "AUROC") == "AUROC 0.9000, 1 us a row, 4 kB"
    sizes = [costs_of(tried(0, 0.9, parameters=count), ["size"])["size"] for count in (3, 800_000)]
    assert sizes == ["12 B", "3.2 MB"]


@given(some.lists(some.tuples(some.integers(0, 5), some.integers(1, 5), some.integers(1, 3)), max_size=30))
def test_the_front_is_that_of_all_pairs(points):
    goals = ("score", "latency", "size")
    trials = [tried(at, float(a), float(b), c) for at, (a, b, c) in enumerate(points)]
    losses = [(-a, b, c) for a, b, c in points]

    def beaten(at):
        return any(
            all(x <= y for x, y in zip(losses[other], losses[at], strict=True))
            and (losses[other] != losses[at] or other < at)
            for other in range(len(points)) if other != at
        )  # fmt: skip

    expected = {at for at in range(len(points)) if not beaten(at)}
    assert set(numbers(front_of(trials, goals, higher=True))) == expected


def test_the_best_score_is_taken_where_there_is_one_goal():
    trials = [tried(0, 0.5), tried(1, 0.7), tried(2, 0.7)]
    taken = take(trials, ("score",), "AUROC", higher=True, default=None, pick=None)
    assert (taken.tried.number, taken.why) == (1, "it has the best AUROC")
    assert take(trials, ("score",), "Loss", higher=False, default=None, pick=None).tried.number == 0
    assert take([], BOTH, "AUROC", higher=True, default=None, pick=None) is None


def test_the_knee_is_nearest_to_the_best_of_all_on_logarithms_of_the_costs():
    trials = [tried(0, 0.90, 100.0), tried(1, 0.89, 4.0), tried(2, 0.70, 1.0)]
    taken = take(trials, BOTH, "AUROC", higher=True, default=None, pick=None)
    assert taken.tried.number == 1
    assert "AUROC 0.8900, 4 us a row; the best score, of trial 0, is AUROC 0.9000, 100 us a row" in taken.why


def test_the_knee_is_no_worse_than_the_defaults():
    trials = [tried(0, 0.895, 120.0), tried(1, 0.89, 4.0), tried(2, 0.70, 1.0), tried(3, 0.90, 100.0)]
    assert take(trials, BOTH, "AUROC", higher=True, default=None, pick=None).tried.number == 1
    taken = take(trials, BOTH, "AUROC", higher=True, default=trials[0], pick=None)
    assert taken.tried.number == 3
    assert "of those that are no worse than the defaults (trial 0)" in taken.why


def test_a_trial_that_is_picked_is_taken_if_it_completed():
    trials = [tried(0, 0.9, 100.0), tried(1, 0.8, 200.0), tried(2, None, state="failed")]
    picked = take(trials, BOTH, "AUROC", higher=True, default=None, pick=1)
    assert picked.tried.number == 1
    assert "another is as good in all and better in one" in picked.why
    assert "another" not in take(trials, BOTH, "AUROC", higher=True, default=None, pick=0).why
    with pytest.raises(ConfigError, match="trial 2 has not"):
        take(trials, BOTH, "AUROC", higher=True, default=None, pick=2)


def test_the_least_gap_within_a_standard_error_of_the_best_score_is_taken():
    goals = ("score", "fairness")
    trials = [tried(0, 0.9, gap=0.2), tried(1, 0.92, gap=0.3), tried(2, 0.91, gap=0.05), tried(3, 0.6, gap=0.0)]
    assert told(trials[2], goals, "AUROC") == "AUROC 0.9100, gap 0.05"
    known = {"higher": True, "default": trials[0], "pick": None}
    taken = take(trials, goals, "AUROC", **known, error=0.015)
    assert taken.tried.number == 2
    assert "of those within a standard error (0.015) of the best AUROC" in taken.why
    assert "the best score, of trial 1, is AUROC 0.9200, gap 0.3" in taken.why
    assert take(trials, goals, "AUROC", **known, error=0.005).tried.number == 1
    assert take(trials, goals, "AUROC", **known, error=0.5).tried.number == 2  # the knee, not the end of the front
