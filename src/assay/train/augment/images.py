"""Random changes of a batch of pictures, all pictures at once, every draw from a generator.

Shape legend: n pictures, C channels (1 or 3), H height, W width. Pictures are uint8 in and out.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from assay._imports import require
from assay.train.augment.image_policy import ImagePolicy

#: Weights of red, green and blue in grey (ITU-R BT.601, as in Pillow and torchvision).
_GREY = (0.299, 0.587, 0.114)
#: Pixels whose values tell which pictures begin mirrored, about.
_HASHED = 1024
#: Random erasing: shares of the area, and most height over width (Zhong et al., AAAI 2020).
_AREA, _ASPECT = (0.02, 1 / 3), 10 / 3


def augment(pictures: Tensor, policy: ImagePolicy, generator: torch.Generator, *, epoch: int) -> Tensor:
    """The pictures as `policy` changes them.

    Args:
        pictures: uint8 (n, C, H, W).
        policy: what is done.
        generator: of all draws, on the CPU.
        epoch: from 0 on, for alternating flips alone.
    """
    if policy.flip == "random":
        pictures = flip(pictures, _halves(len(pictures), generator))
    elif policy.flip == "alternating":
        pictures = flip(pictures, alternates(pictures, epoch))
    if policy.flip_vertical:
        pictures = flip(pictures, _halves(len(pictures), generator), axis=2)
    if policy.translate:
        pictures = translate(pictures, policy.translate, generator)
    if policy.rotate or policy.scale:
        pictures = affine(pictures, policy.rotate, policy.scale, generator)
    if policy.brightness or policy.contrast or policy.saturation:
        pictures = colour(pictures, policy.brightness, policy.contrast, policy.saturation, generator)
    if policy.drawn != "none":
        pictures = drawn(pictures, policy.drawn, generator)
    if policy.erase:
        pictures = erase(pictures, policy.erase, generator)
    if policy.cutout:
        pictures = cutout(pictures, policy.cutout, generator)
    return pictures


# Places


def flip(pictures: Tensor, which: Tensor, axis: int = 3) -> Tensor:
    """Mirror those that `which`, bool (n,), says: left and right, or top and bottom with axis 2."""
    return torch.where(which.to(pictures.device).view(-1, 1, 1, 1), pictures.flip(axis), pictures)


def alternates(pictures: Tensor, epoch: int) -> Tensor:
    """Which pictures an epoch shows mirrored, bool (n,): each one every other epoch, half of them in the first.

    Two epochs then show every picture both ways, which random flips do for half of them (Jordan, arXiv 2404.00498,
    3.6). Which half begins is a hash of the picture's own pixels: it holds in any order of the rows and after a resume.
    """
    flat = pictures.flatten(1)
    some = flat[:, :: max(1, flat.shape[1] // _HASHED)].to(torch.int64)
    bits = (some * torch.arange(1, some.shape[1] + 1, device=some.device)).sum(1) & 0xFFFFFFFF
    # Wellons' hash of 32 bits (Hash Prospector, 2018): sums of neighbouring values are neighbours.
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = ((bits ^ (bits >> shift)) * factor) & 0xFFFFFFFF
    begins = (bits ^ (bits >> 16)) & 1
    return (begins + epoch) % 2 == 1


def translate(pictures: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Shift each by up to `most` pixels both ways; what comes in from outside is the picture's mirror image.

    The same as padding by reflection and cropping at random (He et al., CVPR 2016, with zeros).
    """
    n, channels, height, width = pictures.shape
    shifts = torch.randint(-most, most + 1, (2, n, 1), generator=generator)
    down = _reflected(torch.arange(height) + shifts[0], height)  # (n, H): the row that comes to each row
    aside = _reflected(torch.arange(width) + shifts[1], width)
    places = (down.unsqueeze(2) * width + aside.unsqueeze(1)).view(n, 1, -1).to(pictures.device)
    moved = pictures.reshape(n, channels, -1).gather(2, places.expand(-1, channels, -1))
    return moved.view(pictures.shape)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places outside of 0 to size - 1 reflected at the edge pixels' middles."""
    if size == 1:
        return torch.zeros_like(places)
    period = 2 * (size - 1)
    places = places.remainder(period)
    return torch.minimum(places, period - places)


def affine(pictures: Tensor, degrees: float, scale: float, generator: torch.Generator) -> Tensor:
    """Turn each by up to `degrees` and magnify it by 1 - scale to 1 + scale, about its centre; edges are reflected."""
    n, _, height, width = pictures.shape
    angle = _spread(n, math.radians(degrees), generator)
    factor = 1.0 / (1.0 + _spread(n, scale, generator))
    cosine, sine = angle.cos() * factor, angle.sin() * factor
    zero = torch.zeros(n)
    # Places run from -1 to 1 along both sides, so a turn of a picture that is no square needs its shape.
    theta = torch.stack([cosine, -sine * height / width, zero, sine * width / height, cosine, zero], 1).view(n, 2, 3)
    grid = functional.affine_grid(theta.to(pictures.device), list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(
        pictures.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return _rounded(moved)


# Colours


def colour(
    pictures: Tensor, brightness: float, contrast: float, saturation: float, generator: torch.Generator
) -> Tensor:
    """Change each by its own factors, of 1 - x to 1 + x: all values, distances to the mean grey, distances to grey."""
    n = len(pictures)
    factors = [1.0 + _spread(n, most, generator).view(-1, 1, 1, 1) for most in (brightness, contrast, saturation)]
    light, differences, colours = (factor.to(pictures.device) for factor in factors)
    values = pictures.float()
    if brightness:
        values = (values * light).clamp_(0.0, 255.0)
    if contrast:
        mean = _grey(values).mean((1, 2, 3), keepdim=True)
        values = torch.lerp(mean, values, differences).clamp_(0.0, 255.0)
    if saturation and values.shape[1] == 3:
        values = torch.lerp(_grey(values), values, colours).clamp_(0.0, 255.0)
    return _rounded(values)


def _grey(values: Tensor) -> Tensor:
    """The grey of each pixel, (n, 1, H, W)."""
    if values.shape[1] == 1:
        return values
    weights = torch.tensor(_GREY, dtype=values.dtype, device=values.device).view(1, 3, 1, 1)
    return (values * weights).sum(1, keepdim=True)


def drawn(pictures: Tensor, policy: str, generator: torch.Generator) -> Tensor:
    """A policy of torchvision for each picture on its own, for each draws its own change.

    trivial: TrivialAugmentWide (Mueller & Hutter, ICCV 2021). rand: RandAugment with two changes of strength 9 (Cubuk
    et al., NeurIPS 2020). auto: AutoAugment's policy of CIFAR-10 (Cubuk et al., CVPR 2019). Slower than all the others
    here together, because it goes picture by picture.
    """
    transforms = require("torchvision.transforms.v2", "policies of augmentation")
    policies: dict[str, Any] = {
        "trivial": transforms.TrivialAugmentWide,
        "rand": transforms.RandAugment,
        "auto": lambda: transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10),
    }
    change = policies[policy]()
    seed = int(torch.randint(1 << 62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's own generator
        torch.manual_seed(seed)
        return torch.stack([change(picture) for picture in pictures])


# Erasing


def erase(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Erase a random rectangle of a share of the pictures (Zhong et al., AAAI 2020), with the picture's mean."""
    n, _, height, width = pictures.shape
    area = _between(n, *_AREA, generator) * (height * width)
    aspect = _between(n, -math.log(_ASPECT), math.log(_ASPECT), generator).exp()
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (torch.rand(n, generator=generator) * (height - tall + 1)).floor()
    left = (torch.rand(n, generator=generator) * (width - wide + 1)).floor()
    chosen = (torch.rand(n, generator=generator) < share).view(-1, 1, 1)
    return _blotted(pictures, _boxes(top, left, tall, wide, height, width) & chosen)


def cutout(pictures: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Erase a square about a random pixel of each, which may reach outside (DeVries & Taylor, 2017)."""
    n, _, height, width = pictures.shape
    top = torch.randint(0, height, (n,), generator=generator) - side // 2
    left = torch.randint(0, width, (n,), generator=generator) - side // 2
    size = torch.full((n,), float(side))
    return _blotted(pictures, _boxes(top, left, size, size, height, width))


def _boxes(top: Tensor, left: Tensor, tall: Tensor, wide: Tensor, height: int, width: int) -> Tensor:
    """Where each picture's box is, bool (n, H, W); all arguments (n,)."""
    down, aside = torch.arange(height), torch.arange(width)
    within = (down >= top.unsqueeze(1)) & (down < (top + tall).unsqueeze(1))
    across = (aside >= left.unsqueeze(1)) & (aside < (left + wide).unsqueeze(1))
    return within.unsqueeze(2) & across.unsqueeze(1)


def _blotted(pictures: Tensor, boxes: Tensor) -> Tensor:
    mean = pictures.float().mean((2, 3), keepdim=True).round().to(pictures.dtype)
    return torch.where(boxes.unsqueeze(1).to(pictures.device), mean, pictures)


# Draws


def _halves(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) < 0.5


def _between(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def _spread(n: int, most: float, generator: torch.Generator) -> Tensor:
    return _between(n, -most, most, generator)


def _rounded(values: Tensor) -> Tensor:
    return values.round_().clamp_(0.0, 255.0).to(torch.uint8)
