from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.columns import (
    MISSING_SPELLINGS,
    as_boolean,
    as_category,
    as_datetime,
    as_number,
    as_text,
    category_cells,
    groups_of_hashes,
    missing_counts,
    row_groups,
)

NAN = math.nan

#: Cells that look like every kind of thing, and any text.
cells = st.one_of(
    st.none(),
    st.sampled_from(sorted(MISSING_SPELLINGS)),
    st.sampled_from(
        ["3.0", " 3 ", "-0.0", "10.00", "1.10", "007", "Yes", "no", "T", "none", "\u00a0x\u3000", "NaN", "inf"]
    ),
    st.integers(-(10**6), 10**6).map(str),
    st.floats(allow_nan=False).map(str),
    st.datetimes(dt.datetime(1000, 1, 1)).map(lambda moment: moment.isoformat(" ")),
    st.dates(dt.date(1000, 1, 1)).map(lambda day: day.strftime("%m/%d/%Y")),
    st.text(max_size=12),
)


def tiled(column: list[str | None]) -> pl.Series:
    """The column so often below itself that it counts as long."""
    return pl.Series("x", column * (100 // len(column) + 1), dtype=pl.String)


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, min_size=1, max_size=8))
def test_short_and_long_columns_are_read_alike(column: list[str | None]) -> None:
    short, long = pl.Series("x", column, dtype=pl.String), tiled(column)
    for format_ in (None, "1,234.5", "1.234,5"):
        assert same(as_number(short, format_), as_number(long, format_)[: len(short)])
    for pattern in (None, "%m/%d/%Y", "%d.%m.%Y %H:%M", "%Y%m%d", "%b %d, %Y"):
        assert same(as_datetime(short, pattern), as_datetime(long, pattern)[: len(short)])
    assert as_category(short).to_list() == as_category(long).to_list()[: len(short)]
    assert category_cells(long) == as_category(long).to_list()
    assert as_text(short).to_list() == as_text(long).to_list()[: len(short)]
    assert same(as_boolean(short), as_boolean(long)[: len(short)])


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False) | st.none(), min_size=1, max_size=80))
def test_floats_are_the_same_category_in_short_and_long_columns(values: list[float | None]) -> None:
    series = pl.Series("x", values, dtype=pl.Float64)
    one_by_one = [as_category(series[at : at + 1])[0] for at in range(len(series))]
    assert as_category(pl.concat([series] * 70)).to_list() == one_by_one * 70


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pl.Series(["1", " 2.5 ", "1e3", "-.5", "inf", "-Infinity"]), [1.0, 2.5, 1000.0, -0.5, math.inf, -math.inf]),
        (pl.Series(["", "?", "none", "1_000", "0x10", "1,5", None]), [NAN] * 7),
        (pl.Series([1, None, -3]), [1.0, NAN, -3.0]),
        (pl.Series([True, False, None]), [1.0, 0.0, NAN]),
        (pl.Series([1.5, NAN, None]), [1.5, NAN, NAN]),
        (pl.Series([Decimal("1.25")]), [1.25]),
        (pl.Series([None, None]), [NAN, NAN]),
        (pl.Series(["4"], dtype=pl.Categorical), [4.0]),
        (pl.Series([[1]]), [NAN]),
        (pl.Series([], dtype=pl.String), []),
    ],
)
def test_as_number_takes_any_type(series: pl.Series, expected: list[float]) -> None:
    values = as_number(series, None)
    assert values.dtype == np.float64
    assert same(values, np.array(expected))


def test_as_number_reads_commas_as_its_format_says() -> None:
    grouped = pl.Series(["1,234.5", "1,234,567", "12", "1,5", "12,34"])
    assert same(as_number(grouped, "1,234.5"), np.array([1234.5, 1234567.0, 12.0, NAN, NAN]))
    decimal = pl.Series(["1.234,5", "1,5", "1 234,5", "12", "1.5", ",5", "-3,25"])
    assert same(as_number(decimal, "1.234,5"), np.array([1234.5, 1.5, 1234.5, 12.0, NAN, 0.5, -3.25]))
    with pytest.raises(ValueError, match="number format '1 234' is none of"):
        as_number(decimal, "1 234")


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int64, pl.UInt32, pl.Float32, pl.Float64, pl.Decimal(10, 2)])
def test_whole_numbers_are_one_category_whatever_their_type(dtype: pl.DataType) -> None:
    assert as_category(pl.Series([3, None, 0, 100], dtype=dtype)).to_list() == ["3", None, "0", "100"]


def test_as_category_has_one_spelling() -> None:
    assert as_category(pl.Series([" a ", "N/A", "<NA>", "none", "unknown", "3.0", "1.10"])).to_list() == [
        "a", None, None, "none", "unknown", "3", "1.10",
    ]  # fmt: skip
    assert as_category(pl.Series([2.5, NAN, math.inf, -0.0, 1e20])).to_list() == ["2.5", None, "inf", "0", "1e+20"]
    assert as_category(pl.Series([0.1], dtype=pl.Float32)).to_list() == ["0.1"]
    assert as_category(pl.Series([True, False, None])).to_list() == ["true", "false", None]
    assert as_category(pl.Series([dt.date(2024, 2, 29), None])).to_list() == ["2024-02-29", None]
    assert as_category(pl.Series([dt.datetime(2024, 2, 29, 1, 2, 3)]))[0].startswith("2024-02-29T01:02:03")
    assert as_category(pl.Series([[1, 2]])).to_list() == ["[1, 2]"]


def test_as_boolean_knows_its_words() -> None:
    words = pl.Series(["Yes", "NO", " t ", "F", "on", "Off", "1", "0.0", "2", "maybe", "", None])
    assert same(as_boolean(words), np.array([1, 0, 1, 0, 1, 0, 1, 0, NAN, NAN, NAN, NAN]))
    assert same(as_boolean(pl.Series([0, 1, 2, None])), np.array([0, 1, NAN, NAN]))
    assert same(as_boolean(pl.Series([True, None])), np.array([1, NAN]))


def test_as_datetime_counts_seconds_in_utc() -> None:
    noon = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC).timestamp()
    texts = ["2024-02-29T12:00:00Z", "2024-02-29 14:00+02:00", "2024-02-29 12:00:00", "2024-02-29 12:00:00.500"]
    assert as_datetime(pl.Series(texts), None).tolist() == [noon, noon, noon, noon + 0.5]
    for unit in ("ms", "us", "ns"):
        naive = pl.Series([dt.datetime(2024, 2, 29, 12), None]).cast(pl.Datetime(unit))
        assert same(as_datetime(naive, None), np.array([noon, NAN]))
        zoned = naive.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
        assert same(as_datetime(zoned, None), np.array([noon, NAN]))
    assert same(as_datetime(pl.Series([dt.date(1970, 1, 2), None]), None), np.array([86400.0, NAN]))
    assert same(as_datetime(pl.Series([1, 2]), None), np.array([NAN, NAN]))


@pytest.mark.parametrize(
    ("pattern", "cell", "moment"),
    [
        ("%m/%d/%Y", "2/29/2024", dt.datetime(2024, 2, 29)),
        ("%d.%m.%Y %H:%M", "1.12.1999 7:05", dt.datetime(1999, 12, 1, 7, 5)),
        ("%d/%m/%y", "01/02/69", dt.datetime(1969, 2, 1)),
        ("%d/%m/%y", "01/02/68", dt.datetime(2068, 2, 1)),
        ("%b %d, %Y", "January 5, 2020", dt.datetime(2020, 1, 5)),
        ("%m/%d/%Y %I:%M %p", "1/5/2020 12:04 am", dt.datetime(2020, 1, 5, 0, 4)),
        ("%Y%m%d", "20200105", dt.datetime(2020, 1, 5)),
        (None, "1949-01", dt.datetime(1949, 1, 1)),
        (None, "2023-02-29", None),
        ("%m/%d/%Y", "13/1/2020", None),
        ("%m/%d/%Y", "1/1/+2020", None),
    ],
)
def test_as_datetime_reads_patterns(pattern: str | None, cell: str, moment: dt.datetime | None) -> None:
    expected = NAN if moment is None else moment.replace(tzinfo=dt.UTC).timestamp()
    assert same(as_datetime(pl.Series([cell]), pattern), np.array([expected]))
    assert same(as_datetime(pl.Series([cell] * 200), pattern), np.full(200, expected))


def test_missing_spellings_are_counted_as_written() -> None:
    series = pl.Series(["?", " ", "NA", "na", "?", "x", None, "none"])
    assert missing_counts(series) == {"?": 2, " ": 1, "NA": 1, "na": 1}
    assert missing_counts(series, numeric=True)["none"] == 1
    assert missing_counts(pl.Series([1.0, None])) == {}
    assert all(spelling == spelling.casefold() for spelling in MISSING_SPELLINGS)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([None, 1.0, 2.0, NAN, -0.0, 0.0]), st.sampled_from([None, "", "a", "b"])),
        min_size=1,
        max_size=40,
    )
)
def test_row_groups_are_equal_exactly_where_rows_are(rows: list[tuple[float | None, str | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.Float64, "b": pl.String}, orient="row")
    seen: dict[tuple[object, ...], int] = {}
    keys = (tuple("nan" if cell != cell else cell for cell in row) for row in rows)
    expected = [seen.setdefault(key, len(seen)) for key in keys]
    assert row_groups(frame).tolist() == expected
    # Every hash collides with every other, and with half of the others.
    assert groups_of_hashes(np.full(len(rows), 7, np.uint64), frame).tolist() == expected
    parity = pl.Series([number % 2 for number in expected], dtype=pl.UInt64)
    assert groups_of_hashes(parity, frame).tolist() == expected


def test_row_groups_of_no_rows_is_empty() -> None:
    assert row_groups(pl.DataFrame({"a": []})).shape == (0,)


def test_number_grammar_is_that_of_polars() -> None:
    """What the quick cast takes, the careful reader takes too, or the same cell would differ by its neighbours."""
    grammar = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?i:inf(inity)?)", re.A)
    texts = ["1", "+1", "-1.", ".5", "5e", "1e+5", "--1", "1 2", "Inf", "+inf", "e5", ".", "1E-3", "1.5.2", "٣"]
    numbers = pl.Series(texts).cast(pl.Float64, strict=False).is_not_null().to_list()
    assert numbers == [grammar.fullmatch(text) is not None for text in texts]
