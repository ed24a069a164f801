"""Cells come back as they were: types, decimals, spellings, missing ones."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind
from assay.errors import DataError
from assay.synth.codec import Codec

RNG = np.random.default_rng(0)
ROWS = 60


def codec_of(frame: pl.DataFrame, rows: int = 100, **hints) -> Codec:
    schema = infer(read(frame), Hints(target="y", **hints))
    return Codec.fit(frame.drop(schema.dropped), schema, rows, np.random.default_rng(0))


def there_and_back(frame: pl.DataFrame) -> pl.DataFrame:
    codec = codec_of(frame)
    return codec.write(codec.read(frame), 0, np.random.default_rng(1))


def with_target(**columns) -> pl.DataFrame:
    return pl.DataFrame({**columns, "y": ["a", "b"] * (ROWS // 2)})


def test_every_type_comes_back():
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=3 * at) for at in range(ROWS)]
    frame = with_target(
        whole=pl.Series([at % 7 for at in range(ROWS)], dtype=pl.Int16),
        price=pl.Series([None if at % 5 == 0 else at / 4 for at in range(ROWS)], dtype=pl.Float32),
        flag=[bool(at % 3) for at in range(ROWS)],
        day=days,
        moment=[dt.datetime(2024, 1, 1, 6) + dt.timedelta(minutes=15 * at) for at in range(ROWS)],
        city=["Aix", None, " Ulm", "?"] * (ROWS // 4),
    )
    assert there_and_back(frame).equals(frame)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{at}.50" for at in range(ROWS)],
        [f"{1000 * at + 1:,}" for at in range(ROWS)],
        [f"{at},25" for at in range(ROWS)],
        [f"{at % 28 + 1:02d}.03.2024" for at in range(ROWS)],
        [f"{at % 12 + 1}/{at % 28 + 1}/2024" for at in range(ROWS)],
        [f"2024-03-{at % 28 + 1:02d}T10:{at % 60:02d}:00" for at in range(ROWS)],
    ],
)
def test_strings_keep_their_spelling(cells):
    assert there_and_back(with_target(x=cells))["x"].to_list() == cells


def test_missing_numbers_keep_their_spellings_in_proportion():
    cells = ["?" if at % 4 == 0 else None if at % 4 == 1 else str(at) for at in range(ROWS)]
    codec = codec_of(with_target(x=cells))
    block = codec.read(with_target(x=cells))
    assert np.isnan(block.numbers[:, 0]).mean() == 0.5
    wide = block.at(np.zeros(4000, np.int64))  # the first row's number is missing
    written = codec.write(wide, 0, np.random.default_rng(2))["x"]
    assert set(written.to_list()) == {"?", None}
    assert 0.45 < written.is_null().mean() < 0.55


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_numbers_stay_in_range_with_the_decimals_they_had(values):
    frame = with_target(x=[round(at * 0.25, 2) for at in range(ROWS)])
    codec = codec_of(frame)
    block = codec.read(frame.head(len(values)))
    block.numbers[:, 0] = values
    written = codec.write(block, 0, np.random.default_rng(3))["x"].to_numpy()
    assert written.min() >= 0.0
    assert written.max() <= 14.75
    assert np.array_equal(np.round(written, 2), written)


def test_a_cell_that_was_not_seen_has_a_code_of_its_own():
    codec = codec_of(with_target(c=["p", "q", "r"] * (ROWS // 3)))
    seen = codec.read(pl.DataFrame({"c": ["s", "p"], "y": ["a", "b"]})).codes[:, codec.layout.codes.index("c")]
    assert seen[0] == 3
    assert seen[1] < 3


def test_names_of_rows_are_new_and_of_the_same_pattern():
    real = [f"{at:04d}-{chr(65 + at % 26)}{chr(65 + at * 7 % 26)}" for at in range(ROWS)]
    frame = with_target(number=list(range(1, ROWS + 1)), customer_id=real, x=list(range(ROWS)))
    codec = codec_of(frame, rows=2000, kinds={"x": Kind.NUMBER})
    block = codec.read(frame).at(np.zeros(1000, np.int64))
    made = pl.concat([codec.write(block, first, RNG) for first in (0, 1000)])
    assert made["customer_id"].n_unique() == 2000
    assert not set(made["customer_id"]) & set(real)
    assert made["customer_id"].str.contains(r"^\d{4}-[A-Z]{2}$").all()
    assert made["number"].to_list() == list(range(1, 2001))


def test_a_pattern_without_room_is_left_out_in_words():
    codec = codec_of(with_target(row_id=[f"r{at:02d}" for at in range(ROWS)], x=[at % 9 for at in range(ROWS)]))
    assert codec.left_out == {"row_id": "its pattern has 100 names only, too few for 100 new ones"}
    assert list(codec.columns) == ["x", "y"]


def test_texts_are_refused_and_can_be_dropped():
    texts = [f"the quick brown fox no {at} jumps over dogs" for at in range(ROWS)]
    frame = with_target(note=texts, x=[at % 9 for at in range(ROWS)])
    with pytest.raises(DataError, match=r"texts, pictures and series are not made.*'note' \(text\).*--drop 'note'"):
        codec_of(frame)
    assert codec_of(frame, drop=("note",)).left_out == {"note": "you drop it"}


def test_constant_and_empty_columns_stay_as_they_are():
    frame = with_target(
        one=["x"] * ROWS, none=pl.Series([None] * ROWS, dtype=pl.String), x=[at % 9 for at in range(ROWS)]
    )
    assert there_and_back(frame).equals(frame)
