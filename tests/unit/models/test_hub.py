"""Downloads from a hub: the real client against a small server that answers as a hub does."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save

from assay.errors import ConfigError
from assay.models.backbone import open_backbone
from assay.models.weights import open_text_encoder

client, constants = (pytest.importorskip(name) for name in ("huggingface_hub", "huggingface_hub.constants"))

OLD, NEW = "0" * 39 + "a", "1" * 39 + "b"


@dataclass
class Hub:
    """Files by repository, commit and name; branches and tags by repository; what was asked for."""

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    cut: bool = False

    def put(self, repository, commit, files, *, called=()):
        self.files |= {(repository, commit, name): content for name, content in files.items()}
        self.names |= {(repository, name): commit for name in called}

    def answer(self, path):
        """Status, headers and content of `/ORG/NAME/resolve/REVISION/FILE`."""
        repository, between, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if not between:
            return 404, {}, b""
        self.asked.append(f"{repository} {revision} {name}")
        if repository in self.closed:
            return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}, b""
        if not any(own == repository for own, _, _ in self.files):
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        commit = self.names.get((repository, revision), revision)
        content = self.files.get((repository, commit, name))
        if content is None:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        etag = hashlib.sha256(content).hexdigest()
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Content-Length": str(len(content))}, content


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that listens on this machine, which the client asks, with an empty cache."""
    made = Hub()

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.reply(with_content=False)

        def do_GET(self):
            self.reply(with_content=True)

        def reply(self, *, with_content):
            status, headers, content = made.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": "0"} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if with_content:
                self.wfile.write(content[: len(content) // 2] if made.cut else content)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()
    client.close_session()


@pytest.fixture
def encoder(small_encoder):
    """The files of a text encoder."""
    return {path.name: path.read_bytes() for path in small_encoder.iterdir()}


def test_an_encoder_is_downloaded_once_and_all_its_files_are_of_one_commit(hub, encoder):
    hub.put("org/tiny", NEW, encoder, called=["main"])
    opened = open_text_encoder("hf:org/tiny")
    assert opened.weights.source == f"the hub at commit {NEW[:12]}"
    assert opened.weights.licence == "mit"
    assert opened.weights.sha256 == hashlib.sha256(encoder["model.safetensors"]).hexdigest()
    asked = set(hub.asked)
    assert "org/tiny main config.json" in asked
    others = {"tokenizer.json", "model.safetensors", "README.md"}
    assert {f"org/tiny {NEW} {name}" for name in others} <= asked
    assert not {f"org/tiny main {name}" for name in others} & asked
    hub.asked.clear()
    hub.names["org/tiny", "main"] = OLD  # another commit since, which nobody looks at
    assert open_text_encoder("hf:org/tiny").weights == opened.weights
    assert hub.asked == []


def test_a_tag_is_that_of_its_commit(hub, encoder):
    hub.put("org/tiny", NEW, encoder, called=["main"])
    hub.put("org/tiny", OLD, encoder | {"README.md": b"---\nlicense: apache-2.0\n---\n"}, called=["v1"])
    weights = open_text_encoder("hf:org/tiny@v1").weights
    assert (weights.source, weights.licence) == (f"the hub at commit {OLD[:12]}", "apache-2.0")


def test_a_licence_that_is_not_there_is_not_stated(hub, encoder):
    del encoder["README.md"]
    hub.put("org/tiny", NEW, encoder, called=["main"])
    assert open_text_encoder("hf:org/tiny").weights.licence == "licence not stated"


def test_what_the_hub_does_not_give_is_told_with_what_to_do(hub, encoder):
    with pytest.raises(ConfigError, match=r"the hub must give config.json of org/other, but it did not .*the folder"):
        open_text_encoder("hf:org/other")
    encoder["pytorch_model.bin"] = encoder.pop("model.safetensors")
    hub.put("org/tiny", NEW, encoder, called=["main"])
    with pytest.raises(ConfigError, match=r"must give model.safetensors of .*Weights are opened as safetensors alone"):
        open_text_encoder("hf:org/tiny")
    assert not any("pytorch_model.bin" in asked for asked in hub.asked)
    hub.put("org/gated", NEW, encoder, called=["main"])
    hub.closed.add("org/gated")
    with pytest.raises(ConfigError, match=r"the hub must give config.json of org/gated, but it did not"):
        open_text_encoder("hf:org/gated")


def test_another_architecture_is_refused_before_its_weights_are_downloaded(hub, encoder):
    hub.put("org/tiny", NEW, encoder | {"config.json": b'{"model_type": "t5"}'}, called=["main"])
    with pytest.raises(ConfigError, match="model_type='t5'"):
        open_text_encoder("hf:org/tiny")
    assert {asked.rpartition(" ")[2] for asked in hub.asked} == {"config.json"}


# Networks of pictures


def test_a_network_of_pictures_is_downloaded_where_its_name_allows_it(hub):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet")
    repository = network.pretrained_cfg["hf_hub_id"]
    content = save(network.state_dict())
    hub.put(repository, NEW, {"model.safetensors": content}, called=["main"])
    with pytest.raises(ConfigError, match=r"Or allow the hub: ensemble.backbone=hf:test_resnet"):
        open_backbone("test_resnet")
    assert hub.asked == []
    found, provenance = open_backbone("hf:test_resnet")
    assert provenance.source == f"hub {repository}"
    assert provenance.sha256 == hashlib.sha256(content).hexdigest()
    assert torch.equal(found.network.conv1[0].weight, network.conv1[0].weight)


def test_weights_that_the_hub_lacks_or_has_of_another_network_are_told(hub):
    timm = pytest.importorskip("timm")
    repository = timm.create_model("test_resnet").pretrained_cfg["hf_hub_id"]
    with pytest.raises(ConfigError, match=r"the hub must give model.safetensors of test_resnet.*backbone_weights"):
        open_backbone("hf:test_resnet")
    hub.put(repository, NEW, {"model.safetensors": save({"a": torch.zeros(1)})}, called=["main"])
    with pytest.raises(ConfigError, match=r"weights must be of test_resnet, but model.safetensors lacks"):
        open_backbone("hf:test_resnet")
