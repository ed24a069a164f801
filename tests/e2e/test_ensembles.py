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


def test_epochs_are_written_down_by_network(run):
    lines = (run.directory / "metrics.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 9
    assert [line.count('"network":"mlp"') for line in lines] == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_an_option_that_a_network_has_no_use_for_is_refused(adult_small, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.heads does not"):
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
