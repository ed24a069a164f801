"""Trials on a Ray cluster: what is said where there is none, and that a cluster judges what this process would."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from assay.errors import ConfigError
from assay.search.study.ray_executor import _Mailbox, check_engine, connected

PROGRAM = Path(__file__).with_name("clustered.py")
#: Seconds between two looks whether a cluster has started.
_APART = 6.0


def test_an_engine_is_named_and_an_address_is_that_of_ray():
    check_engine("local", None)
    check_engine("ray", "10.0.0.1:6379")
    with pytest.raises(ConfigError, match="'spark' was given"):
        check_engine("spark", None)
    with pytest.raises(ConfigError, match="without --engine ray"):
        check_engine("local", "10.0.0.1:6379")


def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch):
    if find_spec("ray") is None:  # not imported: it would change the environment, and nothing is there to reach
        pytest.skip("Ray is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match="ray start --head"):
        connected(None)
    with pytest.raises(ConfigError, match="HOST:PORT"):
        connected("somewhere")
    with socket.socket() as free:  # bound, and nobody listens
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match=r"cannot be reached .*ray start --head|cannot be reached"):
            connected(f"127.0.0.1:{free.getsockname()[1]}")


def started(port, folder, environment):
    """A process that holds a head of two cores, or None where Ray's own start failed, as it may on a busy machine."""
    ray = Path(sys.executable).with_name("ray")
    command = [ray, "start", "--head", "--block", "--num-cpus", "2", "--port", str(port), "--object-store-memory",
               "80000000", "--include-dashboard", "false", "--temp-dir", folder, "--disable-usage-stats"]  # fmt: skip
    head = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    status = [ray, "status", "--address", f"127.0.0.1:{port}"]
    for _ in range(20):
        with suppress(subprocess.TimeoutExpired):
            head.wait(_APART)  # each look imports all of Ray, and takes from its start the time that it needs
            return None
        if subprocess.run(status, env=environment, capture_output=True, check=False, timeout=60).returncode == 0:
            return head
    ended(head)
    return None


def ended(head):
    """End the head, and with it all that it began and nothing else: `ray stop` would stop every cluster there is."""
    head.terminate()
    with suppress(subprocess.TimeoutExpired):
        head.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(head.pid, signal.SIGKILL)
    head.wait()


@pytest.fixture
def head():
    """The address of a cluster, and the environment of its processes."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    paths = os.pathsep.join([str(Path(__file__).parents[4] / "src"), str(PROGRAM.parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"RAY_AUTH_MODE": "disabled"}  # else a token asks for another where one was ever made on the machine
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:  # paths of sockets are short
        for _ in range(3):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            held = started(port, folder, environment)
            if held is not None:
                break
        else:
            pytest.skip("Ray does not start on this machine")
        yield f"127.0.0.1:{port}", environment
        ended(held)


@pytest.mark.slow
def test_a_cluster_judges_what_this_process_would(head, tmp_path):
    address, environment = head
    command = [sys.executable, str(PROGRAM), address, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "the same"


def test_a_letter_waits_for_its_own_answer():
    async def exchange():
        box = _Mailbox()
        first, second = asyncio.create_task(box.ask(7, 1, 0.5)), asyncio.create_task(box.ask(8, 3, 0.25))
        letters = [await box.next(), await box.next()]
        for letter, number, _, _ in reversed(letters):
            await box.answer(letter, number == 8)
        return letters, await first, await second

    letters, first, second = asyncio.run(exchange())
    assert [letter[1:] for letter in letters] == [(7, 1, 0.5), (8, 3, 0.25)]
    assert (first, second) == (False, True)
