"""`assay mistakes`: the rows that a run got wrong and the labels to check, printed or written for relabelling."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from assay.evaluate.inspection_record import ListedRow, Mistakes

_SHOWN = 20
_WRITABLE = (".csv", ".parquet")


def mistakes(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory or a bundle.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write all of them to a .csv or .parquet file.",
            show_default="print the first",
        ),
    ] = None,
    as_json: take.Json = False,
) -> None:
    """List labels that are likely wrong, the surest first, and test rows that were answered wrongly.

    Rows are named by their number in the file they came from, counted from 1; their cells are in the report alone.
    """  # fmt: skip
    if out is not None:
        _check_output(Path(out))
    from assay.runs import open_run

    report = open_run(run).report()
    found = None if report.inspection is None else report.inspection.mistakes
    if found is None:
        raise BundleError(
            "a run must have kept its mistakes to list them",
            f"{run} has none",
            "Runs made with this version of assay do, but for forecasts.",
        )
    if out is not None:
        _write(found, Path(out))
    elif as_json:
        take.print_json({"listed_of": found.listed_of, "rows": [row.model_dump(mode="json") for row in found.listed]})
    else:
        _print(found, run)


def _check_output(path: Path) -> None:
    """Refuse an output that cannot be written, before any work is done."""
    if path.suffix.lower() not in _WRITABLE:
        raise ConfigError(
            "the output must end in .csv or .parquet", f"{path.name!r} was given", "Change the ending of --out FILE."
        )
    if not path.parent.is_dir():
        raise ConfigError("the folder of the output must exist", f"{path.parent} does not", "Make it, or name another.")


def _write(found: Mistakes, path: Path) -> None:
    import polars as pl

    from assay.data.reading.read import write_frame

    columns = {
        "row": pl.Int64, "part": pl.String, "file": pl.String, "given": pl.String, "predicted": pl.String,
        "probability": pl.Float64, "reason": pl.String,
    }  # fmt: skip
    rows = [(r.number, r.part, r.file, r.given, r.predicted, r.probability, r.reason) for r in found.listed]
    write_frame(pl.DataFrame(rows, schema=columns, orient="row"), path)
    left = found.listed_of - len(rows)
    more = f"; {left:,} more are not kept" if left > 0 else ""
    sys.stderr.write(f"{len(rows):,} rows are written to {path}{more}\n")


def _print(found: Mistakes, run: Path) -> None:
    console = take.console()
    if found.wrong is not None:
        console.print(f"{found.wrong:,} of {found.judged:,} test rows are answered wrongly.")
    noun = "values are far off" if found.wrong is None else "labels are likely wrong"
    console.print(f"{found.doubted_count:,} {noun}, of {found.doubted_of:,} rows of the other parts.")
    if found.listed:
        console.print(_table(found.listed[:_SHOWN]))
    if len(found.listed) > _SHOWN:
        console.print(f"{found.listed_of - _SHOWN:,} more: assay mistakes {run} --out FILE.csv", soft_wrap=True)
    if (page := run / "report.html").is_file():
        console.print(f"The rows themselves: {page}#mistakes", soft_wrap=True)


def _table(rows: tuple[ListedRow, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("row", "part", "given", "predicted", "probability", "reason"):
        right = heading in ("row", "probability")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        sure = "" if row.probability is None else f"{row.probability:.3f}"
        part = f"{row.part} ({row.file})" if row.file else row.part
        table.add_row(str(row.number), part, Text(row.given), Text(row.predicted), sure, row.reason)
    return table
