"""Conditions as people write them: read, refused in words, written again, and held against rows."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.errors import ConfigError
from assay.evaluate.slices.conditions import Clause, parse, written
from assay.evaluate.slices.row_values import RowValues

AGES = [10.0, None, 60.0, 61.5] * 15
FRAME = pl.DataFrame(
    {
        "age": AGES,
        "sex": ["Female", "Male", None, "Female"] * 15,
        "hours (week)": [10, 20, 30, 40] * 15,
        "comment": [f"one two three{' and four words more' * (i % 3)} {i}" for i in range(60)],
        "seen": ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"] * 15,
        "member": [True, False, True, None] * 15,
        "y": ["a", "b"] * 30,
    }
)
KINDS = {"comment": "text", "seen": "datetime", "age": "number", "hours (week)": "number", "sex": "category"}
SCHEMA = infer(read(FRAME), Hints(target="y", kinds=KINDS))
ROWS = Rows("test", FRAME.drop("y"), np.zeros(60, np.int64), None, np.arange(60))


def first_four(text):
    return RowValues(ROWS, SCHEMA).holds(parse(text, SCHEMA))[:4].tolist()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("age >= 60", [False, False, True, True]),
        ("age<61.5", [True, False, True, False]),
        ("age = 60", [False, False, True, False]),
        ("age != 60", [True, False, False, True]),  # a missing cell meets nothing
        ("age is missing", [False, True, False, False]),
        ("age is not missing", [True, False, True, True]),
        ("sex = Female", [True, False, False, True]),
        ("sex != Female", [False, True, False, False]),
        ("sex is missing", [False, False, True, False]),
        ("sex = Female & age > 20", [False, False, False, True]),
        ("'hours (week)' > 15 & \"hours (week)\" <= 30", [False, True, True, False]),
        ("seen >= 2024-03-01", [False, False, True, True]),
        ("member = yes", [True, False, True, False]),
        ("words(comment) > 4", [False, True, True, False]),
    ],
)
def test_rows_that_meet_a_condition(text, holds):
    assert first_four(text) == holds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agge > 3", "'age'"),
        ("age", "not a column, a sign and a value"),
        ("age > old", "no number"),
        ("sex > Female", "no order"),
        ("comment = x", "words(comment)"),
        ("words(age) > 3", "cannot be read"),
        ("y = a", "what is predicted"),
        ("", "comparisons"),
        ("age > 3 & ", "comparisons"),
        ("__import__('os').system('x')", "comparisons"),
        ("age > 3 & " * 9 + "age > 3", "at most"),
        ("a" * 600, "at most"),
        ("sex = it's", "comparisons"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text, says):
    with pytest.raises(ConfigError) as error:
        parse(text, SCHEMA)
    assert says in str(error.value)


NAMES = {"age": st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.5g}")), "hours (week)": st.integers(0, 99).map(float)}
CLAUSES = st.one_of(
    *(
        st.builds(Clause, st.just(name), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), values)
        for name, values in NAMES.items()
    ),
    st.builds(Clause, st.just("sex"), st.sampled_from(["=", "!="]), st.sampled_from(["Female", "a & b", "x = 'y'"])),
    st.builds(Clause, st.sampled_from(["age", "sex"]), st.sampled_from(["is missing", "is not missing"])),
    st.builds(Clause, st.just("words"), st.just(">"), st.just(3.0)).map(
        lambda clause: Clause("comment", clause.sign, clause.value, "words")
    ),
)


@given(st.lists(CLAUSES, min_size=1, max_size=3))
def test_what_is_written_is_read_as_the_same(clauses):
    assert parse(written(clauses, SCHEMA), SCHEMA) == tuple(clauses)


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_error_in_words(text):
    try:
        condition = parse(text, SCHEMA)
    except ConfigError:
        return
    assert RowValues(ROWS, SCHEMA).holds(condition).shape == (60,)
