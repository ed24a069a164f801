"""Spaces from the typed options, from --over and from files."""

import pytest

from assay.compose.asking import Asked, asked_in, asked_over
from assay.compose.files import read_yaml
from assay.compose.run_config import RunConfig
from assay.compose.searching import derive_space
from assay.data.schema import Task
from assay.errors import ConfigError
from assay.search.study.starts import first_settings

FAMILIES = ("realmlp", "mlp", "tabm")


def derived(over=(), *, config=None, families=FAMILIES, constraints=(), task=Task.BINARY, also=None):
    asked = asked_over(over)
    return derive_space(asked, constraints, families, RunConfig.model_validate(config or {}), task, also or {})


def parameter(found, name):
    return next(each for each in found.space.parameters if each.name == name)


def test_named_options_take_their_range_from_the_field_and_the_family():
    found = derived(["train.lr,model.width,model.dropout"], config={"model": {"name": "mlp"}})
    lr, width, dropout = found.space.parameters
    assert (lr.name, lr.low, lr.high, lr.scale) == ("train.lr", 1.25e-4, 0.032, "log")
    assert lr.usual == {"mlp": 2e-3}
    assert width.choices == (64, 96, 128, 192, 256, 384, 512)
    assert width.ordered
    assert (dropout.low, dropout.high, dropout.scale) == (0.0, 0.5, "linear")


def test_each_family_has_its_own_range_where_ranges_differ():
    found = derived(["model.name=mlp|realmlp|tabm,train.lr,model.dropout"])
    names = [each.name for each in found.space.parameters]
    assert names == ["model.name", "train.lr[mlp+tabm]", "train.lr[realmlp]", "model.dropout"]
    assert parameter(found, "train.lr[realmlp]").conditions == ("model.name in ['realmlp']",)
    assert parameter(found, "train.lr[realmlp]").low == 0.0025
    setting = found.space.setting({"model.name": "realmlp"})
    assert setting == {"model.name": "realmlp", "train.lr": 0.04, "model.dropout": 0.15}


def test_the_own_value_of_a_family_is_among_its_choices():
    found = derived(["model.width,model.layers"], config={"model": {"name": "ft_transformer"}})
    assert 192 in parameter(found, "model.width").choices
    found = derived(["model.layers"], config={"model": {"name": "inception"}})
    assert parameter(found, "model.layers").choices == (1, 2, 3, 4, 6)


def test_without_options_the_families_and_their_main_ones_are_searched():
    found = derived()
    assert found.space.families == FAMILIES
    assert found.space.keys == (
        "model.name", "model.layers", "model.width", "model.dropout", "train.lr", "train.weight_decay",
    )  # fmt: skip


def test_what_is_set_is_not_searched():
    found = derived(config={"model": {"name": "mlp", "width": 64}})
    assert "model.width" not in found.space.keys
    with pytest.raises(ConfigError, match="either set or searched"):
        derived(["model.width"], config={"model": {"name": "mlp", "width": 64}})


def test_one_family_is_taken_and_said_where_only_other_options_are_named():
    found = derived(["train.lr"])
    assert found.space.families == ("realmlp",)
    assert found.notes == ["model.name is realmlp in all trials; search it too with --over model.name"]


def test_inline_ranges_and_choices_overrule():
    found = derived(["train.lr=1e-3..1e-1,model.width=64|128", "model.activation=relu|gelu"],
                    config={"model": {"name": "mlp"}})  # fmt: skip
    lr, width, activation = found.space.parameters
    assert (lr.low, lr.high, lr.scale) == (1e-3, 1e-1, "log")
    assert (width.choices, width.ordered) == ((64, 128), True)
    assert (activation.choices, activation.ordered) == (("relu", "gelu"), False)


def test_a_default_outside_the_range_is_moved_and_said():
    found = derived(["train.lr=1e-2..1e-1"], config={"model": {"name": "mlp"}})
    assert found.space.setting({}) == {"train.lr": 0.01}
    assert "mlp has train.lr=0.002 by itself, which is not in 0.01..0.1, logarithmic" in found.notes[0]


def test_options_hang_on_the_optimiser_and_the_numbers():
    found = derived(["train.momentum,train.optimiser=sgd|adamw,model.numbers,model.frequencies"],
                    config={"model": {"name": "mlp"}})  # fmt: skip
    names = [each.key for each in found.space.parameters]
    assert names.index("train.optimiser") < names.index("train.momentum")
    assert parameter(found, "train.momentum").conditions == ("train.optimiser in ['sgd', 'rmsprop', 'muon']",)
    assert parameter(found, "model.frequencies").conditions == ("model.numbers in ['periodic', 'pbld']",)
    plain = {"train.optimiser": "adamw", "model.numbers": "plain"}
    assert found.space.setting(plain) == plain


@pytest.mark.parametrize(
    ("over", "config", "said"),
    [
        ("train.lrr", {}, "Did you mean 'train.lr'"),
        ("lr", {}, "Did you mean 'train.lr'"),
        ("data.encode.scale", {}, "A study holds data.encode.scale fixed"),
        ("train.device", {}, "A study holds train.device fixed"),
        ("train.lr=1e-1..1e-3", {}, "0.1 is above 0.001"),
        ("train.lr=0.1..0.1", {}, "its ends are equal"),
        ("train.lr=0..0.1", {}, "train.lr must be a number, above 0"),
        ("train.lr=0.1..1000", {}, "train.lr must be a number, above 0"),
        ("train.lr=fast..slow", {}, "LOW..HIGH"),
        ("train.lr=fast|slow", {}, "train.lr must be a number"),
        ("model.width=2.5..8", {}, "model.width must be a whole number"),
        ("model.width=64", {}, "gives model.width one value"),
        ("model.activation=0.1..0.2", {}, "has no range"),
        ("model.activation=relu|gelo", {}, "model.activation must be one of"),
        ("model.name=mlp|tabn", {}, "Did you mean 'tabm'"),
        ("train.lr,train.lr", {}, "named twice"),
        ("train.lr=", {}, "is none"),
        (",", {}, "it names none"),
        ("train.patience", {}, "needs a range"),
        ("train.series.slicing", {}, "needs a range"),
        ("model.heads", {"model": {"name": "mlp"}}, "mlp has no use for it"),
        ("model.frequencies", {"model": {"name": "mlp"}}, "mlp with model.numbers=piecewise has no use for it"),
        ("train.momentum", {"model": {"name": "mlp"}}, "an option of the optimiser sgd, rmsprop, muon"),
        ("model.name", {"model": {"name": "mlp"}}, "either set or searched"),
    ],
)
def test_what_cannot_be_searched_is_said(over, config, said):
    with pytest.raises(ConfigError) as error:
        derived([over], config=config)
    assert said in str(error.value)


def test_a_search_over_families_leaves_out_where_an_option_means_nothing():
    found = derived(["model.name=mlp|tabm,model.heads"])
    heads = parameter(found, "model.heads[tabm]")
    assert heads.conditions == ("model.name in ['tabm']",)
    assert found.space.setting({"model.name": "mlp"}) == {"model.name": "mlp"}


def from_file(content):
    config = RunConfig.model_validate({"model": {"name": "mlp"}})
    return derive_space(*asked_in(content), FAMILIES, config, Task.BINARY).space


def file(tmp_path, text):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return read_yaml(path)


def test_a_file_has_ranges_choices_conditions_and_constraints(tmp_path):
    found = from_file(file(tmp_path, """
parameters:
  model.layers: [1, 2, 4]
  model.width: {low: 16, high: 512, scale: log}
  train.lr: 1e-4..1e-2
  train.optimiser: sgd|adamw
  train.momentum: {low: 0.5, high: 0.99, if: model.layers > 1 and train.optimiser == 'sgd'}
constraints:
  - model.width * model.layers <= 1024
"""))  # fmt: skip
    momentum = next(each for each in found.parameters if each.key == "train.momentum")
    assert momentum.conditions == (
        "train.optimiser in ['sgd', 'rmsprop', 'muon']", "model.layers > 1 and train.optimiser == 'sgd'",
    )  # fmt: skip
    width = next(each for each in found.parameters if each.key == "model.width")
    assert (width.low, width.high, width.scale, width.whole) == (16.0, 512.0, "log", True)
    assert found.refusal({"model.width": 512, "model.layers": 4}) == "it breaks model.width * model.layers <= 1024"
    assert found.refusal({"model.width": 256, "model.layers": 4}) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "must hold `parameters:`"),
        ("parameters: {}", "must name options to search, but there are none"),
        ("parametres: {}", "line 1 of space.yaml has 'parametres'"),
        ("parameters: [train.lr]", "must be a mapping"),
        ("parameters: {train.lr: {low: 0.1}}", "must have low and high, or choices"),
        ("parameters: {train.lr: {lo: 0.1}}", "it has 'lo'"),
        ("parameters: {train.lr: {low: a, high: b}}", "must be numbers"),
        ("parameters: {train.lr: {low: 1e-4, high: 0.1, scale: cubic}}", "linear, log or int"),
        ("parameters: {train.lr: 3}", "must give a range"),
        ("parameters: {train.lr: {choices: {a: 1}}}", "must be a list"),
        ("parameters: {model.width: [64, [65]]}", "must be words, numbers"),
        ("parameters: {}\nconstraints: [model.width > ]", "expression of options"),
        ("parameters: {}\nconstraints: [model.wide > 3]", "Did you mean 'model.width'"),
        ("parameters: {}\nconstraints: [data.memory > 3]", "names data.memory"),
        ("parameters: {model.width: [64, 128]}\nconstraints: [model.width > 300]", "none of its grid does"),
        ("parameters: {train.clip_value: {low: 0, high: 1, scale: log}}", "must lie above 0"),
        ("parameters: {model.width: {low: 8, high: 16, if: model.layers > 1}, "
         "model.layers: {low: 1, high: 3, if: model.width > 8}}", "circle"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_is_refused(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        from_file(file(tmp_path, text))
    assert said in str(error.value)


def test_asking_reads_numbers_words_and_truths():
    assert asked_over(["train.nesterov=true|false,model.width=64|128,train.lr=.5..2"]) == [
        Asked("train.nesterov", "train.nesterov=true|false", choices=(True, False)),
        Asked("model.width", "model.width=64|128", choices=(64, 128)),
        Asked("train.lr", "train.lr=.5..2", low=0.5, high=2.0),
    ]


def test_what_rows_hold_may_add_an_option_where_none_is_named_or_set():
    also = {"model.reads_texts": False}
    reads = parameter(derived(also=also), "model.reads_texts")
    assert reads.choices == (True, False)
    assert reads.usual == dict.fromkeys(FAMILIES, True)
    assert "model.reads_texts" not in derived(["train.lr"], also=also).space.keys
    assert "model.reads_texts" not in derived(config={"model": {"reads_texts": False}}, also=also).space.keys
    words = derived(families=("mlp", "text_cnn"), also=also)
    assert [each.name for each in words.space.parameters if "reads_texts" in each.key] == ["model.reads_texts[mlp]"]


def test_a_value_beside_that_of_each_family_is_tried():
    found = derived(families=("realmlp", "mlp", "tabm"), also={"model.numbers": "plain"})
    choices = {each.name: each.choices for each in found.space.parameters if each.key == "model.numbers"}
    assert choices == {
        "model.numbers[realmlp]": ("pbld", "plain"), "model.numbers[mlp]": ("piecewise", "plain"),
        "model.numbers[tabm]": ("piecewise_residual", "plain"),
    }  # fmt: skip
    named = derived(["model.numbers"], families=("mlp",), also={"model.numbers": "plain"})
    assert len(named.space.parameters[0].choices) == 6  # all, where it is named


def test_how_much_a_gap_is_lessened_is_searched_where_it_is_lessened():
    also = {"train.fairness": "equalised_odds", "train.fairness_weight": None}
    found = derived(families=("mlp", "tabm"), also=also)
    assert parameter(found, "train.fairness").choices == ("none", "equalised_odds")
    weight = parameter(found, "train.fairness_weight")
    assert (weight.low, weight.high, weight.scale) == (0.1, 10.0, "log")
    assert "train.fairness_weight" not in found.space.setting({"model.name": "mlp"})
    lessening = found.space.setting({"model.name": "tabm", "train.fairness": "equalised_odds"})
    assert lessening["train.fairness_weight"] == 1.0
    starts = [(setting.get("train.fairness_weight"), origin) for setting, origin in first_settings(found.space)]
    lessened = [(weight, f"default of mlp with equalised_odds, weight {weight:g}") for weight in (0.3, 1.0, 3.0, 10.0)]
    assert starts[:6] == [(None, "default of mlp"), (None, "default of tabm"), *lessened]
    assert starts[6:] == [(None, "portfolio")] * 3
    alone = derived(families=("tabm",), also={"train.fairness": "reweigh"})
    assert "default of tabm with reweigh" in [origin for _, origin in first_settings(alone.space)]
    with pytest.raises(ConfigError, match="the fairness here is none"):
        derived(["train.fairness_weight"], config={"model": {"name": "mlp"}})
