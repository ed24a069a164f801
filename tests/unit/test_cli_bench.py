"""`assay bench`, called as people call it; runs themselves are in tests/e2e/test_bench.py."""

import json
import sys

import pytest

from assay.cli import main


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    """A folder with a small comparison; `main` sets sys.excepthook, as the entry point of a process may."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("x,y\n1,0\n2,1\n")
    (tmp_path / "try.yaml").write_text(
        "data: [{name: rows, path: rows.csv, target: y}]\n"
        "configs: [{name: a}, {name: b, budget: 2m, overrides: [model=mlp]}]\nseeds: [0, 1]\n"
    )


def test_a_dry_run_tells_and_leaves_nothing(capsys, tmp_path):
    assert main(["bench", "try.yaml", "--dry-run", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "1 data set, 2 configurations, 2 seeds: 4 runs" in out
    assert "at most 3 min 6 s" in out
    assert main(["bench", "try.yaml", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["left"], found["seconds"]) == (4, 366.0)
    assert found["runs"][1] == {"data": "rows", "config": "b", "seed": 0, "budget": 120.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "try.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.yaml"], "gone.yaml must be a file that can be read"),
        (["rows.csv"], "rows.csv must describe a comparison"),
        (["try.yaml", "--data", "gone"], "name the folder of the data with --data"),
        (["try.yaml", "--jobs", "0"], "invalid value for '--jobs'"),
        (["try.yaml", "--out", "rows.csv"], "holds something else"),
        (["try.yaml", "--dryrun"], "Did you mean '--dry-run'?"),
        ([], "missing argument 'CONFIG'"),
    ],
)
def test_a_wrong_command_is_one_message_and_exit_2(arguments, message, capsys, tmp_path):
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "try.yaml"]
