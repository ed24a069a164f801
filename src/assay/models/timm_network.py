"""Networks of timm by name, trained from random weights.

Shape legend: n pictures, C channels, H height, W width, F features.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay._imports import require
from assay.data.encoding.encode import Encoded, Layout
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.models.image import channels_last, moments
from assay.models.picture_network import PictureNetwork

#: Networks that take one size only are built for the next multiple of this, which their patches and windows divide.
_MULTIPLE = 32
#: Pictures that one call without gradients takes; training pictures that the normalisation is fitted to at most.
_AT_ONCE, _FITTED_TO = 64, 4000
#: The side of a map that VGG's fully connected layers are made for, and how often VGG halves a picture.
_MAP, _HALVED = 7, 32
#: Near names that are shown for an unknown one.
_NEAR = 5


class TimmNetwork(PictureNetwork):
    """A network of timm as a network of one member, its last layer replaced by ours.

    Pixels are normalised by the mean and deviation of each channel of training pictures. Networks of one input size, as
    vision transformers are, get pictures enlarged to the next multiple of 32; all others take pictures as they are.
    VGG's two fully connected layers, nine tenths of its numbers, are made for maps of 7 by 7: of pictures that are too
    small for these the mean over the map is taken instead, as in networks since (Lin et al., Network in network, 2014).
    See `PictureNetwork` for shapes.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, name: str, layout: Layout, pixels: Tensor, outputs: int, embedding: int) -> None:
        """pixels: training pictures, uint8 (s, C, H, W).

        Raises:
            ConfigError: there is no such network, or it cannot take pictures of this size.
            MissingExtraError: timm is not installed.
        """
        super().__init__(members=1)
        self.name, self.channels = name, pixels.shape[1]
        centre, spread = moments(pixels)
        self.register_buffer("centre", centre.float().view(1, -1, 1, 1))
        self.register_buffer("spread", spread.clamp_min(1.0).float().view(1, -1, 1, 1))
        height, width = pixels.shape[2:]
        self.size = (height, width)
        if _is_of_one_size(name):
            self.size = (-(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE)
        self.rows_at_once = _AT_ONCE
        self.module = self._made(0)
        self.shown = name + (" without its fully connected layers, for which pictures are too small" * self._is_short)
        with torch.inference_mode():
            self.module.eval()
            features = self._checked(pixels[:2])
            self.module.train()
        self.set_head(layout, features, outputs, embedding)

    def _made(self, seed: int) -> nn.Module:
        """The network of timm with weights of this seed."""
        timm = require("timm", "networks of timm")
        size = {"img_size": self.size} if _is_of_one_size(self.name) else {}
        with torch.random.fork_rng(devices=[]):  # timm draws from torch's own generator
            torch.manual_seed(seed)
            made: nn.Module = timm.create_model(
                self.name, pretrained=False, num_classes=0, in_chans=self.channels, **size
            )
        if self._is_short:
            made.pre_logits = nn.Identity()
        return made

    @property
    def _is_short(self) -> bool:
        """Whether it is a VGG whose fully connected layers would get a map that is smaller than theirs."""
        return self.name.startswith("vgg") and min(self.size) < _MAP * _HALVED

    def _checked(self, pixels: Tensor) -> int:
        """How many features come out.

        Raises:
            ConfigError: none do for pictures of this size.
        """
        try:
            found = self.module(self._normalised(pixels))
        except (RuntimeError, ValueError, AssertionError) as error:
            height, width = pixels.shape[2:]
            raise ConfigError(
                f"the network must take pictures of {height} x {width} pixels",
                f"{self.name} does not ({(str(error) or type(error).__name__).splitlines()[0]})",
                "Choose another with model.timm, or larger pictures with data.encode.picture_side.",
            ) from None
        return int(found.shape[1])

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw the weights as timm does; the head starts at the prior."""
        super().initialise(generators, prior)
        seed = int(torch.randint(1 << 62, (), generator=generators[0]))
        self.module.load_state_dict(self._made(seed).state_dict())

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """See `Network`: of timm's parameters those with two axes or more decay."""
        own = {name: (1.0, float(p.ndim > 1)) for name, p in self.named_parameters() if name.startswith("module.")}
        return {**super().factors(), **own}

    def statistics(self) -> Mapping[str, Tensor]:
        """See `Network`: every buffer of timm's network."""
        return {f"module.{name}": buffer for name, buffer in self.module.named_buffers()}

    def pooled(self, pictures: Tensor) -> Tensor:
        """See `PictureNetwork`; a single row teaches with the statistics of those before."""
        alone = self.training and len(pictures) == 1
        if alone:
            self.module.eval()
        found: Tensor = self.module(self._normalised(pictures))
        if alone:
            self.module.train()
        return found.unsqueeze(0)

    def _normalised(self, pictures: Tensor) -> Tensor:
        values = (pictures.float() - self.centre) / self.spread
        if tuple(values.shape[2:]) != self.size:
            values = functional.interpolate(values, size=self.size, mode="bilinear", align_corners=False)
        return channels_last(values)


def check_name(name: str) -> None:
    """Refuse what is no network of timm.

    Raises:
        ConfigError: it is none; the nearest names are told.
        MissingExtraError: timm is not installed.
    """
    timm = require("timm", "networks of timm")
    if timm.is_model(name):
        return
    known: list[str] = timm.list_models()
    near = difflib.get_close_matches(name.casefold(), known, n=_NEAR, cutoff=0.4)
    hint = f"The nearest: {', '.join(near)}." if near else "Some are: resnet18, efficientnet_b0, convnext_atto."
    raise ConfigError("model.timm must name a network of timm", f"it is {name!r}", hint)


def _is_of_one_size(name: str) -> bool:
    models = require("timm.models", "networks of timm")
    settings: Any = models.get_pretrained_cfg(name, allow_unregistered=False)
    return bool(settings is not None and settings.fixed_input_size)


def build_timm(config: ModelConfig, layout: Layout, outputs: int, members: int, rows: Encoded | None) -> TimmNetwork:
    """The network that `config.timm` names, its normalisation fitted to training `rows`.

    Raises:
        ValueError: there are no rows, they have no pictures, or more than one member is asked for.
        ConfigError: see `TimmNetwork` and `check_name`.
    """
    places = layout.places("pictures")
    if rows is None or not places or not len(rows):
        raise ValueError("a network of timm needs training rows with pictures")
    if members != 1:
        raise ValueError(f"a network of timm is trained alone, not as {members} members")
    check_name(config.timm)
    network = TimmNetwork(config.timm, layout, rows.media[places[0]][:_FITTED_TO], outputs, config.embedding)
    network.reads = places
    return network
