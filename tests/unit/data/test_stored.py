"""Tables in files stand for frames: the same cells, types and holes, a column or some rows at a time."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.stored import Stored, bytes_of_table, cells_at, gather, store

N = 40
FRAME = pl.DataFrame(
    {
        "x": np.arange(N) * 0.5,
        "hole": [None if i % 3 == 0 else i for i in range(N)],
        "nan": [None if i % 4 == 0 else float("nan") if i % 4 == 1 else 1.0 for i in range(N)],
        "yes": [i % 2 == 0 for i in range(N)],
        "perhaps": [None if i % 5 == 0 else i % 2 == 0 for i in range(N)],
        "word": [None if i % 7 == 0 else f"Straße {i}" for i in range(N)],
        "day": [date(2020, 1, 1 + i % 28) for i in range(N)],
        "moment": [None if i % 4 == 0 else datetime(2020, 1, 1 + i % 28, 3) for i in range(N)],
        "small": pl.Series([i % 100 for i in range(N)], dtype=pl.Int8),
        "*": [f"{i % 3}" for i in range(N)],
    }
).with_columns(zoned=pl.col("moment").dt.replace_time_zone("Europe/Berlin"))


@pytest.fixture
def stored(tmp_path) -> Stored:
    return store(FRAME, tmp_path)


def test_every_column_comes_back_as_it_was(stored):
    assert (stored.height, stored.width, stored.columns) == (N, FRAME.width, FRAME.columns)
    assert dict(stored.schema) == dict(FRAME.schema)
    for series in FRAME:
        found = stored[series.name]
        assert (found.name, found.dtype) == (series.name, series.dtype)
        assert found.equals(series, null_equal=True)


@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, N - 1), max_size=60), cut=st.tuples(st.integers(0, N), st.integers(0, N)))
def test_rows_are_those_of_the_frame(tmp_path_factory, rows, cut):
    stored = store(FRAME, tmp_path_factory.mktemp("stored"))
    places, span = np.array(rows, dtype=np.int64), slice(min(cut), max(cut))
    assert gather(stored, places).equals(gather(FRAME, places))
    assert gather(stored, span).equals(FRAME[span])
    for name in FRAME.columns:
        assert cells_at(stored, name, places).equals(cells_at(FRAME, name, places), null_equal=True)


def test_cells_are_replaced_and_rows_left_out(stored):
    holes = pl.Series("x", [None, *range(1, N)], dtype=pl.Int64)
    words = pl.Series("word", [f"w{i}" for i in range(N)])
    changed = stored.replacing(holes).replacing(words)
    expected = FRAME.with_columns(holes, words)
    assert gather(changed, slice(0, N)).equals(expected)
    assert gather(stored, slice(0, N)).equals(FRAME)  # what was there stays as it was
    kept = np.arange(N) % 3 != 1
    few = changed.filtered(kept)
    assert gather(few, slice(0, few.height)).equals(expected.filter(pl.Series(kept)))
    assert not stored.folder.exists()


def test_some_columns_and_empty_ones(stored):
    few = stored.select(["word", "x"]).with_empty(["gone"])
    assert few.columns == ["word", "x", "gone"]
    rows = gather(few, np.array([3, 1]))
    assert rows.equals(FRAME[[3, 1]].select("word", "x", gone=pl.lit(None, dtype=pl.String)))
    assert few["gone"].null_count() == N


def test_columns_are_mapped_and_not_copied(stored):
    cells = stored["x"].to_numpy()
    (stored.folder / "0.values").write_bytes(np.full(N, 7.0).tobytes())
    assert cells.tolist() == [7.0] * N


def test_a_removed_table_leaves_nothing(stored, tmp_path):
    stored.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_a_table_is_that_of_its_cells():
    assert bytes_of_table(10, [pl.Float64(), pl.Int8(), pl.Boolean(), pl.Date(), pl.Datetime("us")]) == 220
    assert bytes_of_table(10, [pl.String()]) == 320
