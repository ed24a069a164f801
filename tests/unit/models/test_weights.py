"""Folders of text encoders: those that can be opened, and what is said of all others."""

import json
import shutil

import pytest
import torch

from assay.errors import ConfigError
from assay.models.weights import open_text_encoder


@pytest.fixture
def folder(small_encoder, tmp_path):
    return shutil.copytree(small_encoder, tmp_path / "encoder")


def change(folder, **options):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | options))


def test_an_encoder_names_its_source_sum_and_licence(folder):
    weights = open_text_encoder(str(folder)).weights
    assert (weights.name, weights.source, weights.licence) == ("encoder", f"the folder {str(folder)!r}", "mit")
    assert len(weights.sha256) == 64
    assert weights.told().startswith(f"encoder from the folder {str(folder)!r}, mit, sha256 {weights.sha256[:12]}")


def test_a_folder_without_a_licence_says_so(folder):
    (folder / "README.md").unlink()
    assert open_text_encoder(str(folder)).weights.licence == "licence not stated"


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(ConfigError, match="'robert' is neither"):
        open_text_encoder("robert")


@pytest.mark.parametrize(
    ("options", "came"),
    [
        ({"model_type": "roberta"}, "model_type='roberta'"),
        ({"hidden_act": "relu"}, "hidden_act='relu'"),
        ({"position_embedding_type": "relative_key"}, "positions 'relative_key'"),
        ({"hidden_size": 32}, "size mismatch"),
        ({"num_hidden_layers": 3}, "a tensor is missing: 'encoder.layer.2"),
        ({"hidden_size": "wide"}, "is missing or no number"),
    ],
)
def test_another_architecture_is_refused_with_what_it_is(folder, options, came):
    change(folder, **options)
    with pytest.raises(ConfigError, match=came.replace("'", "['\"]")):
        open_text_encoder(str(folder))


def test_weights_that_are_a_pickle_are_not_opened(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"only pytorch_model\.bin, which may run code when opened"):
        open_text_encoder(str(folder))
    shutil.copy(folder / "pytorch_model.bin", folder / "model.safetensors")
    with pytest.raises(ConfigError, match="must hold the weights that"):
        open_text_encoder(str(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        open_text_encoder(str(folder))
