"""Which networks are trained, decided by the data, the time and what the user said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.data.encode import Layout
from assay.data.schema import Schema
from assay.data.split import Split
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES, overlaid


@dataclass(frozen=True)
class Job:
    """A network to train: its options, and its share of the time beside those of the other jobs."""

    name: str
    model: ModelConfig
    train: TrainConfig
    share: float = 1.0


@dataclass(frozen=True)
class Plan:
    """The jobs in the order they are trained, the folds (1: none), and why so."""

    jobs: tuple[Job, ...]
    folds: int
    reason: str
    why_no_folds: str = ""


def plan(
    split: Split,
    layout: Layout,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    budget: Budget,
) -> Plan:
    """The plan for these data and this budget; whatever the user set in `model` and `train` holds for every job.

    Raises:
        ConfigError: options contradict each other, or a recipe has no use for one.
    """
    rows = len(split.train)
    if "name" in model.model_fields_set and model.name != "auto":
        names, reason = (model.name,), "as model.name says"
    elif "auto" not in ensemble.recipes:
        names, reason = tuple(ensemble.recipes), "as ensemble.recipes says"
    else:
        names, reason = _suited(rows, budget)
    folds, why = _folds(rows, ensemble, budget)
    jobs = tuple(_job(name, model, train) for name in names)
    return Plan(jobs, folds, reason, why)


def _job(name: str, model: ModelConfig, train: TrainConfig) -> Job:
    recipe = RECIPES[name]
    try:
        options = overlaid(recipe.model, model.model_copy(update={"name": name}))
        return Job(name, options, overlaid(recipe.train, train))
    except ValueError as error:
        raise ConfigError(
            f"the options must suit the recipe {name!r}", str(error), "Change one of them, or choose another recipe."
        ) from None


def _suited(rows: int, budget: Budget) -> tuple[Sequence[str], str]:
    """The recipes for a number of rows and the time."""
    return ("mlp",), f"suited to {rows:,} rows"


def _folds(rows: int, ensemble: EnsembleConfig, budget: Budget) -> tuple[int, str]:
    if ensemble.folds:
        return ensemble.folds, "ensemble.folds=1"
    return 1, f"{rows:,} rows are enough for a validation part of their own" if not math.isinf(rows) else ""
