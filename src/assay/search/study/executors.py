"""Where groups of trials are judged: in this process, or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from assay.errors import AssayError, ConfigError
from assay.search.study.trial import Objective, Outcome, Prune, Trial
from assay.train.budget import Budget
from assay.train.watch import Unwatched, Watch

#: Where trials are judged: on this machine, or on a Ray cluster that runs already.
Engine = Literal["local", "ray"]
#: Makes the objective in a process of its own; it must be importable there.
Maker = Callable[[], Objective]


class Executor(Protocol):
    """Judges groups of trials, `slots` of them at a time."""

    slots: int

    def submit(self, group: Sequence[Trial], prune: Prune | None, budget: Budget) -> None:
        """Have a group judged."""
        ...

    def wait(self) -> list[Outcome]:
        """The outcomes of a group that was submitted, of whichever is done first."""
        ...


class LocalExecutor:
    """Judges in this process, one group after another."""

    slots = 1

    def __init__(self, objective: Objective, watch: Watch | None = None) -> None:
        self._objective, self._watch = objective, watch or Unwatched()
        self._waiting: deque[tuple[Sequence[Trial], Prune | None, Budget]] = deque()

    def submit(self, group: Sequence[Trial], prune: Prune | None, budget: Budget) -> None:
        """Put a group into the queue."""
        self._waiting.append((group, prune, budget))

    def wait(self) -> list[Outcome]:
        """Judge the first group of the queue."""
        group, prune, budget = self._waiting.popleft()
        return self._objective.judge(group, prune, budget, self._watch)


@dataclass(frozen=True)
class _Work:
    """What a worker is sent: a group, whether it is to ask what to prune, and when it must end (`time.monotonic`)."""

    group: list[Trial]
    asks: bool
    ends: float


@dataclass(frozen=True)
class _Asking:
    """What a worker asks of a pruner: see `trial.Prune`."""

    number: int
    step: int
    value: float


@dataclass
class _Worker:
    """A process, the way to it, what it is judging, and whether it could read the data."""

    process: SpawnProcess
    line: Connection
    group: Sequence[Trial] = ()
    prune: Prune | None = None
    is_open: bool = False


class PoolExecutor:
    """Judges in processes that are spawned, each with the objective it makes itself and its share of the threads.

    Pruners stay in this process, which alone knows all trials: workers ask it after each step. A worker that dies takes
    its group with it, which is told as failed, and another is begun in its place.
    """

    def __init__(self, maker: Maker, jobs: int, threads: int) -> None:
        """Nothing is begun before the first group.

        Args:
            maker: makes the objective in a worker.
            jobs: processes.
            threads: of all of them together.
        """
        self.slots = jobs
        self._maker, self._threads = maker, max(threads // jobs, 1)
        self._free: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in (*self._free, *self._busy):
            worker.process.kill()
            worker.process.join()
            worker.line.close()

    def submit(self, group: Sequence[Trial], prune: Prune | None, budget: Budget) -> None:
        """Send a group to a process that is free, or to one that is begun for it."""
        worker = self._free.pop() if self._free else self._begun()
        worker.group, worker.prune = group, prune
        self._busy.append(worker)
        with suppress(OSError):  # it has died meanwhile, which `wait` finds
            worker.line.send(_Work(list(group), prune is not None, time.monotonic() + budget.left))

    def wait(self) -> list[Outcome]:
        """The outcomes of the group that is done first; until then pruners are asked for the others.

        Raises:
            AssayError: a worker could not read the data.
            OSError: one could not write what its trials answered.
        """
        while True:
            ready = wait([worker.line for worker in self._busy])
            for worker in [each for each in self._busy if each.line in ready]:
                outcomes = self._heard(worker)
                if outcomes is not None:
                    self._busy.remove(worker)
                    return outcomes

    def _begun(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._maker, self._threads, theirs))
        process.start()
        theirs.close()  # so that the end of the process is the end of the line
        return _Worker(process, ours)

    def _heard(self, worker: _Worker) -> list[Outcome] | None:
        """What comes of a message of a worker: its outcomes, once there are such."""
        try:
            said = worker.line.recv()
            if isinstance(said, _Asking):
                assert worker.prune is not None
                worker.line.send(worker.prune(said.number, said.step, said.value))
                return None
        except (EOFError, OSError):
            return self._lost(worker)
        if isinstance(said, AssayError | OSError):
            raise said
        if said is None:
            worker.is_open = True
            return None
        self._free.append(worker)
        found: list[Outcome] = said
        return found

    def _lost(self, worker: _Worker) -> list[Outcome]:
        """The outcomes of a worker that has died."""
        worker.process.join()
        worker.line.close()
        code = worker.process.exitcode or 0
        why = f"by signal {signal.Signals(-code).name}, often for want of memory" if code < 0 else f"with code {code}"
        if not worker.is_open:
            raise ConfigError(
                "a worker process must be able to read the data and hold it beside the others", f"one ended {why}",
                "Take fewer with --jobs, or none, which says more of what is wrong.",
            )  # fmt: skip
        return [Outcome(trial.number, "failed", reason=f"its worker process ended {why}") for trial in worker.group]


# In a worker ----------------------------------------------------------------------------------------------------------


def _serve(maker: Maker, threads: int, line: Connection) -> None:
    """Make the objective, then judge what comes until the other end is gone."""
    import torch

    os.environ["OMP_NUM_THREADS"] = str(threads)  # what `allowed_cores` goes by, so that none takes those of another
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        objective = maker()
    except AssayError as error:
        line.send(error)
        return
    line.send(None)

    def ask(number: int, step: int, value: float) -> bool:
        line.send(_Asking(number, step, value))
        answer: bool = line.recv()
        return answer

    while True:
        try:
            work: _Work = line.recv()
        except EOFError:
            return
        budget = Budget(work.ends - time.monotonic())
        try:
            line.send(objective.judge(work.group, ask if work.asks else None, budget, Unwatched()))
        except OSError as error:  # such as a full disk, of which the process that began this one tells
            line.send(error)
            return


def _end_with_parent() -> None:
    """End at once when the parent does, however it does: nobody wants what would come of the work."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
