"""Recipes: a network family with the settings its authors found to work."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from assay.models.config import ModelConfig
from assay.records import Record
from assay.train.config import TrainConfig

Options = TypeVar("Options", bound=Record)


class Recipe(Record):
    """A family's options of the network and of its training; `source` is where they are from."""

    model: ModelConfig
    train: TrainConfig
    source: str


def overlaid(own: Options, said: Options) -> Options:
    """The recipe's `own` options with those the user `said` instead.

    Raises:
        ValueError: together they contradict each other.
    """
    chosen = {name: getattr(own, name) for name in own.model_fields_set}
    chosen |= {name: getattr(said, name) for name in said.model_fields_set}
    return type(own).model_validate(chosen)


_MLP = TrainConfig()

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "perceptron": Recipe(model=ModelConfig(name="perceptron"), train=_MLP, source="assay"),
        "mlp": Recipe(model=ModelConfig(name="mlp"), train=_MLP, source="assay"),
    }
)
