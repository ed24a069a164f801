"""The rhythm of series: which step their times are apart, and after how many steps they repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from assay.data.columns import as_datetime, as_number
from assay.data.kinds import distinct_counts, infer_column
from assay.data.schema import Column, Kind
from assay.data.series.clock import DAY, JITTER, Clock, days_of, months_of
from assay.errors import DataError

#: Share of steps between neighbours that must be whole multiples of the commonest one.
_REGULAR: Final = 0.98
#: Series that a season is looked for in at most.
_LOOKED_AT = 50
#: The autocorrelation of a season at least, where dates make it likely and where nothing does, and by how much that of
#: a longer one must be larger.
_LEAST, _LEAST_UNDATED, _GAIN = 0.1, 0.3, 0.05
#: Turns of a season that a series must hold, likewise.
_TURNS, _TURNS_UNDATED = 2, 5
#: Seasons that are tried where steps have no dates: quarters, days, months, hours, weeks, quarters of an hour.
_UNDATED = (4, 5, 7, 12, 24, 52, 96, 168)
#: Seconds of the cycles that dated series are likely to have.
_CYCLES: Final = (3600.0, DAY, 7 * DAY, 365.25 * DAY)


def find_clock(
    times: pl.Series | None, codes: np.ndarray, kind: Kind | None = None, every: float | None = None
) -> Clock:
    """The clock of a column of times, of which each series (dense `codes`, (n,)) has its own.

    kind: what the user says the column holds. Without a column, the rows of a series are its steps. every: the step, of
    whose rows the mean is taken; None finds it.

    Raises:
        DataError: the times are no dates or numbers, or no clock counts them.
    """
    if times is None:
        return Clock(unit="rows")
    column = _column(times, kind)
    is_dated = column.kind is Kind.DATETIME
    moments = as_datetime(times, column.format) if is_dated else as_number(times, column.format)
    absent = np.flatnonzero(~np.isfinite(moments))
    if len(absent):
        rows = ", ".join(str(row + 1) for row in absent[:5])
        have = "1 has" if len(absent) == 1 else f"{len(absent):,} have"
        came = f"{have} none that can be read (row{'s' if len(absent) > 1 else ''} {rows})"
        raise DataError(f"every row must have a time in {times.name!r}", came, "Fill it in, or remove these rows.")
    order = np.lexsort((moments, codes))
    gaps = np.diff(moments[order])[np.diff(codes[order]) == 0]
    gaps = gaps[gaps > 0]
    form = _written(times, column.format) if is_dated else column.format
    bare = Clock(unit="rows", start=float(moments.min()), format=form, dtype=str(times.dtype))
    if not len(gaps):
        came = "no series has two different times"
        raise DataError(f"the times in {times.name!r} must follow one another", came, "Name the column of the times.")
    if every is not None:
        start, unit = float(np.floor(moments.min() / every) * every), "seconds" if is_dated else "numbers"
        return bare.model_copy(update={"unit": unit, "every": every, "start": start, "takes_means": True})
    if is_dated and (found := _of_months(moments, codes[order], moments[order], bare)) is not None:
        return found
    return _of_units(gaps, moments, bare, times.name, is_dated=is_dated)


def _column(times: pl.Series, kind: Kind | None) -> Column:
    column = infer_column(times, distinct_counts(pl.DataFrame([times]))[times.name], kind, None)
    if column.kind in (Kind.DATETIME, Kind.NUMBER):
        return column
    if times.dtype.is_numeric():  # ids, and numbers that look like categories
        return column.model_copy(update={"kind": Kind.NUMBER, "format": None})
    if not np.isnan(as_number(times, None)).any():
        return column.model_copy(update={"kind": Kind.NUMBER, "format": None})
    if not np.isnan(as_datetime(times, None)).any():
        return column.model_copy(update={"kind": Kind.DATETIME, "format": None})
    raise DataError(
        f"the times in {times.name!r} must be dates or numbers",
        f"the column is {column.reason}",
        "Name another column with --time, or write its dates as 2024-12-31.",
    )


def _written(times: pl.Series, form: str | None) -> str | None:
    """How dates that are words are written, for those to come: `1949-01` has neither day nor seconds."""
    if times.dtype != pl.String or form is not None:
        return form
    first = str(times.drop_nulls()[0]).strip()
    shapes = {7: "%Y-%m", 10: "%Y-%m-%d", 16: f"%Y-%m-%d{first[10:11]}%H:%M", 19: f"%Y-%m-%d{first[10:11]}%H:%M:%S"}
    guess = shapes.get(len(first))
    if guess is None or np.isnan(as_datetime(times.head(50), guess)).any():
        return None
    return guess if not np.isnan(as_datetime(times, guess)).any() else None


def _of_months(moments: np.ndarray, codes: np.ndarray, ordered: np.ndarray, bare: Clock) -> Clock | None:
    """A clock of months, where all times are at the same place in their months, or at their ends."""
    whole = moments.astype("datetime64[s]")
    first = whole.astype("datetime64[M]")
    day = (whole.astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    ends = (whole.astype("datetime64[D]") + 1).astype("datetime64[M]") != first
    at_end = bool(ends.all())
    if len(np.unique(moments % DAY)) > 1 or not (at_end or len(np.unique(day)) == 1):
        return None
    gaps = np.diff(months_of(ordered))[np.diff(codes) == 0]
    gaps = gaps[gaps > 0].astype(np.int64)
    if not len(gaps) or len(gaps) < (np.diff(ordered)[np.diff(codes) == 0] > 0).sum():
        return None
    return bare.model_copy(update={"unit": "months", "every": float(np.gcd.reduce(gaps)), "at_month_end": at_end})


def _of_units(gaps: np.ndarray, moments: np.ndarray, bare: Clock, name: str, *, is_dated: bool) -> Clock:
    """A clock of the commonest gap, where nearly all gaps are whole multiples of it."""
    rounded = np.round(gaps, 3) if is_dated else gaps
    sizes, counts = np.unique(rounded, return_counts=True)
    every = float(sizes[counts.argmax()])
    if is_dated and every == DAY and _only_weekdays(moments):
        return bare.model_copy(update={"unit": "weekdays"})
    parts = rounded / every
    whole = (np.abs(parts - np.round(parts)) <= JITTER) & (parts >= 1.0 - JITTER)
    share = float(whole.mean())
    if share < _REGULAR:
        word = "seconds" if is_dated else "units"
        raise DataError(
            f"the times in {name!r} must be a fixed step apart, with gaps of whole steps",
            f"of {len(gaps):,} steps the commonest is {every:g} {word}, and {1.0 - share:.0%} are no multiples of it",
            f"Take the mean of even steps with data.every, such as data.every={3600 if is_dated else f'{every:g}'}"
            f"{' for hours' if is_dated else ''}, or leave --time out to take the rows of a series as its steps.",
        )
    return bare.model_copy(update={"unit": "seconds" if is_dated else "numbers", "every": every})


def _only_weekdays(moments: np.ndarray) -> bool:
    """Whether the times, of more than a week, spare every Saturday and Sunday."""
    days = days_of(moments)
    return bool(np.is_busday(days).all()) and len(np.unique(days)) > 5 and len(np.unique(moments % DAY)) == 1


# Season ---------------------------------------------------------------------------------------------------------------


def candidates(clock: Clock) -> tuple[int, ...]:
    """Seasons that series of this clock are likely to have, in steps."""
    if clock.unit == "months":
        return tuple(int(12 / clock.every) for _ in (0,) if 12 % clock.every == 0 and clock.every < 12)
    if clock.unit == "weekdays":
        return 5, 261
    if clock.unit != "seconds":
        return _UNDATED
    found = (cycle / clock.every for cycle in _CYCLES)
    return tuple(round(steps) for steps in found if steps >= 2 and abs(steps - round(steps)) < 0.3)


def find_season(series: Sequence[np.ndarray], clock: Clock) -> tuple[int, float]:
    """The season in steps of series (each (t,), NaN where missing), and its autocorrelation; (1, 0) for none.

    Of the seasons that the clock makes likely the one with the largest autocorrelation. A mean over one season is taken
    off before: what varies more slowly, such as a trend or a random walk, would look alike at every lag.
    """
    longest = sorted(series, key=len, reverse=True)[:_LOOKED_AT]
    limit = max((len(each) for each in longest), default=0) // (_TURNS if clock.is_dated else _TURNS_UNDATED)
    least = _LEAST if clock.is_dated else _LEAST_UNDATED
    chosen, best = 1, 0.0
    for lag in (lag for lag in candidates(clock) if lag <= limit):
        found = [seasonality(each, lag) for each in longest if len(each) >= 2 * lag]
        known = [value for value in found if np.isfinite(value)]
        here = float(np.median(known)) if known else 0.0
        # A multiple of a season is about as good as the season: the shorter is kept but for a clear gain.
        if here > max(least, best + _GAIN):
            chosen, best = lag, here
    return chosen, best


def seasonality(values: np.ndarray, lag: int) -> float:
    """Autocorrelation at `lag` of what a mean over one season leaves, NaN for a constant or unknown series (t,)."""
    known = np.isfinite(values)
    middle = values[known].mean() if known.any() else 0.0
    filled = np.where(known, values - middle, 0.0)
    counts, sums = _sums(known.astype(np.float64), lag), _sums(filled, lag)
    rest = np.where(known, filled - sums / np.maximum(counts, 1.0), 0.0)
    both = known[lag:] & known[:-lag]
    power = float((rest**2).sum()) / max(int(known.sum()), 1)
    if both.sum() < 2 or power <= 1e-20 * float((filled**2).mean()) or power == 0.0:
        return float("nan")
    return float((rest[lag:] * rest[:-lag]).sum() / both.sum() / power)


def _sums(values: np.ndarray, lag: int) -> np.ndarray:
    """Sums over the `lag` values around each, (t,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, last = np.maximum(place - lag // 2, 0), np.minimum(place - lag // 2 + lag, len(values))
    return np.asarray(total[last] - total[first])
