"""Folders of text encoders and the hub: those that can be opened, and what is said of all others."""

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
    with pytest.raises(ConfigError, match="'robert' is none of them"):
        open_text_encoder("robert")


@pytest.mark.parametrize(
    ("options", "came"),
    [
        ({"model_type": "electra"}, "model_type='electra'"),
        ({"model_type": "distilbert"}, "it is missing: 'dim'"),
        ({"hidden_act": "silu"}, "hidden_act='silu'"),
        ({"position_embedding_type": "relative_key"}, "positions 'relative_key'"),
        ({"hidden_size": 32}, "size mismatch"),
        ({"num_hidden_layers": 3}, "it is missing: 'encoder.layer.2"),
        ({"hidden_size": "wide"}, "must have the sizes of the encoder"),
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


# The hub


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub's client with an empty cache and an address that nobody listens at."""
    client = pytest.importorskip("huggingface_hub")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(client.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(client.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def test_a_hub_out_of_reach_is_told_in_seconds(hub):
    with pytest.raises(ConfigError, match=r"must be within reach .* org/tiny, but it is not .*give the folder"):
        open_text_encoder("hf:org/tiny")


def test_a_proxy_out_of_reach_is_told_without_what_is_secret(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"within reach .*, but the proxy 127.0.0.1:9 is not \(") as caught:
        open_text_encoder("hf:org/tiny")
    assert "secret" not in str(caught.value)


def test_a_hub_that_is_switched_off_is_not_asked(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE switches downloads off"):
        open_text_encoder("hf:org/tiny")


@pytest.mark.parametrize("name", ["hf:", "hf:a/b/c", "hf:org/na me", "hf:org/name@"])
def test_a_name_that_no_hub_has_is_refused(name):
    with pytest.raises(ConfigError, match="is written hf:ORG/NAME"):
        open_text_encoder(name)


def test_what_was_downloaded_once_is_opened_without_the_network_and_its_commit_is_named(hub, small_encoder):
    commit = "0123456789abcdef0123456789abcdef01234567"
    own = hub / "models--org--tiny"
    shutil.copytree(small_encoder, own / "snapshots" / commit)
    (own / "refs").mkdir()
    (own / "refs" / "main").write_text(commit)
    opened = open_text_encoder("hf:org/tiny")
    assert opened.weights.told().startswith("org/tiny from the hub at commit 0123456789ab, mit, sha256 ")
    assert opened.weights.sha256 == open_text_encoder(str(small_encoder)).weights.sha256
    assert open_text_encoder(f"hf:org/tiny@{commit}").weights == opened.weights
    (own / "snapshots" / commit / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"must be within reach .*Weights are opened as safetensors alone"):
        open_text_encoder("hf:org/tiny")
