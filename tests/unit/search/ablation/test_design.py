"""What an ablation is asked for: which practices, and of which network."""

import pytest

from assay.data.config import EncodeConfig
from assay.errors import ConfigError
from assay.evaluate.record import TrainedPart
from assay.models.config import ModelConfig
from assay.search.ablation.design import Off, asked_practices, leading, network_of
from assay.switches import SWITCHES


def part(name, share, *, is_network=True, **options):
    return TrainedPart(
        name=name, share=share, members=1, parameters=10, epochs=5, best_epoch=3, valid_loss=0.5, seconds=1.0,
        stopped="all epochs were run", options=options, is_network=is_network,
    )  # fmt: skip


def test_the_network_with_the_largest_share_is_trained_anew():
    parts = [part("mlp", 0.2), part("realmlp", 0.3), part("trees", 0.5, is_network=False)]
    assert leading(parts) == ("realmlp", parts[1])


def test_a_network_of_changed_series_is_of_its_family():
    assert leading([part("fcn on changed series", 1.0)])[0] == "fcn"
    assert leading([part("resnet1d", 1.0)])[0] == "resnet1d"  # and not resnet


def test_without_a_recipe_there_is_none():
    assert leading([part("MyModule", 0.5), part("trees", 0.5, is_network=False)]) is None


def test_the_network_has_what_was_said_and_the_numbers_that_the_run_found():
    plain = part("realmlp on plain numbers", 1.0, **{"model.numbers": "plain", "model.layers": 3})
    said = ModelConfig(dropout=0.3, members=4)
    assert network_of(plain, "realmlp", said) == ModelConfig(name="realmlp", dropout=0.3, numbers="plain")
    assert network_of(part("mlp", 1.0), "mlp", said).model_fields_set == {"name", "dropout"}


def test_practices_are_checked_and_named_once():
    assert asked_practices(["train.clipping", "encode.clip", "train.clipping"]) == ("train.clipping", "encode.clip")
    with pytest.raises(ConfigError, match=r"Did you mean 'train\.clipping'"):
        asked_practices(["train.clippin"])
    with pytest.raises(ConfigError, match=r"train\.threads cannot: it changes the time alone"):
        asked_practices(["train.threads"])


def test_a_switch_is_parted_into_encoding_and_training():
    off = Off("encode.scale", SWITCHES["encode.scale"])
    assert off.options == {}
    assert (off.encode(EncodeConfig()).scale, off.encode(EncodeConfig()).clip) == ("none", 0.0)
    off = Off("train.adamw", SWITCHES["train.adamw"])
    assert off.options == {"train.weight_decay": 0.0}
    assert off.encode(EncodeConfig()) == EncodeConfig()
