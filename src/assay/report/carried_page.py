"""Prediction sets, intervals and unusual rows in words and pictures: what they held of the test rows."""

from __future__ import annotations

from assay.data.regions import CALLED
from assay.evaluate.carried.record import CoverageCell, CoverageReport, Family, UnusualReport
from assay.evaluate.record import Report
from assay.report.charts import Dot, Part, Series, bar_chart, interval_chart, line_chart
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import count, counted, number, percent, short

#: Sets larger than this are drawn together.
_LARGEST = 10
_TITLES: dict[Family, str] = {
    "group": "by group", "class": "by class", "size": "by size of the set", "prediction": "by predicted value",
}  # fmt: skip


def line(found: CoverageReport, row: str = "test row") -> str:
    """Coverage in one line: what was asked for, what was held, what chance allows, and how large that is."""
    overall = found.overall
    what = "sets" if found.is_of_classes else "intervals"
    verdict = ", fewer than chance allows" if overall.is_below else ""
    kind = CALLED[found.kind]
    return (
        f"{kind[0].upper()}{kind[1:]} {what} that are to hold {percent(found.asked)} held {percent(overall.held)} of "
        f"{counted(overall.rows, row)}{verdict} (by chance {percent(overall.low)} to {percent(overall.high)}); "
        f"{_size(found)}"
    )


def _size(found: CoverageReport) -> str:
    if found.is_of_classes:
        return f"{number(found.overall.size, 3)} classes on average, {percent(found.alone or 0.0)} have one"
    return f"mean width {number(found.overall.size)}"


def more_than_asked(found: CoverageReport) -> str:
    """Why more was held than was asked for, where that is so."""
    if found.overall.held <= found.overall.high:
        return ""
    if found.alone is not None and found.alone > found.asked:
        return (
            "More was held than was asked for, as the likeliest class alone is right more often: a higher "
            "evaluate.coverage would say which rows need a second class."
        )
    return "More was held than was asked for: the calibration rows were harder than the test rows."


def tried(found: CoverageReport) -> str:
    """The kinds that were compared on halves of the calibration rows."""
    what = "classes" if found.is_of_classes else "wide"
    told = [f"{CALLED[each.kind]} {number(each.size, 3)} {what}, {percent(each.covered)} held" for each in found.tried]
    return "; ".join(told)


def calibrated(found: CoverageReport) -> str:
    """On which rows, and by which column."""
    by = "" if found.column is None else f", with a limit of its own for each group of {short(found.column, 40)}"
    return f"Calibrated on {count(found.calibration)} {found.source}{by}"


def sizes(report: Report) -> Picture | None:
    """How many sets have one class, two, and so on; or the widths of intervals."""
    found = report.coverage
    if found is None:
        return None
    if found.is_of_classes:
        return _set_sizes(found)
    levels = [5.0 * place for place in range(len(found.widths))]
    svg = line_chart(
        "Widths of the intervals of test rows, from the narrowest to the widest",
        [Series("width", levels, found.widths, 0)], Axis("% of test rows that are no wider", 0.0, 100.0),
        Axis("width", low=0.0),
    )  # fmt: skip
    return Picture(svg, "Widths of the intervals: a flat line says that every row is taken to be as hard.")


def _set_sizes(found: CoverageReport) -> Picture:
    total = max(sum(found.sizes), 1)
    shown = list(enumerate(found.sizes))[1:]
    parts = [
        Part("1 class" if size == 1 else f"{size} classes", many, f"{count(many)} ({percent(many / total)})")
        for size, many in shown
        if size <= _LARGEST
    ]
    more = sum(many for size, many in shown if size > _LARGEST)
    if more:
        parts.append(Part(f"more than {_LARGEST}", more, f"{count(more)} ({percent(more / total)})"))
    label = "Test rows by classes in their set: " + ", ".join(f"{part.label} {part.text}" for part in parts)
    return Picture(bar_chart(label, parts), "Test rows by the number of classes in their set.")


def coverage(report: Report) -> tuple[Picture, ...]:
    """The share held by group, class and size beside what chance allows."""
    found = report.coverage
    if found is None:
        return ()
    families = [family for family in _TITLES if any(cell.family == family for cell in found.cells)]
    return tuple(_held(found, family) for family in families)


def _held(found: CoverageReport, family: Family) -> Picture:
    cells = [found.overall, *(cell for cell in found.cells if cell.family == family)]
    dots = [Dot(_name(cell), cell.held, cell.low, cell.high, "network") for cell in cells]
    title = f"Share of test rows whose truth was held, {_TITLES[family]}"
    svg = interval_chart(title, dots, Axis(f"share held; {percent(found.asked)} asked for"))
    short_ones = [cell.name for cell in cells if cell.is_below]
    flagged = f" Fewer than chance allows: {short(', '.join(short_ones), 120)} (marked !)." if short_ones else ""
    promised = _promised(found, family)
    return Picture(
        svg, f"{title}: circles, with bars where {percent(found.confidence)} of them lie by chance.{flagged}{promised}"
    )


def _name(cell: CoverageCell) -> str:
    return f"! {cell.name}" if cell.is_below else cell.name


def _promised(found: CoverageReport, family: Family) -> str:
    """Whether the rate was promised for these parts too."""
    is_own = found.column is not None and (
        family == "group" or (family == "class" and all(cell.family != "group" for cell in found.cells))
    )
    return "" if is_own else " The rate is promised for all rows together, not for these parts of them."


def unusual_line(found: UnusualReport) -> str:
    """How many test rows are unlike the training rows."""
    told = (
        f"{percent(found.flagged)} of {counted(found.rows, 'test row')} are flagged as unlike the training rows "
        f"({percent(found.flagged_low)} to {percent(found.flagged_high)}); of usual rows {percent(found.rate)} would "
        f"be, by chance {percent(found.low)} to {percent(found.high)} of these"
    )
    return f"{told}. The test rows differ from the training rows." if found.is_above else f"{told}."


def unusual_columns(found: UnusualReport) -> str:
    """Where flagged rows differ most."""
    return ", ".join(f"{short(name, 40)} ({counted(many, 'row')})" for name, many in found.columns)


def distances(found: UnusualReport) -> Picture:
    """How far test rows are from the training rows, in units of the limit."""
    levels = [5.0 * place for place in range(len(found.distances))]
    svg = line_chart(
        "Distances of test rows from the training rows, in units of the largest usual one",
        [Series("distance", levels, found.distances, 0), Series("limit", levels, [1.0] * len(levels), 2)],
        Axis("% of test rows that are no further", 0.0, 100.0), Axis("distance", low=0.0),
    )  # fmt: skip
    return Picture(svg, "Distances of test rows from the training rows; above 1 a row is flagged.")
