import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from assay.track.config import TrackConfig
from assay.track.link import ProcessLink
from assay.track.tracker import Epochs, Fail, Point, Start

NOBODY = TrackConfig(to=())
START = Start(run="r", directory="/r", options={})


def processes_of(session):
    """Living processes of a session, by /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended since
            state, _, _, of = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(entry.name))
    return found


def test_replies_come_until_it_is_closed(tmp_path):
    link = ProcessLink(NOBODY, tmp_path / "log")
    assert link.ask(START).written == {}
    assert link.ask(Fail(reason="x")).failures == {}
    session = link.process.pid
    assert processes_of(session) == [session]
    link.close()
    assert processes_of(session) == []
    assert (tmp_path / "log").read_bytes() == b""


def test_a_killed_process_is_noticed_and_can_be_closed(tmp_path):
    link = ProcessLink(NOBODY, tmp_path / "log")
    link.ask(START)
    os.kill(link.process.pid, signal.SIGKILL)
    with pytest.raises(EOFError, match="the tracking process ended with code -9"):
        link.ask(Fail(reason="x"))
    link.close()


def test_to_cut_it_does_not_wait(tmp_path):
    link = ProcessLink(NOBODY, tmp_path / "log")
    link.cut()
    link.close()
    assert link.process.returncode == -signal.SIGKILL


def test_ctrl_c_is_not_for_it(tmp_path):
    link = ProcessLink(NOBODY, tmp_path / "log")
    assert os.getsid(link.process.pid) == link.process.pid != os.getsid(0)
    link.close()


def test_its_environment_says_no_to_telemetry_unless_the_user_said_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    link = ProcessLink(NOBODY, tmp_path / "log")
    entries = Path(f"/proc/{link.process.pid}/environ").read_text(encoding="utf-8").split("\0")
    environment = dict(entry.partition("=")[::2] for entry in entries)
    link.close()
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["WANDB_ERROR_REPORTING"] == "true"


def test_times_are_those_of_the_epochs(tmp_path):
    point = Point(step=1, time=time.time(), values={"loss": 0.1 + 0.2})
    assert Epochs.model_validate_json(Epochs(points=(point,)).model_dump_json()).points == (point,)
