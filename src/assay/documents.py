"""What a run writes at its end: the model, the report, the documents drawn from it, and the manifest that closes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from assay.bundle.export import export, note_bundle
from assay.bundle.manifest import CARD, CONFIG, DATASHEET, MODEL, OUTLINE, PAGE, REFERENCE, REPORT, SCHEMA
from assay.bundle.write import write_manifest
from assay.compose.run_config import flat, to_yaml
from assay.data.profile import profile
from assay.evaluate.leaderboard import with_size
from assay.evaluate.learning_curve import with_curves
from assay.evaluate.record import Nested, Parity, Report, TrainedPart, Training
from assay.evaluate.seen import see
from assay.models.reading import inputs_of
from assay.provenance import provenance
from assay.report.batch_page import BATCH, draw_batch
from assay.report.card import draw_card
from assay.report.datasheet import draw_datasheet
from assay.report.page import draw_page
from assay.stages import Calibrated, Examined, Job, Ready
from assay.train.model import Model
from assay.train.part import Part


@dataclass(frozen=True)
class Saved:
    """How well the saved model agrees with the trained one, and what it calls its prediction and probabilities."""

    parity: Parity
    outputs: tuple[str, str | None]


def save_model(job: Job, ready: Ready, model: Model) -> Saved:
    """The model as a file that answers raw rows, compared with the trained one.

    Raises:
        ParityError: the file does not give the network's answers.
    """
    job.bundle.mkdir()
    parity, outputs = export(ready.encoder, model.ensemble, model.head, ready.schema, ready.probe(), job.bundle)
    note_bundle(parity, job.bundle, job.ledger)
    return Saved(parity, outputs)


def report_of(
    job: Job, ready: Ready, found: Calibrated, nested: Nested | None, tested: Examined, saved: Saved
) -> Report:
    """All that the run has to say; the ledger is closed by it."""
    exam, known = tested.exam, ready.data.known
    scored = exam.assessment
    return Report(
        name=job.work.final.name,
        command=job.request.command,
        config=flat(ready.config),
        source=ready.data.sources.data.source,
        table_schema=ready.schema,
        findings=(*ready.data.audit.findings, *found.doubted),
        split=ready.split.record,
        primary=scored.primary,
        scores=scored.scores,
        comparisons=scored.comparisons,
        references=job.request.references,
        advice=scored.advice,
        training=_training(found.model),
        confusion=scored.confusion,
        roc=scored.roc,
        precision_recall=scored.precision_recall,
        calibration=exam.calibration,
        decision=exam.decision,
        residuals=scored.residuals,
        contributions=exam.contributions,
        forecast=scored.forecast,
        selection=exam.selection,
        nested=nested,
        spread=exam.spread,
        coverage=exam.coverage,
        unusual=exam.unusual,
        seal=tested.seal,
        distilled=exam.distilled,
        leaderboard=with_size(exam.leaderboard, (job.bundle / MODEL).stat().st_size),
        labels=scored.labels,
        inspection=with_curves(exam.inspection, found.curve, found.capacity),
        fairness=scored.fairness,
        parity=saved.parity,
        seen=see(found.model, ready.split, ready.schema, seed=job.seed),
        ledger=tuple(job.ledger.close()),
        provenance=provenance(
            job.clock, seed=job.seed, threads=job.threads, started=known.started, resumed=known.resumed
        ),
    )


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


def write_documents(job: Job, ready: Ready, model: Model, report: Report, saved: Saved) -> None:
    """The documents of the run, and the manifest that closes the bundle."""
    directory, bundle, schema = job.work.directory, job.bundle, ready.schema
    inputs = inputs_of(model.encoder, model.ensemble)
    documents = {
        SCHEMA: schema.to_json(),
        CONFIG: to_yaml(ready.config),
        REFERENCE: profile(ready.split.train, inputs, len(schema.classes)).to_json(),
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
        saved.outputs,
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
