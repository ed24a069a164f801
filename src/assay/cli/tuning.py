"""`assay tune`, and what `assay show` prints of a study."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from assay.cli import arguments as take
from assay.cli import search_arguments as search
from assay.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from assay.evaluate.record import Selection
    from assay.search.study.store import Tried
    from assay.tuning.directory import Tuned

#: Trials that are printed at most, the best first.
_MOST = 15


def tune(
    data: search.Data = None,
    overrides: search.Overrides = None,
    target: take.Target = None,
    over: search.Over = None,
    space: search.Space = None,
    settings: search.Settings = None,
    sampler: search.Sampler = None,
    prune: search.Prune = None,
    objective: search.Objective = None,
    pick: search.Pick = None,
    trials: search.Trials = None,
    folds: search.Folds = None,
    metric: search.MetricName = None,
    jobs: search.Jobs = None,
    engine: search.Engine = None,
    address: search.Address = None,
    storage: search.Storage = None,
    ensemble: search.Ensemble = None,
    fit_best: search.FitBest = None,
    test: take.Test = None,
    valid: take.Valid = None,
    budget: search.Budget = None,
    preset: take.Preset = None,
    out: search.Out = None,
    resume: search.Resume = None,
    config: take.ConfigFile = None,
    kinds: take.As = None,
    drop: take.Drop = None,
    group: take.Group = None,
    time: take.Time = None,
    weight: take.Weight = None,
    sensitive: take.Sensitive = None,
    positive: take.Positive = None,
    task: take.TaskName = None,
    horizon: take.Horizon = None,
    strict: take.Strict = False,
    seed: take.Seed = None,
    quiet: take.Quiet = False,
    as_json: take.Json = False,
) -> None:
    """Search settings of networks and their training, then train the best and test it once.

    Trials are judged by rows they did not learn from; test rows are out of their reach.
    """
    started = monotonic()
    data, extra = take.data_or_override(data)
    given: dict[str, object] = {
        "data": data, "test": test, "valid": valid, "target": target, "kinds": take.kinds_from(kinds), "drop": drop,
        "group": group, "time": time, "weight": weight, "sensitive": sensitive, "positive": positive, "task": task,
    }  # fmt: skip
    if resume is not None:
        from assay.tuning.changes import refuse_changes
        from assay.tuning.directory import read_study

        beside = {
            **given, "preset": preset, "out": out, "config": config, "seed": seed, "strict": strict, "over": over,
            "space": space, "settings": settings, "storage": storage, "metric": metric, "folds": folds,
            "sampler": sampler, "prune": prune, "objective": objective, "jobs": jobs, "engine": engine,
            "ensemble": None if ensemble is None else "yes" if ensemble else "no",
            "KEY=VALUE": [*extra, *(overrides or ())], "horizon": horizon,
        }  # fmt: skip
        refuse_changes(read_study(resume), beside)
        found = _resume(resume, trials, budget, pick, address, fit_best, quiet=quiet, started=started)
    else:
        if budget is None and preset is None and config is None:
            budget = "5m"
        flags = take.as_overrides(budget=budget, seed=seed, strict=strict, horizon=horizon)
        resolved = take.resolved(preset, config, [*flags, *extra, *(overrides or ())], given)
        if resolved.table.data is None:
            raise ConfigError("the table to learn from must be named", "no DATA was given",
                              "Name a file: assay tune data.csv --target COL.")  # fmt: skip
        from assay.progress import progress_to
        from assay.tuning.asked import Search, refuse_words

        watch = progress_to(sys.stderr, quiet=quiet)
        try:
            asked = Search(
                tuple(over or ()), space, settings, sampler, prune, trials, folds, metric, jobs, storage, fit_best,
                () if objective is None else (objective,), pick, ensemble, engine, address,
            )  # fmt: skip
            refuse_words(asked, resolved)  # before torch is imported
            watch.stage("load")
            from assay.tuning.tune import tune as tune_study  # torch

            found = tune_study(
                resolved.table.data, test=resolved.table.test, valid=resolved.table.valid, over=over or (),
                space=space, settings=settings, sampler=sampler, prune=prune, trials=trials, folds=folds or 0,
                metric=metric, jobs=jobs, storage=storage, fit_best=fit_best, out=out, config=resolved, watch=watch,
                objective=objective or (), pick=pick, engine=engine, address=address, ensemble=ensemble,
                started=started,
            )  # fmt: skip
        finally:
            watch.close()
    _report(found, as_json=as_json)


def _resume(
    path: Path, trials: int | None, budget: str | None, pick: int | None, address: str | None, fit_best: bool | None, *,
    quiet: bool, started: float,
) -> Tuned:  # fmt: skip
    from assay.progress import progress_to

    watch = progress_to(sys.stderr, quiet=quiet)
    try:
        watch.stage("load")
        from assay.tuning.tune import tune as tune_study  # torch

        return tune_study(
            resume=path, trials=trials, budget=budget, pick=pick, address=address, fit_best=fit_best, watch=watch,
            started=started,
        )  # fmt: skip
    finally:
        watch.close()


def _report(found: Tuned, *, as_json: bool) -> None:
    run = found.run
    if as_json:
        report = None if run is None else run.report().model_dump(mode="json", by_alias=True)
        take.print_json({**study_content(found), "run": report})
        return
    print_study(found)
    if run is not None:
        from assay.report.terminal import summarise

        console = take.console()
        console.print()
        summarise(run.report(), console)
    console = take.console()
    console.print(f"study:  {found.directory}", soft_wrap=True)
    console.print(f"report: {found.directory / 'report.html'}", soft_wrap=True)
    if run is not None:
        console.print(f"model:  {run.directory / 'model'}", soft_wrap=True)


def study_content(found: Tuned) -> dict[str, object]:
    """A study as JSON has it."""
    best, default = found.best, found.default
    return {
        "directory": str(found.directory),
        "metric": found.file.metric,
        "sampler": found.file.sampler,
        "why": found.file.why,
        "ended": found.file.ended,
        "trials": found.states,
        "best": None if best is None else {"number": best.number, "value": best.value, "options": found.options},
        "default": None if default is None else {"number": default.number, "value": default.value},
        "selection": None if found.file.selection is None else found.file.selection.model_dump(mode="json"),
        "importance": [each.model_dump(mode="json") for each in found.importances],
        "interactions": None if found.interactions is None else found.interactions.model_dump(mode="json"),
        "edges": list(found.edges),
        "objectives": list(found.file.goals),
        "front": [each.number for each in found.front] if len(found.file.goals) > 1 else None,
        "taken": None if found.taken is None else found.taken.why,
        "gaps": {number: gap.model_dump(mode="json") for number, gap in found.file.gaps.items()},
        "mixture": None if found.file.mixture is None else found.file.mixture.model_dump(mode="json"),
        "table": found.trials.to_dicts(),
    }


def print_study(found: Tuned) -> None:
    """The trials, the best, and what to try next."""
    console = take.console()
    file, states = found.file, found.states
    counted = ", ".join(f"{number} {state}" for state, number in states.items() if number) or "none yet"
    console.print(f"trials: {counted}; {file.sampler} ({file.why}), judged by {file.label} of "
                  f"{f'{file.folds} folds' if file.folds > 1 else 'the validation rows'}", soft_wrap=True)  # fmt: skip
    if not file.ended:
        console.print(f"not finished: `assay tune --resume {found.directory}` goes on", soft_wrap=True)
    best, default = found.best, found.default
    if best is None:
        return
    console.print(_table(found))
    from assay.search.study.space import told

    if len(file.goals) > 1:
        console.print(_front(found))
        console.print(f"taken: trial {best.number}: {found.taken.why if found.taken else ''}", soft_wrap=True)
    if found.gap:
        console.print(f"gap between groups: {found.gap}", soft_wrap=True)
    console.print(
        f"best: trial {best.number}, {file.label} {best.value:.4f} with {told(found.options)}", soft_wrap=True
    )
    if default is not None and default.number != best.number:
        console.print(f"the default, trial {default.number}, has {default.value:.4f}", soft_wrap=True)
    if file.selection is not None and file.selection.corrected.value is not None:
        console.print(_corrected(file.selection), soft_wrap=True)
    if file.mixture is not None:
        from assay.search.study.mixture import in_words

        console.print(f"ensemble: {in_words(file.mixture)}", soft_wrap=True)
    if found.importances:
        from assay.search.study.findings import EVALUATOR

        shares = ", ".join(f"{each.name} {each.share:.0%}" for each in found.importances)
        console.print(f"importance ({EVALUATOR}, an indication only): {shares}", soft_wrap=True)
    for contour in () if found.interactions is None else found.interactions.contours:
        console.print(f"together (a forest's view, an indication only): {contour.told}", soft_wrap=True)
    for note in found.edges:
        console.print(f"note: {note}", soft_wrap=True)


def _corrected(found: Selection) -> str:
    """The estimate without what the choice flatters by, in words."""
    estimate = found.corrected
    ends = (estimate.low, estimate.high)
    span = "" if None in ends else f" [{estimate.low:.4f}, {estimate.high:.4f}]"
    return (
        f"bias-corrected: {estimate.value:.4f}{span}; the choice among {found.settings} settings flatters by "
        f"{found.flattery:.4f}"
    )


def _table(found: Tuned) -> Table:
    """The best trials first, then pruned and failed ones, as many as are shown."""
    from rich import box
    from rich.table import Table

    keys = found.file.space.keys
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    names = [key.rpartition(".")[2] for key in keys]
    headings = [name if names.count(name) == 1 else key for key, name in zip(keys, names, strict=True)]
    for heading in ("trial", found.file.label, "seconds", *headings, ""):
        last = heading == ""
        words = heading.replace("_", " ")  # which may stand on two lines
        table.add_column(words, justify="left" if last else "right", overflow="fold", no_wrap=last)
    ordered = sorted((each for each in found.tried if each.outcome is not None), key=lambda each: _rank(found, each))
    for each in ordered[:_MOST]:
        table.add_row(*_cells(each, keys))
    if len(ordered) > _MOST:
        table.caption = f"{len(ordered) - _MOST} more in trials.parquet"
    return table


def _front(found: Tuned) -> Table:
    """The trials that no other equals in all objectives, the best score first."""
    from rich import box
    from rich.table import Table

    from assay.search.study.pareto import HEADINGS, costs_of
    from assay.search.study.space import told

    goals, label = found.file.goals, found.file.label
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, title_justify="left")
    table.title = f"front of {len(found.front)} trials; --resume {found.directory} --pick N trains one of them"
    for heading in ("trial", label, *(HEADINGS[goal] for goal in goals[1:]), "setting", ""):
        table.add_column(heading, justify="left" if heading in ("", "setting") else "right", overflow="fold")
    for each in found.front[:_MOST]:
        is_taken = found.best is not None and each.number == found.best.number
        row = [str(each.number), f"{each.value:.4f}", *costs_of(each, goals).values(), told(each.trial.options)]
        table.add_row(*row, "taken" if is_taken else "")
    if len(found.front) > _MOST:
        table.caption = f"{len(found.front) - _MOST} more in trials.parquet"
    return table


def _rank(found: Tuned, tried: Tried) -> tuple[float, int]:
    if tried.value is None:
        return float("inf"), tried.number
    return -tried.value if found.file.higher else tried.value, tried.number


def _cells(tried: Tried, keys: tuple[str, ...]) -> list[str]:
    from assay.search.study.space import shown

    outcome = tried.outcome
    assert outcome is not None
    options = [shown(tried.trial.options[key]) if key in tried.trial.options else "" for key in keys]
    value = f"{tried.value:.4f}" if tried.value is not None else ""
    state = tried.origin.partition(" ")[0] if outcome.state == "complete" else outcome.state
    return [str(tried.number), value, f"{outcome.seconds:.1f}", *options, state]
