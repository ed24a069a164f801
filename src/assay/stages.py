"""The stages of a run up to its exam, each a paragraph: from what those before it made, it makes one thing more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assay._memory import keep_freed_memory
from assay.apportion import baseline_seconds, curve_seconds, seconds_after_training, text_plan
from assay.compose.run_config import RunConfig, flat
from assay.data.audit.audit import Audit
from assay.data.encoding.encode import Encoder, note_lengths
from assay.data.findings import Finding
from assay.data.picture_sources.tables import Pictures
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.data.stored import Spill
from assay.doctor.in_fit import write_training
from assay.evaluate.baselines import FittedBaseline, fit_baselines
from assay.evaluate.capacity_curve import capacity_curve
from assay.evaluate.carried.carry import carry, check_carried
from assay.evaluate.decision.thresholds import check_decisions
from assay.evaluate.exam import Exam, calibrate, sit, validation_answers
from assay.evaluate.forecast.baselines import fit_forecast_baselines
from assay.evaluate.inspection_record import CapacityCurve, LearningCurve
from assay.evaluate.kept import Kept, keep
from assay.evaluate.label_errors import find_label_errors
from assay.evaluate.learning_curve import learning_curve
from assay.evaluate.looks import note_looks, seal_of, surer
from assay.evaluate.record import Seal
from assay.evaluate.slices.named import check_slices
from assay.ledger import Ledger, Verdict
from assay.outer import outer_folds
from assay.own import open_given
from assay.provenance import Stopwatch
from assay.request import Request, RequestFile, begin, recognised
from assay.search.ensemble.reweighed import judged_of
from assay.search.fit.fair import TWIN, check_fairness, with_and_without
from assay.search.fit.own import search_own
from assay.search.fit.portfolio import search
from assay.search.fit.texts import TextPlan
from assay.search.planning.asked import check_asked, check_training
from assay.sources import Tables, audit_tables, decoded, read_tables
from assay.track.tracked import Tracked
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.families.foreign import Own
from assay.train.model import Model, TrainedNetwork
from assay.train.state import Checkpoints, note_resumable
from assay.train.threads import free_cores, using_threads
from assay.train.watch import Named, Recorder, Watch
from assay.workspace import Workspace, scratch

#: Validation rows on which the saved model is compared with the trained one, fewer where a text encoder or a network of
#: pictures answers them.
_PROBE_ROWS, _PROBE_FEW = 200, 40


@dataclass(frozen=True)
class Job:
    """What every stage of a run is given: what was asked for, where it is written, and whom it tells.

    spill: where tables are kept that are too large for memory, in `folder`, which is gone when the run ends.
    """

    request: Request
    work: Workspace
    budget: Budget
    watch: Tracked
    clock: Stopwatch
    ledger: Ledger
    threads: int
    folder: Path
    spill: Spill

    @property
    def config(self) -> RunConfig:
        """What was asked for; `Ready.config` knows more of a model of the user's own."""
        return self.request.config

    @property
    def seed(self) -> int:
        """Every random choice follows from it."""
        return self.request.config.seed

    @property
    def bundle(self) -> Path:
        """Where the model is written."""
        return self.work.directory / "model"

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time what is done in the block and tell that it begins."""
        return self.clock.stage(name)


@dataclass(frozen=True)
class Prepared:
    """What a study has read, split and encoded, and the networks that it chose: a run that is given them reads nothing.

    verdicts: what the ledger was told meanwhile. known: networks that are the model; none are trained beside them.
    """

    sources: Tables
    pictures: Pictures | None
    audit: Audit
    split: Split
    texts: TextPlan
    encoder: Encoder
    verdicts: tuple[Verdict, ...]
    known: tuple[TrainedNetwork, ...] = ()


@dataclass(frozen=True)
class Data:
    """The tables as they were read and examined; `known` is the request with the sums of what was read."""

    known: RequestFile
    sources: Tables
    pictures: Pictures | None
    audit: Audit

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return self.sources.schema


@dataclass(frozen=True)
class Ready:
    """What training begins with.

    own: a model of the user's own, examined, or None. config: with what is recorded of it. after: seconds that are held
    back for what follows training. known: networks that were trained before, see `Prepared`.
    """

    data: Data
    split: Split
    texts: TextPlan
    encoder: Encoder
    own: Own | None
    config: RunConfig
    after: float
    known: tuple[TrainedNetwork, ...] = ()

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return self.data.schema

    @property
    def is_slow(self) -> bool:
        """Whether rows are read by a network that takes long for each."""
        return self.texts.frozen is not None or self.data.pictures is not None

    def probe(self) -> pl.DataFrame:
        """Raw validation rows on which the saved model is compared with the trained one."""
        return next(self.split.valid.blocks(_PROBE_FEW if self.is_slow else _PROBE_ROWS))


@dataclass(frozen=True)
class Trained:
    """The model, and the same without its mitigation for sensitive groups where the two are compared.

    budget: of the run, without what is held back.
    """

    model: Model
    without: Model | None
    budget: Budget


@dataclass(frozen=True)
class Calibrated:
    """The models as they answer, and what validation rows told on the way: doubted labels and two curves."""

    model: Model
    without: Model | None
    doubted: tuple[Finding, ...]
    curve: LearningCurve | None
    capacity: CapacityCurve | None


@dataclass(frozen=True)
class Examined:
    """The exam, and the looks at the test rows that were taken for it and before it; None where none are sealed."""

    seal: Seal | None
    exam: Exam


@contextmanager
def at_work(request: Request, work: Workspace, watch: Watch, budget: Budget) -> Iterator[Job]:
    """A run at work: trackers are open, threads are set, and there is room on the disk for what is too large.

    Raises:
        BundleError: the request of a run that goes on cannot be read.
        InputError: a tracker's package is not installed.
    """
    for note in (*work.notes, *begin(work, request)):
        watch.note(note)
    config, ledger = request.config, Ledger(request.verdicts)
    tracked = Tracked(watch, config.track, work.final, flat(config), work.directory / "tracking.log")
    keep_freed_memory()
    clock = Stopwatch(tracked)
    with tracked, using_threads(config.train.threads) as threads, scratch(work.directory) as folder:
        yield Job(request, work, budget, tracked, clock, ledger, threads, folder, config.data.spill(folder))


def read_sources(job: Job) -> tuple[Tables, RequestFile]:
    """The tables, and the request with their sums; what they cannot be used for is refused here, before any work.

    Raises:
        DataError: a source cannot be used, or is not what it was when the run began.
        ConfigError: an option does not suit the columns or the task.
    """
    request = job.request
    given = (request.data, request.valid, request.test)
    sources = read_tables(*given, request.hints, job.config.data, job.ledger, job.spill)
    known = recognised(job.work, sources.given)
    refuse_unsuited(request, sources.schema)
    return sources, known


def refuse_unsuited(request: Request, schema: Schema) -> None:
    """Refuse options that suit neither the columns nor the task.

    Raises:
        ConfigError: there is one.
    """
    config = request.config
    check_decisions(schema, config.evaluate)
    if request.model is None:
        check_asked(schema, config.model, config.train, config.ensemble)
    else:
        check_training(schema, config.train)
    check_fairness(schema, config.train, config.ensemble, config.evaluate, is_own=request.model is not None)
    check_carried(schema, config.evaluate)
    outer_folds(request, schema)
    check_slices(config.evaluate.slices, schema)


def audit(job: Job, sources: Tables, known: RequestFile) -> Data:
    """The tables without what cannot be read of them, examined.

    Raises:
        DataError: the data cannot be used.
        AuditError: there are serious findings, and the run is strict.
    """
    sources, pictures = decoded(sources, job.config.data, job.folder, job.watch.steps)
    return Data(known, sources, pictures, audit_tables(sources, job.config.data, job.ledger))


def encode(job: Job, data: Data, split: Split) -> Ready:
    """The encoder of training rows, and a model of the user's own where there is one.

    Raises:
        ConfigError: the user's model cannot be trained, tested or saved as it is.
    """
    schema = data.schema
    texts = text_plan(job.request, split, schema, job.budget, job.ledger)
    encoder = Encoder.fit(
        split.train, schema, texts.encode, job.ledger, frozen=texts.frozen, pictures=data.pictures,
        words=texts.words, tell=job.watch.steps, tunes=texts.tunes,
    )  # fmt: skip
    own, config = open_given(job.request.model, encoder, split.train, schema, job.config)
    after = seconds_after_training(split, schema, config, job.budget, texts, encoder)
    return Ready(data, split, texts, encoder, own, config, after + (0.0 if own is None else own.saving))


def take_over(job: Job, prepared: Prepared) -> Ready:
    """What a study has read, split and encoded, as this run's own.

    Raises:
        DataError: a source is not what it was when the run began.
        ConfigError: an option does not suit the columns or the task.
    """
    schema, config = prepared.sources.schema, job.config
    known = recognised(job.work, prepared.sources.given)
    refuse_unsuited(job.request, schema)
    job.ledger.take(prepared.verdicts)
    data = Data(known, prepared.sources, prepared.pictures, prepared.audit)
    after = seconds_after_training(prepared.split, schema, config, job.budget, prepared.texts, prepared.encoder)
    return Ready(data, prepared.split, prepared.texts, prepared.encoder, None, config, after, prepared.known)


def baselines_of(job: Job, ready: Ready) -> tuple[FittedBaseline, ...]:
    """What the network stands beside, fitted to the same rows."""
    fit_those = fit_baselines if ready.schema.windowing is None else fit_forecast_baselines
    return fit_those(
        ready.split.train, ready.schema, ready.config.evaluate, seed=job.seed,
        seconds=baseline_seconds(job.budget, ready.after), threads=free_cores(), ledger=job.ledger,
    )  # fmt: skip


def train(job: Job, ready: Ready) -> Trained:
    """The best model that there is time for; every so often it is written down where to go on.

    Raises:
        DivergenceError: no network kept finite numbers.
        BudgetError: no time is left to train.
    """
    job.watch.start()
    config, known = ready.config, ready.data.known
    every = config.train.checkpoint_every
    checkpoints = Checkpoints(job.work.checkpoints, known.identity(config), every, tell=job.watch.note)
    whole = job.budget.having_used(known.used).holding(ready.after)
    recorder = Recorder(job.watch, job.work.metrics)
    folds = outer_folds(job.request, ready.schema)
    left = whole.part(1.0 / (1 + folds)) if folds else whole
    model, without = _searched(job, ready, left, recorder, checkpoints)
    recorder.flush()
    write_training(job.ledger, model, None if ready.is_slow else ready.probe())
    note_lengths(ready.encoder, job.ledger)
    note_resumable(job.ledger, checkpoints, [again.step for again in known.resumed])
    return Trained(model, without, whole)


def _searched(
    job: Job, ready: Ready, budget: Budget, watch: Watch, checkpoints: Checkpoints
) -> tuple[Model, Model | None]:
    """The user's own model trained, or what the search finds; with the same without mitigation, where that is asked."""
    encoder, split, schema, config = ready.encoder, ready.split, ready.schema, ready.config
    if ready.own is not None:
        model = search_own(
            ready.own, encoder, split, schema, config.train, bagging=config.ensemble.bagging,
            stacking=config.ensemble.stacking, seed=job.seed, budget=budget, watch=watch, ledger=job.ledger,
            checkpoints=checkpoints, spill=job.spill,
        )  # fmt: skip
        return model, None

    def searched(options: TrainConfig, time: Budget, notes: Ledger, kept: Checkpoints | None) -> Model:
        is_twin = options.fairness != config.train.fairness
        return search(
            encoder, split, schema, config.model, options, config.ensemble, dealing=config.data.split, seed=job.seed,
            budget=time, watch=Named(watch, TWIN) if is_twin else watch, ledger=notes, checkpoints=kept,
            spill=job.spill, known=ready.known,
        )  # fmt: skip

    return with_and_without(searched, config.train, budget, job.ledger, checkpoints)


def settle(job: Job, ready: Ready, trained: Trained) -> Calibrated:
    """The models with all they answer with, settled on rows they did not learn from."""
    split, schema, config, ledger = ready.split, ready.schema, ready.config.evaluate, job.ledger
    model = calibrate(trained.model, split.valid, config, schema, ledger)
    doubted = find_label_errors(model, split, schema, ledger)
    for_curves = trained.budget.holding(-curve_seconds(ready.config, job.budget))
    curve = learning_curve(
        ready.encoder, split, schema, config, is_own=ready.own is not None,
        budget=for_curves, seed=job.seed, ledger=ledger,
    )  # fmt: skip
    capacity = capacity_curve(
        ready.encoder, split, schema, config, is_own=ready.own is not None,
        budget=for_curves, seed=job.seed, ledger=ledger,
    )  # fmt: skip
    without = trained.without
    twin = None if without is None else calibrate(without, split.valid, config, schema, Ledger())
    model = carry(model, validation_answers(model), split, schema, config, seed=job.seed, ledger=ledger)
    return Calibrated(model, twin, doubted, curve, capacity)


def sit_exam(job: Job, ready: Ready, found: Calibrated, baselines: tuple[FittedBaseline, ...]) -> Examined:
    """The one look at the test rows, counted with those of the runs beside this one; its answers are kept."""
    split, config = ready.split, ready.config
    seal = seal_of(
        job.work.final, split.plan.sealed_sha256, flat(config), ready.data.sources.data.source.sha256,
        config.evaluate.confidence, is_exact=not any(part.trained.limited_by_budget for part in found.model.parts),
    )  # fmt: skip
    exam = sit(
        found.model, baselines, split, ready.schema, surer(config.evaluate, seal), seed=job.seed, ledger=job.ledger,
        without=found.without,
    )  # fmt: skip
    note_looks(seal, job.ledger)
    keep(job.work.directory, Kept(exam.tested, judged_of(found.model, split, ready.schema)))
    return Examined(seal, exam)
