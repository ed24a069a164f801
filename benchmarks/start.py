"""Seconds from the start of `assay fit` on Adult to the first training step, stage by stage.

The process runs as a user's does, with its progress lines read as they come. A stage begins when its line comes; the
first step began when the first epoch's line came, less the seconds of training that this line tells. The process is
ended there. Medians of several starts, in turn with `python -c "import torch"`.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import ADULT, heading, parser, table

ASSAY = str(Path(sys.executable).parent / "assay")
STAGE = re.compile(r"^\[ *[\d.]+ s\] (\S.*)$")
EPOCH = re.compile(r"^ *epoch \d+ .*?([\d.]+) s$")
FIRST_STEP, IMPORT = "first training step", 'python -c "import torch"'


def start(out: Path) -> dict[str, float]:
    """Seconds from the start of the process to each stage and to the first step."""
    command = [ASSAY, "fit", str(ADULT / "train.csv.gz"), "--test", str(ADULT / "test.csv.gz"), "--target", "income"]
    begun = time.perf_counter()
    found: dict[str, float] = {}
    said = ""
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            now, said = time.perf_counter() - begun, said + line
            if stage := STAGE.match(line):
                found.setdefault(stage[1], now)
            elif epoch := EPOCH.match(line):
                found[FIRST_STEP] = now - float(epoch[1])
                break
        process.kill()
    if FIRST_STEP not in found:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} before the first epoch:\n{said}")
    return found


def import_torch() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - begun


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=5, help="starts of each")
    chosen = arguments.parse_args()
    heading("From the command to the first training step, Adult", small=chosen.small)
    runs, imports = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 if chosen.small else chosen.runs):
            runs.append(start(Path(folder) / f"run-{number}"))
            imports.append(import_torch())
    seconds = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    names = list(seconds)
    rows = [(IMPORT, "", f"{statistics.median(imports):.1f}")]
    for name, following in zip(names, [*names[1:], None], strict=True):
        lasts = f"{seconds[following] - seconds[name]:.1f}" if following else ""
        rows.append((name, f"{seconds[name]:.1f}", lasts))
    table(["stage", "begins after s", "lasts s"], rows)


if __name__ == "__main__":
    main()
