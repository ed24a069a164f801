"""Sentences about a report."""

from __future__ import annotations

import pytest

from assay.evaluate.record import Comparison, Estimate
from assay.report import story
from assay.report.words import plain


def test_the_headline_names_metric_interval_rows_and_rival(report):
    assert plain(story.headline(report)) == (
        "AUROC 0.9074 (95% interval 0.9019 to 0.9107) on 16,281 sealed test rows; the best baseline (trees) reaches "
        "0.9254, and the network is worse (p < 0.001)."
    )


def test_the_headline_is_silent_about_tests_that_were_not_made(report):
    untested = report.model_copy(update={"comparisons": ()})
    assert "the two were not tested against each other" in story.headline(untested)
    alone = report.model_copy(update={"scores": report.scores[:1]})
    assert story.headline(alone).endswith("; no baseline was trained to compare it with.")


def test_the_best_baseline_follows_the_direction_of_the_metric(report, reports):
    assert story.best_baseline(report).name == "trees"
    regression = reports["regression"]
    assert story.best_baseline(regression).name == "majority"  # the lowest RMSE of the three
    assert story.best_baseline(reports["bare"]) is None


@pytest.mark.parametrize(("verdict", "value"), [("better", 0.02), ("worse", -0.02)])
def test_comparisons_turn_the_interval_with_the_sign(report, verdict, value):
    ends = sorted((value - 0.01, value + 0.01))
    difference = Estimate(value=value, low=ends[0], high=ends[1], method="m")
    made = Comparison(against="trees", metric="auroc", difference=difference, p_value=1e-5, test="t", verdict=verdict)
    assert plain(story.compared(report, made)) == (
        f"The network is {verdict} than the trees in AUROC by 0.0200 (95% interval 0.0100 to 0.0300; p < 0.001, t)."
    )


def test_a_comparison_without_an_interval_still_reads(report):
    made = Comparison(
        against="trees",
        metric="auroc",
        difference=Estimate(value=None, method="m"),
        p_value=1.0,
        test="t",
        verdict="not distinguishable",
    )
    told = plain(story.compared(report, made))
    assert told == "The network and the trees cannot be told apart in AUROC: difference not defined (p = 1.00, t)."


def test_the_confidence_is_the_configured_one(report):
    assert plain(story.level(report)) == "95%"
    other = report.model_copy(update={"config": {"evaluate.confidence": 0.9}})
    assert plain(story.level(other)) == "90%"


def test_the_seal_counts_its_openings(report, reports):
    assert story.seal(report).endswith("and opened once, after training had ended.")
    thrice = report.model_copy(update={"split": report.split.model_copy(update={"opened": 3})})
    assert "opened 3 times: later looks are less honest" in story.seal(thrice)
    assert story.seal(reports["bare"]).startswith("There is no test part")


def test_what_was_asked_and_what_was_found(report, reports):
    assert story.asked(report) == "Binary: predict income, positive class >50K from 14 columns"
    assert "with 26 classes" in story.asked(reports["26 classes"])
    assert plain(story.audited(report)) == "32,561 rows, 15 columns; findings: 1 serious, 3 warnings, 2 notes"
    assert story.task(report) == "binary because income has 2 distinct values"
