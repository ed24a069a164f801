"""One network in the place of an ensemble: what `ensemble.distill=true` loses, and how much smaller and quicker it is.

Every set is fitted twice within the same budget, as an ensemble and with a student that is exported in its place, and
both answer the same official test part. Pictures are given folds, for within minutes a single network of them wins
unasked, of which there is nothing to learn, and so many epochs instead of a time. The loss is paired on the test rows:
against the whole ensemble of the other run, which had all of the time, and against the ensemble that the student
learned from, which had three quarters of it. Time a row is of `Bundle.predict` on raw rows, the two bundles in turn;
size is of the whole bundle. Adult comes with the repository, the other data are found with --data, the folder of public
data sets.
"""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from _measure import ADULT, Times, add_data, heading, interleave, parser, table

from assay.evaluate.estimate import Estimate
from assay.evaluate.kept import kept_of
from assay.evaluate.versus import family
from assay.runs import Run, open_run

#: Turns that the bundles take with the clock, and seconds of a turn.
REPEATS, SECONDS = 7, 1.0
ENSEMBLE, STUDENT = "ensemble", "student"


@dataclass(frozen=True)
class Task:
    """What is fitted, with which options and in which time, and the raw test rows that are timed."""

    name: str
    budget: str
    source: Callable[[Path], Path]
    options: Callable[[Path], tuple[str, ...]]
    rows: Callable[[Path], pl.DataFrame]


def leaf(part: str) -> Callable[[Path], Path]:
    return lambda data: data / f"sequence/ucr_SwedishLeaf_{part}.parquet"


def photos(data: Path) -> Path:
    return data / "image" / "mnist_png_subset.zip"


def tested_photos(data: Path) -> pl.DataFrame:
    """The pictures of the archive's test part, as they come in."""
    with zipfile.ZipFile(photos(data)) as archive:
        names = [name for name in sorted(archive.namelist()) if name.startswith("test/") and not name.endswith("/")]
        return pl.DataFrame({"image": [archive.read(name) for name in names]})


TASKS = (
    Task("adult", "3m", lambda _: ADULT / "train.csv.gz",
         lambda _: ("--target", "income", "--test", str(ADULT / "test.csv.gz")),
         lambda _: pl.read_csv(ADULT / "test.csv.gz").drop("income")),
    Task("mnist_png_subset, three folds of five epochs", "none", photos,
         lambda _: ("ensemble.backbone=none", "ensemble.folds=3", "train.epochs=5", "model.augment=shift"),
         tested_photos),
    Task("ucr_SwedishLeaf", "2m", leaf("train"), lambda data: ("--target", "label", "--test", str(leaf("test")(data))),
         lambda data: pl.read_parquet(leaf("test")(data)).drop("label")),
)  # fmt: skip


def fit(task: Task, data: Path, seed: int, out: Path, *more: str) -> tuple[Run, float]:
    """The run of `assay fit`, and its seconds."""
    program = str(Path(sys.executable).with_name("assay"))
    command = [program, "fit", str(task.source(data)), *task.options(data), *more, "--budget", task.budget]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--seed", str(seed), "--out", str(out), "--quiet"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{task.name} failed: {done.stderr.strip()}")
    return open_run(out), time.perf_counter() - began


def loss(whole: Run, student: Run) -> Estimate:
    """What the student loses against the ensemble of the other run, paired on the test rows of both."""
    tested = [kept_of(run.directory).tested for run in (whole, student)]
    found = family(whole.report().table_schema.task, [ENSEMBLE, STUDENT], tested, 0.95, 1000)
    (pair,) = found.pairs
    gain = pair.difference
    if pair.first == ENSEMBLE:
        return gain
    return gain.model_copy(update={"value": -gain.value, "low": -gain.high, "high": -gain.low})


def score(run: Run) -> str:
    """The primary score on the test rows."""
    report = run.report()
    found = next(each.estimate.value for each in report.scores[0].scores if each.name == report.primary)
    return f"{report.primary} {found:.4f}"


def parts(run: Run) -> str:
    """What the ensemble is made of, and of how many networks in all."""
    training = run.report().training
    named = ", ".join(f"{part.name} {part.share:.0%}" for part in training.parts)
    return f"{named}; {training.members} in all"


def told(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def megabytes(run: Run) -> float:
    return sum(path.stat().st_size for path in run.bundle.directory.rglob("*") if path.is_file()) / 1e6


def timed(whole: Run, student: Run, rows: pl.DataFrame) -> dict[str, Times]:
    calls = {ENSEMBLE: lambda: whole.predict(rows), STUDENT: lambda: student.predict(rows)}
    return interleave(calls, repeats=REPEATS, seconds=SECONDS)


def measured(task: Task, data: Path, seed: int, folder: Path) -> tuple[str, ...]:
    """A row of the table; of a student that could not be trained it says why."""
    whole, first = fit(task, data, seed, folder / ENSEMBLE)
    student, second = fit(task, data, seed, folder / STUDENT, "ensemble.distill=true")
    found = student.report().distilled
    if found is None:
        verdict = next(each.reason for each in student.report().ledger if each.practice == "search.distillation")
        cells = score(whole), parts(whole), verdict, "", "", "", "", ""
        return task.name, task.budget, *cells, f"{first:.0f}, {second:.0f}"
    rows = task.rows(data)
    times = timed(whole, student, rows)
    a_row = [1e6 * times[name].wall / len(rows) for name in (ENSEMBLE, STUDENT)]
    sizes = [megabytes(run) for run in (whole, student)]
    cells = score(whole), parts(whole), f"{found.family} {score(student)}", told(loss(whole, student))
    return (
        task.name, task.budget, *cells, told(found.test), f"{len(rows):,}", f"{a_row[0]:.0f} / {a_row[1]:.0f}",
        f"{sizes[0]:.2f} / {sizes[1]:.2f}", f"{first:.0f}, {second:.0f}",
    )  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--only", nargs="*", default=[], help="names, or beginnings of names, of data sets")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    heading("A student in the place of the ensemble", small=chosen.small)
    rows = []
    for task in TASKS[:1] if chosen.small else TASKS:
        if chosen.only and not task.name.startswith(tuple(chosen.only)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(task, chosen.data, chosen.seed, Path(folder)))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["data", "budget", "ensemble", "made of", "student", "lost against it", "lost against its teacher",
            "test rows", "µs a row", "MB", "s to fit"]  # fmt: skip
    table(head, rows)


if __name__ == "__main__":
    main()
