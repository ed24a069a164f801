"""How the cells of a column are written: numbers and dates back into the type, decimals and spelling they came in.

What a column's spelling is, is found out by writing some of its own values in every way that is known and taking the
way that gives most of its own cells back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from assay.data.columns import COMMA_GROUPS, DECIMAL_COMMA, as_category, as_datetime, as_number
from assay.data.schema import Column
from assay.synth.block import Floats, Ints

#: Cells by which decimals and spelling are told.
_LOOKED_AT = 2000
#: Decimals beyond which a number has none of its own, and different numbers up to which each is remembered.
_MOST_DECIMALS, _REMEMBERED = 9, 10_000
#: Steps that moments may keep to, in seconds: days, hours, minutes, ...
_STEPS = (86_400.0, 3600.0, 60.0, 1.0, 1e-3)
_ISO = (
    "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S%.3f", "%Y-%m-%d %H:%M:%S%.3f", "%Y-%m",
)  # fmt: skip


@dataclass(frozen=True)
class Absent:
    """The missing cells of a column as they were written: `cells` with the share that each of them has."""

    cells: pl.Series
    shares: Floats

    @classmethod
    def of(cls, cells: pl.Series) -> Absent:
        """The spellings among the missing cells; those that are no spelling of missing become empty."""
        if cells.dtype != pl.String:
            return cls(pl.Series([None], dtype=cells.dtype), np.ones(1))
        spelled = pl.DataFrame({"cell": cells}).with_columns(
            pl.when(as_category(cells).is_null()).then("cell").alias("cell")
        )
        counts = spelled.group_by("cell").len().sort("len", "cell", descending=[True, False])
        if not len(counts):
            return cls(pl.Series([None], dtype=pl.String), np.ones(1))
        return cls(counts["cell"], counts["len"].to_numpy() / counts["len"].sum())

    def into(self, written: pl.Series, absent: np.ndarray, rng: np.random.Generator) -> pl.Series:
        """The column with missing cells where `absent` (n,) holds."""
        if not absent.any():
            return written
        drawn = rng.choice(len(self.shares), int(absent.sum()), p=self.shares)
        places = pl.Series(np.flatnonzero(absent).astype(np.uint32))
        return written.scatter(places, self.cells.cast(written.dtype).gather(drawn))


@dataclass(frozen=True)
class NumberForm:
    """A column of numbers: its type, range, decimals (None: as they come), and how strings of it are written.

    seen: its different numbers, sorted; empty where they are too many. Others are rounded to as many decimals as
        `spread` says these have: the shares of 0, 1, ... decimals, (decimals + 1,).
    """

    dtype: pl.DataType
    low: float
    high: float
    decimals: int | None
    absent: Absent
    seen: Floats
    spread: Floats
    style: tuple[str | None, bool, bool] = (None, False, False)

    @classmethod
    def of(cls, cells: pl.Series, column: Column, values: Floats) -> NumberForm:
        """The form of `cells`, whose values are known (n,), NaN where missing."""
        known = np.isfinite(values)
        seen = values[known]
        levels, counts = np.unique(seen, return_counts=True)
        text = cells.dtype == pl.String
        original = cells.filter(pl.Series(known)).head(_LOOKED_AT).str.strip_chars().to_list() if text else []
        decimals = _decimals(levels)
        if decimals is not None and original:
            decimals = max(decimals, min(_written_decimals(original, column.format), _MOST_DECIMALS))
        spread = np.zeros(0) if decimals is None else _spread(levels, counts, decimals)
        absent = Absent.of(cells.filter(pl.Series(~known)))
        remembered = levels if len(levels) <= _REMEMBERED else np.empty(0)
        form = cls(cells.dtype, float(levels[0]), float(levels[-1]), decimals, absent, remembered, spread)
        styles = [(column.format, fixed, grouped) for fixed in (False, True) for grouped in (False, True)]
        best = max(styles, key=lambda style: _hits(_spelled(seen[: len(original)], decimals, style), original))
        return replace(form, style=best)

    def read(self, cells: pl.Series, column: Column) -> Floats:
        """The numbers, NaN where missing or infinite."""
        values = as_number(cells, column.format)
        return np.where(np.isfinite(values), values, np.nan)

    def write(self, name: str, values: Floats, rng: np.random.Generator) -> pl.Series:
        """Cells of the column's own type: within its range, with its decimals."""
        absent = np.isnan(values)
        inside = np.clip(np.where(absent, self.low, values), self.low, self.high)
        rounded = self._rounded(inside, rng)
        if self.dtype == pl.String:
            written = pl.Series(name, _spelled(rounded, self.decimals, self.style), dtype=pl.String)
        elif self.dtype.is_integer():
            written = pl.Series(name, np.rint(rounded).astype(np.int64)).cast(self.dtype)
        else:
            written = pl.Series(name, rounded).cast(self.dtype)
        return self.absent.into(written, absent, rng)

    def _rounded(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Numbers with decimals as the real ones have them; those that were seen stay as they are."""
        if self.decimals is None:
            return values
        drawn = rng.choice(len(self.spread), len(values), p=self.spread)
        rounded = np.round(values, self.decimals)
        new = ~np.isin(rounded, self.seen)
        for places in range(self.decimals):
            rows = new & (drawn == places)
            rounded[rows] = np.clip(np.round(values[rows], places), self.low, self.high)
        return rounded


@dataclass(frozen=True)
class DateForm:
    """A column of moments (seconds since 1970): its type, range, the step it keeps to, how strings are written."""

    dtype: pl.DataType
    low: float
    high: float
    step: float
    absent: Absent
    pattern: str = ""

    @classmethod
    def of(cls, cells: pl.Series, column: Column, values: Floats) -> DateForm:
        """The form of `cells`, whose moments are known (n,), NaN where missing."""
        known = np.isfinite(values)
        seen = values[known]
        step = next((step for step in _STEPS if not np.any(np.mod(seen, step))), 1e-6)
        absent = Absent.of(cells.filter(pl.Series(~known)))
        form = cls(cells.dtype, float(seen.min()), float(seen.max()), step, absent)
        if cells.dtype != pl.String:
            return form
        original = cells.filter(pl.Series(known)).head(_LOOKED_AT).str.strip_chars().to_list()
        patterns = _ISO if column.format is None else _paddings(column.format)
        best = max(patterns, key=lambda pattern: _hits(_moments(seen[:_LOOKED_AT], pattern), original))
        return replace(form, pattern=best)

    def read(self, cells: pl.Series, column: Column) -> Floats:
        """The moments, NaN where missing."""
        return as_datetime(cells, column.format)

    def write(self, name: str, values: Floats, rng: np.random.Generator) -> pl.Series:
        """Cells of the column's own type: within its range, on its step."""
        absent = np.isnan(values)
        inside = np.clip(np.where(absent, self.low, values), self.low, self.high)
        stepped = np.clip(np.round(inside / self.step) * self.step, self.low, self.high)
        if self.dtype == pl.String:
            written = pl.Series(name, _moments(stepped, self.pattern), dtype=pl.String)
        elif self.dtype == pl.Date:
            written = pl.Series(name, np.floor(stepped / 86_400.0).astype(np.int32)).cast(pl.Date)
        else:
            assert isinstance(self.dtype, pl.Datetime)
            ticks = {"ms": 1e3, "us": 1e6, "ns": 1e9}[self.dtype.time_unit]
            written = pl.Series(name, np.round(stepped * ticks).astype(np.int64)).cast(self.dtype)
        return self.absent.into(written, absent, rng)


@dataclass(frozen=True)
class CodeForm:
    """A column whose cells are taken as they are: categories, booleans, constants, numbers of at most two values.

    cells: the different cells, the most frequent first; null is one of them where cells are missing.
    missing: which of them stand for a missing cell, bool (K,).
    """

    cells: pl.Series
    missing: np.ndarray
    rows: Ints

    @classmethod
    def of(cls, cells: pl.Series) -> CodeForm:
        """The vocabulary of `cells`."""
        counts = pl.DataFrame({"cell": _plain(cells)}).group_by("cell").len()
        words = as_category(counts["cell"]).alias("word")
        counts = counts.with_columns(words).sort("len", "word", "cell", descending=[True, False, False])
        return cls(counts["cell"], counts["word"].is_null().to_numpy(), counts["len"].cast(pl.Int64).to_numpy())

    def read(self, cells: pl.Series) -> Ints:
        """The code of each cell, int64 (n,); the size of the vocabulary for a cell that it does not hold."""
        size = len(self.cells)
        known = pl.DataFrame({"cell": self.cells, "code": np.arange(size, dtype=np.int64)})
        frame = pl.DataFrame({"cell": _plain(cells)})
        joined = frame.join(known, on="cell", how="left", nulls_equal=True, maintain_order="left")
        return joined["code"].fill_null(size).to_numpy(writable=True)

    def write(self, name: str, codes: Ints, dtype: pl.DataType) -> pl.Series:
        """The cells of the codes, in the type that the column had."""
        return self.cells.gather(codes).cast(dtype).alias(name)


def _plain(cells: pl.Series) -> pl.Series:
    """Cells that can be grouped and joined: NaN is missing, categories of Polars are words."""
    if cells.dtype.is_float():
        return cells.fill_nan(None).alias("cell")
    return cells.cast(pl.String).alias("cell") if isinstance(cells.dtype, pl.Categorical | pl.Enum) else cells


def _decimals(values: Floats) -> int | None:
    """Decimal places that all values keep to; None where they have more than `_MOST_DECIMALS`."""
    scale = np.maximum(np.abs(values), 1.0)
    return next((d for d in range(_MOST_DECIMALS + 1) if np.all(np.abs(np.round(values, d) - values) <= 1e-12 * scale)),
                None)  # fmt: skip


def _spread(levels: Floats, counts: Ints, decimals: int) -> Floats:
    """The shares of numbers with 0, 1, ... decimals, (decimals + 1,)."""
    scale = np.maximum(np.abs(levels), 1.0)
    least = np.full(len(levels), decimals)
    for places in range(decimals - 1, -1, -1):
        least[np.abs(np.round(levels, places) - levels) <= 1e-12 * scale] = places
    return np.asarray(np.bincount(least, counts, decimals + 1) / counts.sum(), np.float64)


def _spelled(values: Floats, decimals: int | None, style: tuple[str | None, bool, bool]) -> list[str]:
    """Numbers as strings: in a number format, with fixed decimals or without idle zeros, thousands parted or not."""
    written, fixed, grouped = style
    comma = "," if grouped and written in (COMMA_GROUPS, DECIMAL_COMMA) else ""
    if decimals is None:
        texts = [f"{value:{comma}}" for value in values.tolist()]
    else:
        texts = [f"{value:{comma}.{decimals}f}" for value in values.tolist()]
        if not fixed:
            texts = [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    return [text.translate(str.maketrans(",.", ".,")) for text in texts] if written == DECIMAL_COMMA else texts


def _written_decimals(texts: Sequence[str], style: str | None) -> int:
    """Digits after the decimal sign of the number that has most."""
    sign = "," if style == DECIMAL_COMMA else "."
    return max(len(text.partition(sign)[2]) if "e" not in text.lower() else 0 for text in texts)


def _paddings(pattern: str) -> Sequence[str]:
    """A strptime pattern with days, months and hours of two digits, and of as many as they need."""
    bare = pattern
    for part in "dmHI":
        bare = bare.replace(f"%{part}", f"%-{part}")
    dates = pattern.replace("%d", "%-d").replace("%m", "%-m")
    return tuple(dict.fromkeys((pattern, dates, bare)))


def _moments(values: Floats, pattern: str) -> list[str]:
    moments = pl.Series(np.round(values * 1e6).astype(np.int64)).cast(pl.Datetime("us"))
    return moments.dt.strftime(pattern).to_list()


def _hits(written: Sequence[str], original: Sequence[str]) -> int:
    return sum(a == b for a, b in zip(written, original, strict=True))
