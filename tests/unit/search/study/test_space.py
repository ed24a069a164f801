"""Spaces: grids, what a setting may be, and what lies nearest to what is wanted."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import ConfigError
from assay.search.study.findings import edges
from assay.search.study.space import Parameter, Space, told
from assay.search.study.starts import first_settings

LR = Parameter(name="train.lr", key="train.lr", low=1e-4, high=1e-1, scale="log", usual={"mlp": 0.002})
LAYERS = Parameter(name="model.layers", key="model.layers", low=1, high=3, whole=True, usual={"mlp": 2})
WIDTH = Parameter(name="model.width", key="model.width", choices=(32, 64, 128), ordered=True, usual={"mlp": 64})
WORD = Parameter(name="train.optimiser", key="train.optimiser", choices=("adamw", "sgd"), usual={"mlp": "adamw"})
MOMENTUM = Parameter(
    name="train.momentum", key="train.momentum", low=0.5, high=0.99, conditions=("train.optimiser == 'sgd'",),
    usual={"mlp": 0.9},
)  # fmt: skip


def space(*parameters, constraints=(), known=()):
    return Space(parameters=parameters, constraints=constraints, families=("mlp",), known={"mlp": dict(known)})


def test_points_of_a_range_are_even_on_its_scale_with_both_ends():
    assert LR.points(4) == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1))
    assert LAYERS.points() == (1, 2, 3)
    assert WIDTH.points() == (32, 64, 128)
    assert Parameter(name="a", key="a", low=0.0, high=1.0).points(3) == (0.0, 0.5, 1.0)
    assert Parameter(name="a", key="a", low=1, high=100, whole=True).points(3) == (1, 50, 100)


def test_a_grid_has_every_setting_that_means_something_and_can_be():
    made = space(LAYERS, WIDTH, constraints=("model.layers * model.width <= 128",))
    assert [(each["model.layers"], each["model.width"]) for each in made.grid()] == [
        (1, 32), (1, 64), (1, 128), (2, 32), (2, 64), (3, 32),
    ]  # fmt: skip
    assert made.points == 6
    assert made.is_finite
    conditional = space(WORD, MOMENTUM)
    assert next(iter(conditional.grid())) == {"train.optimiser": "adamw"}
    assert conditional.points == 1 + 5
    assert not conditional.is_finite


def test_a_space_without_a_setting_is_refused():
    with pytest.raises(ConfigError, match=r"none of its grid does: model\.width > 200"):
        space(WIDTH, constraints=("model.width > 200",)).check()
    with pytest.raises(ConfigError, match="no parameter is left"):
        space().check()


def test_heads_of_attention_must_divide_the_width():
    made = space(WIDTH, known={"model.attention_heads": 48, "model.width": 192})
    assert made.refusal({"model.width": 64}) == "48 heads of attention do not divide a width of 64"
    assert made.refusal({}) == ""


@given(st.floats(-1e3, 1e3), st.sampled_from([LR, LAYERS, WIDTH, MOMENTUM]))
def test_what_is_inside_is_in_the_range_and_stays(value, parameter):
    found = parameter.inside(value)
    assert found in parameter.choices if parameter.choices else parameter.low <= found <= parameter.high
    assert parameter.inside(found) == found
    assert isinstance(found, int) or not (parameter.whole or parameter.choices)


def test_the_first_settings_are_the_default_and_changes_of_it_that_can_be():
    made = space(LR, WIDTH, constraints=("model.width < 128 or train.lr > 0.01",))
    found = first_settings(made)
    assert found[0] == ({"train.lr": 0.002, "model.width": 64}, "default of mlp")
    assert [origin for _, origin in found[1:]] == ["portfolio"] * (len(found) - 1)
    assert len(found) > 2
    assert all(LR.low <= setting["train.lr"] <= LR.high and not made.refusal(setting) for setting, _ in found)
    assert told(found[0][0]) == "train.lr=0.002 model.width=64"


@pytest.mark.parametrize(
    ("parameter", "value", "beyond"),
    [
        (LR, 0.09, "0.0032..3.2"),
        (LR, 1e-4, "3.2e-06..0.0032"),
        (LR, 0.01, None),
        (WIDTH, 128, "128|192|256"),
        (WIDTH, 32, "16|24|32"),
        (WIDTH, 64, None),
        (WORD, "sgd", None),
        (Parameter(name="model.dropout", key="model.dropout", low=0.0, high=0.5), 0.0, None),
        (Parameter(name="model.dropout", key="model.dropout", low=0.0, high=0.5), 0.49, "0.25..0.75"),
        (Parameter(name="train.label_smoothing", key="train.label_smoothing", low=0.5, high=0.98), 0.98, "0.74..0.99"),
    ],
)
def test_the_edge_of_a_range_is_noted_with_the_range_to_try_next(parameter, value, beyond):
    notes = edges(space(parameter), {parameter.key: value})
    assert bool(notes) is (beyond is not None)
    if beyond is not None:
        assert f"try --over {parameter.key}={beyond} next" in notes[0]


def test_a_logarithmic_step_is_a_factor():
    points = LR.points()
    steps = [math.log(b / a) for a, b in pairwise(points)]
    assert steps == pytest.approx([steps[0]] * 4, rel=1e-9)


def test_a_parameter_that_never_has_a_meaning_is_refused():
    space(WORD, MOMENTUM).check()
    only = WORD.model_copy(update={"choices": ("adamw", "adam")})
    with pytest.raises(ConfigError, match=r"train\.momentum has none in this space: it is there only if"):
        space(only, MOMENTUM).check()
    # What a range may hold between the points of its grid is not known from these.
    between = Parameter(name="m", key="train.momentum", low=0.5, high=0.99, conditions=("train.lr == 0.005",))
    space(LR, between).check()
