"""A comparison on a terminal: the plan before it, its progress, and what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from assay.bench.compare import Mean, Pair, Rank, by_place
from assay.bench.grid import Cell
from assay.bench.report import BenchReport
from assay.bench.result import CellResult
from assay.bench.run import Plan, failures
from assay.report.terminal import say
from assay.report.words import count, counted, decimals, fixed, p_value, percent, plain, seconds, short

_MOST_ROWS, _MOST_PAIRS = 60, 12


def tell_plan(made: Plan, console: Console) -> None:
    """What would be run: the grid, what is done of it, and how long the rest may take."""
    grid, config = made.grid, made.config
    cells, left = len(grid.cells), len(made.left)
    sizes = [counted(len(config.data), "data set"), counted(len(config.configs), "configuration")]
    say(console, "Grid", f"{', '.join(sizes)}, {counted(len(config.seeds), 'seed')}: {counted(cells, 'run')}")
    say(console, "Data", ", ".join(each.name for each in config.data))
    for name, run in grid.configs.items():
        budget = "no limit" if run.budget is None else f"{seconds(run.budget)} a run"
        own = next(each for each in config.configs if each.name == name)
        said = [
            *([f"preset {own.preset}"] if own.preset else []),
            *([own.config] if own.config else []),
            *own.overrides,
        ]
        say(console, "Config", f"{name}: {budget}{', ' if said else ''}{', '.join(said)}")
    say(console, "Seeds", ", ".join(map(str, config.seeds)))
    say(console, "Folder", str(made.out))
    estimate = made.seconds
    at_once = f", {config.jobs} at a time" if config.jobs > 1 else ""
    if not left:
        say(console, "Time", "all runs are done")
    elif estimate is None:
        without = [name for name, run in grid.configs.items() if run.budget is None]
        say(console, "Time", f"{counted(left, 'run')} to do{at_once}; no estimate: {', '.join(without)} has no limit")
    else:
        say(console, "Time", f"{counted(left, 'run')} to do{at_once}, at most {seconds(estimate)} by their budgets")


def tell(report: BenchReport, console: Console) -> None:
    """The scores, the mean ranks, and which configurations can be told apart."""
    console.print()
    console.print(Padding(score_table(report), (0, 0, 0, 1)), soft_wrap=False)
    console.print()
    standing = report.standing
    say(console, "Verdict", standing.sentence)
    for pair in standing.pairs[:_MOST_PAIRS]:
        say(console, "Pair", pair_in_words(pair), {"better": "green", "worse": "yellow"}.get(pair.verdict, ""))
    if len(standing.pairs) > _MOST_PAIRS:
        say(console, "", f"{count(len(standing.pairs) - _MOST_PAIRS)} more pairs are in the page")
    if standing.friedman is not None:
        say(console, "Overall", f"Friedman's test that no configuration differs: {p_value(standing.friedman)}")
    if standing.left_out:
        say(console, "Left out", f"{', '.join(standing.left_out)}: a configuration has no score there", "yellow")
    for text in failures(report):
        say(console, "Failed", text, "red")
    if len(report.failed) > len(failures(report)):
        say(console, "", f"{count(len(report.failed))} runs failed in all; results.csv has the reasons")


def score_table(report: BenchReport) -> Table:
    """Mean scores over the seeds, a row a data set, the best in bold; then the mean ranks."""
    standing = report.standing
    means, ranks = by_place(standing.means), {rank.config: rank for rank in standing.ranks}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("data", overflow="fold")
    table.add_column("metric", overflow="fold")
    for config in report.configs:
        table.add_column(short(config, 24), justify="right", no_wrap=True)
    for data in report.data[:_MOST_ROWS]:
        row = [means.get((data, config)) for config in report.configs]
        label = next((mean.label for mean in row if mean is not None), "-")
        table.add_row(Text(data), Text(plain(label)), *_cells(row, len(report.seeds)))
    if len(report.data) > _MOST_ROWS:
        table.add_row(f"and {len(report.data) - _MOST_ROWS} more", "", *("" for _ in report.configs))
    table.add_section()
    shown = [rank_in_words(ranks.get(config)) for config in report.configs]
    table.add_row("mean rank", f"{counted(len(standing.data), 'data set')}", *map(plain, shown))
    return table


def _cells(row: Sequence[Mean | None], seeds: int) -> list[Text]:
    known = [mean for mean in row if mean is not None]
    places = decimals([mean.score for mean in known])
    best = min((mean.error for mean in known), default=0.0)
    return [
        Text("-") if mean is None else Text(score_in_words(mean, places, seeds), "bold" if mean.error == best else "")
        for mean in row
    ]


def score_in_words(mean: Mean, places: int, seeds: int) -> str:
    """The mean with the deviation over seeds; how many there are where some are missing."""
    text = fixed(mean.score, places)
    if mean.spread is not None:
        text += f" ± {fixed(mean.spread, places)}"
    return plain(text if mean.seeds == seeds else f"{text} ({mean.seeds} of {seeds})")


def rank_in_words(rank: Rank | None) -> str:
    """A mean rank with its interval."""
    if rank is None:
        return "-"
    interval = "" if rank.low is None or rank.high is None else f" [{fixed(rank.low, 2)}, {fixed(rank.high, 2)}]"
    return f"{fixed(rank.rank, 2)}{interval}"


def pair_in_words(pair: Pair) -> str:
    """How a pair stands: wins, the win rate with its interval, the difference, and the answer."""
    verdict = {
        "better": f"{pair.first} is better than {pair.second}",
        "worse": f"{pair.first} is worse than {pair.second}",
        "not distinguishable": f"{pair.first} and {pair.second} cannot be told apart",
    }[pair.verdict]
    ties = f", {counted(pair.ties, 'tie')}" if pair.ties else ""
    rate = f"{percent(pair.rate)} [{percent(pair.low)}, {percent(pair.high)}]"
    sign = "+" if pair.difference > 0 else "-" if pair.difference < 0 else ""
    return (
        f"{verdict}: {pair.wins} to {pair.losses}{ties}, win rate {rate}, median difference {sign}"
        f"{percent(abs(pair.difference))} of the error, {p_value(pair.p_value)}"
    )


class LineProgress:
    """A line for each run that ends, on a stream; on a terminal a line of what is running below them."""

    def __init__(self, stream: TextIO, *, quiet: bool, metric: str | None) -> None:
        self._console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
        self._quiet, self._metric = quiet, metric
        self._running: dict[str, str] = {}
        self._begun = time.monotonic()
        self._status = self._console.status("") if self._console.is_terminal and not quiet else None

    def note(self, text: str) -> None:
        """Print the note, however quiet it is."""
        self._console.print(f"note: {text}")

    def begun(self, cell: Cell) -> None:
        """Show it among what is running."""
        self.stage(cell, "load")

    def stage(self, cell: Cell, name: str) -> None:
        """Show the stage of a run."""
        self._running[cell.name] = name
        self._show()

    def ended(self, cell: Cell, result: CellResult, done: int, of: int) -> None:
        """Print the run with its score, or why it failed."""
        self._running.pop(cell.name, None)
        self._show()
        if self._quiet and result.status == "done":
            return
        score = result.score(self._metric)
        if result.status == "failed" or score is None or score.estimate.value is None:
            told = f"failed: {short(result.reason, 300)}"
        else:
            value = fixed(score.estimate.value, decimals([score.estimate.value]))
            told = f"{score.label} {value}, {seconds(result.seconds or 0.0)}"
        passed = time.monotonic() - self._begun
        self._console.print(plain(f"[{passed:6.1f} s] {done} of {of}: {cell.name}: {told}"))

    def close(self) -> None:
        """Give the terminal back."""
        if self._status is not None:
            self._status.stop()

    def _show(self) -> None:
        if self._status is not None:
            self._status.update(", ".join(f"{name} ({stage})" for name, stage in self._running.items()))
            self._status.start()
