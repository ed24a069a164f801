"""Which changes of pictures training sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assay.models.config import Augment
from assay.records import Record


class ImagePolicy(Record):
    """Random changes of training pictures that leave their class as it is; by default none.

    They come in this order: flips, shifts, turns and scales, colours, a drawn policy, erasing, mixing.
    """

    flip: Literal["none", "random", "alternating"] = Field(
        "none",
        description="Mirror left and right: at random, or each picture every other epoch. Not for digits or letters.",
    )
    flip_vertical: bool = Field(False, description="Mirror top and bottom at random, as for views from above.")
    translate: int = Field(0, ge=0, le=64, description="Most pixels a picture is shifted by, up or down and sideways.")
    rotate: float = Field(0.0, ge=0.0, le=180.0, description="Most degrees a picture is turned by.")
    scale: float = Field(
        0.0, ge=0.0, lt=1.0, description="Most a picture is magnified or shrunk by, as a share of its size."
    )
    brightness: float = Field(0.0, ge=0.0, le=1.0, description="Most that all values grow or shrink, as a share.")
    contrast: float = Field(0.0, ge=0.0, le=1.0, description="Most that differences grow or shrink, as a share.")
    saturation: float = Field(0.0, ge=0.0, le=1.0, description="Most that colours grow or fade, as a share.")
    drawn: Literal["none", "trivial", "rand", "auto"] = Field(
        "none", description="A policy from the literature: TrivialAugment, RandAugment or AutoAugment (of CIFAR-10)."
    )
    erase: float = Field(0.0, ge=0.0, le=1.0, description="Share of pictures in which a random rectangle is erased.")
    cutout: int = Field(0, ge=0, le=256, description="Side in pixels of a square erased from every picture; 0 is off.")
    mixup: float = Field(0.0, ge=0.0, le=10.0, description="Alpha of mixup on pictures; 0 switches it off.")
    cutmix: float = Field(0.0, ge=0.0, le=10.0, description="Alpha of CutMix; 0 switches it off.")

    @model_validator(mode="after")
    def _one_eraser(self) -> ImagePolicy:
        if self.erase and self.cutout:
            raise ValueError("erase and cutout both erase; choose one")
        return self

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed, so that each has two targets."""
        return self.mixup > 0.0 or self.cutmix > 0.0


def named_policy(name: Augment, side: int) -> ImagePolicy:
    """The policy of a name for pictures whose shorter side has so many pixels.

    Raises:
        ValueError: the name leaves it open.
    """
    shift = max(1, side // 12)
    match name:
        case "none":
            return ImagePolicy()
        case "shift":
            return ImagePolicy(translate=shift, rotate=8.0, scale=0.1)
        case "flip":
            return ImagePolicy(flip="random", translate=shift)
        case "strong":
            return ImagePolicy(flip="random", translate=shift, cutout=max(1, side // 3))
    raise ValueError("the changes of pictures must be chosen before training; model.augment is still 'auto'")
