"""Sensitive groups from the command to the page: measured though dropped, mitigated beside the same without."""

from __future__ import annotations

import json

import polars as pl
import pytest

import assay
from assay.cli import main
from assay.runs import evaluate

ONE = ["model.name=mlp", "model.members=2", "ensemble.folds=1", "evaluate.baselines=majority", "evaluate.bootstrap=100"]


@pytest.fixture(scope="module")
def mitigated(adult_small, tmp_path_factory) -> assay.Run:
    """A run that does not read the sex of people, and is to answer alike for both."""
    out = tmp_path_factory.mktemp("fair") / "run"
    options = [
        "train.fairness=equalised_odds", "train.fairness_weight=3", "train.epochs=6", "data.split.test=0.3",
        "evaluate.group_thresholds=demographic_parity", "evaluate.least_group=10", "data.split.valid=0.3",
    ]  # fmt: skip
    return assay.fit(
        adult_small, "income", out=out, sensitive=["sex", "age"], drop=["sex"], budget="none",
        overrides=[*ONE, *options],
    )  # fmt: skip


def test_dropped_columns_are_measured_and_ages_in_bands(mitigated):
    found = mitigated.report().fairness
    assert [attribute.columns for attribute in found.attributes] == [("sex",), ("age",), ("sex", "age")]
    assert [group.name for group in found.attributes[0].groups] == ["Female", "Male"]
    assert len(found.attributes[1].groups) == 4
    assert sum(group.rows for group in found.attributes[2].groups) == mitigated.report().split.test_rows
    assert "sex" not in {item.name for item in mitigated.bundle.manifest.inputs}


def test_the_same_without_stands_beside_it_with_its_scores_and_gaps(mitigated):
    report = mitigated.report()
    made = report.fairness.mitigation
    assert [cost.id for cost in made.costs] == ["accuracy", "auroc"]
    accuracy = next(score.estimate.value for score in report.scores[0].scores if score.name == "accuracy")
    assert made.costs[0].value == pytest.approx(accuracy)
    assert made.costs[0].difference == pytest.approx(accuracy - made.costs[0].without)
    assert [attribute.columns for attribute in made.attributes] == [("sex",), ("age",), ("sex", "age")]
    reasons = {verdict.practice: verdict.reason for verdict in report.ledger}
    assert "equalised_odds" in reasons["train.fairness"]
    assert "without" in reasons["train.fairness"]
    lines = (mitigated.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert "without train.fairness" in {json.loads(line).get("network") for line in lines}


def test_the_page_and_the_card_tell_of_both(mitigated):
    page = (mitigated.directory / "report.html").read_text(encoding="utf-8")
    assert "With and without the mitigation" in page
    assert "None of these numbers says that a model is fair" in page
    card = (mitigated.bundle.directory / "card.md").read_text(encoding="utf-8")
    assert "Mitigation: Accuracy" in card


def test_the_commands_show_groups(mitigated, capsys):
    assert main(["show", str(mitigated.directory), "--groups"]) == 0
    shown = capsys.readouterr().out
    assert "Female" in shown
    assert "None of these numbers" in shown
    assert main(["show", str(mitigated.directory)]) == 0
    assert "Groups" in capsys.readouterr().out
    assert main(["show", str(mitigated.directory), "--groups", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fairness"]["least"] == 10


def test_new_rows_are_compared_in_the_bands_of_the_run(mitigated, adult_small, tmp_path, capsys):
    path = tmp_path / "new.csv"
    adult_small.head(200).write_csv(path)
    assert main(["evaluate", str(mitigated.directory), str(path)]) == 0
    assert "Female" in capsys.readouterr().out
    found = evaluate(mitigated.directory, path).fairness
    assert found.part == "new"
    assert found.cuts == mitigated.report().fairness.cuts
    adult_small.head(200).drop("sex").write_csv(path)
    lacking = evaluate(mitigated.directory, path).fairness
    assert lacking.attributes[0].problem == "these rows do not have the column"
    assert lacking.attributes[1].groups == found.attributes[1].groups


def test_a_mitigation_without_groups_is_refused_before_anything_is_trained(adult_small, tmp_path):
    with pytest.raises(assay.AssayError, match="no column is named as sensitive"):
        assay.fit(adult_small, "income", out=tmp_path / "run", overrides=[*ONE, "train.fairness=reweigh"])


def test_reweighing_and_the_worst_group_of_a_regression(adult_small, tmp_path):
    options = [*ONE, "train.epochs=2", "train.fairness_compare=false", "evaluate.least_group=10"]
    weighed = assay.fit(
        adult_small,
        "income",
        out=tmp_path / "a",
        sensitive=["sex"],
        budget="none",
        overrides=[*options, "train.fairness=reweigh"],
    )
    assert weighed.report().fairness.mitigation is None
    frame = adult_small.with_columns(pl.col("hours_per_week").cast(pl.Float64) + pl.int_range(pl.len()) / 1000)
    worst = assay.fit(
        frame,
        "hours_per_week",
        out=tmp_path / "b",
        sensitive=["sex"],
        budget="none",
        overrides=[*options, "train.fairness=group_dro"],
    )
    found = worst.report().fairness
    assert {gap.id for gap in found.attributes[0].gaps} == {"residual_difference", "error_difference"}
