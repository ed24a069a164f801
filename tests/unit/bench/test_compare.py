import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assay.bench.compare import fewest, friedman, ranked, relative, signed_rank, standing
from assay.bench.result import CellResult
from assay.evaluate.record import Estimate, Score


def result(data, config, value, *, seed=0, metric="rmse", higher=False, status="done"):
    score = Score(name=metric, label=metric, higher_is_better=higher, estimate=Estimate(value=value, method="made up"))
    scores = (score,) if value is not None else ()
    return CellResult(
        request="", data=data, config=config, seed=seed, status=status, primary=metric, scores=scores, rows=10
    )


def compared(table, configs="abc", **said):
    """The standing of a table of errors: a row a data set, a column a configuration."""
    results = [
        result(f"d{row}", config, value)
        for row, values in enumerate(table)
        for config, value in zip(configs, values, strict=False)
    ]
    names = list(configs[: len(table[0])])
    return standing(results, names, **{"metric": None, "confidence": 0.95, "samples": 500, **said})


def test_ranks_share_ties():
    table = np.array([[0.1, 0.2, 0.3], [0.2, 0.2, 0.1], [1.0, 1.0, 1.0]])
    assert ranked(table).tolist() == [[1, 2, 3], [2.5, 2.5, 1], [2, 2, 2]]


@settings(max_examples=30)
@given(st.lists(st.sampled_from([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]), min_size=1, max_size=9))
def test_the_signed_rank_test_is_exact_with_ties(differences):
    """Against every assignment of signs, which is what the p-value is defined by."""
    nonzero = [value for value in differences if value]
    if not nonzero:
        assert signed_rank(np.array(differences)) == 1.0
        return
    ranks = stats.rankdata(np.abs(nonzero))
    total = ranks.sum()
    seen = min(ranks[np.array(nonzero) > 0].sum(), total - ranks[np.array(nonzero) > 0].sum())
    sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(nonzero))]
    expected = min(1.0, 2 * np.mean([value <= seen + 1e-9 for value in sums]))
    assert signed_rank(np.array(differences)) == pytest.approx(expected)


def test_the_signed_rank_test_agrees_with_scipy_without_ties():
    differences = np.array([0.5, -0.1, 0.9, 1.3, 0.2, 2.0, -0.3, 0.7, 1.1, 0.4])
    assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_friedman_is_that_of_iman_and_davenport():
    table = np.random.default_rng(0).normal(size=(9, 4)) + np.arange(4) * 0.4
    chi = stats.friedmanchisquare(*table.T).statistic
    f = 8 * chi / (9 * 3 - chi)
    assert friedman(table) == pytest.approx(stats.f.sf(f, 3, 24))
    assert friedman(np.ones((5, 3))) == 1.0
    assert friedman(np.tile([1.0, 2.0, 3.0], (5, 1))) == 0.0
    assert friedman(table[:1]) is None
    assert friedman(table[:, :2]) is None


def test_how_many_data_sets_it_takes():
    assert fewest(1, 0.95) == 6
    for pairs, confidence in ((1, 0.95), (3, 0.95), (10, 0.99), (6, 0.9)):
        n = fewest(pairs, confidence)
        assert pairs * signed_rank(np.arange(1.0, n + 1)) < 1 - confidence
        assert pairs * signed_rank(np.arange(1.0, n)) >= 1 - confidence


def test_a_clear_winner_is_told():
    table = [[1.0, 1.1, 2.0 + row / 10] for row in range(10)]
    found = compared(table)
    assert [(rank.config, rank.rank) for rank in found.ranks] == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    first = found.pairs[0]
    assert (first.first, first.second, first.wins, first.ties, first.losses) == ("a", "b", 10, 0, 0)
    assert first.rate == 1.0
    assert first.low == pytest.approx(0.722, abs=1e-3)  # Wilson's for 10 of 10
    assert first.difference == pytest.approx(0.1 / 1.1)
    assert first.p_value == pytest.approx(3 * 2 / 2**10)
    assert {pair.verdict for pair in found.pairs} == {"better"}
    assert found.sentence == "a has the best mean rank, 1.00 on 10 data sets; it is better than b and c."


def test_that_they_cannot_be_told_apart_is_an_answer():
    rng = np.random.default_rng(3)
    found = compared((1 + rng.normal(size=(12, 2)) / 10).tolist(), "ab")
    assert [pair.verdict for pair in found.pairs] == ["not distinguishable"]
    assert found.sentence.startswith("These cannot be told apart on 12 data sets; ")
    assert "Fewer than" not in found.sentence


def test_too_few_data_sets_cannot_tell_and_say_how_many_can():
    found = compared([[1.0, 2.0]] * 5, "ab")
    assert found.pairs[0].verdict == "not distinguishable"
    assert found.sentence.endswith("Fewer than 6 data sets cannot tell any apart at 95%.")


def test_one_data_set_has_ranks_without_intervals():
    found = compared([[1.0, 2.0, 3.0]])
    assert [rank.low for rank in found.ranks] == [None] * 3
    assert found.friedman is None


def test_equal_scores_are_ties():
    found = compared([[1.0, 1.0]] * 6, "ab")
    pair = found.pairs[0]
    assert (pair.ties, pair.rate, pair.p_value, pair.difference) == (6, 0.5, 1.0, 0.0)


def test_seeds_are_averaged_first():
    results = [result("d", config, value, seed=seed) for config, values in {"a": (1.0, 3.0), "b": (2.5, 2.5)}.items()
               for seed, value in enumerate(values)]  # fmt: skip
    found = standing(results, ["a", "b"], metric=None, confidence=0.95, samples=100)
    means = {mean.config: mean for mean in found.means}
    assert (means["a"].score, means["a"].seeds) == (2.0, 2)
    assert means["a"].spread == pytest.approx(2**0.5)
    assert found.pairs[0].wins == 1


def test_a_data_set_without_a_score_is_left_out_and_told():
    results = [
        result("d", "a", 1.0),
        result("d", "b", 2.0),
        result("e", "a", 1.0),
        result("e", "b", None, status="failed"),
    ]
    found = standing(results, ["a", "b"], metric=None, confidence=0.95, samples=100)
    assert (found.data, found.left_out) == (("d",), ("e",))
    found = standing(results[2:], ["a", "b"], metric=None, confidence=0.95, samples=100)
    assert found.ranks == ()
    assert found.sentence.startswith("Nothing can be compared")


def test_more_is_better_where_it_is():
    results = [result(f"d{row}", config, value, metric="auroc", higher=True) for row in range(8)
               for config, value in (("a", 0.9 + row / 100), ("b", 0.8))]  # fmt: skip
    found = standing(results, ["a", "b"], metric=None, confidence=0.95, samples=100)
    assert found.ranks[0].config == "a"
    assert found.pairs[0].verdict == "better"
    assert found.pairs[0].difference == pytest.approx(np.median([(0.2 - (0.1 - r / 100)) / 0.2 for r in range(8)]))


def test_the_metric_that_is_asked_for_counts():
    scores = tuple(
        Score(name=name, label=name, higher_is_better=False, estimate=Estimate(value=value, method=""))
        for name, value in (("rmse", 1.0), ("mae", 5.0))
    )
    one = result("d", "a", 1.0).model_copy(update={"scores": scores})
    found = standing([one], ["a"], metric="mae", confidence=0.95, samples=100)
    assert found.means[0].score == 5.0
    assert "one configuration" in found.sentence


@given(st.floats(0, 1e6, allow_subnormal=False), st.floats(0, 1e6, allow_subnormal=False))
def test_relative_differences_are_between_minus_one_and_one(first, second):
    value = relative(np.array([first]), np.array([second]))[0]
    assert -1.0 <= value <= 1.0
    assert value == -relative(np.array([second]), np.array([first]))[0]
    assert (value > 0) == (second > first)


def test_the_bootstrap_is_the_same_each_time():
    table = np.random.default_rng(1).normal(size=(7, 3)).tolist()
    assert compared(table) == compared(table)
    ranks = compared(table).ranks
    assert all(rank.low <= rank.rank <= rank.high for rank in ranks)
