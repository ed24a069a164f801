"""`assay doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from assay.doctor import Diagnosis

_BLOCKED = 3
_VERDICTS = {"block": "blocks", "warn": "warns", "note": "note"}


def doctor(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            help="A module, or a file ending in .py, and a function of it that returns a subject.",
            show_default="none",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="SECONDS", help="At most so long.")] = 60.0,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of the short training, at most.")] = 400,
    every: Annotated[
        bool, typer.Option("--all", help="Show every rule, not only those that fired.", show_default="off")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Hold it against this rule. Repeatable.", show_default="all"),
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="List the rules with their limits and sources.", show_default="off")
    ] = False,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Hold a training of your own against the rules of good training. Exit code 3: a rule that blocks fired."""
    if rules:
        _list_rules(as_json=as_json)
        return
    if subject is None:
        raise ConfigError("a subject must be named", "there is none", "Give MODULE:FUNCTION, or --rules for the list.")
    if not quiet:
        sys.stderr.write("load\n")
    from assay.doctor.opening import opened  # torch
    from assay.doctor.visit import examine

    given = opened(subject)
    found = examine(given, seconds=seconds, steps=steps, only=tuple(only or ()), told=_Teller(quiet=quiet))
    if as_json:
        take.print_json(found.model_dump(mode="json"))
    else:
        _print(found, every=every)
    if found.blocks:
        raise typer.Exit(_BLOCKED)


class _Teller:
    """Says each stage as it begins, a line each, unless it is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._stage, self._quiet = "", quiet

    def __call__(self, rule: str) -> None:
        from assay.doctor.rules import RULES

        stage = RULES[rule].stage
        if stage != self._stage and not self._quiet:
            sys.stderr.write(f"{stage}\n")
        self._stage = stage


def _print(found: Diagnosis, *, every: bool) -> None:
    from assay.doctor.diagnosis import Outcome

    console = take.console()
    shown = [each for each in found.findings if every or each.fired]
    if shown:
        console.print(_table(found, every=every))
        console.print()
    counts = [sum(each.outcome is outcome for each in found.findings) for outcome in Outcome]
    console.print(
        f"{counts[0]} of {len(found.findings)} rules fired, {counts[1]} passed, {counts[2]} had nothing to look at; "
        f"{found.seconds:.0f} s, {found.steps} steps.",
        soft_wrap=True,
    )
    if found.blocks:
        console.print("A rule that blocks fired: mend it before you trust a training.", soft_wrap=True)


def _table(found: Diagnosis, *, every: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for heading in ("rule", "verdict", "number", "what was found, what to do"):
        table.add_column(heading, justify="right" if heading == "number" else "left")
    for each in found.findings:
        if not every and not each.fired:
            continue
        verdict = _VERDICTS[each.level] if each.fired else each.outcome
        number = "" if each.value is None else f"{each.value:.3g}"
        table.add_row(each.rule, str(verdict), number, f"{each.told}. {each.fix}".strip())
    return table


def _list_rules(*, as_json: bool) -> None:
    from assay.doctor.rules import RULES

    if as_json:
        take.print_json({"rules": [rule.model_dump(mode="json") for rule in RULES.values()]})
        return
    stage = ""
    for rule in RULES.values():
        if rule.stage != stage:
            sys.stdout.write(f"{rule.stage}\n")
        stage = rule.stage
        sign = "below" if rule.below else "above"
        sys.stdout.write(f"  {rule.id:<24} {_VERDICTS[rule.level]:<7} {rule.symptom}\n")
        sys.stdout.write(f"{'':<27}{rule.statistic} {sign} {rule.limit:g} ({rule.source})\n")
