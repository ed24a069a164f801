"""`assay.tune`: many settings tried on training and validation rows, and the best of them trained and tested once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from assay.compose.run_config import RunConfig, to_yaml
from assay.data.rows import joined
from assay.data.schema import Kind, Task
from assay.data.split import units_of
from assay.errors import ConfigError, DivergenceError
from assay.evaluate.metrics import metric as metric_named
from assay.evaluate.record import Selection
from assay.report.study_page import draw_study
from assay.request import Request, RequestFile, recalled, resolve, with_table, written
from assay.run import fit
from assay.runs import Run
from assay.search.answered import selection_of_trials
from assay.search.executors import Executor, LocalExecutor, PoolExecutor
from assay.search.settings import OWN
from assay.search.space import FAMILY
from assay.search.store import check_url
from assay.search.study import TOLD, Limits, Study
from assay.search.trial import Value
from assay.studies import (
    ANSWERS,
    BEST,
    PAGE,
    RUN,
    STUDY,
    TRIALS,
    StudyFile,
    Tuned,
    begun,
    open_study,
    taken_up,
    write_whole,
)
from assay.study_plan import MOST_OF_FIT, Found, Search, held_for_fit, made_again, objective_of, planned, prepare
from assay.train.budget import Budget
from assay.train.device import free_cores, using_threads
from assay.train.watch import Unwatched, Watch
from assay.workspace import partial_of, scratch

#: The time of a study for which none was given.
BUDGET = "5m"


def tune(
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    target: str | None = None,
    *,
    over: Sequence[str] = (),
    space: str | os.PathLike[str] | None = None,
    settings: str | os.PathLike[str] | None = None,
    sampler: str = "auto",
    prune: str = "none",
    trials: int | None = None,
    folds: int = 0,
    metric: str | None = None,
    jobs: int = 1,
    storage: str | None = None,
    fit_best: bool = True,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    kinds: dict[str, Kind] | None = None,
    task: Task | str | None = None,
    positive: str | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    preset: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    strict: bool = False,
    config: str | os.PathLike[str] | RunConfig | None = None,
    overrides: Sequence[str] = (),
    watch: Watch | None = None,
    started: float | None = None,
) -> Tuned:
    """Search settings of networks and their training, and train the best one as `fit` does.

    Trials learn from training rows and are judged by rows they had not learned from, in folds where rows are few; the
    test rows are not within their reach. They are looked at once, when the best setting has been trained.

    Args:
        data, target, test, valid, kinds, task, positive, drop, group, time, weight: as for `fit`.
        over: options to search, `["train.lr=1e-4..1e-1", "model.width", "model.name=mlp|tabm"]`; by default the main
            ones of the families that suit the data.
        space: a YAML file with `parameters` and `constraints` instead.
        settings: a YAML file with a list of settings to try instead.
        sampler: auto, grid, random, quasi, tpe, gp, cmaes, nsga2.
        prune: none, asha, hyperband or median (over epochs), wilcoxon (over folds).
        trials: how many at most; by default as many as there is time for.
        folds: of the cross-validation that judges; 0 suits the rows, 1 takes the validation rows.
        metric: that trials are judged by; by default the primary one of the task.
        jobs: worker processes.
        storage: the URL of an SQLite or PostgreSQL database; by default a journal in the directory.
        fit_best: train the best setting when the search is over.
        out: a new directory; by default the next `studies/<name>-<n>`.
        resume: the directory of a study to go on with; only `trials` and `budget` may be given beside it.
        preset, config, overrides: as for `fit`; what they set is the same in all trials.
        budget: of the whole, the final fit included; 5 minutes by default.
        seed: every random choice follows from it.
        strict: stop when the audit has serious findings.
        watch: an observer.
        started: `time.monotonic()` from which the budget counts; by default now.

    Raises:
        InputError: something given cannot be used.
        GateError: the audit (strict), or most trials, or the final fit said no.
    """
    watch, started = watch or Unwatched(), monotonic() if started is None else started
    search = Search(
        tuple(over), _path(space), _path(settings), sampler, prune, trials, folds, metric, jobs, storage, fit_best
    )
    said: dict[str, object] = {
        "target": target, "kinds": kinds, "task": task, "positive": positive, "drop": tuple(drop), "group": group,
        "time": time, "weight": weight,
    }  # fmt: skip
    named = {"data": data, "test": test, "valid": valid}
    if resume is not None:
        beside: dict[str, object] = {
            "out": out, "preset": preset, "seed": seed, "strict": strict, "config": config,
            "overrides": tuple(overrides), "over": search.over, "space": space, "settings": settings,
            "storage": storage, "metric": metric, "folds": folds or None,
        }  # fmt: skip
        return _go_on(Path(resume), named, said | beside, trials, budget, watch, started)
    own = budget if budget is not None or preset is not None or config is not None else BUDGET
    composed = resolve(config, preset, overrides, budget=own, seed=seed, strict=strict)
    said |= {part: os.fspath(source) for part, source in named.items() if isinstance(source, str | os.PathLike)}
    request = Request(data, test, valid, with_table(composed, said), ())
    _check(search)
    if composed.train.fairness != "none":
        raise ConfigError(
            "a study judges its trials by one score", f"train.fairness={composed.train.fairness} weighs it with a gap",
            "Leave it out here, and give it to `assay fit` with the best settings.",
        )  # fmt: skip
    with begun(None if out is None else Path(out), request.name) as (directory, notes):
        for note in notes:
            watch.note(note)
        return _search(directory, request, written(request), search, None, watch, started)


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _check(search: Search) -> None:
    """Refuse numbers that cannot be, and two spaces at once.

    Raises:
        ConfigError: there are such.
    """
    for name, value, least in (("trials", search.trials, 1), ("folds", search.folds, 0), ("jobs", search.jobs, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name} must be {least} or more", f"{value} was given", "Give a larger number.")
    spaces = {"--over": search.over, "--space": search.space, "--settings": search.settings}
    given = [name for name, value in spaces.items() if value]
    if len(given) > 1:
        raise ConfigError("a study has one space", f"{' and '.join(given)} are given", "Leave one of them.")
    if search.storage is not None:
        check_url(search.storage)
    if search.jobs > 1 and search.prune != "none":
        raise ConfigError("a pruner compares the trials of one process", f"--jobs is {search.jobs}",
                          "Leave out --prune or --jobs.")  # fmt: skip


def _go_on(
    directory: Path, sources: dict[str, Any], said: dict[str, object], trials: int | None,
    budget: float | str | None, watch: Watch, started: float,
) -> Tuned:  # fmt: skip
    with taken_up(directory) as (file, notes):
        for note in notes:
            watch.note(note)
        call = f"assay.tune(data, resume={str(directory)!r})"
        request = recalled(file.request, directory, sources, said, call)
        if trials is not None or budget is not None:
            more = resolve(None, None, (), budget=budget, seed=None, strict=False).budget
            file = file.model_copy(
                update={"trials": trials or file.trials, "budget": file.budget if budget is None else more, "ended": ""}
            )
        if file.ended and (not file.fits or (directory / RUN / "model").is_dir()):
            raise ConfigError("a study must have something left to do to go on", f"{str(directory)!r} is finished",
                              f"`assay show {directory}` shows it; --trials or --budget lets it try more.")  # fmt: skip
        return _search(directory, request, file.request, Search(), file, watch, started)


# The paragraph --------------------------------------------------------------------------------------------------------


def _search(
    directory: Path, request: Request, written_down: RequestFile, search: Search, file: StudyFile | None, watch: Watch,
    started: float,
) -> Tuned:  # fmt: skip
    """Read, propose and judge, then train the best; `file` is that of a study that goes on."""
    config = request.config
    budget = Budget(config.budget if file is None else file.budget, started)
    if file is None or not file.ended:
        with ExitStack() as stack:
            folder = stack.enter_context(scratch(directory))
            stack.enter_context(using_threads(config.train.threads))
            found = prepare(request, written_down, folder, budget, watch)
            if file is None:
                file = planned(found, directory, request, search, budget)
            for note in file.notes:
                watch.note(note)
            write_whole(directory, STUDY, file.to_json())
            watch.stage("search")
            file = _run(directory, request, found, file, budget, watch, stack)
    tuned = open_study(directory)
    _write(tuned)
    if tuned.best is None:
        _refuse_without(tuned)
    if file.fits:
        _fit(request, tuned, budget, watch)
        _write(open_study(directory))
    return open_study(directory)


# Judging --------------------------------------------------------------------------------------------------------------


def _run(
    directory: Path, request: Request, found: Found, file: StudyFile, budget: Budget, watch: Watch, stack: ExitStack
) -> StudyFile:
    """Try settings until an end is reached, and note which."""
    objective = objective_of(found, file, request.config, directory / ANSWERS)
    proposer = file.proposer(tuple(OWN))
    store = file.store(directory, begins=True, mend=True)
    executor: Executor = LocalExecutor(objective)
    if file.jobs > 1:
        maker = partial(made_again, request, file, directory)
        executor = stack.enter_context(PoolExecutor(maker, file.jobs, free_cores()))
    study = Study(objective, proposer, store, executor, seed=file.seed, prunes=file.pruning != "none")
    whole = budget.having_used(study.used)
    held = held_for_fit(whole) if file.fits and not math.isinf(whole.seconds) else 0.0
    try:
        end = study.run(Limits(file.trials, whole.holding(held)), watch)
    except BaseException as error:
        error.add_note(f"What was tried is kept: go on with `assay tune --resume {directory}`.")
        raise
    over = sum(each.outcome is not None for each in study.tried.values())
    watch.note(f"the search is over after {over} trial{'' if over == 1 else 's'}: {TOLD[end]}")
    chosen = _selection(found, study, file, request.config, directory / ANSWERS)
    file = file.model_copy(update={"ended": end, "selection": chosen})
    write_whole(directory, STUDY, file.to_json())
    return file


def _selection(found: Found, study: Study, file: StudyFile, config: RunConfig, answers: Path) -> Selection | None:
    """The best score without what the choice flatters it by; None without a completed trial."""
    states = {number: each.outcome.state for number, each in study.tried.items() if each.outcome is not None}
    completed = sorted(number for number, state in states.items() if state == "complete")
    if not completed:
        return None
    split, task = found.split, found.schema.task
    judged = split.valid if file.folds == 1 else joined(split.train, split.valid)
    # Rows of one group are no more than one piece of evidence.
    groups = None if found.schema.group is None else units_of(judged, found.schema, keep_duplicates=False)
    return selection_of_trials(
        answers, completed, len(states) - len(completed), task, metric_named(task, file.metric), groups=groups,
        confidence=config.evaluate.confidence, seed=file.seed,
    )  # fmt: skip


def _refuse_without(tuned: Tuned) -> None:
    reasons = [each.outcome.reason for each in tuned.tried if each.outcome is not None and each.outcome.reason]
    came = f"none of {len(tuned.tried)} did" if tuned.tried else "there was no time for one"
    why = f" (the last because: {reasons[-1].rstrip('.')})" if reasons else ""
    raise DivergenceError(
        "some trial must come to its end", f"{came}{why}",
        f"Give a longer --budget or a smaller space: `assay tune --resume {tuned.directory} --budget ...`.",
    )  # fmt: skip


# The best -------------------------------------------------------------------------------------------------------------


def best_config(tuned: Tuned) -> RunConfig:
    """The configuration of the study with the options of its best trial, for `assay fit --config`."""
    config = tuned.file.request.config
    setting: dict[str, Value] = tuned.options
    content = config.model_dump(mode="python", exclude_unset=True)
    family = {} if FAMILY in setting else {FAMILY: tuned.file.space.families[0]}
    for key, value in {**family, **setting}.items():
        inner = content
        *path, name = key.split(".")
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return RunConfig.model_validate(content)


def _write(tuned: Tuned) -> None:
    """The table of trials, the best setting, and the page."""
    tuned.trials.write_parquet(tuned.directory / TRIALS)
    if tuned.best is not None:
        write_whole(tuned.directory, BEST, to_yaml(best_config(tuned)))
    write_whole(tuned.directory, PAGE, draw_study(tuned.page))


def _fit(request: Request, tuned: Tuned, budget: Budget, watch: Watch) -> Run:
    """Train the best setting as `assay fit` would, in the time that is left; the test rows are opened there, once."""
    out = tuned.directory / RUN
    if (partial_of(out) / "request.json").is_file():
        frames = {part: source for part, source in request.sources.items() if part in tuned.file.request.objects}
        return fit(frames.get("data"), test=frames.get("test"), valid=frames.get("valid"), resume=out, watch=watch)
    config = best_config(tuned)
    if not math.isinf(budget.seconds):
        config = config.model_copy(update={"budget": max(budget.left, MOST_OF_FIT * held_for_fit(budget))})
    return fit(request.data, test=request.test, valid=request.valid, config=config, out=out, watch=watch)
