import os
import platform
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

import assay
from assay.evaluate.record import Resumption
from assay.provenance import Stopwatch, provenance
from assay.train.watch import Unwatched


class Stages(Unwatched):
    def __init__(self):
        self.names = []

    def stage(self, name):
        self.names.append(name)


def test_stages_are_announced_timed_and_added_up():
    watch = Stages()
    clock = Stopwatch(watch)
    for name in ("read", "train", "read"):
        with clock.stage(name):
            time.sleep(0.02)
    assert watch.names == ["read", "train", "read"]
    assert list(clock.seconds) == ["read", "train"]
    assert 0.04 <= clock.seconds["read"] < 1.0
    assert 0.02 <= clock.seconds["train"] < 1.0


def test_a_stage_that_fails_is_timed_too():
    clock = Stopwatch(Unwatched())
    with pytest.raises(RuntimeError, match="inside"), clock.stage("train"):
        raise RuntimeError("inside")
    assert clock.seconds["train"] >= 0.0


def test_the_facts_are_those_of_this_process():
    clock = Stopwatch(Unwatched())
    with clock.stage("read"):
        pass
    found = provenance(clock, seed=7, threads=3)
    assert (found.seed, found.threads, found.assay) == (7, 3, assay.__version__)
    assert found.versions["python"] == platform.python_version()
    assert found.versions["numpy"] == np.__version__
    assert found.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(found.versions) == {
        "python", "torch", "onnxruntime", "onnx", "numpy", "polars", "scikit-learn", "scipy",
    }  # fmt: skip
    assert found.cpu.endswith(f", {len(os.sched_getaffinity(0))} usable")
    assert set(found.seconds) == {"read"}
    assert 50 < found.peak_memory_mb < 100_000
    started = datetime.fromisoformat(found.started)
    assert 0 <= (datetime.now(UTC) - started).total_seconds() < 60
    assert found.resumed == ()


def test_a_run_that_went_on_began_when_its_first_process_did():
    again = (Resumption(at="2026-01-14T10:00:00+00:00", step=12, seconds=3.5),)
    found = provenance(Stopwatch(Unwatched()), seed=0, threads=1, started="2026-01-14T09:31:07+00:00", resumed=again)
    assert (found.started, found.resumed) == ("2026-01-14T09:31:07+00:00", again)


def test_a_package_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setattr("assay.provenance._PACKAGES", ("numpy", "no-such-package-at-all"))
    found = provenance(Stopwatch(Unwatched()), seed=0, threads=1)
    assert found.versions["no-such-package-at-all"] == "not installed"
