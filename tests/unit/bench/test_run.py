import json
import subprocess
import sys

import polars as pl
import pytest

from assay.bench.report import tidy
from assay.bench.result import read_result
from assay.bench.run import bench, failures, plan
from assay.errors import ConfigError


class Quiet:
    """Keeps what it is told."""

    def __init__(self):
        self.notes, self.ends = [], []

    def note(self, text):
        self.notes.append(text)

    def begun(self, cell):
        pass

    def stage(self, cell, name):
        pass

    def ended(self, cell, result, done, of):
        self.ends.append((cell.name, result.status, result.reason, done, of))


def only_done(made):
    """Without the failed run, so that nothing is left to do."""
    failed = next(cell for cell in made.grid.cells if made.there[cell.name].status == "failed")
    good = made.there["two, wide, seed 0"].model_copy(update={"seed": 1, "request": failed.request})
    good.write(failed.result(made.out))
    return good


def test_what_is_left_is_what_is_not_done(finished):
    assert [cell.name for cell in finished.left] == ["two, wide, seed 1"]
    assert finished.seconds == 30.0 + 6.0


def test_a_finished_comparison_is_told_again_at_once(finished, bench_file):
    only_done(finished)
    watch = Quiet()
    report = bench(plan(bench_file()), watch)
    assert watch.ends == []
    assert (report.done, report.planned, report.failed) == (8, 8, ())
    table = pl.read_parquet(finished.out / "results.parquet")
    assert table.columns == [
        "data", "config", "seed", "metric", "score", "low", "high", "seconds", "predict_us", "bytes", "status",
        "reason",
    ]  # fmt: skip
    assert table.equals(tidy(report))
    assert table.height == 8
    assert table.row(0) == ("one", "plain", 0, "auroc", 0.8, 0.7, 0.95, 12.5, 40.0, 2_000_000, "done", "")
    assert pl.read_csv(finished.out / "results.csv").height == 8
    assert json.loads((finished.out / "results.json").read_text())["standing"]["ranks"][0]["config"] == "wide"
    assert sorted(path.name for path in finished.out.iterdir() if not path.name.startswith(".")) == [
        "bench.json", "cells", "lock", "report.html", "results.csv", "results.json", "results.parquet",
    ]  # fmt: skip


def test_more_seeds_go_on_with_what_is_there(finished, bench_file):
    more = plan(bench_file(seeds="[0, 1, 2]"))
    assert len(more.left) == 5


def test_other_runs_in_the_folder_are_noted(finished, bench_file):
    only_done(finished)
    watch = Quiet()
    report = bench(plan(bench_file(seeds="[0]")), watch)
    assert report.planned == 4
    assert watch.notes == [f"{finished.out} holds 4 runs that are not of this comparison now"]


@pytest.mark.parametrize("lines", [{"overrides": "[train.lr=0.1]"}, {"configs": "[{name: plain, budget: 9s}]"}])
def test_results_of_other_options_are_refused(finished, bench_file, lines):
    with pytest.raises(ConfigError, match="a comparison must go on with what it began with") as caught:
        plan(bench_file(**lines))
    assert "give the configuration another name" in str(caught.value)


def test_results_of_other_data_are_refused(finished, bench_file, tmp_path):
    (tmp_path / "one.csv").write_text("x,y\n1,0\n2,1\n")
    with pytest.raises(ConfigError, match="had other options or other data"):
        plan(bench_file())


def test_what_failed_may_be_mended(finished, bench_file, tmp_path):
    """A failed run of other options is done anew, and nothing of it is gone on with."""
    for cell in finished.grid.cells:
        result = read_result(cell.result(finished.out))
        if cell.config == "wide":
            result.model_copy(update={"status": "failed", "scores": ()}).write(cell.result(finished.out))
    made = plan(bench_file(configs="[{name: plain}, {name: wide, overrides: [model=tabm]}]"))
    assert [cell.config for cell in made.left] == ["wide"] * 4


def test_a_folder_of_something_else_is_refused(bench_file, tmp_path):
    (tmp_path / "out").mkdir()
    plan(bench_file())  # an empty one will do
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="holds something else"):
        plan(bench_file())
    with pytest.raises(ConfigError, match="holds something else"):
        plan(bench_file(), out=tmp_path / "out" / "thesis.tex")


def test_a_run_that_nobody_asked_for_and_a_broken_result_are_refused(finished, bench_file):
    cell = finished.grid.cells[0]
    text = cell.result(finished.out).read_text()
    cell.result(finished.out).write_text(text[: len(text) // 2])
    with pytest.raises(ConfigError, match="the results in the folder must be whole"):
        plan(bench_file())
    cell.result(finished.out).unlink()
    cell.directory(finished.out).mkdir()
    with pytest.raises(ConfigError, match="is gone"):
        plan(bench_file())


def test_a_second_process_is_refused(finished, bench_file):
    only_done(finished)
    code = (
        "import sys, time; from pathlib import Path; from assay.locking import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(finished.out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="one run at a time must write to a directory"):
            bench(plan(bench_file()), Quiet())
        holder.stdin.close()


def test_failures_are_told(finished, bench_file):
    from assay.bench.report import report_of

    report = report_of(finished.config, finished.grid, list(finished.there.values()), "try")
    assert failures(report) == ["two, wide, seed 1: it <broke>, & badly"]
    assert report.standing.left_out == ()  # one seed of two has a score
    assert report.options["wide"] == {"budget": 30.0, "model.name": "mlp", "model.width": 256}


def test_a_worker_that_cannot_start_is_a_failed_run(bench_file, monkeypatch, tmp_path):
    """What a process prints is kept, and the reason names it."""
    broken = tmp_path / "broken" / "assay"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemExit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    made = plan(bench_file(seeds="[0]", configs="[{name: plain}]"))
    watch = Quiet()
    report = bench(made, watch)
    monkeypatch.undo()
    assert [(name, status, done, of) for name, status, _, done, of in watch.ends] == [
        ("one, plain, seed 0", "failed", 1, 2), ("two, plain, seed 0", "failed", 2, 2),
    ]  # fmt: skip
    assert "the process ended with exit code 7" in report.failed[0].reason
    assert report.standing.sentence.startswith("Nothing can be compared")
    assert (made.out / "logs" / "worker-0.log").exists()
