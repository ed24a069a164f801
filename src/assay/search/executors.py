"""Where groups of trials are judged: in this process, or in worker processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from types import TracebackType
from typing import Literal, Protocol, Self

from assay.search.trial import Objective, Outcome, Prune, Trial
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


class PoolExecutor:
    """Judges in processes that are spawned, each with the objective it makes itself and its share of the threads.

    A pruner sees the trials of this process alone, so there is none.
    """

    def __init__(self, maker: Maker, jobs: int, threads: int) -> None:
        """Spawn the processes.

        Args:
            jobs: processes.
            threads: of all of them together.
        """
        self.slots = jobs
        self._running: set[Future[list[Outcome]]] = set()
        each = max(threads // jobs, 1)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_open, initargs=(maker, each))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, group: Sequence[Trial], prune: Prune | None, budget: Budget) -> None:
        """Send a group to the next process that is free."""
        assert prune is None
        seconds = None if budget.seconds == float("inf") else budget.left
        self._running.add(self._pool.submit(_judge, list(group), seconds))

    def wait(self) -> list[Outcome]:
        """The outcomes of the group that is done first."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        first = done.pop()
        self._running.remove(first)
        return first.result()


_OBJECTIVE: list[Objective] = []


def _open(maker: Maker, threads: int) -> None:
    """In a worker: limit its threads and make its objective."""
    import torch

    torch.set_num_threads(threads)
    _OBJECTIVE[:] = [maker()]


def _judge(group: Sequence[Trial], seconds: float | None) -> list[Outcome]:
    return _OBJECTIVE[0].judge(group, None, Budget(seconds), Unwatched())
