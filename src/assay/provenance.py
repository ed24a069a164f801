"""Where a run's numbers come from: versions, machine, seconds by stage, peak memory."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assay.evaluate.record import Provenance, Resumption
from assay.train.watch import Watch
from assay.version import __version__

_PACKAGES = ("torch", "onnxruntime", "onnx", "numpy", "polars", "scikit-learn", "scipy")


class Stopwatch:
    """Wall seconds by stage, in the order the stages began."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.started = datetime.now(UTC)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and tell the watch that it begins."""
        self.watch.stage(name)
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun


def provenance(
    stopwatch: Stopwatch, *, seed: int, threads: int, started: str | None = None, resumed: tuple[Resumption, ...] = ()
) -> Provenance:
    """The facts of this process and machine; peak memory is the process's since it began.

    Args:
        stopwatch: seconds by stage.
        seed, threads: what the run worked with.
        started: when the run was begun, where an earlier process did; by default when the stopwatch was.
        resumed: each time the run went on after it had been ended.
    """
    return Provenance(
        assay=__version__,
        versions={"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        platform=platform.platform(),
        cpu=_cpu(),
        threads=threads,
        seed=seed,
        started=started or stopwatch.started.isoformat(timespec="seconds"),
        seconds={name: round(seconds, 3) for name, seconds in stopwatch.seconds.items()},
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        resumed=resumed,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """The processor's name and how many this process may use."""
    allowed = len(os.sched_getaffinity(0))
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return f"{platform.machine()}, {allowed} usable"
    names = [line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {allowed} usable"
