"""Which networks are trained, decided by the data, the time and what the user said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.models.families import unused_options
from assay.search.config import EnsembleConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES, network_options, training_options


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


#: What a member costs beside the first, and what a row costs in one pass of one member, in seconds of this kind of
#: machine: a guess that decides how many members there are, not how long they train.
_A_MEMBER_MORE = 0.55
_A_ROW = {"perceptron": 4e-6, "mlp": 16e-6, "resnet": 40e-6, "ft_transformer": 600e-6, "realmlp": 24e-6, "tabm": 120e-6,
          "tabm_mini": 100e-6}  # fmt: skip
#: Passes over the rows from which more members are worth more than more passes.
_ENOUGH_PASSES = 40
#: Folds for small tables, members of a single split, the most first; and the rows from which no folds are dealt.
_FOLDS, _MEMBERS, _NO_FOLDS_FROM = (8, 5), (8, 4, 2, 1), 100_000
#: Seconds of training from which a third network is worth its time.
_LONG = 150.0
#: What is planned for where no time was given.
_UNLIMITED = 600.0


def plan(
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    budget: Budget,
) -> Plan:
    """The plan for this many rows and this time; whatever the user set in `model` and `train` holds for every job.

    Raises:
        ConfigError: options contradict each other, or a recipe has no use for one.
    """
    seconds = min(budget.left, _UNLIMITED)
    names, reason = _names(model, ensemble, seconds)
    shares = [_SHARES.get(name, 1.0) for name in names]
    slowest = max(names, key=lambda name: _A_ROW[name])
    own = seconds * _SHARES.get(slowest, 1.0) / sum(shares)
    folds, why = _folds(rows, slowest, own, schema, ensemble)
    jobs = [
        _job(name, model, train, schema, share, _members(rows, name, seconds * share / sum(shares)))
        for name, share in zip(names, shares, strict=True)
    ]
    return Plan(tuple(jobs), folds, reason, why)


#: Shares of the time beside each other.
_SHARES = {"mlp": 0.7, "realmlp": 1.0, "tabm": 1.3, "tabm_mini": 1.2}


def _names(model: ModelConfig, ensemble: EnsembleConfig, seconds: float) -> tuple[Sequence[str], str]:
    """The recipes, and why these."""
    if model.name != "auto":
        return (model.name,), "as model.name says"
    if "auto" not in ensemble.recipes:
        return tuple(dict.fromkeys(ensemble.recipes)), "as ensemble.recipes says"
    kinds = ("realmlp", "mlp") if seconds < _LONG else ("realmlp", "mlp", "tabm")
    suited = [name for name in kinds if not _useless(name, model)] or ["mlp"]
    return suited, f"{len(suited)} kinds of networks for {seconds:.0f} s of training"


def _cost(rows: int, name: str, members: int) -> float:
    """Seconds of enough passes of a network with its members."""
    return rows * _A_ROW[name] * _ENOUGH_PASSES * (1.0 + _A_MEMBER_MORE * (members - 1))


def _members(rows: int, name: str, seconds: float) -> int:
    """As many members as leave time for enough passes."""
    return next((count for count in _MEMBERS if _cost(rows, name, count) <= seconds), 1)


def _folds(rows: int, slowest: str, seconds: float, schema: Schema, ensemble: EnsembleConfig) -> tuple[int, str]:
    """The folds for a number of rows and the time that the slowest network has, and why there are none."""
    if ensemble.folds:
        return ensemble.folds, "ensemble.folds=1"
    if schema.time is not None:
        return 1, "rows have a time, and the latest judge best"
    if rows < _NO_FOLDS_FROM:
        for count in _FOLDS:
            if _cost(rows, slowest, count) <= seconds:
                return count, ""
    return 1, f"for folds of {rows:,} rows there is not the time"


def _useless(name: str, model: ModelConfig) -> frozenset[str]:
    """Options that were set and mean nothing to the network."""
    return unused_options(RECIPES[name].model.name) & model.model_fields_set


def _job(
    name: str, model: ModelConfig, train: TrainConfig, schema: Schema, share: float, members: int
) -> Job:
    recipe = RECIPES[name]
    useless = _useless(name, model)
    try:
        options = network_options(recipe.model, model.model_copy(update={"name": name}))
        training = training_options(recipe.train(is_classification=schema.is_classification), train)
    except ValueError as error:
        raise ConfigError(
            f"the options must suit the recipe {name!r}", str(error), "Change one of them, or choose another recipe."
        ) from None
    if useless:
        raise ConfigError(
            f"every option of the network must mean something to it ({name})",
            ", ".join(f"model.{option}" for option in sorted(useless)) + " do not",
            "Leave them out, or choose another network with model.name.",
        )
    if "members" not in model.model_fields_set:
        options = options.model_copy(update={"members": members})
    return Job(name, options, training, share)
