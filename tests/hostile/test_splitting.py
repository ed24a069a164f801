import numpy as np
import polars as pl
import pytest

from assay.data.config import SplitConfig
from assay.data.reading.read import Source, Table
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.split import seal
from assay.errors import DataError
from assay.ledger import Ledger, Outcome


def make_table(**columns):
    frame = pl.DataFrame(columns)
    return Table(frame, Source(name="made.csv", format="csv", rows=frame.height, columns=frame.width, sha256="0"))


def make_schema(table, task=Task.BINARY, classes=("a", "b"), kinds=(), **parts):
    kinds = dict(kinds)
    columns = tuple(
        Column(
            name=series.name,
            kind=kinds.get(series.name, Kind.NUMBER if series.dtype.is_numeric() else Kind.CATEGORY),
            dtype=str(series.dtype),
            reason="made",
        )
        for series in table.frame
    )
    classes = () if task is Task.REGRESSION else classes
    return Schema(columns=columns, target="y", task=task, task_reason="made", classes=classes, **parts)


def cut(table, schema, valid=None, test=None, **config):
    return seal(
        table, schema, SplitConfig(**({"valid": 0.2} | config)), seed=0, ledger=Ledger(), valid=valid, test=test
    )


def good(n=40):
    return {"x": np.arange(float(n)), "word": ["p", "q"] * (n // 2), "y": ["a", "b"] * (n // 2)}


def refused(*words, table, schema, **given):
    with pytest.raises(DataError) as caught:
        cut(table, schema, **given)
    for word in words:
        assert word in str(caught.value)


def test_too_few_rows():
    table = make_table(**good(8))
    refused("at least 10 rows with a target", "there are 8", table=table, schema=make_schema(table))


def test_all_targets_missing():
    table = make_table(x=np.arange(20.0), y=pl.Series([None] * 20, dtype=pl.String))
    refused("at least 10 rows with a target", "there are 0", table=table, schema=make_schema(table))


def test_a_class_with_one_row():
    table = make_table(x=np.arange(31.0), y=["a", "b"] * 15 + ["rare"])
    schema = make_schema(table, Task.MULTICLASS, ("a", "b", "rare"))
    refused("every class of 'y' needs at least 3 rows", "class 'rare' has 1", table=table, schema=schema)


def test_a_class_that_is_copies_of_one_row():
    table = make_table(x=[*np.arange(30.0), 5.5, 5.5, 5.5, 5.5], y=["a", "b"] * 15 + ["rare"] * 4)
    schema = make_schema(table, Task.MULTICLASS, ("a", "b", "rare"))
    refused("'rare' form 1 sets", "keep_duplicates_together=false", table=table, schema=schema)
    split = cut(table, schema, keep_duplicates_together=False)
    assert 2 in split.valid.target


def test_a_class_in_too_few_groups():
    table = make_table(x=np.arange(40.0), who=["g1"] * 10 + [f"h{i}" for i in range(30)], y=["a"] * 10 + ["b"] * 30)
    refused("class 'a' form 1 sets", "one group", table=table, schema=make_schema(table, group="who"))


def test_too_few_groups():
    table = make_table(x=np.arange(40.0), who=["g1", "g2"] * 20, y=np.arange(40.0) ** 2)
    refused(
        "at least 3 rows or groups", "there are 2", table=table, schema=make_schema(table, Task.REGRESSION, group="who")
    )


def test_a_constant_target():
    table = make_table(x=np.arange(40.0), y=[1.5] * 40)
    refused("at least two different values", table=table, schema=make_schema(table, Task.REGRESSION))


def test_an_infinite_target():
    table = make_table(x=np.arange(40.0), y=[1.5, np.inf, *range(38)])
    refused("must be finite", "row 2", table=table, schema=make_schema(table, Task.REGRESSION))


def test_no_column_to_learn_from():
    table = make_table(k=["same"] * 40, y=["a", "b"] * 20)
    schema = make_schema(table, kinds={"k": Kind.CONSTANT})
    refused("at least one column to learn from", "'k' (constant)", table=table, schema=schema)


def test_a_missing_time():
    table = make_table(when=[None, 3.0, None, *range(37)], **good())
    refused("must have a time in 'when'", "rows 1, 3", "--time", table=table, schema=make_schema(table, time="when"))


def test_a_time_that_does_not_move():
    table = make_table(when=[1.0] * 20 + [2.0] * 20, **good())
    refused("at least 3 different times", "there are 2", table=table, schema=make_schema(table, time="when"))


def test_a_class_that_only_comes_later():
    table = make_table(when=np.arange(40.0), x=np.arange(40.0), y=["a"] * 32 + ["b"] * 8)
    refused(
        "training part must have every class", "'b' is not in it", table=table, schema=make_schema(table, time="when")
    )


@pytest.mark.parametrize(("bad", "came"), [(-1.0, "row 4"), (np.nan, "row 4"), (np.inf, "row 4")])
def test_unusable_weights(bad, came):
    weights = np.ones(40)
    weights[3] = bad
    table = make_table(w=weights, **good())
    refused("weights 'w'", came, table=table, schema=make_schema(table, weight="w"))


def test_weights_of_zero():
    table = make_table(w=np.zeros(40), **good())
    refused("some above 0", "all are 0", table=table, schema=make_schema(table, weight="w"))


def test_a_given_file_without_some_columns():
    table = make_table(**good())
    test = make_table(X_=np.arange(10.0), y=["a", "b"] * 5)
    refused("test file 'made.csv'", "lacks 'x', 'word'", table=table, schema=make_schema(table), test=test)


def test_a_given_file_without_the_target():
    table = make_table(**good())
    valid = make_table(x=np.arange(10.0), word=["p"] * 10, Y=["a", "b"] * 5)
    refused("validation file", "lacks 'y'", "Did you mean 'Y'?", table=table, schema=make_schema(table), valid=valid)


def test_a_class_that_training_does_not_know():
    table = make_table(**good())
    test = make_table(**good(10) | {"y": ["a", "b", "a", "b", "c", "a", "b", "c", "a", "b"]})
    refused("2 rows have 'c'", "rows 5, 8", table=table, schema=make_schema(table), test=test)


def test_a_given_file_with_one_class():
    table = make_table(**good())
    test = make_table(**good(10) | {"y": ["a"] * 10})
    refused("test part must have at least two classes", table=table, schema=make_schema(table), test=test)


def test_a_given_file_without_targets():
    table = make_table(**good())
    test = make_table(**good(10) | {"y": [None] * 10})
    refused("test part must have rows", table=table, schema=make_schema(table), test=test)


def test_a_group_in_two_files_is_written_down():
    table = make_table(who=[f"g{i}" for i in range(40)], **good())
    test = make_table(who=[f"g{i}" for i in range(35, 45)], **good(10))
    ledger = Ledger()
    seal(table, make_schema(table, group="who"), SplitConfig(), seed=0, ledger=ledger, test=test)
    assert ledger["split.groups"].outcome is Outcome.FAILED
    assert ledger["split.groups"].value == 5


def test_column_names_that_are_hard_to_write():
    names = ["a b", "quote'\"", "line\nbreak", "emoji 🙂", "", "\0target"]
    table = make_table(**{name: np.arange(40.0) + i for i, name in enumerate(names)}, y=["a", "b"] * 20)
    split = cut(table, make_schema(table))
    assert split.train.frame.columns == names
    assert (len(split.train), len(split.valid), len(split.test)) == (28, 8, 4)


def test_ten_thousand_columns():
    rng = np.random.default_rng(0)
    table = make_table(**{f"c{i}": rng.normal(size=20) for i in range(10_000)}, y=["a", "b"] * 10)
    split = cut(table, make_schema(table))
    assert split.train.frame.width == 10_000
    assert (len(split.train), len(split.valid), len(split.test)) == (14, 4, 2)
