"""A network to train, the plan of several, and what both are made of: rows, time and what the user said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assay.data.schema import Kind, Schema
from assay.errors import ConfigError
from assay.models.config import AUGMENT_SERIES, PICTURES, SERIES, ModelConfig
from assay.models.families import OF_NUMBERS, unused_options
from assay.search.config import EnsembleConfig
from assay.search.planning.asked import asked
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES, network_options, training_options

#: Passes over the rows from which more members, or another kind of network, are worth more than more passes.
PASSES = 20
#: Options that, when the user sets them, hold for every member alike.
_SETTLED = frozenset({"lr"})
#: How far the frequencies of a realmlp's numbers are spread.
_SPREAD = 50.0
#: What the name of a job that has plain numbers in the place of widened ones ends with.
_PLAIN = " on plain numbers"


@dataclass(frozen=True)
class Job:
    """A network to train: its options, and its share of the time beside those of the other jobs.

    follows: a job that is trained before, with widened numbers and with plain ones; this one has what suited that.
    """

    name: str
    model: ModelConfig
    train: TrainConfig
    share: float = 1.0
    vary: bool = True
    follows: str = ""

    def on_plain_numbers(self) -> Job:
        """The job on numbers as they are: widened ones follow closely what is there, also where it is mostly noise."""
        return replace(self, name=plainly(self.name), model=self.model.model_copy(update={"numbers": "plain"}))

    def on_other_numbers(self) -> Job:
        """The job on plain numbers, or on those of its family where it has plain ones."""
        if self.model.numbers != "plain":
            return self.on_plain_numbers()
        widened = self.model.model_copy(update={"numbers": RECIPES[self.model.name].model.numbers})
        return replace(self, name=self.name.removesuffix(_PLAIN), model=widened)


def plainly(name: str) -> str:
    """The name of a job where it has plain numbers."""
    return f"{name}{_PLAIN}"


@dataclass(frozen=True)
class Plan:
    """The jobs in the order they are trained, the folds (1: none), and why so.

    spare: jobs in their place where there are none and nothing else could be trained either.
    """

    jobs: tuple[Job, ...]
    folds: int
    reason: str
    why_no_folds: str = ""
    spare: tuple[Job, ...] = ()

    def with_further(self, jobs: Sequence[Job]) -> Plan:
        """The plan with jobs that there was the time for."""
        if not jobs:
            return self
        reason = f"{self.reason}, and for the time left further networks on the same folds"
        return replace(self, jobs=(*self.jobs, *jobs), reason=reason)


@dataclass(frozen=True)
class Wanted:
    """What a plan is made for: so many rows, so many seconds of training, and what the user said.

    What was set in `model` and `train` holds for every job.
    """

    rows: int
    seconds: float
    schema: Schema
    model: ModelConfig
    train: TrainConfig
    ensemble: EnsembleConfig

    @property
    def named(self) -> tuple[Sequence[str], str] | None:
        """The recipes that the user named, and where; None where the choice was left open."""
        return asked(self.model, self.ensemble)

    def job(self, name: str, share: float, members: int) -> Job:
        """The recipe with what the user said of it.

        Raises:
            ConfigError: options contradict it, or it has no use for one.
        """
        recipe, model, train = RECIPES[name], self.model, self.train
        try:
            options = network_options(recipe.model, model.model_copy(update={"name": name}))
            training = training_options(recipe.train(self.schema.task), train)
        except ValueError as error:
            raise ConfigError(
                f"the options must suit the recipe {name!r}", str(error),
                "Change one of them, or choose another recipe.",
            ) from None  # fmt: skip
        self._check_useful(name)
        if "batch" not in train.model_fields_set:
            training = training.model_copy(update={"batch": batch_for(training.batch, self.rows)})
        chosen: dict[str, object] = {}
        if "members" not in model.model_fields_set:
            chosen["members"] = members
        said = {"frequency_scale", "frequency_spread"} & model.model_fields_set
        if options.numbers in ("pbld", "periodic") and not said:
            chosen["frequency_spread"] = _SPREAD
        return Job(name, options.model_copy(update=chosen), training, share, vary=not _SETTLED & train.model_fields_set)

    def _check_useful(self, name: str) -> None:
        useless = [f"model.{option}" for option in sorted(useless_options(name, self.model))]
        useless += _useless_of_rows(name, self.model, self.train, self.schema)
        if useless:
            raise ConfigError(
                f"every option of the network must mean something to it ({name})",
                ", ".join(useless) + (" does not" if len(useless) == 1 else " do not"),
                "Leave them out, or choose another network with model.name.",
            )


def batch_for(batch: int | float | str, rows: int) -> int | float | str:
    """A batch that was found to do well on larger tables, or auto where there are not twice as many rows."""
    return "auto" if isinstance(batch, int) and 2 * batch > rows else batch


def is_text(schema: Schema) -> bool:
    """Whether rows are texts alone."""
    return all(column.kind is Kind.TEXT for column in schema.features)


def has_texts(schema: Schema) -> bool:
    """Whether rows have texts beside other columns or alone."""
    return any(column.kind is Kind.TEXT for column in schema.features)


def may_be_plain(schema: Schema, model: ModelConfig) -> bool:
    """Whether networks are tried on plain numbers too: rows have some, and nobody said how they are widened."""
    has_numbers = any(column.kind in (Kind.NUMBER, Kind.DATETIME) for column in schema.features)
    return has_numbers and not OF_NUMBERS & model.model_fields_set


def useless_options(name: str, model: ModelConfig) -> frozenset[str]:
    """Options that were set and mean nothing to the network."""
    family = RECIPES[name].model.name
    assert family != "auto"
    assert family != "own"
    return unused_options(family) & model.model_fields_set


def _useless_of_rows(name: str, model: ModelConfig, train: TrainConfig, schema: Schema) -> list[str]:
    """Options of training pictures, series or texts that were set for a network or for rows that have none."""
    of_pictures = model.augment not in ("auto", "none", *AUGMENT_SERIES)
    found = {
        "model.augment": (name in PICTURES and model.augment in AUGMENT_SERIES) or (name in SERIES and of_pictures),
        "model.reads_texts": "reads_texts" in model.model_fields_set and not has_texts(schema),
        "train.pictures": name not in PICTURES and bool(train.pictures.model_fields_set),
        "train.series": name not in SERIES and bool(train.series.model_fields_set),
        "train.cutmix": name not in PICTURES and train.cutmix > 0.0,
        "train.optimiser=muon": name == "timm" and train.optimiser == "muon",
    }
    return [option for option, is_useless in found.items() if is_useless]
