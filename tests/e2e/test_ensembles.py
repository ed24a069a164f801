"""Several networks, with folds, in one model: from raw rows to one file that agrees with what was trained."""

import numpy as np
import polars as pl
import pytest

import assay
from assay.errors import ConfigError
from assay.ledger import Outcome

OPTIONS = ["train.epochs=3", "evaluate.bootstrap=100", "evaluate.baselines=majority", "model.members=2"]


@pytest.fixture(scope="module")
def run(adult_small, tmp_path_factory):
    out = tmp_path_factory.mktemp("ensemble") / "run"
    options = [*OPTIONS, "ensemble.recipes=realmlp,mlp,tabm_mini", "ensemble.folds=3"]
    return assay.fit(adult_small, "income", out=out, budget=None, overrides=options)


def test_the_parts_share_the_answer(run):
    parts = run.report().training.parts
    assert {part.name for part in parts} <= {"realmlp", "mlp", "tabm_mini"}
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert all(part.members % 3 == 0 for part in parts)  # a variant is there with all its folds, or not at all
    assert sum(part.members for part in parts) == run.report().training.members
    assert sum(part.parameters for part in parts) == run.report().training.parameters


def test_the_file_answers_as_the_networks_did(run, adult_small):
    assert run.report().parity.difference <= 1e-5
    assert run.bundle.verify() <= 1e-5
    probabilities = run.predict(adult_small.head(50)).select("^probability_.*$").to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-5)


def test_the_ledger_tells_of_folds_and_weights(run):
    verdicts = {verdict.practice: verdict for verdict in run.report().ledger}
    assert (verdicts["search.folds"].outcome, verdicts["search.folds"].value) == (Outcome.APPLIED, 3)
    assert verdicts["search.recipes"].value == 3
    assert verdicts["search.ensemble"].value == len(run.report().training.parts)
    assert verdicts["search.bagging"].outcome is Outcome.SKIPPED


def test_three_scores_stand_side_by_side_and_a_leaderboard_has_every_network(run):
    report = run.report()
    chosen, board = report.selection, report.leaderboard
    assert chosen.settings == 6  # three networks with two variants each, whose folds are weighted as one
    assert chosen.rows == report.split.train_rows + report.split.valid_rows
    assert chosen.corrected.low < chosen.corrected.value <= chosen.validation
    assert chosen.flattery == pytest.approx(chosen.validation - chosen.corrected.value)
    verdicts = {verdict.practice: verdict for verdict in report.ledger}
    assert verdicts["evaluate.selection-bias"].value == pytest.approx(chosen.flattery)
    rows = {row.name: row for row in board.rows}
    assert set(rows) == {"the model", "realmlp", "mlp", "tabm_mini", "majority class"}
    assert rows["the model"].corrected == chosen.corrected
    assert rows["the model"].bytes == (run.directory / "model" / "model.onnx").stat().st_size
    assert sum(row.share for row in board.rows if row.kind == "network") == pytest.approx(1.0)
    for row in board.rows:
        is_dropped = row.share == 0.0
        assert (row.test is None) == (row.predict_microseconds is None) == is_dropped
        assert (row.bytes is None) == (is_dropped or row.kind == "baseline")
    values = [row.corrected.value for row in board.rows]
    assert values == sorted(values, reverse=True)


def test_epochs_are_written_down_by_network(run):
    lines = (run.directory / "metrics.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 9
    assert [line.count('"network":"mlp"') for line in lines] == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_the_choice_is_repeated_in_outer_folds_and_networks_are_stacked(adult_small, tmp_path):
    options = [
        "train.epochs=2", "evaluate.bootstrap=100", "evaluate.baselines=majority", "model.name=mlp", "model.members=2",
        "ensemble.folds=1", "ensemble.stacking=true", "evaluate.protocol=nested", "evaluate.outer_folds=2",
    ]  # fmt: skip
    run = assay.fit(adult_small, "income", out=tmp_path / "run", budget=None, overrides=options)
    found = run.report().nested
    assert len(found.scores) == 2
    assert found.estimate.value == pytest.approx(np.mean(found.scores))
    assert found.rows == run.report().split.train_rows + run.report().split.valid_rows
    assert run.report().split.opened == 1
    told = {verdict.practice: verdict.reason for verdict in run.report().ledger}
    assert told["evaluate.nested"].startswith("2 folds dealt within strata of the target")
    assert "stacking, as ensemble.stacking=true asked" in told["search.ensemble"]


def test_an_option_that_a_network_has_no_use_for_is_refused(adult_small, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.heads belongs to"):
        assay.fit(adult_small, "income", out=tmp_path / "run", overrides=[*OPTIONS, "model.name=mlp", "model.heads=4"])
    assert not list(tmp_path.iterdir())


def test_a_table_smaller_than_a_recipes_batch_needs_no_word_of_it(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.where(x[:, 0] > 0, "up", "down")})
    options = ["train.epochs=20", "ensemble.recipes=realmlp,mlp", "ensemble.folds=1", "model.members=2"]
    run = assay.fit(frame, "y", budget="none", out=tmp_path / "run", overrides=options)
    told = {verdict.practice: verdict.reason for verdict in run.report().ledger}
    assert told["train.batch-size"] == "32 rows a step, chosen by rows and free memory, the rate scaled with it"
    assert {part.name for part in run.report().training.parts} <= {"realmlp", "mlp"}
    answers = run.predict(frame.drop("y"))
    assert (answers["prediction"] == frame["y"]).mean() > 0.9
