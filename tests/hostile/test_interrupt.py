"""Ctrl-C, SIGTERM and SIGKILL at any moment: the best model so far, or a run that goes on to the same bits, or nothing;
never half a run under its name.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import assay
from assay.errors import DataError, TerminatedError
from assay.runs import open_run
from assay.train.watch import Unwatched

SMALL = [
    "--budget=none", "--seed=3", "ensemble.recipes=mlp,perceptron", "ensemble.folds=1", "model.members=1",
    "train.epochs=4", "train.patience=4", "train.checkpoint_every=0", "evaluate.baselines=majority",
    "train.precision=float32", "evaluate.bootstrap=100",
]  # fmt: skip
ENDLESS = [word.replace("=4", "=10000") for word in SMALL]
WEIGHTS = Path("model", "weights.safetensors")
#: What the clock says of an epoch, and the memory.
MEASURED = ("seconds", "rows_per_second", "memory_mb")


@pytest.fixture(scope="session")
def rows(adult_small):
    """Few columns, so that exporting the network does not take long."""
    return adult_small.select("age", "education", "relationship", "income")


@pytest.fixture
def folder(tmp_path, rows):
    rows.write_csv(tmp_path / "rows.csv")
    return tmp_path


@pytest.fixture
def begin(processes, folder):
    """Begin `assay fit`, or another verb, in the folder."""

    def begun(*words, options=SMALL, pause=""):
        words = words or ("fit", "rows.csv", "--target", "income", "--out=run", *options)
        return processes.assay(*words, folder=folder, pause=pause)

    return begun


@dataclass(frozen=True)
class Whole:
    """A run that nobody ended."""

    weights: bytes
    epochs: list[dict]
    seconds: float


@pytest.fixture(scope="module")
def whole(_nursery, tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("whole")
    rows.write_csv(folder / "rows.csv")
    began = time.monotonic()
    words = ("fit", "rows.csv", "--target", "income", "--out", "run", *SMALL)
    child = _nursery.assay(*words, folder=folder)
    assert child.wait() == 0, child.err
    return Whole((folder / "run" / WEIGHTS).read_bytes(), epochs_of(folder / "run"), time.monotonic() - began)


def epochs_of(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in MEASURED} for line in lines]


def check_the_same(run: Path, whole: Whole) -> None:
    assert (run / WEIGHTS).read_bytes() == whole.weights
    assert epochs_of(run) == whole.epochs
    assert sorted(path.name for path in run.iterdir()) == [
        "answers.npz", "batch.html", "config.yaml", "metrics.jsonl", "model", "report.html", "report.json",
    ]  # fmt: skip
    assert not any("checkpoint" in path.name or path.name.startswith("step-") for path in run.rglob("*"))
    assert [path.name for path in run.parent.iterdir() if "partial" in path.name] == []


# Killed ---------------------------------------------------------------------------------------------------------------


def test_killed_again_and_again_a_run_ends_with_the_same_bits(begin, folder, whole):
    child = begin(pause="] encode")  # before the first checkpoint
    assert child.send(signal.SIGKILL) == -signal.SIGKILL
    assert not (folder / "run").exists()
    child = begin("fit", "--resume", "run", pause="epoch 1 of")  # within a network
    assert "note: the run begins anew, for it had written no checkpoint yet" in child.err
    child.send(signal.SIGKILL)
    child = begin("show", "run")
    assert child.wait() == 2
    assert "'run' was ended after" in child.err
    assert "Go on with `assay fit --resume run`." in child.err
    child = begin("fit", "--resume", "run", pause="epoch 1 of")
    child.go_on()
    child.wait_until((folder / ".run.partial" / "checkpoints" / "perceptron").exists)  # between networks
    child.send(signal.SIGKILL)
    for pause in ("] calibrate", "] save"):
        begin("fit", "--resume", "run", pause=pause).send(signal.SIGKILL)
    assert not (folder / "run").exists()
    child = begin("fit", "--resume", "run")
    assert child.wait() == 0, child.err
    check_the_same(folder / "run", whole)
    report = open_run(folder / "run").report()
    steps = [again.step for again in report.provenance.resumed]
    last = sum(max(e["step"] for e in whole.epochs if e["network"] == name) for name in ("mlp", "perceptron"))
    assert (steps[0], *steps[3:]) == (0, last, last)
    assert 0 < steps[1] <= steps[2] <= last
    verdict = next(verdict for verdict in report.ledger if verdict.practice == "run.resumable")
    assert (verdict.outcome, verdict.value) == ("applied", 5)
    assert f"resumed 5 times, from step {', '.join(f'{step:,}' for step in steps)}" in verdict.reason
    assert str(folder) not in (folder / "run" / "report.json").read_text()


def kill_at_random(begin, folder, whole, times: int, seed: int) -> None:
    draw = random.Random(seed)
    child, killed = begin(), 0
    while killed < times:
        time.sleep(draw.uniform(0.0, whole.seconds))
        if (folder / "run").exists():
            break
        killed += child.send(signal.SIGKILL) == -signal.SIGKILL
        words = ("fit", "--resume", "run") if (folder / ".run.partial" / "request.json").exists() else ()
        child = begin(*words)
    child.wait()
    check_the_same(folder / "run", whole)


def test_killed_at_any_moment_a_run_ends_with_the_same_bits(begin, folder, whole):
    kill_at_random(begin, folder, whole, times=3, seed=time.time_ns())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_many_moments_a_run_ends_with_the_same_bits(begin, folder, whole, seed):
    kill_at_random(begin, folder, whole, times=6, seed=seed)


# Asked to end ---------------------------------------------------------------------------------------------------------


def test_sigterm_while_training_leaves_a_run_to_go_on_with_and_a_full_disk_at_its_end_too(begin, folder, whole):
    child = begin(pause="epoch 1 of")
    assert child.send(signal.SIGTERM) == 143
    assert child.out == ""
    said = child.err.splitlines()[-1]
    assert said.startswith("error: a run must be left to end by itself, but it was asked to end (SIGTERM) after ")
    assert said.endswith("holds what was done. What was trained is kept: go on with `assay fit --resume run`.")
    child = begin()
    assert child.wait() == 2
    assert "Go on with `assay fit --resume run`, or remove .run.partial." in child.err
    child = begin("fit", "--resume", ".run.partial", pause="] calibrate")
    limit_files(child.pid, 10_000)
    child.go_on()
    assert child.wait() == 2
    said = child.err.splitlines()[-1]
    assert said.startswith("error: there must be room on the disk, but it is full")
    assert said.endswith("What was trained is kept: go on with `assay fit --resume run`.")
    child = begin("fit", "--resume", "run")
    assert child.wait() == 0
    check_the_same(folder / "run", whole)
    child = begin("fit", "--resume", "run")
    assert child.wait() == 2
    assert child.err.splitlines()[-1].endswith("but 'run' is finished. `assay show run` shows it.")


def limit_files(pid: int, size: int) -> None:
    """Files of the process may be this large: it stands in for a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_before_training_nothing_is_left(begin, folder, number):
    child = begin(pause="] read")
    assert child.send(number) == 130
    assert child.out == ""
    assert child.err.splitlines()[-1] == "error: interrupted before the work was done."
    assert "Traceback" not in child.err
    assert [path.name for path in folder.iterdir() if not path.name.startswith((".o.", ".e."))] == ["rows.csv"]


# Ctrl-C ---------------------------------------------------------------------------------------------------------------


def test_interrupted_training_saves_the_best_so_far_although_checkpoints_found_the_disk_full(begin, folder, rows):
    child = begin(options=ENDLESS, pause="epoch 1 of")
    limit_files(child.pid, 10_000)
    child.go_on()
    child.wait_until(lambda: "note: a checkpoint could not be written (File too large: " in child.err)
    limit_files(child.pid, resource.RLIM_INFINITY)
    assert child.send(signal.SIGINT) == 130
    assert child.err.count("a checkpoint could not be written") == 1
    assert "note: training was interrupted; the best model so far was tested and saved." in child.err
    assert "Traceback" not in child.err
    assert "run/model" in child.out
    run = open_run(folder / "run")
    assert run.report().training.stopped == "it was interrupted"
    assert run.bundle.verify() <= 1e-5
    assert set(run.predict(rows)["prediction"]) <= {"<=50K", ">50K"}
    assert not (folder / ".run.partial").exists()
    ledger = {verdict.practice: verdict for verdict in run.report().ledger}
    assert ledger["run.resumable"].outcome == "warned"
    assert "checkpoints could not be written (File too large)" in ledger["run.resumable"].reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_again_it_ends_at_once_and_keeps_what_was_trained(begin, folder, number):
    child = begin(options=ENDLESS, pause="epoch 1 of")
    os.kill(child.pid, signal.SIGINT)
    child.go_on()
    child.wait_until(lambda: "] save" in child.err)
    assert child.send(number) == 130
    assert child.err.splitlines()[-1] == (
        "error: interrupted before the work was done. What was trained is kept: go on with `assay fit --resume run`."
    )
    assert not (folder / "run").exists()
    assert not (folder / ".run.partial" / "report.json").exists()
    assert any((folder / ".run.partial" / "checkpoints").rglob("step-*"))


# One at a time --------------------------------------------------------------------------------------------------------


def test_a_second_run_does_not_write_to_the_same_directory(begin, folder):
    first = begin(options=ENDLESS, pause="] read")  # stopped, it has the lock all the same
    for words in ((), ("fit", "--resume", "run")):
        second = begin(*words)
        assert second.wait() == 2
        assert f"but process {first.pid} is writing to .run.partial. Wait for its end" in second.err
    shown = begin("show", "run")
    assert shown.wait() == 2
    assert "'run' is still running. Wait for its end." in shown.err
    first.send(signal.SIGKILL)
    third = begin(pause="] read")  # the lock went with the process; there was no checkpoint
    assert "note: what a run had left that was ended before its first checkpoint is removed (.run.partial)" in third.err


# In Python ------------------------------------------------------------------------------------------------------------

OVERRIDES = [word for word in SMALL if not word.startswith("--")]


class Signals(Unwatched):
    """A watch in which a signal comes as an epoch ends."""

    def __init__(self, epoch: int, number: int) -> None:
        self.last, self.number, self.notes = epoch, number, []

    def epoch(self, record, of):
        if record.epoch == self.last:
            os.kill(os.getpid(), self.number)

    def note(self, text):
        self.notes.append(text)


def test_an_interrupted_fit_in_python_says_so(rows, tmp_path):
    overrides = [*(word.replace("=4", "=10000") for word in OVERRIDES), "budget=none"]
    run = assay.fit(rows, "income", out=tmp_path / "run", overrides=overrides, watch=Signals(3, signal.SIGINT))
    assert run.interrupted
    assert len(run.report().training.epochs) == 3
    assert "interrupt" in run.report().training.stopped
    assert run.bundle.verify() <= 1e-5


def test_a_fit_on_a_frame_goes_on_with_the_same_frame(rows, tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TerminatedError) as ended:
        assay.fit(
            rows, "income", out="run", budget="none", seed=3, overrides=OVERRIDES, watch=Signals(2, signal.SIGTERM)
        )
    assert ended.value.__notes__ == [
        "What was trained is kept: go on in Python with `assay.fit(data, resume='run')` and the same data."
    ]
    with pytest.raises(DataError, match="data has other contents now"):
        assay.fit(rows.head(599), resume="run")
    watch = Signals(0, 0)
    run = assay.fit(rows, "income", resume="run", watch=watch)
    assert watch.notes[0].startswith("the run goes on from step ")
    assert len(run.report().provenance.resumed) == 2
    check_the_same(run.directory, whole)
