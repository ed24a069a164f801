"""What the benchmarks share: interleaved timing, the machine in one line, Markdown tables, where the data lies.

Only the standard library is imported here, so that `one_thread` comes before NumPy and Polars read their settings.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADULT = ROOT / "examples" / "adult"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


@dataclass(frozen=True)
class Times:
    """Medians over the repeats, in seconds a call: of process CPU time (all threads) and of wall time."""

    cpu: float
    wall: float


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with `--small`: a few seconds to try the script, whose figures say nothing."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--small", action="store_true", help="a quick try; its figures say nothing")
    return made


def add_data(given: argparse.ArgumentParser) -> None:
    given.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("ASSAY_DATA") or ROOT.parent / "shared" / "data"),
        metavar="DIR",
        help="folder of the data sets (default: $ASSAY_DATA, else ../shared/data beside the repository)",
    )


def one_thread() -> None:
    """Start this script anew with one thread for every library, unless it already runs so."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)


def interleave(calls: Mapping[str, Callable[[], object]], *, repeats: int, seconds: float) -> dict[str, Times]:
    """Time the calls in turn, A B A B ..., so that a change of the machine's speed meets them all.

    repeats: turns of each. seconds: how long a turn should last; a call is repeated within it.
    """
    often = {}
    for name, call in calls.items():
        call()
        begun = time.perf_counter()
        call()
        often[name] = max(1, int(seconds / (time.perf_counter() - begun)))
    found: dict[str, list[Times]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(often[name]):
                call()
            spent = Times((time.process_time() - cpu) / often[name], (time.perf_counter() - wall) / often[name])
            found[name].append(spent)
    return {name: median_times(times) for name, times in found.items()}


def median_times(times: Sequence[Times]) -> Times:
    return Times(statistics.median(each.cpu for each in times), statistics.median(each.wall for each in times))


def heading(title: str, *, small: bool) -> None:
    """The title, and where and when the figures below come from."""
    print(f"## {title}\n")
    if small:
        print("**A quick try (`--small`): these figures say nothing.**\n")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.\n", flush=True)


def machine() -> str:
    """CPU, usable cores, load and the versions that matter."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        facts = []
    names = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "polars", "scikit-learn"))
    return (
        f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores usable, "
        f"load {os.getloadavg()[0]:.1f} at the start, Python {platform.python_version()}, {packages}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table; columns of numbers are written by the caller as they should be read."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print()


def verdict(met: bool) -> str:
    return "met" if met else "missed"


def watched(command: Sequence[str], also: Callable[[], int] = lambda: 0) -> tuple[dict, float, int]:
    """What a command prints as JSON, the most anonymous memory it had in GB and the most that `also` said (sampled)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    memory = most = 0
    while process.poll() is None:
        memory, most = max(memory, _anonymous_kilobytes(process.pid)), max(most, also())
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the process that is watched ended with {process.returncode}")
    return json.loads(process.stdout.read()), memory / 2**20, most


def _anonymous_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # no /proc here, or the process has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def peaks(resident: float, anonymous: float, most: float, more: Iterable[tuple[str, str, str]] = ()) -> None:
    """Print the peaks of memory in GB beside the goal, and what else a process took."""
    met = verdict(max(resident, anonymous) < most)
    table(
        ["peak", "GB", "goal"],
        [
            ("resident memory (ru_maxrss)", f"{resident:.2f}", f"below {most:g}: {met}"),
            ("of it anonymous (RssAnon, sampled)", f"{anonymous:.2f}", ""),
            *more,
        ],
    )
