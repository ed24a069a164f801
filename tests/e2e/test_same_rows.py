"""The same test rows again: looks are counted, sealed rows asked for by name, runs tested in pairs."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import ConfigError
from assay.runs import evaluate, open_run

OPTIONS = {
    "model.name": "mlp", "model.members": 1, "model.width": 16, "train.epochs": 4, "train.threads": 1, "train.lr": 0.02,
    "ensemble.folds": 1, "evaluate.baselines": "majority", "evaluate.bootstrap": 100,
}  # fmt: skip


def fitted(table, out, **more):
    """A run with these options but for `more`."""
    overrides = [f"{name}={value}" for name, value in {**OPTIONS, **more.pop("options", {})}.items()]
    return assay.fit(table, target="y", out=out, budget="none", overrides=overrides, **more)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """600 rows whose class is the noisy sign of a sum."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3))
    y = np.where(x[:, 0] + x[:, 1] + 0.5 * draw.normal(size=600) > 0, "yes", "no")
    path = tmp_path_factory.mktemp("same") / "signs.csv"
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def runs(table, tmp_path_factory):
    """Of one folder: a run, its repeat, one that is hardly trained on the same rows, and one with other test rows."""
    folder = tmp_path_factory.mktemp("workspace")
    asked = {"first": {}, "repeat": {}, "hasty": {"train.lr": 1e-5, "train.epochs": 1}, "other": {"seed": 1}}
    return {name: fitted(table, folder / name, options=options) for name, options in asked.items()}


def printed(capsys):
    """What was printed, on one line."""
    return " ".join(capsys.readouterr().out.split())


def test_the_second_look_is_corrected_and_a_repeat_is_none(runs):
    seals = {name: run.report().seal for name, run in runs.items()}
    assert {name: seal.looks for name, seal in seals.items()} == {"first": 1, "repeat": 1, "hasty": 3, "other": 1}
    assert seals["hasty"].runs == ("first", "repeat")
    assert seals["hasty"].corrected == pytest.approx(1 - 0.05 / 3)
    assert runs["first"].report().scores[0].scores == runs["repeat"].report().scores[0].scores
    verdict = next(each for each in runs["hasty"].report().ledger if each.practice == "split.sealed-test")
    assert verdict.outcome == "warned"


def test_the_report_says_that_intervals_are_corrected(runs, capsys):
    page = (runs["hasty"].directory / "report.html").read_text()
    assert "look-corrected 95" in page
    assert "had been looked at 2 times before" in page
    assert "look-corrected" not in (runs["first"].directory / "report.html").read_text()
    assert main(["show", str(runs["hasty"].directory)]) == 0
    assert "look-corrected" in capsys.readouterr().out


def test_sealed_rows_must_be_asked_for_by_name(runs, table, capsys):
    directory = str(runs["other"].directory)
    assert main(["evaluate", directory, str(table)]) == 2
    refused = capsys.readouterr().err
    assert "60 of the 60 sealed rows of other are among these 600" in refused
    assert "--sealed" in refused
    assert main(["evaluate", directory, str(table), "--sealed", "--json"]) == 0
    said = capsys.readouterr()
    assert "look number 2 at the sealed rows of other, and it is counted" in said.err
    scores = json.loads(said.out)["scores"][0]["scores"]
    corrected = next(score["estimate"] for score in scores if score["name"] == "auroc")
    told: list[str] = []
    again = evaluate(directory, pl.read_csv(table), sealed=True, tell=told.append)
    assert "look number 3" in told[0]
    wider = next(score.estimate for score in again.scores[0].scores if score.name == "auroc")
    assert wider.high - wider.low > corrected["high"] - corrected["low"]


def test_rows_that_no_run_sealed_are_scored_as_before(runs):
    draw = np.random.default_rng(9)
    x = draw.normal(size=(80, 3))
    fresh = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")})
    assert evaluate(runs["first"].directory, fresh).scores
    assert not (runs["first"].directory / "looks.jsonl").exists()


def test_a_model_without_its_run_knows_its_whole_test_set(runs, table, tmp_path):
    alone = runs["first"].save(tmp_path / "model")
    seen = open_run(runs["first"].directory).report()
    assert seen.split.test_rows == 60
    assert evaluate(alone, pl.read_csv(table)).scores  # among others they are not known again
    parted = pl.read_csv(table)[:100]
    run = fitted(table, tmp_path / "parted", test=parted)
    away = run.save(tmp_path / "away")
    with pytest.raises(ConfigError, match="must be asked for by name"):
        evaluate(away, parted)
    told: list[str] = []
    evaluate(away, parted, sealed=True, tell=told.append)
    assert "it cannot be counted" in told[0]


def test_runs_on_the_same_rows_are_tested_in_pairs(runs, tmp_path, capsys):
    names = [str(runs[name].directory) for name in ("first", "repeat", "hasty")]
    page = tmp_path / "compared.html"
    assert main(["compare", *names, "--html", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_test_rows"] is True
    (family,) = found["families"]
    assert family["rows"] == 60
    pairs = {(pair["first"], pair["second"]): pair for pair in family["pairs"]}
    assert pairs[names[0], names[1]]["verdict"] == "not distinguishable"
    assert pairs[names[0], names[1]]["p_value"] == 1.0
    assert any({names[0], names[1]} <= set(group) for group in family["groups"])
    text = page.read_text()
    assert "<script" not in text
    assert "cannot tell apart" in text
    assert main(["compare", *names]) == 0
    text = printed(capsys)
    assert "DeLong, paired; p-values are Holm's over 3 on the same 60 test rows." in text
    assert "tested on different rows" not in text


def test_runs_on_other_rows_are_not_paired(runs, tmp_path, capsys):
    names = [str(runs[name].directory) for name in ("first", "other")]
    assert main(["compare", *names, "--html", str(tmp_path / "two.html")]) == 0
    assert "those of different test rows are not paired" in printed(capsys)
    assert "tested on different rows" in (tmp_path / "two.html").read_text()
    assert main(["compare", *names, "--html", str(tmp_path / "two.txt")]) == 2
    assert main(["compare", *names, "--html", str(tmp_path / "none" / "two.html")]) == 2


def test_runs_that_kept_no_answers_say_so(runs, tmp_path, capsys):
    shutil.copytree(runs["first"].directory, tmp_path / "old")
    (tmp_path / "old" / "answers.npz").unlink()
    assert main(["compare", str(tmp_path / "old"), str(runs["first"].directory)]) == 0
    assert "has no answers to the test rows" in printed(capsys)
