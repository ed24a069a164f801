"""Calibration, thresholds and costs from the command's words to the answers of the bundle, on small made tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import assay
from assay.errors import ConfigError
from assay.runs import evaluate

SMALL = [
    "model.name=mlp",
    "model.members=2",
    "model.width=16",
    "ensemble.folds=1",
    "train.epochs=6",
    "evaluate.bootstrap=100",
    "evaluate.baselines=majority,linear",
]


def rare(rows: int) -> pl.DataFrame:
    """A tenth of the rows is positive."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    chance = 1.0 / (1.0 + np.exp(-(1.5 * x[:, 0] - x[:, 1] - 3.0)))
    answer = np.where(rng.random(rows) < chance, "yes", "no")
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "answer": answer})


def fit(frame: pl.DataFrame, folder, *overrides: str) -> assay.Run:
    return assay.fit(frame, "answer", out=folder / "run", budget="none", overrides=[*SMALL, *overrides])


def value(run: assay.Run, name: str, model: int = 0) -> float:
    return next(score.estimate.value for score in run.scores[model].scores if score.name == name)


@pytest.fixture(scope="module")
def costly(tmp_path_factory) -> assay.Run:
    """A false negative costs eight times a false positive; beta calibration."""
    folder = tmp_path_factory.mktemp("costly")
    return fit(rare(2500), folder, "evaluate.costs=1,8", "evaluate.calibrate=beta")


def test_the_threshold_is_one_in_scores_bundle_and_answers(costly):
    report, (cut,) = costly.report(), costly.bundle.manifest.thresholds
    assert report.decision.threshold == cut
    assert 0.03 < cut < 0.4  # 1/9 in theory
    assert costly.bundle.verify() <= 1e-5
    answers = costly.predict(rare(2500))
    assert ((answers["prediction"] == "yes") == (answers["probability_yes"] >= cut)).all()
    # What the report counts is what the threshold decides: more alarms than from one half on.
    table = np.array(report.confusion)
    assert value(costly, "recall") == pytest.approx(table[1, 1] / table[1].sum())
    assert value(costly, "recall") > 0.5


def test_the_ledger_says_what_was_chosen_and_gained(costly):
    found = {verdict.practice: verdict for verdict in costly.report().ledger}
    thresholds = found["evaluate.thresholds"]
    assert thresholds.outcome == "applied"
    assert "for cost of a row" in thresholds.reason
    assert "from 0.5 on" in thresholds.reason
    assert thresholds.value > 0
    assert found["evaluate.calibration"].reason.startswith("beta: beta was asked for")
    assert found["evaluate.reliability"].outcome in ("passed", "warned")
    assert "calibrated model" in found["evaluate.reliability"].reason
    scores = {score.name: score for score in costly.report().decision.scores}
    assert scores["cost"].low <= scores["cost"].value <= scores["cost"].high
    assert scores["lift"].value > 2
    page = (costly.directory / "report.html").read_text(encoding="utf-8")
    assert "a false positive costs 1, a false negative 8" in page


def test_rows_labelled_later_are_scored_by_the_same_threshold(costly, tmp_path):
    frame = rare(2500)
    frame.write_csv(tmp_path / "rows.csv")
    found = evaluate(costly.directory, tmp_path / "rows.csv", sealed=True)
    answers, truth = costly.predict(frame)["prediction"] == "yes", frame["answer"] == "yes"
    recall = next(score.estimate.value for score in found.scores[0].scores if score.name == "recall")
    assert recall == pytest.approx((answers & truth).sum() / truth.sum())


def test_a_rare_class_is_decided_for_f1_unasked(tmp_path):
    run = fit(rare(2000), tmp_path)
    decision = run.report().decision
    assert decision.aim == "f1"
    assert run.bundle.manifest.thresholds == (decision.threshold,)
    assert run.report().calibration.kind in ("none", "temperature", "vector", "beta", "isotonic")


def test_three_ordered_classes_are_decided_for_the_least_cost(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(900, 2))
    grade = np.digitize(x[:, 0] + 0.7 * rng.normal(size=900), [-0.6, 0.6]) + 3
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "answer": grade})
    run = assay.fit(
        frame, "answer", out=tmp_path / "run", task="multiclass", budget="none",
        overrides=[*SMALL, "evaluate.costs=0,1,1,9,0,9,1,1,0"],
    )  # fmt: skip
    costs = run.bundle.manifest.costs
    assert costs == ((0, 1, 1), (9, 0, 9), (1, 1, 0))
    assert run.bundle.verify() <= 1e-5
    answers = run.predict(frame)
    stated = answers.drop("prediction").to_numpy()
    classes = np.array(run.bundle.manifest.classes).astype(int)
    assert (answers["prediction"].to_numpy() == classes[(stated @ np.array(costs)).argmin(axis=1)]).all()
    # Calling 4 by another name is dear, so that it is called more often than it is likeliest.
    assert (answers["prediction"] == 4).sum() > (classes[stated.argmax(axis=1)] == 4).sum()
    names = [score.name for score in run.report().decision.scores]
    assert names == ["cost", "quadratic_kappa", "class_distance"]


def test_what_does_not_suit_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="must be 2 times 2 numbers"):
        fit(rare(200), tmp_path, "evaluate.costs=0,1,2,1,0,2,1,1,0")
    with pytest.raises(ConfigError, match=r"evaluate\.threshold"):
        fit(rare(200), tmp_path, "evaluate.threshold=1.5")
    assert not (tmp_path / "run").exists()
