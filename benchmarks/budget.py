"""Is `--budget` kept? Wall time of the whole `assay fit` process against what was asked, on a small and a large table.

Budgets of 30, 60 and 300 s; 500 and 500,000 rows of ten numbers and three categories. Goal: at most 10 % over, and not
less than 90 % used unless training had converged; such a run says why it ended.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from _measure import heading, parser, table, verdict

ASSAY = str(Path(sys.executable).parent / "assay")
BUDGETS, ROWS = (30, 60, 300), (500, 500_000)
TOLERANCE = 0.10


@dataclass(frozen=True)
class Fit:
    """Seconds of a whole process and of its training, and why training ended (empty when the fit was refused)."""

    seconds: float
    training: float
    stopped: str
    refused: str = ""


def make_table(path: Path, rows: int) -> None:
    """Ten numbers and three categories; the class follows some of them, with noise that no model can remove."""
    rng = np.random.default_rng(rows)
    numbers = rng.normal(size=(rows, 10)).round(4)
    words = {f"word{place}": rng.integers(0, size, rows) for place, size in enumerate((3, 12, 200))}
    logit = numbers[:, 0] + np.sin(2 * numbers[:, 1]) + numbers[:, 2] * numbers[:, 3] + 0.8 * (words["word0"] == 1)
    label = np.where(rng.random(rows) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame = pl.DataFrame({f"x{place}": numbers[:, place] for place in range(10)} | words | {"label": label})
    frame.with_columns(pl.format("{}-{}", pl.lit(name), pl.col(name)).alias(name) for name in words).write_csv(path)


def fit(path: Path, budget: int, out: Path) -> Fit:
    command = [ASSAY, "fit", str(path), "--target", "label", "--budget", f"{budget}s", "--out", str(out), "--quiet"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        return Fit(seconds, 0.0, "", done.stderr.strip().splitlines()[-1])
    training = json.loads((out / "report.json").read_text(encoding="utf-8"))["training"]
    return Fit(seconds, training["seconds"], training["stopped"])


def judged(budget: int, found: Fit) -> str:
    """Met, missed, or why a run ended sooner than asked."""
    if found.refused:
        return f"refused: {found.refused}"
    if found.seconds > budget * (1 + TOLERANCE):
        return verdict(False)
    if found.seconds >= budget * (1 - TOLERANCE):
        return verdict(True)
    return f"{verdict('budget' not in found.stopped)}, ended early: {found.stopped}"


def lines(chosen: argparse.Namespace, folder: Path) -> list[tuple[object, ...]]:
    shown = []
    for rows in chosen.rows:
        path = folder / f"{rows}.csv"
        make_table(path, rows)
        for budget in chosen.budgets:
            found = fit(path, budget, folder / f"run-{rows}-{budget}")
            share = f"{found.seconds / budget:.0%}"
            cells = (f"{found.seconds:.1f}", share, f"{found.training:.1f}", judged(budget, found))
            shown.append((f"{rows:,}", budget, *cells))
    return shown


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, metavar="S")
    arguments.add_argument("--rows", type=int, nargs="+", default=ROWS, metavar="N")
    chosen = arguments.parse_args()
    if chosen.small:
        chosen.budgets, chosen.rows = [30], [500]
    heading("Time budgets", small=chosen.small)
    with tempfile.TemporaryDirectory() as folder:
        shown = lines(chosen, Path(folder))
    table(["rows", "s asked", "s used, whole process", "used", "s training", "within 10 %"], shown)


if __name__ == "__main__":
    main()
