"""How long a full evaluation of 100,000 labelled rows takes: within a fit, and by `assay evaluate`.

Rows are drawn with replacement from the test part of Adult and written as CSV, so that their number can be chosen. A
fit of a minute and a half has them as its test part: its exam scores network and baselines with intervals and paired
tests, looks for weak subgroups, mistakes, calibration and robustness. `assay evaluate` then scores the same file with
two named slices, in a process of its own. Goal: below 30 s each.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from _measure import ADULT, heading, parser, table, verdict

GOAL = 30.0
SLICES = ("age >= 60", "sex = Female & hours_per_week < 20")


def assay(*words: object) -> float:
    """Wall seconds of a command; what it says on a failure ends this script."""
    begun = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("assay")), *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    return time.perf_counter() - begun


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=100_000)
    chosen = made.parse_args()
    count = 2_000 if chosen.small else chosen.rows
    heading(f"Evaluation of {count:,} rows", small=chosen.small)
    from assay.runs import open_run

    with tempfile.TemporaryDirectory() as folder:
        rows, run = Path(folder) / "rows.csv", Path(folder) / "run"
        test = pl.read_csv(ADULT / "test.csv.gz", infer_schema=False)
        test[np.random.default_rng(0).integers(0, test.height, count)].write_csv(rows)
        fit = ("--target", "income", "--test", rows, "--budget", "90s", "--out", run, "--quiet")
        assay("fit", ADULT / "train.csv.gz", *fit)
        stages = open_run(run).report().provenance.seconds
        slices = [word for each in SLICES for word in ("--slice", each)]
        command = assay("evaluate", run, rows, "--sealed", *slices)
    exam = stages["evaluate"]
    table(
        ["evaluation", "s", "goal"],
        [
            ("the exam of a fit", f"{exam:.1f}", f"below {GOAL:.0f}: {verdict(exam < GOAL)}"),
            ("`assay evaluate`, from start to end", f"{command:.1f}", f"below {GOAL:.0f}: {verdict(command < GOAL)}"),
        ],
    )
    print("Seconds of the fit by stage: " + ", ".join(f"{name} {value:.1f}" for name, value in stages.items()) + ".")


if __name__ == "__main__":
    main()
