import math

import numpy as np
import polars as pl
import pytest

from assay.data.inputs import Input
from assay.data.profile import Profile, profile
from assay.data.rows import Rows
from assay.data.schema import Kind

FRAME = pl.DataFrame(
    {
        "c": ["a", "b", "a", None],
        "x": [1.0, None, 3.0, math.inf],
        "gone": [None, None, None, None],
        "s": ["word", None, "", "x"],
        "b": ["yes", "no", "no", None],
    }
)
INPUTS = (
    Input(name="c", kind=Kind.CATEGORY, categories=("a",)),
    Input(name="x", kind=Kind.NUMBER),
    Input(name="gone", kind=Kind.NUMBER),
    Input(name="s", kind=Kind.TEXT, buckets=16, ngrams=1),
    Input(name="b", kind=Kind.BOOLEAN),
)


def rows_of(frame, target):
    return Rows("train", frame, np.asarray(target), None, np.arange(frame.height))


def test_each_input_is_described_in_its_order():
    found = profile(rows_of(FRAME, [0, 1, 1, 1]), INPUTS, classes=3)
    assert found.rows == 4
    assert found.target == (0.25, 0.75, 0.0)
    assert [column.name for column in found.columns] == ["c", "x", "gone", "s", "b"]
    c, x, gone, s, b = found.columns
    assert (c.missing, c.categories, c.other) == (1, {"a": 2, "b": 1}, 0)
    assert (x.missing, x.mean, x.deviation, x.quantiles[0], x.quantiles[-1]) == (2, 2.0, 1.0, 1.0, 3.0)
    assert len(x.quantiles) == 21
    assert (gone.missing, gone.mean, gone.quantiles) == (4, None, ())
    assert (s.missing, s.categories) == (2, {})
    assert (b.missing, b.mean) == (1, pytest.approx(1 / 3))


def test_pictures_are_missing_only_where_there_are_none():
    frame = pl.DataFrame({"photo": ["a.png", None, "b.png"]})
    (photo,) = profile(rows_of(frame, [0, 1, 1]), (Input(name="photo", kind=Kind.IMAGE),), classes=2).columns
    assert (photo.kind, photo.missing, photo.quantiles) == (Kind.IMAGE, 1, ())


def test_the_target_of_a_regression_is_told_by_its_quantiles():
    found = profile(rows_of(FRAME, [0.0, 1.0, 2.0, 4.0]), INPUTS[:1], classes=0)
    assert len(found.target) == 21
    assert (found.target[0], found.target[10], found.target[-1]) == (0.0, 1.5, 4.0)


def test_only_the_most_frequent_categories_are_kept():
    cells = [f"c{at:03}" for at in range(150)] + ["c007"]
    found = profile(rows_of(pl.DataFrame({"c": cells}), np.zeros(151, int)), INPUTS[:1], classes=2).columns[0]
    assert len(found.categories) == 100
    assert found.categories["c007"] == 2
    assert sum(found.categories.values()) + found.other == 151


def test_the_record_survives_json_even_with_the_largest_numbers():
    frame = pl.DataFrame({"x": [-1.7e308, 0.0, 1.7e308]})
    found = profile(rows_of(frame, [0, 1, 1]), INPUTS[1:2], classes=2)
    assert Profile.from_json(found.to_json(), "made") == found
    assert all(math.isfinite(value) for value in found.columns[0].quantiles)
