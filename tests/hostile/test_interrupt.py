"""Ctrl-C, SIGTERM and SIGKILL at any moment: the best model so far, or nothing; never half a run under its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import assay
from assay.runs import open_run
from assay.train.watch import Unwatched

ENDLESS = [
    "model.name=mlp",
    "model.members=4",
    "ensemble.folds=1",
    "train.epochs=10000",
    "train.patience=10000",
    "evaluate.baselines=majority",
    "evaluate.bootstrap=100",
]
PATIENCE = 120.0  # seconds until a line must come; a busy machine is no failure


class Fit:
    """`assay fit` in a process of its own, whose progress lines are read as they come."""

    def __init__(self, folder: Path, data: pl.DataFrame) -> None:
        self.out = folder / "run"
        data.write_csv(folder / "rows.csv")
        code = "import sys; from assay.cli import main; sys.exit(main())"
        command = [
            sys.executable,
            "-c",
            code,
            "fit",
            str(folder / "rows.csv"),
            "--target",
            "income",
            "--out",
            str(self.out),
        ]
        self.process = subprocess.Popen(
            [*command, "--budget", "none", *ENDLESS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def wait_for(self, words: str) -> None:
        """Read standard error up to the line that holds `words`."""
        limit = time.monotonic() + PATIENCE
        assert self.process.stderr is not None
        while (line := self.process.stderr.readline()) and time.monotonic() < limit:
            if words in line:
                return
        pytest.fail(f"no line held {words!r}")

    def send(self, number: signal.Signals) -> tuple[int, str, str]:
        """Signal the process and wait for its end: exit code and the rest of what it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@pytest.fixture
def fit(tmp_path, adult_small):
    running = Fit(tmp_path, adult_small)
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_saves_the_best_model_so_far(fit, adult_small, number):
    fit.wait_for("epoch 1 ")
    code, out, err = fit.send(number)
    assert code == 130
    assert "note: training was interrupted; the best model so far was tested and saved." in err
    assert "Traceback" not in err
    assert str(fit.out / "model") in out
    run = open_run(fit.out)
    assert run.report().training.stopped == "it was interrupted"
    assert run.bundle.verify() <= 1e-5
    assert set(run.predict(adult_small)["prediction"]) <= {"<=50K", ">50K"}


def test_interrupted_before_training_leaves_nothing(fit, tmp_path):
    fit.wait_for("] read")
    code, out, err = fit.send(signal.SIGINT)
    assert code == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted before the work was done."
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_killed_run_has_no_directory_under_its_name(fit):
    fit.wait_for("epoch 1 ")
    code, _, _ = fit.send(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not fit.out.exists()


class InterruptsAfter(Unwatched):
    """A watch in which Ctrl-C comes as an epoch ends."""

    def __init__(self, epoch: int) -> None:
        self.last = epoch

    def epoch(self, record, of):
        if record.epoch == self.last:
            raise KeyboardInterrupt


def test_an_interrupted_fit_in_python_says_so(adult_small, tmp_path):
    run = assay.fit(adult_small, "income", out=tmp_path / "run", overrides=ENDLESS, watch=InterruptsAfter(3))
    assert run.interrupted
    assert len(run.report().training.epochs) == 3
    assert "interrupt" in run.report().training.stopped
    assert run.bundle.verify() <= 1e-5
