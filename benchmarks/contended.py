"""What a training loses beside another busy process: threads that are looked at again against two throughout.

`assay fit` of one TabM on Adult, so many passes, no budget; after ten seconds a process begins that keeps one core busy
(`busy`), or another such training of two threads (`training`). Threads that are left open (`train.threads=0`, the
default) beside `train.threads=2`, which stays what it is, as it was before. Ratios are of seconds of training.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import ADULT, heading, parser, table, verdict

ASSAY = str(Path(sys.executable).parent / "assay")
PASSES, BEGINS = 8, 10.0
#: How many times as long a training may take beside one busy process; of two cores it has one and a half at the best.
MOST = 2.0
BUSY = "while True: pass"


def command(out: Path, threads: int, passes: int) -> list[str]:
    options = ["model.name=tabm", "ensemble.folds=1", f"train.epochs={passes}", f"train.threads={threads}",
               "evaluate.baselines=majority", "evaluate.bootstrap=100"]  # fmt: skip
    source = [str(ADULT / "train.csv.gz"), "--target", "income", "--budget", "none", "--seed", "0", "--quiet"]
    return [ASSAY, "fit", *source, "--out", str(out), *options]


def seconds(threads: int, passes: int, beside: str, begins: float) -> float:
    """Seconds of training; what runs beside it begins later and is ended with it."""
    with tempfile.TemporaryDirectory() as folder:
        fit = subprocess.Popen(command(Path(folder) / "run", threads, passes), stdout=subprocess.DEVNULL)
        other = None
        if beside:
            time.sleep(begins)
            long = command(Path(folder) / "other", 2, 100 * passes)
            what = [sys.executable, "-c", BUSY] if beside == "busy" else long
            other = subprocess.Popen(what, stdout=subprocess.DEVNULL)
        code = fit.wait()
        if other is not None:
            other.kill()
            other.wait()
        if code:
            raise SystemExit(f"the fit ended with {code}")
        report = json.loads((Path(folder) / "run" / "report.json").read_text(encoding="utf-8"))
    return sum(part["seconds"] for part in report["training"]["parts"])


def main() -> None:
    chosen = parser(__doc__).parse_args()
    heading("Beside another process", small=chosen.small)
    passes, begins = (1, 1.0) if chosen.small else (PASSES, BEGINS)
    alone = {threads: seconds(threads, passes, "", begins) for threads in (0, 2)}
    rows = [("alone", *(f"{alone[threads]:.1f} s" for threads in alone), "")]
    for beside in ("busy", "training"):
        taken = {threads: seconds(threads, passes, beside, begins) for threads in alone}
        told = [f"{taken[threads]:.1f} s, {taken[threads] / alone[threads]:.1f} times" for threads in alone]
        goal = verdict(taken[0] <= MOST * alone[0]) if beside == "busy" else ""
        rows.append((beside, *told, goal))
    table(("beside", "left open", "two throughout", f"left open: ≤ {MOST:g} times"), rows)


if __name__ == "__main__":
    main()
