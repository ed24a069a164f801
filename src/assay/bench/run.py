"""A comparison from its file to its tables: what is done stays done, what failed is told, and the rest goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assay.bench.config import BenchConfig, read_bench
from assay.bench.grid import CELLS, Cell, Grid, grid
from assay.bench.pool import answers
from assay.bench.report import BenchReport, report_of, write
from assay.bench.result import CellResult, read_result
from assay.errors import ConfigError
from assay.locking import LOCK, locked
from assay.workspace import partial_of

#: What marks a folder as one of a comparison.
CONFIG, LOGS = "bench.json", "logs"


class BenchWatch(Protocol):
    """An observer of a comparison."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def begun(self, cell: Cell) -> None:
        """A run has begun."""

    def stage(self, cell: Cell, name: str) -> None:
        """A stage of a run begins."""

    def ended(self, cell: Cell, result: CellResult, done: int, of: int) -> None:
        """A run has ended; `done` of the comparison's runs have ended now, before or in this process."""


@dataclass(frozen=True)
class Plan:
    """A comparison ready to run: its configuration, its grid, its folder, and what the folder holds of it."""

    name: str
    config: BenchConfig
    grid: Grid
    out: Path
    there: dict[str, CellResult]

    @property
    def left(self) -> tuple[Cell, ...]:
        """The runs to do: those that are not done, failed ones again."""
        return tuple(cell for cell in self.grid.cells if not self._is_done(cell))

    @property
    def seconds(self) -> float | None:
        """At most how long they take; None where a run has no limit."""
        return self.grid.seconds(self.left, self.config.jobs)

    def _is_done(self, cell: Cell) -> bool:
        found = self.there.get(cell.name)
        return found is not None and found.status == "done"


def plan(path: Path, *, root: Path | None = None, out: Path | None = None, jobs: int | None = None) -> Plan:
    """Read and check a comparison, and what its folder holds of it; runs nothing and writes nothing.

    Args:
        path: its YAML file.
        root: the folder that its data is in, instead of the file's own `root:`.
        out: its folder, instead of the file's own `out:`.
        jobs: runs at a time, instead of the file's own `jobs:`.

    Raises:
        ConfigError: something in the file is wrong, or the folder holds something else.
        DataError: a data file is not there.
    """
    config = read_bench(path)
    if jobs is not None:
        config = config.model_copy(update={"jobs": jobs})
    root = root if root is not None else path.parent / (config.root or ".")
    made = grid(config, path, root)
    folder = out if out is not None else Path(config.out) if config.out is not None else Path("bench") / path.stem
    return Plan(path.stem, config, made, folder, _there(folder, made))


def bench(made: Plan, watch: BenchWatch) -> BenchReport:
    """Do the runs that are not done yet, then write the tables and the page.

    Ended by Ctrl-C or killed at any moment it is to be started again: what was done is kept, and runs that were
    training go on from their last checkpoint.

    Raises:
        ConfigError: another process works in the folder.
    """
    made.out.mkdir(parents=True, exist_ok=True)
    with locked(made.out) as notes:
        for note in notes:
            watch.note(note)
        (made.out / CONFIG).write_text(made.config.to_json(), encoding="utf-8")
        found = _there(made.out, made.grid)  # another process may have worked here since the plan was made
        made = Plan(made.name, made.config, made.grid, made.out, found)
        if others := _others(made):
            watch.note(f"{made.out} holds {others} run{'' if others == 1 else 's'} that are not of this comparison now")
        for cell in made.left:
            if cell.name not in made.there:  # of a run that failed with other options
                shutil.rmtree(partial_of(cell.directory(made.out)), ignore_errors=True)
        try:
            _run(made, watch)
        except KeyboardInterrupt as error:
            done = len(made.grid.cells) - len(made.left)
            error.add_note(f"{done} of {len(made.grid.cells)} runs are done; the same command goes on with the rest.")
            raise
        results = [made.there[cell.name] for cell in made.grid.cells]
        report = report_of(made.config, made.grid, results, made.name)
        write(report, made.out)
    return report


def _run(made: Plan, watch: BenchWatch) -> None:
    """Do what is left; results are written and noted in `made.there` as they come."""
    cells = made.left
    if not cells:
        return
    asked = [CellResult(request=c.request, data=c.data, config=c.config, seed=c.seed, status="running") for c in cells]
    requests = [_request(cell, each, made) for cell, each in zip(cells, asked, strict=True)]
    done = len(made.grid.cells) - len(cells)
    happened = answers(requests, workers=made.config.jobs, logs=made.out / LOGS)
    try:
        for event in happened:
            cell = cells[event.job]
            if event.kind == "begun":
                asked[event.job].write(cell.result(made.out))
                watch.begun(cell)
            elif event.kind == "stage":
                watch.stage(cell, event.text)
            else:
                result = _ended(event.kind, event.text, asked[event.job])
                result.write(cell.result(made.out))
                made.there[cell.name] = result
                done += 1
                watch.ended(cell, result, done, len(made.grid.cells))
    finally:
        happened.close()  # ends the workers


def _ended(kind: str, text: str, asked: CellResult) -> CellResult:
    if kind == "result":
        return CellResult.model_validate_json(text)
    return asked.model_copy(update={"status": "failed", "reason": text})


def _request(cell: Cell, asked: CellResult, made: Plan) -> str:
    """What a worker is told, as a line of JSON; see `worker.Job`, which cannot be imported without torch."""
    content = {
        "asked": asked.model_dump(mode="json"),
        "run": cell.run.model_dump(mode="json", exclude_unset=True),
        "directory": str(cell.directory(made.out)),
        "metric": made.config.metric,
    }
    return json.dumps(content)


# What a folder holds --------------------------------------------------------------------------------------------------


def _there(out: Path, made: Grid) -> dict[str, CellResult]:
    """The results of these runs in the folder, by the cell's name.

    Raises:
        ConfigError: the folder is not one of a comparison, or a result there is of another request.
    """
    if not out.exists():
        return {}
    if not out.is_dir() or (any(each.name != LOCK for each in out.iterdir()) and not (out / CONFIG).is_file()):
        raise ConfigError(
            "the folder of a comparison must be new, or one of a comparison",
            f"{out} holds something else",
            "Name another one with --out.",
        )
    found = {}
    for cell in made.cells:
        result = read_result(cell.result(out))
        if result is None and cell.directory(out).exists():
            raise ConfigError(
                "what a run asked for must be known", f"{cell.result(out)} is gone", f"Remove {cell.directory(out)}."
            )
        if result is None or (result.status == "failed" and result.request != cell.request):
            continue  # what failed may be mended
        if result.request != cell.request:
            raise ConfigError(
                "a comparison must go on with what it began with",
                f"the run {cell.name!r} in {out} had other options or other data",
                f"Name another folder with --out, give the configuration another name, or remove {cell.result(out)} "
                f"and {cell.directory(out)}.",
            )
        found[cell.name] = result
    return found


def _others(made: Plan) -> int:
    """How many results in the folder are not of this grid."""
    ours = {cell.result(made.out) for cell in made.grid.cells}
    return sum(path not in ours for path in (made.out / CELLS).glob("*/*/seed-*.json"))


def failures(report: BenchReport, most: int = 5) -> Sequence[str]:
    """The failed runs in words, the first few."""
    return [f"{each.data}, {each.config}, seed {each.seed}: {each.reason}" for each in report.failed[:most]]
