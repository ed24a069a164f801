"""The range test as a user asks for it: by the command, in Python, and inside a fit whose bits it leaves alone."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import ConfigError, DataError
from assay.runs import open_run

ONE = ["model.name=mlp", "model.members=2", "ensemble.folds=1", "train.threads=1"]
SHORT = [*ONE[1:], "train.epochs=2", "evaluate.bootstrap=100", "evaluate.baselines=majority"]


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


@pytest.fixture
def table(adult_small, tmp_path, monkeypatch) -> Path:
    adult_small.write_csv(tmp_path / "rows.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rows.csv"


def test_the_command_prints_rates_and_what_to_do_and_draws(table, capsys):
    arguments = ["lr-find", "rows.csv", "--target", "income", *ONE, "--steps", "60", "--out", "rates.svg"]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "suggested (valley)" in shown.out
    assert "assay fit ... train.lr=0.0" in shown.out
    assert "⠀" not in shown.out  # a pipe gets no sketch
    assert "test rates of mlp (1 of 1)" in shown.err
    assert ElementTree.parse("rates.svg").getroot().tag.endswith("svg")
    assert {path.name for path in table.parent.iterdir()} == {"rows.csv", "rates.svg"}


def test_json_is_the_record_and_repeats(table, capsys):
    arguments = ["lr-find", "rows.csv", "--target", "income", *ONE, "--steps", "40", "--json", "-q"]
    found = []
    for _ in range(2):
        assert main(arguments) == 0
        found.append(json.loads(capsys.readouterr().out))
    (curve,), (again,) = (each["curves"] for each in found)
    assert curve["losses"] == again["losses"]
    assert (curve["network"], curve["used"], found[0]["target"]) == ("mlp", 0.002, "income")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rows.csv", "--target", "incme"], "Did you mean 'income'?"),
        (["rows.csv", "--target", "income", "--steps", "3"], "takes from 24 to 2,000 steps"),
        (["rows.csv", "--target", "income", "--lowest", "2"], "rates of a range test must rise"),
        (["rows.csv", "--target", "income", "--out", "rates.png"], ".svg, .html, .json"),
        (["rows.csv", "--target", "income", "--out", "no/rates.svg"], "the folder of the output must exist"),
        (["rows.csv", "--target", "income", "model.name=own"], "the command line takes none"),
        (["rows.csv", "--target", "income", "model.nme=mlp"], "model.name"),
        (["rows.csv"], "the column to predict must be named"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(table, capsys, arguments, message):
    assert main(["lr-find", *arguments, "-q"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_in_python_it_gives_a_record_with_pictures(table, tmp_path):
    found = assay.lr_find(table, target="income", overrides=["ensemble.recipes=perceptron,mlp", *ONE[1:]], steps=40)
    assert [curve.network for curve in found.curves] == ["perceptron", "mlp"]
    assert 400 < found.rows < 600
    assert all(line.startswith("assay fit ... model.name=") for line in found.advice)
    assert found._repr_svg_() == found.svg()
    assert "mlp" in found.plot(tmp_path / "rates.html").read_text()
    text = found.plot(tmp_path / "rates.json").read_text()
    assert type(found).from_json(text, "rates.json") == found
    with pytest.raises(ConfigError, match="Change the ending"):
        found.plot("rates.gif")


def test_few_rows_are_refused_or_noted(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pl.DataFrame({"x": [float(k % 17) for k in range(60)], "y": [float(k % 17 + k % 3) for k in range(60)]})
    with pytest.raises(DataError):
        assay.lr_find(rows.head(2), target="y")
    rows.write_csv("few.csv")
    assert main(["lr-find", "few.csv", "--target", "y", *ONE, "-q"]) == 0
    assert "much of what it saw is memory" in capsys.readouterr().err


def bits(run: assay.Run) -> str:
    return sha256((run.directory / "model" / "weights.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["mlp", "perceptron"])
def test_a_fit_with_the_test_has_the_bits_of_one_without(adult_small, tmp_path, name):
    options = ["model.norm=batch", "model.dropout=0.2"] if name == "mlp" else []
    runs = [
        assay.fit(
            adult_small, target="income", out=tmp_path / asked, budget="none",
            overrides=[*SHORT, f"model.name={name}", *options, f"train.lr_find={asked}"],
        )
        for asked in ("false", "true")
    ]  # fmt: skip
    assert bits(runs[0]) == bits(runs[1])
    without, tested = (open_run(run.directory).report() for run in runs)
    verdicts = [{each.practice: each for each in report.ledger}["train.lr-find"] for report in (without, tested)]
    assert verdicts[0].outcome == "skipped"
    assert "train.lr_find=true" in verdicts[0].reason
    assert verdicts[1].outcome in ("passed", "warned")
    assert f"{name}: a range test suggests train.lr=" in verdicts[1].reason
    assert without.training.parts[0].rates is None
    assert tested.training.parts[0].rates.suggestion == verdicts[1].value
    page = (runs[1].directory / "report.html").read_text()
    assert "Range tests of the learning rate" in page


def test_a_model_of_ones_own_is_not_tested(adult_small):
    from torch import nn

    with pytest.raises(ConfigError, match=r"train\.lr_find has none: a model of your own may share"):
        assay.fit(
            adult_small, target="income", model=lambda inputs, outputs: nn.Linear(inputs, outputs),
            overrides=["train.lr_find=true"],
        )  # fmt: skip
