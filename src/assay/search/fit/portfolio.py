"""From examples to a model: the networks of a plan are trained one after another and combined by what they got right.

`plan.py` says which networks, `beside.py` what else is trained, `assembly.py` makes one model of them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from assay.data.config import SplitConfig
from assay.data.encode import Encoder
from assay.data.folds import deal_folds
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split import Split
from assay.data.stored import Spill
from assay.errors import BudgetError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.ensemble.distill import SHARE_OF_STUDENT, distilled
from assay.search.ensemble.model_verdicts import write_augmentation, write_model
from assay.search.fit.assembly import combine
from assay.search.fit.beside import SHARE_OF_TREES, Lesson, train_beside, write_beside
from assay.search.fit.class_balance import with_balance
from assay.search.fit.fair import with_groups
from assay.search.fit.for_pictures import begin_pictures
from assay.search.fit.further import further_jobs, train_further
from assay.search.fit.several import plan_settings
from assay.search.fit.text_policy import text_substitutes
from assay.search.fit.texts import SHARE_OF_TUNED, words_read
from assay.search.planning.jobs import Job, Plan
from assay.search.planning.plan import plan
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples, examples, folded
from assay.train.model import Model, TrainedNetwork, train_network
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

#: Share of the time left below which no further network is begun.
_LEAST_SHARE = 0.08


def search(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    *,
    dealing: SplitConfig,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None = None,
    spill: Spill | None = None,
    known: Sequence[TrainedNetwork] = (),
) -> Model:
    """The model: networks trained as planned, weighted greedily on rows they did not learn from.

    Encoded training rows that are too large for memory are put into the folder of `spill`. Where there are `known`
    networks, trained on these rows in `ensemble.folds` folds, no others are trained.

    Raises:
        DivergenceError: no network kept finite numbers.
        BudgetError: no time is left to train.
    """
    # A run that goes on has less time left, but its plan is that of then.
    allowed = budget.left if checkpoints is None else checkpoints.kept("seconds", budget.left)
    planned = plan_for(encoder, split, schema, model, train, ensemble, allowed)
    if known:
        planned = Plan((), ensemble.folds, "the networks that the search judged", "that of the search")
    of_student = SHARE_OF_STUDENT * allowed if ensemble.distill and not math.isinf(allowed) else 0.0
    budget = budget.holding(of_student)
    found, judge = planned_examples(encoder, split, schema, planned, dealing, seed, spill, ledger)
    found = replace(found, bagged=ensemble.bagging, words=text_substitutes(encoder, split.train, planned, ledger))
    found = with_groups(found, judge if planned.folds > 1 else split.train, judge, schema, train, ledger)
    lesson = Lesson(found, schema, train, ensemble, seed, budget, watch, checkpoints)
    beside = train_beside(lesson, split.train)
    networks = [*known, *beside.networks]
    pictures = begin_pictures(lesson, planned, allowed, 0 if split.test is None else len(split.test), ledger)
    if pictures is not None:
        networks += pictures.networks
        planned, budget = pictures.planned, pictures.budget
    if not networks and not planned.jobs:
        planned = replace(planned, jobs=planned.spare)
    planned = with_balance(
        planned, encoder, split, schema, train, dealing=dealing, seed=seed, budget=budget, watch=watch, ledger=ledger,
        checkpoints=checkpoints,
    )  # fmt: skip
    if planned.jobs and not any(each.part.trained.interrupted for each in networks):
        networks += _train_all(found, planned, seed, budget, watch, ledger, checkpoints, has_others=bool(networks))
        jobs = () if math.isinf(allowed) else further_jobs(planned, len(judge), schema, model, train, ensemble)
        more = _train_more(networks, jobs, found, judge, schema, seed, budget, watch, checkpoints)
        networks += more
        trained = {each.part.name for each in more}
        planned = planned.with_further([job for job in jobs if job.name in trained])
    losses: Mapping[str, float] = {}
    if pictures is not None:
        networks, losses = pictures.with_views(networks, lesson, ledger)
    whole = combine(networks, found, judge, schema, encoder, stacking=ensemble.stacking, seed=seed)
    write_model(ledger, whole, networks, planned, ensemble, seed, budget)
    write_augmentation(ledger, whole, networks, "" if pictures is None else pictures.told, losses)
    write_beside(ledger, lesson, beside, whole, networks)
    if ensemble.distill:
        return distilled(
            whole, planned, found, split, schema, seed=seed, budget=budget.holding(-of_student), watch=watch,
            ledger=ledger, checkpoints=checkpoints,
            alone=lambda made, rows: combine([made], rows, split.valid, schema, encoder, seed=seed),
        )  # fmt: skip
    return whole


def plan_for(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    seconds: float,
) -> Plan:
    """The plan for these rows, as they are encoded, and so many seconds of training.

    Raises:
        ConfigError: see `plan`.
    """
    if ensemble.settings:
        return plan_settings(encoder, len(split.train) + len(split.valid), schema, model, train, ensemble, seconds)
    tunes = bool(encoder.layout.places("windows"))
    for_networks = seconds * (1.0 - ensemble.trees * SHARE_OF_TREES - tunes * SHARE_OF_TUNED)
    return plan(
        len(split.train) + len(split.valid), schema, model, train, ensemble, Budget(for_networks),
        has_encoder=encoder.frozen is not None, steps=max((item.length for item in encoder.inputs), default=0),
        has_pictures=any(item.picture is not None for item in encoder.inputs),
        tunes=tunes, words=words_read(encoder, split.train),
    )  # fmt: skip


def planned_examples(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    planned: Plan,
    dealing: SplitConfig,
    seed: int,
    spill: Spill | None,
    ledger: Ledger,
) -> tuple[Examples, Rows]:
    """What the plan learns from, and the rows whose targets are judged by."""
    if planned.folds < 2:
        found = examples(encoder, split.train, split.valid, schema, seed=seed, spill=spill, ledger=ledger)
        return found, split.valid
    rows = joined(split.train, split.valid)
    return folded(encoder, rows, schema, deal_folds(rows, schema, dealing, planned.folds, seed), spill), rows


def _train_all(
    found: Examples,
    planned: Plan,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    *,
    has_others: bool,
) -> list[TrainedNetwork]:
    """The networks of the plan, in its order, each in its share of the time that is left.

    has_others: whether there is something to answer with when no network can be trained.
    """
    networks: list[TrainedNetwork] = []
    lost: list[str] = []
    allowed = budget.left
    for place, job in enumerate(planned.jobs):
        own = None if checkpoints is None else checkpoints.within(job.name)
        is_begun = own is not None and own.newest is not None
        if networks and not is_begun and budget.left < _LEAST_SHARE * allowed:
            lost.append(f"{job.name} (no time was left)")
            continue
        try:
            networks.append(_train(found, job, planned.jobs[place:], seed, budget, watch, own))
        except (DivergenceError, BudgetError) as error:
            if not networks and not has_others and job is planned.jobs[-1]:
                raise
            lost.append(f"{job.name} ({error.came})")
        if networks and networks[-1].part.trained.interrupted:
            break
    if lost:
        ledger.record("search.recipes", Outcome.WARNED, f"not trained: {', '.join(lost)}", value=len(networks))
    return networks


def _train_more(
    networks: Sequence[TrainedNetwork],
    jobs: Sequence[Job],
    found: Examples,
    judge: Rows,
    schema: Schema,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
) -> list[TrainedNetwork]:
    """Networks for the time that is left, each in all of it: most end by themselves."""
    if not jobs or any(each.part.trained.interrupted for each in networks):
        return []

    def kept(job: Job) -> Checkpoints | None:
        return None if checkpoints is None else checkpoints.within(job.name)

    def is_begun(job: Job) -> bool:
        own = kept(job)
        return own is not None and own.newest is not None

    def train(job: Job) -> TrainedNetwork:
        return _train(found, job, [job], seed, budget, watch, kept(job))

    return train_further(networks, jobs, found, judge, schema, train, budget, is_begun)


def _train(
    found: Examples,
    job: Job,
    still: Sequence[Job],
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
) -> TrainedNetwork:
    own = budget.part(job.share / sum(each.share for each in still))
    return train_network(
        found, job.name, job.model, job.train, seed=seed, budget=own, watch=Named(watch, job.name), vary=job.vary,
        checkpoints=checkpoints,
    )  # fmt: skip
