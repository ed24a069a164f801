"""`assay mistakes` and `--slice` as they are typed."""

import json
import sys

import polars as pl
import pytest

from assay.cli import main


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


def test_mistakes_are_printed_written_and_given_as_json(small_run, tmp_path, capsys):
    run, found = str(small_run.directory), small_run.report().inspection.mistakes
    assert main(["mistakes", run]) == 0
    printed = capsys.readouterr().out
    assert f"{found.wrong} of {found.judged} test rows are answered wrongly." in printed
    assert "report.html#mistakes" in printed
    assert main(["mistakes", run, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == len(found.listed)
    for name in ("check.csv", "check.parquet"):
        assert main(["mistakes", run, "-o", str(tmp_path / name)]) == 0
        assert f"{len(rows)} rows are written" in capsys.readouterr().err
    written = pl.read_parquet(tmp_path / "check.parquet")
    assert written.columns == ["row", "part", "file", "given", "predicted", "probability", "reason"]
    assert written["row"].to_list() == [row["number"] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["-o", "check.txt"], ".csv or .parquet"), (["-o", "nowhere/check.csv"], "folder of the output")],
)
def test_an_output_that_cannot_be_written_is_refused(small_run, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["mistakes", str(small_run.directory), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_slice_that_cannot_be_read_ends_the_run_before_training(adult_small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    adult_small.write_csv("rows.csv")
    assert main(["fit", "rows.csv", "--target", "income", "--slice", "agee > 3", "--quiet"]) == 2
    assert "Did you mean 'age'?" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))
