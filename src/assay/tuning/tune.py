"""`assay.tune`: many settings tried on training and validation rows, and the best of them trained and tested once."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from assay.compose.run_config import RunConfig, to_yaml
from assay.data.reading.arrays import as_given
from assay.data.schema import Kind, Task
from assay.errors import ConfigError, DivergenceError
from assay.report.study_page import draw_study
from assay.request import Request, RequestFile, recalled, resolve, with_table, written
from assay.run import carried_out, fit
from assay.runs import Run
from assay.search.study.answered import sweep
from assay.search.study.executors import Executor, LocalExecutor, PoolExecutor
from assay.search.study.mixture import candidates
from assay.search.study.objective import TableObjective
from assay.search.study.pareto import take
from assay.search.study.ray_executor import RayExecutor, check_engine
from assay.search.study.settings import OWN
from assay.search.study.store import Tried, check_free, reachable
from assay.search.study.study import TOLD, Limits, Study, best_first
from assay.search.study.trial_networks import any_network, keep_best
from assay.stages import Prepared
from assay.train.budget import Budget
from assay.train.threads import free_cores, using_threads
from assay.train.watch import Unwatched, Watch
from assay.tuning.asked import Search, refuse_words
from assay.tuning.changes import refuse_changes
from assay.tuning.directory import (
    ANSWERS,
    BEST,
    ENSEMBLE,
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
from assay.tuning.end import (
    best_config,
    chosen,
    gaps_of,
    in_the_model,
    known_networks,
    mixture_config,
    seconds_to_train,
    variants_config,
    variants_of,
    verdicts_of,
)
from assay.tuning.plan import (
    MOST_OF_FIT,
    Found,
    can_take_networks,
    held_for_end,
    held_for_fit,
    held_for_variants,
    made_again,
    objective_of,
    planned,
    prepare,
)
from assay.workspace import has_checkpoints, opened, partial_of, remove_with_parents, scratch

#: The time of a study for which none was given.
BUDGET = "5m"


def tune(
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    target: Any = None,  # noqa: ANN401  # as for fit
    *,
    over: Sequence[str] = (),
    space: str | os.PathLike[str] | None = None,
    settings: str | os.PathLike[str] | None = None,
    sampler: str | None = None,
    prune: str | None = None,
    objective: str | Sequence[str] = (),
    pick: int | None = None,
    trials: int | None = None,
    folds: int = 0,
    metric: str | None = None,
    jobs: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    storage: str | None = None,
    ensemble: bool | None = None,
    fit_best: bool | None = None,
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
    sensitive: Sequence[str] = (),
    preset: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    strict: bool = False,
    config: str | os.PathLike[str] | RunConfig | None = None,
    overrides: Sequence[str] = (),
    horizon: int | None = None,
    watch: Watch | None = None,
    started: float | None = None,
) -> Tuned:
    """Search settings of networks and their training, and train the best one as `fit` does.

    Trials learn from training rows and are judged by rows they had not learned from, in folds where rows are few; the
    test rows are not within their reach. They are looked at once, when the best setting has been trained.

    Args:
        data, target, test, valid, kinds, task, positive, drop, group, time, weight, sensitive: as for `fit`.
        over: options to search, `["train.lr=1e-4..1e-1", "model.width", "model.name=mlp|tabm"]`; by default the main
            ones of the families that suit the data.
        space: a YAML file with `parameters` and `constraints` instead.
        settings: a YAML file with a list of settings to try instead.
        sampler: auto (the default), grid, random, quasi, tpe, gp, cmaes, nsga2.
        prune: none (the default), asha, hyperband or median (over epochs), wilcoxon (over folds).
        objective: what settings are to be good in: the score, and beside it `latency` (microseconds a row), `size`
            (bytes) or `fairness` (the gap between groups of `sensitive` columns), such as `"score,latency"`. Then there
            is a front to choose from.
        pick: the trial that is trained in the end; by default the best, of several objectives the knee of the front.
        trials: how many at most; by default as many as there is time for.
        folds: of the cross-validation that judges; 0 suits the rows, 1 takes the validation rows.
        metric: that trials are judged by; by default AUROC of two classes, log loss of more and of labels, else the
            primary one of the task.
        jobs: worker processes; 1 by default, of a cluster as many as it has cores.
        engine: `local` (the default) or `ray`, which sends trials to a Ray cluster that runs already.
        address: of that cluster, HOST:PORT; RAY_ADDRESS by default.
        storage: the URL of an SQLite or PostgreSQL database; by default a journal in the directory.
        ensemble: train the best settings as parts of one model where that is better than the best alone; by default
            where there is one objective.
        fit_best: train the best setting when the search is over, which is the default.
        out: a new directory; by default the next `studies/<name>-<n>`.
        resume: the directory of a study to go on with; `trials`, `budget`, `fit_best`, `pick` and `address` may be
            given anew beside it, and all else stays.
        preset, config, overrides: as for `fit`; what they set is the same in all trials.
        horizon: steps of the target that are forecast, as for `fit`; validation windows judge then, without folds.
        budget: of the whole, the final fit included; 5 minutes by default.
        seed: every random choice follows from it.
        strict: stop when the audit has serious findings.
        watch: an observer.
        started: `time.monotonic()` from which the budget counts; by default now.

    Raises:
        InputError: something given cannot be used.
        GateError: the audit (strict), or most trials, or the final fit said no.
    """
    processor = process_time() if started is None else 0.0  # a command has the process to itself
    watch, started = watch or Unwatched(), monotonic() if started is None else started
    goals = (objective,) if isinstance(objective, str) else tuple(objective)
    search = Search(
        tuple(over), _path(space), _path(settings), sampler, prune, trials, folds or None, metric, jobs, storage,
        fit_best, goals, pick, ensemble, engine, address,
    )  # fmt: skip
    given = as_given(data, target, test=test, valid=valid, kinds=kinds)
    said: dict[str, object] = {
        "target": given.target, "kinds": given.kinds, "task": task, "positive": positive, "drop": tuple(drop),
        "group": group, "time": time, "weight": weight, "sensitive": tuple(sensitive),
    }  # fmt: skip
    named = {"data": given.data, "test": given.test, "valid": given.valid}
    if resume is not None:
        beside: dict[str, object] = {
            "out": out, "preset": preset, "seed": seed, "strict": strict, "config": config,
            "KEY=VALUE": tuple(overrides), "horizon": horizon,
        }  # fmt: skip
        return _go_on(Path(resume), named, said, beside, search, budget, watch, (started, processor))
    own = budget if budget is not None or preset is not None or config is not None else BUDGET
    overrides = overrides if horizon is None else (f"data.horizon={horizon}", *overrides)
    composed = resolve(config, preset, overrides, budget=own, seed=seed, strict=strict)
    said |= {part: os.fspath(source) for part, source in named.items() if isinstance(source, str | os.PathLike)}
    request = Request(**named, config=with_table(composed, said), references=())
    refuse_words(search, composed)
    with begun(None if out is None else Path(out), request.name) as (directory, notes):
        if storage is not None:
            check_free(storage, directory.resolve().name)
        for note in notes:
            watch.note(note)
        return _search(directory, request, written(request), search, None, watch, (started, processor))


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _go_on(
    directory: Path, sources: dict[str, Any], said: dict[str, object], beside: dict[str, object], search: Search,
    budget: float | str | None, watch: Watch, started: tuple[float, float],
) -> Tuned:  # fmt: skip
    with taken_up(directory) as (file, notes):
        refuse_changes(file, {**beside, **search.beside_resume})
        for note in notes:
            watch.note(note)
        call = f"assay.tune(data, resume={str(directory)!r})"
        request = recalled(file.request, directory, sources, said, call)
        file = _changed(directory, file, search, budget)
        if file.ended and (not file.fits or (directory / RUN / "model").is_dir()):
            raise ConfigError("a study must have something left to do to go on", f"{str(directory)!r} is finished",
                              f"`assay show {directory}` shows it; --trials or --budget lets it try more, --fit trains "
                              "the best.")  # fmt: skip
        write_whole(directory, STUDY, file.to_json())
        return _search(directory, request, file.request, Search(), file, watch, started)


def _changed(directory: Path, file: StudyFile, search: Search, budget: float | str | None) -> StudyFile:
    """The study with what may be given anew: trials, time, whether and which trial is trained, and where Ray is.

    Raises:
        ConfigError: a number cannot be, or another trial is picked when one was trained.
    """
    update: dict[str, object] = {}
    if search.trials is not None:
        if search.trials < 1:
            raise ConfigError("--trials must be 1 or more", f"{search.trials} was given", "Give a larger number.")
        update |= {"trials": search.trials, "ended": ""}
    if budget is not None:
        update |= {"budget": resolve(None, None, (), budget=budget, seed=None, strict=False).budget, "ended": ""}
    if search.fits is not None:
        update["fits"] = search.fits
    if search.address is not None:
        check_engine(file.engine, search.address)
        update["address"] = search.address
    if search.pick is not None:
        if (directory / RUN).exists() or partial_of(directory / RUN).exists():
            raise ConfigError(
                "one trial of a study is trained, for that opens the test rows", f"{directory / RUN} is there",
                "Train another with `assay fit --config`, and do not choose by its test score.",
            )  # fmt: skip
        tried = file.store(directory).load()
        take(tried, file.goals, file.label, higher=file.higher, default=None, pick=search.pick)
        update |= {"picked": search.pick, "fits": search.fits is not False}
        update |= {"mixture": None, "combines": False}
    return file.model_copy(update=update)


# The paragraph --------------------------------------------------------------------------------------------------------


def _search(
    directory: Path, request: Request, written_down: RequestFile, search: Search, file: StudyFile | None, watch: Watch,
    started: tuple[float, float],
) -> Tuned:  # fmt: skip
    """Read, propose and judge, then train the best.

    Args:
        file: that of a study that goes on.
        started: when the budget began, by the clock, and what this process had had of the processor.
    """
    config, taken = request.config, None
    budget = Budget(config.budget if file is None else file.budget, started[0])
    with ExitStack() as stack:
        if file is None or not file.ended or _has_networks(directory, file):
            folder = stack.enter_context(scratch(directory))
            stack.enter_context(using_threads(config.train.threads))
            found = prepare(request, written_down, folder, budget, watch, started[1])
            if file is None:
                file = planned(found, directory, request, search, budget)
            for note in file.notes:
                watch.note(note)
            objective = objective_of(found, file, config, directory / ANSWERS)  # which may refuse folds
            write_whole(directory, STUDY, file.to_json())
            watch.stage("search")
            file, taken = _run(directory, request, found, objective, file, budget, watch)
        tuned = open_study(directory)
        with _resumable(directory):
            _write(tuned)
        if tuned.best is None:
            _refuse_without(tuned)
        if file.fits and (directory / RUN / "model").is_dir():
            watch.note(f"the model in {directory / RUN} was chosen from fewer trials; test rows are not opened twice")
        elif file.fits:
            with _resumable(directory, unless_said=True):
                _fit(request, tuned, taken, budget, watch)
    return tuned


@contextmanager
def _resumable(directory: Path, *, unless_said: bool = False) -> Iterator[None]:
    """Add to what ends the block how the study goes on, `unless_said` where it is told already how to go on."""
    try:
        yield
    except BaseException as error:
        if not (unless_said and hasattr(error, "__notes__")):
            error.add_note(f"What was tried is kept: go on with `assay tune --resume {directory}`.")
        raise


def _has_networks(directory: Path, file: StudyFile) -> bool:
    """Whether a study that has ended has networks that its model may still be made of."""
    is_local = file.budget is not None and file.engine == "local"
    return is_local and _awaits_model(directory, file) and any_network(directory / ANSWERS)


def _awaits_model(directory: Path, file: StudyFile) -> bool:
    """Whether a model is still to be made, of what the search chooses."""
    return file.fits and file.picked is None and not (directory / RUN / "model").is_dir()


# Judging --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """Networks of a search that are the model, in what the final fit is given, and settings of which it trains more."""

    prepared: Prepared
    variants: tuple[str, ...]


def _run(
    directory: Path, request: Request, found: Found, objective: TableObjective, file: StudyFile, budget: Budget,
    watch: Watch,
) -> tuple[StudyFile, Taken | None]:  # fmt: skip
    """Try settings until an end is reached, and note which; and the networks that are the model, if any are.

    A study that has ended tries no more.
    """
    answers, config = directory / ANSWERS, request.config
    sweep(directory)
    sweep(answers)
    with ExitStack() as stack:
        stack.enter_context(_resumable(directory))
        executor, file = _executor(directory, request, objective, file, stack)
        with reachable(file.storage):
            store = file.store(directory, begins=True, mend=True)
            study = Study(
                objective, file.proposer(tuple(OWN)), store, executor, seed=file.seed, prunes=file.pruning != "none",
                goals=file.goals, after=partial(_keep_best, answers, higher=file.higher),
            )  # fmt: skip
        measured = ((each.trial, each.outcome.latency) for each in study.tried.values() if each.outcome is not None)
        objective.recall((trial, latency) for trial, latency in measured if latency is not None)
        whole = budget.having_used(study.used)
        can_take = _awaits_model(directory, file) and can_take_networks(
            found, file.folds, file.goals, config, whole, far=file.engine == "ray"
        )
        held, variants = 0.0, 0.0
        if can_take:
            held = held_for_end(found, config, whole)
            variants = held_for_variants(file.folds, whole, combines=file.combines)
        elif file.fits and not math.isinf(whole.seconds):
            held = held_for_fit(whole)
        end = file.ended
        with reachable(file.storage):
            if not end:
                end = study.run(Limits(file.trials, whole.holding(held + variants)), watch)
            if end == "budget" and not file.ended and variants and not variants_of(study, file, variants):
                variants, end = 0.0, study.run(Limits(file.trials, whole.holding(held)), watch)
    over = sum(each.outcome is not None for each in study.tried.values())
    watch.note(f"the search is over after {over} trial{'' if over == 1 else 's'}: {TOLD[end]}")
    left = max(whole.left - (held if can_take else 0.0), 0.0) if file.fits else math.inf
    to_train = max(left - variants, 0.0)
    selection, mixture = chosen(found, study, file, directory, to_train, can_take=can_take)
    gaps = gaps_of(objective, study, file)
    takes = can_take and seconds_to_train(study, in_the_model(study, mixture)) > to_train
    file = file.model_copy(update={"ended": end, "selection": selection, "mixture": mixture, "gaps": gaps})
    write_whole(directory, STUDY, file.to_json())
    networks = known_networks(objective, study, file, watch) if takes else ()
    if not networks:
        return file, None
    seconds = min(variants, left)
    return file, Taken(replace(found.prepared, known=networks), variants_of(study, file, seconds) if seconds else ())


def _executor(
    directory: Path, request: Request, objective: TableObjective, file: StudyFile, stack: ExitStack
) -> tuple[Executor, StudyFile]:
    """Where trials are judged, and the file with the number of places there."""
    if file.engine == "ray":
        far = partial(made_again, request, file)
        ray = stack.enter_context(RayExecutor(far, file.address, file.jobs or None, directory / ANSWERS))
        file = file.model_copy(update={"jobs": ray.slots})
        write_whole(directory, STUDY, file.to_json())
        return ray, file
    if file.jobs > 1:
        maker = partial(made_again, request, file, directory / ANSWERS)
        return stack.enter_context(PoolExecutor(maker, file.jobs, free_cores())), file
    return LocalExecutor(objective), file


def _keep_best(answers: Path, tried: Sequence[Tried], *, higher: bool) -> None:
    """Keep the networks that may be parts of the model, and those of no other trials."""
    keep_best(answers, candidates(best_first(tried, higher=higher)))


def _refuse_without(tuned: Tuned) -> None:
    reasons = [each.outcome.reason for each in tuned.tried if each.outcome is not None and each.outcome.reason]
    came = f"none of {len(tuned.tried)} did" if tuned.tried else "there was no time for one"
    why = f" (the last because: {reasons[-1].rstrip('.')})" if reasons else ""
    raise DivergenceError(
        "some trial must come to its end", f"{came}{why}",
        f"Give a longer --budget or a smaller space: `assay tune --resume {tuned.directory} --budget ...`.",
    )  # fmt: skip


# The best -------------------------------------------------------------------------------------------------------------


def _write(tuned: Tuned) -> None:
    """The table of trials, the best setting, and the page."""
    table = BytesIO()
    tuned.trials.write_parquet(table)  # Python writes it, so that a full disk is an OSError
    write_whole(tuned.directory, TRIALS, table.getvalue())
    if tuned.best is not None:
        write_whole(tuned.directory, BEST, to_yaml(best_config(tuned)))
    several = mixture_config(tuned)
    if several is None:
        (tuned.directory / ENSEMBLE).unlink(missing_ok=True)
    else:
        write_whole(tuned.directory, ENSEMBLE, to_yaml(several))
    write_whole(tuned.directory, PAGE, draw_study(tuned.page))


def _fit(request: Request, tuned: Tuned, taken: Taken | None, budget: Budget, watch: Watch) -> Run:
    """Make the model as `assay fit` would, in the time that is left; the test rows are opened there, once.

    taken: the networks that are the model; None where what was chosen is trained anew.
    """
    out = tuned.directory / RUN
    if taken is None and has_checkpoints(partial_of(out)):
        frames = {part: source for part, source in request.sources.items() if part in tuned.file.request.objects}
        return fit(frames.get("data"), test=frames.get("test"), valid=frames.get("valid"), resume=out, watch=watch)
    if taken is not None:
        if has_checkpoints(partial_of(out)):
            remove_with_parents(partial_of(out), [])
            watch.note(
                "the model was not finished: it is of the same networks, and variants beside them are trained anew"
            )
        config = variants_config(tuned, taken.variants, max(budget.left, 1.0))
    else:
        config = mixture_config(tuned) or best_config(tuned)
        if not math.isinf(budget.seconds):
            held = held_for_fit(budget)  # all of it where too little is left to train: a model later beats none
            config = config.model_copy(update={"budget": budget.left if budget.left >= MOST_OF_FIT * held else held})
    asked = Request(request.data, request.test, request.valid, config, (), verdicts=verdicts_of(tuned))
    prepared = None if taken is None else taken.prepared
    run = carried_out(asked, opened(out, asked.name), watch, prepared=prepared)
    keep_best(tuned.directory / ANSWERS, ())  # the test rows are not opened a second time
    return run
