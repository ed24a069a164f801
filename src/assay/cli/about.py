"""`assay practices`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from assay.cli import arguments as take
from assay.errors import ConfigError, nearest


def practices(
    stage: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="Of one stage: read, audit, split, encode, train, evaluate or bundle.",
            show_default="all stages",
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The whole list as the page docs/practices.md.", show_default="off")
    ] = False,
    as_json: take.Json = False,
) -> None:
    """List the practices that every run is checked against, with their sources."""
    from assay.practices import PRACTICES, as_markdown
    from assay.switches import SWITCHES

    if markdown:
        if stage is not None or as_json:
            raise ConfigError("--markdown prints the whole page", "another option was given too", "Remove one of them.")
        sys.stdout.write(as_markdown())
        return
    stages = list(dict.fromkeys(practice.stage for practice in PRACTICES.values()))
    if stage is not None and stage not in stages:
        raise ConfigError("--stage must name a stage", f"{stage!r} was given", nearest(stage, stages))
    chosen = [practice for practice in PRACTICES.values() if stage in (None, practice.stage)]
    if as_json:
        take.print_json({"practices": [practice.model_dump(mode="json") for practice in chosen]})
        return
    for name in dict.fromkeys(practice.stage for practice in chosen):
        sys.stdout.write(f"{name}\n")
        for practice in chosen:
            if practice.stage == name:
                sys.stdout.write(f"  {practice.id:<28} {practice.sentence}\n{'':<31}{practice.source}\n")
                if practice.id in SWITCHES:
                    sys.stdout.write(f"{'':<31}assay ablate: {SWITCHES[practice.id].without}\n")
