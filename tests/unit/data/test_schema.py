from __future__ import annotations

import datetime as dt
import math
import uuid
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Column, Hints, Kind, Schema, Task
from assay.errors import DataError

REAL = Path(__file__).parents[4] / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the published data sets are not here")


def schema_of(target: list[object] | None = None, hints: dict[str, object] | None = None, **columns: object) -> Schema:
    """The schema of the columns, beside a feature and a target that need no attention."""
    rows = len(next(iter(columns.values()))) if columns else len(target or [])  # type: ignore[arg-type]
    beside = {"feature": [at * 0.5 for at in range(rows)], "y": target or ["a", "b"] * (rows // 2) + ["a"] * (rows % 2)}
    return infer(read(columns | beside), Hints(target="y", **(hints or {})))


def column_of(cells: object, name: str = "x", **hints: object) -> Column:
    return schema_of(hints=hints, **{name: cells})[name]


def test_numbers_stay_numbers() -> None:
    column = column_of([1.5, 2.5, None, math.nan] * 10)
    assert (column.kind, column.missing, column.distinct, column.format) == (Kind.NUMBER, 20, 2, None)
    assert column_of([94103, 10001, 60601, 73301] * 10).kind is Kind.NUMBER
    assert column_of([0, 1] * 10).reason == (
        "number because all values are integers (0 and 1, which a network takes as they are)"
    )


def test_strings_of_numbers_are_numbers_with_their_missing_spellings_counted() -> None:
    column = column_of(["1.5", "?", " 2 ", "NA", "none", None, "3", "?"] * 5)
    assert (column.kind, column.missing, column.unparsed) == (Kind.NUMBER, 25, 0)
    assert column.missing_spellings == {"?": 10, "NA": 5, "none": 5}
    assert column.reason == "number because all values are numbers"


@pytest.mark.parametrize(
    ("cells", "format_", "words"),
    [
        (["1,234.5", "12", "7,000"], "1,234.5", "commas between thousands"),
        (["1.234,5", "12", "7,25"], "1.234,5", "a decimal comma"),
        (["1,5", "2,25", "3"], "1.234,5", "a decimal comma"),
        (["1,234", "2,345", "3"], "1,234.5", "commas between thousands"),
    ],
)
def test_the_number_format_is_found(cells: list[str], format_: str, words: str) -> None:
    column = column_of(cells * 10)
    assert (column.kind, column.format, column.unparsed) == (Kind.NUMBER, format_, 0)
    assert words in column.reason


def test_a_file_with_decimal_commas_decides_the_doubtful_cells(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x;z;y\n" + "1,234;1,5;a\n2,345;2,5;b\n" * 10)
    assert infer(read(path), Hints(target="y"))["x"].format == "1.234,5"


def test_a_few_words_among_many_numbers_are_counted_as_unparsed() -> None:
    column = column_of([str(at) for at in range(97)] + ["lots", "few", "lots"])
    assert (column.kind, column.unparsed, column.missing) == (Kind.NUMBER, 3, 0)
    assert "97 of 100" in column.reason
    assert "'lots', 'few'" in column.reason
    assert column_of([str(at % 5) for at in range(97)] + ["lots"] * 3).kind is Kind.CATEGORY


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([True, False, None, True], Kind.BOOLEAN),
        (["Yes", "no", "?", "yes"], Kind.BOOLEAN),
        (["T", "F", "T", "F"], Kind.BOOLEAN),
        (["yes", "no", "maybe", "no"], Kind.CATEGORY),
        (["on", "no", "on", "no"], Kind.CATEGORY),
        (["red", "green", "blue", "none"], Kind.CATEGORY),
        ([7, 7, None, 7], Kind.CONSTANT),
        (["a", "a", "?", " a"], Kind.CONSTANT),
        ([None, None, None, None], Kind.CONSTANT),
        (["?", "", "NA", None], Kind.CONSTANT),
        ([dt.date(2024, 1, day) for day in (1, 2, 3, 4)], Kind.DATETIME),
        ([dt.datetime(2024, 1, day) for day in (1, 2, 3, 4)], Kind.DATETIME),
    ],
)
def test_kinds_of_short_columns(cells: list[object], kind: Kind) -> None:
    assert column_of(cells * 6).kind is kind


def test_reasons_name_the_numbers() -> None:
    assert column_of(["a", "b", "c"] * 10).reason == "category because 3 distinct words in 30 rows"
    assert column_of(["?"] * 30).reason == "constant because every cell is missing"
    assert column_of([1, None] * 15).reason == "constant because there is one value beside 15 missing cells"
    assert schema_of(target=["a", "b"] * 10).task_reason == "binary because 2 distinct values"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("customerID", np.random.default_rng(0).permutation(60)),
        ("user_id", np.random.default_rng(0).permutation(60)),
        ("anything", np.arange(60)),
        ("anything", np.arange(1, 61)),
        ("token", [str(uuid.UUID(int=at)) for at in range(60)]),
        ("record_id", [str(1000 + at) if at else "?" for at in range(60)]),
    ],
)
def test_columns_that_name_the_row_are_ids(name: str, cells: object) -> None:
    column = column_of(list(cells), name)  # type: ignore[call-overload]
    assert column.kind is Kind.ID, column.reason
    assert name not in {feature.name for feature in schema_of(**{name: list(cells)}).features}  # type: ignore[call-overload]


def test_integers_that_only_differ_are_no_ids() -> None:
    assert column_of(np.random.default_rng(0).permutation(60).tolist(), "income").kind is Kind.NUMBER
    assert column_of([1, 2, 3] * 20, "user_id").kind is Kind.NUMBER


def test_sentences_are_text() -> None:
    reviews = [f"the film number {at} was long and not very good" for at in range(80)]
    assert column_of(reviews).kind is Kind.TEXT
    assert column_of(["very good indeed my friend", "not so good my friend"] * 40).kind is Kind.CATEGORY
    assert column_of([f"Person Number{at}" for at in range(80)]).kind is Kind.TEXT


@pytest.mark.parametrize(
    ("cells", "format_"),
    [
        (["2024-01-31", "2024-02-01", "?"], None),
        (["2024-01-31T10:00:00Z", "2024-02-01T11:30:00+02:00", ""], None),
        (["1/31/2011", "2/1/2011", "12/25/2012"], "%m/%d/%Y"),
        (["31/1/2011", "1/2/2011", "25/12/2012"], "%d/%m/%Y"),
        (["2011/1/31", "2011/2/1", "2012/12/25"], "%Y/%m/%d"),
        (["31.01.2011", "01.02.2011", "none"], "%d.%m.%Y"),
        (["31.01.2011 10:15", "01.02.2011 23:59", None], "%d.%m.%Y %H:%M"),
        (["1/31/2011 10:15 PM", "2/1/2011 1:00 am", None], "%m/%d/%Y %I:%M %p"),
        (["Jan 31, 2011", "Feb 1, 2011", "March 3, 2011"], "%b %d, %Y"),
    ],
)
def test_dates_are_found_with_their_format(cells: list[str | None], format_: str | None) -> None:
    column = column_of(cells * 10)
    assert (column.kind, column.format, column.unparsed) == (Kind.DATETIME, format_, 0)


def test_a_day_that_could_be_a_month_is_settled_by_order_or_said() -> None:
    days = [dt.date(2024, month, day) for month in range(1, 13) for day in (1, 5, 9)]
    assert column_of([day.strftime("%m/%d/%Y") for day in days]).format == "%m/%d/%Y"
    assert column_of([day.strftime("%d/%m/%Y") for day in days]).format == "%d/%m/%Y"
    doubtful = column_of(["1/2/2024", "2/1/2024", "3/3/2024"] * 10)
    assert doubtful.format == "%m/%d/%Y"
    assert "%d/%m/%Y would fit as well" in doubtful.reason


def test_codes_are_no_dates() -> None:
    assert column_of(["12-A", "13-B", "14-C"] * 10).kind is Kind.CATEGORY
    assert column_of(["1.2.3", "1.2.4", "1.10.0"] * 10).kind is Kind.CATEGORY


@pytest.mark.parametrize(
    ("target", "task", "classes", "class_dtype"),
    [
        (["no", "yes"] * 20, Task.BINARY, ("no", "yes"), "string"),
        ([True, False] * 20, Task.BINARY, ("false", "true"), "boolean"),
        ([1, -1] * 20, Task.BINARY, ("-1", "1"), "integer"),
        ([0.0, 1.0] * 20, Task.BINARY, ("0", "1"), "integer"),
        ([0.5, 1.5] * 20, Task.BINARY, ("0.5", "1.5"), "number"),
        (["1", "0", "?", "1"] * 10, Task.BINARY, ("0", "1"), "integer"),
        (["b", "a", "c", None] * 10, Task.MULTICLASS, ("a", "b", "c"), "string"),
        ([2, 10, 9, 3] * 25, Task.MULTICLASS, ("2", "3", "9", "10"), "integer"),
        ([1.0, 2.0, 3.0] * 25, Task.MULTICLASS, ("1", "2", "3"), "integer"),
        (list(range(40)), Task.REGRESSION, (), "string"),
        ([at / 7 for at in range(40)], Task.REGRESSION, (), "string"),
        ([100, 250, 1000, 5000] * 25, Task.REGRESSION, (), "string"),
    ],
)
def test_the_task_follows_from_the_target(
    target: list[object], task: Task, classes: tuple[str, ...], class_dtype: str
) -> None:
    schema = schema_of(target=target)
    assert (schema.task, schema.classes, schema.class_dtype) == (task, classes, class_dtype)
    assert schema.is_classification == (task is not Task.REGRESSION)


@pytest.mark.parametrize(("name", "rows", "task"), [("Label", 6, Task.MULTICLASS), ("Label", 4, Task.REGRESSION),
                                                     ("score", 6, Task.REGRESSION)])  # fmt: skip
def test_the_name_of_a_target_says_that_its_few_integers_are_classes(name: str, rows: int, task: Task) -> None:
    # FacesUCR: 14 classes in 200 rows, which by their counts alone would be amounts
    table = {"feature": [at * 0.5 for at in range(14 * rows)], name: list(range(1, 15)) * rows}
    assert infer(read(table), Hints(target=name)).task is task


def test_a_target_with_decimal_commas_is_an_amount() -> None:
    schema = schema_of(target=["1,5", "2,25", "3", "?"] * 10)
    assert (schema.task, schema["y"].format, schema["y"].missing) == (Task.REGRESSION, "1.234,5", 10)


def test_hints_overrule_the_task_and_the_positive_class() -> None:
    grades = [3, 4, 5, 6] * 25
    inferred = schema_of(target=grades)
    assert "--task regression" in inferred.task_reason
    forced = schema_of(target=grades, hints={"task": Task.REGRESSION})
    assert (forced.task, forced.task_reason, forced.classes) == (Task.REGRESSION, "regression because you say so", ())
    flipped = schema_of(target=["no", "yes"] * 20, hints={"positive": "no"})
    assert (flipped.classes, flipped.positive) == (("yes", "no"), "no")
    assert schema_of(target=[True, False] * 20, hints={"positive": "False"}).positive == "false"


@pytest.mark.parametrize(
    ("target", "hints", "message"),
    [
        ([None] * 40, {}, "must have at least two values, but every cell is missing"),
        (["?"] * 40, {}, "every cell is missing"),
        (["a"] * 40, {}, "but every value is 'a'"),
        ([5] * 40, {}, "but every value is '5'"),
        (["a", "b"] * 19 + ["c", "a"], {}, "every class of 'y' must have at least 2 rows.* but 'c' has 1"),
        ([f"name{at}" for at in range(40)], {}, "it has 40 distinct values in 40 rows"),
        ([1.5, math.inf] + [at / 3 for at in range(38)], {}, "1 is infinite, first in row 2"),
        (["a", "b"] * 20, {"task": Task.REGRESSION}, "must hold numbers, but it holds words such as 'a', 'b'"),
        (["a", "b", "c", "d"] * 10, {"task": Task.BINARY}, "must have two values, but it has 4"),
        (["no", "yes"] * 20, {"positive": "yess"}, "but 'yess' is not. Did you mean 'yes'?"),
        (["a", "b", "c", "d"] * 10, {"positive": "a"}, "belongs to a binary target"),
        ([at / 3 for at in range(40)], {"positive": "a"}, "belongs to a binary target"),
        ([f"2024-01-{at % 28 + 1:02}" for at in range(40)], {}, "it holds dates"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(
    target: list[object], hints: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        schema_of(target=target, hints=hints)


def test_parts_given_by_hints_are_kept() -> None:
    table = {
        "who": ["a", "b"] * 20,
        "when": ["2024-01-01", "2024-01-02"] * 20,
        "w": [1.0, 0.0] * 20,
        "sex": ["m", "f"] * 20,
        "junk": list(range(40)),
    }
    hints = {"group": "who", "time": "when", "weight": "w", "sensitive": ("sex",), "drop": ("junk",)}
    schema = schema_of(hints=hints, **table)
    assert (schema.group, schema.time, schema.weight, schema.sensitive) == ("who", "when", "w", ("sex",))
    assert [column.name for column in schema.features] == ["when", "sex", "feature"]
    assert [column.name for column in schema.columns] == [*table, "feature", "y"]


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"group": "Who"}, "the group column must be in the table, but 'Who' is not. Did you mean 'who'?"),
        ({"drop": ("nope",)}, "the drop column must be in the table"),
        ({"kinds": {"whoo": Kind.TEXT}}, "the as column must be in the table.* Did you mean 'who'"),
        ({"group": "who", "time": "who"}, "'who' is given as group and as time"),
        ({"drop": ("y",)}, "'y' is given as target and as drop"),
        ({"weight": "who"}, "40 are none, first in rows 1, 2, 3, 4, 5 .'a'."),
        ({"weight": "debt"}, "20 are none, first in rows 2"),
        ({"time": "who"}, "must hold dates or numbers"),
        ({"kinds": {"who": Kind.NUMBER}}, "40 of 40 are none, such as 'a', 'b'"),
        ({"kinds": {"who": Kind.BOOLEAN}}, "given as boolean, must hold boolean values"),
        ({"kinds": {"who": Kind.DATETIME}}, "given as datetime"),
        ({"kinds": {"debt": Kind.DATETIME}}, "given as datetime"),
        ({"drop": ("who", "debt", "feature")}, "at least one column must be usable"),
    ],
)
def test_hints_that_cannot_hold_are_refused(hints: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        schema_of(hints=hints, who=["a", "b"] * 20, debt=[1.0, -1.0] * 20)


def test_kinds_given_by_hints_are_taken() -> None:
    column = column_of(["1", "2", "x"] * 10, kinds={"x": Kind.NUMBER})
    assert (column.kind, column.unparsed) == (Kind.NUMBER, 10)
    assert column.reason == "number because you say so; 10 cells are none and count as missing"
    assert column_of([1, 2, 3] * 10, kinds={"x": Kind.CATEGORY}).kind is Kind.CATEGORY
    assert column_of(["31.01.2011", "01.02.2011"] * 10, kinds={"x": Kind.DATETIME}).format == "%d.%m.%Y"
    assert column_of([0, 1, None] * 10, kinds={"x": Kind.BOOLEAN}).missing == 10
    assert column_of(list(range(40)), kinds={"x": Kind.NUMBER}).kind is Kind.NUMBER
    assert column_of(["a.scan", "b.scan"] * 10, kinds={"x": Kind.IMAGE}).kind is Kind.IMAGE


def test_an_unknown_target_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match=r"the target column must be in the table, but 'incme' is not. Did you mean"):
        infer(read({"income": [1, 2], "age": [3, 4]}), Hints(target="incme"))


def test_one_row_is_no_table() -> None:
    with pytest.raises(DataError, match="at least two rows"):
        infer(read({"x": [1], "y": [2]}), Hints(target="y"))


def test_ten_thousand_columns() -> None:
    rng = np.random.default_rng(0)
    numbers = {f"n{at}": rng.normal(size=50) for at in range(5000)}
    words = {f"w{at}": pl.Series(rng.integers(0, 4, 50)).cast(pl.String) + "x" for at in range(5000)}
    table = read(pl.DataFrame(numbers | words | {"y": ["a", "b"] * 25}))
    schema = infer(table, Hints(target="y"))
    assert len(schema.features) == 10_000
    assert {schema["n7"].kind, schema["w7"].kind} == {Kind.NUMBER, Kind.CATEGORY}


@real
@pytest.mark.parametrize(
    ("file", "target", "task", "kinds"),
    [
        ("tabular/telco_churn", "Churn", Task.BINARY,
         {"customerID": Kind.ID, "TotalCharges": Kind.NUMBER, "Partner": Kind.BOOLEAN, "Contract": Kind.CATEGORY}),
        ("tabular/titanic", "Survived", Task.BINARY,
         {"PassengerId": Kind.ID, "Name": Kind.TEXT, "Ticket": Kind.CATEGORY, "Age": Kind.NUMBER}),
        ("tabular/bike_sharing_hour", "cnt", Task.REGRESSION, {"instant": Kind.ID, "dteday": Kind.DATETIME}),
        ("tabular/wine_quality", "quality", Task.MULTICLASS, {"alcohol": Kind.NUMBER, "color": Kind.CATEGORY}),
        ("tabular/abalone", "rings", Task.REGRESSION, {"sex": Kind.CATEGORY}),
        ("imbalanced/sick", "Class", Task.BINARY, {"TBG": Kind.CONSTANT, "TSH": Kind.NUMBER, "pregnant": Kind.BOOLEAN}),
    ],
)  # fmt: skip
def test_published_data_sets(file: str, target: str, task: Task, kinds: dict[str, Kind]) -> None:
    path = next(REAL.glob(f"{file}.*"))
    schema = infer(read(path), Hints(target=target))
    assert schema.task is task
    assert {name: schema[name].kind for name in kinds} == kinds
    if file.endswith("telco_churn"):
        assert schema["TotalCharges"].missing_spellings == {" ": 11}
    if file.endswith("hour"):
        assert schema["dteday"].format == "%m/%d/%Y"
