"""The whole system as one paragraph: data and a target in, a tested and portable model out."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from assay.bundle.export import export
from assay.bundle.load import load
from assay.bundle.manifest import CARD, CONFIG, MODEL, PAGE, REFERENCE, REPORT, SCHEMA
from assay.bundle.write import write_manifest
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, TableConfig, flat, to_yaml
from assay.data.audit import examine
from assay.data.encode import Encoder
from assay.data.infer import infer
from assay.data.profile import profile
from assay.data.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints, Kind, Schema, Task
from assay.data.split import Split, seal
from assay.errors import ConfigError
from assay.evaluate.assess import Assessment, Output, assess, note_gap
from assay.evaluate.baselines import FittedBaseline, fit_baselines
from assay.evaluate.calibrate import apply_temperature, describe_calibration, fit_temperature
from assay.evaluate.metrics import PRIMARY, Scorer, metric
from assay.evaluate.record import Calibration, Parity, Reference, Report, Training
from assay.ledger import Ledger, Outcome
from assay.provenance import Stopwatch, provenance
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.runs import Run, note_reading, read_if_given
from assay.train.budget import Budget
from assay.train.device import free_cores, using_threads
from assay.train.model import Model, train_model
from assay.train.watch import Epoch, Unwatched, Watch
from assay.workspace import staged

#: Seconds held back from training for what follows it: intervals, export with its parity check, the report.
_AFTER_TRAINING = 14.0
#: Share of the time left that the baselines may take.
_BASELINE_SHARE = 0.3
#: Validation rows on which the saved model is compared with the trained one.
_PROBE_ROWS = 200


@dataclass(frozen=True)
class Request:
    """What was asked for: sources, hints and configuration, checked."""

    data: Any
    test: Any
    valid: Any
    hints: Hints
    config: RunConfig
    references: tuple[Reference, ...]

    @property
    def command(self) -> str:
        """The request as a command line (objects are shown by their type)."""
        return " ".join(["assay", "fit", *_words(self)])


def fit(
    data: Any,  # noqa: ANN401  # whatever read() takes
    target: str | None = None,
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    out: str | os.PathLike[str] | None = None,
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
    references: Sequence[Reference] = (),
    watch: Watch | None = None,
    started: float | None = None,
) -> Run:
    """Raw data to a tested, portable model.

    Args:
        data: a path (CSV, Parquet, Arrow, JSON lines, Excel, a glob) or a frame (Polars, pandas, Arrow, NumPy).
        target: the column to predict.
        test, valid: files or frames of their own for the sealed test rows and the validation rows.
        out: a new directory; by default the next `runs/<name>-<n>`.
        kinds: kinds of columns, overruling what is inferred: `{"age": "number"}`.
        task: `binary`, `multiclass` or `regression`, overruling what is inferred.
        positive: the positive class of a binary task.
        drop: columns to leave out.
        group: rows with the same value here stay in one part.
        time: column of the rows' time; later rows are validation and test rows.
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
    resolved = _resolve(config, preset, overrides, budget=budget, seed=seed, strict=strict)
    said = TableConfig(
        target=target, kinds=kinds or {}, task=None if task is None else Task(task), positive=positive,
        drop=tuple(drop), group=group, time=time, weight=weight, sensitive=tuple(sensitive),
    )  # fmt: skip
    hints = _hints(resolved, said)
    request = Request(data, test, valid, hints, resolved, tuple(references))
    with staged(None if out is None else Path(out), _name_of(data)) as (staging, final):
        report, interrupted = _build(
            request, staging, final.name, watch or Unwatched(), Budget(resolved.budget, started)
        )
    return Run(final, load(final), report, interrupted)


def _build(request: Request, directory: Path, name: str, watch: Watch, budget: Budget) -> tuple[Report, bool]:
    """The paragraph. Everything is written into `directory`; the report comes back, and whether Ctrl-C came."""
    config, ledger, clock = request.config, Ledger(), Stopwatch(watch)
    with using_threads(config.train.threads) as threads:
        with clock.stage("read"):
            table, valid, test = read(request.data), read_if_given(request.valid), read_if_given(request.test)
            schema = infer(table, request.hints)
            note_reading(schema, table, ledger)
        with clock.stage("audit"):
            audit = examine(
                table, schema, config.data.audit, ledger, valid=valid, test=test, test_share=config.data.split.test
            )
        with clock.stage("split"):
            split = seal(table, schema, config.data.split, seed=config.seed, ledger=ledger, valid=valid, test=test)
        with clock.stage("encode"):
            encoder = Encoder.fit(split.train, schema, config.data.encode, ledger)
        with clock.stage("baselines"):
            seconds = max((budget.left - _AFTER_TRAINING) * _BASELINE_SHARE, 1.0) if np.isfinite(budget.left) else None
            baselines = fit_baselines(
                split.train,
                schema,
                config.evaluate,
                seed=config.seed,
                seconds=seconds,
                threads=free_cores(),
                ledger=ledger,
            )
        with clock.stage("train"):
            model = train_model(
                encoder, split.train, split.valid, schema, config.model, config.train, seed=config.seed,
                budget=budget.holding(_AFTER_TRAINING), watch=_Recorder(watch, directory), ledger=ledger,
            )  # fmt: skip
        with clock.stage("calibrate"):
            model = _calibrate(model, split.valid, config, schema, ledger)
        with clock.stage("evaluate"):
            assessment, calibration = _assess(model, baselines, split, schema, config, ledger)
        with clock.stage("save"):
            (directory / "model").mkdir()
            parity, outputs = export(
                encoder, model.network, model.head, schema, split.valid.frame.head(_PROBE_ROWS), directory / "model"
            )
            _note_parity(parity, directory, ledger)
        with clock.stage("report"):
            facts = provenance(clock, seed=config.seed, threads=threads)
            report = Report(
                name=name,
                command=request.command,
                config=flat(config),
                source=table.source,
                schema_=schema,
                findings=audit.findings,
                split=split.record,
                primary=assessment.primary,
                scores=assessment.scores,
                comparisons=assessment.comparisons,
                references=request.references,
                advice=assessment.advice,
                training=_training(model),
                confusion=assessment.confusion,
                roc=assessment.roc,
                precision_recall=assessment.precision_recall,
                calibration=calibration,
                residuals=assessment.residuals,
                parity=parity,
                ledger=tuple(ledger.close()),
                provenance=facts,
            )
            _write(directory, report, model, split, outputs, config)
    return report, model.trained.interrupted


def _resolve(
    config: str | os.PathLike[str] | RunConfig | None,
    preset: str | None,
    overrides: Sequence[str],
    *,
    budget: float | str | None,
    seed: int | None,
    strict: bool,
) -> RunConfig:
    """One checked configuration from a preset, a file and `key=value`; a RunConfig is taken as it is."""
    named = {"budget": budget, "seed": seed, "data.audit.strict": "true" if strict else None}
    flags = [f"{key}={value}" for key, value in named.items() if value is not None]
    if not isinstance(config, RunConfig):
        return compose(preset, None if config is None else Path(config), [*flags, *overrides])
    if preset is not None or flags or overrides:
        raise ConfigError(
            "a RunConfig is complete",
            "a preset, budget, seed, strict or overrides were given beside it",
            "Put them into the RunConfig, or pass config as a file.",
        )
    return config


def _hints(config: RunConfig, given: TableConfig) -> Hints:
    """What is said about the columns: arguments over the table section of the configuration."""
    said = {name: value for name, value in given if value not in (None, (), {})}
    return config.table.model_copy(update=said).hints()


def _name_of(data: Any) -> str:  # noqa: ANN401
    """What the run is called after: the file's stem, or `frame`."""
    return Path(data).name.split(".")[0] or "run" if isinstance(data, str | os.PathLike) else "frame"


def _words(request: Request) -> list[str]:
    """The request as words of a command line."""
    hints, sources = request.hints, {"--test": request.test, "--valid": request.valid}
    words = [_shown(request.data), "--target", shlex.quote(hints.target)]
    for flag, source in sources.items():
        words += [flag, _shown(source)] if source is not None else []
    single = {"--group": hints.group, "--time": hints.time, "--weight": hints.weight, "--positive": hints.positive}
    for flag, value in single.items():
        words += [flag, shlex.quote(value)] if value is not None else []
    for flag, values in {"--drop": hints.drop, "--sensitive": hints.sensitive}.items():
        words += [word for value in values for word in (flag, shlex.quote(value))]
    words += [word for name, kind in hints.kinds.items() for word in ("--as", shlex.quote(f"{name}={kind}"))]
    return words + (["--task", hints.task.value] if hints.task else [])


def _shown(source: Any) -> str:  # noqa: ANN401
    return shlex.quote(str(source)) if isinstance(source, str | os.PathLike) else f"<{type(source).__name__}>"


class _Recorder:
    """A watch that also writes each epoch to metrics.jsonl as it ends."""

    def __init__(self, watch: Watch, directory: Path) -> None:
        self.watch = watch
        self.path = directory / "metrics.jsonl"

    def stage(self, name: str) -> None:
        self.watch.stage(name)

    def epoch(self, record: Epoch, of: int) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(record.model_dump_json() + "\n")
        self.watch.epoch(record, of)

    def note(self, text: str) -> None:
        self.watch.note(text)

    def close(self) -> None:
        self.watch.close()


def _calibrate(model: Model, valid: Rows, config: RunConfig, schema: Schema, ledger: Ledger) -> Model:
    """The model with the temperature that fits the validation rows best."""
    if not schema.is_classification:
        ledger.record("evaluate.calibration", Outcome.NOT_APPLICABLE, "a regression has no probabilities")
        return model
    if not config.evaluate.calibrate:
        ledger.record("evaluate.calibration", Outcome.SKIPPED, "switched off with evaluate.calibrate=false")
        return model
    return model.with_temperature(fit_temperature(model.outputs(valid.frame), valid.target, valid.weight))


def _assess(
    model: Model, baselines: Sequence[FittedBaseline], split: Split, schema: Schema, config: RunConfig, ledger: Ledger
) -> tuple[Assessment, Calibration | None]:
    """Open the seal once and score every model on the test rows."""
    if split.test is not None:
        rows = split.test.open("the scores of the report")
    else:
        rows = split.valid
        reason = "no test part was asked for: the scores are on validation rows and flatter the model"
        ledger.record("split.sealed-test", Outcome.SKIPPED, reason)
    outputs = [_network_output(model, rows, schema)]
    outputs += [_baseline_output(baseline, rows) for baseline in baselines]
    found = assess(schema, rows.target, rows.weight, outputs, config.evaluate, seed=config.seed, ledger=ledger)
    measure = metric(schema.task, PRIMARY[schema.task])
    on_valid = _network_output(model, split.valid, schema).prediction
    valid_score = Scorer(schema.task, split.valid.target, on_valid).values(split.valid.weight, (measure.id,))[
        measure.id
    ]
    on_test = next(score.estimate for score in found.scores[0].scores if score.name == measure.id)
    note_gap(valid_score, on_test, measure, ledger=ledger)
    if model.head.temperature is None or not config.evaluate.calibrate:
        return found, None
    before, after = apply_temperature(model.outputs(rows.frame), 1.0), outputs[0].prediction
    calibration = describe_calibration(
        model.head.temperature, rows.target, before, after, rows.weight, ledger=ledger,
        confidence=config.evaluate.confidence,
    )  # fmt: skip
    return found, calibration


def _network_output(model: Model, rows: Rows, schema: Schema) -> Output:
    begun = perf_counter()
    if schema.is_classification:
        assert model.head.temperature is not None
        prediction = apply_temperature(model.outputs(rows.frame), model.head.temperature)
    else:
        prediction = model.values(rows.frame)
    size = f"{model.members} networks averaged" if model.members > 1 else "one network"
    described = f"{size}, {model.parameters:,} parameters"
    return Output("network", "network", described, prediction, model.trained.seconds, perf_counter() - begun)


def _baseline_output(baseline: FittedBaseline, rows: Rows) -> Output:
    begun = perf_counter()
    prediction = baseline.predict(rows)
    seconds = perf_counter() - begun
    return Output(baseline.name, "baseline", baseline.description, prediction, baseline.fit_seconds, seconds)


def _note_parity(parity: Parity, directory: Path, ledger: Ledger) -> None:
    reason = f"largest difference {parity.difference:.2g} ({parity.measure}) on {parity.rows} rows: " + ", ".join(
        parity.cases
    )
    ledger.record("bundle.parity", Outcome.PASSED, reason, value=parity.difference)
    size = (directory / "model" / MODEL).stat().st_size
    reason = f"one ONNX file of {size:,} bytes takes raw columns and gives the calibrated answer"
    ledger.record("bundle.one-artefact", Outcome.APPLIED, reason, value=size)
    kinds = "ONNX, safetensors, Parquet, JSON, YAML, HTML and Markdown; nothing that runs code when opened"
    ledger.record("bundle.no-pickle", Outcome.PASSED, kinds)
    facts = "data hash, versions, seed, machine, seconds and configuration are in report.json and manifest.json"
    ledger.record("bundle.provenance", Outcome.APPLIED, facts)
    ledger.record("bundle.model-card", Outcome.APPLIED, "card.md, after Mitchell et al.; the owner's parts are marked")


def _training(model: Model) -> Training:
    trained = model.trained
    return Training(
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        steps=trained.steps,
        seconds=trained.seconds,
        stopped=trained.stopped,
        parameters=model.parameters,
        members=model.members,
    )


def _write(
    directory: Path, report: Report, model: Model, split: Split, outputs: tuple[str, str | None], config: RunConfig
) -> None:
    """The documents of the run, and the manifest that closes the bundle."""
    bundle, schema = directory / "model", report.schema_
    inputs = model.encoder.inputs
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
    write_manifest(bundle, schema, inputs, outputs, report.source.sha256, report.provenance)
    for name in (REPORT, PAGE, CONFIG):
        shutil.copyfile(bundle / name, directory / name)
