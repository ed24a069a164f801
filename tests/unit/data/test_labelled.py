import polars as pl
import pytest

from assay.data.config import DataConfig
from assay.data.infer import infer
from assay.data.labelled import as_in, check_labels, find_labels, several_targets, with_label_column
from assay.data.reading.read import Source, Table
from assay.data.schema import Hints, Kind, Task
from assay.data.target import target_values
from assay.errors import ConfigError, DataError


def table(columns, delimiter=None):
    frame = pl.DataFrame(columns)
    source = Source(
        name="t", format="test", rows=frame.height, columns=frame.width, sha256="0" * 64, delimiter=delimiter
    )
    return Table(frame, source)


def movies(genres, **more):
    return table({"year": [place % 7 for place in range(len(genres))], "genres": genres}, **more)


GENRES = ["drama|comedy", "drama", "comedy", "drama|comedy", "", "rare|drama", None, "comedy"]


def schema_of(given, target="genres", config=None, **hints):
    found = find_labels(given, Hints(target=target, **hints), config or DataConfig())
    made = with_label_column(given, found.labelling, found.hints.target)
    return made, infer(made, found.hints, found.labelling)


def test_joined_words_that_recur_are_labels_unasked():
    made, schema = schema_of(movies(GENRES))
    assert (schema.task, schema.classes) == (Task.MULTILABEL, ("comedy", "drama"))
    assert schema.labelling.left_out == {"rare": 1}
    assert schema["genres"].kind is Kind.CATEGORY
    assert schema["genres"].missing == 1
    assert [column.name for column in schema.features] == ["year"]
    assert "several labels with '|' between them" in schema.task_reason
    values = target_values(made.frame["genres"], schema)
    assert values[:3].tolist() == [[1, 1], [0, 1], [1, 0]]
    assert values[5].tolist() == [0, 1]  # what is left out is no label
    assert values[6].tolist() == [-1, -1]


@pytest.mark.parametrize(("hints", "config"), [({"task": "multiclass"}, {}), ({}, {"labels": "none"})])
def test_it_can_be_overruled(hints, config):
    genres = ["drama|comedy", "comedy|drama", "drama"] * 10
    assert schema_of(movies(genres))[1].task is Task.MULTILABEL
    _, schema = schema_of(movies(genres), config=DataConfig(**config), **hints)
    assert schema.labelling is None
    assert schema.classes == ("comedy|drama", "drama", "drama|comedy")


@pytest.mark.parametrize("said", [{"config": DataConfig(labels=";")}, {"task": "multilabel"}])
def test_other_separators_are_labels_when_it_is_said(said):
    _, schema = schema_of(movies(["a;b", "b", "a", "a;b", "b;a"]), **said)
    assert (schema.classes, schema.labelling.separator) == (("a", "b"), ";")


def test_lists_and_single_words_are_labels():
    _, schema = schema_of(movies(['["a","b"]', '["b"]', "[]", '["a"]', '["a","b"]']))
    assert (schema.labelling.form, schema.classes) == ("lists", ("a", "b"))
    _, schema = schema_of(movies([[1.0, 2.0], [2.0], [1.0], [1.0, 2.0]]), task="multilabel")
    assert schema.classes == ("1", "2")
    _, schema = schema_of(movies(["a", "b"] * 3), task="multilabel")
    assert schema.classes == ("a", "b")


def test_several_columns_are_one_target():
    given = table({"x": [1, 2, 3, 4], "a": [1, 1, 1, 0], "b": [0, 1, 1, 1], "c": [0, 0, 1, 0]})
    made, schema = schema_of(given, target="b, a,c")
    assert schema.target == "b, a, c"
    assert schema.classes == ("b", "a")
    assert schema.labelling.left_out == {"c": 1}
    assert made.frame.columns == ["x", "b, a, c"]
    assert "a" not in {column.name for column in schema.columns}


def test_a_name_with_a_comma_is_one_target():
    assert several_targets("a,b", ["a,b", "a", "b"]) == []
    assert several_targets("x,y", ["a"]) == []
    with pytest.raises(DataError, match=r"every target column must be in the table, but 'bb' is not.*Did you mean 'b'"):
        several_targets("a,bb", ["a", "b"])
    with pytest.raises(DataError, match="names one twice"):
        several_targets("a,a", ["a", "b"])


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"task": "binary", "target": "year,genres"}, "the task of several labels a row is multilabel"),
        ({"task": "regression", "config": DataConfig(labels="|")}, "the task is regression"),
        ({"task": "multilabel", "config": DataConfig(labels="none")}, "data.labels=none says"),
    ],
)
def test_contradictions_are_refused(said, match):
    with pytest.raises(ConfigError, match=match):
        schema_of(movies(GENRES), **said)


@pytest.mark.parametrize(
    ("genres", "match"),
    [
        (["a", "a", "a", "b"], "at least two labels.*1 label has that many, and 1 have fewer"),
        (["x", "y", "z"], "0 labels have that many"),
    ],
)
def test_too_few_labels_are_refused(genres, match):
    with pytest.raises(DataError, match=match):
        schema_of(movies(genres), task="multilabel")


def test_a_positive_class_is_refused():
    with pytest.raises(DataError, match="holds several labels a row"):
        schema_of(movies(GENRES), positive="drama")


def test_empty_cells_of_delimited_files_have_no_label():
    given = movies(["a|b", "a", "b", None, "a|b", "b|a"], delimiter=",")
    made, schema = schema_of(given)
    assert target_values(made.frame["genres"], schema)[3].tolist() == [0, 0]
    again = as_in(movies(["a"]).source, schema)
    assert target_values(made.frame["genres"], again)[3].tolist() == [-1, -1]


def test_the_audit_says_what_was_taken_and_how_to_overrule_it():
    made, schema = schema_of(
        movies(["drama|comedy|all", "drama|drama|all", "comedy|all", "drama|comedy|all", "all|one"])
    )
    (checked,) = check_labels(made, schema)
    (finding,) = checked.findings
    assert "3 labels, 2.20 a row" in finding.what
    assert "1 of fewer than 3 rows are not learned and never given: 'one' (1)" in finding.what
    assert "1 rows name one twice" in finding.what
    assert "every row has 'all'" in finding.what
    assert "--task multiclass" in finding.do
    assert checked.rows.tolist() == [5]
    assert checked.outcome == "warned"
    assert check_labels(made, schema.model_copy(update={"labelling": None})) == ()


@pytest.mark.parametrize(
    ("genres", "do"),
    [
        (["a", "b"] * 4, "if labels stand together in a cell with another sign between them, name it"),
        (['["a"]', '["b"]', "[]"] * 3, "write it as a word and say --task multiclass"),
    ],
)
def test_one_label_a_row_is_asked_about(genres, do):
    made, schema = schema_of(movies(genres), task="multilabel")
    (checked,) = check_labels(made, schema)
    assert checked.outcome == "warned"
    assert "no row has several, so that classes, of which a row has one, would say as much" in checked.reason
    assert do in checked.findings[0].do
    several, other = schema_of(movies(["a|b", "b|a", "a", "b"] * 3))
    assert check_labels(several, other)[0].outcome == "applied"


def test_columns_of_which_a_row_has_one_are_asked_about():
    made, schema = schema_of(table({"x": [1, 2] * 3, "a": [0, 1] * 3, "b": [1, 0] * 3}), target="a,b")
    assert "write its name into one column" in check_labels(made, schema)[0].findings[0].do
