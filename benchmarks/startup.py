"""How long the command line and the imports take, against `python -c pass`.

Each command is started in turn, again and again; wall and CPU time are medians. Goal: `assay --help` within 10 times
`python -c pass`, `import assay` with fewer than 150 modules and without torch.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from _measure import Times, heading, median_times, parser, table, verdict

MOST_TIMES, MOST_MODULES = 10.0, 150
BASE = "python -c pass"
ASSAY = str(Path(sys.executable).parent / "assay")
PYTHON = sys.executable

#: Shown name -> command, and the code that counts the modules of the same work.
COMMANDS = {
    BASE: ([PYTHON, "-c", "pass"], "pass"),
    'python -c "import assay"': ([PYTHON, "-c", "import assay"], "import assay"),
    'python -c "import assay.bundle.load"': ([PYTHON, "-c", "import assay.bundle.load"], "import assay.bundle.load"),
    "assay --help": ([ASSAY, "--help"], "--help"),
    "assay fit --help": ([ASSAY, "fit", "--help"], "fit --help"),
}
COUNT = "import sys\n{}\nprint('torch' in sys.modules, len(sys.modules), file=sys.stderr)"
CLI = "sys.argv = ['assay', *{words!r}]\nfrom assay.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"


def start(command: list[str]) -> Times:
    """Wall time of a process from start to end, and CPU time of it."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Times(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun)


def modules(code: str) -> tuple[bool, int]:
    """Whether torch is among the loaded modules, and how many there are."""
    code = code if "help" not in code else CLI.format(words=code.split())
    done = subprocess.run([PYTHON, "-c", COUNT.format(code)], capture_output=True, text=True, check=True)
    torch, count = done.stderr.split()[-2:]
    return torch == "True", int(count)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=15, help="starts of each command")
    chosen = arguments.parse_args()
    heading("Start-up", small=chosen.small)
    times: dict[str, list[Times]] = {name: [] for name in COMMANDS}
    for command, _ in COMMANDS.values():
        start(command)
    for _ in range(3 if chosen.small else chosen.runs):
        for name, (command, _) in COMMANDS.items():
            times[name].append(start(command))
    found = {name: median_times(each) for name, each in times.items()}
    counts = {name: modules(code) for name, (_, code) in COMMANDS.items()}
    goals = {
        'python -c "import assay"': verdict(counts['python -c "import assay"'][1] < MOST_MODULES)
        + f" (under {MOST_MODULES} modules)",
        "assay --help": verdict(found["assay --help"].wall <= MOST_TIMES * found[BASE].wall)
        + f" (at most {MOST_TIMES:g} times)",
    }
    rows = [
        (
            f"`{name}`",
            f"{1e3 * each.wall:.0f}",
            f"{1e3 * each.cpu:.0f}",
            f"{each.wall / found[BASE].wall:.1f}",
            counts[name][1],
            "yes" if counts[name][0] else "no",
            goals.get(name, ""),
        )
        for name, each in found.items()
    ]
    table(["command", "ms wall", "ms CPU", f"times `{BASE}`", "modules", "torch", "goal"], rows)


if __name__ == "__main__":
    main()
