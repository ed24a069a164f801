import numpy as np
import polars as pl
import pytest
import torch

from assay.data.reading.arrays import Arrays, Given, arrays_of, as_given, as_in_training, read_rows, series_rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.steps import SERIES
from assay.errors import DataError


def pictures(n=6, shape=(4, 4)):
    return np.arange(n * int(np.prod(shape)), dtype=np.uint8).reshape(n, *shape)


Y = np.array([0, 1] * 3)


# What counts as a pair


def test_names_of_columns_stay_names():
    frame = pl.DataFrame({"a": [1, 2], "b": [0, 1]})
    table = np.zeros((5, 3))
    for data, target in (
        (frame, "b"), (frame, ["a", "b"]), ("x.csv", "b"), (table, "x0"), (table, ["x0", "x1"]), (None, None),
    ):  # fmt: skip
        found = as_given(data, target)
        assert found.data is data
        assert found.target == (tuple(target) if isinstance(target, list) else target)


def test_a_target_of_values_and_a_pair_are_the_same():
    one, other = as_given(pictures(), Y), as_given((pictures(), Y), None)
    for found in (one, other):
        assert isinstance(found.data, Arrays)
        assert found.data.has_pictures
        assert found.target == "label"
        assert np.array_equal(found.data.y, Y)
    assert as_given(pictures(), Y.tolist()).target == "label"
    assert as_given(pictures(), list("ababab")).data.y.tolist() == list("ababab")


def test_other_parts_are_named_after_the_first():
    y = pl.Series("price", [1.0, 2.5, 0.5, 3.0, 1.0, 2.0])
    found = as_given(np.ones((6, 2)), y, test=(np.ones((2, 2)), [1.0, 2.0]), valid="more.parquet")
    assert found.target == "price"
    assert found.test.names == ("price",)
    assert read_rows(found.test).frame.columns == ["x0", "x1", "price"]
    assert (found.data.name, found.test.name, found.valid) == ("arrays", "arrays (test)", "more.parquet")


def test_an_array_without_targets_and_a_pair_beside_a_table_are_refused():
    with pytest.raises(DataError, match=r"test rows must come with their targets.*Give a pair: test=\(X, y\)"):
        as_given(pictures(), Y, test=pictures())
    with pytest.raises(DataError, match="an array must come with its targets, but there is X alone"):
        as_given(pictures(), None)
    with pytest.raises(DataError, match="test and valid rows come as data does"):
        as_given("train.csv", "y", test=(pictures(), Y))


def test_what_was_recognised_is_not_looked_at_again():
    found = as_given(pictures(), Y)
    assert as_given(found.data, None, test=found.test) == Given(found.data, None)


# Rows and targets


def test_tensors_are_taken_from_wherever_they_are():
    wanted = torch.from_numpy(pictures()).float().div(255).requires_grad_()
    found = arrays_of(wanted, torch.tensor(Y))
    assert found.X.dtype == np.float32
    assert np.array_equal(found.X, wanted.detach().numpy())
    assert arrays_of(torch.ones(6, 2, dtype=torch.bfloat16), Y).X.dtype == np.float32


@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        (np.array(["a", "b"] * 3, dtype=object), ["a", "b"] * 3),
        (np.array([1, 2] * 3, dtype=object), [1, 2] * 3),
        (np.array([b"a", b"b"] * 3), ["a", "b"] * 3),
        (np.array([True, False] * 3), [True, False] * 3),
        (Y.reshape(-1, 1), Y.tolist()),
        (pl.Series(["a", "b"] * 3), ["a", "b"] * 3),
    ],
)
def test_targets_of_words_and_numbers_however_they_are_kept(y, wanted):
    assert arrays_of(pictures(), y).y.tolist() == wanted


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (pictures(), Y[:5], "X and y must have as many rows, but X has 6 and y has 5"),
        (pictures(0), Y[:0], r"X must hold rows, but it is empty: its shape is \(0, 4, 4\)"),
        (np.zeros((6, 0, 4)), Y, r"X must hold rows, but it is empty: its shape is \(6, 0, 4\)"),
        (np.zeros(6), Y, r"pictures \(n, height, width\), .*but it has the shape \(6,\)"),
        (np.zeros((6, 1, 2, 3, 4), np.uint8), Y, r"it has the shape \(6, 1, 2, 3, 4\)"),
        (np.array([pictures(1), None] * 3, dtype=object), Y, r"it has the shape \(6,\).*their bytes"),
        (np.full((6, 4, 4), None), Y, "X must hold numbers, but it holds objects"),
        (np.ma.masked_array(pictures(), pictures() > 3), Y, "X must be a plain array, but it is masked"),
        (torch.eye(6).to_sparse(), Y, "X must be an array of numbers, but it cannot be made one"),
        (torch.empty(6, 4, 4, device="meta"), Y, "X must be an array of numbers, but it cannot be made one"),
        ("photos/", Y, "X must be an array or a frame, but it is 'photos/'"),
        (
            pictures(),
            np.full((6, 2), 3),
            r"\(rows,\), or \(rows, labels\) of 0 and 1 .*it has \(6, 2\) and holds other",
        ),
        (pictures(), np.array([["a", "b"]] * 6), r"it has \(6, 2\) and holds other values"),
        (pictures(), np.zeros((6, 1, 2)), r"it has \(6, 1, 2\)"),
        (pictures(), 3, r"it has \(\)"),
        (pictures(), None, "y must hold the targets, but it is None"),
        (pictures(), np.array(["a", None] * 3, dtype=object), "y must hold numbers or words, but row 2 holds None"),
        (pictures(), np.array(["a", 1] * 3, dtype=object), "y must hold numbers or words, but it holds both"),
        (pictures(), Y.astype("M8[D]"), r"y must hold numbers or words, but it holds datetime64\[D\]"),
        (pictures(), [[0], [1, 2], 0, 1, 0, 1], "y must be an array of numbers, but it cannot be made one"),
    ],
)
def test_what_does_not_belong_together_is_told(X, y, match):
    with pytest.raises(DataError, match=match):
        arrays_of(X, y)


def test_an_error_says_which_part_it_is_of():
    with pytest.raises(DataError, match="X of test has 6 and y of test has 5"):
        as_given(pictures(), Y, test=(pictures(), Y[:5]))


# Tables


def test_a_table_has_its_columns_and_its_target_and_the_sum_of_their_cells():
    X = np.array([[1.0, np.nan], [2.5, 4.0]])
    table = read_rows(arrays_of(X, [np.nan, 2.0]))
    wanted = pl.DataFrame({"x0": [1.0, 2.5], "x1": [None, 4.0], "y": [None, 2.0]})
    assert table.frame.fill_nan(None).equals(wanted)
    assert (table.source.name, table.source.format) == ("arrays", "arrays")
    assert table.source.sha256 == read_rows(arrays_of(torch.from_numpy(X), [np.nan, 2.0])).source.sha256
    assert table.source.sha256 != read_rows(arrays_of(X, [np.nan, 3.0])).source.sha256


def test_a_frame_and_a_target_beside_it():
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert read_rows(as_given(frame, np.array([0, 1])).data).frame.columns == ["a", "b", "y"]
    with pytest.raises(DataError, match="'a' is a column of X and the name of y"):
        read_rows(as_given(frame, pl.Series("a", [0, 1])).data)


def test_labels_of_a_row_are_columns():
    found = as_given(np.ones((4, 2)), np.eye(4, 3))
    assert found.target == ("y0", "y1", "y2")
    assert read_rows(found.data).frame.select(found.target).to_numpy().tolist() == np.eye(4, 3).tolist()


# Series


@pytest.mark.parametrize("shape", [(4, 5), (4, 1, 5), (4, 2, 5)])
def test_series_are_a_column_a_channel_where_that_is_said(shape):
    X = np.random.default_rng(0).normal(size=shape)
    found = as_given(X, Y[:4], kinds={"x": Kind.SEQUENCE, "other": Kind.NUMBER})
    frame = read_rows(found.data).frame
    names = ["x"] if len(shape) == 2 else [f"x{place}" for place in range(shape[1])]
    assert frame.columns == [*names, "y"]
    assert found.kinds == {"other": Kind.NUMBER}
    assert frame.schema[names[-1]] == SERIES
    assert np.array_equal(np.array(frame[names[-1]].to_list()), X if len(shape) == 2 else X[:, -1])


def test_series_of_other_channels_are_told():
    with pytest.raises(DataError, match=r"\(rows, 2, steps\), but they have \(4, 3, 5\)"):
        series_rows(np.zeros((4, 3, 5)), ["a", "b"])
    assert series_rows(np.zeros((4, 5)), ["a"]).height == 4


def test_a_pair_for_a_trained_model_has_its_names():
    columns = (
        Column(name="beat", kind=Kind.SEQUENCE, dtype="", reason=""),
        Column(name="ill", kind=Kind.NUMBER, dtype="", reason=""),
    )
    schema = Schema(columns=columns, target="ill", task=Task.BINARY, task_reason="", classes=("0", "1"))
    found = as_in_training((np.zeros((6, 9)), Y), schema)
    assert (found.names, found.is_series) == (("ill",), True)
    assert as_in_training("rows.csv", schema) == "rows.csv"
