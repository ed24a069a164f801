"""The steps that windows forecast as rows of a table of their own, so that conditions can be asked of them.

A row is a window and a step ahead. Its columns are the series, what is the same in all of a series, what is known for
the step, and what is counted here: `step` ahead, from 1 on; `hour`, `weekday` and `month` of its time; `level`, the
mean of the last season before the forecast, in units of the target, or of several series in deviations from the mean of
each. All of it is known when the forecast is made. Parts of the truth are no columns: what is forecast too low is high
when it comes, so that every forecast seems weak there (Lerch et al., Forecaster's Dilemma, Statistical Science 2017).

Letters: n windows, H steps ahead, L steps before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema
from assay.data.series.clock import DAY, Clock, days_of, months_of
from assay.data.series.windowing import Windowing, measured
from assay.data.steps import padded

if TYPE_CHECKING:
    from assay.evaluate.forecast.judged import Judged

Floats = NDArray[np.float64]

STEP, HOUR, WEEKDAY, MONTH, LEVEL = "step", "hour", "weekday", "month", "level"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOUR = 3600.0


def cell_schema(schema: Schema) -> Schema:
    """The columns of the steps; those of the table come before the counted ones where names are the same."""
    windowing = schema.windowing
    assert windowing is not None
    columns = [schema[schema.target]]
    if windowing.case is not None:
        columns.append(schema[windowing.case].model_copy(update={"kind": Kind.CATEGORY}))
    columns += [schema[name] for name in windowing.kept]
    columns += [
        _column(channel.name, Kind.BOOLEAN if channel.is_boolean else Kind.NUMBER, "it is known ahead")
        for channel in windowing.known
    ]
    taken = {column.name for column in columns}
    counted = [
        _column(name, Kind.CATEGORY if name == WEEKDAY else Kind.NUMBER, "it is counted")
        for name in (STEP, *_parts_of_time(windowing.clock), LEVEL)
        if name not in taken
    ]
    return Schema(
        columns=(*columns, *counted), target=schema.target, task=schema.task, task_reason="the steps of a forecast"
    )  # fmt: skip


def _column(name: str, kind: Kind, why: str) -> Column:
    return Column(name=name, kind=kind, dtype="", reason=f"{kind.value} because {why}")


def _parts_of_time(clock: Clock) -> tuple[str, ...]:
    """The parts of a time that differ from step to step."""
    if not clock.is_dated:
        return ()
    if clock.unit == "months":
        return (MONTH,)
    has_hours = clock.unit == "seconds" and clock.every < DAY
    has_days = clock.unit == "weekdays" or clock.every <= DAY
    return (*((HOUR,) if has_hours else ()), *((WEEKDAY,) if has_days else ()), MONTH)


def cells_of(rows: Rows, judged: Judged, schema: Schema) -> Rows:
    """The steps of some windows, window by window, as `cell_schema` has them."""
    windowing, horizon = schema.windowing, judged.truth.shape[1]
    assert windowing is not None
    asked = cell_schema(schema)
    window = np.repeat(np.arange(len(rows)), horizon)
    counted = _counted(judged, windowing)
    known = {channel.name: channel for channel in windowing.known}
    made: dict[str, pl.Series] = {}
    for column in asked.columns:
        if column.name == schema.target:
            continue
        if column.name in known:
            made[column.name] = _ahead(rows.column(column.name), windowing, is_boolean=known[column.name].is_boolean)
        elif column.name == windowing.case or column.name in windowing.kept:
            made[column.name] = rows.column(column.name).gather(window)
        else:
            made[column.name] = counted[column.name]
    return Rows("test", pl.DataFrame(made), judged.truth.ravel(), None, window)


def _ahead(cells: pl.Series, windowing: Windowing, *, is_boolean: bool) -> pl.Series:
    """What is known for each step ahead, (n * H,)."""
    steps = padded(cells, windowing.length + windowing.horizon)[0][:, windowing.length :].ravel()
    values = pl.Series(steps.astype(np.float64)).fill_nan(None)
    return values.cast(pl.Boolean) if is_boolean else values


def _counted(judged: Judged, windowing: Windowing) -> dict[str, pl.Series]:
    """Steps ahead, parts of the time and levels, each (n * H,)."""
    count, horizon = judged.truth.shape
    ahead = np.arange(1, horizon + 1)
    moments = windowing.clock.moments((judged.steps[:, None] + ahead).ravel())
    made = {
        STEP: pl.Series(np.tile(ahead, count).astype(np.float64)),
        LEVEL: pl.Series(np.repeat(levels(judged, windowing), horizon)).fill_nan(None),
    }
    if windowing.clock.is_dated:
        days = days_of(moments).astype(np.int64)
        made[HOUR] = pl.Series(np.floor(moments % DAY / _HOUR))
        made[WEEKDAY] = pl.Series(np.array(WEEKDAYS)[(days + 3) % 7])  # the first of January 1970 was a Thursday
        made[MONTH] = pl.Series(months_of(moments) % 12 + 1)
    return made


def levels(judged: Judged, windowing: Windowing) -> Floats:
    """The mean of the last season before each forecast, (n,), NaN where all of it is missing."""
    last: Floats = judged.history[:, -min(windowing.season, windowing.length) :]
    known = np.isfinite(last)
    count = known.sum(axis=1)
    found = np.divide(np.where(known, last, 0.0).sum(axis=1), count, out=np.full(len(last), np.nan), where=count > 0)
    if windowing.case is None:
        return np.asarray(found, np.float64)
    scales = [
        windowing.scale_of(name) or measured(history, windowing.season)
        for name, history in zip(judged.names, judged.history, strict=True)
    ]
    means, deviations = (np.array([getattr(scale, part) for scale in scales]) for part in ("mean", "deviation"))
    return np.asarray((found - means) / deviations, np.float64)
