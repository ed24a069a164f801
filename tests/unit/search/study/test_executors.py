"""Trials in processes of their own: pruners that are asked, workers that die, and data that cannot be read."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna")

PROGRAM = Path(__file__).with_name("pooled.py")


def run(*arguments):
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    done = run("prune", str(tmp_path_factory.mktemp("pruned")))
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_workers_ask_one_pruner_that_knows_the_trials_of_all(pruned):
    assert pruned["trials"] == "24"
    assert int(pruned["pruned"]) >= 6  # ASHA keeps a quarter at each rung
    assert int(pruned["complete"]) + int(pruned["pruned"]) == 24
    assert pruned["processes"] == "2"


def test_what_was_pruned_and_why_is_kept(pruned):
    assert pruned["kept"] == "True"
    assert pruned["curves"] == "True"


def test_a_worker_that_dies_costs_its_trials_and_not_the_study(tmp_path):
    done = run("die", str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said["complete"] == "14"
    assert said["failed"] == "2"
    assert said["reason"] == "its worker process ended by signal SIGKILL, often for want of memory"


def test_an_error_in_making_the_objective_is_told_as_it_is(tmp_path):
    done = run("refuse", str(tmp_path))
    assert done.stdout.strip() == "the table must be there, but it is gone. Bring it back."


def test_a_worker_that_cannot_begin_is_told_with_what_to_do(tmp_path):
    done = run("burst", str(tmp_path))
    assert "one ended with code 3" in done.stdout
    assert "--jobs" in done.stdout


def test_workers_end_with_the_process_that_began_them(tmp_path):
    child = subprocess.Popen([sys.executable, str(PROGRAM), "wait", str(tmp_path)], stdout=subprocess.PIPE, text=True)
    workers = [int(word) for word in child.stdout.readline().split()]
    assert len(workers) == 2
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    for _ in range(200):
        if not any(alive(worker) for worker in workers):
            return
        time.sleep(0.05)
    pytest.fail("workers outlived their parent")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
