"""What judges the settings of a study: networks trained on folds, settings as members of one network.

Shape legend: n rows that are judged, k folds, K classes, H steps of a forecast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from assay.data.config import SplitConfig
from assay.data.encoding.batches import Resident, Source
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split.folds import Folds, deal_folds
from assay.data.split.split import units_of
from assay.errors import AssayError, BudgetError, ConfigError, DivergenceError, MissingExtraError
from assay.evaluate.fair.learned import Learned, learned_groups, reweighing
from assay.evaluate.fair.record import Gap
from assay.evaluate.metrics import Metric, metrics_of
from assay.models.config import PICTURES, ModelConfig
from assay.models.network import Network
from assay.search.planning.jobs import Job
from assay.search.planning.tables import cost
from assay.search.study.answered import keep_answers, keep_rows, read_answer
from assay.search.study.group_gap import GroupGap
from assay.search.study.judging import Entry, Judge, note_trouble
from assay.search.study.latency import microseconds_a_row
from assay.search.study.settings import is_batched, job_of, members_of, shape_of
from assay.search.study.trial import Outcome, Prune, Trial
from assay.search.study.trial_networks import assembled, keep_network
from assay.train.batch_size import fitting, rows_a_step, scaled_rate, suited
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import choose_device, free_memory
from assay.train.examples import Examples, examples, folded
from assay.train.families.mirror import mirror_test
from assay.train.members import Member
from assay.train.model import TrainedNetwork, changes_of, moved, network_of
from assay.train.threads import Threads, threads_for, using_threads
from assay.train.together import Course, Lot, fit_together
from assay.train.watch import Watch

Axis = Literal["epochs", "folds"]
#: The folder of what trials answered at their last epoch.
LAST = "last"
#: Rows up to which there are so many folds, and folds beyond.
_FOLDS = ((3_000, 5), (20_000, 3))
#: Rows that are answered at once: the work space of many members stays small, whatever their number.
_BLOCK = 1024
#: Settings that are trained at a time, more where a pass is a few steps only: 2, 4, 8, 16 and 32 settings of two layers
#: of 128 took 1.7, 2.2, 2.3, 2.6 and 3.3 times less processor time each than a plain loop, in one thread.
_WIDTH, _WIDER, _FEW_ROWS = 8, 16, 3_000
#: Share of the free memory that settings may take together, and copies of the parameters in training: gradients, means,
#: squares, work space, the best so far.
_SHARE_OF_MEMORY, _COPIES = 0.5, 8


def folds_for(rows: int, schema: Schema) -> int:
    """How many folds suit so many rows; forecasts are judged by what comes after, which is one part."""
    if schema.windowing is not None:
        return 1
    return next((folds for below, folds in _FOLDS if rows < below), 1)


@dataclass(frozen=True)
class _View:
    """The rows that members of a fold learn from, and those that judge them."""

    fold: int
    train: Source
    valid: Source


class TableObjective:
    """Judges settings of networks on folds of the training and validation rows; see `Objective`.

    Settings whose networks are alike but for `settings.OWN` are members of one network, one for each fold; folds take
    turns, an epoch each. A member that has ended, by its patience or because its trial is pruned, leaves the batch.
    Answers are the mean of a trial's members where it has several, probabilities with a temperature a trial (`Judge`).

    axis: what `prune` is asked after: each epoch of all folds, or each fold, one after another.
    times: whether what a network takes for a row is measured. It hangs on the network's shape, so that settings of one
    shape have one number.
    keeps: whether what the members of a trial learned is kept beside what they answered; see `network_of_trial`.
    """

    def __init__(
        self,
        found: Examples,
        rows: Rows,
        folds: Folds | None,
        schema: Schema,
        model: ModelConfig,
        train: TrainConfig,
        *,
        metric: Metric,
        seed: int,
        answers: Path,
        axis: Axis,
        times: bool = False,
        keeps: bool = False,
        keeps_last: bool = False,
        groups: Learned | None = None,
        least_group: int = 0,
    ) -> None:
        """See `open`. `rows`: those that `found.valid` has; `groups` is what `found` has of them."""
        self.metric, self.folds = metric, 1 if folds is None else len(folds)
        self.width = _WIDER if len(found.train) < _FEW_ROWS else _WIDTH
        self.axis, self.answers, self.times, self._keeps_last = axis, answers, times, keeps_last
        self.keeps = keeps and not found.encoder.layout.media
        self._latencies: dict[object, float] = {}
        self._found, self._schema, self._model, self._train, self._seed = found, schema, model, train, seed
        self._deal, self._device = folds, choose_device(train.device)
        self._judge = Judge(rows, folds, schema, metric, found.units)
        self._learned = len(found.train) if folds is None else int(folds.learns.sum(1).min())
        self._threads: dict[tuple[str, int, int], Threads | None] = {}  # by what makes steps take as long
        self._mirrored: bool | None = None
        self._gap = None if groups is None else self._gap_between(groups, rows, least_group)
        keep_rows(answers, self._judge.judged)
        if keeps_last:
            (answers / LAST).mkdir(exist_ok=True)

    @classmethod
    def open(
        cls,
        encoder: Encoder,
        rows: tuple[Rows, Rows],
        schema: Schema,
        model: ModelConfig,
        train: TrainConfig,
        dealing: SplitConfig,
        folds: int,
        metric: str,
        seed: int,
        answers: Path,
        *,
        axis: Axis = "epochs",
        times: bool = False,
        keeps: bool = False,
        keeps_last: bool = False,
        least_group: int = 0,
    ) -> TableObjective:
        """The objective of a study.

        Args:
            encoder: learned from the training rows.
            rows: of training and of validation; there are no others that it could see.
            schema: of their table.
            model, train: what all trials share.
            dealing: how rows are dealt to folds.
            folds: of the cross-validation of all these rows; 1 learns from the training rows and is judged by those of
                validation, 0 is what suits their number.
            metric: its id.
            seed: of the folds and of the order of the rows.
            answers: folder of what trials answer.
            axis, times, keeps: see the class; networks of pictures, series and texts are not kept.
            keeps_last: keep what trials answer at their last epoch as well, in the folder `LAST` of `answers`.
            least_group: rows that a sensitive group must have where the gap between groups is measured of each trial,
                and training may lessen it; 0 where groups are nobody's affair.

        Raises:
            ConfigError: there is no such metric of the task, or there are no two groups.
            DataError: fewer rows or groups than folds.
            BundleError: the folder has answers of other rows.
        """
        if metric not in {each.id for each in metrics_of(schema.task)}:
            known = ", ".join(each.id for each in metrics_of(schema.task))
            raise ConfigError(
                "settings must be judged by a metric of their task",
                f"{metric!r} is none of {schema.task.value}",
                f"Choose one of {known}.",
            )
        chosen = next(each for each in metrics_of(schema.task) if each.id == metric)
        folds = folds or folds_for(sum(map(len, rows)), schema)
        if folds == 1:
            found, deal, judge = examples(encoder, *rows, schema, seed=seed), None, rows[1]
        else:
            judge = joined(*rows)
            deal = deal_folds(judge, schema, dealing, folds, seed)
            found = folded(encoder, judge, schema, deal)
        groups = learned_groups(rows[0] if deal is None else judge, judge, schema) if least_group else None
        if groups is not None:
            found = found.grouped(groups.codes, groups.judged)
        return cls(
            found, judge, deal, schema, model, train, metric=chosen, seed=seed, answers=answers, axis=axis, times=times,
            keeps=keeps, keeps_last=keeps_last and deal is None, groups=groups, least_group=least_group,
        )  # fmt: skip

    def _gap_between(self, groups: Learned, rows: Rows, least: int) -> GroupGap:
        """What measures the gap of a trial on the rows that any fold judges."""
        kept, schema = self._judge.kept, self._schema
        clusters = None if schema.group is None else units_of(rows, schema, keep_duplicates=False)[kept]
        return GroupGap(groups.names, groups.judged[kept], self._judge.judged, schema, least, clusters)

    # Which trials are trained at once ---------------------------------------------------------------------------------

    def groups(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """See `Objective`; a trial whose options cannot be is alone."""
        return [[trial for trial, _ in group] for group in self._grouped(trials)]

    def _grouped(self, trials: Sequence[Trial]) -> list[list[tuple[Trial, Job | AssayError]]]:
        """The groups, with what each trial asks for, or why it cannot be."""
        found: list[list[tuple[Trial, Job | AssayError]]] = []
        filling: dict[str, list[tuple[Trial, Job | AssayError]]] = {}
        for trial in trials:
            job = self._job(trial)
            if isinstance(job, AssayError) or not is_batched(job):
                found.append([(trial, job)])
                continue
            shape = shape_of(job)
            if len(filling.get(shape, ())) in (0, self.width):
                filling[shape] = []
                found.append(filling[shape])
            filling[shape].append((trial, job))
        return found

    def _job(self, trial: Trial) -> Job | AssayError:
        encoder, rows = self._found.encoder, self._learned
        try:
            return self._with_changes(job_of(trial.options, encoder, rows, self._schema, self._model, self._train))
        except (ConfigError, MissingExtraError) as error:
            return error

    def _with_changes(self, job: Job) -> Job:
        """The job with the changes of pictures chosen where they were left open, mirrored where that is safe."""
        if job.model.name not in PICTURES or job.model.augment != "auto":
            return job
        if self._mirrored is None:
            self._mirrored = mirror_test(self._found, self._seed).passed
        policy = "flip" if self._mirrored else "shift"
        return replace(job, model=job.model.model_copy(update={"augment": policy}))

    def cost(self, group: Sequence[Trial]) -> float:
        """See `Objective`; in seconds, as a guess."""
        jobs = [job for job in map(self._job, group) if not isinstance(job, AssayError)]
        members = sum(job.model.members for job in jobs)
        return cost(self._learned, jobs[0].name, members, self.folds) if jobs else 0.0

    # Judging ----------------------------------------------------------------------------------------------------------

    def judge(self, group: Sequence[Trial], prune: Prune | None, budget: Budget, watch: Watch) -> list[Outcome]:
        """See `Objective`; trials that are not alike are judged group by group."""
        found: dict[int, Outcome] = {}
        for part in self._grouped(group):
            entries = []
            for trial, job in part:
                if isinstance(job, AssayError):
                    found[trial.number] = Outcome(trial.number, "failed", reason=str(job))
                else:
                    entries.append(Entry(trial, job))
            if entries:
                found |= {each.number: each for each in self._judged(entries, prune, budget, watch)}
        return [found[trial.number] for trial in group]

    def _judged(self, entries: list[Entry], prune: Prune | None, budget: Budget, watch: Watch) -> list[Outcome]:
        began = budget.clock()
        self._train_all(entries, prune, budget, watch)
        outcomes = [self._outcome(entry) for entry in entries]
        seconds, work = budget.clock() - began, sum(entry.work for entry in entries)
        return [
            replace(outcome, seconds=seconds * (entry.work / work if work else 1.0 / len(entries)))
            for outcome, entry in zip(outcomes, entries, strict=True)
        ]

    def _train_all(self, entries: list[Entry], prune: Prune | None, budget: Budget, watch: Watch) -> None:
        """Train what is open on all folds, or fold by fold; what goes wrong is noted with its trials."""
        views = self._views()
        by_fold = self.axis == "folds"
        for some in [[view] for view in views] if by_fold else [views]:
            still = [entry for entry in entries if entry.is_open]
            if not still:
                return
            self._attempt(still, some, None if by_fold else prune, budget, watch)
            done = some[-1].fold + 1
            for entry in still:
                note_trouble(entry)
                if entry.is_open and prune is not None and by_fold and done < self.folds:
                    value = self._judge.scored(entry, range(done))[0]
                    if math.isfinite(value) and prune(entry.trial.number, done, value):
                        entry.pruned = f"it fell behind in fold {done} of {self.folds}"

    def _attempt(
        self, entries: list[Entry], views: list[_View], prune: Prune | None, budget: Budget, watch: Watch
    ) -> None:
        """Train the entries; those that memory does not hold together are tried in two halves."""
        try:
            self._fit(entries, views, prune, budget, watch)
        except (ConfigError, BudgetError, DivergenceError, MissingExtraError) as error:
            for entry in entries:
                entry.failed = str(error)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error):
                raise
            if len(entries) == 1:
                entries[0].failed = f"memory did not hold it ({str(error).splitlines()[0]}). Search smaller networks."
                return
            middle = len(entries) // 2
            for half in (entries[:middle], entries[middle:]):
                self._attempt([entry for entry in half if entry.is_open], views, prune, budget, watch)

    def _views(self) -> list[_View]:
        """The rows of each fold, or those of training and validation."""
        if self._deal is None:
            return [_View(0, self._found.train, Resident(self._found.valid))]
        weight = self._judge.weight
        weighs = None if weight is None else torch.from_numpy(weight).float()
        rows = replace(self._found.valid, weight=weighs)
        learns = [torch.from_numpy(np.flatnonzero(each)) for each in self._deal.learns]
        judges = [torch.from_numpy(places) for places in self._judge.places]
        return [
            _View(fold, Resident(rows[learn]), Resident(rows[judge]))
            for fold, (learn, judge) in enumerate(zip(learns, judges, strict=True))
        ]

    def _fit(self, entries: list[Entry], views: list[_View], prune: Prune | None, budget: Budget, watch: Watch) -> None:
        """Train the entries as one network on the rows of each view."""
        job = entries[0].job
        lots = [self._lot(entries, view) for view in views]
        config, first = job.train, lots[0]
        key = job.name, round(math.log2(first.network.parameter_count)), rows_a_step(config, first.train, first.network)
        threads = self._threads.setdefault(key, threads_for(config, first.network))
        with using_threads(config.threads):
            fit_together(
                lots, config, seed=self._seed, budget=budget, watch=watch,
                policy=changes_of(job.model, config, first.train, self._found), ends=self._ends(entries, prune),
                keeps=self.keeps, threads=threads,
            )  # fmt: skip

    def _lot(self, entries: list[Entry], view: _View) -> Lot:
        """The members of all entries that learn from the rows of a view, with courses of their own."""
        job = entries[0].job
        seeds = [
            [entry.trial.seed + variant * self.folds + view.fold for variant in range(entry.job.model.members)]
            for entry in entries
        ]
        each = [seed for some in seeds for seed in some]
        dropout = max(entry.job.model.dropout for entry in entries)
        model = job.model.model_copy(update={"dropout": dropout, "members": len(each)})
        network = moved(network_of(self._found, model, each), self._device)
        if len(entries) > 1 and not self._has_room(network, job, len(view.train)):
            raise MemoryError(f"{len(each)} members of {job.name}")  # they are tried in halves
        network.rows_at_once = min(network.rows_at_once, _BLOCK)
        view = _reweighed(view) if job.train.fairness == "reweigh" else view
        train, valid = (rows.reading(network.reads).to(self._device) for rows in (view.train, view.valid))
        scale = scaled_rate(job.train, rows_a_step(job.train, train, network))
        members: list[Member] = []
        courses: list[Course] = []
        for entry, own in zip(entries, seeds, strict=True):
            entry.parameters = network.parameter_count // len(each) * len(own)
            entry.courses[view.fold] = [Course() for _ in own]
            members += members_of(entry.job, own, scale)
            courses += entry.courses[view.fold]
        name = _named(entries) + (f", fold {view.fold + 1}" if self.folds > 1 else "")
        half = self._judge.halves[view.fold]
        return Lot(network, train, valid, members, courses, name, None if half is None else torch.from_numpy(half))

    def _has_room(self, network: Network, job: Job, rows: int) -> bool:
        """Whether memory holds the members, for all folds, at the batch that one alone would have."""
        wanted = {"auto": suited(rows), "full": rows}.get(str(job.train.batch), job.train.batch)
        taken = 4 * _COPIES * network.parameter_count * self.folds
        fits = isinstance(wanted, int) and min(wanted, rows) <= fitting(network)
        return fits and taken <= _SHARE_OF_MEMORY * free_memory(self._device)

    def _ends(self, entries: list[Entry], prune: Prune | None) -> Callable[[int], None]:
        """What is done after an epoch: trials that are pruned end, and those of which a fold was lost."""

        def ends(epoch: int) -> None:
            for entry in entries:
                note_trouble(entry)
                if entry.is_open and prune is not None and not entry.has_ended:
                    value = self._judge.scored(entry, range(self.folds))[0]
                    if math.isfinite(value) and prune(entry.trial.number, epoch, value):
                        entry.pruned = f"it fell behind in epoch {epoch}"
                if not entry.is_open:
                    for course in (each for fold in entry.courses.values() for each in fold):
                        course.ended = True

        return ends

    # Values -----------------------------------------------------------------------------------------------------------

    def _outcome(self, entry: Entry) -> Outcome:
        number, epochs, parameters = entry.trial.number, entry.epochs, entry.parameters
        if entry.failed:
            return Outcome(number, "failed", epochs=epochs, parameters=parameters, reason=entry.failed)
        done = tuple(fold for fold in range(self.folds) if fold in entry.courses)
        value, by_fold, answer = self._judge.scored(entry, done)
        if not math.isfinite(value):
            reason = f"{self.metric.label} is not defined for what it answered"
            return Outcome(number, "failed", epochs=epochs, parameters=parameters, reason=reason)
        state: Literal["pruned", "complete"] = "pruned" if entry.pruned else "complete"
        if state == "complete":
            keep_answers(self.answers, number, answer)
            if self._keeps_last:
                keep_answers(self.answers / LAST, number, self._judge.last(entry))
            if self.keeps:
                keep_network(self.answers, number, entry.learned)
        latency = self._latency(entry) if self.times and state == "complete" else None
        gap = self._gap.value(answer) if self._gap is not None and state == "complete" else None
        return Outcome(number, state, value, by_fold, epochs, 0.0, parameters, entry.pruned, latency, gap)

    def gap_of_trial(self, number: int, confidence: float) -> Gap:
        """The gap between groups of a completed trial, with its interval and what chance gives.

        Raises:
            BundleError: what it answered is missing or damaged.
        """
        assert self._gap is not None
        return self._gap.told(read_answer(self.answers, number), confidence=confidence, seed=self._seed)

    def network_of_trial(self, trial: Trial, seconds: float) -> TrainedNetwork:
        """The network of a completed trial as it was judged, with a member for each variant and fold.

        Args:
            trial: that was judged with these rows. seconds: that it took.

        Raises:
            BundleError: it was not kept, is damaged, or is not judged as the trial was.
        """
        job = self._job(trial)
        if isinstance(job, AssayError):
            raise job
        return assembled(self.answers, trial, job, seconds, self._found)

    def recall(self, known: Iterable[tuple[Trial, float]]) -> None:
        """Take what was measured before, so that a study that goes on has one number for one shape."""
        for trial, latency in known:
            self._latencies.setdefault(_shape(trial), latency)

    def _latency(self, entry: Entry) -> float:
        """Microseconds a row of an untrained network of the trial's shape, by itself: weights do not change them."""
        shape = _shape(entry.trial)
        if shape not in self._latencies:
            seeds = range(entry.job.model.members)
            network = moved(network_of(self._found, entry.job.model, list(seeds)), self._device)
            self._latencies[shape] = microseconds_a_row(network, self._found.valid.inputs)
        return self._latencies[shape]


def _reweighed(view: _View) -> _View:
    """The view with training rows weighed so that group and class are independent; those that judge stay as they are.

    Raises:
        ConfigError: the rows come without their groups.
    """
    assert isinstance(view.train, Resident)
    rows = view.train.rows
    if rows.groups is None:
        raise ConfigError("train.fairness=reweigh needs the sensitive group of every row",
                          "the rows of this training come without", "Ask for --objective score,fairness.")  # fmt: skip
    weight = None if rows.weight is None else rows.weight.double().numpy()
    factors = reweighing(rows.groups.numpy(), rows.target.numpy(), weight)
    weights = torch.from_numpy(factors if weight is None else weight * factors).float()
    return replace(view, train=view.train.weighing(weights))


def _shape(trial: Trial) -> object:
    """The options that say how large its network is."""
    return tuple(sorted((key, value) for key, value in trial.options.items()
                        if key.startswith("model.") and key != "model.dropout"))  # fmt: skip


def _named(entries: Sequence[Entry]) -> str:
    """The family, and which trials it is of."""
    numbers = [entry.trial.number for entry in entries]
    some = f"trial {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} trials from {numbers[0]} on"
    return f"{entries[0].job.name}, {some}"
