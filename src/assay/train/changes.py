"""Which changes the rows of a training step undergo: those of pictures, of series or of texts."""

from __future__ import annotations

from dataclasses import replace

import torch

from assay.data.encoding.batches import Batch, epoch_seed
from assay.models.config import PICTURES, SERIES, TEXTS, ModelConfig
from assay.train.augment.image_policy import ImagePolicy, image_policy
from assay.train.augment.images import augment
from assay.train.augment.series import augment_series
from assay.train.augment.series_policy import SeriesPolicy, series_policy
from assay.train.augment.texts import NO_WORDS, Substitutes, TextChanges, change, named_text_policy
from assay.train.config import TrainConfig

Policy = ImagePolicy | SeriesPolicy | TextChanges


def policy_of(model: ModelConfig, train: TrainConfig, side: int, words: Substitutes = NO_WORDS) -> Policy | None:
    """What a network's training rows undergo, or None for nothing.

    Args:
        model, train: with the changes chosen (`model.augment` is not auto).
        side: pixels of the shorter side of the pictures, for a network that reads some.
        words: that take the place of others, for a network that reads texts.

    Raises:
        ValueError: the choice was left open.
    """
    if model.name == "own":  # single changes alone: a name of changes is an option of assay's networks
        return None if train.pictures.is_idle else train.pictures
    if model.name in PICTURES:
        pictures = image_policy(model.augment, train.pictures, side)
        return None if pictures.is_idle else pictures
    if model.name in SERIES:
        series = series_policy(model.augment, train.series)
        return None if series.is_idle else series
    if model.name in TEXTS:
        texts = named_text_policy(model.augment_text)
        return None if texts.is_idle else TextChanges(texts, words)
    return None


def changed(rows: Batch, policy: Policy, seed: int, epoch: int, place: int) -> Batch:
    """The rows of a step, changed: a pure function of the seed, the epoch and the step's place in it.

    Pictures, series, or words, are the first of the media, as the networks that are trained so read them.
    """
    generator = torch.Generator().manual_seed((epoch_seed(seed, epoch) * 1_000_003 + place) % (2**63 - 1))
    first, *others = rows.inputs.media
    if isinstance(policy, ImagePolicy):
        made = augment(first, policy, generator, epoch=epoch)
    elif isinstance(policy, TextChanges):
        made = change(first.cpu(), policy, generator).to(first.device)
    else:
        made = augment_series(first, policy, generator)
    return replace(rows, inputs=replace(rows.inputs, media=(made, *others)))
