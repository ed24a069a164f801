"""The clock of series: times as whole steps, and back.

It is found once, on the training table (`forecasts/rhythm.py`), and travels with the model, so that later times are
counted in the same way.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import polars as pl

from assay.data.columns import as_datetime, as_number
from assay.records import Record

#: A time may be off its step by this share of one.
JITTER: Final = 0.1
DAY: Final = 86_400.0
_SECONDS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY, "week": 7 * DAY}

Unit = Literal["seconds", "months", "weekdays", "numbers", "rows"]


class Clock(Record):
    """How times are counted: step k is the moment `start` and k times `every` units later.

    unit: of `every`; a clock of `rows` has no times, and steps are rows. start: seconds since 1970, or a number.
    at_month_end: whether steps of months are their last days. format, dtype: of the column of times (see `Column`).
    takes_means: whether a step is the mean of all rows from its moment to the next.
    """

    unit: Unit
    every: float = 1.0
    start: float = 0.0
    at_month_end: bool = False
    format: str | None = None
    dtype: str = ""
    takes_means: bool = False

    @property
    def is_dated(self) -> bool:
        """Whether times are dates."""
        return self.unit in ("seconds", "months", "weekdays")

    @property
    def named(self) -> str:
        """The step in words: `1 month`, `15 minutes`."""
        if self.unit != "seconds":
            word = {"months": "month", "weekdays": "weekday", "numbers": "unit", "rows": "row"}[self.unit]
            size = self.every
        else:
            word, size = max((size, name) for name, size in _SECONDS.items() if self.every % size == 0 or size == 1)[
                ::-1
            ]
            size = self.every / size
        return f"{size:g} {word}{'' if size == 1 else 's'}"

    def moments_of(self, series: pl.Series) -> np.ndarray:
        """The times of a column as numbers, float64 (n,), NaN where there is none."""
        return as_datetime(series, self.format) if self.is_dated else as_number(series, self.format)

    def steps(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The step of each moment, int64 (n,), and which moments are on none, bool (n,)."""
        if self.unit == "months":
            place = (months_of(moments) - months_of(np.array([self.start]))) / self.every
            found = np.round(place)
            return found.astype(np.int64), place != found
        if self.unit == "weekdays":
            days, first = days_of(moments), days_of(np.array([self.start]))
            return np.busday_count(first, days).astype(np.int64), ~np.is_busday(days)
        place = (moments - self.start) / self.every
        if self.takes_means:
            return np.floor(place + 1e-9).astype(np.int64), np.zeros(len(place), np.bool_)
        found = np.round(place)
        return found.astype(np.int64), np.abs(place - found) > JITTER

    def moments(self, steps: np.ndarray) -> np.ndarray:
        """The moments of steps, float64 (n,)."""
        if self.unit == "weekdays":
            days = np.busday_offset(days_of(np.array([self.start])), steps)
            return days.astype("datetime64[s]").astype(np.float64) + self.start % DAY
        if self.unit != "months":
            return np.asarray(self.start + steps * self.every)
        start = np.array([self.start]).astype("datetime64[s]")
        first = start.astype("datetime64[M]")
        months = first + np.asarray(steps * int(self.every), np.int64)
        within = (start - first.astype("datetime64[s]")).astype(np.int64)
        begun = months.astype("datetime64[s]").astype(np.int64)
        length = (months + 1).astype("datetime64[s]").astype(np.int64) - begun
        last = length - int(DAY) + within % int(DAY)
        found = np.where(self.at_month_end, begun + last, begun + np.minimum(within, last))
        return np.asarray(found, np.float64)

    def cells(self, steps: np.ndarray, name: str) -> pl.Series:
        """The times of steps as the cells of a column that looks as the one that was read."""
        moments = self.moments(steps)
        if not self.is_dated:
            whole = self.dtype.startswith(("Int", "UInt")) or self.unit == "rows"
            return pl.Series(name, np.round(moments).astype(np.int64) if whole else moments)
        dated = pl.Series(name, (moments * 1e6).astype(np.int64)).cast(pl.Datetime("us"))
        if self.dtype == "Date":
            return dated.cast(pl.Date)
        if self.dtype != "String":
            return dated
        return dated.dt.to_string(self.format or ("%Y-%m-%d" if (moments % DAY == 0).all() else "%Y-%m-%d %H:%M:%S"))


def days_of(moments: np.ndarray) -> np.ndarray:
    """The days of moments, datetime64[D] (n,)."""
    return moments.astype("datetime64[s]").astype("datetime64[D]")


def months_of(moments: np.ndarray) -> np.ndarray:
    """Months since 1970, float64 (n,)."""
    return moments.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64).astype(np.float64)
