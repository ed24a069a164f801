"""`assay bench` with real runs: one fails, the rest is compared; killed and started again it goes on."""

import json
import os
import signal
import subprocess
import sys

import polars as pl
import pytest

OPTIONS = (
    "[budget=none, model=mlp, model.members=1, ensemble.folds=1, train.epochs=2, evaluate.baselines=majority, "
    "evaluate.bootstrap=100]"
)
COMMAND = [sys.executable, "-c", "import sys; from assay.cli import main; sys.exit(main())", "bench"]


@pytest.fixture(scope="module")
def folder(adult_small, tmp_path_factory):
    """A comparison of two widths on a good table and on one that no run can use."""
    place = tmp_path_factory.mktemp("bench")
    adult_small.select("age", "education", "income").write_csv(place / "good.csv")
    adult_small.select("age", pl.lit("same").alias("income")).write_csv(place / "bad.csv")
    (place / "try.yaml").write_text(
        "data:\n  - {name: bad, path: bad.csv, target: income}\n  - {name: good, path: good.csv, target: income}\n"
        "configs:\n  - {name: narrow, overrides: [model.width=8]}\n  - {name: wide, overrides: [model.width=64]}\n"
        f"seeds: [3]\noverrides: {OPTIONS}\n"
    )
    return place


@pytest.fixture(scope="module")
def ran(folder):
    """Killed after the first result, then started again."""
    first = subprocess.Popen(
        [*COMMAND, "try.yaml", "--out", "out"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    line = first.stderr.readline()
    while "good, narrow, seed 3" not in line:
        assert line, "it ended early"
        line = first.stderr.readline()
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    kept = (folder / "out" / "cells" / "good" / "narrow" / "seed-3.json").stat().st_mtime_ns
    second = subprocess.run(
        [*COMMAND, "try.yaml", "--out", "out", "--json"], cwd=folder, capture_output=True, text=True
    )
    return second, kept


def test_a_failed_run_is_told_and_the_rest_is_done(ran, folder):
    done, _ = ran
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    status = {(each["data"], each["config"]): each["status"] for each in report["results"]}
    assert status == {
        ("bad", "narrow"): "failed", ("bad", "wide"): "failed", ("good", "narrow"): "done", ("good", "wide"): "done",
    }  # fmt: skip
    reasons = {each["reason"] for each in report["results"] if each["status"] == "failed"}
    assert len(reasons) == 1
    assert "must have at least two values" in reasons.pop()
    assert "2 of 4 failed" in done.stderr
    table = pl.read_parquet(folder / "out" / "results.parquet").filter(pl.col("status") == "done")
    assert table["score"].is_between(0.5, 1.0).all()
    assert (table["low"] < table["score"]).all()
    assert (table["predict_us"] > 0).all()
    assert (table["bytes"] > 10_000).all()
    assert (folder / "out" / "report.html").read_text().startswith("<!doctype html>")


def test_what_was_done_is_not_done_again(ran, folder):
    done, kept = ran
    assert (folder / "out" / "cells" / "good" / "narrow" / "seed-3.json").stat().st_mtime_ns == kept
    assert "good, narrow" not in "".join(line for line in done.stderr.splitlines() if " of 4: " in line)


def test_the_runs_are_runs(ran, folder):
    from assay.runs import open_run

    run = open_run(folder / "out" / "cells" / "good" / "wide" / "seed-3")
    config = run.report().config
    assert (config["model.width"], config["seed"]) == (64, 3)
