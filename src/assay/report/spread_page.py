"""The two chances in a score in words: other test rows, and training anew."""

from __future__ import annotations

from dataclasses import dataclass

from assay.evaluate.record import Report
from assay.report import story
from assay.report.words import count, fixed, number, percent


@dataclass(frozen=True)
class PartRow:
    """The members of a part as the table shows them."""

    name: str
    members: str
    share: str
    lowest: str
    mean: str
    highest: str
    deviation: str
    error: str


def sentence(report: Report) -> str:
    """Which chance is the larger, and what both make of the interval; nothing where it is not known."""
    found = report.spread
    if found is None:
        return ""
    digits = story.places(report, found.metric)
    row = "rows" if report.forecast is None else "windows"
    told = (
        f"Other test {row} would move {found.label} by {number(found.test_error, 2)} (standard error), {found.differ} "
        f"by {number(found.train_error, 2)}."
    )
    if found.both.low is not None and found.both.value is not None:
        told += (
            f" Allowing for both, the {story.level(report)} interval of {fixed(found.both.value, digits)} is "
            f"{story.interval(found.both, digits)}."
        )
    if found.alone > 0.0:
        told += f" {percent(found.alone)} of the answer is of single members, of which the second is not known."
    return told


def rows(report: Report) -> tuple[PartRow, ...]:
    """The parts with two members or more."""
    found = report.spread
    if found is None:
        return ()
    digits = story.places(report, found.metric)
    return tuple(
        PartRow(
            name=part.name, members=count(part.members), share=percent(part.share), lowest=fixed(part.lowest, digits),
            mean=fixed(part.mean, digits), highest=fixed(part.highest, digits), deviation=number(part.deviation, 2),
            error=number(part.error, 2),
        )
        for part in found.parts
    )  # fmt: skip
