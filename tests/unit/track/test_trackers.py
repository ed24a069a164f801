"""The real packages: two runs are written, one that ends well and one that fails, and read back."""

import json
import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.metadata import (
    parse_session_end_info_plugin_data,
    parse_session_start_info_plugin_data,
)
from wandb.proto import wandb_internal_pb2

from assay.track.link import TELEMETRY
from assay.track.mlflow import _without_password

TRACKERS = ("tensorboard", "wandb", "mlflow")
OPTIONS = {
    "train.lr": 0.002,
    "model.members": 4,
    "data.split.stratify": True,
    "budget": None,
    "table.kinds": "x" * 7000,
}

PROGRAM = """
import json, os, sys
from assay.track.config import TrackConfig
from assay.track.tracker import Epochs, Fail, Finish, Point, Start
from assay.track.writer import Writer

config = TrackConfig(to=("tensorboard", "wandb", "mlflow"), folder=sys.argv[1], project="churn")
options = json.loads(sys.argv[2])
points = [
    Point(step=1, time=1e9 + 1, values={"epoch": 1.0, "train_loss": 0.9}),
    Point(step=2, time=1e9 + 2, values={"epoch": 2.0, "train_loss": 0.8}),
    Point(step=1, time=1e9 + 3, values={"realmlp/epoch": 1.0, "realmlp/train_loss": 0.7}),
]
many = [Point(step=n, time=1e9 + 3 + n, values={f"long/{i}": n + i / 100 for i in range(30)}) for n in range(1, 51)]
last = Finish(scores=Point(step=2, time=1e9 + 99, values={"test/auroc": 0.9, "test/auroc_low": 0.85}))
for end in (last, Fail(reason="DataError: no rows")):
    writer = Writer(config)
    writer.take(Start(run="churn-1", directory="/data/runs/churn-1", options=options))
    writer.take(Epochs(points=tuple(points[:1])))
    writer.take(Epochs(points=tuple(points[1:])))
    if end is last:
        writer.take(Epochs(points=tuple(many)))
    print(writer.take(end).model_dump_json())

os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{sys.argv[1]}/mlflow.db"
os.environ |= {"MLFLOW_EXPERIMENT_NAME": "team", "WANDB_MODE": "disabled"}
writer = Writer(TrackConfig(to=("wandb", "mlflow"), folder=f"{sys.argv[1]}/elsewhere"))
writer.take(Start(run="third", directory="/data/runs/third", options={}))
print(writer.take(last).model_dump_json())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tracked") / "runs"


@pytest.fixture(scope="module")
def replies(folder):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, json.dumps(OPTIONS)],
        env={**os.environ, **TELEMETRY, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        check=True,
        cwd=folder.parent,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def test_all_is_written_and_nothing_failed(replies, folder):
    assert [reply["failures"] for reply in replies] == [{}, {}, {}]
    assert [reply["written"] for reply in replies[:2]] == [dict.fromkeys(TRACKERS, 53), dict.fromkeys(TRACKERS, 3)]
    assert replies[0]["places"]["tensorboard"] == str(folder / "tensorboard" / "churn-1")
    assert replies[1]["places"]["tensorboard"] == str(folder / "tensorboard" / "churn-1-again-2")
    assert replies[0]["places"]["wandb"].startswith(str(folder / "wandb" / "offline-run-"))
    assert replies[0]["places"]["mlflow"] == f"sqlite:///{folder / 'mlflow.db'}, experiment churn"
    assert [path.name for path in folder.parent.iterdir()] == ["runs"]
    assert {path.name for path in folder.iterdir()} == {"tensorboard", "wandb", "mlflow.db", "elsewhere"}


# TensorBoard --------------------------------------------------------------------------------------------------------


def events_of(reply):
    events = EventAccumulator(reply["places"]["tensorboard"])
    events.Reload()
    return events


def hparams_of(events, tag):
    return events.summary_metadata[f"_hparams_/{tag}"].plugin_data.content


def test_tensorboard_has_the_scalars_at_their_steps_and_times(replies):
    events = events_of(replies[0])
    losses = [(event.step, event.wall_time, event.value) for event in events.Scalars("train_loss")]
    assert losses == [(1, 1e9 + 1, pytest.approx(0.9)), (2, 1e9 + 2, pytest.approx(0.8))]
    assert [event.step for event in events.Scalars("realmlp/train_loss")] == [1]
    assert [event.value for event in events.Scalars("test/auroc_low")] == [pytest.approx(0.85)]
    assert len(events.Scalars("long/29")) == 50


def test_tensorboard_has_the_options_as_text_and_in_hparams(replies):
    events = events_of(replies[0])
    table = events.Tensors("options/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "|run_directory|/data/runs/churn-1|\n|train.lr|0.002|\n" in table
    assert "|data.split.stratify|true|\n|budget|none|" in table
    begun = parse_session_start_info_plugin_data(hparams_of(events, "session_start_info"))
    assert begun.hparams["train.lr"].number_value == 0.002
    assert begun.hparams["data.split.stratify"].bool_value is True
    assert begun.hparams["budget"].string_value == "none"


@pytest.mark.parametrize(("place", "status"), [(0, api_pb2.STATUS_SUCCESS), (1, api_pb2.STATUS_FAILURE)])
def test_tensorboard_says_how_it_ended(replies, place, status):
    ended = parse_session_end_info_plugin_data(hparams_of(events_of(replies[place]), "session_end_info"))
    assert ended.status == status


def test_tensorboard_says_why_it_failed(replies):
    tensor = events_of(replies[1]).Tensors("failure/text_summary")[0].tensor_proto
    assert list(tensor.string_val) == [b"DataError: no rows"]


# Weights & Biases ---------------------------------------------------------------------------------------------------


def records_of(reply):
    """The records of an offline run: after 7 bytes of head, LevelDB's log format with blocks of 32,768 bytes."""
    path = next(Path(reply["places"]["wandb"]).glob("*.wandb"))
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        rest = 32_768 - place % 32_768
        if rest < 7:
            place += rest
            continue
        size, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def read_wandb(reply):
    """Run, history rows, summary, axes and exit code of an offline run."""
    run, history, summary, axes, code = None, [], {}, {}, None
    for record in records_of(reply):
        match record.WhichOneof("record_type"):
            case "run":
                run = record.run
            case "history":
                history.append({"/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item})
            case "summary":
                summary |= {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
            case "metric" if record.metric.glob_name:
                axes[record.metric.glob_name] = record.metric.step_metric
            case "exit":
                code = record.exit.exit_code
    return run, history, summary, axes, code


def test_wandb_has_the_history_over_each_networks_epochs(replies):
    _, history, _, axes, _ = read_wandb(replies[0])
    assert [(row["_timestamp"], row.get("train_loss")) for row in history[:2]] == [(1e9 + 1, 0.9), (1e9 + 2, 0.8)]
    assert history[2]["realmlp/train_loss"] == 0.7
    assert len(history) == 53
    assert [row["_step"] for row in history] == list(range(53))
    assert axes["*"] == "epoch"
    assert axes["realmlp/*"] == "realmlp/epoch"


def test_wandb_has_the_options_and_scores(replies):
    run, _, summary, _, code = read_wandb(replies[0])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.project, run.display_name) == ("churn", "churn-1")
    assert config["run_directory"] == "/data/runs/churn-1"
    assert {name: config[name] for name in OPTIONS} == OPTIONS
    assert (summary["test/auroc"], summary["test/auroc_low"], code) == (0.9, 0.85, 0)


def test_wandb_says_that_and_why_it_failed(replies):
    _, _, summary, _, code = read_wandb(replies[1])
    assert (summary["failure"], code) == ("DataError: no rows", 1)


# MLflow -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def query(replies, folder):
    connection = sqlite3.connect(folder / "mlflow.db")
    runs = [row[0] for row in connection.execute("select run_uuid from runs order by start_time")]
    yield lambda text, run: connection.execute(text, {"run": runs[run]}).fetchall()
    connection.close()


def test_mlflow_has_the_metrics_at_their_steps_and_times(query):
    losses = "select step, timestamp, value from metrics where run_uuid = :run and key = 'train_loss' order by step"
    assert query(losses, 0) == [(1, 1_000_000_001_000, 0.9), (2, 1_000_000_002_000, 0.8)]
    assert query("select count(*) from metrics where run_uuid = :run and key like 'long/%'", 0) == [(1500,)]
    assert query("select value from metrics where run_uuid = :run and key = 'test/auroc_low'", 0) == [(0.85,)]


def test_mlflow_has_the_options_as_params(query):
    params = dict(query("select key, value from params where run_uuid = :run", 0))
    assert params.pop("table.kinds") == "x" * 6000
    assert params == {"train.lr": "0.002", "model.members": "4", "data.split.stratify": "true", "budget": "none"}


def test_mlflow_says_how_and_why_it_ended(query):
    head = "select name, status from runs where run_uuid = :run"
    assert (query(head, 0), query(head, 1)) == ([("churn-1", "FINISHED")], [("churn-1", "FAILED")])
    tags = dict(query("select key, value from tags where run_uuid = :run", 1))
    assert tags["run_directory"] == "/data/runs/churn-1"
    assert tags["failure"] == "DataError: no rows"


def test_mlflow_keeps_artefacts_in_the_folder(query, folder):
    where = "select artifact_location from experiments where name = 'churn' and :run != ''"
    assert query(where, 0) == [((folder / "mlartifacts").as_uri(),)]


def test_the_variables_that_the_tools_know_are_respected(replies, query, folder):
    places = replies[2]["places"]
    assert places["wandb"] == "nowhere, for the mode is disabled"
    assert places["mlflow"] == f"sqlite:///{folder / 'mlflow.db'}, experiment team"
    assert query("select name from runs where run_uuid = :run", 2) == [("third",)]
    assert list((folder / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:secret@host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////data/a@b/mlflow.db", "sqlite:////data/a@b/mlflow.db"),
    ],
)
def test_a_password_is_not_shown(uri, shown):
    assert _without_password(uri) == shown
