"""What `assay compare` says beyond the scores: paired tests on the same test rows, in words and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli import arguments as take
from assay.errors import ConfigError

if TYPE_CHECKING:
    from assay.evaluate.record import Report
    from assay.evaluate.versus import Family

#: Groups of runs that are printed at most.
_MOST_GROUPS = 12


def tested_on(paths: Sequence[Path], reports: Sequence[Report]) -> list[str]:
    """What tells the test rows of each run from those of others.

    Windows of forecasts are alike where the same steps of the same series were forecast, from however many before.
    """
    sealed = [report.split.sealed_sha256 or f"none {place}" for place, report in enumerate(reports)]
    if reports[0].table_schema.windowing is None:
        return sealed
    from assay.evaluate.kept import kept_of

    kept = [kept_of(_run_of(path)).tested for path in paths]
    windows = {seal: each.windows for seal, each in zip(sealed, kept, strict=True) if each is not None}
    return [windows.get(seal, seal) for seal in sealed]


def families_of(paths: Sequence[Path], reports: Sequence[Report], rows: Sequence[str]) -> list[Family]:
    """The runs by the test rows that they have in common, those of each tested against each other.

    rows: of each run, see `tested_on`.
    """
    from assay.evaluate.kept import kept_of
    from assay.evaluate.versus import family, window_family

    task, is_forecast = reports[0].table_schema.task, reports[0].table_schema.windowing is not None
    sets: dict[str, list[int]] = {}
    for place, own in enumerate(rows):
        sets.setdefault(own, []).append(place)
    share = reports[0].config.get("evaluate.confidence")
    confidence = float(share) if isinstance(share, int | float) else 0.95
    found = []
    for places in sets.values():
        if len(places) > 1:
            tested = [kept_of(_run_of(paths[place])).tested for place in places]
            names = [str(paths[place]) for place in places]
            if is_forecast:
                found.append(window_family(names, tested, confidence))
            else:
                found.append(family(task, names, tested, confidence, 1000))
    return [*found, *_of_folds(paths, reports, confidence)]


def _of_folds(paths: Sequence[Path], reports: Sequence[Report], confidence: float) -> list[Family]:
    """The runs by the outer folds that they have in common, where their whole choice was repeated in such."""
    from assay.evaluate.versus import fold_family

    sets: dict[str, list[int]] = {}
    for place, report in enumerate(reports):
        if report.nested is not None and report.nested.folds:
            sets.setdefault(report.nested.folds, []).append(place)
    found = []
    for places in sets.values():
        nested = [each for place in places if (each := reports[place].nested) is not None]
        if len(places) > 1:
            found.append(fold_family([str(paths[place]) for place in places], nested, confidence))
    return found


def _run_of(path: Path) -> Path:
    """The directory of the run that a path names, or of that which a bundle lies in."""
    return path.resolve().parent if (path / "manifest.json").is_file() else path


def print_families(families: Sequence[Family], *, same_rows: bool, row: str) -> None:
    """The paired tests, the groups, and what was not paired; `row` is what one of the test rows is called."""
    from rich.table import Table

    from assay.report.ablation_words import gain, p_alone
    from assay.report.words import plain

    console = take.console()
    for each in families:
        if each.pairs:
            console.print()
            table = Table(box=None, pad_edge=False)
            for heading in ("first", "second", f"difference in {each.label}", "p", "verdict"):
                table.add_column(heading, overflow="fold")
            for pair in each.pairs:
                verdict = "cannot tell apart" if pair.verdict == "not distinguishable" else pair.verdict
                table.add_row(
                    pair.first, pair.second, plain(gain(pair.difference)), plain(p_alone(pair.p_value)), verdict
                )
            console.print(table)
            tests = ", ".join(dict.fromkeys(pair.test for pair in each.pairs))
            console.print(f"{tests}; p-values are Holm's over {len(each.pairs)} on the same {each.where}.")
            for group in each.groups[:_MOST_GROUPS]:
                if len(group) > 1:
                    console.print(f"cannot tell apart: {', '.join(group)}")
        console.print(each.sentence)
    if not same_rows:
        console.print(
            f"The runs were tested on different {row}s, so a difference may come from the {row}s alone: "
            f"those of different test {row}s are not paired."
        )


def write_page(
    path: Path, names: Sequence[Path], reports: Sequence[Report], families: Sequence[Family], *, same_rows: bool
) -> None:
    """Write the comparison as a page.

    Raises:
        ConfigError: the folder is not there, or the name does not end in .html.
    """
    checked_page(path)
    from assay.report.compare_page import draw_compare

    path.write_text(
        draw_compare([str(name) for name in names], reports, families, same_rows=same_rows), encoding="utf-8"
    )


def checked_page(path: Path) -> None:
    """Refuse a page that cannot be written, before any work is done.

    Raises:
        ConfigError: the folder is not there, or the name does not end in .html.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError("the page must end in .html", f"{path.name!r} was given", "Change the ending.")
    if not path.parent.is_dir():
        raise ConfigError("the folder of the output must exist", f"{path.parent} does not", "Make it, or name another.")
