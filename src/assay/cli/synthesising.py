"""`assay synthesise`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import ConfigError

if TYPE_CHECKING:
    from assay.synthesis import Synthetic


def synthesise(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The table: a file or a glob.")],
    target: Annotated[str, typer.Option(metavar="COL", help=take.TARGET)],
    rows: Annotated[
        int, typer.Option("--rows", "-n", metavar="N", help="Rows to make; for smote, to add to small classes.")
    ],
    method: Annotated[
        str, typer.Option(metavar="NAME", help="auto, copula, tvae, smote or borderline (SMOTE at the border).")
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="A new directory.", show_default="runs/NAME-synthetic-N"),
    ] = None,
    file: Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv or parquet.")] = "csv",
    kinds: take.As = None,
    drop: take.Drop = None,
    task: take.TaskName = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time for all: 60s, 10m or none.", show_default="none")
    ] = None,
    seed: take.Seed = None,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Make rows that look like those of a table, and test what they are good for and what they give away."""
    made = _make(
        data, target, rows, method, out, file, take.kinds_from(kinds), drop or [], task, budget, _seed(seed),
        quiet=quiet,
    )  # fmt: skip
    if as_json:
        take.print_json({"directory": str(made.directory), **made.quality.model_dump(mode="json")})
        return
    from assay.report.synth_terminal import summarise

    console = take.console()
    summarise(made.quality, console)
    console.print(f"rows:   {made.path}", soft_wrap=True)
    console.print(f"report: {made.directory / 'quality.html'}", soft_wrap=True)


def _make(
    data: str, target: str, rows: int, method: str, out: Path | None, file: str, kinds: dict[str, str],
    drop: list[str], task: str | None, budget: str | None, seed: int, *, quiet: bool,
) -> Synthetic:  # fmt: skip
    from assay.data.schema import Kind
    from assay.progress import progress_to

    watch = progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.synthesis import synthesise as make  # torch

        named = {name: Kind(kind) for name, kind in kinds.items()}
        return make(
            data, target, rows=rows, method=method, out=out, format=file, kinds=named, task=task, drop=drop,
            budget=budget, seed=seed, watch=watch,
        )  # fmt: skip
    finally:
        watch.close()


def _seed(text: str | None) -> int:
    try:
        return int(text or "0")
    except ValueError:
        raise ConfigError("a seed must be a whole number", f"{text!r} was given", "Example: --seed 1") from None
