"""`assay bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import GateError

if TYPE_CHECKING:
    from assay.bench.report import BenchReport
    from assay.bench.run import Plan


def bench(
    file: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The comparison in YAML: data, configs, seeds; see the guide.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder that the data files are in.", show_default="root: in CONFIG"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder of the results; what is done there stays done.",
            show_default="out: in CONFIG, or bench/<its name>",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            metavar="N",
            help="Runs at a time, each in a process with its share of the cores.",
            show_default="jobs: in CONFIG, or 1",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the grid and the time it may take; run nothing.", show_default="off"),
    ] = False,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Compare configurations over data sets and seeds: runs what is not done, then says what can be told apart.

    Start it again to go on; exit code 3 when a run failed.
    """
    from assay.bench.run import plan

    made = plan(file, root=data, out=out, jobs=jobs)
    if dry_run:
        _tell_plan(made, as_json=as_json)
        return
    report = _run(made, quiet=quiet)
    if as_json:
        take.print_json({"directory": str(made.out), **report.model_dump(mode="json")})
    else:
        from assay.bench.report import PAGE, PARQUET
        from assay.bench.terminal import tell

        console = take.console()
        tell(report, console)
        console.print(f"page:   {made.out / PAGE}", soft_wrap=True)
        console.print(f"table:  {made.out / PARQUET} (and .csv, .json)", soft_wrap=True)
    if report.failed:
        raise GateError(
            "every run of a comparison must end with a score",
            f"{len(report.failed)} of {report.planned} failed",
            "Mend what the reasons say, then start it again: what is done stays done.",
        )


def _run(made: Plan, *, quiet: bool) -> BenchReport:
    from assay.bench.run import bench as run
    from assay.bench.terminal import LineProgress

    watch = LineProgress(sys.stderr, quiet=quiet, metric=made.config.metric)
    try:
        return run(made, watch)
    finally:
        watch.close()


def _tell_plan(made: Plan, *, as_json: bool) -> None:
    if as_json:
        take.print_json(
            {
                "directory": str(made.out),
                "runs": [
                    {"data": cell.data, "config": cell.config, "seed": cell.seed, "budget": cell.run.budget}
                    for cell in made.grid.cells
                ],
                "left": len(made.left),
                "seconds": made.seconds,
            }
        )
        return
    from assay.bench.terminal import tell_plan

    tell_plan(made, take.console())
