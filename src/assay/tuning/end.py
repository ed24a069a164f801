"""What comes of a study: the choice corrected for luck, settings that are combined, and what the final fit is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.compose.run_config import RunConfig
from assay.data.rows import Rows, joined, times
from assay.data.schema import Schema
from assay.data.split.split import units_of
from assay.errors import BundleError
from assay.evaluate.fair.record import Gap
from assay.evaluate.forecast.blocks import Blocks
from assay.evaluate.metrics import metric as metric_named
from assay.evaluate.record import Selection
from assay.ledger import Ledger, Outcome, Verdict
from assay.search.fit.several import as_text
from assay.search.study.answered import selection_of_trials
from assay.search.study.mixture import Mixture, as_judged, candidates, in_words, mixture_of
from assay.search.study.objective import TableObjective
from assay.search.study.pareto import front_of
from assay.search.study.space import FAMILY, Setting, told
from assay.search.study.store import Tried
from assay.search.study.study import Study, best_first
from assay.train.model import TrainedNetwork
from assay.train.watch import Watch
from assay.tuning.directory import ANSWERS, StudyFile, Tuned
from assay.tuning.plan import Found

#: What the final fit of a setting costs beside its trial, which was one of several members: a guess.
_ALONE = 3.0
#: Trials of a front of which the gap between groups is told with its interval at most.
_MOST_GAPS = 50
#: Variants of a setting at most, and seconds that one takes at least, of which little is training.
_MOST_VARIANTS, _LEAST_SECONDS = 8, 0.5


def chosen(
    found: Found, study: Study, file: StudyFile, directory: Path, seconds: float, *, can_take: bool
) -> tuple[Selection | None, Mixture | None]:
    """The best score without what the choice flatters it by, and what combining the best settings gains.

    Both are None without a completed trial.

    Args:
        seconds: that the final fit will have to train them. can_take: whether it can take the networks of the search.
    """
    tried = {number: each for number, each in study.tried.items() if each.outcome is not None}
    ranked = best_first(tried.values(), higher=file.higher)
    completed = sorted(each.number for each in ranked)
    if not completed:
        return None, None
    split, task = found.split, found.schema.task
    judged = split.valid if file.folds == 1 else joined(split.train, split.valid)
    groups = _pieces(judged, found.schema)
    measure, answers = metric_named(task, file.metric), directory / ANSWERS
    selection = selection_of_trials(
        answers, completed, len(tried) - len(completed), task, measure, groups=groups,
        confidence=file.request.config.evaluate.confidence, seed=file.seed,
    )  # fmt: skip
    if not file.combines:
        return selection, None
    mixture = mixture_of(
        answers, candidates(ranked), task, measure, groups=groups, seed=file.seed, trained_anew=not can_take
    )
    if mixture is None:
        return selection, None
    needed = seconds_to_train(study, mixture.numbers)
    if needed > seconds and can_take:
        mixture = as_judged(mixture)
    elif needed > seconds and mixture.is_taken:
        why = f"{mixture.why}; but to train them would take about {needed:.0f} s, and there are {seconds:.0f} s"
        mixture = mixture.model_copy(update={"is_taken": False, "why": why})
    return selection, mixture


def gaps_of(objective: TableObjective, study: Study, file: StudyFile) -> dict[int, Gap]:
    """The gap between groups of the defaults and of each trial on the front; none where that is no goal."""
    if "fairness" not in file.goals:
        return {}
    tried = [study.tried[number] for number in sorted(study.tried)]
    told = front_of(tried, file.goals, higher=file.higher)[:_MOST_GAPS]  # the best score first
    told += [each for each in tried[:1] if each.value is not None]
    confidence = file.request.config.evaluate.confidence
    return {each.number: objective.gap_of_trial(each.number, confidence) for each in told}


def seconds_to_train(study: Study, numbers: Sequence[int]) -> float:
    """What training the settings of these trials anew would take, as a guess."""
    outcomes = [study.tried[number].outcome for number in numbers]
    return _ALONE * sum(each.seconds for each in outcomes if each is not None)


def in_the_model(study: Study, mixture: Mixture | None) -> tuple[int, ...]:
    """The numbers of the trials that the model is of; none where none came to its end."""
    if mixture is not None and mixture.is_taken:
        return mixture.numbers
    best = study.best()
    return () if best is None else (best.number,)


def variants_of(study: Study, file: StudyFile, seconds: float) -> tuple[str, ...]:
    """The best setting of each family with as many variants as there is the time for, as `ensemble.settings` has them.

    What varies from one training to the next is averaged by variants, which a search has one of: it is for finding
    settings. None where the number of members was searched or given.
    """
    tried = best_first(study.tried.values(), higher=file.higher)
    asked = "members" in file.request.config.model.model_fields_set
    if asked or any("model.members" in each.trial.options for each in tried):
        return ()
    leading: dict[object, Tried] = {}
    for each in tried:
        leading.setdefault(each.trial.options.get(FAMILY), each)
    found, waiting = [], sorted(leading.values(), key=_seconds_of)
    for place, each in enumerate(waiting):
        one = max(_seconds_of(each), _LEAST_SECONDS)
        count = min(int(seconds / (len(waiting) - place) / one), _MOST_VARIANTS)
        if count:
            seconds -= count * one
            found.append(as_text({**_with_family(file, dict(each.trial.options)), "model.members": count}))
    return tuple(found)


def _seconds_of(tried: Tried) -> float:
    return 0.0 if tried.outcome is None else tried.outcome.seconds


def known_networks(
    objective: TableObjective, study: Study, file: StudyFile, watch: Watch
) -> tuple[TrainedNetwork, ...]:
    """The networks of the best trial, or of those of the mixture, as they were judged.

    None where one cannot be taken, of which the watch is told: the settings are trained anew then.
    """
    try:
        return tuple(_known(objective, study.tried[number]) for number in in_the_model(study, file.mixture))
    except BundleError as error:
        watch.note(f"what was chosen is trained anew, which may take longer than the budget: {error}")
        return ()


def _known(objective: TableObjective, tried: Tried) -> TrainedNetwork:
    seconds = 0.0 if tried.outcome is None else tried.outcome.seconds
    return objective.network_of_trial(tried.trial, seconds)


def _pieces(judged: Rows, schema: Schema) -> NDArray[np.int64] | None:
    """The groups of rows that are no more than one piece of evidence, (n,); None where each row is one.

    Windows whose origins are less than a horizon apart share steps: they are taken in stretches of that length.
    """
    if schema.windowing is not None:
        steps, _ = schema.windowing.clock.steps(times(judged, schema, schema.windowing.origin))
        blocks = Blocks.of(steps, schema.windowing.horizon)
        return np.asarray(blocks.place // blocks.length, np.int64)
    return None if schema.group is None else units_of(judged, schema, keep_duplicates=False)


# Configurations -------------------------------------------------------------------------------------------------------


def best_config(tuned: Tuned) -> RunConfig:
    """The configuration of the study with the options of its best trial, for `assay fit --config`."""
    config = tuned.file.request.config
    content = config.model_dump(mode="python", exclude_unset=True)
    for key, value in _with_family(tuned.file, tuned.options).items():
        inner = content
        *path, name = key.split(".")
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return RunConfig.model_validate(content)


def mixture_config(tuned: Tuned) -> RunConfig | None:
    """The configuration that trains the settings of the mixture as parts of one model; None where it is not taken."""
    mixture, config = tuned.file.mixture, tuned.file.request.config
    if mixture is None or not mixture.is_taken:
        return None
    by_number = {each.number: each for each in tuned.tried}
    settings = [_with_family(tuned.file, dict(by_number[number].trial.options)) for number in mixture.numbers]
    content = config.model_dump(mode="python", exclude_unset=True)
    content.setdefault("ensemble", {})["settings"] = tuple(map(as_text, settings))
    return RunConfig.model_validate(content)


def variants_config(tuned: Tuned, variants: Sequence[str], seconds: float) -> RunConfig:
    """The configuration of a model of networks that the search judged, with variants trained beside them."""
    config = tuned.file.request.config if variants else mixture_config(tuned) or best_config(tuned)
    own = {"folds": tuned.file.folds, "settings": tuple(variants)}
    return config.model_copy(update={"budget": seconds, "ensemble": config.ensemble.model_copy(update=own)})


def _with_family(file: StudyFile, setting: Setting) -> Setting:
    return setting if FAMILY in setting else {FAMILY: file.space.families[0], **setting}


# The ledger -----------------------------------------------------------------------------------------------------------


def verdicts_of(tuned: Tuned) -> tuple[Verdict, ...]:
    """What the ledger of the final fit says of the study that found its settings."""
    ledger, file = Ledger(), tuned.file
    states = tuned.states
    folds = f"{file.folds} folds" if file.folds > 1 else "the validation rows"
    counted = ", ".join(f"{number} {state}" for state, number in states.items() if number)
    why = "" if tuned.taken is None else f"; trial {tuned.taken.tried.number} was taken: {tuned.taken.why}"
    why += f"; its gap between groups is {tuned.gap}" if tuned.gap else ""
    ledger.record(
        "search.settings", Outcome.APPLIED,
        f"{sum(states.values())} settings of {len(file.space.parameters)} parameters tried ({counted}), proposed by "
        f"{file.sampler} ({file.why}), judged by {file.label} on {folds}{why}", value=sum(states.values()),
    )  # fmt: skip
    _write_selection(ledger, file.selection)
    edges = tuned.edges
    if edges:
        reason = f"the best setting lies on the edge of what was searched: {'; '.join(edges)}"
        ledger.record("search.edges", Outcome.WARNED, reason, value=len(edges))
    else:
        reason = f"the best setting lies within the ranges: {told(tuned.options)}"
        ledger.record("search.edges", Outcome.PASSED, reason, value=0)
    if file.mixture is None:
        reason = "--no-ensemble, or several objectives" if not file.combines else "too few trials or rows to judge it"
        ledger.record("search.mixture", Outcome.SKIPPED, reason)
    else:
        outcome = Outcome.APPLIED if file.mixture.is_taken else Outcome.SKIPPED
        ledger.record("search.mixture", outcome, in_words(file.mixture), value=file.mixture.gain)
    return tuple(ledger)


def _write_selection(ledger: Ledger, found: Selection | None) -> None:
    if found is None or found.corrected.value is None:
        ledger.record("search.settings-bias", Outcome.SKIPPED, "no draw of the rows left out any that judge")
        return
    reason = (
        f"the best of {found.settings} settings has {found.label} {found.validation:.4f} on rows that chose it; "
        f"without what the choice flatters by it is {found.corrected.value:.4f}"
    )
    ledger.record("search.settings-bias", Outcome.APPLIED, reason, value=found.flattery)
