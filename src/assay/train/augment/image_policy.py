"""Which changes of pictures training sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assay.models.config import Augment
from assay.records import Record


class ImagePolicy(Record):
    """Random changes of training pictures that leave their class as it is; by default none.

    They come in this order: flips, shifts, turns and scales, colours, a drawn policy, erasing. Mixing is `train.mixup`
    and `train.cutmix`.
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

    @model_validator(mode="after")
    def _one_eraser(self) -> ImagePolicy:
        if self.erase and self.cutout:
            raise ValueError("erase and cutout both erase; choose one")
        return self

    @property
    def is_idle(self) -> bool:
        """Whether nothing is changed."""
        return self == ImagePolicy()

    def told(self) -> str:
        """What is done, in words."""
        said = (
            (self.flip != "none", f"mirrored {'at random' if self.flip == 'random' else 'every other epoch'}"),
            (self.flip_vertical, "turned upside down at random"),
            (self.translate, f"shifted by up to {self.translate} pixels"),
            (self.rotate, f"turned by up to {self.rotate:g} degrees"),
            (self.scale, f"scaled by up to {self.scale:.0%}"),
            (self.brightness, f"made lighter or darker by up to {self.brightness:.0%}"),
            (self.contrast, f"their contrast changed by up to {self.contrast:.0%}"),
            (self.saturation, f"their colours by up to {self.saturation:.0%}"),
            (self.drawn != "none", f"changed by {_DRAWN.get(self.drawn)}"),
            (self.erase, f"erased in part ({self.erase:.0%} of them)"),
            (self.cutout, f"a square of {self.cutout} pixels cut out"),
        )
        return ", ".join(what for done, what in said if done) or "left as they are"


_DRAWN = {"trivial": "TrivialAugment", "rand": "RandAugment", "auto": "AutoAugment"}


def named_policy(name: Augment, side: int) -> ImagePolicy:
    """The policy of a name for pictures whose shorter side has so many pixels.

    Raises:
        ValueError: the name leaves it open, or is one of series.
    """
    shift = max(1, side // 12)
    match name:
        case "none":
            return ImagePolicy()
        case "shift":
            return ImagePolicy(translate=shift, rotate=8.0, scale=0.1)
        case "flip":
            return ImagePolicy(flip="alternating", translate=shift)
        case "strong":
            return ImagePolicy(flip="alternating", translate=shift, cutout=max(1, side // 3))
        case "trivial" | "rand":
            return ImagePolicy(translate=shift, drawn=name)
        case "autoaugment":
            return ImagePolicy(translate=shift, drawn="auto")
    raise ValueError(
        "pictures are changed by one of none, shift, flip, strong, trivial, rand and autoaugment, chosen before "
        f"training, not by {name!r}"
    )


def image_policy(name: Augment, said: ImagePolicy, side: int) -> ImagePolicy:
    """The policy of a name, with what the user said of it instead.

    Raises:
        ValueError: see `named_policy`.
    """
    asked = {option: getattr(said, option) for option in said.model_fields_set}
    chosen = named_policy(name, side).model_dump() | asked
    for eraser, other in (("erase", "cutout"), ("cutout", "erase")):
        if asked.get(eraser) and other not in asked:  # one erases, and it is the user's
            chosen[other] = ImagePolicy.model_fields[other].default
    return ImagePolicy.model_validate(chosen)


def mirrors(name: Augment, said: ImagePolicy) -> bool:
    """Whether pictures are mirrored left and right; where the choice is open, as the user says alone."""
    return (said if name == "auto" else image_policy(name, said, 1)).flip != "none"
