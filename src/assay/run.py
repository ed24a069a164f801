"""The whole system as one paragraph: data and a target in, a tested and portable model out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from assay.bundle.load import load
from assay.compose.run_config import RunConfig
from assay.data.reading.arrays import as_given
from assay.data.schema import Kind, Task
from assay.documents import report_of, save_model, write_documents
from assay.evaluate.record import Reference, Report
from assay.models.timm_network import check_name
from assay.outer import outer_estimate
from assay.own import check_model
from assay.request import Request, remembered, resolve, with_slices, with_table
from assay.runs import Run
from assay.search.fit.pretrained import check_backbone
from assay.search.fit.several import check_settings
from assay.sources import seal_tables
from assay.stages import (
    Job,
    Prepared,
    Ready,
    at_work,
    audit,
    baselines_of,
    encode,
    read_sources,
    settle,
    sit_exam,
    take_over,
    train,
)
from assay.train.budget import Budget
from assay.train.watch import Unwatched, Watch
from assay.workspace import Workspace, opened, reopened


def fit(
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    target: Any = None,  # noqa: ANN401  # a name, several, or y
    *,
    model: Any = None,  # noqa: ANN401  # whatever open_model() takes
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
    horizon: int | None = None,
    weight: str | None = None,
    sensitive: Sequence[str] = (),
    slices: Sequence[str] = (),
    preset: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    strict: bool = False,
    config: str | os.PathLike[str] | RunConfig | None = None,
    overrides: Sequence[str] = (),
    references: Sequence[Reference] = (),
    watch: Watch | None = None,
    started: float | None = None,
) -> Run:
    """Raw data to a tested, portable model.

    Args:
        data: a path (CSV, Parquet, Arrow, JSON lines, Excel, a glob), a frame (Polars, pandas, Arrow, NumPy), or an
            array X of NumPy or torch beside its targets: pictures (n, H, W), (n, H, W, C) or (n, C, H, W), a table
            (n, columns), or with `kinds={"x": "sequence"}` series (n, steps) or (n, channels, steps).
        target: the column to predict, or several of 0 and 1, one for each label; of arrays y, (n,) or (n, labels).
            The pair (X, y) as data is the same.
        model: a model of your own: a torch module, a LightningModule or a Keras model, or a class or function that
            makes one from `inputs` and `outputs`. By default assay chooses one.
        test, valid: files, frames or pairs (X, y) of their own for the sealed test rows and the validation rows.
        out: a new directory; by default the next `runs/<name>-<n>`.
        resume: the directory of a run that was ended, to go on with. It has all that it was asked for in it; only
            frames and arrays are to be given again.
        kinds: kinds of columns, overruling what is inferred: `{"age": "number"}`.
        task: `binary`, `multiclass`, `multilabel`, `regression` or `forecasting`, overruling what is inferred.
        positive: the positive class of a binary task.
        drop: columns to leave out.
        group: rows with the same value here stay in one part.
        time: column of the rows' time; later rows are validation and test rows.
        horizon: steps of the target that are forecast; short for the option `data.horizon`.
        weight: column of the rows' weights.
        sensitive: columns whose groups the report compares; those that are dropped as well are not read.
        slices: subgroups of the test rows to score, as in `age >= 60 & sex = Female`.
        preset: `quick`, `standard` or `best`.
        budget: seconds, or `60s`, `10m`, `none`.
        seed: every random choice follows from it.
        strict: stop when the audit has serious findings.
        config: a YAML file or a RunConfig.
        overrides: `key=value` options.
        references: published numbers to show beside the scores.
        watch: an observer of the run.
        started: `time.monotonic()` from which the budget counts; by default now.

    Raises:
        InputError: something given cannot be used.
        GateError: the audit (strict), the parity check, the budget or training itself said no.
    """
    given = as_given(data, target, test=test, valid=valid, kinds=kinds)
    named = {"data": given.data, "test": given.test, "valid": given.valid}
    said: dict[str, object] = {
        "target": given.target, "kinds": given.kinds, "task": task, "positive": positive, "drop": tuple(drop),
        "group": group, "time": time, "weight": weight, "sensitive": tuple(sensitive),
    }  # fmt: skip
    if resume is None:
        overrides = overrides if horizon is None else (f"data.horizon={horizon}", *overrides)
        composed = with_slices(resolve(config, preset, overrides, budget=budget, seed=seed, strict=strict), slices)
        said |= {part: os.fspath(source) for part, source in named.items() if isinstance(source, str | os.PathLike)}
        check_model(composed, model)
        check_settings(composed.ensemble.settings)
        if "timm" in (composed.model.name, *composed.ensemble.recipes):
            check_name(composed.model.timm)
        check_backbone(composed.ensemble)
        request = Request(**named, config=with_table(composed, said), references=tuple(references), model=model)
        place = opened(None if out is None else Path(out), request.name)
    else:
        options: dict[str, object] = {
            "out": out, "horizon": horizon, "preset": preset, "budget": budget, "seed": seed, "strict": strict,
            "config": config, "overrides": tuple(overrides), "references": tuple(references),
            "slices": tuple(slices),
        }  # fmt: skip
        request, place = remembered(resume, named | {"model": model}, said | options), reopened(Path(resume))
    return carried_out(request, place, watch, started)


def carried_out(
    request: Request, place: AbstractContextManager[Workspace], watch: Watch | None = None,
    started: float | None = None, prepared: Prepared | None = None,
) -> Run:  # fmt: skip
    """The run of a request, in a workspace that is opened for it; see `fit`.

    prepared: what was read for it before; without, it is read here.

    Raises:
        InputError: something given cannot be used.
        GateError: the audit (strict), the parity check, the budget or training itself said no.
    """
    with place as work:
        report = _build(request, work, watch or Unwatched(), Budget(request.config.budget, started), prepared)
    return Run(work.final, load(work.final), report)


def _build(request: Request, work: Workspace, watch: Watch, budget: Budget, prepared: Prepared | None) -> Report:
    """The paragraph: data flows down the page, everything is written into the run's directory."""
    with at_work(request, work, watch, budget) as job:
        ready = _made_ready(job, prepared)
        with job.stage("baselines"):
            baselines = baselines_of(job, ready)
        with job.stage("train"):
            trained = train(job, ready)
        with job.stage("calibrate"):
            found = settle(job, ready, trained)
        outer = outer_estimate(
            request, ready.split, ready.schema, ready.data.pictures, trained.budget, job.spill, found.model, job.ledger,
            job.watch,
        )  # fmt: skip
        with job.stage("evaluate"):
            tested = sit_exam(job, ready, found, baselines)
        with job.stage("save"):
            saved = save_model(job, ready, found.model)
        with job.stage("report"):
            job.watch.settle(job.ledger)
            report = report_of(job, ready, found, outer, tested, saved)
            write_documents(job, ready, found.model, report, saved)
            job.watch.finish(report)
    return report


def _made_ready(job: Job, prepared: Prepared | None) -> Ready:
    """What training begins with: what was read before, or the tables read, examined, split and encoded."""
    if prepared is not None:
        with job.stage("read"):
            return take_over(job, prepared)
    with job.stage("read"):
        sources, known = read_sources(job)
    with job.stage("audit"):
        data = audit(job, sources, known)
    with job.stage("split"):
        split = seal_tables(data.sources, job.config.data.split, seed=job.seed, ledger=job.ledger)
    with job.stage("encode"):
        return encode(job, data, split)
