"""Real processes that can be killed, forked from one that has loaded torch already, so that each begins at once.

A process can stop itself at a line of its progress, so that a signal finds it where it is meant to.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PATIENCE = 120.0  # seconds until something must have happened; a busy machine is no failure

# Polars and onnxruntime are left to the children, for a fork would lose their threads.
_NURSERY = '''
import json, os, signal, sys
import assay.cli.app, hydra, jinja2, omegaconf, onnxruntime, rich.console, rich.progress, yaml
import onnx, onnxscript, scipy.stats, sklearn.ensemble, sklearn.linear_model, torch
torch.onnx.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),), dynamo=True, verbose=False)

class Pausing:
    """Standard error at which the process stops itself when it has written certain words."""

    def __init__(self, stream, words):
        self.stream, self.words = stream, words

    def write(self, text):
        self.stream.write(text)
        self.stream.flush()
        if self.words and self.words in text:
            self.words = ""
            os.kill(os.getpid(), signal.SIGSTOP)

    def __getattr__(self, name):
        return getattr(self.stream, name)

def run(order):
    os.chdir(order["folder"])
    for descriptor, name in enumerate(("/dev/null", order["out"], order["err"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
    sys.argv = ["assay", *order["words"]]
    sys.stderr = Pausing(sys.stderr, order["pause"])
    from assay.cli import main
    try:
        code = main()
    except BaseException:
        code = 1
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
    elif child := os.fork():
        print(child, flush=True)
    else:
        run(order)
'''


class Child:
    """`assay` in a process of its own, whose progress lines can be waited for."""

    def __init__(self, nursery: Nursery, words: Sequence[str], folder: Path, pause: str) -> None:
        self._nursery, self._out, self._err = nursery, *(folder / f".{name}.{time.monotonic_ns()}" for name in "oe")
        self._code: int | None = None
        order = {"words": list(words), "folder": str(folder), "pause": pause}
        self.pid = nursery.ask({**order, "out": str(self._out), "err": str(self._err)})
        if pause:
            self.wait_until(lambda: pause in self.err, f"no line held {pause!r}")
            self.wait_until(self._is_stopped, "it did not stop itself")  # it has written the line before

    def wait_until(self, happened: Callable[[], bool], what: str = "nothing of that happened") -> None:
        """Wait until something has happened."""
        limit = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < limit, f"{what}:\n{self.err}"
            time.sleep(0.005)

    def _is_stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def go_on(self) -> None:
        """Let the process go on from where it stopped itself."""
        os.kill(self.pid, signal.SIGCONT)

    def send(self, number: int) -> int:
        """Signal the process, wait for its end and give its exit code."""
        os.kill(self.pid, number)
        self.go_on()
        return self.wait()

    def wait(self) -> int:
        """The exit code when there is one; minus the number of the signal that killed the process."""
        if self._code is None:
            self._code = self._nursery.ask({"wait": self.pid})
        return self._code

    @property
    def out(self) -> str:
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self) -> str:
        return self._err.read_text() if self._err.exists() else ""


class Nursery:
    """The process from which the others are forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._children: list[Child] = []
        assert self._answer().endswith("ready")

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) and not line.strip().lstrip("-").isalnum():
            pass
        return line.strip()

    def ask(self, order: dict[str, object]) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def assay(self, *words: str, folder: Path, pause: str = "") -> Child:
        """Begin `assay` with these words in a folder; with `pause` it has stopped at the line that holds it."""
        child = Child(self, words, folder, pause)
        self._children.append(child)
        return child

    def end_all(self) -> None:
        """Kill what is left of the children."""
        for child in self._children:
            if child._code is None:
                child.send(signal.SIGKILL)
        self._children.clear()

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def _nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def processes(_nursery):
    """Begin `assay` in processes of its own with `processes.assay(*words, folder=...)`; those left over are killed."""
    yield _nursery
    _nursery.end_all()
