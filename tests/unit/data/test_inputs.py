import zlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.inputs import FIRST_KNOWN, MISSING, UNKNOWN, Input, feed, hashed_ngrams, look_up, matrices
from assay.data.schema import Kind
from assay.errors import DataError

INPUTS = (
    Input(name="size", kind=Kind.NUMBER),
    Input(name="paid", kind=Kind.BOOLEAN),
    Input(name="day", kind=Kind.DATETIME, format="%d.%m.%Y"),
    Input(name="colour", kind=Kind.CATEGORY, categories=("blue", "red")),
    Input(name="note", kind=Kind.TEXT, buckets=16, ngrams=2),
)
FRAME = pl.DataFrame(
    {
        "note": ["Good, good service", None, ""],
        "colour": ["red", "green", None],
        "day": ["02.01.1970", None, "soon"],
        "paid": ["yes", "no", None],
        "size": [1.5, None, float("inf")],
        "spare": [1, 2, 3],
    }
)


def test_matrices_hold_the_cells_in_input_order():
    found = matrices(FRAME, INPUTS)
    nan = np.nan
    np.testing.assert_array_equal(found.values, [[1.5, 1.0, 86_400.0], [nan, 0.0, nan], [np.inf, nan, nan]])
    assert found.values.dtype == np.float64
    np.testing.assert_array_equal(found.codes, [[FIRST_KNOWN + 1], [UNKNOWN], [MISSING]])
    assert found.codes.dtype == np.int64
    np.testing.assert_array_equal(found.texts, hashed_ngrams(["good good service", "", ""], 16, 2))


def test_feed_holds_the_same_cells_one_array_a_column():
    arrays, together = feed(FRAME, INPUTS), matrices(FRAME, INPUTS)
    assert list(arrays) == ["size", "paid", "day", "colour", "note"]
    np.testing.assert_array_equal(np.hstack([arrays[name] for name in ("size", "paid", "day")]), together.values)
    np.testing.assert_array_equal(arrays["note"], together.texts)
    assert arrays["colour"].tolist() == [["red"], ["green"], [""]]
    assert arrays["colour"].dtype == object


def test_a_table_without_a_kind_gives_a_matrix_without_columns():
    found = matrices(FRAME, INPUTS[:1])
    assert (found.values.shape, found.codes.shape, found.texts.shape) == ((3, 1), (3, 0), (3, 0))
    assert matrices(FRAME.head(0), INPUTS).texts.shape == (0, 16)


@given(order=st.permutations(FRAME.columns), extra=st.booleans())
def test_order_and_extra_columns_do_not_matter(order, extra):
    frame = FRAME.select(order)
    if extra:
        frame = frame.with_columns(pl.lit("x").alias("another"))
    expected, found = matrices(FRAME, INPUTS), matrices(frame, INPUTS)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.texts, expected.texts)


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"1 is missing: 'size'.*Did you mean 'Size'\?"):
        matrices(FRAME.rename({"size": "Size"}), INPUTS)
    with pytest.raises(DataError, match=r"the 5 columns .* 5 are missing: 'size', 'paid', 'day', 'colour', 'note'\."):
        feed(pl.DataFrame({"other": [1]}), INPUTS)


def test_look_up_gives_unknown_missing_and_the_vocabulary():
    codes = look_up(pl.Series(["b", "c", None, "a", ""]), ("a", "b"))
    assert codes.tolist() == [3, UNKNOWN, MISSING, 2, UNKNOWN]
    assert look_up(pl.Series(["b", None]), ()).tolist() == [UNKNOWN, MISSING]
    assert look_up(pl.Series([], dtype=pl.String), ("a",)).tolist() == []
    assert look_up(pl.Series([None, None], dtype=pl.String), ("a",)).tolist() == [MISSING, MISSING]


# Hashed n-grams


def test_ngrams_never_change():
    """Frozen: a bundle hashes with these numbers for ever."""
    found = hashed_ngrams(["good fast service", "Never AGAIN!", "größe 3"], 8, 2)
    np.testing.assert_array_equal(found, GOLDEN)


def test_ngrams_are_signed_counts_of_crc32():
    expected = np.zeros(32, np.float32)
    for gram in ("a", "b", "a", "a b", "b a"):
        code = zlib.crc32(gram.encode())
        expected[(code >> 1) % 32] += 1.0 if code % 2 else -1.0
    np.testing.assert_array_equal(hashed_ngrams(["a b a"], 32, 2)[0], expected)
    assert np.abs(hashed_ngrams(["a b a"], 65_536, 1)).sum() == 3.0


def test_ngrams_fold_case_and_ignore_marks():
    same = hashed_ngrams(["Straße, GUT!", "strasse gut", "  STRASSE -- gut"], 64, 3)
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same[0], same[2])
    assert not hashed_ngrams(["", " ?! "], 64, 3).any()


@given(texts=st.lists(st.text(max_size=30), max_size=5), buckets=st.integers(16, 64), longest=st.integers(1, 4))
def test_each_row_is_hashed_by_itself(texts, buckets, longest):
    together = hashed_ngrams(texts, buckets, longest)
    assert together.shape == (len(texts), buckets)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(together[row], hashed_ngrams([text], buckets, longest)[0])


GOLDEN = [
    [0.0, -2.0, -1.0, 1.0, -1.0, 0.0, 0.0, 0.0],
    [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0],
    [0.0, -1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
]
