"""The command line from a raw table to a compared, audited, repeated run, as a user types it."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

import assay
from assay.cli import main
from assay.practices import PRACTICES
from assay.runs import open_run

QUICK = [
    "model.name=mlp",
    "model.members=4",
    "ensemble.folds=1",
    "train.epochs=3",
    "evaluate.bootstrap=100",
    "evaluate.baselines=majority",
]
FIT = ["fit", "rows.csv", "--target", "income", "--drop", "fnlwgt", "--seed", "7", "--slice", "age >= 50", *QUICK]


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


@pytest.fixture(scope="module")
def folder(adult_small, tmp_path_factory) -> Path:
    """A directory with rows.csv and a finished run in runs/rows-1, made by the command."""
    folder = tmp_path_factory.mktemp("commands")
    adult_small.write_csv(folder / "rows.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(FIT) == 0
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


def answer(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def bits(run: str) -> dict[str, str]:
    return {
        name: sha256(Path(run, "model", name).read_bytes()).hexdigest()
        for name in ("model.onnx", "weights.safetensors")
    }


def test_a_run_holds_what_the_guide_promises():
    names = {path.name for path in Path("runs/rows-1").iterdir()}
    assert names == {"model", "report.html", "report.json", "config.yaml", "metrics.jsonl", "batch.html", "answers.npz"}
    epochs = [json.loads(line) for line in Path("runs/rows-1/metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert [path.name for path in Path("runs").iterdir()] == ["rows-1"]


def test_show_prints_scores_configuration_and_ledger(capsys):
    shown = answer(capsys, "show", "runs/rows-1")
    assert "Binary: predict income, positive class >50K from 13 columns" in shown
    assert "majority class" in shown
    config = yaml.safe_load(answer(capsys, "show", "runs/rows-1", "--config"))
    assert (config["seed"], config["train"]["epochs"], config["table"]["target"]) == (7, 3, "income")
    ledger = json.loads(answer(capsys, "show", "runs/rows-1", "--ledger", "--json"))["ledger"]
    assert {verdict["practice"] for verdict in ledger} == {one.id for one in PRACTICES.values() if one.verb == "fit"}
    assert all(verdict["reason"] for verdict in ledger)
    assert "split.sealed-test" in answer(capsys, "show", "runs/rows-1", "--ledger")


def test_slices_that_were_named_are_scored_and_mistakes_are_listed(adult_small, capsys):
    shown = answer(capsys, "show", "runs/rows-1")
    assert "age >= 50: " in shown
    looked = open_run("runs/rows-1").report().inspection
    (named,) = looked.slices.named
    assert named.condition == "age >= 50"
    assert 0 < named.rows < looked.slices.tested_on
    answer(capsys, "mistakes", "runs/rows-1", "--out", "check.csv")
    listed = pl.read_csv("check.csv")
    wrong = listed.filter(pl.col("part") == "test")
    assert wrong.height == looked.mistakes.wrong
    given = adult_small["income"].gather((wrong["row"] - 1).to_list())
    assert given.to_list() == wrong["given"].to_list()
    answers = open_run("runs/rows-1").predict(adult_small)["prediction"].gather((wrong["row"] - 1).to_list())
    assert answers.to_list() == wrong["predicted"].to_list()


def test_predict_writes_the_same_answers_in_every_form(adult_small, capsys):
    expected = open_run("runs/rows-1").predict(adult_small)
    for name in ("answers.csv", "answers.parquet"):
        answer(capsys, "predict", "runs/rows-1", "rows.csv", "-o", name)
    assert_frame_equal(pl.read_parquet("answers.parquet"), expected)
    assert_frame_equal(pl.read_csv("answers.csv"), expected, check_dtypes=False, abs_tol=1e-6)


def test_a_lean_copy_answers_and_is_judged_as_the_model_is(adult_small, capsys):
    told = json.loads(answer(capsys, "export", "runs/rows-1", "lean", "--json"))
    names = {path.name for path in Path("runs/rows-1/model").iterdir()}
    assert {path.name for path in Path("lean").iterdir()} == names - {"weights.safetensors", "report.html"}
    assert told["bytes"] == sum(path.stat().st_size for path in Path("lean").iterdir() if path.name != "manifest.json")
    assert told["bytes"] < 0.7 * told["bytes_before"]
    assert told["difference"] <= 1e-5
    assert_frame_equal(assay.load("lean").predict(adult_small), open_run("runs/rows-1").predict(adult_small))
    assert answer(capsys, "show", "lean", "--json") == answer(capsys, "show", "runs/rows-1/model", "--json")
    scored = json.loads(answer(capsys, "evaluate", "lean", "rows.csv", "--json"))["scores"][0]["scores"]
    right = (assay.load("lean").predict(adult_small)["prediction"] == adult_small["income"]).mean()
    (accuracy,) = (score["estimate"]["value"] for score in scored if score["name"] == "accuracy")
    assert accuracy == pytest.approx(right, abs=1e-12)
    answer(capsys, "export", "runs/rows-1", "whole", "--whole")
    assert {path.name for path in Path("whole").iterdir()} == names


def test_a_copy_never_replaces_what_is_there(capsys):
    Path("taken").mkdir()
    assert main(["export", "runs/rows-1", "taken"]) == 2
    assert "'taken' is already there. Name another one, or remove it first." in capsys.readouterr().err
    assert list(Path("taken").iterdir()) == []
    assert main(["export", "nowhere", "made"]) == 2
    assert "a bundle is a directory with a manifest.json" in capsys.readouterr().err
    assert not Path("made").exists()


def test_evaluate_agrees_with_what_predict_says(adult_small, capsys):
    scores = json.loads(answer(capsys, "evaluate", "runs/rows-1", "rows.csv", "--sealed", "--json"))["scores"][0][
        "scores"
    ]
    accuracy = next(score["estimate"] for score in scores if score["name"] == "accuracy")
    right = (open_run("runs/rows-1").predict(adult_small)["prediction"] == adult_small["income"]).mean()
    assert accuracy["value"] == pytest.approx(right, abs=1e-12)
    assert accuracy["low"] < right < accuracy["high"]


def test_a_run_is_repeated_bit_for_bit_from_its_own_config(capsys):
    answer(capsys, "fit", "rows.csv", "--config", "runs/rows-1/config.yaml", "--out", "again", "--quiet")
    assert bits("again") == bits("runs/rows-1")
    first, second = (open_run(run).report() for run in ("runs/rows-1", "again"))
    assert second.split.sealed_sha256 == first.split.sealed_sha256
    assert [s.estimate for s in second.scores[0].scores] == [s.estimate for s in first.scores[0].scores]
    compared = json.loads(answer(capsys, "compare", "runs/rows-1", "again", "--json"))
    assert compared["same_test_rows"] is True
    assert compared["runs"][0]["scores"] == compared["runs"][1]["scores"]


def test_init_writes_a_config_that_fit_takes(capsys):
    answer(capsys, "init", "rows.csv", "--target", "income", "--drop", "fnlwgt", "-o", "starter.yaml")
    shown = json.loads(answer(capsys, "fit", "--config", "starter.yaml", "seed=7", *QUICK, "--json", "--quiet"))
    assert Path(shown["directory"]) == Path("runs/rows-2")
    assert bits("runs/rows-2") == bits("runs/rows-1")
    assert shown["split"]["opened"] == 1


def test_audit_finds_an_obvious_leak_and_strict_closes_the_gate(adult_small, capsys):
    leaking = adult_small.with_columns(
        code=pl.when(pl.col("income") == ">50K").then(9).otherwise(pl.int_range(600) % 7)
    )
    leaking.write_csv("leaking.csv")
    found = json.loads(answer(capsys, "audit", "leaking.csv", "--target", "income", "--json"))["findings"]
    leaks = [finding for finding in found if finding["check"] == "audit.single-column-leak"]
    assert [("'code'" in leak["what"], leak["severity"]) for leak in leaks] == [(True, "serious")]
    assert main(["audit", "leaking.csv", "--target", "income", "--strict"]) == 3
    assert capsys.readouterr().err.startswith("error: under --strict the data must have no serious findings")
    assert main(["fit", "leaking.csv", "--target", "income", "--strict", "--quiet", "--out", "leaked", *QUICK]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert not Path("leaked").exists()
    clean = answer(capsys, "audit", "rows.csv", "--target", "income", "--strict")
    assert clean.startswith("task: binary")
