"""Networks for the time that a plan leaves: settings that do well on other tables, one after another while they help.

Small tables are learned by heart long before a budget ends. What the ensemble gains then is other networks on the same
rows and folds (Salinas & Erickson, TabRepo, AutoML 2024, section 5: ensembles over a portfolio of settings).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.data.schema import Kind
from assay.errors import BudgetError, DivergenceError
from assay.search.ensemble.combine import greedy_shares, mixture_loss
from assay.search.fit.assembly import candidate_answers, judged_weight
from assay.search.fit.fitting import Fitting, is_interrupted
from assay.search.planning.asked import asked
from assay.search.planning.jobs import Job, Plan, batch_for
from assay.search.planning.tables import cost
from assay.search.study.space import Setting
from assay.search.study.starts import of_portfolio
from assay.train.model import TrainedNetwork

#: Options that the settings change, each of which the user may have set.
_OF_MODEL, _OF_TRAIN = ("width", "layers", "dropout"), ("lr", "weight_decay", "batch")
#: Kinds of columns that the tables of the portfolio have.
_CELLS = (Kind.NUMBER, Kind.CATEGORY, Kind.BOOLEAN, Kind.DATETIME)
#: Passes for which there must be the time, the share by which a network must lower the validation loss of the mixture,
#: and how many in turn may fail to.
_PASSES, _LEAST_GAIN, _IN_VAIN = 25, 1e-3, 3


def further_jobs(planned: Plan, fitting: Fitting) -> tuple[Job, ...]:
    """The best settings of each of the plan's families in turn.

    There are none where the user said which or how long, of other rows, without folds, where few rows would judge, and
    without an end.
    """
    model, train, ensemble, schema = fitting.model, fitting.train, fitting.ensemble, fitting.schema
    said = model.model_fields_set & {*_OF_MODEL, "members"} | train.model_fields_set & {*_OF_TRAIN, "epochs"}
    is_open = asked(model, ensemble) is None and not ensemble.settings and not said
    is_table = schema.windowing is None and all(column.kind in _CELLS for column in schema.features)
    if not is_open or not is_table or planned.folds < 2 or math.isinf(fitting.budget.left):
        return ()
    each = [list(_changed(job, len(fitting.judge))) for job in planned.jobs]
    return tuple(job for job in chain.from_iterable(zip_longest(*each)) if job is not None)


def _changed(job: Job, rows: int) -> Iterator[Job]:
    """The job with each of its family's settings in the portfolio, one variant of it."""
    own: Setting = {f"model.{name}": getattr(job.model, name) for name in _OF_MODEL}
    own |= {f"train.{name}": getattr(job.train, name) for name in _OF_TRAIN}
    for place, setting in enumerate(of_portfolio(job.model.name, own), 2):
        model = {name: setting[f"model.{name}"] for name in _OF_MODEL} | {"members": 1}
        train = {name: setting[f"train.{name}"] for name in _OF_TRAIN}
        train["batch"] = batch_for(train["batch"], rows)
        yield replace(
            job, name=f"{job.name} {place}", model=job.model.model_copy(update=model),
            train=job.train.model_copy(update=train),
        )  # fmt: skip


def train_further(fitting: Fitting, networks: Sequence[TrainedNetwork], jobs: Sequence[Job]) -> list[TrainedNetwork]:
    """Those jobs for which there is the time, until several in turn brought the mixture of all networks nothing.

    Each has all of the time that is left: most end by themselves.

    networks: that were trained.
    """
    found, judge, schema = fitting.found, fitting.judge, fitting.schema

    def has_time(job: Job) -> bool:
        return fitting.is_begun(job) or fitting.budget.left >= _PASSES * _a_pass(job, networks, max(found.folds, 1))

    if is_interrupted(networks) or not any(map(has_time, jobs)):
        return []  # nobody needs what the networks answer
    weight = judged_weight(found, judge)
    answers = [one for each in networks for one in candidate_answers(each, found, judge, weight, schema)]
    loss, more, in_vain = _mixture(answers, judge, weight), [], 0
    for job in jobs:
        if not has_time(job):
            continue
        try:
            network = fitting.trained(job)
        except (BudgetError, DivergenceError):
            continue
        more.append(network)
        if network.part.trained.interrupted:
            break
        answers += candidate_answers(network, found, judge, weight, schema)
        before, loss = loss, _mixture(answers, judge, weight)
        in_vain = in_vain + 1 if loss > before * (1.0 - _LEAST_GAIN) else 0
        if in_vain == _IN_VAIN:
            break
    return more


def _mixture(answers: Sequence[NDArray[np.float64]], judge: Rows, weight: NDArray[np.float64] | None) -> float:
    """The validation loss of the greedy mixture."""
    shares = greedy_shares(answers, judge.target, weight)
    return mixture_loss(np.tensordot(shares, np.stack(answers), 1), judge.target, weight)


def _a_pass(job: Job, networks: Sequence[TrainedNetwork], folds: int) -> float:
    """Seconds of a pass, by the networks of its family that were trained; infinite where none was."""
    name, members = job.model.name, job.model.members * folds
    seconds = [
        each.part.trained.seconds / max(len(each.part.trained.epochs), 1)
        * cost(1, name, members, 1) / cost(1, name, each.part.members, 1)
        for each in networks if each.part.is_network and each.part.model.name == name
    ]  # fmt: skip
    return min(seconds, default=math.inf)
