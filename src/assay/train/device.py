"""Where training computes: the threads it may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def using_threads(asked: int) -> Iterator[int]:
    """Let torch use `asked` threads, never more than the process may use; 0 asks for one.

    One is the right number for networks of this size: a second thread gains little on an idle machine and costs many
    times over on a busy one, and the same number everywhere keeps the bits the same.

    Yields:
        How many it uses. Afterwards torch has the number it had before.
    """
    before = torch.get_num_threads()
    threads = min(asked or 1, len(os.sched_getaffinity(0)))
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def free_cores() -> int:
    """Cores that this process may use and that others leave free just now; at least one."""
    allowed = len(os.sched_getaffinity(0))
    return max(1, allowed - round(max(os.getloadavg()[0] - 1.0, 0.0)))
