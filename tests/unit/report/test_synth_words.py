"""The sentences and the picture of a synthesis."""

import pytest

from assay.evaluate.record import Estimate
from assay.report.matrix_charts import difference_map
from assay.report.synth_words import copying, likeness, telling, usefulness
from assay.synth.record import Closeness, Detection, Generation, Membership, PairFidelity, Quality, Utility


def estimate(value, low, high):
    return Estimate(value=value, low=low, high=high, method="made up")


def quality(**changes):
    utility = Utility(
        metric="auroc", label="AUROC", model="boosted trees", real=estimate(0.9, 0.88, 0.92),
        synthetic=estimate(0.8, 0.78, 0.82), difference=estimate(-0.1, -0.13, -0.07), p_value=0.0001,
        real_rows=80, synthetic_rows=80, test_rows=20,
    )  # fmt: skip
    made = Generation(method="copula", chosen="", generator="", augments=False, file="synthetic.csv")
    return Quality(
        assay="0", source="t.csv", sha256="", target="y", task="binary", made=made, rows=100, tested_rows=100,
        fit_rows=80, held_back_rows=20, without_target=0, seed=0, utility=utility,
        detection=Detection(auroc=estimate(0.75, 0.7, 0.8), rows=80), columns=(), pairs=PairFidelity(),
        closeness=Closeness(rows=100, copies=1, held_back_copies=0.05, closer=estimate(0.5, 0.4, 0.6), compared=100),
        membership=Membership(auroc=estimate(0.6, 0.52, 0.68), members=20, others=20),
    ).model_copy(update=changes)  # fmt: skip


def test_a_difference_is_told_with_its_interval():
    assert usefulness(quality()) == (
        "On 20 held-back rows, boosted trees reach AUROC 0.800 [0.780, 0.820] trained on synthetic rows, 0.900 [0.880, "
        "0.920] on real rows alone: worse by 0.100 [0.070, 0.130] (p < 0.001)."
    )


def test_what_is_not_known_is_said():
    nothing = Estimate(value=None, method="not defined: one class")
    utility = quality().utility.model_copy(update={"difference": nothing})
    assert usefulness(quality(utility=utility)).endswith("is not known: not defined: one class.")
    assert "not defined" in likeness(quality(detection=Detection(auroc=nothing, rows=0)))


def test_what_is_given_away_is_said():
    assert copying(quality()).startswith("1 of 100 rows written equals a row learned from (1")
    assert "tells better than chance whether a row was learned from: AUROC 0.600 [0.520, 0.680]" in telling(quality())


@pytest.mark.parametrize("count", [3, 12, 20])
def test_the_map_of_differences_shows_each_pair_once(count):
    names = [f"column {at} <&>" for at in range(count)]
    cells = [[0.25 if i > j else -0.25 for j in range(count)] for i in range(count)]
    svg = difference_map("differences", cells, names)
    assert svg.count('class="more"') == count * (count - 1) // 2
    assert 'class="less"' not in svg
    assert "<&>" not in svg
    assert "no values" in difference_map("differences", [], [])
