"""Rows a second of a training loop: by hand, assay, and the loops of other frameworks, in turn.

The work: a network 32-128-128-2 with ReLU on 51,200 rows in memory, batches of 256, AdamW, five epochs; then a small
network of two convolutions on 28 x 28 grey images. assay's figures include what the others leave out here: validation
each epoch, metrics, early stopping and the best weights. Then M networks trained at once, against M runs of one.

Every candidate is a process of its own that stays alive and trains once a turn; turns go round all candidates. Figures
are medians over the rounds. Frameworks that are not in `--rivals-python` are shown as not installed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _measure import ONE_THREAD, Times, heading, median_times, parser, table, verdict

SCRIPT = Path(__file__).with_name("_loops.py")
#: Shown name -> candidate of `_loops.py`; whether it needs the rivals' interpreter.
TABLE = {
    "by hand, batches gathered": ("hand", False),
    "by hand, shuffled slices": ("hand_sliced", False),
    "assay": ("assay_table", False),
    "Lightning Trainer, DataLoader": ("lightning", True),
    "Lightning Trainer, DataLoader of whole batches": ("lightning_sliced", True),
    "Lightning Fabric, DataLoader": ("fabric", True),
    "skorch": ("skorch", True),
    "Keras on torch": ("keras", True),
    "fastai": ("fastai", True),
}
IMAGES = {
    "by hand, batches gathered": ("hand", False),
    "by hand, shuffled slices, channels_last": ("hand_channels_last", False),
    "assay": ("assay_module", False),
    "Lightning Trainer, DataLoader": ("lightning", True),
    "Lightning Trainer, DataLoader of whole batches": ("lightning_sliced", True),
}
MEMBERS = (1, 4, 8, 16)
MOST_TIMES, MOST_A_MEMBER = 1.10, 0.5


@dataclass
class Candidate:
    """A process that trains once a turn; `absent` says why there is none."""

    process: subprocess.Popen[str] | None
    absent: str = ""
    times: list[Times] = field(default_factory=list)
    accuracy: float = 0.0

    @classmethod
    def start(cls, python: Path | None, name: str, options: Sequence[object], threads: int) -> "Candidate":
        if python is None:
            return cls(None, "not installed")
        command = [str(python), str(SCRIPT), name, "--threads", str(threads), *map(str, options)]
        environment = os.environ | ONE_THREAD | {"OMP_NUM_THREADS": str(threads)}
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )
            first = process.stdout.readline()
            errors.seek(0)
            if not first:
                raise SystemExit(f"{' '.join(command)} ended:\n{errors.read()[-2_000:]}")
        why = json.loads(first).get("absent", "")
        missing = "not yet" if why.startswith("NotImplementedError") else "not installed"
        return cls(process, missing if why else "")

    def turn(self) -> None:
        if self.absent:
            return
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args)} ended within a turn")
        spent = json.loads(line)
        self.times.append(Times(spent["cpu"], spent["wall"]))
        self.accuracy = spent["accuracy"]

    def end(self) -> None:
        if self.process is not None:
            self.process.communicate()


def in_turn(candidates: Sequence[Candidate], rounds: int) -> None:
    """All candidates once a round, so that a change of the machine's speed meets them all."""
    try:
        for _ in range(rounds):
            for each in candidates:
                each.turn()
    finally:
        for each in candidates:
            each.end()


def frameworks(chosen: argparse.Namespace, listed: dict[str, tuple[str, bool]], options: list[object], work: int):
    """Time the listed loops in one thread and print them as multiples of the first; `work`: rows trained on a turn."""
    found = {
        name: Candidate.start(chosen.rivals_python if rival else Path(sys.executable), candidate, options, 1)
        for name, (candidate, rival) in listed.items()
    }
    in_turn(list(found.values()), chosen.rounds)
    base = median_times(next(iter(found.values())).times)
    rows = []
    for name, each in found.items():
        if each.absent:
            rows.append((name, each.absent, "", "", "", ""))
            continue
        times = median_times(each.times)
        goal = f"≤ {MOST_TIMES:.2f}: {verdict(times.cpu / base.cpu <= MOST_TIMES)}" if name == "assay" else ""
        rows.append(
            (name, f"{work / times.wall:,.0f}", f"{times.wall / base.wall:.2f}", f"{times.cpu / base.cpu:.2f}",
             f"{each.accuracy:.3f}", goal)
        )  # fmt: skip
    table(["loop", "rows a second", "wall, times by hand", "CPU, times by hand", "accuracy", "goal"], rows)


def members(chosen: argparse.Namespace, rows: int, epochs: int) -> None:
    """Cost of a member of M trained at once, against a run of one member with as many threads."""
    threads = [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]
    cells = []
    for count in threads:
        found = {
            m: Candidate.start(
                Path(sys.executable), "assay_table", ["--rows", rows, "--epochs", epochs, "--members", m], count
            )
            for m in MEMBERS
        }
        in_turn(list(found.values()), chosen.rounds)
        times = {m: median_times(each.times) for m, each in found.items()}
        for m, each in times.items():
            wall, cpu = (spent / m / alone for spent, alone in ((each.wall, times[1].wall), (each.cpu, times[1].cpu)))
            goal = f"≤ {MOST_A_MEMBER}: {verdict(wall <= MOST_A_MEMBER)}" if m >= 8 else ""
            cells.append((count, m, f"{each.wall:.2f}", f"{wall:.2f}", f"{cpu:.2f}", f"{found[m].accuracy:.3f}", goal))
    head = ["threads", "members", "s wall", "a member: wall, times a run of one", "CPU", "accuracy", "goal"]
    table(head, cells)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=7, help="turns of each candidate")
    arguments.add_argument("--rivals-python", type=Path, metavar="PATH", help="interpreter that has the rivals")
    arguments.add_argument("--only", choices=("table", "images", "members"), help="this part alone")
    chosen = arguments.parse_args()
    rows, images, epochs = (2_560, 640, 1) if chosen.small else (51_200, 6_400, 5)
    chosen.rounds = 2 if chosen.small else chosen.rounds
    heading("Training loops, one thread", small=chosen.small)
    if chosen.only in (None, "table"):
        print(f"A network 32-128-128-2, {rows:,} rows, batches of 256, {epochs} epochs.\n")
        frameworks(chosen, TABLE, ["--rows", rows, "--epochs", epochs], rows * epochs)
    if chosen.only in (None, "images"):
        print(f"Two convolutions, {images:,} images of 28 x 28, batches of 128, 2 epochs.\n")
        options = ["--images", "--rows", images, "--batch", 128, "--epochs", 2]
        frameworks(chosen, IMAGES, options, images * 2)
    if chosen.only in (None, "members"):
        print(f"Members: networks 32-128-128-2 trained at once, {rows:,} rows, {min(epochs, 2)} epochs.\n")
        members(chosen, rows, min(epochs, 2))


if __name__ == "__main__":
    main()
