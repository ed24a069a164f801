"""Forecasts in pictures: beside what came, by steps ahead, and how often their intervals held it."""

from __future__ import annotations

from assay.evaluate.record import ForecastPicture, Report
from assay.report.charts import Band, Mark, Series, line_chart
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import count, percent, short


def forecasts(report: Report) -> tuple[Picture, ...]:
    """A few forecasts of the test part, each with what came before it and what came."""
    windowing = report.table_schema.windowing
    if report.forecast is None or windowing is None:
        return ()
    step = windowing.clock.named
    return tuple(_forecast(report, made, step) for made in report.forecast.pictures)


def _forecast(report: Report, made: ForecastPicture, step: str) -> Picture:
    before, ahead = list(range(1 - len(made.before), 1)), list(range(1, len(made.truth) + 1))
    # The lines go on from the last step known, so that nothing parts them.
    last = made.before[-1]
    reach = [0, *ahead]
    series = (
        Series("what came", [*before, *ahead], [*made.before, *made.truth], 2),
        Series("forecast", reach, [last, *made.forecast], 0),
    )
    named = f"{short(made.series, 24)}, " if made.series else ""
    found = None if report.forecast is None else report.forecast.coverage
    bands = () if found is None else (Band(reach, [last, *made.lower], [last, *made.upper]),)
    label = f"Forecast of {short(report.table_schema.target, 30)} ({named}from {made.origin}) beside what came"
    svg = line_chart(
        label, series, Axis(f"steps of {step} from {made.origin}", whole=True),
        Axis(short(report.table_schema.target, 24)), marks=(Mark(0, "forecast from here"),), bands=bands,
    )  # fmt: skip
    shade = "" if found is None else f" The shade is to hold {percent(found.asked)} of what comes."
    return Picture(svg, f"From {named}{made.origin}, {count(len(ahead))} steps ahead.{shade}")


def by_step(report: Report) -> Picture | None:
    """The mean absolute error of every model by steps ahead."""
    if report.forecast is None:
        return None
    tones = (0, 1, 3, 4)
    series = [
        Series(errors.name, range(1, len(errors.mae) + 1), errors.mae, tones[place % len(tones)])
        for place, errors in enumerate(report.forecast.by_step)
    ]
    label = "Mean absolute error by steps ahead: " + ", ".join(short(line.label, 24) for line in series)
    svg = line_chart(label, series, Axis("steps ahead", whole=True), Axis("MAE", low=0.0))
    return Picture(svg, "Mean absolute error by steps ahead; a forecast is worth its place as far as it stays below.")


def coverage(report: Report) -> Picture | None:
    """The share of steps that intervals held, by steps ahead."""
    found = None if report.forecast is None else report.forecast.coverage
    if found is None:
        return None
    places = range(1, len(found.fixed_by_step) + 1)
    series = [
        Series("as they are", places, found.fixed_by_step, 0),
        Series("asked for", places, [found.asked] * len(places), 2),
    ]
    if found.adaptive_by_step:
        series.insert(1, Series("adapted over time", places, found.adaptive_by_step, 1))
    label = "Share of test steps within their interval, by steps ahead"
    svg = line_chart(label, series, Axis("steps ahead", whole=True), Axis("share held", 0.0, 1.0))
    return Picture(svg, f"{label}. The model carries the intervals as they are.")
