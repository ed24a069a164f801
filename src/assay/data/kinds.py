"""The kind of a column: from its cells, with the reason in words, or as the user says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assay.data.columns import (
    COMMA_GROUPS,
    DECIMAL_COMMA,
    NUMERIC_MISSING_SPELLINGS,
    as_boolean,
    as_category,
    as_datetime,
    as_number,
    missing_counts,
)
from assay.data.schema import Column, Kind
from assay.data.steps import is_missing, is_series, steps_of
from assay.data.stored import Columns
from assay.errors import DataError

#: Distinct cells that a format is guessed from; the guess is then checked on all of them.
_SAMPLE: Final = 500
#: Share of cells that must fit a format, where the rest are counted as unparsed.
_FITTING: Final = 0.9
#: A column of fewer distinct numbers with words among them is taken as categories.
_NUMBERS_AMONG_WORDS: Final = 20
#: Share of distinct cells from which a column of single words names its rows, and rows from which that can be told.
_NAMING: Final = 0.95
_NAMING_ROWS: Final = 20

#: Rows, and distinct cells among so many rows, up to which the distinct cells are counted and not estimated.
_COUNTED_ROWS: Final = 1_000_000
_COUNTED_DISTINCT: Final = 10_000

#: Rows up to which a Python loop over a column is quicker than Polars.
_FEW_ROWS: Final = 1000
_COUNTED: Final = {"cell": pl.String(), "len": pl.UInt32()}

_ID_NAME: Final = re.compile(
    r"(?:.*[_\s.\-])?(?:id|ids|uuid|guid|key|index|idx|row|rownum|rowid|row_?number|rownames?)|unnamed:? ?0", re.I
)
_ID_SUFFIX: Final = re.compile(r".*[a-z](?:ID|Id|UUID|Key)")
_BOOLEAN_PAIRS: Final = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"on", "off"})
_PICTURE: Final = re.compile(r"\.(?:png|jpe?g|jpe|jfif|webp|bmp|tiff?|gif)$|::(?:[^:]+::)?\d+$", re.I)
_DATE_LIKE: Final = re.compile(
    r"\s*(?:\d{1,4}[-/.]\d{1,2}[-/.]\d|\d{4}-\d{2}\b|\d{8}\b|\d{1,2}[ -][a-z]{3}|[a-z]{3,9}\.? \d)", re.I
)

_DAYS: Final = (
    *("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
)
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATE_FORMATS: Final = (None, *(day + clock for day in _DAYS for clock in _CLOCKS), "%Y%m%d")
#: Formats that read the same cells differently: the pair and its name.
_DAY_OR_MONTH: Final = (("%m/%d", "%d/%m"), ("%m-%d", "%d-%m"))


@dataclass(frozen=True)
class _Words:
    """The distinct strings of a column that are not missing, in order of first occurrence, and the rows each stands in.

    `missing` counts rows without a value (empty, or spelled as in `spellings`), `rows` all rows.
    """

    cells: pl.Series
    counts: np.ndarray
    missing: int
    spellings: dict[str, int]
    rows: int

    @property
    def present(self) -> int:
        return self.rows - self.missing

    def rows_where(self, mask: np.ndarray) -> int:
        return int(self.counts[mask].sum())


@dataclass(frozen=True)
class _Fit:
    """How well a format reads a column: the distinct cells it reads, and the share of the rows."""

    format: str | None
    read: np.ndarray
    share: float


def distinct_counts(frame: Columns) -> dict[str, int]:
    """Distinct cells of each column, missing ones not counted; 0 for columns of strings, which are counted elsewhere.

    In tables of more than a million rows a count above ten thousand is an estimate (HyperLogLog, about 1 %), which is
    ten times quicker and enough to tell the kind.
    """
    counts = dict.fromkeys(frame.columns, 0)
    for name in counts:
        series = frame[name]
        if series.dtype != pl.String:
            cells = _present(series)
            counts[name] = cells.n_unique() if len(cells) <= _COUNTED_ROWS else _about_distinct(cells)
    return counts


def _about_distinct(cells: pl.Series) -> int:
    about = cells.approx_n_unique()
    assert isinstance(about, int)
    return about if about > _COUNTED_DISTINCT else cells.n_unique()


def _present(series: pl.Series) -> pl.Series:
    """The cells that are neither null nor NaN; the series with a step."""
    if is_series(series.dtype):
        return series.filter(pl.Series(~is_missing(series)))
    if series.dtype.is_float() and np.isnan(series.to_numpy()).any():
        series = series.fill_nan(None)
    return series.drop_nulls() if series.null_count() else series


def infer_column(series: pl.Series, distinct: int, hint: Kind | None, decimal: str | None) -> Column:
    """What a column holds.

    Args:
        series: the whole column, cells as read.
        distinct: its distinct cells, missing ones not counted; of a column of strings it is counted here.
        hint: the kind that the user gives it.
        decimal: the decimal sign that the file seems to have.

    Raises:
        DataError: most cells are not of the kind that the user gives.
    """
    if hint is not None:
        return _hinted(series, distinct, hint, decimal)
    if series.dtype == pl.String:
        return _of_words(series, _words_of(series), decimal)
    if series.dtype == pl.Binary:
        return _of_pictures(series, distinct)
    return _of_lists(series, distinct) if is_series(series.dtype) else _of_typed(series, distinct)


def _of_pictures(series: pl.Series, distinct: int) -> Column:
    """A column of the bytes of pictures, see `data/pictures/cells.py`."""
    return Column(
        name=series.name, kind=Kind.IMAGE, dtype=str(series.dtype), reason="image because its cells are pictures",
        distinct=distinct, missing=series.null_count(),
    )  # fmt: skip


def _of_lists(series: pl.Series, distinct: int) -> Column:
    """A column of lists of numbers, each of them a series."""
    steps = steps_of(series)
    missing = int((steps.known == 0).sum())
    kind, reason = Kind.CONSTANT, _constant_reason(distinct, missing)
    if distinct > 1:
        lengths = steps.lengths[steps.known > 0]
        shortest, longest = int(lengths.min()), int(lengths.max())
        said = (
            f"{longest} step{'s' if longest > 1 else ''}" if shortest == longest else f"{shortest} to {longest} steps"
        )
        kind, reason = Kind.SEQUENCE, f"sequence because each cell is a list of numbers, {said}"
    return Column(
        name=series.name, kind=kind, dtype=str(series.dtype), reason=reason, distinct=distinct, missing=missing
    )


def _of_typed(series: pl.Series, distinct: int) -> Column:
    """A column that was read as numbers, booleans or dates."""
    rows = len(series)
    missing = int(np.isnan(series.to_numpy()).sum()) if series.dtype.is_float() else series.null_count()
    kind, reason = _kind_of_typed(series, distinct, rows, missing)
    return Column(
        name=series.name, kind=kind, dtype=str(series.dtype), reason=reason, distinct=distinct, missing=missing
    )


def _kind_of_typed(series: pl.Series, distinct: int, rows: int, missing: int) -> tuple[Kind, str]:
    if distinct <= 1:
        return Kind.CONSTANT, _constant_reason(distinct, missing)
    if series.dtype == pl.Boolean:
        return Kind.BOOLEAN, "boolean because all values are true or false"
    if series.dtype.is_temporal():
        return Kind.DATETIME, "datetime because the column was read as dates"
    if series.dtype.is_integer():
        if _names_rows(series.name, distinct, rows - missing):
            return Kind.ID, f"id because of its name, with {distinct} distinct integers in {rows} rows"
        if missing == 0 and rows >= _NAMING_ROWS and _counts_up(series):
            return Kind.ID, "id because it counts the rows"
        if distinct == 2 and series.min() == 0 and series.max() == 1:
            return Kind.NUMBER, "number because all values are integers (0 and 1, which a network takes as they are)"
        return Kind.NUMBER, f"number because all values are integers, {distinct} distinct"
    return Kind.NUMBER, f"number because all values are numbers, {distinct} distinct"


def _constant_reason(distinct: int, missing: int) -> str:
    if distinct == 0:
        return "constant because every cell is missing"
    return "constant because there is one value" + (f" beside {missing} missing cells" if missing else "")


def _names_rows(name: str, distinct: int, present: int) -> bool:
    """Whether the column is called an id and behaves as one."""
    called = _ID_NAME.fullmatch(name) is not None or _ID_SUFFIX.fullmatch(name) is not None
    return called and distinct >= _NAMING * present and distinct > 2


def _counts_up(series: pl.Series) -> bool:
    if not (series[0] in (0, 1) and series[1] == series[0] + 1):
        return False
    return bool(np.all(np.diff(series.to_numpy()) == 1))


def _words_of(series: pl.Series) -> _Words:
    if len(series) <= _FEW_ROWS:
        counter = Counter(cell for cell in series.to_list() if cell is not None)
        counted = pl.DataFrame({"cell": list(counter), "len": list(counter.values())}, schema=_COUNTED)
    else:
        counted = pl.DataFrame({"cell": series.drop_nulls()}).group_by("cell", maintain_order=True).len()
    words = counted
    if (names := as_category(counted["cell"])).null_count():
        words = counted.filter(names.is_not_null())
    spellings = missing_counts(series) if len(words) < len(counted) else {}
    missing = series.null_count() + sum(spellings.values())
    return _Words(words["cell"], words["len"].to_numpy(), missing, spellings, len(series))


def _of_words(series: pl.Series, words: _Words, decimal: str | None) -> Column:
    """A column of strings: numbers or dates in disguise, booleans, categories, free text, or names of the rows."""
    distinct = as_category(words.cells).n_unique() if len(words.cells) else 0
    if distinct <= 1:
        return _words_column(series, words, Kind.CONSTANT, _constant_reason(distinct, words.missing), distinct)
    if (fit := _number_fit(words, decimal)) is not None:
        return _number_column(series, words, fit)
    if (share := _share_of_pictures(words)) >= _FITTING:
        reason = f"image because {share:.0%} of its cells name pictures"
        return _words_column(series, words, Kind.IMAGE, reason, distinct)
    lowered = {str(name).lower() for name in as_category(words.cells.head(9)).to_list()}
    if lowered in _BOOLEAN_PAIRS:
        pair = " and ".join(repr(word) for word in sorted(lowered))
        return _words_column(series, words, Kind.BOOLEAN, f"boolean because its values are {pair}", distinct)
    if (moments := _date_fit(words)) is not None:
        return _date_column(series, words, moments)
    kind, reason = _kind_of_words(series.name, words, distinct)
    return _words_column(series, words, kind, reason, distinct)


def _share_of_pictures(words: _Words) -> float:
    """Share of the cells looked at that name a picture: a file of its kind, or a place within an archive or array."""
    sample = words.cells.head(_SAMPLE).to_list()
    return sum(_PICTURE.search(cell) is not None for cell in sample) / len(sample)


def _words_column(
    series: pl.Series,
    words: _Words,
    kind: Kind,
    reason: str,
    distinct: int,
    format: str | None = None,  # noqa: A002
    unparsed: int = 0,
) -> Column:
    return Column(
        name=series.name,
        kind=kind,
        dtype="String",
        reason=reason,
        format=format,
        distinct=distinct,
        missing=words.missing,
        missing_spellings=words.spellings,
        unparsed=unparsed,
    )


def _kind_of_words(name: str, words: _Words, distinct: int) -> tuple[Kind, str]:
    sample = words.cells.head(_SAMPLE).to_list()
    length = sum(map(len, sample)) / len(sample)
    count = sum(len(cell.split()) for cell in sample) / len(sample)
    share = distinct / words.present
    said = f"{distinct} distinct {'words' if count < 1.5 else 'phrases'} in {words.rows} rows"
    if (count >= 4 and distinct > 50 and share > 0.2) or (length > 50 and count >= 4 and share > 0.05):
        return (
            Kind.TEXT,
            f"text because of {count:.0f} words a cell on average, in {said}",
        )
    if words.present >= _NAMING_ROWS and share >= _NAMING:
        if count >= 2:
            return Kind.TEXT, f"text because nearly all of its {words.present} cells differ and hold several words"
        return Kind.ID, f"id because nearly all of its cells differ: {said}"
    if _names_rows(name, distinct, words.present):
        return Kind.ID, f"id because of its name, with {said}"
    return Kind.CATEGORY, f"category because {said}"


def _number_formats(decimal: str | None) -> tuple[str | None, ...]:
    """The number formats in the order of preference; `decimal` is the decimal sign that the file seems to have."""
    return (None, DECIMAL_COMMA, COMMA_GROUPS) if decimal == "," else (None, COMMA_GROUPS, DECIMAL_COMMA)


def _number_fit(words: _Words, decimal: str | None) -> _Fit | None:
    """The number format that reads all words, or nearly all of many; None where they are no numbers."""
    sample = words.cells.head(_SAMPLE)
    hopeful = [form for form in _number_formats(decimal) if np.isfinite(as_number(sample, form)).mean() >= 0.5]
    fits = [_fit(words, as_number(words.cells, form), form) for form in hopeful]
    return _good_enough(words, fits)


def _fit(words: _Words, values: np.ndarray, format: str | None) -> _Fit:  # noqa: A002
    read = ~np.isnan(values)
    return _Fit(format, read, words.rows_where(read) / words.present)


def _best_of(fits: list[_Fit]) -> _Fit:
    return max(fits, key=lambda fit: fit.share)


def _good_enough(words: _Words, fits: list[_Fit]) -> _Fit | None:
    """The best fit if it reads every cell, or nearly every cell and many different ones."""
    if not fits:
        return None
    best = _best_of(fits)
    if not best.read.any():
        return None
    whole = words.rows_where(best.read | _numeric_missing(words)) == words.present
    many = best.share >= _FITTING and int(best.read.sum()) > _NUMBERS_AMONG_WORDS
    return best if whole or many else None


def _numeric_missing(words: _Words) -> np.ndarray:
    """The words that mean missing among numbers and dates, such as "none"."""
    names = as_category(words.cells).to_list()
    return np.array([str(name).lower() in NUMERIC_MISSING_SPELLINGS for name in names], dtype=bool)


def _with_numeric_missing(words: _Words) -> _Words:
    absent = _numeric_missing(words)
    if not absent.any():
        return words
    more = dict(zip(words.cells.filter(pl.Series(absent)).to_list(), words.counts[absent].tolist(), strict=True))
    kept = words.cells.filter(pl.Series(~absent))
    return _Words(kept, words.counts[~absent], words.missing + sum(more.values()), words.spellings | more, words.rows)


def _number_column(series: pl.Series, words: _Words, fit: _Fit) -> Column:
    words_left = _with_numeric_missing(words)
    numbers = as_number(words_left.cells, fit.format)
    distinct = len(np.unique(numbers[~np.isnan(numbers)]))
    unparsed = words_left.rows_where(np.isnan(numbers))
    if distinct <= 1:
        kind, reason = Kind.CONSTANT, _constant_reason(distinct, words_left.missing)
    elif unparsed == 0 and _names_rows(series.name, distinct, words_left.present):
        kind, reason = Kind.ID, f"id because of its name, with {distinct} distinct numbers in {words.rows} rows"
    else:
        kind, reason = Kind.NUMBER, _number_reason(words_left, fit, numbers, unparsed)
    return _words_column(series, words_left, kind, reason, distinct, fit.format, unparsed)


def _number_reason(words: _Words, fit: _Fit, numbers: np.ndarray, unparsed: int) -> str:
    style = {COMMA_GROUPS: " with commas between thousands", DECIMAL_COMMA: " with a decimal comma", None: ""}
    if unparsed == 0:
        return f"number because all values are numbers{style[fit.format]}"
    examples = words.cells.filter(pl.Series(np.isnan(numbers))).head(3).to_list()
    return (
        f"number because {words.present - unparsed} of {words.present} values are numbers{style[fit.format]}; "
        f"the others, such as {', '.join(map(repr, examples))}, count as missing"
    )


def _date_fit(words: _Words) -> _Fit | None:
    """The date format that reads all words, or nearly all of many; None where they are no dates."""
    sample = words.cells.head(_SAMPLE)
    first = sample.head(10).to_list()
    if sum(_DATE_LIKE.match(cell) is not None for cell in first) * 2 < len(first):
        return None
    fits = [
        _fit(words, as_datetime(words.cells, form), form)
        for form in _DATE_FORMATS
        if np.isfinite(as_datetime(sample.head(10), form)).mean() >= 0.3
        and np.isfinite(as_datetime(sample, form)).mean() >= 0.3
    ]
    return _good_enough(words, fits)


def _date_column(series: pl.Series, words: _Words, fit: _Fit) -> Column:
    words_left = _with_numeric_missing(words)
    fit, ambiguous = _settle_day_or_month(words_left, fit)
    moments = as_datetime(words_left.cells, fit.format)
    read = ~np.isnan(moments)
    unparsed = words_left.rows_where(~read)
    form = fit.format or "ISO 8601"
    reason = f"datetime because its values are dates ({form})"
    if unparsed:
        examples = words_left.cells.filter(pl.Series(~read)).head(3).to_list()
        reason += f"; {unparsed} others, such as {', '.join(map(repr, examples))}, count as missing"
    if ambiguous:
        reason += f"; {ambiguous} would fit as well: write the dates as 2024-12-31 if that is meant"
    distinct, kind = len(np.unique(moments[read])), Kind.DATETIME
    if distinct <= 1:
        kind, reason = Kind.CONSTANT, _constant_reason(distinct, words_left.missing)
    return _words_column(series, words_left, kind, reason, distinct, fit.format, unparsed)


def _settle_day_or_month(words: _Words, fit: _Fit) -> tuple[_Fit, str | None]:
    """Of day/month and month/day, where both read every cell, the one under which the rows are more in order of time.

    Gives the fit, and the other format where the data does not decide.
    """
    for month_first, day_first in _DAY_OR_MONTH:
        for one, other in ((month_first, day_first), (day_first, month_first)):
            if fit.format is None or not fit.format.startswith(one):
                continue
            swapped = fit.format.replace(one, other, 1)
            here, there = as_datetime(words.cells, fit.format), as_datetime(words.cells, swapped)
            if np.isnan(there).sum() > np.isnan(here).sum():
                return fit, None
            forward, backward = (float(np.mean(np.diff(moments) > 0)) for moments in (here, there))
            if len(here) >= _NAMING_ROWS and abs(forward - backward) > 0.2:
                return (fit if forward > backward else _fit(words, there, swapped)), None
            return fit, swapped
    return fit, None


def _hinted(series: pl.Series, distinct: int, hint: Kind, decimal: str | None) -> Column:
    """The column under the kind that the user gives it, if its cells allow that."""
    if is_series(series.dtype):
        return _hinted_lists(series, distinct, hint)
    if hint is Kind.IMAGE and series.dtype != pl.String:
        raise DataError(
            f"the column {series.name!r}, given as image, must hold the path of a picture in each cell",
            f"it is of type {series.dtype}",
            "Give another kind.",
        )
    if hint is Kind.SEQUENCE:
        raise DataError(
            f"the column {series.name!r}, given as sequence, must hold a list of numbers in each cell",
            f"it is of type {series.dtype}",
            "Give lists in a Parquet file, JSON lines or a data frame; steps in columns or rows of their own become "
            "lists by data.series or data.case.",
        )
    words = _words_of(series.cast(pl.String))
    if hint in {Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME}:
        words = _with_numeric_missing(words)
    fit = _hinted_fit(series.dtype, words, hint, decimal)
    unparsed = words.rows_where(~fit.read)
    if unparsed * 2 > words.present:
        examples = words.cells.filter(pl.Series(~fit.read)).head(3).to_list()
        raise DataError(
            f"the column {series.name!r}, given as {hint.value}, must hold {hint.value} values",
            f"{unparsed} of {words.present} are none, such as {', '.join(map(repr, examples))}",
            "Give another kind, or repair the cells.",
        )
    reason = f"{hint.value} because you say so"
    if unparsed:
        reason += f"; {unparsed} cells are none and count as missing"
    column = _words_column(series, words, hint, reason, distinct or len(words.cells), fit.format, unparsed)
    return column.model_copy(update={"dtype": str(series.dtype)})


def _hinted_lists(series: pl.Series, distinct: int, hint: Kind) -> Column:
    """A column of lists, which can be a sequence or left out as an id or a constant."""
    if hint not in {Kind.SEQUENCE, Kind.ID, Kind.CONSTANT}:
        raise DataError(
            f"the column {series.name!r} of lists of numbers must be a sequence, or an id or constant to leave it out",
            f"it is given as {hint.value}",
            "Give one of these kinds, or make one number of each list.",
        )
    return _of_lists(series, distinct).model_copy(update={"kind": hint, "reason": f"{hint.value} because you say so"})


def _hinted_fit(dtype: pl.DataType, words: _Words, hint: Kind, decimal: str | None) -> _Fit:
    """How well the cells of a column can be read as `hint`; kinds of words take any cell."""
    every = _Fit(None, np.ones(len(words.cells), dtype=bool), 1.0)
    if words.present == 0:
        return every
    if hint is Kind.BOOLEAN:
        return _fit(words, as_boolean(words.cells), None)
    if hint is Kind.NUMBER and dtype == pl.String:
        return _best_of([_fit(words, as_number(words.cells, form), form) for form in _number_formats(decimal)])
    if hint is Kind.DATETIME and dtype == pl.String:
        return _best_of([_fit(words, as_datetime(words.cells, form), form) for form in _DATE_FORMATS])
    if hint is Kind.DATETIME and not dtype.is_temporal():
        return _Fit(None, np.zeros(len(words.cells), dtype=bool), 0.0)
    return every
