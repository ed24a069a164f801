"""All tables of the shared data folder: assay at given budgets beside boosted trees and a plain network.

Nothing is measured unless it is named: `--budgets 60,300` runs assay, `--rivals-python PATH` the others. Every finished
fit is a line of the file `--resume`, appended at once and never repeated, so the long table is made in pieces; without
either option the table of what the file holds is printed.

assay runs as its user runs it: `assay fit TRAIN --test TEST --target COL --budget 60s`, then `assay predict` on the
same test rows, which are scored here as the others' are. Seconds are the whole process, start to end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _measure import ADULT, ONE_THREAD, add_data, heading, parser
from _tables import ALL, Data, present, scores, write_parts
from _tables_report import report

HERE = Path(__file__).resolve().parent
RIVALS = ("boosting", "LightGBM", "MLP", "CatBoost")
#: A rival that takes more CPU seconds than this with its first seed is not fitted with others.
LONG = 20.0


@dataclass(frozen=True)
class Job:
    """One fit: of assay within a budget in seconds, or of a rival without one."""

    data: Data
    system: str
    budget: int | None
    seed: int

    @property
    def key(self) -> tuple[str, str, int | None, int]:
        return self.data.name, self.system, self.budget, self.seed


def jobs(chosen: argparse.Namespace, tables: tuple[Data, ...]) -> Iterator[Job]:
    """Short work first: rivals, then the budgets in turn, each over all tables and seeds."""
    for system in RIVALS if chosen.rivals_python else ():
        for data in tables:
            yield from (Job(data, system, None, seed) for seed in chosen.seeds)
    for budget in chosen.budgets:
        for seed in chosen.seeds:
            yield from (Job(data, "assay", budget, seed) for data in tables)


def run(command: list[str], *, env: dict[str, str]) -> tuple[str, float, float, int]:
    """What a process printed, its wall seconds, CPU seconds and most memory in MB; a failure ends this script."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{err.read()[-2_000:]}")
        return out.read(), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def fit_rival(job: Job, train: Path, test: Path, chosen: argparse.Namespace) -> dict[str, object]:
    command = [str(chosen.rivals_python), str(HERE / "_rival_table.py"), job.system, str(train), str(test)]
    command += ["--target", job.data.target, "--task", job.data.task, "--seed", str(job.seed)]
    printed, wall, cpu, memory = run(command, env=os.environ | ONE_THREAD)
    found = json.loads(printed.splitlines()[-1])
    return {"scores": found["scores"], "seconds": wall, "cpu": cpu, "memory_mb": memory}


def fit_assay(job: Job, train: Path, test: Path, out: Path) -> dict[str, object]:
    assay = str(Path(sys.executable).parent / "assay")
    directory, answers = out / "run", out / "answers.csv"
    command = [assay, "fit", str(train), "--test", str(test), "--target", job.data.target, "--task", job.data.task]
    command += ["--budget", f"{job.budget}s", "--seed", str(job.seed), "--out", str(directory), "--quiet"]
    _, wall, cpu, memory = run(command, env=dict(os.environ))
    run([assay, "predict", str(directory), str(test), "-o", str(answers)], env=dict(os.environ))
    return {"scores": score_answers(job.data, test, answers), "seconds": wall, "cpu": cpu, "memory_mb": memory}


def score_answers(data: Data, test: Path, answers: Path) -> dict[str, float]:
    """Scores of the file that `assay predict` wrote for the test rows."""
    import polars as pl

    truth, given = pl.read_csv(test, infer_schema=False)[data.target], pl.read_csv(answers, infer_schema=False)
    if data.task == "regression":
        values = given["prediction"].cast(pl.Float64).to_numpy()
        return scores(data.task, (), truth.cast(pl.Float64).to_numpy(), values)
    columns = sorted(name for name in given.columns if name.startswith("probability_"))
    shares = given.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    classes = [name.removeprefix("probability_") for name in columns]
    return scores(data.task, classes, truth.to_numpy().astype(object), shares)


def measure(chosen: argparse.Namespace, tables: tuple[Data, ...], most: int | None) -> None:
    """Do what is not in the file yet; a fit that fails is a line of its own and is tried again the next time."""
    done = {key(line): line for line in read_lines(chosen.resume)}
    for job in jobs(chosen, tables):
        first = done.get((job.data.name, job.system, None, chosen.seeds[0]))
        if job.key in done or (job.budget is None and first is not None and first["cpu"] > LONG):
            continue
        with tempfile.TemporaryDirectory() as folder:
            train, test = write_parts(job.data, chosen.data, ADULT, Path(folder), most=most)
            try:
                if job.budget is None:
                    found = fit_rival(job, train, test, chosen)
                else:
                    found = fit_assay(job, train, test, Path(folder))
            except RuntimeError as error:
                print(f"{job.data.name}, {job.system}, seed {job.seed}: {error}", file=sys.stderr, flush=True)
                continue
        line = {"data": job.data.name, "system": job.system, "budget": job.budget, "seed": job.seed} | found
        done[job.key] = line
        with chosen.resume.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded(line)) + "\n")


def rounded(line: dict) -> dict:
    """Seconds to tenths and scores to nine digits, for a file that people read."""
    shown = {name: float(f"{value:.9g}") for name, value in line["scores"].items()}
    return line | {"scores": shown, "seconds": round(line["seconds"], 1), "cpu": round(line["cpu"], 1)}


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def key(line: dict) -> tuple[str, str, int | None, int]:
    return line["data"], line["system"], line["budget"], line["seed"]


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def arguments() -> argparse.Namespace:
    made = parser(__doc__)
    add_data(made)
    made.add_argument("--budgets", type=numbers, default=[], metavar="S,S", help="seconds for assay, such as 60,300")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2], metavar="N,N", help="default: 0,1,2")
    made.add_argument("--only", type=lambda text: text.split(","), metavar="NAME,NAME", help="these tables alone")
    made.add_argument("--rivals-python", type=Path, metavar="PATH", help="interpreter that has the rivals")
    made.add_argument(
        "--resume", type=Path, default=HERE / "tables_all.jsonl", metavar="FILE", help="results, a line each"
    )
    chosen = made.parse_args()
    unknown = set(chosen.only or ()) - {data.name for data in ALL}
    if unknown:
        made.error(f"no table is called {', '.join(sorted(unknown))}; there are {', '.join(d.name for d in ALL)}")
    return chosen


def main() -> None:
    chosen = arguments()
    heading("All tables of the shared data folder", small=chosen.small)
    here = present(chosen.data)
    wanted = tuple(data for data in here if not chosen.only or data.name in chosen.only)
    if len(here) == 1:
        print(f"The data sets are not in {chosen.data}: only adult, which comes with the project, can be measured.")
        print("Name their folder with --data DIR or in ASSAY_DATA.\n")
    with tempfile.TemporaryDirectory() as folder:
        if chosen.small:
            wanted = tuple(data for data in wanted if data.name == "adult")
            chosen.resume, chosen.seeds = Path(folder) / "small.jsonl", [0]
            chosen.budgets = chosen.budgets or [30]
        measure(chosen, wanted, 2_000 if chosen.small else None)
        report([data for data in ALL if not chosen.only or data.name in chosen.only], read_lines(chosen.resume))


if __name__ == "__main__":
    main()
