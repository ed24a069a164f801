"""Frames of other libraries: the quick way of short frames gives what the way of long ones gives."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assay.data.reading.frames import from_object, tidy

pd = pytest.importorskip("pandas")
TIMES = 40  # 3 rows this often are more than the short way takes

COLUMNS = {
    "numbers": [1.5, np.nan, 3.0],
    "strings": ["a", None, "c"],
    "objects": pd.Series(["a", None, np.nan], dtype=object),
    "nothing": pd.Series([None, None, np.nan], dtype=object),
    "truths": [True, False, True],
    "mixed": pd.Series([1, "b", pd.NA], dtype=object),
    "lists": pd.Series([[1], [], None], dtype=object),
    "categories": pd.Categorical(["x", None, "y"]),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "days": pd.to_datetime(["2024-01-01", None, "2024-02-03"]),
} | {
    kind: np.array([0, 1, 2]).astype(kind)
    for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
}


def taken(frame) -> pl.DataFrame:
    return from_object(frame, [])[0]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_short_pandas_frame_is_taken_as_a_long_one(name):
    short = pd.DataFrame({name: COLUMNS[name], "beside": [1, 2, 3]}, index=[7, 7, 9])
    long = pd.concat([short] * TIMES)
    assert_frame_equal(pl.concat([taken(short)] * TIMES), taken(long))


def test_all_plain_columns_of_pandas_together():
    short = pd.DataFrame(
        {name: COLUMNS[name] for name in ("numbers", "strings", "objects", "truths", "int8", "float32")}
    )
    expected = {
        "numbers": [1.5, None, 3.0],
        "strings": ["a", None, "c"],
        "objects": ["a", None, None],
        "truths": [True, False, True],
        "int8": [0, 1, 2],
        "float32": [0.0, 1.0, 2.0],
    }
    types = {"int8": pl.Int8, "float32": pl.Float32, "truths": pl.Boolean, "numbers": pl.Float64}
    assert_frame_equal(taken(short), pl.DataFrame(expected, schema_overrides=types))


def test_pandas_frames_without_rows_keep_their_columns():
    frame = taken(pd.DataFrame({"a": np.array([], float), "b": pd.Series([], dtype="str")}))
    assert frame.schema == {"a": pl.Float64, "b": pl.String}


def test_tidy_leaves_a_plain_frame_and_changes_any_other():
    plain = pl.DataFrame({"a": [1], "b": ["x"], "c": [None]}, schema={"a": pl.Int8, "b": pl.String, "c": pl.Date})
    notes: list[str] = []
    assert tidy(plain, notes) is plain
    changed = tidy(plain.with_columns(pl.col("b").cast(pl.Categorical), pl.lit(1.5).alias(" ")), notes)
    assert changed.schema == {"a": pl.Int8, "b": pl.String, "c": pl.Date, "column_4": pl.Float64}
    assert notes == ["column 4 has no name and is called column_4"]
