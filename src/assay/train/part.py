"""One network of a model: how it was made and trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.models.config import ModelConfig
from assay.train.config import TrainConfig
from assay.train.loop import Trained
from assay.train.rate_curve import RateCurve

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Part:
    """One network of a model with its members: how it was made and trained, and its share of the answer.

    shown: a network of timm, or a module of the user's own in its own words, shortened. brings: the optimiser that it
        brought along.
    is_network: false for boosted trees and linear models, of which `model` and `train` say nothing.
    options: what to show instead of those two.
    rates: its range test, where one was asked for.
    changes: of its training pictures or series, in words.
    origin: where it was trained before, such as `trial 7 of the search`. seed: the first of its members' where that
        does not follow from the run's.
    """

    name: str
    model: ModelConfig
    train: TrainConfig
    trained: Trained
    members: int
    parameters: int
    share: float = 1.0
    shown: str = ""
    brings: str = ""
    is_network: bool = True
    options: Mapping[str, Setting] | None = None
    rates: RateCurve | None = None
    changes: str = ""
    origin: str = ""
    seed: int | None = None
