"""The processor's threads that torch computes with: how many there may be, how many pay, and whether they still do."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from assay.train.config import TrainConfig

#: Steps timed with each number of threads; the first is not counted.
_TIMED = 4
#: Seconds of them that are enough.
_ENOUGH = 1.0
#: How much faster more threads must be to be kept.
_WORTH = 0.95
#: Steps and seconds of a look at the pace, and how many times as slow as it has been it must be for another number.
_STEPS, _LOOK, _SLOWER = 4, 0.5, 2.0
#: Seconds of steps until another number is tried again, twice as many each time that it was in vain, and at most.
_AGAIN, _LONGEST = 10.0, 320.0
#: How many times as long steps of another training like it may take, and seconds until it is measured again whether
#: one thread is the quickest.
_ALIKE, _FRESH = 2.0, 60.0


@contextmanager
def using_threads(asked: int) -> Iterator[int]:
    """Let torch use `asked` threads, never more than the process may use; 0 begins with one.

    Yields:
        How many it uses. Afterwards torch has the number it had before.
    """
    before = torch.get_num_threads()
    threads = min(asked or 1, allowed_cores())
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def allowed_cores() -> int:
    """Cores this process may use: its affinity, its control group's quota, and OMP_NUM_THREADS where that is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    cores = cores if quota is None else min(cores, max(1, int(quota)))
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() and int(asked) else cores


def _quota() -> float | None:
    """Cores that the control group grants (version 2), or None where it sets no limit."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return None
    return None if allowed == "max" else int(allowed) / int(period)


def free_cores() -> int:
    """Cores that this process may use and that others leave free just now; at least one."""
    return max(1, allowed_cores() - round(max(os.getloadavg()[0] - 1.0, 0.0)))


class Threads:
    """The threads of the steps of a training: one or all at first, whichever is sooner, and fewer where others come.

    Threads wait for each other many times a step, and a core that is given to another process for a moment makes all
    of them wait: beside one busy process two threads took four times as long, beside a training of two threads two
    hundred times (docs/decisions/threads.md). So when steps become slow, half as many threads are tried, and later
    twice as many again; what is sooner is kept. Nothing changes while the pace stays what it was.
    """

    def __init__(self, most: int) -> None:
        """most: threads there may be."""
        self.most, self.known = most, 0
        self._fastest, self._measured = math.inf, 0.0
        self._before: tuple[int, float] | None = None  # threads and seconds a step, while another number is tried
        self._since, self._wait = 0.0, 0.0  # seconds of steps since a number was tried, and until one may be again
        self._in_vain = False  # whether the last one that was tried was no sooner
        self._steps, self._taken = 0, 0.0

    def begin(self, step: Callable[[], object]) -> bool:
        """Have torch use the number that is known, or that which runs `step` sooner; whether it ran to find out."""
        if self.known > 1 or (self.known and time.monotonic() < self._measured + _FRESH):
            torch.set_num_threads(self.known)
            return False
        self.known, self._measured = faster_threads(step, self.most), time.monotonic()
        return True

    def renew(self) -> None:
        """Another training comes, whose steps take about as long as those of the last one."""
        self._fastest, self._before = _ALIKE * self._fastest, None
        self._begin_look()

    def go_on(self, threads: int) -> None:
        """Have torch use so many, which a training that goes on had."""
        self.known = min(threads, self.most)
        torch.set_num_threads(self.known)

    def after_step(self, seconds: float) -> None:
        """Take note of what a step took; another number of threads is tried where that became slow."""
        if self.most == 1:
            return
        self._steps, self._taken, self._since = self._steps + 1, self._taken + seconds, self._since + seconds
        lost = self._before is not None and self._taken > 2.0 * max(_STEPS * self._before[1], _LOOK)
        if not lost and (self._steps < _STEPS or self._taken < _LOOK):
            return
        pace = self._taken / self._steps
        self._begin_look()
        if self._before is not None:
            self._settle(pace)
        else:
            self._fastest = min(self._fastest, pace)
            self._consider(pace)

    def _begin_look(self) -> None:
        self._steps, self._taken = 0, 0.0

    def _consider(self, pace: float) -> None:
        """Try half as many threads where steps are slow, and twice as many where there have been fewer for a while."""
        has_waited = self._since >= self._wait
        if self.known > 1 and pace > _SLOWER * self._fastest and (has_waited or not self._in_vain):
            self._try(self.known // 2, pace)
        elif self._wait and has_waited and self.known < self.most:
            self._try(min(2 * self.known, self.most), pace)

    def _try(self, threads: int, pace: float) -> None:
        self._before = self.known, pace
        self.known = threads
        torch.set_num_threads(threads)

    def _settle(self, pace: float) -> None:
        """Keep the number that was tried if it is sooner; else go back, and wait longer than the last time."""
        assert self._before is not None
        (threads, before), self._before, self._since = self._before, None, 0.0
        self._in_vain = pace >= _WORTH * before
        if not self._in_vain:
            self._wait = _AGAIN
            return
        self.known, self._wait = threads, min(max(2.0 * self._wait, _AGAIN), _LONGEST)
        torch.set_num_threads(threads)


def threads_for(config: TrainConfig, network: nn.Module) -> Threads | None:
    """The threads of a training on the processor whose number is left open; None of others."""
    on_processor = next(network.parameters()).device.type == "cpu"
    return Threads(allowed_cores()) if on_processor and not config.threads else None


def faster_threads(step: Callable[[], object], most: int) -> int:
    """One or `most` threads, whichever runs `step` sooner; torch is left with that number.

    Where cores are shared with other work, threads that wait for each other lose, and one is kept.
    """
    if most <= 1:
        torch.set_num_threads(1)
        return 1
    alone = _seconds_a_step(step, 1)
    chosen = most if _seconds_a_step(step, most, _WORTH * alone) < _WORTH * alone else 1
    torch.set_num_threads(chosen)
    return chosen


def _seconds_a_step(step: Callable[[], object], threads: int, most: float = math.inf) -> float:
    """Seconds of a step; threads that take more than `most` in the mean are not waited for, nor slow steps repeated."""
    torch.set_num_threads(threads)
    begun, done = time.perf_counter(), 0
    step()  # makes what later ones find made
    if time.perf_counter() - begun > _TIMED * most:
        return math.inf
    begun = time.perf_counter()
    while True:
        step()
        done, taken = done + 1, time.perf_counter() - begun
        if done == _TIMED or taken > min(_ENOUGH, _TIMED * most):
            return taken / done
