"""From long tables to the windows of a forecast: training, validation and test windows, and the schema of them.

The cut is in time and by targets: no step that a validation or test window is to forecast is a target, or an input, of
an earlier part. Windows may reach back into what came before, as they do when the model is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.data.clock import Clock
from assay.data.columns import as_category
from assay.data.config import DataConfig
from assay.data.findings import Checked
from assay.data.kinds import distinct_counts, infer_column
from assay.data.read import Table
from assay.data.rhythm import find_clock, find_season
from assay.data.schema import Column, Hints, Kind, Schema, Task
from assay.data.series_checks import check_series
from assay.data.stored import Stored
from assay.data.windowing import Channel, Panel, Windowing, measured, panel_of, targets, windows
from assay.errors import ConfigError, DataError, nearest
from assay.ledger import Ledger, Outcome
from assay.records import Record

#: Training windows, and windows of another part, at most; and numbers in them.
MOST_TRAINING, MOST_JUDGED = 200_000, 20_000
_MOST_NUMBERS: Final = 24_000_000
#: Training windows that there must be at least, and steps before a forecast.
_FEWEST, _SHORTEST = 4, 4
#: How long windows are, in horizons and in seasons, where the training part is three times as long.
_HORIZONS, _SEASONS = 3.5, 2


class Cut(Record):
    """Where the parts of a forecast's windows end.

    train_until, valid_until, test_until: times of the last steps of the parts. every: each how many steps a window of
    each part begins, 1 for at every step. unknown: windows left out, for a step of their target is missing.
    """

    train_until: str
    valid_until: str
    test_until: str
    every: tuple[int, int, int]
    unknown: int


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
    clock = find_clock(None if hints.time is None else frame[hints.time], codes, hints.kinds.get(hints.time or ""))
    bare, left_out = _columns(frame, hints, config, clock, codes)
    panel = panel_of(frame, bare)
    limits = _limits(panel, part, config)
    windowing, told = _planned(panel, limits, config, hints)
    panel = Panel(
        windowing, panel.names, panel.first, panel.starts, panel.rows, panel.values, panel.unsorted, panel.gaps
    )
    tables, cut = _cut(frame, panel, limits)
    sources = [(table or raw).source for table in (raw, valid, test)]
    schema = _schema(frame, tables[0], hints, windowing)
    made = [None if one is None else Table(one, source) for one, source in zip(tables, sources, strict=True)]
    assert made[0] is not None
    assert made[1] is not None
    checked = check_series(panel, limits)
    files = {part: table.source.name for part, table in (("valid", valid), ("test", test)) if table is not None}
    _record(ledger, panel, windowing, told, cut, left_out, frame.height)
    return WindowTables(made[0], made[1], made[2], schema, cut, checked, files)


# What the user said ---------------------------------------------------------------------------------------------------


def _check_hints(hints: Hints, config: DataConfig) -> None:
    said = {"group": hints.group, "weight": hints.weight, "positive": hints.positive, "sensitive": hints.sensitive}
    meant = [name for name, value in said.items() if value]
    if meant:
        came = f"{', '.join(f'--{name}' for name in meant)} {'is' if len(meant) == 1 else 'are'} given"
        do = "Leave that out; data.case=COL names the series of a row."
        raise ConfigError("a forecast takes a target, a time and a series, and no other parts", came, do)
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
        frames = [each.cast({name: dtype for name, dtype in cast.items()}) for each in frames]
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
    words = np.flatnonzero(written & np.isnan(channel.read(series)))
    if series.dtype == pl.Boolean or len(words):
        shown = ", ".join(repr(series[int(row)]) for row in words[:3]) or "true and false"
        came = f"{len(words) or len(series):,} cells are none, such as {shown}"
        raise DataError(must, came, "Correct these cells or leave them empty, or name another target.")
    return channel


def _varies(series: pl.Series, codes: np.ndarray) -> bool:
    """Whether a series has several values of the column."""
    cells = as_category(series)
    known = cells.is_not_null().to_numpy()
    pairs = pl.DataFrame({"code": codes[known], "cell": cells.filter(pl.Series(known))}).unique()
    return pairs.height > len(np.unique(codes[known]))


# Where the parts end --------------------------------------------------------------------------------------------------


def _limits(panel: Panel, part: np.ndarray, config: DataConfig) -> np.ndarray:
    """The places where the parts of each series begin and the last ends, int64 (s, 4), from the first known target on.

    All series are cut at the same times; without times each is cut at its own share.
    """
    begun, ended = panel.begun(), panel.ended() + 1
    if not (ended > begun).any():
        came = "every cell is missing"
        raise DataError(f"the target {panel.windowing.target.name!r} must have values", came, "Name another target.")
    given = [place for place in (1, 2) if (part == place).any()]
    if given == [1]:
        do = "Give the test rows as well (--test), or leave the cut to assay."
        raise ConfigError("validation rows of a forecast lie between training and test rows", "--test is missing", do)
    is_timed = panel.windowing.clock.unit != "rows"
    shift = panel.first - panel.starts[:-1]  # from places to steps
    there = ended > begun
    low, high = begun + shift, ended + shift
    if is_timed:
        low, high = (np.full(len(panel), edge) for edge in (low[there].min(), high[there].max()))
    firsts = {place: _first_of(panel, part, place, is_timed=is_timed) for place in given}
    if is_timed:
        _check_order(panel, part, given)
    high = firsts.get(2, high)
    sizes = np.array([_sizes(int(n), config, given) for n in np.maximum(high - low, 0)]).reshape(-1, 2)
    if is_timed or len(panel) == 1:
        _check_sizes(int((high - low)[0]), sizes[0], config, given, panel.windowing)
    test = high - sizes[:, 1]
    valid = firsts.get(1, test - sizes[:, 0])
    limits = np.stack([begun, valid - shift, test - shift, ended], axis=1)
    return np.maximum.accumulate(np.clip(limits, begun[:, None], np.maximum(ended, begun)[:, None]), axis=1)


def _first_of(panel: Panel, part: np.ndarray, place: int, *, is_timed: bool) -> np.ndarray:
    """The first step of a given file in each series, (s,)."""
    there = panel.rows >= 0
    mine = there & (np.where(there, part[panel.rows], -1) == place)
    if is_timed:
        return np.full(len(panel), panel.steps[mine].min())
    last = panel.first + np.diff(panel.starts)
    np.minimum.at(last, panel.owner[mine], panel.steps[mine])
    return last


def _check_order(panel: Panel, part: np.ndarray, given: Sequence[int]) -> None:
    """Refuse files that do not follow one another in time."""
    there = panel.rows >= 0
    steps, files = panel.steps[there], part[panel.rows[there]]
    names = ("training", "validation", "test")
    present = [0, *given]
    for before, after in zip(present[:-1], present[1:], strict=True):
        last, first = steps[files == before].max(), steps[files == after].min()
        if first <= last:
            cells = panel.windowing.clock.cells(np.array([last, first]), "time")
            came = f"the {names[before]} rows end at {cells[0]} and the {names[after]} rows begin at {cells[1]}"
            do = "Cut the files in time, or give one file and leave the cut to assay."
            raise DataError("the files of a forecast must follow one another in time", came, do)


def _sizes(steps: int, config: DataConfig, given: Sequence[int]) -> tuple[int, int]:
    """Validation and test steps cut off so many: their shares, at least a horizon, and by default two if there is room."""
    split, horizon = config.split, config.horizon

    def size(name: str, share: float) -> int:
        asked = round(share * steps)
        if name not in split.model_fields_set:
            asked = max(asked, min(2 * horizon, steps // 6))
        return max(asked, horizon)

    test = 0 if 2 in given or split.test == 0.0 else size("test", split.test)
    return (0 if 1 in given else size("valid", split.valid)), test


def _check_sizes(steps: int, sizes: np.ndarray, config: DataConfig, given: Sequence[int], windowing: Windowing) -> None:
    """Refuse a horizon for which the steps do not suffice."""
    horizon, parts = config.horizon, int((sizes > 0).sum())
    left = steps - int(sizes.sum())
    needed = horizon + (config.window or _SHORTEST) + _FEWEST - 1
    if left >= needed:
        return
    most = (steps - (config.window or _SHORTEST) - _FEWEST + 1) // (parts + 1)
    files = "" if not given else " in the training file"
    longest = f"The longest horizon they allow is {most}." if most >= 1 else "Give more rows."
    raise DataError(
        f"a horizon of {horizon} needs {needed} training steps and {horizon} for each other part",
        f"there are {steps:,} steps of {windowing.clock.named}{files}",
        longest + ("" if config.window <= _SHORTEST else " A shorter data.window helps too."),
    )


# What windows are -----------------------------------------------------------------------------------------------------


def _planned(panel: Panel, limits: np.ndarray, config: DataConfig, hints: Hints) -> tuple[Windowing, str]:
    """Season, length and scales, by the training parts alone; and how the season was found."""
    training = [panel.target[begin:end] for begin, end in limits[:, :2]]
    lengths = np.array([len(each) for each in training if len(each)])
    if not len(lengths):
        came = f"no series has steps before the validation part ({len(panel):,} series)"
        raise DataError(
            "some series must have training steps", came, "Give earlier rows, or smaller shares to the cut."
        )
    clock, horizon = panel.windowing.clock, config.horizon
    found, strength = find_season(training, clock) if config.season == 0 else (config.season, 0.0)
    season = found
    if config.season:
        told = f"{season} steps, as data.season says"
    elif season > 1:
        told = f"{season} steps of {clock.named}: autocorrelation {strength:.2f} at that distance in the training part"
    else:
        told = "none found: no likely season has a clear autocorrelation in the training part"
    typical = int(np.median(lengths))
    length = config.window or _length(typical, season, horizon)
    names = dict(zip(panel.names, training, strict=True))
    scales = {name: measured(values, season) for name, values in names.items() if np.isfinite(values).sum() > season}
    update = {"length": length, "season": season, "scales": scales}
    return panel.windowing.model_copy(update=update), told


def _length(steps: int, season: int, horizon: int) -> int:
    """How many steps a window has, for series with so many training steps."""
    wanted = max(_SEASONS * season, int(np.ceil(_HORIZONS * horizon)), 2 * _SHORTEST)
    room = steps - horizon - _FEWEST + 1
    length = max(min(wanted, room // 3), min(season, room // 2) if season > 1 else 0, min(_SHORTEST, room))
    return max(length, 1)


# The windows ----------------------------------------------------------------------------------------------------------


def _cut(frame: pl.DataFrame, panel: Panel, limits: np.ndarray) -> tuple[list[pl.DataFrame | None], Cut]:
    """The windows of each part with their targets, None for a part that is not asked for."""
    made: list[pl.DataFrame | None] = []
    every, unknown, ends = [], 0, []
    wanted = [True, True, bool((limits[:, 3] > limits[:, 2]).any())]
    for part, is_wanted in enumerate(wanted):
        reached = limits[limits[:, part + 1] > limits[:, part]]
        ends.append(_time_of(panel, int(reached[:, part + 1].max()) - 1) if len(reached) else "")
        if not is_wanted:
            made.append(None)
            every.append(1)
            continue
        origins = _origins(panel, limits, part)
        origins, stride = _thinned(panel, origins, MOST_TRAINING if part == 0 else MOST_JUDGED)
        table, aims = _with_targets(frame, panel, origins)
        unknown += len(origins) - len(aims)
        _check_enough(panel, limits, part, len(origins), len(aims))
        made.append(table)
        every.append(stride)
    cut = Cut(
        train_until=ends[0], valid_until=ends[1], test_until=ends[2], every=(every[0], every[1], every[2]),
        unknown=unknown,
    )  # fmt: skip
    return made, cut


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
    origins, _ = _thinned(panel, _origins(panel, limits, 2), MOST_JUDGED)
    made, aims = _with_targets(frame, panel, origins)
    _check_enough(panel, limits, 2, len(origins), len(aims))
    return Table(made, raw.source)


def _thinned(panel: Panel, origins: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """At most so many origins, and few enough for memory: those every so many steps, the last among them."""
    windowing = panel.windowing
    width = windowing.length * (1 + len(windowing.past)) + windowing.horizon
    width += (windowing.length + windowing.horizon) * len(windowing.known)
    stride = max(-(-len(origins) // max(min(most, _MOST_NUMBERS // width), 1)), 1)
    if stride == 1:
        return origins, 1
    steps = panel.steps[origins]
    return origins[steps % stride == int(steps.max()) % stride], stride


def _with_targets(frame: pl.DataFrame, panel: Panel, origins: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
    """The windows whose steps to forecast are all known, with these as a column, and these, (k, H)."""
    windowing = panel.windowing
    aims = targets(panel, origins)
    known = np.isfinite(aims).all(axis=1)
    aim = pl.Series(windowing.target.name, aims[known], dtype=pl.Array(pl.Float64, windowing.horizon))
    return windows(frame, panel, origins[known]).with_columns(aim), aims[known]


def _time_of(panel: Panel, place: int) -> str:
    step = panel.steps[place]
    return str(panel.windowing.clock.cells(np.array([step]), "time")[0])


def _origins(panel: Panel, limits: np.ndarray, part: int) -> np.ndarray:
    """The places of the last known steps before targets that lie wholly in the part, in order of series and time."""
    windowing = panel.windowing
    first = np.maximum(limits[:, part] - 1, limits[:, 0] + windowing.length - 1)
    last = limits[:, part + 1] - 1 - windowing.horizon
    return np.concatenate(
        [np.arange(start, stop + 1) for start, stop in zip(first, last, strict=True)] or [np.empty(0, np.int64)]
    ).astype(np.int64)


def _check_enough(panel: Panel, limits: np.ndarray, part: int, made: int, known: int) -> None:
    windowing = panel.windowing
    needed = _FEWEST if part == 0 else 1
    if known >= needed:
        return
    name = ("training", "validation", "test")[part]
    longest = int((limits[:, part + 1] - limits[:, part]).max())
    came = f"the longest series has {longest} {name} steps"
    if made >= needed:
        came = f"of {made:,} windows {made - known:,} have a missing step of {windowing.target.name!r} to forecast"
    raise DataError(
        f"the {name} part needs windows of {windowing.length} known steps and {windowing.horizon} to forecast",
        came,
        "Give a shorter data.horizon or data.window, or longer series; fill missing steps in where you know them.",
    )


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
        task_reason=f"forecasting because a horizon is given: {windowing.horizon} steps of {windowing.clock.named} from "
        f"the {windowing.length} before{past}{known}",
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
        missing = int(np.isnan(windowing.target.read(raw[name])).sum())
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
    ledger.record("data.season", Outcome.APPLIED if windowing.season > 1 else Outcome.PASSED, season,
                  value=windowing.season)  # fmt: skip
    if cut.unknown:
        reason = f"{cut.unknown:,} windows left out, for a step that they are to forecast is missing"
        ledger.record("data.target-complete", Outcome.APPLIED, reason, value=cut.unknown)
    else:
        ledger.record("data.target-complete", Outcome.PASSED, "every step to forecast is known", value=0)
