"""Underfit, overfit or neither, and what more rows would bring: in words and as pictures."""

from __future__ import annotations

import math

from assay.evaluate.estimate import Estimate
from assay.evaluate.inspection_record import CapacityCurve, Diagnosis, LearningCurve
from assay.evaluate.metrics import METRICS
from assay.evaluate.record import Report
from assay.report.charts import Band, Dot, Mark, Series, interval_chart, line_chart
from assay.report.pictures import Picture
from assay.report.story import label_of, level
from assay.report.ticks import Axis
from assay.report.words import count, counted, number, percent, short

_POINTS = 40


def diagnosis_of(report: Report) -> Diagnosis | None:
    """The verdict on the fit, where there is one."""
    return None if report.inspection is None else report.inspection.diagnosis


def curve_of(report: Report) -> LearningCurve | None:
    """The learning curve, where there is one."""
    return None if report.inspection is None else report.inspection.curve


def capacity_of(report: Report) -> CapacityCurve | None:
    """The capacity curve, where there is one."""
    return None if report.inspection is None else report.inspection.capacity


def has_any(report: Report) -> bool:
    """Whether there is anything to show."""
    return any(each(report) is not None for each in (diagnosis_of, curve_of, capacity_of))


def losses(report: Report) -> Picture | None:
    """The losses that the verdict rests on, one below the other."""
    found = diagnosis_of(report)
    if found is None:
        return None
    dots = [
        _dot(f"training rows ({count(found.rows)})", found.train, "network"),
        _dot("rows not learned from", found.valid, "network"),
        _dot("test rows", found.test, "network"),
    ]
    if found.rival_loss is not None:
        dots.append(Dot(f"{found.rival}, test rows", found.rival_loss))
    dots.append(Dot("no column, test rows", found.trivial))
    svg = interval_chart(
        f"Mean {found.loss} on training and new rows", dots, Axis(f"mean {found.loss}"), 560, letters=34
    )
    held = (
        "" if found.kept is None else f" Of what was gained on training rows, {percent(found.kept)} holds on test rows."
    )
    return Picture(svg, f"Circles: the model, with {level(report)} intervals; squares: the best other answers.{held}")


def _dot(label: str, estimate: Estimate, kind: str) -> Dot:
    return Dot(label, estimate.value, estimate.low, estimate.high, "network" if kind == "network" else "baseline")


def gain(report: Report) -> str:
    """What twice the rows would bring, in a sentence; nothing without a curve."""
    found = curve_of(report)
    if found is None or found.gain.value is None or found.gain.low is None or found.gain.high is None:
        return ""
    low, value, high = found.gain.low, found.gain.value, found.gain.high
    label = label_of(report, report.primary)
    higher = any(m.id == report.primary and m.higher_is_better for m in METRICS.get(report.table_schema.task, ()))
    if higher or report.table_schema.is_multilabel:
        figures = f"{_signed(100 * value)} points of {label} [{_signed(100 * low)}, {_signed(100 * high)}]"
    else:
        figures = f"{_signed(-value)} of {label} [{_signed(-high)}, {_signed(-low)}]"
    rows = report.split.train_rows
    return f"Twice the data ({counted(2 * rows, 'training row')}) would bring about {figures}."


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{number(value, 2)}"


def curve(report: Report) -> Picture | None:
    """The errors of the small networks by the rows that they learned from, and the law through them."""
    found = curve_of(report)
    if found is None:
        return None
    rows, most = [float(point.rows) for point in found.points], float(found.points[-1].rows)
    now = max(most, float(report.split.train_rows))
    xs = [rows[0] + (2.0 * now - rows[0]) * step / (_POINTS - 1) for step in range(_POINTS)]
    series = (
        Series("measured", rows, [point.error.value for point in found.points], 0),
        Series("power law", xs, [found.a * (x / most) ** -found.b + found.c for x in xs], 1),
    )
    band = Band(
        rows, [point.error.low for point in found.points], [point.error.high for point in found.points]
    )  # fmt: skip
    axes = Axis("training rows"), Axis(short(found.error, 40))
    mark = Mark(now, "all training rows")
    svg = line_chart(f"Learning curve: {found.error} by training rows", series, *axes, marks=[mark], bands=[band])
    return Picture(
        svg, f"{found.error} of {found.model} on validation rows; right of the mark, what more rows would bring."
    )  # fmt: skip


def wider(report: Report) -> str:
    """What a wider network would bring, in a sentence; nothing without a curve."""
    found = capacity_of(report)
    return "" if found is None else f"{found.words[:1].upper()}{found.words[1:]}."


def capacity(report: Report) -> Picture | None:
    """The errors of the small networks on training and on new rows by their width."""
    found = capacity_of(report)
    if found is None:
        return None
    widths = [math.log10(point.width) for point in found.points]
    series = (
        Series("rows not learned from", widths, [point.valid.value for point in found.points], 0),
        Series("training rows", widths, [point.train.value for point in found.points], 1),
    )
    bands = [
        Band(widths, [each.low for each in own], [each.high for each in own], tone)
        for tone, own in enumerate(
            ([point.valid for point in found.points], [point.train for point in found.points])
        )
    ]  # fmt: skip
    axes = Axis("width of the hidden layers", powers=True), Axis(short(found.error, 40))
    mark = Mark(math.log10(found.enough), f"width {found.enough} does")
    svg = line_chart(f"Capacity curve: {found.error} by width", series, *axes, marks=[mark], bands=bands)
    numbers = f"{count(found.points[0].parameters)} to {count(found.points[-1].parameters)}"
    return Picture(
        svg, f"{found.error} of {found.model} with {numbers} parameters, on {counted(found.rows, 'training row')} and "
        "on validation rows; areas: how far seeds differ.",
    )  # fmt: skip
