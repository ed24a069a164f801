"""What tests of whole commands share: a command that is killed on its way."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="session")
def kill_once_there():
    """A function that runs a command of assay and kills it as soon as a file of a folder fits a pattern."""
    return _kill_once_there


def _kill_once_there(command, folder, pattern):
    code = f"from assay.cli import main; main({command!r})"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(4000):
            if len([*folder.glob(pattern)]) or child.poll() is not None:
                break
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.wait()
    assert child.returncode == -signal.SIGKILL
