"""Sets, intervals and unusual rows from the raw file to the answers of the bundle."""

import json

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli.app import main
from assay.errors import ConfigError

SMALL = [
    "model.name=mlp", "model.members=2", "ensemble.folds=1", "train.epochs=5", "evaluate.bootstrap=100",
    "evaluate.baselines=majority", "evaluate.coverage=0.8",
]  # fmt: skip


def flowers(rows, seed):
    """Three classes that overlap, a group that the classes depend on, gaps."""
    rng = np.random.default_rng(seed)
    kind, group = rng.integers(0, 3, rows), rng.integers(0, 2, rows)
    wide = kind + 0.8 * rng.normal(size=rows) * (1 + group)
    long = pl.Series("long", 2.0 * kind + rng.normal(size=rows)).set(pl.Series(rng.random(rows) < 0.05), None)
    names, fields = np.array(["rose", "lily", "iris"]), np.array(["north", "south"])
    return pl.DataFrame({"wide": wide, "long": long, "field": fields[group], "flower": names[kind]})


def prices(rows, seed):
    """A number whose error grows with it."""
    rng = np.random.default_rng(seed)
    size, age = rng.uniform(1.0, 10.0, rows), rng.integers(0, 40, rows)
    return pl.DataFrame(
        {"size": size, "age": age, "price": 3.0 * size - 0.1 * age + 0.3 * size * rng.normal(size=rows)}
    )


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    flowers(900, 0).write_csv(folder / "rows.csv")
    flowers(300, 1).write_csv(folder / "test.csv")
    options = [*SMALL, "evaluate.conformal_groups=field"]
    run = assay.fit(
        folder / "rows.csv", "flower", test=folder / "test.csv", out=folder / "run", overrides=options, budget="none"
    )
    return run, folder


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    prices(1200, 0).write_csv(folder / "rows.csv")
    prices(300, 1).write_csv(folder / "test.csv")
    run = assay.fit(
        folder / "rows.csv", "price", test=folder / "test.csv", out=folder / "run",
        overrides=[*SMALL, "evaluate.conformal=normalised"], budget="none",
    )  # fmt: skip
    return run, folder


def verdict(run, practice):
    return next(each for each in run.report().ledger if each.practice == practice)


def test_sets_of_the_bundle_are_those_that_were_tested(classes):
    run, folder = classes
    found, told = run.predict(folder / "test.csv", sets=True), run.report().coverage
    truth = pl.read_csv(folder / "test.csv")["flower"]
    held = pl.DataFrame({"set": found["set"], "truth": truth}).select(pl.col("set").list.contains(pl.col("truth")))
    assert held.to_series().mean() == pytest.approx(told.overall.held)
    assert np.bincount(found["set"].list.len().to_numpy()).tolist() == list(told.sizes)
    assert (told.asked, told.column, told.overall.rows) == (0.8, "field", 300)
    assert {cell.name for cell in told.cells if cell.family == "group"} == {"field = north", "field = south"}
    assert {cell.name for cell in told.cells if cell.family == "class"} == {"rose", "lily", "iris"}
    assert told.overall.held > told.overall.low - 0.05
    assert verdict(run, "evaluate.conformal").value == told.overall.held
    assert "chose epochs" in verdict(run, "evaluate.conformal").reason


def test_intervals_of_the_bundle_are_those_that_were_tested(numbers):
    run, folder = numbers
    found, told = run.predict(folder / "test.csv", intervals=True), run.report().coverage
    truth = pl.read_csv(folder / "test.csv")["price"]
    assert ((found["lower"] <= truth) & (truth <= found["upper"])).mean() == pytest.approx(told.overall.held)
    assert (found["upper"] - found["lower"]).mean() == pytest.approx(told.overall.size, rel=1e-6)
    assert told.kind == "normalised"
    large = found.filter(truth > truth.median())
    small = found.filter(truth <= truth.median())
    assert (large["upper"] - large["lower"]).mean() > 1.2 * (small["upper"] - small["lower"]).mean()


def test_unusual_rows_are_those_that_were_counted(classes):
    run, folder = classes
    found, told = run.predict(folder / "test.csv", unusual=True), run.report().unusual
    assert found["unusual"].mean() == pytest.approx(told.flagged)
    assert (told.asked, told.rows) == (0.01, 300)
    strange = flowers(5, 2).with_columns(pl.lit(900.0).alias("wide"))
    answers = run.predict(strange, unusual=True)
    assert answers["unusual"].all()
    assert set(answers["unusual_column"]) == {"wide"}
    assert verdict(run, "evaluate.unusual").value == told.flagged


def test_no_cell_of_the_training_rows_is_stored(classes):
    run, folder = classes
    stored = json.loads((run.directory / "model" / "outline.json").read_text(encoding="utf-8"))
    cells = {float(cell) for cell in pl.read_csv(folder / "rows.csv")["wide"]}
    kept = next(one["values"] for one in stored["numbers"] if one["name"] == "wide")
    assert len(cells & set(kept)) <= 1  # the middle one of an odd number of rows


def said(capsys, *arguments):
    assert main([str(word) for word in arguments]) == 0
    return capsys.readouterr().out


def test_the_command_line_adds_the_columns(classes, numbers, tmp_path, capsys):
    run, folder = classes
    out = tmp_path / "answers.csv"
    said(capsys, "predict", run.directory, folder / "test.csv", "-o", out, "--sets", "--unusual")
    answers = pl.read_csv(out)
    assert answers.columns[-4:] == ["set", "unusual", "unusual_score", "unusual_column"]
    assert set("|".join(answers["set"]).split("|")) == {"rose", "lily", "iris"}
    run, folder = numbers
    told = said(capsys, "predict", run.directory, folder / "test.csv", "-o", "-", "--intervals")
    assert told.startswith("prediction,lower,upper\n")


def test_evaluate_says_what_is_held_of_new_rows(classes, numbers, capsys):
    for (run, folder), what in ((classes, "sets"), (numbers, "intervals")):
        command = ["evaluate", run.directory, folder / "test.csv", "--sealed"]
        told = json.loads(said(capsys, *command, "--json"))["coverage"]
        assert told["overall"]["held"] == pytest.approx(run.report().coverage.overall.held)
        assert f"{what} that are to hold 80" in " ".join(said(capsys, *command).split())


def test_the_report_shows_it(classes):
    run, _ = classes
    page = (run.directory / "report.html").read_text(encoding="utf-8")
    assert 'id="certainty"' in page
    assert "by group" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["evaluate.conformal=cqr"], "for multiclass evaluate.conformal may be auto, none, lac, aps, raps"),
        (["evaluate.conformal_groups=feild"], "Did you mean 'field'"),
    ],
)
def test_what_cannot_be_had_is_refused_before_training(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        assay.fit(flowers(200, 0), "flower", out=tmp_path / "run", overrides=[*SMALL, *options])
    assert not (tmp_path / "run").exists()
