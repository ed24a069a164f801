"""The end of a run on a terminal: what was asked, what the data is like, the scores, and how they compare."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from assay.evaluate.record import ModelScores, Report
from assay.report import carried_page, decision_page, fit_page, slices_page, story
from assay.report.board import MISSING, board
from assay.report.fair_terminal import lines_of
from assay.report.tables import label_rows, label_rows_left
from assay.report.words import fixed, plain, short

_LINE = 78  # a terminal of 80 columns less a margin
_MOST_METRICS = 3
_MOST_LABELS = 15


def summarise(report: Report, console: Console) -> None:
    """Print the summary of a run; on anything but a terminal it is plain text, 80 columns wide."""
    for label, text in (
        ("Task", story.asked(report)),
        ("Data", story.audited(report)),
        ("Model", story.network(report).description),
        ("Scores", _scores_line(report)),
    ):
        say(console, label, text)
    if looks := story.looks_of(report):
        say(console, "Seal", looks, "bold")
    console.print()
    console.print(Padding(score_table(report), (0, 0, 0, 1)), soft_wrap=False)
    left = len(_metrics(report)) - len(_chosen(report))
    if left > 0:
        console.print(Text(f" {left} more metrics are in the report.", "dim"))
    if report.labels:
        console.print()
        console.print(Padding(label_table(report), (0, 0, 0, 1)), soft_wrap=False)
        if label_rows_left(report) or len(report.labels) > _MOST_LABELS:
            console.print(Text(" Labels with fewer rows are in the report.", "dim"))
    console.print()
    several = len(report.training.parts) > 1 or report.distilled is not None
    if several and report.leaderboard is not None and console.width > _LINE:
        console.print(Padding(leaderboard_table(report), (0, 0, 0, 1)), soft_wrap=False)
        console.print()
    if report.selection is not None:
        say(console, "Chosen", story.chosen(report))
    if report.distilled is not None:
        say(console, "Student", story.student(report))
    if report.nested is not None:
        say(console, "Nested", story.nested(report))
    for made in _told(report):
        say(console, made[0], made[1], made[2])
    if decided := decision_page.summary(report):
        say(console, "Decides", decided)
    if doubted := decision_page.doubted(report):
        say(console, "Honest?", doubted, "yellow")
    if report.forecast is not None and report.forecast.coverage is not None:
        say(console, "Bands", story.bands(report))
    if (diagnosis := fit_page.diagnosis_of(report)) is not None:
        say(console, "Fit", " ".join(filter(None, (diagnosis.words, fit_page.gain(report), fit_page.wider(report)))))
    if slices_page.slices_of(report) is not None:
        say(console, "Slices", slices_page.told(report))
    for line in slices_page.named_lines(report):
        say(console, "", line)
    for label, told in lines_of(report.fairness):
        say(console, label, told)
    if report.coverage is not None:
        say(console, "Sets" if report.coverage.is_of_classes else "Interval", carried_page.line(report.coverage))
    if report.unusual is not None and report.unusual.is_above:
        say(console, "Unusual", carried_page.unusual_line(report.unusual))
    say(console, "Advice", report.advice)
    say(console, "Parity", story.parity(report))


def score_table(report: Report) -> Table:
    """The network, the baselines and the published models in a few metrics, with intervals; it fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("model", overflow="fold")
    metrics = _chosen(report)
    for metric in metrics:
        table.add_column(plain(story.label_of(report, metric)), no_wrap=True)
    for model in report.scores:
        cells = (_cell(report, model, metric) for metric in metrics)
        table.add_row(Text(short(model.name, 30)), *cells, style="bold" if model.kind == "network" else "")
    for reference in report.references:
        if reference.metric in metrics:
            value = fixed(reference.value, story.places(report, reference.metric))
            cells = (Text(plain(value) if metric == reference.metric else "") for metric in metrics)
            table.add_row(Text(f"{short(reference.model, 22)} (published)"), *cells, style="dim")
    return table


def leaderboard_table(report: Report, *, intervals: bool = False) -> Table:
    """Networks, baselines and the whole model, best first; it fits 80 columns.

    intervals: below the values; what a model costs then stands below its name.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("model", overflow="fold")
    for heading in ("validation", "corrected", "test", *(() if intervals else ("fit", "us/row", "size"))):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in board(report):
        outside = "baseline" if row.kind == "baseline" else "not saved"
        share = outside if row.share is None else "dropped" if row.share == MISSING else row.share
        name = short(row.name, 26) + ("" if row.kind == "whole model" else f", {share}")
        if intervals:
            cost = f"fit {row.fit}, {row.predict} us/row, {row.size}"
            cells = [f"{name}\n{cost}", row.validation, f"{row.corrected}\n{row.corrected_interval}"]
            cells.append(f"{row.test}\n{row.test_interval}")
        else:
            cells = [name, row.validation, row.corrected, row.test, row.fit, row.predict, row.size]
        table.add_row(*(Text(plain(cell)) for cell in cells), style="bold" if row.kind == "whole model" else "")
    return table


def label_table(report: Report) -> Table:
    """The network's scores of the labels with most test rows."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("label", overflow="fold")
    for heading in ("rows", "given", "from", "precision", "recall", "F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in label_rows(report)[:_MOST_LABELS]:
        shown = (row.rows, row.given, row.threshold, row.precision, row.recall)
        f1 = row.f1 + (f" [{row.interval}]" if row.interval else "")
        table.add_row(Text(short(row.name, 24)), *map(plain, shown), plain(f1.replace(" to ", ", ")))
    return table


def _scores_line(report: Report) -> str:
    return f"on {story.tested_on(report)}, with {story.level(report)} intervals"


def say(console: Console, label: str, text: str, style: str = "") -> None:
    """A label and a text that hangs beside it, whole: wrapped between words, never cut."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=9, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f" {label}", "dim"), Text(plain(short(text, 600)), style))
    console.print(grid)


def _metrics(report: Report) -> list[str]:
    """Every metric: the primary one, those with a published number, then the others."""
    known = list(dict.fromkeys(score.name for model in report.scores for score in model.scores))
    published = {reference.metric for reference in report.references}
    return sorted(known, key=lambda name: (name != report.primary, name not in published))


def _chosen(report: Report) -> list[str]:
    """As many metrics as fit a line, three at most."""
    names = [short(model.name, 30) for model in report.scores]
    names += [f"{short(reference.model, 22)} (published)" for reference in report.references]
    room = _LINE - max(map(len, names), default=0)
    chosen: list[str] = []
    for metric in _metrics(report)[:_MOST_METRICS]:
        cells = [_cell(report, model, metric).plain for model in report.scores]
        room -= 2 + max(map(len, [*cells, story.label_of(report, metric)]))
        if chosen and room < 0:
            break
        chosen.append(metric)
    return chosen


def _cell(report: Report, model: ModelScores, metric: str) -> Text:
    score = story.score_of(model, metric)
    if score is None or score.estimate.value is None:
        return Text("-")
    digits = story.places(report, metric)
    span = story.interval(score.estimate, digits, ", ")
    return Text(plain(fixed(score.estimate.value, digits) + (f" [{span}]" if span else "")))


def _told(report: Report) -> list[tuple[str, str, str]]:
    """The comparisons in the primary metric: label, sentence, style."""
    style = {"better": "green", "worse": "yellow", "not distinguishable": ""}
    told = [made for made in report.comparisons if made.metric == report.primary]
    if not told:
        return [("Against", "nothing: no baseline was compared in this metric", "")]
    return [
        ("Against" if at == 0 else "", story.compared(report, made), style[made.verdict])
        for at, made in enumerate(told)
    ]
