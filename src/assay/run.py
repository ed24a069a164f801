"""The whole system as one paragraph: data and a target in, a tested and portable model out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from assay._memory import keep_freed_memory
from assay.apportion import baseline_seconds, curve_seconds, seconds_after_training, text_plan
from assay.bundle.export import export, note_bundle
from assay.bundle.load import load
from assay.bundle.manifest import CARD, CONFIG, DATASHEET, MODEL, OUTLINE, PAGE, REFERENCE, REPORT, SCHEMA
from assay.bundle.write import write_manifest
from assay.compose.run_config import RunConfig, flat, to_yaml
from assay.data.audit import examine
from assay.data.encode import Encoder, note_lengths
from assay.data.picture_tables import open_pictures
from assay.data.profile import profile
from assay.data.schema import Kind, Task
from assay.data.split import Split
from assay.doctor.in_fit import write_training
from assay.evaluate.baselines import fit_baselines
from assay.evaluate.capacity_curve import capacity_curve
from assay.evaluate.carried.carry import carry, check_carried
from assay.evaluate.decision.thresholds import check_decisions
from assay.evaluate.exam import calibrate, sit, validation_answers
from assay.evaluate.forecast.baselines import fit_forecast_baselines
from assay.evaluate.kept import Kept, keep
from assay.evaluate.label_errors import find_label_errors
from assay.evaluate.leaderboard import with_size
from assay.evaluate.learning_curve import learning_curve, with_curves
from assay.evaluate.looks import note_looks, seal_of, surer
from assay.evaluate.record import Reference, Report, TrainedPart, Training
from assay.evaluate.seen import see
from assay.evaluate.slices.named import check_slices
from assay.ledger import Ledger
from assay.models.reading import inputs_of
from assay.models.timm_network import check_name
from assay.outer import outer_estimate, outer_folds
from assay.own import check_model, open_given
from assay.provenance import Stopwatch, provenance
from assay.report.batch_page import BATCH, draw_batch
from assay.report.card import draw_card
from assay.report.datasheet import draw_datasheet
from assay.report.page import draw_page
from assay.request import Request, begin, recognised, remembered, resolve, with_slices, with_table
from assay.runs import Run, read_tables, seal_tables
from assay.search.asked import check_asked, check_training
from assay.search.fair import TWIN, check_fairness, with_and_without
from assay.search.own import search_own
from assay.search.portfolio import search
from assay.search.pretrained import check_backbone
from assay.search.reweighed import judged_of
from assay.search.several import check_settings
from assay.track.tracked import Tracked
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import free_cores, using_threads
from assay.train.model import Model
from assay.train.part import Part
from assay.train.state import Checkpoints, note_resumable
from assay.train.watch import Named, Recorder, Unwatched, Watch
from assay.workspace import Workspace, opened, reopened, scratch

#: Validation rows on which the saved model is compared with the trained one, fewer where a text encoder or a network of
#: pictures answers them.
_PROBE_ROWS, _PROBE_FEW = 200, 40


def fit(
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    target: str | Sequence[str] | None = None,
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
        data: a path (CSV, Parquet, Arrow, JSON lines, Excel, a glob) or a frame (Polars, pandas, Arrow, NumPy).
        target: the column to predict, or several of 0 and 1, one for each label.
        model: a model of your own: a torch module, a LightningModule or a Keras model, or a class or function that
            makes one from `inputs` and `outputs`. By default assay chooses one.
        test, valid: files or frames of their own for the sealed test rows and the validation rows.
        out: a new directory; by default the next `runs/<name>-<n>`.
        resume: the directory of a run that was ended, to go on with. It has all that it was asked for in it; only
            frames are to be given again.
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
    named = {"data": data, "test": test, "valid": valid}
    said: dict[str, object] = {
        "target": target if target is None or isinstance(target, str) else tuple(target), "kinds": kinds, "task": task,
        "positive": positive, "drop": tuple(drop), "group": group, "time": time, "weight": weight,
        "sensitive": tuple(sensitive),
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
        request = Request(data, test, valid, with_table(composed, said), tuple(references), model)
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
    request: Request, place: AbstractContextManager[Workspace], watch: Watch | None = None, started: float | None = None
) -> Run:
    """The run of a request, in a workspace that is opened for it; see `fit`.

    Raises:
        InputError: something given cannot be used.
        GateError: the audit (strict), the parity check, the budget or training itself said no.
    """
    with place as work:
        report = _build(request, work, watch or Unwatched(), Budget(request.config.budget, started))
    return Run(work.final, load(work.final), report)


def _build(request: Request, work: Workspace, watch: Watch, budget: Budget) -> Report:
    """The paragraph: data flows down the page, everything is written into the run's directory."""
    for note in (*work.notes, *begin(work, request)):
        watch.note(note)
    config, ledger, seed = request.config, Ledger(request.verdicts), request.config.seed
    tracked = Tracked(watch, config.track, work.final, flat(config), work.directory / "tracking.log")
    keep_freed_memory()
    clock = Stopwatch(tracked)
    stage = clock.stage
    with tracked, using_threads(config.train.threads) as threads, scratch(work.directory) as folder:
        spill = config.data.spill(folder)
        with stage("read"):
            sources = read_tables(request.data, request.valid, request.test, request.hints, config.data, ledger, spill)
            known, schema = recognised(work, sources.given), sources.schema
            check_decisions(schema, config.evaluate)
            if request.model is None:
                check_asked(schema, config.model, config.train, config.ensemble)
            else:
                check_training(schema, config.train)
            check_fairness(schema, config.train, config.ensemble, config.evaluate, is_own=request.model is not None)
            check_carried(schema, config.evaluate)
            folds = outer_folds(request, schema)
            check_slices(config.evaluate.slices, schema)
        with stage("audit"):
            side = config.data.encode.picture_side
            pictures = open_pictures(sources.tables, schema, folder, longest=side, progress=tracked.steps)
            sources = sources if pictures is None else sources.replaced(pictures.tables)
            table, valid, test = sources.data, sources.valid, sources.test
            share = config.data.split.limited(config.data.split.test, table.frame.height)
            audit = examine(
                table, schema, config.data.audit, ledger, valid=valid, test=test, test_share=share,
                more=(*sources.checked, *(() if pictures is None else pictures.checked)),
            )  # fmt: skip
        with stage("split"):
            split = seal_tables(sources, config.data.split, seed=seed, ledger=ledger)
        with stage("encode"):
            texts = text_plan(request, split, schema, budget, ledger)
            encoder = Encoder.fit(
                split.train, schema, texts.encode, ledger, frozen=texts.frozen, pictures=pictures,
                words=texts.words, tell=tracked.steps, tunes=texts.tunes,
            )  # fmt: skip
            own, config = open_given(request.model, encoder, split.train, schema, config)
        with stage("baselines"):
            after = seconds_after_training(split, schema, config, budget, texts, encoder) + (
                0.0 if own is None else own.saving
            )
            fit_those = fit_baselines if schema.windowing is None else fit_forecast_baselines
            baselines = fit_those(
                split.train, schema, config.evaluate, seed=seed, seconds=baseline_seconds(budget, after),
                threads=free_cores(), ledger=ledger,
            )  # fmt: skip
        with stage("train"):
            tracked.start()
            every = config.train.checkpoint_every
            checkpoints = Checkpoints(work.checkpoints, known.identity(config), every, tell=watch.note)
            whole, recorder = budget.having_used(known.used).holding(after), Recorder(tracked, work.metrics)
            left = whole.part(1.0 / (1 + folds)) if folds else whole
            without: Model | None = None
            if own is not None:
                model = search_own(
                    own, encoder, split, schema, config.train, bagging=config.ensemble.bagging,
                    stacking=config.ensemble.stacking, seed=seed, budget=left, watch=recorder, ledger=ledger,
                    checkpoints=checkpoints, spill=spill,
                )  # fmt: skip
            else:

                def trained(options: TrainConfig, time: Budget, notes: Ledger, kept: Checkpoints | None) -> Model:
                    is_twin = options.fairness != config.train.fairness
                    return search(
                        encoder, split, schema, config.model, options, config.ensemble, dealing=config.data.split,
                        seed=seed, budget=time, watch=Named(recorder, TWIN) if is_twin else recorder, ledger=notes,
                        checkpoints=kept, spill=spill,
                    )  # fmt: skip

                model, without = with_and_without(trained, config.train, left, ledger, checkpoints)
            recorder.flush()
            is_slow = texts.frozen is not None or pictures is not None
            write_training(ledger, model, None if is_slow else next(split.valid.blocks(_PROBE_ROWS)))
            note_lengths(encoder, ledger)
            note_resumable(ledger, checkpoints, [again.step for again in known.resumed])
        with stage("calibrate"):
            model = calibrate(model, split.valid, config.evaluate, schema, ledger)
            doubted = find_label_errors(model, split, schema, ledger)
            curve = learning_curve(
                encoder, split, schema, config.evaluate, is_own=own is not None,
                budget=whole.holding(-curve_seconds(config, budget)), seed=seed, ledger=ledger,
            )  # fmt: skip
            capacity = capacity_curve(
                encoder, split, schema, config.evaluate, is_own=own is not None,
                budget=whole.holding(-curve_seconds(config, budget)), seed=seed, ledger=ledger,
            )  # fmt: skip
            twin = None if without is None else calibrate(without, split.valid, config.evaluate, schema, Ledger())
            model = carry(
                model, validation_answers(model), split, schema, config.evaluate, seed=seed, ledger=ledger
            )  # fmt: skip
        outer = outer_estimate(request, split, schema, pictures, whole, spill, model, ledger, tracked)
        with stage("evaluate"):
            seal = seal_of(
                work.final, split.plan.sealed_sha256, flat(config), table.source.sha256, config.evaluate.confidence,
                is_exact=not any(part.trained.limited_by_budget for part in model.parts),
            )  # fmt: skip
            sure = surer(config.evaluate, seal)
            exam = sit(model, baselines, split, schema, sure, seed=seed, ledger=ledger, without=twin)
            found = exam.assessment
            note_looks(seal, ledger)
            keep(work.directory, Kept(exam.tested, judged_of(model, split, schema)))
        with stage("save"):
            bundle = work.directory / "model"
            bundle.mkdir()
            probe = next(split.valid.blocks(_PROBE_FEW if is_slow else _PROBE_ROWS))
            parity, outputs = export(encoder, model.ensemble, model.head, schema, probe, bundle)
            note_bundle(parity, bundle, ledger)
        with stage("report"):
            tracked.settle(ledger)
            report = Report(
                name=work.final.name,
                command=request.command,
                config=flat(config),
                source=table.source,
                table_schema=schema,
                findings=(*audit.findings, *doubted),
                split=split.record,
                primary=found.primary,
                scores=found.scores,
                comparisons=found.comparisons,
                references=request.references,
                advice=found.advice,
                training=_training(model),
                confusion=found.confusion,
                roc=found.roc,
                precision_recall=found.precision_recall,
                calibration=exam.calibration,
                decision=exam.decision,
                residuals=found.residuals,
                contributions=exam.contributions,
                forecast=found.forecast,
                selection=exam.selection,
                nested=outer,
                spread=exam.spread,
                coverage=exam.coverage,
                unusual=exam.unusual,
                seal=seal,
                distilled=exam.distilled,
                leaderboard=with_size(exam.leaderboard, (bundle / MODEL).stat().st_size),
                labels=found.labels,
                inspection=with_curves(exam.inspection, curve, capacity),
                fairness=found.fairness,
                parity=parity,
                seen=see(model, split, schema, seed=seed),
                ledger=tuple(ledger.close()),
                provenance=provenance(clock, seed=seed, threads=threads, started=known.started, resumed=known.resumed),
            )
            _write(work.directory, report, model, split, outputs, config)
            tracked.finish(report)
    return report


def _training(model: Model) -> Training:
    trained = model.trained
    return Training(
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        steps=trained.steps,
        seconds=model.seconds,
        stopped=trained.stopped,
        parameters=model.parameters,
        members=model.members,
        interrupted=trained.interrupted,
        parts=tuple(_part(part) for part in model.parts),
    )


def _part(part: Part) -> TrainedPart:
    trained = part.trained
    model = part.model.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    train = part.train.model_dump(mode="json", exclude_defaults=True)
    options = {f"model.{key}": value for key, value in model.items()}
    for key, value in train.items():
        inner = value if isinstance(value, dict) else None
        options |= {f"train.{key}": value} if inner is None else {f"train.{key}.{k}": v for k, v in inner.items()}
    return TrainedPart(
        name=part.name,
        share=part.share,
        members=part.members,
        parameters=part.parameters,
        epochs=len(trained.epochs),
        best_epoch=trained.best_epoch,
        valid_loss=min(trained.best_losses),
        seconds=trained.seconds,
        stopped=trained.stopped,
        is_network=part.is_network,
        rates=part.rates,
        options=dict(part.options)
        if part.options is not None
        else {key: ",".join(map(str, value)) if isinstance(value, list) else value for key, value in options.items()},
    )


def _write(
    directory: Path, report: Report, model: Model, split: Split, outputs: tuple[str, str | None], config: RunConfig
) -> None:
    """The documents of the run, and the manifest that closes the bundle."""
    bundle, schema = directory / "model", report.table_schema
    inputs = inputs_of(model.encoder, model.ensemble)
    documents = {
        SCHEMA: schema.to_json(),
        CONFIG: to_yaml(config),
        REFERENCE: profile(split.train, inputs, len(schema.classes)).to_json(),
        REPORT: report.to_json(),
        PAGE: draw_page(report),
        CARD: draw_card(report),
        DATASHEET: draw_datasheet(report),
    } | ({} if model.outline is None else {OUTLINE: model.outline.model_dump_json() + "\n"})
    for name, text in documents.items():
        (bundle / name).write_text(text, encoding="utf-8")
    write_manifest(
        bundle,
        schema,
        inputs,
        outputs,
        report.source.sha256,
        report.provenance,
        model.bands,
        model.head.thresholds or (),
        model.head.costs,
        model.regions,
    )
    for name in (REPORT, PAGE, CONFIG):
        shutil.copyfile(bundle / name, directory / name)
    (directory / BATCH).write_text(draw_batch(report), encoding="utf-8")
