"""A run that is logged to trackers, through the front door, read back where it went."""

import json
import sqlite3

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

import assay
from assay.ledger import Outcome

SMALL = [
    "track.project=census", "track.wait=600", "train.epochs=3", "evaluate.baselines=majority", "model.members=1",
    "ensemble.recipes=mlp,perceptron", "ensemble.folds=1",
]  # fmt: skip


def fit_to(trackers, data, folder):
    """A small run, and the folder of its trackers."""
    options = [f"track.to={trackers}", f"track.folder={folder / 'logs'}", "evaluate.bootstrap=100", *SMALL]
    out = folder / "run"
    return assay.fit(data, "income", out=out, preset="quick", budget="none", overrides=options), folder / "logs"


def lines_of(run):
    return [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]


def verdict_of(run):
    return next(verdict for verdict in run.report().ledger if verdict.practice == "train.tracked")


def results_of(run):
    """The report's numbers as trackers should have them."""
    report = run.report()
    scores = {score.name: score.estimate for score in report.scores[0].scores}
    outcomes = [verdict.outcome for verdict in report.ledger]
    return {
        "test/auroc": scores["auroc"].value,
        "test/auroc_low": scores["auroc"].low,
        "test/auroc_high": scores["auroc"].high,
        "ledger/applied": outcomes.count(Outcome.APPLIED),
        "ledger/not_applicable": outcomes.count(Outcome.NOT_APPLICABLE),
    }


@pytest.fixture(scope="module")
def tracked(adult_small, tmp_path_factory):
    run, logs = fit_to("tensorboard", adult_small, tmp_path_factory.mktemp("tracked"))
    events = EventAccumulator(str(logs / "tensorboard" / "run"))
    events.Reload()
    return run, logs, events


def test_the_ledger_says_where_the_run_is(tracked):
    run, logs, _ = tracked
    verdict = verdict_of(run)
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, len(lines_of(run))), verdict.reason
    assert f"tensorboard ({logs / 'tensorboard' / 'run'})" in verdict.reason
    assert (run.directory / "tracking.log").read_text() == ""


def test_every_number_of_every_epoch_is_there(tracked):
    run, _, events = tracked
    for line in lines_of(run):
        group = f"{line['network']}/" if line["network"] else ""
        numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
        assert {"train_loss", "valid_loss", "learning_rate", "gradient_norm"} <= set(numbers)
        for name, value in numbers.items():
            found = {event.step: event.value for event in events.Scalars(group + name)}
            assert found[line["epoch"]] == pytest.approx(value, rel=1e-6)


def test_scores_counts_and_options_are_those_of_the_report(tracked):
    run, _, events = tracked
    for name, value in results_of(run).items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value, rel=1e-6)]
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    options = parse_session_start_info_plugin_data(content).hparams
    assert set(options) == set(run.report().config)
    assert options["train.epochs"].number_value == 3
    table = events.Tensors("options/text_summary")[0].tensor_proto.string_val[0].decode()
    assert f"|run_directory|{run.directory}|" in table


def test_what_is_not_asked_for_leaves_no_trace(small_run):
    assert verdict_of(small_run).outcome == Outcome.SKIPPED
    assert not (small_run.directory / "tracking.log").exists()


@pytest.mark.slow
def test_a_run_in_all_trackers_at_once(adult_small, tmp_path):
    run, logs = fit_to("tensorboard,wandb,mlflow", adult_small, tmp_path)
    epochs = len(lines_of(run))
    verdict = verdict_of(run)
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, epochs), verdict.reason
    connection = sqlite3.connect(logs / "mlflow.db")
    head = connection.execute("select name, status from runs").fetchall()
    losses = connection.execute("select count(*) from metrics where key like '%train_loss'").fetchone()
    metrics = dict(connection.execute("select key, value from latest_metrics"))
    params = dict(connection.execute("select key, value from params"))
    connection.close()
    assert (head, losses) == ([("run", "FINISHED")], (epochs,))
    assert {name: metrics[name] for name in results_of(run)} == results_of(run)
    assert set(params) == set(run.report().config)
    (file,) = logs.glob("wandb/offline-run-*/*.wandb")
    assert b"test/auroc" in file.read_bytes()
    assert "Traceback" not in (run.directory / "tracking.log").read_text()
