"""`assay lr-find`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take

if TYPE_CHECKING:
    from rich.table import Table

    from assay.rates import RateTest

#: Columns of a terminal from which a sketch fits.
_LEAST_WIDTH = 60


def lr_find(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The table: a file or a glob.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Options as for fit: model.name=mlp tests one network.", show_default="none"
        ),
    ] = None,
    target: take.Target = None,
    test: take.Test = None,
    valid: take.Valid = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of each network, from 24 to 2000.")] = 120,
    lowest: Annotated[float | None, typer.Option(metavar="RATE", help="The first rate.", show_default="1e-6")] = None,
    highest: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="The last rate.", show_default="1, or 10 for sgd"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write a picture (.svg), a page (.html) or the numbers (.json).",
            show_default="none",
        ),
    ] = None,
    preset: take.Preset = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of the fit to come: it decides the plan.", show_default="the preset's"),
    ] = None,
    config: take.ConfigFile = None,
    kinds: take.As = None,
    drop: take.Drop = None,
    group: take.Group = None,
    time: take.Time = None,
    weight: take.Weight = None,
    positive: take.Positive = None,
    task: take.TaskName = None,
    seed: take.Seed = None,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Suggest a learning rate for each network that fit would train, by a range test on the training rows."""
    flags = take.as_overrides(budget=budget, seed=seed)
    given: dict[str, object] = {
        "data": data, "test": test, "valid": valid, "target": target, "kinds": take.kinds_from(kinds), "drop": drop,
        "group": group, "time": time, "weight": weight, "positive": positive, "task": task,
    }  # fmt: skip
    found = _find(preset, config, [*flags, *(overrides or ())], given, steps, lowest, highest, out, quiet=quiet)
    if as_json:
        take.print_json(found.model_dump(mode="json"))
    else:
        _print(found)
    if out is not None:
        sys.stderr.write(f"the curves are in {found.plot(out)}\n")


def _find(
    preset: str | None,
    config: Path | None,
    overrides: list[str],
    given: dict[str, object],
    steps: int,
    lowest: float | None,
    highest: float | None,
    out: Path | None,
    *,
    quiet: bool,
) -> RateTest:
    from assay.progress import progress_to

    asked = take.resolved(preset, config, overrides, given)
    hints = asked.table.hints()
    watch = progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.rates import checked_output  # torch
        from assay.rates import lr_find as find

        if out is not None:
            checked_output(out)  # before the work, not after it
        return find(
            asked.table.data, hints.target, test=asked.table.test, valid=asked.table.valid, kinds=hints.kinds,
            task=hints.task, positive=hints.positive, drop=hints.drop, group=hints.group, time=hints.time,
            weight=hints.weight, config=asked, steps=steps, low=lowest, high=highest, watch=watch,
        )  # fmt: skip
    finally:
        watch.close()


def _print(found: RateTest) -> None:
    from assay.report.rate_chart import rate, sketch

    console = take.console()
    wide = console.width if console.is_terminal and console.encoding.startswith("utf") else 0
    for curve in found.curves:
        if wide >= _LEAST_WIDTH:
            console.print(f"\n{curve.network}: loss by learning rate")
            console.print(sketch(curve, columns=min(wide - 14, 72)))
    console.print(_table(found))
    console.print()
    for curve in found.curves:
        if curve.suggestion is None:
            console.print(f"{curve.network}: the loss fell at no rate, so none is suggested ({curve.ended}).")
        elif curve.is_far:
            console.print(
                f"{curve.network}: {rate(curve.suggestion)} and the recipe's {rate(curve.used)} are more than a factor "
                "10 apart; train with both and compare."
            )
    if found.advice:
        console.print("To train with a suggestion:")
        for line in found.advice:
            console.print(f"  {line}", soft_wrap=True)


def _table(found: RateTest) -> Table:
    from rich import box
    from rich.table import Table

    from assay.report.rate_chart import rate

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for heading in ("network", "suggested (valley)", "steepest", "least loss / 10", "recipe's own", "lost at"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for curve in found.curves:
        lost = "never" if curve.diverged is None else rate(curve.diverged)
        table.add_row(
            curve.network, rate(curve.suggestion), rate(curve.steepest), rate(curve.tenth), rate(curve.used), lost
        )
    return table
