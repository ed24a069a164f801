"""Boosted trees in the model: from raw rows to one file that answers as the networks and the trees did together."""

import numpy as np
import pytest

import assay
from assay.ledger import Outcome

OPTIONS = [
    "train.epochs=2", "evaluate.bootstrap=100", "evaluate.baselines=majority", "model.members=1",
    "ensemble.recipes=mlp",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(adult_small, tmp_path_factory):
    out = tmp_path_factory.mktemp("trees") / "run"
    options = [*OPTIONS, "ensemble.trees=true", "ensemble.folds=2"]
    return assay.fit(adult_small, "income", out=out, budget="none", overrides=options)


def test_trees_have_a_share_of_the_answer(run):
    parts = {part.name: part for part in run.report().training.parts}
    trees = parts["trees"]
    assert not trees.is_network
    assert trees.members == 2
    assert 0.0 < trees.share <= 1.0
    assert trees.options["leaves"] == 31
    assert sum(part.share for part in parts.values()) == pytest.approx(1.0)
    assert sum(part.parameters for part in parts.values()) == run.report().training.parameters


def test_the_file_answers_as_the_model_did(run, adult_small):
    assert run.report().parity.difference <= 1e-5
    assert run.bundle.verify() <= 1e-5
    probabilities = run.predict(adult_small.head(50)).select("^probability_.*$").to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-5)


def test_ledger_page_and_card_say_so(run):
    verdict = next(each for each in run.report().ledger if each.practice == "search.trees")
    share = next(part.share for part in run.report().training.parts if part.name == "trees")
    assert verdict.value == pytest.approx(share)
    assert verdict.outcome in (Outcome.APPLIED, Outcome.WARNED)
    assert "trees" in run.report().scores[0].description
    for file in ("report.html", "card.md"):
        assert "Boosted trees give" in (run.directory / "model" / file).read_text("utf-8")
    epochs = (run.directory / "metrics.jsonl").read_text("utf-8")
    assert '"network":"trees"' in epochs


def test_they_are_left_out_unless_asked_for(small_run):
    verdict = next(each for each in small_run.report().ledger if each.practice == "search.trees")
    assert verdict.outcome is Outcome.SKIPPED
    assert verdict.reason == "trees stay baselines; ensemble.trees=true lets them join"
    assert all(part.is_network for part in small_run.report().training.parts)
    assert "Boosted trees give" not in (small_run.directory / "model" / "card.md").read_text("utf-8")
