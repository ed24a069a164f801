"""`assay show`: what a finished run, a bundle or a study has to say, as a whole or one of its parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.cli.ablating import mention, print_measured
from assay.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from assay.evaluate.fair.record import Fairness
    from assay.evaluate.record import Report

#: The fields of the report that the options name.
_FIELDS = {
    "--config": "config", "--ledger": "ledger", "--batch": "seen", "--leaderboard": "leaderboard",
    "--groups": "fairness",
}  # fmt: skip


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, a bundle, or a study.")],
    config: Annotated[
        bool, typer.Option("--config", help="Print the resolved configuration as YAML.", show_default="off")
    ] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Print the verdict on every practice.", show_default="off")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Show training rows as the network saw them, and where.", show_default="off"),
    ] = False,
    leaderboard: Annotated[
        bool,
        typer.Option(
            "--leaderboard", help="Print networks and baselines by score, with what they cost.", show_default="off"
        ),
    ] = False,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Print rates and gaps of the groups of sensitive columns.", show_default="off"),
    ] = False,
    ablation: Annotated[
        bool,
        typer.Option(
            "--ablation", help="Print what practices earned, where `assay ablate` measured it.", show_default="off"
        ),
    ] = False,
    as_json: take.Json = False,
) -> None:
    """Show what a run found: scores beside baselines, advice, and on request one of its parts."""
    flags = {
        "--config": config, "--ledger": ledger, "--batch": batch, "--leaderboard": leaderboard, "--groups": groups,
        "--ablation": ablation,
    }  # fmt: skip
    asked = [name for name, on in flags.items() if on]
    if len(asked) > 1:
        raise ConfigError("show prints one thing", f"{' and '.join(asked)} were given", "Leave one of them.")
    if (run / "study.json").is_file() and not asked:
        _show_study(run, as_json=as_json)
        return
    if config and not as_json:
        sys.stdout.write(_config_text(run))
        return
    report = report_of(run)
    if ablation:
        print_measured(run, as_json=as_json)
    elif as_json:
        content = report.model_dump(mode="json", by_alias=True)
        part = _FIELDS.get("".join(asked))
        take.print_json(content if part is None else {part: content[part]})
    elif asked:
        _PRINTS[asked[0]](run, report)
    else:
        _summarise(run, report)


def _show_study(path: Path, *, as_json: bool) -> None:
    from assay.cli.tuning import print_study, study_content
    from assay.tuning.directory import open_study

    study = open_study(path)
    if as_json:
        take.print_json(study_content(study))
    else:
        print_study(study)


def _summarise(run: Path, report: Report) -> None:
    from assay.report.terminal import summarise

    summarise(report, take.console())
    mention(run)


def report_of(path: Path) -> Report:
    """The report of a finished run or a bundle."""
    from assay.runs import open_run

    return open_run(path).report()


def _config_text(path: Path) -> str:
    for candidate in (path / "config.yaml", path / "model" / "config.yaml", path / "best.yaml"):
        if candidate.is_file():
            return candidate.read_text(encoding="utf-8")
    from assay.workspace import refuse_unfinished

    refuse_unfinished(path)
    came = "there is no such directory" if not path.is_dir() else "it has no config.yaml"
    raise BundleError(f"{path} must be a run directory or a bundle", came, "Check the path.")


def print_groups(found: Fairness) -> None:
    """Rates and gaps of the groups of sensitive columns, and what was not measured."""
    from assay.report.fair_terminal import gap_table, group_table
    from assay.report.fair_words import CAUTION, name_of

    console = take.console()
    for attribute in found.attributes:
        console.print()
        if attribute.groups:
            console.print(group_table(found, attribute))
        if attribute.gaps:
            console.print(gap_table(found, attribute))
        if attribute.problem:
            console.print(f"{name_of(attribute)}: {attribute.problem}")
    console.print(f"\n{CAUTION}")


def _print_groups_of(run: Path, report: Report) -> None:
    """The groups of sensitive columns, where the run has some."""
    if report.fairness is None:
        came = f"none was named when {run} was made"
        raise BundleError("a run must have sensitive columns to show their groups", came, "Fit with --sensitive.")
    print_groups(report.fairness)


def _print_batch(run: Path, report: Report) -> None:
    """The rows that can be read here, and the page that shows pictures and series too."""
    from rich.table import Table

    seen = report.seen
    if seen is None:
        raise BundleError(
            "a run must have kept a batch to show it", f"{run} has none", "Runs made with this version of assay do."
        )
    console = take.console()
    console.print(seen.caption)
    if seen.rows:
        table = Table(box=None, pad_edge=False)
        for column in seen.columns:
            table.add_column(column, overflow="fold")
        for row in seen.rows:
            table.add_row(*row)
        console.print(table)
    pages = [path for path in (run / "batch.html", run / "report.html") if path.is_file()]
    sys.stdout.write(f"{pages[0]}\n" if pages else "")


def _print_leaderboard(run: Path, report: Report) -> None:
    """Networks and baselines of a run, best first, and how they were timed."""
    from assay.report.terminal import leaderboard_table

    found = report.leaderboard
    if found is None:
        raise BundleError(
            "a run must have kept a leaderboard to show it",
            f"{run} has none",
            "Runs made with this version of assay do.",
        )
    console = take.console()
    console.print(f"{found.label}, {'higher' if found.higher_is_better else 'lower'} is better")
    console.print(leaderboard_table(report, intervals=True))
    console.print(f"us/row: {found.timed}")


def _print_ledger(run: Path, report: Report) -> None:
    """The verdict on every practice, and what it earned where that was measured."""
    from rich.table import Table

    from assay.evaluate.earned import ablation_of
    from assay.report.ablation_words import earned
    from assay.report.words import plain

    made = ablation_of(run)
    gains = {} if made is None else {effect.practice: plain(earned(effect)) for effect in made.effects}
    table = Table(box=None, pad_edge=False)
    for heading in ("verdict", "practice", "reason"):
        table.add_column(heading, overflow="fold")
    for verdict in report.ledger:
        gained = f"; earned: {gains[verdict.practice]}" if verdict.practice in gains else ""
        table.add_row(verdict.outcome.value, verdict.practice, verdict.reason + gained)
    take.console().print(table)


#: What prints the part of a run that an option asks for.
_PRINTS = {
    "--ledger": _print_ledger, "--batch": _print_batch, "--leaderboard": _print_leaderboard,
    "--groups": _print_groups_of,
}  # fmt: skip
