"""Which networks are trained, decided by the data, the time and what the user said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from assay.data.schema import Kind, Schema, Task
from assay.errors import ConfigError
from assay.models.config import AUGMENT_SERIES, PICTURES, SERIES, Augment, ModelConfig
from assay.models.families import unused_options
from assay.search.asked import asked, check_asked, reads_words
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
    vary: bool = True


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
        reason = f"{self.reason}, and for the time left settings that do well on other tables"
        return replace(self, jobs=(*self.jobs, *jobs), reason=reason)


#: What a member costs beside the first, and what a row costs in one pass of one member, in seconds as measured on two
#: cores of a server: a guess that decides how many members there are, not how long they train.
_A_MEMBER_MORE = 0.7
_A_ROW: Mapping[str, float] = MappingProxyType(
    {"perceptron": 9e-6, "mlp": 22e-6, "resnet": 65e-6, "ft_transformer": 2200e-6, "realmlp": 62e-6, "tabm": 240e-6,
     "tabm_mini": 180e-6}
)  # fmt: skip
_A_ROW_OF_OTHERS = 1e-4
#: Networks of series in the order they are taken, what a step of a series costs in one pass of one member, folds of few
#: series, and the share of the time that is theirs.
_SERIES_KINDS = ("fcn", "inception")
_A_STEP: Mapping[str, float] = MappingProxyType({"fcn": 2.5e-5, "inception": 1.2e-4})
_CHANGES_OF_SERIES: Augment = "warp"
#: Passes of the networks of series from which one is trained a second time, on changed series.
_PASSES_TO_TRY = 60
_FOLDS_OF_SERIES, _FEW_SERIES, _SHARE_OF_SERIES = 5, 3000, 0.6
#: What a word costs in one pass of one member of the network of words that is taken unasked, from how many passes on it
#: is worth its time, and the share of the time that is at most its own.
TEXT_NETWORK = "text_cnn"
_A_WORD, _PASSES_OF_TEXTS, _SHARE_OF_TEXTS = 3e-5, 10, 0.35
#: Networks that forecast in the order they are taken, what a window costs in one pass of all members and what each of
#: its steps does, and the share of the time that is theirs.
_FORECAST_KINDS = ("dlinear", "gru", "patchtst")
_A_WINDOW, _A_WINDOWS_STEP = 2e-5, MappingProxyType({"dlinear": 1e-7, "gru": 2e-6, "patchtst": 8e-6})
_SHARE_OF_FORECAST = 0.8
#: Passes over the rows from which more members, or folds, are worth more than more passes.
_PASSES, _PASSES_OF_FOLDS = 20, 25
#: Folds for small tables with the variants of each, the best first; variants of a single split; rows without folds.
_FOLDS, _MEMBERS, _NO_FOLDS_FROM = ((8, 4), (8, 2), (5, 2)), (8, 4, 3, 2, 1), 100_000
#: Shares of the time beside each other; for numbers and many classes the plain network is rarely the better one.
_SHARES: Mapping[str, float] = MappingProxyType({"tabm": 1.2, "tabm_mini": 1.1})
_SHARE_OF_MLP = 0.3
#: Seconds of training from which a third network is worth its time, and what is planned for where no time was given.
_LONG, _UNLIMITED = 150.0, 600.0
#: Folds, the most first, that leave a network that reads words the time it needs.
_FEWER_FOLDS = (5, 3, 2, 1)
_WORDS_TAKE_IT = "a network that reads the words takes the time of the folds"
_TUNED = "a text encoder is trained further, which takes the time of the folds"
#: Members of the first network that come before another kind of network.
_ENOUGH = 4
#: Networks whose members have heads that answer each for itself.
_OF_HEADS = frozenset({"tabm", "tabm_mini"})
#: Options that, when the user sets them, hold for every member alike.
_SETTLED = frozenset({"lr"})
#: How far the frequencies of a realmlp's numbers are spread.
_SPREAD = 50.0


def plan(
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    budget: Budget,
    *,
    has_encoder: bool = False,
    steps: int = 0,
    has_pictures: bool = False,
    tunes: bool = False,
    words: float = 0.0,
) -> Plan:
    """The plan for this many rows and this time; whatever the user set in `model` and `train` holds for every job.

    Args:
        has_encoder: whether texts come as the features of a pretrained encoder.
        steps: of the longest series; 0 where there are no series.
        has_pictures: whether rows have a picture.
        tunes: whether a text encoder is trained further, for which there is the time of one split.
        words: of a row's texts, where they are read word by word; 0 where they are not.

    Raises:
        ConfigError: options contradict each other, or a recipe has no use for one.
    """
    check_asked(schema, model, train, ensemble)
    seconds = _UNLIMITED if math.isinf(budget.left) else budget.left
    if schema.windowing is not None:
        return _plan_forecast(rows, schema, model, train, ensemble, seconds)
    if has_pictures:
        return _plan_pictures(rows, schema, model, train, ensemble)
    if steps:
        return _plan_series(rows, steps, schema, model, train, ensemble, seconds)
    if reads_words(model, ensemble):
        return _plan_words(rows, schema, model, train, ensemble)
    hears_little = not has_encoder and is_text(schema)
    names, reason = _names(rows, schema, model, ensemble, seconds, hears_little=hears_little)
    twice = _has_texts(schema) and not is_text(schema) and "reads_texts" not in model.model_fields_set
    twice = twice and asked(model, ensemble) is None
    times = _times(names, schema, seconds / (1 + twice))
    folds, variants, why = (1, None, _TUNED) if tunes else _folds(rows, times, schema, ensemble)
    if folds == 1 and asked(model, ensemble) is None and not _has_texts(schema):
        # Folds of many passes are worth more than a third kind of network that leaves no time for them.
        quick = _times([name for name in names if name not in _OF_HEADS], schema, seconds)
        found = _folds(rows, quick, schema, ensemble, 2 * _PASSES_OF_FOLDS)
        if found[0] > 1 and len(quick) < len(names):
            names, times, (folds, variants, why) = tuple(quick), quick, found
            reason = f"{len(names)} kinds of network for {seconds:.0f} s of training, in folds"
    adds_words = words > 0.0 and asked(model, ensemble) is None
    if adds_words and hears_little and folds > 1 and not ensemble.folds:
        # Folds of what hears little are worth less than a network that reads the words.
        fewer = next((n for n in _FEWER_FOLDS if n < folds and suits_words(rows * words * n, schema, seconds)), folds)
        if fewer < folds:
            folds, variants, why = (fewer, 2, "") if fewer > 1 else (1, None, _WORDS_TAKE_IT)
    jobs = []
    for name in names:
        members = _variants(name, variants) if variants else _members(rows, name, times[name])
        jobs.append(_job(name, model, train, rows, schema, times[name] / seconds, members))
        if twice:
            jobs.append(_without_texts(jobs[-1]))
    reason += ", each with and without the texts" * twice
    if adds_words and suits_words(rows * words * folds, schema, seconds):
        share = _SHARE_OF_TEXTS / (1.0 - _SHARE_OF_TEXTS)
        jobs.append(_job(TEXT_NETWORK, model, train, rows, schema, share, 1))
        reason += ", and one that reads the texts word by word"
    return Plan(tuple(jobs), folds, reason, why)


def is_text(schema: Schema) -> bool:
    """Whether rows are texts alone."""
    return all(column.kind is Kind.TEXT for column in schema.features)


def _has_texts(schema: Schema) -> bool:
    return any(column.kind is Kind.TEXT for column in schema.features)


def _without_texts(job: Job) -> Job:
    """The network on the rest of the row: what few rows say of long vectors of texts may drown what their table says.

    The weights of the ensemble join it with what reads the texts.
    """
    return replace(job, name=f"{job.name} without texts", model=job.model.model_copy(update={"reads_texts": False}))


def suits_words(words: float, schema: Schema, seconds: float) -> bool:
    """Whether rows are texts alone and there is the time for enough passes over so many words, of all folds."""
    return is_text(schema) and words * _A_WORD * _PASSES_OF_TEXTS <= _SHARE_OF_TEXTS * seconds


def _plan_pictures(rows: int, schema: Schema, model: ModelConfig, train: TrainConfig, ensemble: EnsembleConfig) -> Plan:
    """One network from scratch; a pretrained one stands beside it where there is any."""
    names, reason = asked(model, ensemble) or (("cnn",), "one network of pictures from scratch")
    if "timm" in names and ensemble.folds > 1:
        raise ConfigError(
            "a network of timm is trained alone", f"ensemble.folds={ensemble.folds} asks for one a fold",
            "Leave ensemble.folds out.",
        )  # fmt: skip
    jobs = tuple(_job(name, model, train, rows, schema, 1.0 / len(names), 1) for name in names)
    return Plan(jobs, ensemble.folds or 1, reason, "networks of pictures take the time of one split")


def _plan_words(rows: int, schema: Schema, model: ModelConfig, train: TrainConfig, ensemble: EnsembleConfig) -> Plan:
    """The networks that were named, of which one at least reads words: one of each."""
    said = asked(model, ensemble)
    assert said is not None
    jobs = tuple(_job(name, model, train, rows, schema, 1.0 / len(said[0]), 1) for name in said[0])
    return Plan(jobs, ensemble.folds or 1, said[1], "networks of words take the time of one split")


def _plan_series(
    rows: int,
    steps: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    seconds: float,
) -> Plan:
    """Networks that read series, as many as there is the time for: random convolutions stand beside them anyway."""
    folds = ensemble.folds or (_FOLDS_OF_SERIES if rows < _FEW_SERIES and schema.time is None else 1)
    why = "" if folds > 1 else f"{rows:,} series are enough for one split"
    names, reason = asked(model, ensemble) or _affordable_of_series(rows * steps * folds, seconds)
    members = 1 if folds > 1 else 2
    jobs = [_unchanged(_job(name, model, train, rows, schema, 1.0 / len(names), members)) for name in names]
    if model.augment == "auto" and not train.series.model_fields_set and folds > 1:
        jobs += _again_changed(jobs, rows * steps * folds, seconds)
        reason += ", one of them on changed series too" * (len(jobs) > len(names))
    spare = () if jobs else (_unchanged(_job(_SERIES_KINDS[0], model, train, rows, schema, 1.0, 1)),)
    return Plan(tuple(jobs), folds, reason, why, spare)


def _unchanged(job: Job) -> Job:
    """The job on series as they are, where nothing else was said."""
    is_open = job.model.name in SERIES and job.model.augment == "auto"
    return replace(job, model=job.model.model_copy(update={"augment": "none"})) if is_open else job


def _again_changed(jobs: Sequence[Job], steps: int, seconds: float) -> list[Job]:
    """The cheapest network once more, on changed series, where the time is long: the weights choose between both."""
    able = [job for job in jobs if job.name in _A_STEP]
    if not able or sum(steps * _A_STEP[job.name] for job in able) * _PASSES_TO_TRY > seconds * _SHARE_OF_SERIES:
        return []
    first = min(able, key=lambda job: _A_STEP[job.name])
    changed = first.model.model_copy(update={"augment": _CHANGES_OF_SERIES})
    return [replace(first, name=f"{first.name} on changed series", model=changed)]


def _plan_forecast(
    rows: int, schema: Schema, model: ModelConfig, train: TrainConfig, ensemble: EnsembleConfig, seconds: float
) -> Plan:
    """Networks that forecast, the quickest first, as many as there is the time for; the latest windows judge."""
    assert schema.windowing is not None
    windowing = schema.windowing
    steps = rows * windowing.length
    left, names = seconds * _SHARE_OF_FORECAST, []
    for name in _FORECAST_KINDS:
        needed = rows * _A_WINDOW * _PASSES + steps * _A_WINDOWS_STEP[name] * _PASSES
        if needed <= left or name == _FORECAST_KINDS[0]:
            names.append(name)
            left -= needed
    enough = names, f"networks that forecast for which {seconds:.0f} s of training are enough"
    chosen, reason = asked(model, ensemble) or enough
    jobs = [_job(name, model, train, rows, schema, 1.0 / len(chosen), 1 if name == "dlinear" else 2) for name in chosen]
    return Plan(tuple(map(_unchanged, jobs)), 1, reason, "the latest windows judge best")


def _affordable_of_series(steps: int, seconds: float) -> tuple[Sequence[str], str]:
    """The networks for which there is the time, with so many steps of all series and folds in a pass, and why these."""
    left, names = seconds * _SHARE_OF_SERIES, []
    for name in _SERIES_KINDS:
        needed = steps * _A_STEP[name] * _PASSES
        if needed <= left:
            names.append(name)
            left -= needed
    return names, f"networks of series for which {seconds:.0f} s of training are enough"


def _names(
    rows: int, schema: Schema, model: ModelConfig, ensemble: EnsembleConfig, seconds: float, *, hears_little: bool
) -> tuple[Sequence[str], str]:
    """The recipes, and why these."""
    if (said := asked(model, ensemble)) is not None:
        return said
    if hears_little:  # a few hashed words: what can be learned from them is learned soon, and little it is
        return ("mlp",), "one kind of network for texts that no encoder reads"
    if seconds >= _LONG:
        kinds: tuple[str, ...] = ("realmlp", "mlp", "tabm")
    elif schema.task is not Task.BINARY and cost(rows, "realmlp", _ENOUGH, _PASSES) > seconds:
        kinds = ("realmlp",)  # all of a short time for the network that is rarely the worse one
    else:
        kinds = ("realmlp", "mlp")
    suited = [name for name in kinds if not _useless(name, model)] or ["mlp"]
    counted = "one kind" if len(suited) == 1 else f"{len(suited)} kinds"
    return suited, f"{counted} of network for {seconds:.0f} s of training"


def batch_for(batch: int | float | str, rows: int) -> int | float | str:
    """A batch that was found to do well on larger tables, or auto where there are not twice as many rows."""
    return "auto" if isinstance(batch, int) and 2 * batch > rows else batch


def _times(names: Sequence[str], schema: Schema, seconds: float) -> dict[str, float]:
    """The seconds of each network."""
    shares = {name: _SHARES.get(name, 1.0) for name in names}
    if "mlp" in shares and schema.task is not Task.BINARY:
        shares["mlp"] = _SHARE_OF_MLP
    return {name: seconds * share / sum(shares.values()) for name, share in shares.items()}


def cost(rows: int, name: str, members: int, passes: int) -> float:
    """Seconds of that many passes of a network with its members, as a guess."""
    return rows * _A_ROW.get(name, _A_ROW_OF_OTHERS) * passes * (1.0 + _A_MEMBER_MORE * (members - 1))


def _members(rows: int, name: str, seconds: float) -> int:
    """As many members as leave time for enough passes."""
    return next((count for count in _MEMBERS if cost(rows, name, count, _PASSES) <= seconds), 1)


def _folds(
    rows: int,
    times: Mapping[str, float],
    schema: Schema,
    ensemble: EnsembleConfig,
    passes: int = _PASSES_OF_FOLDS,
) -> tuple[int, int | None, str]:
    """Folds and variants of each for these rows and the times of the networks; (1, None, why) where there are none."""
    if ensemble.folds:
        return ensemble.folds, None if ensemble.folds == 1 else 2, "ensemble.folds=1"
    if schema.time is not None:
        return 1, None, "rows have a time, and the latest judge best"
    if rows < _NO_FOLDS_FROM:
        for folds, variants in _FOLDS:
            needed = {name: cost(rows, name, folds * _variants(name, variants), passes) for name in times}
            if all(needed[name] <= seconds for name, seconds in times.items()):
                return folds, variants, ""
    return 1, None, f"for folds of {rows:,} rows there is not the time"


def _variants(name: str, most: int) -> int:
    """Variants of a network where others have so many: a member of TabM is an ensemble of heads already."""
    return 1 if name in _OF_HEADS else most


def _useless(name: str, model: ModelConfig) -> frozenset[str]:
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
        "model.reads_texts": "reads_texts" in model.model_fields_set and not _has_texts(schema),
        "train.pictures": name not in PICTURES and bool(train.pictures.model_fields_set),
        "train.series": name not in SERIES and bool(train.series.model_fields_set),
        "train.cutmix": name not in PICTURES and train.cutmix > 0.0,
        "train.optimiser=muon": name == "timm" and train.optimiser == "muon",
    }
    return [option for option, is_useless in found.items() if is_useless]


def _job(
    name: str, model: ModelConfig, train: TrainConfig, rows: int, schema: Schema, share: float, members: int
) -> Job:
    recipe = RECIPES[name]
    useless = [f"model.{option}" for option in sorted(_useless(name, model))]
    useless += _useless_of_rows(name, model, train, schema)
    try:
        options = network_options(recipe.model, model.model_copy(update={"name": name}))
        training = training_options(recipe.train(schema.task), train)
    except ValueError as error:
        raise ConfigError(
            f"the options must suit the recipe {name!r}", str(error), "Change one of them, or choose another recipe."
        ) from None
    if useless:
        raise ConfigError(
            f"every option of the network must mean something to it ({name})",
            ", ".join(useless) + (" does not" if len(useless) == 1 else " do not"),
            "Leave them out, or choose another network with model.name.",
        )
    if "batch" not in train.model_fields_set:
        training = training.model_copy(update={"batch": batch_for(training.batch, rows)})
    chosen: dict[str, object] = {}
    if "members" not in model.model_fields_set:
        chosen["members"] = members
    if options.numbers in ("pbld", "periodic") and not {"frequency_scale", "frequency_spread"} & model.model_fields_set:
        chosen["frequency_spread"] = _SPREAD
    return Job(name, options.model_copy(update=chosen), training, share, vary=not _SETTLED & train.model_fields_set)
