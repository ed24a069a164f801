"""Worker processes: each does one run at a time; one that dies is a failed run, and another takes its place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TextIO

#: What numeric packages read their number of threads from.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")
#: Seconds that a process has to write a checkpoint when it is asked to end.
_GRACE = 20.0


@dataclass(frozen=True)
class Event:
    """Something a worker told: `stage`, `result` (JSON of the answer) or `fault` (why there is none), of which job."""

    job: int
    kind: str
    text: str


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers(requests: Sequence[str], *, workers: int, logs: Path) -> Generator[Event, None, None]:
    """What happens to the requests, in the order it happens, until each has a `result` or a `fault`.

    Leaving early ends the workers: they are asked to write a checkpoint first.

    Args:
        requests: one line of JSON each.
        workers: processes at a time; with several each has its share of the cores.
        logs: folder for what the processes print.
    """
    events: SimpleQueue[Event] = SimpleQueue()
    waiting = SimpleQueue[int]()
    for job in range(len(requests)):
        waiting.put(job)
    logs.mkdir(parents=True, exist_ok=True)
    crew = [_Worker(place, requests, waiting, events, logs, workers) for place in range(min(workers, len(requests)))]
    for worker in crew:
        worker.start()
    left = len(requests)
    try:
        while left:
            event = events.get()
            left -= event.kind in ("result", "fault")
            yield event
    finally:
        for worker in crew:
            worker.end()
        for worker in crew:
            worker.join(_GRACE + 5.0)


class _Worker(threading.Thread):
    """A thread that hands requests to a process of its own, and starts another when that has died."""

    def __init__(
        self,
        place: int,
        requests: Sequence[str],
        waiting: SimpleQueue[int],
        events: SimpleQueue[Event],
        logs: Path,
        workers: int,
    ) -> None:
        super().__init__(daemon=True)
        self._place, self._requests, self._waiting, self._events = place, requests, waiting, events
        self._log, self._workers = logs / f"worker-{place}.log", workers
        self._process: subprocess.Popen[str] | None = None
        self._ending = threading.Event()
        self._last: threading.Timer | None = None

    def run(self) -> None:
        """Do what is waiting until nothing is, or the end is asked for."""
        with self._log.open("a", encoding="utf-8") as log:
            while not self._ending.is_set():
                try:
                    job = self._waiting.get_nowait()
                except Empty:
                    break
                self._events.put(Event(job, "begun", ""))
                process = self._alive(log)
                assert process.stdin is not None
                with suppress(BrokenPipeError):
                    process.stdin.write(self._requests[job] + "\n")
                    process.stdin.flush()
                self._events.put(self._answer(process, job))
            self._close()

    def end(self) -> None:
        """Ask the process to end, and to write a checkpoint if it trains."""
        self._ending.set()
        process = self._process
        if process is not None and process.poll() is None and self.is_alive():
            process.send_signal(signal.SIGTERM)
            self._last = threading.Timer(_GRACE, process.kill)
            self._last.daemon = True
            self._last.start()

    def _alive(self, log: TextIO) -> subprocess.Popen[str]:
        """The process, or a new one where there is none or it has died."""
        if self._process is None or self._process.poll() is not None:
            self._close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "assay.bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is for the one who waits; what runs is asked to end by name
            )
            if self._ending.is_set():
                self._process.kill()
        return self._process

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self._workers > 1:
            share = max(1, cores() // self._workers)
            environment |= {name: str(share) for name in _THREADS if not _is_less(environment.get(name), share)}
        return environment

    def _answer(self, process: subprocess.Popen[str], job: int) -> Event:
        """The last event of the job; stages are passed on meanwhile."""
        fault = ""
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "result" in told:
                return Event(job, "result", json.dumps(told["result"]))
            if "stage" in told:
                self._events.put(Event(job, "stage", told["stage"]))
            fault = told.get("fault", fault)
        code = process.wait()
        return Event(job, "fault", fault or f"the process ended {_in_words(code)}; {self._log} has what it printed")

    def _close(self) -> None:
        process = self._process
        if process is None:
            return
        process.kill()  # between runs it has nothing to lose
        process.wait()
        if self._last is not None:
            self._last.cancel()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _is_less(said: str | None, share: int) -> bool:
    """Whether the user allows fewer threads than the share already."""
    return said is not None and said.isdigit() and 0 < int(said) <= share


def _in_words(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name
    return f"by {name}" + (", as one does that is out of memory" if name == "SIGKILL" else "")
