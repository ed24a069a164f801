"""A fit on 10 million rows of 30 numbers from Parquet within a budget: seconds by stage, steps a second, peak memory.

The file is made here, group of rows by group of rows and the same for the same number of rows, in a temporary folder
that goes afterwards: 30 numbers, of which a dozen make the target by a smooth function, and noise that leaves an R2
of 0.90 to be reached. A process of its own then runs the whole fit, with its baselines, bundle and report. Goal: its
memory stays below 4 GB.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _measure import heading, parser, peaks, table, watched

MOST_GB, SMALL_ROWS, GROUP = 4.0, 40_000, 100_000
#: Columns, the deviation of what they determine of the target, and of the noise over it.
NUMBERS, SPREAD, NOISE = 30, 1.8814, 1 / 3
BYTES_A_ROW = 8 * (NUMBERS + 1)
#: Share of the variance of the target that its columns determine; the rest is noise.
REACHABLE = 1 / (1 + NOISE**2)


def group(start: int, rows: int) -> dict[str, np.ndarray]:
    """Rows from `start` on: numbers of several shapes, and a target of deviation 1 before the noise."""
    rng = np.random.default_rng([11, start])
    x = rng.normal(size=(NUMBERS, rows))
    x[10:15] = np.exp(x[10:15])
    x[15:20] = rng.integers(0, 100, (5, rows))
    x[20:25] = rng.random((5, rows))
    smooth = np.sin(2 * x[0]) + x[1] * x[2] + 0.5 * x[3] - np.abs(x[4]) + np.tanh(x[5] + x[6])
    smooth += np.log(x[10]) * x[20] + 0.02 * x[15] + np.cos(6 * x[21]) * (x[16] > 50)
    target = smooth / SPREAD + NOISE * rng.normal(size=rows)
    return {f"x{place}": column for place, column in enumerate(x)} | {"y": target}


def generate(path: Path, rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.float64()) for name in group(0, 1)])
    with pyarrow.parquet.ParquetWriter(path, schema) as file:
        for start in range(0, rows, GROUP):
            file.write_table(pyarrow.table(group(start, min(GROUP, rows - start)), schema=schema))


def train(path: Path, out: Path, budget: str, overrides: list[str]) -> None:
    """The whole fit; prints what it took as JSON."""
    import assay

    begun = time.perf_counter()
    run = assay.fit(path, "y", out=out, budget=budget, overrides=overrides)
    seconds = time.perf_counter() - begun
    report = run.report()
    training, plan = report.training, report.split
    found = {
        "seconds": report.provenance.seconds,
        "whole": seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "rows": [plan.train_rows, plan.valid_rows, plan.test_rows],
        "steps": training.steps,
        "steps_a_second": training.steps / training.seconds,
        "epochs": len(training.epochs),
        "batch": training.parts[0].options.get("train.batch", "auto"),
        "stopped": training.stopped,
        "scores": {model.name: model.scores[0].estimate.value for model in report.scores},
        "metric": report.scores[0].scores[0].label,
        "r2": {s.name: s.estimate.value for s in report.scores[0].scores}["r2"],
    }
    print(json.dumps(found))


def folder_bytes(folder: Path) -> int:
    """What the files below `folder` take; files that go while they are counted count as nothing."""
    total = 0
    for directory, _, names in os.walk(folder):  # which passes over directories that have just gone
        for name in names:
            try:
                total += Path(directory, name).stat().st_blocks * 512
            except OSError:
                continue
    return total


def check_room(folder: Path, rows: int) -> None:
    needed, free = 3 * rows * BYTES_A_ROW, shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{rows:,} rows and what is made of them need {needed / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} GB "
            "are free. Name another folder with --dir, or take fewer --rows."
        )


def report(chosen: argparse.Namespace, rows: int) -> None:
    heading("Training on a large Parquet file", small=chosen.small)
    with tempfile.TemporaryDirectory(dir=chosen.dir) as folder:
        path = Path(folder) / "large.parquet"
        check_room(path.parent, rows)
        generate(path, rows)
        size = path.stat().st_size / 1e9
        command = [sys.executable, __file__, "--train", str(path), "--budget", chosen.budget, *chosen.overrides]
        found, anonymous, disk = watched(command, lambda: folder_bytes(path.parent) - path.stat().st_size)
    parts = ", ".join(
        f"{count:,} {part}" for count, part in zip(found["rows"], ("train", "valid", "test"), strict=True)
    )
    print(f"{rows:,} rows ({parts}), {NUMBERS} numbers, {size:.2f} GB; budget {chosen.budget}.\n")
    each = {stage: seconds for stage, seconds in found["seconds"].items() if seconds >= 0.05}
    lines = [(stage, f"{seconds:.1f}", f"{seconds / rows * 1e6:.2f}") for stage, seconds in each.items()]
    table(["stage", "seconds", "seconds per million rows"], [*lines, ("all", f"{found['whole']:.1f}", "")])
    print(
        f"{found['steps']:,} steps of {found['batch']} rows in {found['epochs']} epochs, "
        f"{found['steps_a_second']:.0f} a second; {found['stopped']}.\n"
    )
    table([found["metric"], "test rows"], [(name, f"{value:.4f}") for name, value in found["scores"].items()])
    print(f"R2 of the network {found['r2']:.4f}; {REACHABLE:.4f} can be reached.\n")
    peaks(found["peak"], anonymous, MOST_GB, [("temporary files (sampled)", f"{disk / 1e9:.2f}", "")])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--budget", default=None, help="of the fit (default: 300s, 120s with --small)")
    arguments.add_argument("--dir", type=Path, help="where the file is made (default: the system's temporary folder)")
    arguments.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="options of the fit")
    chosen = arguments.parse_args()
    chosen.budget = chosen.budget or ("120s" if chosen.small else "300s")
    if chosen.train:
        train(chosen.train, chosen.train.parent / "run", chosen.budget, chosen.overrides)
    else:
        report(chosen, SMALL_ROWS if chosen.small else chosen.rows)


if __name__ == "__main__":
    main()
