"""Several networks, with folds, in one model: from raw rows to one file that agrees with what was trained."""

import numpy as np
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
    with pytest.raises(ConfigError, match=r"model\.heads do not"):
        assay.fit(adult_small, "income", out=tmp_path / "run", overrides=[*OPTIONS, "model.name=mlp", "model.heads=4"])
    assert not list(tmp_path.iterdir())
