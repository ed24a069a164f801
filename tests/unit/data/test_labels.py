import numpy as np
import polars as pl
import pytest

from assay.data.labels import Labelling, joined_columns, label_cells, looks_labelled, separator_in
from assay.data.reading.frames import from_object, tidy
from assay.errors import DataError

JOINED = Labelling(form="joined")
LISTS = Labelling(form="lists")


def cells(values, labelling=JOINED):
    return label_cells(pl.Series("genres", values), labelling)


def rows_of(found):
    return [None if found.sets[at] is None else list(found.sets[at]) for at in found.place]


def test_words_are_cut_at_the_separator_and_a_label_counts_once():
    found = cells(["drama|comedy", " comedy | drama ", "drama||drama|", "war", "?", "", None])
    assert rows_of(found) == [
        ["drama", "comedy"], ["comedy", "drama"], ["drama"], ["war"], None, [], None,
    ]  # fmt: skip
    assert found.repeats == 1
    assert found.counts() == {"drama": 3, "comedy": 2, "war": 1}
    assert found.missing.tolist() == [False, False, False, False, True, False, True]


def test_an_empty_cell_of_a_delimited_file_is_a_row_without_a_label():
    assert rows_of(cells(["a|b", None, "NA"], Labelling(form="joined", empty=True))) == [["a", "b"], [], None]


def test_other_separators_do_not_cut_at_the_first():
    assert rows_of(cells(["a;b|c", "d"], Labelling(form="joined", separator=";"))) == [["a", "b|c"], ["d"]]


def test_numbers_and_booleans_are_labels_too():
    assert rows_of(cells([1, 2, None])) == [["1"], ["2"], None]
    lists = tidy(from_object(pl.DataFrame({"t": [[1, 3], [], None]}), [])[0], [])["t"]
    assert rows_of(label_cells(lists, LISTS)) == [["1", "3"], [], None]


@pytest.mark.parametrize("values", [[["b", "a"], [], None], [np.array(["b", "a"]), [], None]])
def test_lists_of_words_are_read_as_frames_bring_them(values):
    frame = tidy(from_object({"genres": values}, [])[0], [])
    assert rows_of(label_cells(frame["genres"], LISTS)) == [["b", "a"], [], None]


def test_lists_as_python_writes_them_are_lists():
    found = cells(["['a', 'b c']", '["a", null]', "[]", "nan", None], LISTS)
    assert rows_of(found) == [["a", "b c"], ["a"], [], None, None]


@pytest.mark.parametrize("cell", ["a", "[1, [2]]", "['a'", "[__import__('os')]"])
def test_a_cell_that_is_no_list_is_refused(cell):
    with pytest.raises(DataError, match="every cell of the target 'genres' must be a list of labels"):
        cells(["['a']", cell], LISTS)


def test_the_matrix_has_a_column_a_label_and_marks_what_is_missing():
    matrix = cells(["b|x", "a", "", None]).matrix(["a", "b"])
    assert matrix.dtype == np.int8
    assert matrix.tolist() == [[0, 1], [1, 0], [0, 0], [-1, -1]]


def test_strangers_are_named_with_their_rows():
    found = cells(["b|x", "a", "x", "y|a"]).strangers(["a", "b"])
    assert {name: places.tolist() for name, places in found.items()} == {"x": [0, 2], "y": [3]}


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["drama|comedy", "comedy|war", "war", "drama"], "joined"),
        (["drama;comedy", "comedy;war", "war", "drama"], None),  # only when asked for
        (["left|right", "up|down", "left|right", "up|down"], None),  # names that come as a whole
        (["red|large", "red|small", "blue|large", "blue|small"], None),  # as many parts everywhere
        (["a|b", "c", "d", "c"], None),  # one cell alone
        (['["a", "b"]', "[]", None], "lists"),
        (["[1, 2]", "[3]"], None),
        (["[]", "[]"], None),
        (["a", "b", "a"], None),
        ([1, 2, 3], None),
    ],
)
def test_only_what_is_beyond_doubt_looks_labelled(values, form):
    assert looks_labelled(pl.DataFrame({"t": values}), "t") == form


def test_the_separator_is_the_first_usual_one_that_occurs():
    frame = pl.DataFrame({"a": ["x,y;z", "x"], "b": ["x,y", "x"], "c": ["x", "y"]})
    assert [separator_in(frame, name) for name in "abc"] == [";", ",", "|"]


def test_columns_of_zero_and_one_become_one_column():
    frame = pl.DataFrame({"x": [1, 2, 3, 4], "a": [1, 0, 1, None], "b": ["yes", "no", "yes", "no"]})
    labelling = Labelling(form="columns", columns=("b", "a"))
    made = joined_columns(frame, labelling, "a, b")
    assert made.columns == ["x", "a, b"]
    assert rows_of(label_cells(made["a, b"], labelling)) == [["b", "a"], [], ["b", "a"], None]


def test_a_column_of_something_else_is_refused_by_row():
    frame = pl.DataFrame({"x": [1, 2], "a": [1, 0], "b": [0, 2]})
    with pytest.raises(DataError, match=r"must each hold 0 and 1.*'b' holds '2' in row 2"):
        joined_columns(frame, Labelling(form="columns", columns=("a", "b")), "t")
    with pytest.raises(DataError, match="every column of labels must be in the table, but 'c' is not"):
        joined_columns(frame, Labelling(form="columns", columns=("a", "c")), "t")
