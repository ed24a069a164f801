"""What a study will do: rows read as a fit reads them, its space, folds, sampler and first settings.

A study sees training and validation rows. The test rows are sealed before anything is learned, and nothing that is
made here holds them but the split, of which only the other two parts are passed on.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from assay.apportion import seconds_after_training, text_plan
from assay.compose.run_config import RunConfig
from assay.compose.searching import Derived, derive_space
from assay.data.encoding.encode import Encoder
from assay.data.schema import MEDIA_KINDS, Schema, Task
from assay.data.split.split import Split
from assay.errors import ConfigError
from assay.evaluate.fair.learned import check_groups
from assay.evaluate.metrics import metrics_of, searched_by
from assay.ledger import Ledger
from assay.models.config import Family, ModelConfig
from assay.request import Request, RequestFile, summed
from assay.search.config import EnsembleConfig
from assay.search.fit.fair import check_fairness
from assay.search.planning.jobs import may_be_plain
from assay.search.planning.plan import plan
from assay.search.planning.tables import cost, reads_twice
from assay.search.study.objective import TableObjective, folds_for
from assay.search.study.pareto import goals_named
from assay.search.study.pruners import axis_of, pruning_named
from assay.search.study.samplers import Choice, check_grid, choose
from assay.search.study.space import FAMILY, Setting, Space
from assay.search.study.starts import first_settings
from assay.search.study.trial import Goal, Value
from assay.sources import audit_tables, decoded, read_tables, seal_tables
from assay.stages import Prepared
from assay.train.budget import Budget
from assay.train.config import ON_GROUPS, TrainConfig
from assay.train.recipes import RECIPES
from assay.train.watch import Unwatched, Watch
from assay.tuning.asked import Search, Words, words_of
from assay.tuning.directory import Start, StudyFile
from assay.workspace import scratch

#: The share of a study's time that a final fit which trains has, at least so many seconds but at most half.
_SHARE_OF_FIT, _LEAST_OF_FIT, MOST_OF_FIT = 0.25, 40.0, 0.5
#: The share of it that further variants have where the networks of the search are the model, and from how many seconds.
_SHARE_OF_VARIANTS, _WORTH_VARIANTS = 0.2, 20.0
#: Seconds that the choice, the page and the baselines take beside what follows any training; the share of all that
#: which is needed where nothing else runs on the machine; and how many times as long it is taken to last at most.
_CHOOSING, _OF_AFTER, _SLOWEST = 2.0, 0.6, 2.0
_FAIRNESS, _WEIGHT = "train.fairness", "train.fairness_weight"
#: Passes of a trial, and what a member costs beside a network of its own: guesses for estimates before the first trial.
_PASSES, _A_MEMBER = 30, 0.4
#: Trials of a family that a front between score and fairness takes.
_OF_FRONT = 20


@dataclass(frozen=True)
class Found:
    """What was read, what was written down of it, and the families that suit it.

    slowness: seconds that a second of the processor took until then, as others use it too.
    """

    prepared: Prepared
    request: RequestFile
    families: tuple[Family, ...]
    slowness: float = 1.0

    @property
    def encoder(self) -> Encoder:
        """Learned from the training rows."""
        return self.prepared.encoder

    @property
    def split(self) -> Split:
        """The parts; those of the test are for the final fit alone."""
        return self.prepared.split

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return self.prepared.sources.schema

    @property
    def rows(self) -> int:
        """Those of training and validation."""
        return len(self.split.train) + len(self.split.valid)


def prepare(
    request: Request, file: RequestFile, folder: Path, budget: Budget, watch: Watch, processor: float = 0.0
) -> Found:
    """Read, audit, split and encode, as `fit` does it with the same seed.

    processor: seconds that this process had of the processor when the budget began.
    """
    config, ledger = request.config, Ledger()
    spill = config.data.spill(folder)
    watch.stage("read")
    sources = read_tables(request.data, request.valid, request.test, request.hints, config.data, ledger, spill)
    known, schema = summed(file, sources.given), sources.schema
    watch.stage("audit")
    sources, pictures = decoded(sources, config.data, folder)
    audit = audit_tables(sources, config.data, ledger)
    watch.stage("split")
    split = seal_tables(sources, config.data.split, seed=config.seed, ledger=ledger)
    watch.stage("encode")
    texts = text_plan(request, split, schema, budget, ledger)
    encoder = Encoder.fit(
        split.train, schema, texts.encode, ledger, frozen=texts.frozen, pictures=pictures, words=texts.words,
        tell=watch.steps,
    )  # fmt: skip
    prepared = Prepared(sources, pictures, audit, split, texts, encoder, tuple(ledger))
    families = _families(encoder, split, schema, config)
    return Found(prepared, known, families, slowness(budget.used, process_time() - processor))


def slowness(seconds: float, processor: float) -> float:
    """Seconds that a second of the processor took, 1 at least and `_SLOWEST` at most."""
    return min(max(seconds / max(processor, 0.1), 1.0), _SLOWEST)


def _families(encoder: Encoder, split: Split, schema: Schema, config: RunConfig) -> tuple[Family, ...]:
    """The families that a fit without a limit of time would train on such rows, the likeliest first."""
    planned = plan(
        len(split.train), schema, config.model, config.train, EnsembleConfig(folds=1), Budget(None),
        has_encoder=encoder.frozen is not None,
        steps=0 if schema.windowing is not None else max((item.length for item in encoder.inputs), default=0),
        has_pictures=any(item.picture is not None for item in encoder.inputs),
    )  # fmt: skip
    names = dict.fromkeys(job.model.name for job in planned.jobs)
    return tuple(name for name in names if name in RECIPES)  # type: ignore[misc]  # families all


def planned(found: Found, directory: Path, request: Request, search: Search, budget: Budget) -> StudyFile:
    """What the study will do: its space, folds, sampler and first settings."""
    config, schema = request.config, found.schema
    known = metrics_of(schema.task)
    if schema.windowing is not None and (search.folds or 1) > 1:
        raise ConfigError("a forecast is judged by what comes after its training part, not by folds",
                          f"--folds is {search.folds}", "Leave it out.")  # fmt: skip
    words = words_of(search)
    listed = words.listed
    goals = goals_named(search.goals)
    if "fairness" in goals:
        check_groups(schema, "--objective fairness")
    folds = search.folds or folds_for(found.rows, schema)
    if folds > found.rows:
        raise ConfigError("--folds must leave each fold a row", f"{folds:,} are asked of {found.rows:,} rows",
                          "Give --folds 5, or leave it out.")  # fmt: skip
    pruning = pruning_named(search.prune or "none", folds)
    seconds = _for_trials(found, folds, goals, search, config, budget)
    derived = _derived(found, words, goals, config, folds, seconds)
    space, notes = derived.space, list(derived.notes)
    a_trial = _guess(found, space.families, folds)
    if listed:
        choice = Choice("list", f"{search.settings} names them")
    else:
        choice = choose(
            search.sampler or "auto", space, trials=search.trials, seconds=seconds, a_trial=a_trial, goals=len(goals)
        )
        if choice.kind == "grid":
            notes.append(check_grid(space, trials=search.trials, seconds=seconds, a_trial=a_trial))
    if search.trials is None and math.isinf(seconds) and choice.kind not in ("grid", "list"):
        raise ConfigError("a study must have an end", "neither --trials nor a --budget is given",
                          "Give --trials 50, or --budget 10m.")  # fmt: skip
    starts = [] if listed else first_settings(space)
    measure = search.metric or searched_by(schema.task).id
    chosen = next((each for each in known if each.id == measure), None)
    if chosen is None:
        named = ", ".join(each.id for each in known)
        raise ConfigError("trials are judged by a metric of their task", f"{measure!r} is none of {schema.task.value}",
                          f"Choose one of {named}.")  # fmt: skip
    return StudyFile(
        name=directory.resolve().name, request=found.request, space=space, sampler=choice.kind, why=choice.reason,
        pruning=pruning, trials=search.trials, budget=config.budget, folds=folds, metric=chosen.id, label=chosen.label,
        higher=chosen.higher_is_better, jobs=search.jobs or (0 if search.engine == "ray" else 1),
        storage=search.storage, goals=goals, engine="ray" if search.engine == "ray" else "local",
        address=search.address, combines=len(goals) == 1 and search.ensemble is not False,
        starts=tuple(Start(setting=setting, origin=origin) for setting, origin in starts), listed=tuple(listed),
        epochs=_epochs(space, config, schema.task), notes=tuple(notes), fits=search.fits is not False,
        token=secrets.token_hex(8),
    )  # fmt: skip


def _derived(
    found: Found, words: Words, goals: Sequence[Goal], config: RunConfig, folds: int, seconds: float
) -> Derived:
    """The space of what was asked for, else of what suits the rows and the goals."""
    families, also = found.families, _also(found, config.model)
    if "fairness" in goals:
        also |= _lessening(found.schema, config.train)
        families = families if words.asked else _quick(found, folds, seconds)
    derived = derive_space(words.asked, words.rules, families, config, found.schema.task, also)
    _check_mitigations(derived.space, words.listed, found.schema, config)
    if left_out := [family for family in found.families if family not in families]:
        told = f"left out: {', '.join(left_out)}, whose trials take too long for a front in this time"
        derived.notes.append(f"{told}; --over model.name searches them too")
    return derived


def _lessening(schema: Schema, train: TrainConfig) -> dict[str, Value | None]:
    """Options that lessen gaps between groups: what training may do about them, and how much."""
    if "fairness" in train.model_fields_set:
        return {_WEIGHT: None} if train.fairness in ON_GROUPS else {}
    if any(column.kind in MEDIA_KINDS for column in schema.features):
        return {_FAIRNESS: "reweigh"} if schema.is_classification else {}
    return {_FAIRNESS: "equalised_odds" if schema.is_classification else "group_dro", _WEIGHT: None}


def _check_mitigations(space: Space, listed: Sequence[Setting], schema: Schema, config: RunConfig) -> None:
    """Refuse what training does about groups in some trial where the final fit would refuse it.

    Raises:
        ConfigError: there is such.
    """
    searched = [choice for each in space.parameters if each.key == _FAIRNESS for choice in each.choices]
    named = {config.train.fairness, *searched, *(setting[_FAIRNESS] for setting in listed if _FAIRNESS in setting)}
    for how in sorted(map(str, named - {"none"})):
        train = config.train.model_copy(update={"fairness": how})
        check_fairness(schema, train, config.ensemble, config.evaluate, is_own=False)


def _also(found: Found, model: ModelConfig) -> dict[str, Value | None]:
    """Options that are searched for what the rows hold, each with a value to try beside a family's own.

    Widened numbers follow what is there closely, also where it is mostly noise: on abalone plain ones are better by 2
    to 3 % in every family, on concrete worse by a fifth (docs/decisions/search.md).
    """
    also: dict[str, Value | None] = {}
    if may_be_plain(found.schema, model):
        also["model.numbers"] = "plain"
    if reads_twice(found.schema, model):
        also["model.reads_texts"] = False
    return also


def _quick(found: Found, folds: int, seconds: float) -> tuple[Family, ...]:
    """The families of which there is the time for a front; where there is none, the one that takes the least."""
    guesses = {family: _guess(found, (family,), folds) for family in found.families}
    quick = tuple(family for family, guess in guesses.items() if _OF_FRONT * guess <= seconds)
    return quick or (min(guesses, key=lambda family: guesses[family]),)


def _guess(found: Found, families: Sequence[str], folds: int) -> float:
    """Seconds that a trial of these families will take, as a guess."""
    each = [cost(found.rows, family, 1, _PASSES) for family in families]
    return folds * _A_MEMBER * sum(each) / len(each)


def _for_trials(
    found: Found, folds: int, goals: Sequence[Goal], search: Search, config: RunConfig, budget: Budget
) -> float:
    """Seconds for the search; the rest is for the final fit."""
    if math.isinf(budget.seconds):
        return math.inf
    can_take = can_take_networks(found, folds, goals, config, budget, far=search.engine == "ray")
    held = held_for_end(found, config, budget) + held_for_variants(folds, budget, combines=search.ensemble is not False)
    return budget.left - (held if can_take else held_for_fit(budget))


def held_for_fit(budget: Budget) -> float:
    """Seconds that a final fit that trains has, of a budget that ends."""
    return min(max(_SHARE_OF_FIT * budget.seconds, _LEAST_OF_FIT), MOST_OF_FIT * budget.seconds)


def held_for_end(found: Found, config: RunConfig, budget: Budget) -> float:
    """Seconds that a final fit takes that trains nothing: choice, baselines, test, export, parity check and report."""
    part = found.prepared
    after = seconds_after_training(part.split, found.schema, config, budget, part.texts, part.encoder)
    return min(_OF_AFTER * (after + _CHOOSING) * found.slowness, MOST_OF_FIT * budget.seconds)


def held_for_variants(folds: int, budget: Budget, *, combines: bool) -> float:
    """Seconds that variants of the best settings have, to be parts of a model of networks that the search judged.

    Of a single split rows are many, and a network takes what there is of time.
    """
    seconds = _SHARE_OF_VARIANTS * budget.seconds
    return seconds if combines and folds > 1 and seconds >= _WORTH_VARIANTS else 0.0


def can_take_networks(
    found: Found, folds: int, goals: Sequence[Goal], config: RunConfig, budget: Budget, *, far: bool
) -> bool:
    """Whether the networks that the search judged could be the model, where there is a limit of time.

    It is so for tables of numbers and categories, where the final fit would train the same networks on the same folds.
    far: whether trials are judged on machines that keep what they learned.
    """
    if math.isinf(budget.seconds) or far or len(goals) > 1:
        return False
    part, ensemble = found.prepared, config.ensemble
    if part.encoder.layout.media or part.texts.tunes or ensemble.folds not in (0, folds):
        return False
    more = ensemble.distill or ensemble.bagging or ensemble.trees or config.train.lr_find
    return not more and config.evaluate.protocol != "nested"


def _epochs(space: Space, config: RunConfig, task: Task) -> int:
    """The most passes that a trial may have."""
    parameter = next((each for each in space.parameters if each.key == "train.epochs"), None)
    if parameter is not None:
        return max(int(point) for point in parameter.points())
    if "epochs" in config.train.model_fields_set:
        return config.train.epochs
    return max(RECIPES[family].train(task).epochs for family in space.families)


def objective_of(found: Found, file: StudyFile, config: RunConfig, answers: Path) -> TableObjective:
    """What judges the trials of a study; `answers` is the folder for what they answer."""
    fixed = {} if FAMILY in file.space.keys else {"name": file.space.families[0]}
    return TableObjective.open(
        encoder=found.encoder, rows=(found.split.train, found.split.valid), schema=found.schema,
        model=config.model.model_copy(update=fixed), train=config.train, dealing=config.data.split, folds=file.folds,
        metric=file.metric, seed=file.seed, answers=answers, axis=axis_of(file.pruning), times="latency" in file.goals,
        keeps=True, least_group=config.evaluate.least_group if "fairness" in file.goals else 0,
    )  # fmt: skip


def made_again(request: Request, file: StudyFile, answers: Path) -> TableObjective:
    """The objective in a worker process, which reads the data itself; what trials answer goes into `answers`."""
    with scratch() as folder:
        found = prepare(request, file.request, folder, Budget(None), Unwatched())
        return objective_of(found, file, request.config, answers)
