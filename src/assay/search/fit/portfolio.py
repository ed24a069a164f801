"""From examples to a model: the networks of a plan are trained one after another and combined by what they got right.

`planning` says which networks, `beside.py` what else is trained, `assembly.py` makes one model of them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from assay.data.config import SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split.folds import deal_folds
from assay.data.split.split import Split
from assay.data.stored import Spill
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.ensemble.distill import SHARE_OF_STUDENT, distilled
from assay.search.ensemble.model_verdicts import write_augmentation, write_model
from assay.search.fit.assembly import combine
from assay.search.fit.beside import SHARE_OF_TREES, train_beside, write_beside
from assay.search.fit.class_balance import with_balance
from assay.search.fit.fair import with_groups
from assay.search.fit.fitting import Fitting, is_interrupted, train_planned
from assay.search.fit.for_pictures import begin_pictures
from assay.search.fit.further import with_further
from assay.search.fit.several import plan_settings
from assay.search.fit.text_policy import text_substitutes
from assay.search.fit.texts import SHARE_OF_TUNED, words_read
from assay.search.planning.jobs import Plan
from assay.search.planning.plan import plan
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples, examples, folded
from assay.train.model import Model, TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.watch import Watch


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
    networks, trained on these rows in `ensemble.folds` folds, only those of `ensemble.settings` are trained beside
    them.

    Raises:
        DivergenceError: no network kept finite numbers.
        BudgetError: no time is left to train.
    """
    # A run that goes on has less time left, but its plan is that of then.
    allowed = budget.left if checkpoints is None else checkpoints.kept("seconds", budget.left)
    planned = plan_for(encoder, split, schema, model, train, ensemble, allowed)
    if known:
        planned = _beside_known(planned, ensemble)
    of_student = SHARE_OF_STUDENT * allowed if ensemble.distill and not math.isinf(allowed) else 0.0
    found, judge = planned_examples(encoder, split, schema, planned, dealing, seed, spill, ledger)
    found = replace(found, bagged=ensemble.bagging, words=text_substitutes(encoder, split.train, planned, ledger))
    found = with_groups(found, judge if planned.folds > 1 else split.train, judge, schema, train, ledger)
    fitting = Fitting(
        found, judge, schema, model, train, ensemble, seed, budget.holding(of_student), watch, ledger, checkpoints
    )
    beside = train_beside(fitting, split.train)
    networks = [*known, *beside.networks]
    pictures = begin_pictures(fitting, planned, allowed, 0 if split.test is None else len(split.test))
    if pictures is not None:
        networks += pictures.networks
        planned, fitting = pictures.planned, replace(fitting, budget=pictures.budget)
    if not networks and not planned.jobs:
        planned = replace(planned, jobs=planned.spare)
    planned = with_balance(planned, fitting, encoder, split, dealing, is_settled=bool(known))
    if planned.jobs and not is_interrupted(networks):
        planned, trained = train_planned(fitting, planned, has_others=bool(networks))
        networks += trained
        planned, more = with_further(planned, fitting, networks)
        networks += more
    losses: Mapping[str, float] = {}
    if pictures is not None:
        networks, losses = pictures.with_views(networks, fitting)
    whole = combine(networks, found, judge, schema, encoder, stacking=ensemble.stacking, seed=seed)
    write_model(ledger, whole, networks, planned, ensemble, seed, fitting.budget)
    write_augmentation(ledger, whole, networks, "" if pictures is None else pictures.told, losses)
    write_beside(fitting, beside, whole, networks)
    if ensemble.distill:
        return distilled(
            whole, planned, found, split, schema, seed=seed, budget=fitting.budget.holding(-of_student), watch=watch,
            ledger=ledger, checkpoints=checkpoints,
            alone=lambda made, rows: combine([made], rows, split.valid, schema, encoder, seed=seed),
        )  # fmt: skip
    return whole


def _beside_known(planned: Plan, ensemble: EnsembleConfig) -> Plan:
    """What is trained beside networks that a search judged, in its folds."""
    reason, why_no_folds = "the networks that the search judged", "that of the search"
    if not ensemble.settings:
        return Plan((), ensemble.folds, reason, why_no_folds)
    return Plan(planned.jobs, ensemble.folds, f"{reason} and variants of its best settings", why_no_folds)


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
