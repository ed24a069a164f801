"""Mistakes for the page: rows in words, beside their pictures and series."""

from __future__ import annotations

from dataclasses import dataclass

from assay.evaluate.inspection_record import Mistakes, ShownRow
from assay.evaluate.record import Report
from assay.report.charts import Series, line_chart
from assay.report.ticks import Axis
from assay.report.words import count, counted, number, percent


@dataclass(frozen=True)
class RowList:
    """Rows under a heading, with a sentence on what they are."""

    title: str
    words: str
    rows: tuple[ShownRow, ...]


def mistakes_of(report: Report) -> Mistakes | None:
    """What is known of mistakes; None where none were looked at."""
    return None if report.inspection is None else report.inspection.mistakes


def told(report: Report) -> str:
    """How many rows are wrong, and how many labels are doubted, in a sentence."""
    found = mistakes_of(report)
    if found is None:
        return ""
    if found.wrong is None:
        return (
            f"{counted(found.doubted_count, 'value')} of {counted(found.doubted_of, 'row')} "
            f"{_is(found.doubted_count)} far off what the other columns let expect."
        )
    share = percent(found.wrong / found.judged) if found.judged else "none"
    return (
        f"{count(found.wrong)} of {counted(found.judged, 'test row')} ({share}) {_is(found.wrong)} answered wrongly; "
        f"{counted(found.doubted_count, 'label')} of {counted(found.doubted_of, 'other row')} "
        f"{_is(found.doubted_count)} likely wrong."
    )


def _is(number_of: int) -> str:
    return "is" if number_of == 1 else "are"


def lists(found: Mistakes) -> tuple[RowList, ...]:
    """The lists of rows that have any."""
    numbers = found.wrong is None
    made = (
        RowList(
            "Values to check" if numbers else "Labels to check",
            "Rows whose value is far off what the model expects, first among rows that it did not learn from."
            if numbers
            else "Rows that the model is confident are of another class (confident learning), first among rows that it "
            "did not learn from; of training rows it is so although it learned the label.",
            found.doubted,
        ),
        RowList(
            "Largest errors" if numbers else "Surest errors",
            "Test rows that are furthest off." if numbers else "Test rows that are wrong with most confidence.",
            found.surest,
        ),
        RowList(
            "Hard for every model",
            "Test rows, beside those above, on which the baselines do badly as well: what tells them apart is not in "
            "the columns, or their labels are wrong.",
            found.hardest,
        ),
    )
    return tuple(each for each in made if each.rows)


def answer(row: ShownRow) -> str:
    """What was predicted, and how surely."""
    if row.missed is not None:
        return f"{row.predicted} (off by {number(row.missed, 3)})"
    return row.predicted if row.probability is None else f"{row.predicted} ({percent(row.probability)})"


def truth(row: ShownRow) -> str:
    """What was given, and what the model gives to it."""
    return row.given if row.own is None else f"{row.given} ({percent(row.own)})"


def place(row: ShownRow) -> str:
    """Where the row is found."""
    return f"{row.file or row.part} {count(row.number)}"


def sparkline(row: ShownRow) -> str:
    """The series of a row, small."""
    if row.series is None or not row.series.before:
        return ""
    steps = [float(step) for step in range(len(row.series.before))]
    line = Series("", steps, row.series.before, 0)
    return line_chart(
        f"{row.series.channel} of row {row.number}", (line,), Axis("", whole=True), Axis(""), size=(260, 110)
    )
