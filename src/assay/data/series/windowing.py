"""Long tables of series as windows: the steps before an origin as one cell, the steps after it as the target.

A row of windows is a series and an origin, the last step that is known. What the windows are is found once, on the
training table (`forecasts/forecasting.py`), and travels with the schema, so that raw rows become windows in the same
way when a model forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.data.columns import as_boolean, as_category, as_number, row_groups
from assay.data.series.clock import Clock
from assay.data.steps import SERIES
from assay.errors import DataError, nearest
from assay.records import Record

#: Steps of the regular grid for each row of the table, from which on gaps are too many.
_MOST_GAPS: Final = 50


class Channel(Record):
    """A column of numbers that changes with time.

    format: how numbers that are words are read (see `schema.Column`). is_boolean: whether its cells are truths.
    """

    name: str
    format: str | None = None
    is_boolean: bool = False

    def values_in(self, series: pl.Series) -> np.ndarray:
        """The cells as float64 (n,), NaN where missing or infinite."""
        values = as_boolean(series) if self.is_boolean else as_number(series, self.format)
        return np.where(np.isfinite(values), values, np.nan)


class Scale(Record):
    """The size of a series in its training part, by which errors of several series are made comparable.

    naive: mean absolute difference of steps one season apart, the unit of MASE (Hyndman & Koehler 2006); None where
    there is none. deviation: of its values, 1 for a constant one. mean: of its values.
    """

    naive: float | None
    deviation: float
    mean: float


class Windowing(Record):
    """How raw rows become windows.

    target: the column that is forecast, `horizon` steps ahead, from `length` steps before.
    season: after how many steps it repeats itself; 1 for never.
    case: the column that names the series; None for a single one. time: the column of times; None for rows in order.
    history, origin: what the columns of the windows are called that hold the steps before, and the time of the origin.
    past, known: other columns that are known up to the origin, and those that are known for the steps to come as well.
    kept: columns with one value in each series.
    scales: of each series by its name; of a single one by "".
    """

    target: Channel
    horizon: int
    length: int
    season: int
    clock: Clock
    history: str
    origin: str
    case: str | None = None
    time: str | None = None
    past: tuple[Channel, ...] = ()
    known: tuple[Channel, ...] = ()
    kept: tuple[str, ...] = ()
    scales: dict[str, Scale] = {}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The target and all columns that change with time."""
        return (self.target, *self.past, *self.known)

    def scale_of(self, name: str) -> Scale | None:
        """The scale of a series."""
        return self.scales.get(name)


@dataclass(frozen=True)
class Panel:
    """Series on the regular grid of their clock, one behind the other.

    names: of the series. first: the step of each one's first place, int64 (s,). starts: where each begins in the
    arrays, int64 (s + 1,). rows: the row of each place, -1 where there is none, int64 (t,).
    values: float64 (t,) of each channel, NaN where missing.
    unsorted: series whose rows were not in the order of time. gaps: steps without a row, of each series, int64 (s,).
    """

    windowing: Windowing
    names: tuple[str, ...]
    first: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    values: dict[str, np.ndarray]
    unsorted: int
    gaps: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def target(self) -> np.ndarray:
        """The values of the target, float64 (t,)."""
        return self.values[self.windowing.target.name]

    @property
    def owner(self) -> np.ndarray:
        """The series of each place, int64 (t,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def steps(self) -> np.ndarray:
        """The step of each place, int64 (t,)."""
        places = np.arange(len(self.rows))
        return np.asarray(places - np.repeat(self.starts[:-1] - self.first, np.diff(self.starts)))

    def begun(self) -> np.ndarray:
        """The place of the first known target of each series, (s,); its end where there is none."""
        return self._known_end(first=True)

    def ended(self) -> np.ndarray:
        """The place of the last known target of each series, (s,); the one before its start where there is none."""
        return self._known_end(first=False)

    def _known_end(self, *, first: bool) -> np.ndarray:
        known = np.flatnonzero(np.isfinite(self.target))
        if first:
            at = np.searchsorted(known, self.starts[:-1])
            found = np.append(known, len(self.rows))[at]
            return np.asarray(np.minimum(found, self.starts[1:]))
        at = np.searchsorted(known, self.starts[1:]) - 1
        return np.asarray(np.maximum(np.append(known, -1)[at], self.starts[:-1] - 1))


def panel_of(frame: pl.DataFrame, windowing: Windowing) -> Panel:
    """The series of a raw table.

    Raises:
        DataError: a column, a case or a time is missing, a time is there twice or between the steps of the clock.
    """
    _check_columns(frame, windowing)
    codes, names = _cases(frame, windowing.case)
    steps = _steps(frame, windowing, codes)
    order = np.lexsort((steps, codes))
    if not windowing.clock.takes_means:
        _check_once(frame, windowing, codes, steps, order)
    filed = np.argsort(codes, kind="stable")
    falls = (np.diff(codes[filed]) == 0) & (np.diff(steps[filed]) < 0)
    count = np.bincount(codes, minlength=len(names))
    ends = np.cumsum(count)
    first, last = steps[order][ends - count], steps[order][ends - 1]
    spans = last - first + 1
    if spans.sum() > _MOST_GAPS * max(frame.height, 1000):
        raise DataError(
            "series must be measured at most of their steps",
            f"at one row each {windowing.clock.named} there would be {int(spans.sum()):,} rows, and {frame.height:,} "
            "are there",
            f"Bring the rows to a coarser frequency, or look for a mistaken date in {windowing.time!r}.",
        )
    starts = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
    places = starts[codes] + steps - first[codes]
    rows = np.full(int(starts[-1]), -1, np.int64)
    rows[places] = np.arange(frame.height)
    values = {
        channel.name: _means(channel.values_in(frame.get_column(channel.name)), places, len(rows))
        for channel in windowing.channels
    }
    unsorted = len(np.unique(codes[filed][1:][falls]))
    there = np.add.reduceat((rows >= 0).astype(np.int64), starts[:-1]) if len(spans) else spans
    return Panel(windowing, names, first, starts, rows, values, unsorted, spans - there)


def _means(cells: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """The mean of the known cells (n,) of each place, float64 (size,), NaN where there is none; one cell is itself."""
    known = np.isfinite(cells)
    count = np.bincount(places[known], minlength=size)
    total = np.bincount(places[known], cells[known], minlength=size)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _check_columns(frame: pl.DataFrame, windowing: Windowing) -> None:
    needed = [channel.name for channel in windowing.channels] + [*windowing.kept]
    needed += [name for name in (windowing.case, windowing.time) if name is not None]
    present = set(frame.columns)
    lacking = [name for name in needed if name not in present]
    if lacking:
        shown = ", ".join(repr(name) for name in lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        came = f"{len(lacking)} {'is' if len(lacking) == 1 else 'are'} missing: {shown}"
        must = "the data must have the columns that the series were made of, the past of the target too"
        raise DataError(must, came, nearest(lacking[0], frame.columns))


def _cases(frame: pl.DataFrame, case: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The series of each row, int64 (n,), in the order of their first rows, and the names of all."""
    if case is None:
        return np.zeros(frame.height, np.int64), ("",) if frame.height else ()
    cells = frame.get_column(case)
    words = as_category(cells)
    absent = np.flatnonzero(words.is_null().to_numpy())
    if len(absent):
        rows = ", ".join(str(row + 1) for row in absent[:5])
        came = (
            f"{len(absent):,} {'does' if len(absent) == 1 else 'do'} not (row{'s' if len(absent) > 1 else ''} {rows})"
        )
        raise DataError(f"every row must name its series in {case!r}", came, "Fill these cells in, or remove the rows.")
    codes = row_groups(pl.DataFrame([words]))
    first = np.unique(codes, return_index=True)[1]
    return codes, tuple(words.gather(first).to_list())


def _steps(frame: pl.DataFrame, windowing: Windowing, codes: np.ndarray) -> np.ndarray:
    """The step of each row, int64 (n,)."""
    if windowing.time is None:
        order = np.argsort(codes, kind="stable")
        found = np.empty(frame.height, np.int64)
        count = np.bincount(codes)
        found[order] = np.arange(frame.height) - np.repeat(np.cumsum(count) - count, count)
        return found
    cells = frame.get_column(windowing.time)
    moments = windowing.clock.moments_of(cells)
    absent = ~np.isfinite(moments)
    _refuse(cells, absent, "have a time that can be read", "Fill it in, or remove these rows.")
    steps, off = windowing.clock.steps(moments)
    do = "Move these rows to a step or remove them, or bring all rows to one frequency first."
    _refuse(cells, off, f"be a whole number of steps of {windowing.clock.named} from the others", do)
    return steps


def _refuse(cells: pl.Series, wrong: np.ndarray, must: str, do: str) -> None:
    if wrong.any():
        rows = np.flatnonzero(wrong)
        came = (
            f"{len(rows):,} {'is' if len(rows) == 1 else 'are'} not, first {cells[int(rows[0])]!r} in row {rows[0] + 1}"
        )
        raise DataError(f"every time in {cells.name!r} must {must}", came, do)


def _check_once(
    frame: pl.DataFrame, windowing: Windowing, codes: np.ndarray, steps: np.ndarray, order: np.ndarray
) -> None:
    twice = np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(steps[order]) == 0))
    if not len(twice):
        return
    assert windowing.time is not None
    one, other = (int(order[twice[0] + more]) for more in (0, 1))
    whose = "" if windowing.case is None else f" of the series {frame.get_column(windowing.case)[one]!r}"
    several = "" if len(twice) == 1 else f", and {len(twice) - 1:,} more are like it"
    hint = "Is there a column that names the series? Give it as data.case=COL." if windowing.case is None else ""
    raise DataError(
        "a series must have each time once",
        f"{frame.get_column(windowing.time)[one]!r}{whose} is there twice (rows {one + 1} and {other + 1}){several}",
        f"Remove the copies, or add them up. {hint}".strip(),
    )


# Windows --------------------------------------------------------------------------------------------------------------


def carried(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The last known value before each missing one of the same series, float64 (t,); NaN before the first known."""
    place = np.arange(len(values))
    known = np.where(np.isfinite(values), place, -1)
    last = np.maximum.accumulate(known) if len(known) else known
    own = last >= np.repeat(starts[:-1], np.diff(starts))
    return np.asarray(np.where(own, values[np.maximum(last, 0)], np.nan)) if len(values) else values


def windows(frame: pl.DataFrame, panel: Panel, origins: np.ndarray) -> pl.DataFrame:
    """A row for each origin, a place (k,) in the panel: history, other channels, time, series, and what is kept.

    The history of the target comes first. A missing step of it is the last one known before, and so for channels. Those
    that are known for the steps to come have these behind their past.
    """
    windowing = panel.windowing
    owner = panel.owner[origins]
    back = np.arange(1 - windowing.length, 1)
    ahead = np.arange(1 - windowing.length, windowing.horizon + 1)
    columns = []
    for channel in windowing.channels:
        filled = carried(panel.values[channel.name], panel.starts)
        offsets = ahead if channel in windowing.known else back
        columns.append(_lists(_name(channel, windowing), around(filled, panel, owner, origins, offsets)))
    columns.append(_origin(panel, origins))
    if windowing.case is not None:
        rows = _first_rows(panel)
        columns.append(frame.get_column(windowing.case).gather(rows[owner]))
        columns += [_kept(frame.get_column(name), panel).gather(owner) for name in windowing.kept]
    return pl.DataFrame(columns)


def _name(channel: Channel, windowing: Windowing) -> str:
    return windowing.history if channel == windowing.target else channel.name


def around(values: np.ndarray, panel: Panel, owner: np.ndarray, origins: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Values (t,) at offsets (w,) from the origins (k,) of their owners, (k, w); NaN outside of the series."""
    places = origins[:, None] + offsets
    outside = (places < panel.starts[owner][:, None]) | (places >= panel.starts[owner + 1][:, None])
    found = values[np.clip(places, 0, len(values) - 1)]
    found[outside] = np.nan
    return np.asarray(found)


def _lists(name: str, matrix: np.ndarray) -> pl.Series:
    return pl.Series(name, matrix, dtype=pl.Array(pl.Float64, matrix.shape[1])).cast(SERIES)


def _origin(panel: Panel, origins: np.ndarray) -> pl.Series:
    """The time of each origin: a date, or a number."""
    clock, name = panel.windowing.clock, panel.windowing.origin
    moments = clock.moments(panel.steps[origins])
    if not clock.is_dated:
        return pl.Series(name, moments.astype(np.float64))
    return pl.Series(name, (moments * 1e6).astype(np.int64)).cast(pl.Datetime("us"))


def _first_rows(panel: Panel) -> np.ndarray:
    """The first row of each series in time, int64 (s,)."""
    return np.asarray(panel.rows[panel.starts[:-1]])


def _kept(series: pl.Series, panel: Panel) -> pl.Series:
    """The first cell of each series that is not missing, (s,)."""
    absent = as_category(series).is_null().to_numpy()
    there = panel.rows >= 0
    rows, owner = panel.rows[there], panel.owner[there]
    known = ~absent[rows]
    found = _first_rows(panel).copy()
    series_with, first = np.unique(owner[known], return_index=True)
    found[series_with] = rows[known][first]
    return series.gather(found)


def targets(panel: Panel, origins: np.ndarray) -> np.ndarray:
    """The steps after each origin, float64 (k, horizon); NaN where not known."""
    offsets = np.arange(1, panel.windowing.horizon + 1)
    return around(panel.target, panel, panel.owner[origins], origins, offsets)


def scales_of(cases: Sequence[str], windowing: Windowing, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The unit of MASE (NaN where there is none) and the deviation for rows of series, both (n,).

    A series that training did not have is measured by its history, (n, length).
    """
    naive, deviation = np.empty(len(cases)), np.empty(len(cases))
    for row, name in enumerate(cases):
        scale = windowing.scale_of(name)
        if scale is None:
            scale = measured(history[row], windowing.season)
        naive[row] = np.nan if scale.naive is None else scale.naive
        deviation[row] = scale.deviation
    return naive, deviation


def measured(values: np.ndarray, season: int) -> Scale:
    """The scale of a series (t,)."""
    known = values[np.isfinite(values)]
    deviation = float(known.std()) if len(known) else 0.0
    mean = float(known.mean()) if len(known) else 0.0
    gaps = np.abs(values[season:] - values[:-season]) if len(values) > season else np.empty(0)
    gaps = gaps[np.isfinite(gaps)]
    naive = float(gaps.mean()) if len(gaps) else 0.0
    is_flat = deviation <= 1e-9 * max(abs(mean), 1e-300)
    return Scale(naive=naive if naive > 0.0 else None, deviation=1.0 if is_flat else deviation, mean=mean)
