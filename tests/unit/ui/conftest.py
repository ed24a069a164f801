"""A workspace with a run of every state, made of one real report."""

from __future__ import annotations

import fcntl
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay.bench.result import CellResult
from assay.evaluate.record import Report
from assay.report.batch_page import draw_batch
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.train.watch import Epoch

REPORT = Report.read(Path(__file__).parents[2] / "fixtures" / "report.json")


def epoch(number, network="mlp", loss=0.5):
    return Epoch(
        epoch=number, step=10 * number, seconds=0.5 * number, train_loss=loss / number, valid_loss=loss / number + 0.1,
        valid_score=1 - 0.4 / number, score_name="accuracy", learning_rate=1e-3, gradient_norm=1.0, network=network,
    )  # fmt: skip


def lines(*epochs):
    return "".join(f"{each.model_dump_json()}\n" for each in epochs)


def finished(folder, name, *, value=0.9, started="2026-01-14T09:31:07Z", data="adult.csv", label=None):
    """A finished run whose primary score is `value`."""
    first = REPORT.scores[0]
    scores = tuple(
        score.model_copy(
            update={
                "label": label or score.label,
                "estimate": score.estimate.model_copy(
                    update={"value": value, "low": round(value - 0.01, 4), "high": round(value + 0.01, 4)}
                ),
            }
        )
        if score.name == REPORT.primary
        else score
        for score in first.scores
    )
    report = REPORT.model_copy(
        update={
            "name": name,
            "scores": (first.model_copy(update={"scores": scores, "fit_seconds": 100 * value}), *REPORT.scores[1:]),
            "source": REPORT.source.model_copy(update={"name": data}),
            "provenance": REPORT.provenance.model_copy(update={"started": started}),
        }
    )
    run = folder / name
    (run / "model").mkdir(parents=True)
    (run / "report.json").write_text(report.to_json())
    (run / "report.html").write_text(draw_page(report))
    if report.seen is not None:
        (run / "batch.html").write_text(draw_batch(report))
    (run / "metrics.jsonl").write_text(lines(*(epoch(at) for at in range(1, 21))))
    for file, text in {"manifest.json": "{}", "model.onnx": "x" * 2_000, "card.md": draw_card(report)}.items():
        (run / "model" / file).write_text(text)
    return run


@contextmanager
def held(directory):
    """The directory's lock, as a run that is at work holds it."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def runs(tmp_path):
    """Finished: good, fair, poor; else: busy (when locked), halted, broken; a comparison with a failed run."""
    folder = tmp_path / "runs"
    finished(folder, "good", value=0.95, started="2026-01-14T09:00:00Z")
    finished(folder, "fair", value=0.90, started="2026-01-15T09:00:00Z", data="letters.parquet")
    finished(folder, "poor", value=0.85, started="2026-01-13T09:00:00Z")
    for name, checkpoint in (("busy", False), ("halted", True)):
        partial = folder / f".{name}.partial"
        partial.mkdir()
        asked = {"started": "2026-01-16T09:00:00Z", "sources": {"data": {"given": "data/new.csv", "rows": 3}}}
        (partial / "request.json").write_text(json.dumps(asked))
        (partial / "metrics.jsonl").write_text(lines(epoch(1), epoch(2)))
        (partial / "lock").touch()
        if checkpoint:
            (partial / "checkpoints" / "mlp" / "step-000000000007").mkdir(parents=True)
    (folder / "broken").mkdir()
    (folder / "broken" / "report.json").write_text('{"format": 1, "name": "<b>broken</b>"}')
    made = folder / "try"
    (made / "cells" / "adult" / "wide").mkdir(parents=True)
    (made / "bench.json").write_text(json.dumps({"data": [{"name": "adult"}, {"name": "letters"}]}))
    (made / "report.html").write_text("<!doctype html><title>try</title>")
    failed = CellResult(request="0", data="adult", config="wide", seed=0, status="failed", reason="out of memory")
    failed.write(made / "cells" / "adult" / "wide" / "seed-0.json")
    return folder


@pytest.fixture
def busy(runs):
    """The workspace while `busy` is at work."""
    with held(runs / ".busy.partial"):
        yield runs


@pytest.fixture
def appended(runs):
    """Adds epochs to the running run."""

    def append(*epochs):
        with (runs / ".busy.partial" / "metrics.jsonl").open("a") as stream:
            stream.write(lines(*epochs))

    return append


@pytest.fixture
def make_epoch():
    return epoch


@pytest.fixture
def make_run():
    return finished


@pytest.fixture
def remove():
    return shutil.rmtree
