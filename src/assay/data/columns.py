"""The one reading of cells, for training and for predicting, so that the two cannot differ.

Every function takes a column as it was read - whatever its Polars type - and gives it in the one form of its kind:
numbers and moments as float64, words as text. It needs NumPy and Polars alone, because serving runs it on single rows:
short columns go cell by cell through plain Python, long ones through Polars, with the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from assay.data.stored import Columns

#: Casefolded spellings that count as missing in every column.
MISSING_SPELLINGS: Final = frozenset(
    {"", "?", "-", "--", "---", ".", "..", "...", "na", "n/a", "n.a.", "n.a", "#n/a", "#n/a n/a", "#na", "<na>", "nan"}
    | {"-nan", "nat", "null", "nul", "nil", "missing", "(missing)", "(null)", "<null>", "#null!", "\\n", "[null]"}
)

#: Spellings that are a legitimate category but count as missing among numbers and dates.
NUMERIC_MISSING_SPELLINGS: Final = MISSING_SPELLINGS | {"none", "unknown", "#div/0!", "#value!", "#num!", "#ref!"}

#: Number formats of `as_number`: the comma groups thousands, or is the decimal sign.
COMMA_GROUPS: Final = "1,234.5"
DECIMAL_COMMA: Final = "1.234,5"

#: Below this many cells a Python loop is quicker than one Polars expression.
_SHORT: Final = 64

#: From so many cells on it is worth looking whether there are few different ones.
_LONG: Final = 10_000

# Named one by one, because Python and Polars disagree on which characters are blanks.
_BLANKS: Final = " \t\n\r\f\v\u00a0\u1680\u2007\u2009\u202f\u3000\ufeff"

_PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.I | re.A)
_COMMA_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.A)
_DECIMAL_COMMA: Final = re.compile(
    r"[+-]?(?:\d{1,3}(?:[.\u00a0\u202f ']\d{3})+|\d*)(?:,\d*)?(?:e[+-]?\d+)?", re.I | re.A
)
_WHOLE_FLOAT: Final = r"^(-?[1-9][0-9]*|0)\.0+$"
_WHOLE_FLOAT_CELL: Final = re.compile(_WHOLE_FLOAT)

#: Mixes the hashes of a row's columns, so that their order counts (the golden ratio in 64 bits).
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)

_TRUE_WORDS: Final = frozenset({"true", "yes", "y", "t", "on", "1", "1.0"})
_FALSE_WORDS: Final = frozenset({"false", "no", "n", "f", "off", "0", "0.0"})

_TEXTUAL: Final = (pl.String, pl.Categorical, pl.Enum)
_TEMPORAL: Final = (pl.Date, pl.Datetime)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def missing_counts(series: pl.Series, *, numeric: bool = False) -> dict[str, int]:
    """How often each spelling of "missing" stands in a column of strings, as written; empty cells are not among them.

    `numeric` adds the spellings that are missing only among numbers and dates, such as `none`. Other types have none.
    """
    if not isinstance(series.dtype, _TEXTUAL):
        return {}
    known = NUMERIC_MISSING_SPELLINGS if numeric else MISSING_SPELLINGS
    bare = pl.col("cell").str.strip_chars(_BLANKS).str.to_lowercase()
    found = (
        pl.DataFrame({"cell": series.cast(pl.String)})
        .filter(bare.is_in(sorted(known)))
        .group_by("cell")
        .len()
        .sort("len", "cell", descending=[True, False])
    )
    return dict(zip(found["cell"].to_list(), found["len"].to_list(), strict=True))


def as_number(series: pl.Series, format: str | None) -> np.ndarray:  # noqa: A002  # the Schema's word for it
    """The column as float64, shape (n,); NaN where a cell is missing or no number.

    Args:
        series: cells of any type; dates become seconds since 1970.
        format: None for plain numbers, `1,234.5` where the comma groups thousands, `1.234,5` for a decimal comma.
    """
    if isinstance(series.dtype, _TEMPORAL):
        return as_datetime(series, None)
    if not isinstance(series.dtype, _TEXTUAL):
        return _float64(series)
    series = _strings(series)
    if format is not None:
        return _through_distinct(series, _number_reader(format))
    numbers = series.cast(pl.Float64, strict=False)
    values = _float64(numbers)
    if numbers.null_count() == series.null_count():
        return values
    # What the cast left out is missing, or has blanks around it.
    left = np.isnan(values)
    values[left] = _through_distinct(series.filter(pl.Series(left)), _plain_number)
    return values


def as_category(series: pl.Series) -> pl.Series:
    """The column as text in its one canonical spelling; null where a cell is missing.

    Words are stripped of blanks; whole numbers are written without a decimal point whatever type they were read as, so
    that `3`, `3.0` and the string "3.0" are one category; booleans are `true` and `false`, dates ISO 8601.
    """
    if isinstance(series.dtype, _TEXTUAL):
        return _canonical_words(_strings(series))
    if series.dtype.is_float() or series.dtype.is_decimal():
        return _canonical_floats(series)
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.to_string("iso:strict")
    return _strings(series)


def category_counts(series: pl.Series) -> pl.DataFrame:
    """The rows of each category, the most frequent first, ties by their text: columns `category` and `rows`."""
    # Spelt alike after they are counted: there are fewer spellings than cells.
    raw = series.alias("cell").drop_nulls().value_counts(name="rows")
    named = pl.DataFrame([as_category(raw["cell"]).alias("category"), raw["rows"]]).drop_nulls()
    counts = named.group_by("category").agg(pl.col("rows").sum())
    return counts.sort(["rows", "category"], descending=[True, False])


def category_cells(series: pl.Series) -> list[str | None]:
    """The cells of `as_category` as a list; of strings it is made directly, which at any length is quicker."""
    if series.dtype == pl.String:
        return [None if cell is None else _canonical_word(cell) for cell in series.to_list()]
    return as_category(series).to_list()


def as_boolean(series: pl.Series) -> np.ndarray:
    """The column as 1.0, 0.0 and NaN (missing or no boolean), shape (n,).

    Takes booleans, the numbers 0 and 1, and in any case the words true/false, yes/no, y/n, t/f, on/off.
    """
    if isinstance(series.dtype, _TEXTUAL):
        return _through_distinct(_strings(series), _boolean_word)
    values = _float64(series)
    values[(values != 0.0) & (values != 1.0)] = np.nan
    return values


def as_datetime(series: pl.Series, format: str | None) -> np.ndarray:  # noqa: A002  # the Schema's word for it
    """The column as seconds since 1970-01-01 UTC, float64, shape (n,); NaN where missing or no moment.

    Args:
        series: dates, datetimes (without a zone they count as UTC) or strings; anything else has no moments.
        format: a strptime pattern of numeric parts such as `%d.%m.%Y %H:%M`, or None for ISO 8601.
    """
    if isinstance(series.dtype, pl.Date):
        return _float64(series.cast(pl.Int32)) * 86_400.0
    if isinstance(series.dtype, pl.Datetime):
        per_second = {"ms": 1e3, "us": 1e6, "ns": 1e9}[series.dtype.time_unit]
        return _float64(series.cast(pl.Int64)) / per_second
    if not isinstance(series.dtype, _TEXTUAL):
        return np.full(len(series), np.nan)
    series = _strings(series)
    if len(series) <= _SHORT:
        return _through_distinct(series, _moment_reader(format))
    return _moments_of_long(series, format)


def as_text(series: pl.Series) -> pl.Series:
    """The column as text stripped of blanks; "" where a cell is missing."""
    texts = as_category(series)
    if texts.null_count() == 0:
        return texts
    if len(texts) <= _SHORT:
        return pl.Series(texts.name, [text or "" for text in texts.to_list()], dtype=pl.String)
    return texts.fill_null("")


def row_groups(frame: Columns, *more: pl.Series) -> np.ndarray:
    """Numbers that are equal exactly where rows are equal: int64, shape (n,), dense, in order of first occurrence.

    Missing cells equal each other, as do NaN. Rows are grouped by a 64-bit hash, and every row is then compared with
    the first of its group column by column, so that a collision of hashes cannot join different rows. One column is
    looked at at a time; memory stays at a few numbers a row.

    Args:
        frame: columns of the rows.
        more: further columns of them.
    """
    # A frame without columns has no height of its own.
    hashes = np.zeros(len(more[0]) if more else frame.height, dtype=np.uint64)
    return groups_of_hashes(hashes_with(hashes, _each(frame, more)), frame, *more)


def hashes_with(hashes: np.ndarray, columns: Iterable[pl.Series]) -> np.ndarray:
    """Hashes of rows, uint64 (n,), as they become with more columns; rows without any have the hash 0."""
    hashes = hashes.copy()
    for column in columns:
        hashes *= _ODD
        hashes += column.hash(seed=0).to_numpy()
    return hashes


def groups_of_hashes(hashes: np.ndarray, frame: Columns, *more: pl.Series) -> np.ndarray:
    """`row_groups`, given a hash of each row that equal rows share; collisions are found and undone."""
    first = np.arange(len(hashes))
    # Most rows of most tables are alone with their hash, which sorted numbers tell quickest.
    ordered = np.sort(hashes)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(shared):
        return first
    alike = np.flatnonzero(pl.Series(hashes).is_in(pl.Series(shared).implode()).to_numpy())
    first[alike] = alike[_first_positions(pl.Series(hashes[alike]))]
    repeats = alike[first[alike] != alike]
    equal = np.ones(len(repeats), dtype=bool)
    for column in _each(frame, more):
        pairs = column.gather(first[repeats]).eq_missing(column.gather(repeats))
        equal &= pairs.to_numpy()
    if not equal.all():
        collided = np.flatnonzero(np.isin(first, np.unique(first[repeats[~equal]])))
        cells = [column.gather(collided) for column in _each(frame, more)]
        first[collided] = collided[_first_of_equal_rows(pl.DataFrame(cells))]
    numbers = np.cumsum(first == np.arange(len(first)), dtype=np.int64) - 1
    return np.asarray(numbers[first], dtype=np.int64)


def repeats_of(groups: np.ndarray) -> np.ndarray:
    """Positions of the rows that equal an earlier one, ascending, given `row_groups`."""
    return np.flatnonzero(groups[1:] <= np.maximum.accumulate(groups)[:-1]) + 1


def _each(frame: Columns, more: tuple[pl.Series, ...]) -> Iterator[pl.Series]:
    """The columns, one at a time."""
    yield from (frame[name] for name in frame.columns)
    yield from more


def _first_positions(keys: pl.Series) -> np.ndarray:
    """For each key the position where it stands first, int64, shape (n,)."""
    table = pl.DataFrame({"key": keys, "at": np.arange(len(keys), dtype=np.int64)})
    return table.select(pl.col("at").min().over("key"))["at"].to_numpy(writable=True)


def _first_of_equal_rows(frame: pl.DataFrame) -> np.ndarray:
    """For each row the position of the first row equal to it, by comparison of the cells themselves; for few rows."""
    seen: dict[tuple[object, ...], int] = {}
    rows = (tuple(_comparable(cell) for cell in row) for row in frame.iter_rows())
    return np.array([seen.setdefault(row, at) for at, row in enumerate(rows)], dtype=np.int64)


def _comparable(cell: object) -> object:
    """A cell that equals those it is to equal: NaN equals NaN, also in a list."""
    if isinstance(cell, list):
        return tuple(map(_comparable, cell))
    return "nan" if cell != cell else (cell,)


def _float64(series: pl.Series) -> np.ndarray:
    """Numbers of any type as float64 that may be written to; NaN where null or not convertible."""
    if len(series) <= _SHORT and (series.dtype.is_integer() or series.dtype.is_float()):
        return np.array(series.to_list(), dtype=np.float64)  # None becomes NaN
    if series.dtype.is_nested() or series.dtype == pl.Object or series.dtype == pl.Binary:
        return np.full(len(series), np.nan)
    if isinstance(series.dtype, pl.Duration | pl.Time):
        series = series.cast(pl.Int64)
    return series.cast(pl.Float64, strict=False).to_numpy(writable=True)


def _strings(series: pl.Series) -> pl.Series:
    """Cells of any type as strings, null where null."""
    if series.dtype == pl.String:
        return series
    if series.dtype.is_nested() or series.dtype == pl.Object or isinstance(series.dtype, pl.Duration):
        cells = [None if cell is None else str(cell) for cell in series.to_list()]
        return pl.Series(series.name, cells, dtype=pl.String)
    return series.cast(pl.String, strict=False)


def _canonical_words(series: pl.Series) -> pl.Series:
    if len(series) <= _SHORT:
        return pl.Series(series.name, category_cells(series), dtype=pl.String)
    if len(series) >= _LONG:
        distinct = series.unique()
        if len(distinct) * 4 < len(series):
            return series.replace_strict(distinct, _canonical_words_each(distinct), return_dtype=pl.String)
    return _canonical_words_each(series)


def _canonical_words_each(series: pl.Series) -> pl.Series:
    bare = pl.col("cell").str.strip_chars(_BLANKS)
    missing = bare.str.to_lowercase().is_in(sorted(MISSING_SPELLINGS))
    word = pl.when(~missing).then(bare.str.replace(_WHOLE_FLOAT, "$1"))
    return pl.DataFrame({"cell": series}).select(word)["cell"].alias(series.name)


def _canonical_word(cell: str) -> str | None:
    word = cell.strip(_BLANKS)
    if word.lower() in MISSING_SPELLINGS:
        return None
    return _WHOLE_FLOAT_CELL.sub(r"\1", word) if word.endswith("0") and "." in word else word


def _canonical_floats(series: pl.Series) -> pl.Series:
    """Whole numbers as integers, others in the fewest digits of their own precision; NaN is missing."""
    if series.dtype.is_decimal():
        series = series.cast(pl.Float64)
    values = _float64(series)
    whole = (np.trunc(values) == values) & (np.abs(values) < 2**53)
    present = ~np.isnan(values)
    if len(series) <= _SHORT:
        rows = zip(values.tolist(), series.cast(pl.String).to_list(), whole.tolist(), present.tolist(), strict=True)
        words = [
            (str(int(value)) if is_whole else text) if is_there else None for value, text, is_whole, is_there in rows
        ]
        return pl.Series(series.name, words, dtype=pl.String)
    integers = pl.Series(np.where(whole, values, 0.0)).cast(pl.Int64).cast(pl.String)
    table = pl.DataFrame({"text": series.cast(pl.String), "integer": integers, "whole": whole, "present": present})
    word = pl.when("whole").then("integer").otherwise("text")
    return table.select(pl.when("present").then(word).alias("word"))["word"].alias(series.name)


def _through_distinct(series: pl.Series, read: Callable[[str], float]) -> np.ndarray:
    """`read` of every cell as float64, NaN where null; a long column has each distinct cell read once."""
    if len(series) <= _SHORT:
        return np.array([np.nan if cell is None else read(cell) for cell in series.to_list()], dtype=np.float64)
    distinct = series.unique().drop_nulls()
    values = pl.Series([read(cell) for cell in distinct.to_list()], dtype=pl.Float64)
    if len(distinct) == 0:
        return np.full(len(series), np.nan)
    return _float64(series.replace_strict(distinct, values, default=None, return_dtype=pl.Float64))


def _plain_number(cell: str) -> float:
    bare = cell.strip(_BLANKS)
    return float(bare) if _PLAIN_NUMBER.fullmatch(bare) else np.nan


def _comma_grouped_number(cell: str) -> float:
    bare = cell.strip(_BLANKS)
    return float(bare.replace(",", "")) if _COMMA_GROUPED.fullmatch(bare) else _plain_number(bare)


def _decimal_comma_number(cell: str) -> float:
    bare = cell.strip(_BLANKS)
    if not _DECIMAL_COMMA.fullmatch(bare):
        return _plain_number(bare) if "inf" in bare.lower() else np.nan
    return _plain_number(re.sub(r"[.\u00a0\u202f ']", "", bare).replace(",", "."))


def _number_reader(format: str) -> Callable[[str], float]:  # noqa: A002
    readers = {COMMA_GROUPS: _comma_grouped_number, DECIMAL_COMMA: _decimal_comma_number}
    if format not in readers:
        raise ValueError(f"number format {format!r} is none of {sorted(readers)}")
    return readers[format]


def _boolean_word(cell: str) -> float:
    word = cell.strip(_BLANKS).lower()
    if word in _TRUE_WORDS:
        return 1.0
    return 0.0 if word in _FALSE_WORDS else np.nan


_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK: Final = r"(?P<H>[01]?\d|2[0-3]):(?P<M>[0-5]\d)(?::(?P<S>[0-5]\d)(?:[.,](?P<f>\d{1,9}))?)?"
_ISO: Final = re.compile(
    r"(?P<Y>\d{4})-(?P<m>\d{1,2})"
    rf"(?:-(?P<d>\d{{1,2}})(?:[T ]{_CLOCK}\s?(?P<z>Z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)?)?)?",
    re.I | re.A,
)
_PARTS: Final = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": rf"(?P<b>{'|'.join(_MONTHS)})[a-z]*\.?",
    "H": r"(?P<H>[01]?\d|2[0-3])",
    "I": r"(?P<I>0?[1-9]|1[0-2])",
    "M": r"(?P<M>[0-5]\d)",
    "S": r"(?P<S>[0-5]\d)",
    "p": r"(?P<p>[ap])\.?m\.?",
}


@lru_cache(maxsize=64)
def _moment_pattern(format: str | None) -> re.Pattern[str]:  # noqa: A002
    """The regular expression of a strptime pattern; its groups carry the letters of the parts."""
    if format is None:
        return _ISO
    pieces = re.split(r"%(.)", format)
    if unknown := [part for part in pieces[1::2] if part not in _PARTS]:
        raise ValueError(f"date format {format!r} has the part %{unknown[0]}; known: {', '.join(_PARTS)}")
    texts = (_PARTS[piece] if at % 2 else re.escape(piece) for at, piece in enumerate(pieces))
    return re.compile("".join(texts), re.I | re.A)


def _moment_reader(format: str | None) -> Callable[[str], float]:  # noqa: A002
    pattern = _moment_pattern(format)

    def read(cell: str) -> float:
        match = pattern.fullmatch(cell.strip(_BLANKS))
        return np.nan if match is None else _seconds(match.groupdict())

    return read


def _seconds(parts: dict[str, str | None]) -> float:
    """Seconds since 1970 of the parts of a date; NaN where there is no such day, such as 30 February."""
    said = {letter: text for letter, text in parts.items() if text is not None}
    year = int(said["Y"]) if "Y" in said else _full_year(int(said["y"]))
    month = int(said["m"]) if "m" in said else _MONTHS.index(said["b"].lower()) + 1
    hour = int(said.get("H", "0"))
    if "p" in said:
        hour = int(said["I"]) % 12 + (12 if said["p"].lower() == "p" else 0)
    try:
        moment = datetime(
            year, month, int(said.get("d", "1")), hour, int(said.get("M", "0")), int(said.get("S", "0")), tzinfo=UTC
        )
    except ValueError:
        return np.nan
    return (moment - _EPOCH - _offset(said.get("z"))).total_seconds() + float(f"0.{said.get('f', '0')}")


def _full_year(year: int) -> int:
    """POSIX: 69-99 are of the 20th century, 00-68 of the 21st."""
    return year + (1900 if year >= 69 else 2000)


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone.upper() in {"Z", "UTC"}:
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if zone[0] == "-" else size


def _moments_of_long(series: pl.Series, format: str | None) -> np.ndarray:  # noqa: A002
    """The moments of many strings: the usual spellings through Polars, the rest one distinct cell at a time."""
    usual = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S") if format is None else (format,)
    # Polars reads two-digit years, month names and signs in its own way, so only cells of digits and marks go to it.
    quick = [form for form in usual if not re.search(r"%[^YmdHMS]", form)]
    values = np.full(len(series), np.nan)
    left = series.is_not_null()
    for form in quick:
        shape = "^" + re.sub(r"\(\?P<.>", "(?:", _moment_pattern(form).pattern).replace(r"\d", "[0-9]") + "$"
        cells = series.set(~(left & series.str.contains(shape)), None)
        moments = cells.str.to_datetime(form, time_unit="us", strict=False, exact=True)
        read = moments.is_not_null()
        values[read.to_numpy()] = _float64(moments.filter(read).cast(pl.Int64)) / 1e6
        left = left & ~read
    if left.any():
        values[left.to_numpy()] = _through_distinct(series.filter(left), _moment_reader(format))
    return values
