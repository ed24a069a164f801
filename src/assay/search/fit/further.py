"""Networks for the time that a plan leaves: on other numbers, then settings that do well elsewhere.

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

from assay.data.schema import Kind
from assay.errors import BudgetError, DivergenceError
from assay.search.ensemble.combine import greedy_shares, mixture_loss
from assay.search.fit.assembly import candidate_answers, judged_weight
from assay.search.fit.fitting import Fitting, is_interrupted
from assay.search.planning.asked import asked
from assay.search.planning.jobs import Job, Plan, batch_for, may_be_plain
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
#: Rows of one split that say whether a network helps.
_JUDGES = 2_000


def with_further(
    planned: Plan, fitting: Fitting, networks: Sequence[TrainedNetwork]
) -> tuple[Plan, list[TrainedNetwork]]:
    """The plan with those jobs that there was the time for, and their networks.

    First the plan's own on the other numbers, plain or widened, then the best settings of each of its families in turn,
    on those that suited the family better, until several in turn brought the mixture nothing. Each has all of the time
    that is left: most end by themselves.

    There are none where the user said which or how long, of other rows, where few rows would judge, and without an end.

    networks: that were trained.
    """
    if not _is_open(planned, fitting) or is_interrupted(networks):
        return planned, []
    further, rows = _Further(fitting, networks), len(fitting.judge)
    for job in on_other_numbers(planned, fitting):
        further.train(job)
    tried = (*planned.jobs, *further.jobs)
    if any(map(further.has_time, of_portfolio_in_turn(tried, rows))):  # else nobody needs what the networks answer
        further.train_while_they_help(of_portfolio_in_turn(further.best_of_each_family(tried), rows))
    return planned.with_further(further.jobs), further.networks[len(networks) :]


def _is_open(planned: Plan, fitting: Fitting) -> bool:
    """Whether there may be further networks."""
    model, train, ensemble, schema = fitting.model, fitting.train, fitting.ensemble, fitting.schema
    said = model.model_fields_set & {*_OF_MODEL, "members"} | train.model_fields_set & {*_OF_TRAIN, "epochs"}
    is_open = asked(model, ensemble) is None and not ensemble.settings and not said
    is_table = schema.windowing is None and all(column.kind in _CELLS for column in schema.features)
    is_judged = planned.folds > 1 or len(fitting.judge) >= _JUDGES
    return is_open and is_table and is_judged and not math.isinf(fitting.budget.left)


def on_other_numbers(planned: Plan, fitting: Fitting) -> list[Job]:
    """The jobs on plain numbers, or on widened ones, whichever the plan has not."""
    if not may_be_plain(fitting.schema, fitting.model):
        return []
    names = {job.name for job in planned.jobs}
    others = [job.on_other_numbers() for job in planned.jobs]
    return [_of_one_variant(job) for job in others if job.name not in names]


def _of_one_variant(job: Job) -> Job:
    return replace(job, model=job.model.model_copy(update={"members": 1}))


def of_portfolio_in_turn(jobs: Sequence[Job], rows: int) -> list[Job]:
    """The best settings of each family of the jobs, one variant of each, the families in turn."""
    each = [list(_changed(job, rows)) for job in jobs]
    return [job for job in chain.from_iterable(zip_longest(*each)) if job is not None]


def _changed(job: Job, rows: int) -> Iterator[Job]:
    """The job with each of its family's settings in the portfolio."""
    own: Setting = {f"model.{name}": getattr(job.model, name) for name in _OF_MODEL}
    own |= {f"train.{name}": getattr(job.train, name) for name in _OF_TRAIN}
    for place, setting in enumerate(of_portfolio(job.model.name, own), 2):
        model = {name: setting[f"model.{name}"] for name in _OF_MODEL}
        train = {name: setting[f"train.{name}"] for name in _OF_TRAIN}
        train["batch"] = batch_for(train["batch"], rows)
        changed = replace(
            job, name=f"{job.name} {place}", model=job.model.model_copy(update=model),
            train=job.train.model_copy(update=train),
        )  # fmt: skip
        yield _of_one_variant(changed)


class _Further:
    """The networks of a fit as further ones join them, and what all of them answered to the rows of validation.

    jobs: of the further ones.
    """

    def __init__(self, fitting: Fitting, networks: Sequence[TrainedNetwork]) -> None:
        self.fitting = fitting
        self.networks = list(networks)
        self.jobs: list[Job] = []
        self._weight = judged_weight(fitting.found, fitting.judge)
        self._answers: dict[str, list[NDArray[np.float64]]] = {}

    def train(self, job: Job) -> bool:
        """Train the job where there is the time; whether it was trained."""
        if is_interrupted(self.networks) or not self.has_time(job):
            return False
        try:
            self.networks.append(self.fitting.trained(job))
        except (BudgetError, DivergenceError):
            return False
        self.jobs.append(job)
        return True

    def train_while_they_help(self, jobs: Sequence[Job]) -> None:
        """Train those jobs for which there is the time, until several in turn brought the mixture nothing."""
        loss, in_vain = self._mixture(), 0
        for job in jobs:
            if in_vain == _IN_VAIN:
                break
            if self.train(job) and not is_interrupted(self.networks):
                before, loss = loss, self._mixture()
                in_vain = in_vain + 1 if loss > before * (1.0 - _LEAST_GAIN) else 0

    def best_of_each_family(self, jobs: Sequence[Job]) -> list[Job]:
        """Of the jobs of each family that whose network loses least, families in the order in which they come."""
        loss = {each.part.name: self._loss(np.mean(self._of(each), axis=0)) for each in self.networks}
        best: dict[str, Job] = {}
        for job in jobs:
            kept = best.setdefault(job.model.name, job)
            if loss.get(job.name, math.inf) < loss.get(kept.name, math.inf):
                best[job.model.name] = job
        return list(best.values())

    def _mixture(self) -> float:
        """The validation loss of the greedy mixture of all."""
        answers = [one for each in self.networks for one in self._of(each)]
        shares = greedy_shares(answers, self.fitting.judge.target, self._weight)
        return self._loss(np.tensordot(shares, np.stack(answers), 1))

    def _loss(self, answers: NDArray[np.float64]) -> float:
        return mixture_loss(answers, self.fitting.judge.target, self._weight)

    def _of(self, network: TrainedNetwork) -> list[NDArray[np.float64]]:
        fitting, name = self.fitting, network.part.name
        if name not in self._answers:
            self._answers[name] = candidate_answers(network, fitting.found, fitting.judge, self._weight, fitting.schema)
        return self._answers[name]

    def has_time(self, job: Job) -> bool:
        """Whether the job was begun by a run that goes on, or there is the time for enough passes."""
        return self.fitting.is_begun(job) or self.fitting.budget.left >= _PASSES * self._a_pass(job)

    def _a_pass(self, job: Job) -> float:
        """Seconds of a pass, by the networks of its family that were trained; infinite where none was."""
        name, members = job.model.name, job.model.members * max(self.fitting.found.folds, 1)
        seconds = [
            each.part.trained.seconds / max(len(each.part.trained.epochs), 1)
            * cost(1, name, members, 1) / cost(1, name, each.part.members, 1)
            for each in self.networks if each.part.is_network and each.part.model.name == name
        ]  # fmt: skip
        return min(seconds, default=math.inf)
