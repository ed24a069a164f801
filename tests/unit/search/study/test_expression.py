"""Expressions of options: what they are worth, and what is no expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import ConfigError
from assay.search.study.expression import parsed


@pytest.mark.parametrize(
    ("text", "values", "held"),
    [
        ("model.width * model.layers <= 1024", {"model.width": 256, "model.layers": 4}, True),
        ("model.width * model.layers <= 1024", {"model.width": 512, "model.layers": 4}, False),
        ("model.name in ['tabm', 'mlp'] and train.lr > 1e-3", {"model.name": "mlp", "train.lr": 0.01}, True),
        ("model.name in ['tabm', 'mlp'] and train.lr > 1e-3", {"model.name": "resnet", "train.lr": 0.01}, False),
        ("not train.nesterov or model.width == 64", {"train.nesterov": True, "model.width": 64}, True),
        ("1e-4 <= train.lr < 1e-2", {"train.lr": 1e-2}, False),
        ("model.width % 8 == 0", {"model.width": 65}, False),
        ("-model.layers ** 2 + 2 * 3 == 2", {"model.layers": 2}, True),
    ],
)
def test_an_expression_is_worth_what_python_says(text, values, held):
    assert parsed(text, "here").holds(values) is held


def test_an_expression_names_its_options():
    assert parsed("model.width * model.layers <= 2 * train.epochs", "here").names == {
        "model.width", "model.layers", "train.epochs",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "model.width <", "open('x')", "__import__('os').system('x')", "model.width.__class__()", "lambda: 1",
        "[x for x in 'ab']", "width > 3", "f'{model.width}'", "model.width := 3", "model.width is None", "{1: 2}",
        "model['width']", "1 if model.width else 2", "b'x' == model.width", "(" * 60 + "1" + ")" * 60 + "+" * 40 + "1",
        "model.width + " * 100 + "1", 3, None,
    ],
)  # fmt: skip
def test_all_else_is_refused(text):
    with pytest.raises(ConfigError, match="expression of options"):
        parsed(text, "the constraint in line 3")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.width < 3", {"model.width": "wide"}),
        ("1 / model.width > 0", {"model.width": 0}),
        ("model.width ** 1000 > 1", {"model.width": 9}),
        ("model.name in 'tabm'", {"model.name": "tab"}),
    ],
)
def test_what_has_no_value_is_said_with_the_values(text, values):
    with pytest.raises(ConfigError, match="must have a value for every setting") as said:
        parsed(text, "here").holds(values)
    assert f"{next(iter(values))}={next(iter(values.values()))!r}" in said.value.came


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text):
    try:
        found = parsed(text, "here")
    except ConfigError:
        return
    assert all("." in name for name in found.names)
