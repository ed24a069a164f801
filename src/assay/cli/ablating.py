"""`assay ablate`."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from assay.evaluate.earned import Ablation


def ablate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    practices: Annotated[
        str | None,
        typer.Option(
            metavar="ID,ID",
            help="Practices to measure, as `assay practices` names them.",
            show_default="all that the run applied",
        ),
    ] = None,
    budget: Annotated[str, typer.Option(metavar="TIME", help="Time allowed: 5m, 1h, none.")] = "10m",
    seeds: Annotated[
        int, typer.Option(metavar="N", help="How often folds are dealt anew; 0 for as often as there is time, up to 3.")
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The table, where it lies elsewhere now.", show_default="the run's"),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its file of test rows, likewise.", show_default="the run's")
    ] = None,
    valid: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its file of validation rows.", show_default="the run's")
    ] = None,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Measure what each practice of a run earned: it is switched off, and the score with and without it is compared.

    Training and validation rows alone are used; the test rows stay sealed. Ended early, it goes on when run again.
    """
    asked = () if practices is None else tuple(name.strip() for name in practices.split(",") if name.strip())
    if practices is not None and not asked:
        raise ConfigError("--practices names practices", f"{practices!r} names none", "Leave it out for all.")
    made = _ablate(run, asked, budget, seeds, data, test, valid, quiet=quiet)
    if as_json:
        take.print_json(made.model_dump(mode="json"))
        return
    from assay.report.ablation_terminal import print_ablation

    console = take.console()
    print_ablation(made, console, practices=bool(asked))
    console.print(f"page: {run / 'ablation.html'}", soft_wrap=True)


def mention(run: Path) -> None:
    """A line on what was measured of the practices of a run, where something was."""
    from assay.evaluate.earned import ablation_of
    from assay.report.ablation_words import headline
    from assay.report.terminal import say
    from assay.report.words import plain

    made = ablation_of(run)
    if made is not None:
        say(take.console(), "Ablation", f"{plain(headline(made))} `assay show {run} --ablation` has the table.")


def print_measured(run: Path, *, as_json: bool) -> None:
    """What was measured of the practices of a run.

    Raises:
        BundleError: nothing was.
    """
    from assay.evaluate.earned import ablation_of
    from assay.report.ablation_terminal import print_ablation

    made = ablation_of(run)
    if made is None:
        raise BundleError("a run must have an ablation to show it", f"{run} has none", f"Run `assay ablate {run}`.")
    if as_json:
        take.print_json(made.model_dump(mode="json"))
    else:
        print_ablation(made, take.console())


def _ablate(
    run: Path, practices: tuple[str, ...], budget: str, seeds: int, data: str | None, test: str | None,
    valid: str | None, *, quiet: bool,
) -> Ablation:  # fmt: skip
    from assay.progress import progress_to

    started, watch = monotonic(), progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.ablation import ablate as measure  # torch

        return measure(
            run, data, test=test, valid=valid, practices=practices, seeds=seeds, budget=budget, watch=watch,
            started=started,
        )  # fmt: skip
    finally:
        watch.close()
