"""The whole system as one paragraph: data and a target in, a tested and portable model out."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.bundle.export import export, inputs_of, note_bundle
from assay.bundle.load import load
from assay.bundle.manifest import CARD, CONFIG, MODEL, PAGE, REFERENCE, REPORT, SCHEMA
from assay.bundle.write import write_manifest
from assay.compose.run_config import RunConfig, flat, to_yaml
from assay.data.audit import examine
from assay.data.encode import Encoder, note_lengths
from assay.data.picture_tables import Pictures, open_pictures
from assay.data.profile import profile
from assay.data.schema import Kind, Schema, Task
from assay.data.split import Split
from assay.data.stored import Spill
from assay.doctor.in_fit import write_training
from assay.errors import ConfigError
from assay.evaluate.baselines import fit_baselines
from assay.evaluate.exam import calibrate, sit
from assay.evaluate.forecast_baselines import fit_forecast_baselines
from assay.evaluate.label_errors import find_label_errors
from assay.evaluate.leaderboard import with_size
from assay.evaluate.metrics import PRIMARY, metric
from assay.evaluate.nested import nested
from assay.evaluate.record import Nested, Reference, Report, TrainedPart, Training
from assay.evaluate.seen import see
from assay.ledger import Ledger, Outcome
from assay.models.timm_network import check_name
from assay.own import check_model, open_given
from assay.provenance import Stopwatch, provenance
from assay.report.batch_page import BATCH, draw_batch
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.request import Request, begin, recognised, remembered, resolve, with_table
from assay.runs import Run, read_tables, seal_tables
from assay.search.asked import check_asked
from assay.search.own import search_own
from assay.search.portfolio import search
from assay.search.texts import TextPlan, plan_texts
from assay.track.tracked import Tracked
from assay.train.budget import Budget
from assay.train.device import free_cores, using_threads
from assay.train.model import Model
from assay.train.part import Part
from assay.train.state import Checkpoints, note_resumable
from assay.train.watch import Recorder, Unwatched, Watch
from assay.workspace import Workspace, opened, reopened, scratch

#: Seconds that the export with its parity check and the report take, and those of the intervals for each million pairs
#: of a test row and a model at 1,000 bootstrap samples (above `_MOST_PAIRS` fewer samples are taken).
_SAVING = 14.0
_SCORING = 90.0
_MOST_PAIRS = 130_000
#: Seconds of the intervals of a model whose rows have any number of labels, which are bootstraps all of them.
_SCORING_LABELS = 2.5
#: Seconds that all models take to answer a validation or test row beyond so many, twice that where there is time for
#: a slow network; and the description of a training cell.
_ANSWERING, _ANSWERED_AT_ONCE, _LONG = 1.2e-4, 20_000, 200.0
_DESCRIBING = 3e-8
#: Seconds more where a text encoder, random convolutions of series, networks of pictures or those of timm are saved.
_SAVING_TEXTS, _SAVING_TUNED, _SAVING_SERIES, _SAVING_PICTURES, _SAVING_TIMM = 6.0, 18.0, 12.0, 8.0, 10.0
#: What reads texts for a model of the user's own.
_PLAIN_TEXTS = {"text_encoder": "none", "text_grams": 0}
#: Share of the time left that the baselines may take.
_BASELINE_SHARE = 0.15
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
        sensitive: columns that are named in the report as sensitive.
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
        composed = resolve(config, preset, overrides, budget=budget, seed=seed, strict=strict)
        said |= {part: os.fspath(source) for part, source in named.items() if isinstance(source, str | os.PathLike)}
        check_model(composed, model)
        if "timm" in (composed.model.name, *composed.ensemble.recipes):
            check_name(composed.model.timm)
        request = Request(data, test, valid, with_table(composed, said), tuple(references), model)
        place = opened(None if out is None else Path(out), request.name)
    else:
        options: dict[str, object] = {
            "out": out, "horizon": horizon, "preset": preset, "budget": budget, "seed": seed, "strict": strict,
            "config": config, "overrides": tuple(overrides), "references": tuple(references),
        }  # fmt: skip
        request, place = remembered(resume, named | {"model": model}, said | options), reopened(Path(resume))
    with place as work:
        report = _build(request, work, watch or Unwatched(), Budget(request.config.budget, started))
    return Run(work.final, load(work.final), report)


def _build(request: Request, work: Workspace, watch: Watch, budget: Budget) -> Report:
    """The paragraph: data flows down the page, everything is written into the run's directory."""
    for note in (*work.notes, *begin(work, request)):
        watch.note(note)
    config, ledger, seed = request.config, Ledger(), request.config.seed
    tracked = Tracked(watch, config.track, work.final, flat(config), work.directory / "tracking.log")
    clock = Stopwatch(tracked)
    stage = clock.stage
    with tracked, using_threads(config.train.threads) as threads, scratch(work.directory) as folder:
        spill = config.data.spill(folder)
        with stage("read"):
            sources = read_tables(request.data, request.valid, request.test, request.hints, config.data, ledger, spill)
            known, schema = recognised(work, sources.given), sources.schema
            if request.model is None:
                check_asked(schema, config.model, config.train, config.ensemble)
            outer_folds = _outer_folds(request, schema)
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
            after = _seconds_after_training(split, schema, config, budget, texts, encoder) + (
                0.0 if own is None else own.saving
            )
            fit_those = fit_baselines if schema.windowing is None else fit_forecast_baselines
            baselines = fit_those(
                split.train, schema, config.evaluate, seed=seed, seconds=_baseline_seconds(budget, after),
                threads=free_cores(), ledger=ledger,
            )  # fmt: skip
        with stage("train"):
            tracked.start()
            every = config.train.checkpoint_every
            checkpoints = Checkpoints(work.checkpoints, known.identity(config), every, tell=watch.note)
            whole, recorder = budget.having_used(known.used).holding(after), Recorder(tracked, work.metrics)
            left = whole.part(1.0 / (1 + outer_folds)) if outer_folds else whole
            if own is not None:
                model = search_own(
                    own, encoder, split, schema, config.train, bagging=config.ensemble.bagging,
                    stacking=config.ensemble.stacking, seed=seed, budget=left, watch=recorder, ledger=ledger,
                    checkpoints=checkpoints, spill=spill,
                )  # fmt: skip
            else:
                model = search(
                    encoder, split, schema, config.model, config.train, config.ensemble, dealing=config.data.split,
                    seed=seed, budget=left, watch=recorder, ledger=ledger,
                    checkpoints=checkpoints, spill=spill,
                )  # fmt: skip
            recorder.flush()
            is_slow = texts.frozen is not None or pictures is not None
            write_training(ledger, model, None if is_slow else next(split.valid.blocks(_PROBE_ROWS)))
            note_lengths(encoder, ledger)
            note_resumable(ledger, checkpoints, [again.step for again in known.resumed])
        with stage("calibrate"):
            model = calibrate(model, split.valid, config.evaluate, schema, ledger)
            doubted = find_label_errors(model, split, schema, ledger)
        outer = _nested(request, split, schema, pictures, whole, spill, model, ledger, tracked)
        with stage("evaluate"):
            exam = sit(model, baselines, split, schema, config.evaluate, seed=seed, ledger=ledger)
            found = exam.assessment
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
                residuals=found.residuals,
                contributions=exam.contributions,
                forecast=found.forecast,
                selection=exam.selection,
                nested=outer,
                leaderboard=with_size(exam.leaderboard, (bundle / MODEL).stat().st_size),
                labels=found.labels,
                parity=parity,
                seen=see(model, split, schema, seed=seed),
                ledger=tuple(ledger.close()),
                provenance=provenance(clock, seed=seed, threads=threads, started=known.started, resumed=known.resumed),
            )
            _write(work.directory, report, model, split, outputs, config)
            tracked.finish(report)
    return report


def _outer_folds(request: Request, schema: Schema) -> int:
    """How many times more the model is chosen, for an estimate of the choice; 0 without evaluate.protocol=nested.

    Raises:
        ConfigError: there is nothing that could be chosen anew.
    """
    config = request.config.evaluate
    if config.protocol != "nested":
        return 0
    if request.model is not None or schema.windowing is not None or schema.is_multilabel:
        came = "a model of your own was given" if request.model is not None else "windows of a forecast overlap"
        came = "rows have several labels, for which it is not made" if schema.is_multilabel else came
        raise ConfigError(
            "nested cross-validation chooses networks of assay for rows that stand alone", came,
            "Leave evaluate.protocol=nested out.",
        )  # fmt: skip
    return config.outer_folds


def _nested(
    request: Request,
    split: Split,
    schema: Schema,
    pictures: Pictures | None,
    budget: Budget,
    spill: Spill,
    model: Model,
    ledger: Ledger,
    watch: Watch,
) -> Nested | None:
    """The estimate of the whole choice in outer folds, where it was asked for; each has an equal part of the time."""
    config, folds = request.config, _outer_folds(request, schema)
    if not folds or model.trained.interrupted:
        why = "the run was interrupted" if folds else "evaluate.protocol=nested repeats the choice in outer folds"
        ledger.record("evaluate.nested", Outcome.SKIPPED, why)
        return None

    def choose(parts: Split, place: int) -> Model:
        watch.stage(f"outer fold {place + 1} of {folds}")
        own, quiet = budget.part(1.0 / (folds - place)), Ledger()
        texts = text_plan(request, parts, schema, own, quiet)
        encoder = Encoder.fit(
            parts.train, schema, texts.encode, quiet, frozen=texts.frozen, pictures=pictures, words=texts.words,
            tunes=texts.tunes,
        )  # fmt: skip
        found = search(
            encoder, parts, schema, config.model, config.train, config.ensemble, dealing=config.data.split,
            seed=config.seed + place, budget=own, watch=Unwatched(), ledger=quiet, spill=spill,
        )  # fmt: skip
        return calibrate(found, parts.valid, config.evaluate, schema, quiet)

    return nested(
        choose, split, schema, config.data.split, metric(schema.task, PRIMARY[schema.task]), folds=folds,
        seed=config.seed, confidence=config.evaluate.confidence, ledger=ledger,
    )  # fmt: skip


def text_plan(request: Request, split: Split, schema: Schema, budget: Budget, ledger: Ledger) -> TextPlan:
    """How texts are read; a model of the user's own is given what `describe_inputs` says, without a text encoder."""
    data = request.config.data
    options = data.encode if request.model is None else data.encode.model_copy(update=_PLAIN_TEXTS)
    others = len(split.valid) + (0 if split.test is None else len(split.test))
    left = budget.holding(_SAVING)
    room = data.memory * 1_000_000
    ensemble = request.config.ensemble
    if request.model is not None:
        ensemble = ensemble.model_copy(update={"tuned_layers": 0})
    model = request.config.model if request.model is None else None
    return plan_texts(
        split.train, others, schema, options, ensemble, model=model, room=room, budget=left, ledger=ledger
    )


def _seconds_after_training(
    split: Split, schema: Schema, config: RunConfig, budget: Budget, texts: TextPlan, encoder: Encoder
) -> float:
    """What is held back from training for what follows it: answers, intervals, export, parity check, report."""
    rows = len(split.valid if split.test is None else split.test)
    pairs = min(rows * (1 + len(config.evaluate.baselines)), _MOST_PAIRS)
    answered = rows + len(split.valid) if split.test is not None else 2 * rows
    answering = _ANSWERING * max(answered - _ANSWERED_AT_ONCE, 0) * (2.0 if budget.left > _LONG else 1.0)
    describing = _DESCRIBING * len(split.train) * split.train.cells.width
    reading = texts.seconds_a_row * (0 if split.test is None else len(split.test))
    views = {view.kind for view in encoder.layout.media}
    saving = _SAVING + (_SAVING_TEXTS if texts.frozen is not None else 0.0) + _SAVING_TUNED * texts.tunes
    saving += _SAVING_SERIES * ("series" in views) + _SAVING_PICTURES * ("pictures" in views)
    if schema.is_multilabel:
        saving += _SCORING_LABELS * (1 + len(config.evaluate.baselines)) * config.evaluate.bootstrap / 1000
    saving += _SAVING_TIMM * ("timm" in (config.model.name, *config.ensemble.recipes))
    return saving + _SCORING * 1e-6 * pairs * config.evaluate.bootstrap / 1000 + answering + describing + reading


def _baseline_seconds(budget: Budget, after: float) -> float | None:
    """How long the baselines may take; None without a budget."""
    return None if math.isinf(budget.left) else max((budget.left - after) * _BASELINE_SHARE, 1.0)


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
    }
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
    )
    for name in (REPORT, PAGE, CONFIG):
        shutil.copyfile(bundle / name, directory / name)
    (directory / BATCH).write_text(draw_batch(report), encoding="utf-8")
