"""The time a run may take, counted from when it was asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Budget:
    """Seconds allowed for a whole run; infinite when none was given."""

    def __init__(
        self, seconds: float | None, started: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`started` is the reading of `clock`, in seconds, from which seconds count; by default now."""
        self.seconds = math.inf if seconds is None else seconds
        self.clock = clock
        self.started = clock() if started is None else started

    @property
    def used(self) -> float:
        """Seconds since the run was asked for."""
        return self.clock() - self.started

    @property
    def left(self) -> float:
        """Seconds that remain; negative when overrun."""
        return self.seconds - self.used

    def part(self, share: float) -> Budget:
        """A share of what is left now."""
        return Budget(self.used + self.left * share, self.started, self.clock)

    def having_used(self, seconds: float) -> Budget:
        """The same budget with at least `seconds` gone: those that a run had used when it was ended."""
        return Budget(self.seconds, min(self.started, self.clock() - seconds), self.clock)

    def holding(self, seconds: float) -> Budget:
        """The same budget with `seconds` held back for what comes after."""
        return Budget(self.seconds - seconds, self.started, self.clock)
