"""Settings as text, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assay.errors import ConfigError
from assay.search.fit.several import as_text, check_settings, setting_in

VALUES = (
    some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False)
    | some.sampled_from(["mlp", "adamw", "pbld"])
)  # fmt: skip


@given(
    some.dictionaries(
        some.sampled_from(["model.name", "model.width", "train.lr", "train.nesterov"]), VALUES, min_size=1
    )
)
def test_a_setting_is_read_as_it_was_written(setting):
    found = setting_in(as_text(setting))
    assert found == setting
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in setting.items()}


def test_a_setting_is_written_as_one_would_type_it():
    assert as_text({"model.name": "mlp", "train.lr": 0.0021}) == "model.name=mlp train.lr=0.0021"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one is empty"),
        ("train.lr", "'train.lr' is none"),
        ("seed=3", "'seed=3' is none"),
        ("train.lr=", "is none"),
    ],
)
def test_what_is_no_setting_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        check_settings(["train.lr=0.1", text])
