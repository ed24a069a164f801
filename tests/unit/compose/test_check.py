import pytest

from assay.compose.check import argument_of, checked_table, groups, nearest_option
from assay.data.schema import Kind
from assay.errors import ConfigError


def test_groups_hold_their_options():
    found = groups()
    assert set(found) == {
        "data",
        "data.audit",
        "data.split",
        "data.encode",
        "model",
        "train",
        "train.pictures",
        "train.series",
        "ensemble",
        "track",
        "evaluate",
    }
    assert found["data.audit"][0] == "data.audit.strict"
    assert set(found["data.audit"]) < set(found["data"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train.lrr", "'train.lr'"),
        ("trian.lr", "'train.lr'"),
        ("lr", "'train.lr'"),
        ("model.lr", "'train.lr'"),
        ("learning_rate", "'train.lr'"),
        ("train.learning-rate", "'train.lr'"),
        ("strict", "'data.audit.strict'"),
        ("presets", "'preset'"),
        ("Train.Epochs", "'train.epochs'"),
    ],
)
def test_the_option_meant_is_named(typed, meant):
    assert nearest_option(typed).startswith(f"Did you mean {meant}")


def test_an_option_of_a_known_group_gets_the_group():
    assert nearest_option("train.zzz").startswith("Options there: train.epochs, train.batch, train.accumulate")
    assert "model.width" not in nearest_option("train.zzz")
    assert nearest_option("zzz").startswith("There are: preset, seed, budget, data.*, model.*")


def test_the_table_has_arguments():
    assert argument_of("target") == "--target"
    assert argument_of("kinds") == "--as COL=KIND"
    assert argument_of("data") == "DATA"


def test_a_table_section_is_checked():
    table = checked_table({"data": "a.csv", "group": None, "kinds": {"a": "text"}, "drop": "b"}, "f.yaml")
    assert (table.data, table.group, table.kinds, table.drop) == ("a.csv", None, {"a": Kind.TEXT}, ("b",))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"taget": "y"}, "Did you mean 'target'?"),
        ({"kinds": {"a": "nmber"}}, "Did you mean 'number'?"),
        ({"task": "binray"}, "Did you mean 'binary'?"),
        ({"target": {"a": "b"}}, "target in the table section must be right"),
        ({"target": ""}, "gives ''"),
        ({"kinds": "a"}, "a mapping of column"),
        ({"drop": {"a": "b"}}, "a list of column names"),
    ],
)
def test_a_wrong_table_section_is_refused(section, message):
    with pytest.raises(ConfigError) as caught:
        checked_table(section, "f.yaml")
    assert message in str(caught.value)
    assert "f.yaml" in str(caught.value)
