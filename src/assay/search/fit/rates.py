"""The range tests of a plan: every network that a fit would train, tested and not trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from assay.data.config import SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.data.stored import Spill
from assay.errors import DivergenceError
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.fit.portfolio import plan_for, planned_examples
from assay.search.planning.jobs import Job
from assay.train.batch_size import rows_a_step
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.lr_find import range_test
from assay.train.model import start_of
from assay.train.rate_curve import FEWEST_STEPS, NOT_FINITE, RateCurve, sweep_for
from assay.train.watch import Watch

#: Passes over the training rows from which what a test sees is rather memory than learning.
_MANY_PASSES = 20


def find_rates(
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
    steps: int,
    low: float | None,
    high: float | None,
    watch: Watch,
    spill: Spill | None = None,
) -> tuple[RateCurve, ...]:
    """The curve of each network of the plan, in its order, on the rows and with the settings a fit would give it.

    `low` and `high` are the first and the last rate, None for those that suit the optimiser.

    Raises:
        ConfigError: steps, rates or options that cannot be.
        DivergenceError: a network had no finite loss at the lowest rates already.
    """
    planned = plan_for(encoder, split, schema, model, train, ensemble, budget.left)
    found, _ = planned_examples(encoder, split, schema, planned, dealing, seed, spill, Ledger())
    found = replace(found, bagged=ensemble.bagging)
    curves = []
    for place, job in enumerate(planned.jobs, start=1):
        watch.stage(f"test rates of {job.name} ({place} of {len(planned.jobs)})")
        curves.append(_tested(found, job, seed, steps, (low, high), watch))
    return tuple(curves)


def _tested(found: Examples, job: Job, seed: int, steps: int, ends: Sequence[float | None], watch: Watch) -> RateCurve:
    start = start_of(found, job.model, job.train, seed=seed, vary=job.vary)
    sweep = sweep_for(start.config, job.train.lr, steps, *ends)
    tested = range_test(
        job.name, start.network, start.train, start.valid, start.config, start.members, sweep, seed=seed,
        scale=start.scale, tell=watch.note,
    )  # fmt: skip
    if tested.ended == NOT_FINITE and len(tested.rates) < FEWEST_STEPS // 2:
        _refuse(tested)
    batch = rows_a_step(start.config, start.train, start.network) * start.config.accumulate
    passes = math.ceil(len(tested.rates) * batch / len(start.train))
    if passes > _MANY_PASSES:
        watch.note(
            f"the test of {job.name} went over its {len(start.train):,} training rows {passes} times: much of what it "
            "saw is memory; take its suggestion with care"
        )
    return tested


def _refuse(tested: RateCurve) -> None:
    steps = len(tested.rates)
    raise DivergenceError(
        "a range test must begin with finite numbers",
        f"the loss of {tested.network} or its gradient was not finite "
        f"{'at the first step' if not steps else f'after {steps} steps'}, at a rate of {tested.diverged or 0.0:.2g}",
        "Check the data for extreme values with `assay audit`, or begin lower with --lowest.",
    )
