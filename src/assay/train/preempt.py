"""SIGTERM while training: finish the step, write a checkpoint, end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Termination:
    """Whether the process was asked to end since training began."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal: only take note, for a step must not be cut in two."""
        self.asked = True


@contextmanager
def termination_noted() -> Iterator[Termination]:
    """SIGTERM is taken note of inside the block; threads, which cannot handle signals, leave all as it is."""
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    before = signal.signal(signal.SIGTERM, termination)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)
