"""Rows mixed with others of their batch: mixup of everything, CutMix of pictures.

Shape legend: n rows, C channels, H height, W width.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded


def mixed(rows: Batch, mixup: float, generator: torch.Generator, *, cutmix: float = 0.0) -> tuple[Batch, Batch, float]:
    """The rows mixed with others of the same batch (Zhang et al., mixup, ICLR 2018).

    Numbers, series and the pixels of pictures are mixed; a category or a text is taken whole from one of both, with the
    same share. The loss is to be mixed as well, which for cross-entropy is that of mixed targets. CutMix (Yun et al.,
    ICCV 2019) puts one rectangle of the partner's picture into the row's; the share is what is left of it. With both
    alphas above 0, half of the batches, drawn at random, are mixed the one way and half the other.

    Args:
        rows: of a step.
        mixup, cutmix: alphas of the distribution of the share, Beta(alpha, alpha); 0 is off, and one is above it.
        generator: of all draws.

    Returns:
        The mixed rows with their own targets, the same with the partners' targets, and the share of the first.
    """
    cuts = cutmix > 0.0 and (mixup == 0.0 or float(torch.rand((), generator=generator)) < 0.5)
    share = _share(cutmix if cuts else mixup, generator)
    partner = torch.randperm(len(rows), generator=generator).to(rows.target.device)
    other, own = rows[partner], rows.inputs
    media = list(own.media)
    if cuts:
        share = _cut(media, other.inputs.media, share, generator)
    takes_own = torch.rand(own.codes.shape, generator=generator).to(own.codes.device) < share
    inputs = Encoded(
        torch.lerp(other.inputs.numbers, own.numbers, share),
        torch.lerp(other.inputs.extras, own.extras, share),
        torch.where(takes_own, own.codes, other.inputs.codes),
        tuple(
            one if cuts and _is_pictures(one) else _blended(one, two, share, generator)
            for one, two in zip(media, other.inputs.media, strict=True)
        ),
    )
    return replace(rows, inputs=inputs), replace(other, inputs=inputs), share


def _share(alpha: float, generator: torch.Generator) -> float:
    """A draw of Beta(alpha, alpha), as the share of one of two gamma draws."""
    concentration = torch.full((2,), alpha, dtype=torch.float64)
    first, second = torch._standard_gamma(concentration, generator=generator).tolist()
    return float(first / max(first + second, 1e-12))


def _is_pictures(media: Tensor) -> bool:
    """Of the media (see `View`) pictures alone have four axes."""
    return media.ndim == 4


def _blended(own: Tensor, other: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Media mixed by their share: pictures in float32, series where both were measured, texts whole."""
    if _is_pictures(own):
        return torch.lerp(other.float(), own.float(), share)
    if own.is_floating_point():
        both = torch.lerp(other, own, share)
        return torch.where(own.isnan(), other, torch.where(other.isnan(), own, both))
    takes_own = torch.rand(len(own), generator=generator).to(own.device) < share
    return torch.where(takes_own.view(-1, *[1] * (own.ndim - 1)), own, other)


def _cut(media: list[Tensor], others: tuple[Tensor, ...], share: float, generator: torch.Generator) -> float:
    """Put a rectangle of the others' pictures into these, about a random place; the share that is left of them."""
    left = share
    for place, (own, other) in enumerate(zip(media, others, strict=True)):
        if not _is_pictures(own):
            continue
        height, width = own.shape[2:]
        side = math.sqrt(1.0 - share)
        middle = torch.rand(2, generator=generator).tolist()
        top, left_edge = (int(size * (at - side / 2)) for size, at in zip((height, width), middle, strict=True))
        bottom, right_edge = top + round(side * height), left_edge + round(side * width)
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left_edge, 0), max(right_edge, 0))
        cut = own.clone()
        cut[:, :, rows, columns] = other[:, :, rows, columns]
        media[place] = cut
        taken = cut[0, 0, rows, columns].numel() if len(own) else 0
        left = 1.0 - taken / (height * width)
    return left
