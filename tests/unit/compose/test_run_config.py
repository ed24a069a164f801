from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, TableConfig, flat, options, parse_budget, to_yaml
from assay.data.schema import Kind, Task
from assay.errors import ConfigError
from assay.train.config import TrainConfig


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60.0),
        ("10m", 600.0),
        ("10 min", 600.0),
        ("1.5h", 5400.0),
        ("90", 90.0),
        (".5h", 1800.0),
        (90, 90.0),
        (0.25, 0.25),
        (" 60S ", 60.0),
        ("none", None),
        ("None", None),
        (None, None),
    ],
)
def test_a_budget_is_read_in_seconds(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5s", "soon", "1d", "10 m s", "nan", "inf", "١m", True, -1, "9" * 400]
)
def test_what_is_no_budget_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match="Examples: 60s, 10m"):
        parse_budget(text)


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_any_number_of_seconds_is_itself(seconds):
    assert parse_budget(seconds) == pytest.approx(seconds)
    assert parse_budget(f"{seconds:.6f}s") == pytest.approx(seconds, abs=1e-6)


def test_flat_names_every_option_once_in_order():
    pairs = flat(RunConfig(train=TrainConfig(lr=0.5)))
    recipe = ("model.", "train.")  # what nobody set there is left to the recipe
    assert list(pairs) == [o.key for o in options() if not o.key.startswith(recipe) or o.key == "train.lr"]
    assert pairs["train.lr"] == 0.5
    assert pairs["evaluate.baselines"] == "majority,linear,trees"
    assert pairs["budget"] == 60.0
    assert pairs["data.split.stratify"] is True


def test_flat_shows_what_is_set_of_the_table():
    table = TableConfig(data="a.csv", target="y", drop=("u", "v"), kinds={"zip": Kind.CATEGORY, "n": Kind.NUMBER})
    pairs = flat(RunConfig(table=table))
    shown = {key: value for key, value in pairs.items() if key.startswith("table.")}
    assert shown == {
        "table.data": "a.csv",
        "table.target": "y",
        "table.drop": "u,v",
        "table.kinds": "zip=category,n=number",
    }


def test_options_tell_type_range_and_default():
    known = {option.key: option for option in options()}
    epochs = known["train.epochs"]
    assert epochs.allowed_in_words == "a whole number, at least 1, at most 100000"
    assert epochs.shown_default == str(TrainConfig().epochs)
    assert (
        known["model.name"].allowed_in_words
        == "one of auto, perceptron, mlp, resnet, ft_transformer, realmlp, tabm, tabm_mini, inception, fcn, resnet1d, "
        "gru, lstm, series_transformer, cnn, timm, text_cnn, text_gru, text_lstm, text_transformer, dlinear, patchtst, "
        "own"
    )
    assert known["train.batch"].allowed_in_words == "a whole number, at least 1, or auto or full"
    assert known["train.momentum"].shown_default == "none"
    assert known["evaluate.baselines"].is_list
    assert known["data.split.valid"].allowed == "above 0, below 1"
    assert all(option.description.endswith(".") for option in known.values())


def test_the_table_section_becomes_hints():
    table = TableConfig(target="y", kinds={"a": "number"}, sensitive="sex", task="binary", positive="yes")
    hints = table.hints()
    assert hints.target == "y"
    assert hints.kinds == {"a": Kind.NUMBER}
    assert hints.sensitive == ("sex",)
    assert hints.task is Task.BINARY
    assert hints.positive == "yes"


def test_hints_need_a_target():
    with pytest.raises(ConfigError, match="no target was given"):
        TableConfig(data="a.csv").hints()


@pytest.mark.parametrize("content", [{"seed": -1}, {"seed": 2**32}, {"budget": 0}, {"sed": 1}, {"preset": "fast"}])
def test_the_record_itself_is_strict(content):
    with pytest.raises(ValidationError):
        RunConfig.model_validate(content)


names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=12)
@given(names, names, st.lists(names, max_size=3), st.integers(0, 2**32 - 1), st.sampled_from([None, 0.5, 60.0]))
def test_the_resolved_file_loads_as_the_same_configuration(tmp_path_factory, target, column, drop, seed, budget):
    config = RunConfig(
        preset="quick",
        seed=seed,
        budget=budget,
        table=TableConfig(target=target, drop=tuple(drop), kinds={column: Kind.TEXT}, positive=column),
        train=TrainConfig(lr=3e-4, weight_decay=1e-7),
    )
    path: Path = tmp_path_factory.mktemp("resolved") / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    assert compose(file=path) == config
