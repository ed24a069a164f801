"""From long tables to the windows of a forecast: training, validation and test windows, and the schema of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.columns import as_category
from assay.data.config import DataConfig
from assay.data.findings import Checked, count_of
from assay.data.forecasts.checks import check_series
from assay.data.forecasts.cut import (
    MOST_JUDGED,
    Cut,
    check_enough,
    cut_windows,
    limits_of,
    origins_of,
    planned,
    thinned,
    with_targets,
)
from assay.data.forecasts.rhythm import find_clock
from assay.data.kinds import distinct_counts, infer_column
from assay.data.reading.read import Table
from assay.data.schema import Column, Hints, Kind, Schema, Task
from assay.data.series.clock import Clock
from assay.data.series.windowing import Channel, Panel, Windowing, panel_of
from assay.data.stored import Stored
from assay.errors import ConfigError, DataError, nearest
from assay.ledger import Ledger, Outcome


@dataclass(frozen=True)
class WindowTables:
    """The windows of each part (None where there is no such part), their schema, and what was found about the series.

    files: names of the files that validation and test windows are of, where they have their own.
    """

    data: Table
    valid: Table
    test: Table | None
    schema: Schema
    cut: Cut
    checked: tuple[Checked, ...]
    files: dict[str, str]


def read_windows(
    raw: Table, valid: Table | None, test: Table | None, hints: Hints, config: DataConfig, ledger: Ledger
) -> WindowTables:
    """The windows of a table, and of files that go on where it ends.

    Raises:
        ConfigError: an option or hint means nothing to a forecast.
        DataError: the table cannot be forecast.
    """
    _check_hints(hints, config)
    frame, part = _joined(raw, valid, test)
    _check_names(frame, hints, config)
    codes = _codes(frame, config.case)
    every = config.every if isinstance(config.every, float) else None
    times = None if hints.time is None else frame[hints.time]
    clock = find_clock(times, codes, hints.kinds.get(hints.time or ""), every)
    bare, left_out = _columns(frame, hints, config, clock, codes)
    panel = panel_of(frame, bare)
    limits = limits_of(panel, part, config)
    panel, told = planned(panel, limits, config)
    windowing = panel.windowing
    tables, cut = cut_windows(frame, panel, limits)
    sources = [(table or raw).source for table in (raw, valid, test)]
    schema = _schema(frame, tables[0], hints, windowing)
    made = [None if one is None else Table(one, source) for one, source in zip(tables, sources, strict=True)]
    assert made[0] is not None
    assert made[1] is not None
    checked = check_series(panel, limits)
    files = {part: table.source.name for part, table in (("valid", valid), ("test", test)) if table is not None}
    _record(ledger, panel, windowing, told, cut, left_out, frame.height)
    return WindowTables(made[0], made[1], made[2], schema, cut, checked, files)


def all_windows(raw: Table, schema: Schema) -> Table:
    """Every window of a raw table whose steps to forecast are all known, with these; at most as many as a part has.

    Raises:
        DataError: there is none, or the table is not fit.
    """
    windowing = schema.windowing
    assert windowing is not None
    frame, _ = _joined(raw, None, None)
    panel = panel_of(frame, windowing)
    begun, ended = panel.begun(), panel.ended() + 1
    limits = np.stack([begun, begun, begun, np.maximum(ended, begun)], axis=1)
    origins, _ = thinned(panel, origins_of(panel, limits, 2), MOST_JUDGED)
    made, aims = with_targets(frame, panel, origins)
    check_enough(panel, limits, 2, len(origins), len(aims))
    return Table(made, raw.source)


# What the user said ---------------------------------------------------------------------------------------------------


def _check_hints(hints: Hints, config: DataConfig) -> None:
    said = {"group": hints.group, "weight": hints.weight, "positive": hints.positive, "sensitive": hints.sensitive}
    meant = [name for name, value in said.items() if value]
    if meant:
        came = f"{', '.join(f'--{name}' for name in meant)} {'is' if len(meant) == 1 else 'are'} given"
        do = "Leave that out; data.case=COL names the series of a row."
        raise ConfigError("a forecast takes a target, a time and a series, and no other parts", came, do)
    if config.every != "auto" and (hints.time is None or config.every == "rows"):
        came = f"data.every={config.every} is given {'without' if hints.time is None else 'beside'} --time"
        do = "Name the column of times with --time and give data.every as a number, or leave out both to take rows."
        raise ConfigError("steps of a forecast are counted by a column of times, or are rows", came, do)
    if hints.task not in (None, Task.FORECASTING):
        came = f"--task {hints.task.value} and a horizon of {config.horizon} are given"
        raise ConfigError("with a horizon the task is forecasting", came, "Leave one of them out.")


def _check_names(frame: pl.DataFrame, hints: Hints, config: DataConfig) -> None:
    parts = {"target": hints.target, "time": hints.time, "case": config.case}
    said = [(part, name) for part, name in parts.items() if name is not None]
    said += [("known", name) for name in config.known] + [("drop", name) for name in hints.drop]
    taken: dict[str, str] = {}
    for part, name in said:
        if name not in frame.columns:
            raise DataError(f"the {part} column must be in the table", f"{name!r} is not", nearest(name, frame.columns))
        if taken.setdefault(name, part) != part:
            came = f"{name!r} is given as {taken[name]} and as {part}"
            raise DataError("a column must have one part", came, "Give each of them a column of its own.")


def _joined(raw: Table, valid: Table | None, test: Table | None) -> tuple[pl.DataFrame, np.ndarray]:
    """The rows of all files, and the file of each row: 0, 1 or 2, int64 (n,)."""
    frames: list[pl.DataFrame] = []
    parts = []
    for place, table in enumerate((raw, valid, test)):
        if table is None:
            continue
        if isinstance(table.frame, Stored):
            came = f"its {table.frame.height:,} rows lie in files"
            raise DataError("series must fit into the memory allowed", came, "Raise data.memory.")
        lacking = [name for name in raw.frame.columns if name not in table.frame.columns]
        if lacking:
            came = f"{table.source.name!r} lacks {', '.join(map(repr, lacking[:5]))}"
            raise DataError("all files must have the columns of the first", came, "Rename or add them.")
        frames.append(table.frame.select(raw.frame.columns))
        parts.append(np.full(table.frame.height, place))
    if len(frames) > 1 and len({tuple(each.dtypes) for each in frames}) > 1:
        same = [len({each.dtypes[at] for each in frames}) == 1 for at in range(len(raw.frame.columns))]
        numeric = [all(each.dtypes[at].is_numeric() for each in frames) for at in range(len(same))]
        cast = {
            name: pl.Float64 if is_number else pl.String
            for name, alike, is_number in zip(raw.frame.columns, same, numeric, strict=True)
            if not alike
        }
        frames = [each.cast(dict(cast.items())) for each in frames]
    return pl.concat(frames), np.concatenate(parts)


def _codes(frame: pl.DataFrame, case: str | None) -> np.ndarray:
    """The series of each row; which rows have none is told later."""
    if case is None:
        return np.zeros(frame.height, np.int64)
    return as_category(frame[case]).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def _columns(
    frame: pl.DataFrame, hints: Hints, config: DataConfig, clock: Clock, codes: np.ndarray
) -> tuple[Windowing, list[str]]:
    """The windowing as far as columns tell it, and the columns that are left out."""
    distinct = distinct_counts(frame)
    target = _target(frame[hints.target], distinct[hints.target])
    past, known, kept, left_out = [], [], [], []
    for name in frame.columns:
        if name in (hints.target, hints.time, config.case, *hints.drop):
            continue
        column = infer_column(frame[name], distinct[name], hints.kinds.get(name), None)
        varies = column.kind is not Kind.CONSTANT and _varies(frame[name], codes)
        is_channel = column.kind in (Kind.NUMBER, Kind.BOOLEAN)
        channel = Channel(name=name, format=column.format, is_boolean=column.kind is Kind.BOOLEAN)
        if name in config.known:
            if not is_channel:
                came = f"{name!r} is {column.reason}"
                do = "Write it as numbers, such as 1 for a holiday and 0 for none."
                raise DataError("columns of data.known must hold numbers or truths that change with time", came, do)
            known.append(channel)
        elif is_channel and varies:
            past.append(channel)
        elif config.case is not None and not varies and column.kind in (Kind.NUMBER, Kind.CATEGORY, Kind.BOOLEAN):
            kept.append(name)
        else:
            left_out.append(name)
    free = [f"{hints.target} before", *(f"{hints.target} before {at}" for at in range(2, frame.width + 3))]
    steps = ["step", *(f"step {at}" for at in range(2, frame.width + 3))]
    windowing = Windowing(
        target=target, horizon=config.horizon, length=1, season=1, clock=clock, case=config.case, time=hints.time,
        history=next(name for name in free if name not in frame.columns),
        origin=hints.time or next(name for name in steps if name not in frame.columns),
        past=tuple(past), known=tuple(known), kept=tuple(kept),
    )  # fmt: skip
    return windowing, left_out


def _target(series: pl.Series, distinct: int) -> Channel:
    column = infer_column(series, distinct, None, None)
    channel = Channel(name=series.name, format=column.format)
    must = f"the target {series.name!r} of a forecast must hold numbers that change"
    if column.kind is Kind.CONSTANT:
        raise DataError(must, f"it is {column.reason}", "Name another target.")
    written = as_category(series).is_not_null().to_numpy()
    words = np.flatnonzero(written & np.isnan(channel.values_in(series)))
    if series.dtype == pl.Boolean or len(words):
        shown = ", ".join(repr(series[int(row)]) for row in words[:3]) or "true and false"
        came = f"{count_of(len(words) or len(series), 'cell')} without one, such as {shown}"
        raise DataError(must, came, "Correct these cells or leave them empty, or name another target.")
    return channel


def _varies(series: pl.Series, codes: np.ndarray) -> bool:
    """Whether a series has several values of the column."""
    cells = as_category(series)
    known = cells.is_not_null().to_numpy()
    pairs = pl.DataFrame({"code": codes[known], "cell": cells.filter(pl.Series(known))}).unique()
    return pairs.height > len(np.unique(codes[known]))


# The schema -----------------------------------------------------------------------------------------------------------


def _schema(raw: pl.DataFrame, made: pl.DataFrame | None, hints: Hints, windowing: Windowing) -> Schema:
    assert made is not None
    columns = [_described(made, raw, name, hints, windowing) for name in made.columns]
    known = f", {len(windowing.known)} columns known ahead" if windowing.known else ""
    past = f", {len(windowing.past)} other columns" if windowing.past else ""
    return Schema(
        columns=tuple(columns),
        target=windowing.target.name,
        task=Task.FORECASTING,
        task_reason=f"forecasting because a horizon is given: {windowing.horizon} steps of {windowing.clock.named} "
        f"from the {windowing.length} before{past}{known}",
        time=windowing.origin,
        dropped=hints.drop,
        windowing=windowing,
    )


def _described(made: pl.DataFrame, raw: pl.DataFrame, name: str, hints: Hints, windowing: Windowing) -> Column:
    """A column of the windows."""
    column = Column(name=name, kind=Kind.SEQUENCE, dtype=str(made[name].dtype), reason="", distinct=made.height)
    steps = made[name][0] if made[name].dtype == pl.List else []
    if name == windowing.history:
        reason = (
            f"sequence because it holds the {windowing.length} steps of {windowing.target.name!r} before a forecast"
        )
        return column.model_copy(update={"reason": reason})
    if name == windowing.target.name:
        reason = f"number because it is the target of a forecast, {windowing.horizon} steps"
        missing = int(np.isnan(windowing.target.values_in(raw[name])).sum())
        update = {"kind": Kind.NUMBER, "reason": reason, "format": windowing.target.format, "missing": missing}
        return column.model_copy(update=update)
    if name == windowing.origin:
        kind = Kind.DATETIME if windowing.clock.is_dated else Kind.ID
        return column.model_copy(update={"kind": kind, "reason": f"{kind.value} because it is the time of a forecast"})
    if name == windowing.case:
        return column.model_copy(update={"kind": Kind.ID, "reason": "id because it names the series"})
    if name in windowing.kept:
        return infer_column(made[name], distinct_counts(made.select(name))[name], hints.kinds.get(name), None)
    reason = f"sequence because it holds the {len(steps)} steps around a forecast"
    return column.model_copy(update={"reason": reason})


# What the ledger is told ----------------------------------------------------------------------------------------------


def _record(
    ledger: Ledger, panel: Panel, windowing: Windowing, season: str, cut: Cut, left_out: Sequence[str], rows: int
) -> None:
    whose = f"{len(panel):,} series by {windowing.case!r}" if windowing.case else "one series"
    others = len(windowing.past) + len(windowing.known)
    beside = f"; {others} other columns beside it" if others else ""
    beside += f", {len(windowing.known)} of them known ahead" if windowing.known else ""
    out = f"; left out, for they hold no numbers that change: {', '.join(map(repr, left_out[:8]))}" if left_out else ""
    thinned = "" if max(cut.every) == 1 else f"; one every {cut.every} steps in the three parts, to stay within memory"
    reason = f"{rows:,} rows are {whose}, read in windows of {windowing.length} steps before a forecast of "
    reason += f"{windowing.horizon}{beside}{out}{thinned}"
    ledger.record("data.windows", Outcome.APPLIED, reason, value=windowing.length)
    _record_times(ledger, panel, rows)
    ledger.record("data.season", Outcome.APPLIED if windowing.season > 1 else Outcome.PASSED, season,
                  value=windowing.season)  # fmt: skip
    if cut.unknown:
        reason = f"{count_of(cut.unknown, 'window')} left out, for a step to forecast is missing"
        ledger.record("data.target-complete", Outcome.APPLIED, reason, value=cut.unknown)
    else:
        ledger.record("data.target-complete", Outcome.PASSED, "every step to forecast is known", value=0)


def _record_times(ledger: Ledger, panel: Panel, rows: int) -> None:
    clock, absent = panel.windowing.clock, int(panel.gaps.sum())
    if clock.unit == "rows":
        ledger.record("data.times", Outcome.SKIPPED, "without --time each row is a step")
    elif clock.takes_means:
        reason = f"{len(panel.rows) - absent:,} steps of {clock.named} are means of {rows:,} rows, as data.every says"
        ledger.record("data.times", Outcome.APPLIED, f"{reason}; {absent:,} steps are without a row", value=absent)
    else:
        ledger.record("data.times", Outcome.PASSED, f"rows are whole steps of {clock.named} apart", value=absent)
