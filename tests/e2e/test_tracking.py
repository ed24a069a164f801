"""A run that is logged to all trackers at once, through the front door, read back where it went."""

import json
import sqlite3
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import assay
from assay.ledger import Outcome


@pytest.fixture(scope="module")
def tracked(adult_small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    options = [
        "track.to=tensorboard,wandb,mlflow", f"track.folder={folder / 'logs'}", "track.project=census",
        "track.wait=600", "train.epochs=3", "evaluate.baselines=majority", "evaluate.bootstrap=100",
    ]  # fmt: skip
    run = assay.fit(adult_small, "income", out=folder / "run", preset="quick", budget=None, overrides=options)
    return run, folder / "logs"


@pytest.fixture(scope="module")
def lines(tracked):
    run, _ = tracked
    return [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]


def name_of(line, field):
    return f"{line['network']}/{field}" if line["network"] else field


def test_the_ledger_says_where_the_run_is(tracked, lines):
    run, logs = tracked
    verdict = next(verdict for verdict in run.report().ledger if verdict.practice == "train.tracked")
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, len(lines)), verdict.reason
    for place in (logs / "tensorboard" / "run", logs / "wandb" / "offline-run", logs / "mlflow.db, experiment census"):
        assert str(place) in verdict.reason


def test_every_number_of_every_epoch_is_in_tensorboard(tracked, lines):
    _, logs = tracked
    events = EventAccumulator(str(logs / "tensorboard" / "run"))
    events.Reload()
    for line in lines:
        fields = [field for field, value in line.items() if isinstance(value, int | float) and field != "network"]
        assert {"train_loss", "valid_loss", "learning_rate", "gradient_norm"} <= set(fields)
        for field in fields:
            found = {event.step: event.value for event in events.Scalars(name_of(line, field))}
            assert found[line["epoch"]] == pytest.approx(line[field], rel=1e-6)


def test_mlflow_has_epochs_options_scores_and_counts(tracked, lines):
    run, logs = tracked
    connection = sqlite3.connect(logs / "mlflow.db")
    head = connection.execute("select name, status from runs").fetchall()
    metrics = dict(connection.execute("select key, value from latest_metrics"))
    losses = connection.execute("select count(*) from metrics where key like '%train_loss'").fetchone()
    params = dict(connection.execute("select key, value from params"))
    tags = dict(connection.execute("select key, value from tags"))
    connection.close()
    assert head == [("run", "FINISHED")]
    assert losses == (len(lines),)
    report = run.report()
    scores = {score.name: score.estimate for score in report.scores[0].scores}
    assert metrics["test/auroc"] == scores["auroc"].value
    assert (metrics["test/auroc_low"], metrics["test/auroc_high"]) == (scores["auroc"].low, scores["auroc"].high)
    outcomes = [verdict.outcome for verdict in report.ledger]
    assert metrics["ledger/applied"] == outcomes.count(Outcome.APPLIED)
    assert metrics["ledger/not_applicable"] == outcomes.count(Outcome.NOT_APPLICABLE)
    assert set(params) == set(report.config)
    assert params["train.epochs"] == "3"
    assert tags["run_directory"] == str(run.directory)


def test_wandb_has_the_run(tracked):
    _, logs = tracked
    (file,) = logs.glob("wandb/offline-run-*/*.wandb")
    content = file.read_bytes()
    assert b"train_loss" in content
    assert b"test/auroc" in content


def test_the_log_holds_no_error(tracked):
    run, _ = tracked
    assert "Traceback" not in (run.directory / "tracking.log").read_text()


def test_the_directory_has_its_log_only_when_tracked(small_run):
    assert not (Path(small_run.directory) / "tracking.log").exists()
