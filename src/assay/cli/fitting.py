"""`assay fit`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from assay.cli import arguments as take
from assay.cli.app import INTERRUPTED
from assay.errors import ConfigError

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter

    from assay.compose.run_config import RunConfig, TableConfig
    from assay.runs import Run


class FitCommand(TyperCommand):
    """`fit`, whose help ends with the presets and every `key=value` option; they are read only when it is printed."""

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the presets and the options after the arguments."""
        from assay.compose.hydra_io import preset_prices
        from assay.compose.run_config import options

        with formatter.section("Presets"):
            formatter.write_dl(list(preset_prices().items()))
        with formatter.section("Options as KEY=VALUE, with their defaults"):
            for option in options():
                formatter.write(f"  {option.key}={option.shown_default}\n")
                with formatter.indentation(), formatter.indentation():
                    formatter.write_text(f"{option.description} ({option.allowed_in_words})")


#: Verbs whose help needs a command class of its own.
COMMANDS = {"fit": FitCommand}


def fit(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="The table: a file or a glob.", show_default="from --config"),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Options listed at the end.", show_default="none"),
    ] = None,
    target: take.Target = None,
    test: take.Test = None,
    valid: take.Valid = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="60s, 10m, 1.5h or none.", show_default="the preset's")
    ] = None,
    preset: take.Preset = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="A new folder for the run.", show_default="under runs/"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Go on with a run that was killed or ended. It knows what it was asked for; give nothing else.",
            show_default="a new run",
        ),
    ] = None,
    config: take.ConfigFile = None,
    kinds: take.As = None,
    drop: take.Drop = None,
    group: take.Group = None,
    time: take.Time = None,
    horizon: take.Horizon = None,
    weight: take.Weight = None,
    sensitive: take.Sensitive = None,
    slices: take.Slice = None,
    positive: take.Positive = None,
    task: take.TaskName = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Published numbers to show beside the scores: YAML or JSON, a list of {model, metric, value, source}.",
            show_default="none",
        ),
    ] = None,
    strict: take.Strict = False,
    seed: take.Seed = None,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Audit a table, train a network on it, test it, and save a portable model.

    Precedence: defaults < preset < --config < options and KEY=VALUE on the command line.
    """
    started = monotonic()  # loading the training packages is part of the time that --budget allows
    data, extra = take.data_or_override(data)
    flags = take.as_overrides(budget=budget, seed=seed, strict=strict, horizon=horizon)
    given: dict[str, object] = {
        "data": data, "test": test, "valid": valid, "target": target, "kinds": take.kinds_from(kinds), "drop": drop,
        "group": group, "time": time, "weight": weight, "sensitive": sensitive, "positive": positive, "task": task,
    }  # fmt: skip
    if resume is not None:
        options = {
            "preset": preset,
            "out": out,
            "config": config,
            "reference": reference,
            "budget": budget,
            "seed": seed,
            "horizon": horizon,
            "slice": slices,
        }
        take.refuse_beside_resume(
            {**given, **options, "strict": strict, "KEY=VALUE": [*extra, *(overrides or ())]}, "a run"
        )
        run = _resume(resume, quiet=quiet, started=started)
    else:
        resolved = take.resolved(preset, config, [*flags, *extra, *(overrides or ())], given)
        run = _fit(resolved, slices or (), out, reference, quiet=quiet, started=started)
    _report(run, as_json=as_json)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)


def _fit(
    config: RunConfig, slices: Sequence[str], out: Path | None, reference: Path | None, *, quiet: bool, started: float
) -> Run:
    from assay.compose.references import read_references
    from assay.progress import progress_to

    data, target = _asked(config.table)
    references = read_references(reference) if reference is not None else ()
    hints = config.table.hints()
    watch = progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.run import fit as fit_run  # torch

        return fit_run(
            data,
            target,
            test=config.table.test,
            valid=config.table.valid,
            out=out,
            kinds=hints.kinds,
            drop=hints.drop,
            group=hints.group,
            time=hints.time,
            weight=hints.weight,
            sensitive=hints.sensitive,
            slices=slices,
            positive=hints.positive,
            task=hints.task,
            config=config,
            references=references,
            watch=watch,
            started=started,
        )
    finally:
        watch.close()


def _resume(path: Path, *, quiet: bool, started: float) -> Run:
    from assay.progress import progress_to

    watch = progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.run import fit as fit_run  # torch

        return fit_run(resume=path, watch=watch, started=started)
    finally:
        watch.close()


def _asked(table: TableConfig) -> tuple[str, str]:
    if table.data is None:
        raise ConfigError(
            "the table to learn from must be named",
            "no DATA was given",
            "Name a file: assay fit data.csv --target COL, or `data:` in the table section of the config file.",
        )
    return table.data, table.hints().target


def _report(run: Run, *, as_json: bool) -> None:
    report = run.report()
    if run.interrupted:
        sys.stderr.write("note: training was interrupted; the best model so far was tested and saved.\n")
    if as_json:
        take.print_json({"directory": str(run.directory), **report.model_dump(mode="json", by_alias=True)})
        return
    from assay.report.terminal import summarise

    console = take.console()
    summarise(report, console)
    console.print(f"report: {run.directory / 'report.html'}", soft_wrap=True)
    console.print(f"model:  {run.directory / 'model'}", soft_wrap=True)
