"""What the networks of a fit have in common, and how those of a plan are trained within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import BudgetError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.fit.assembly import judged_weight, network_loss
from assay.search.planning.jobs import Job, Plan, plainly
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.model import TrainedNetwork, train_network
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

#: Share of the time left below which no further network is begun.
_LEAST_SHARE = 0.08
#: How much less the plain network must lose on plain numbers, relatively, for others to have them too.
_LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Fitting:
    """What networks learn from, by what, and within what.

    judge: the rows whose targets validation is judged by. model, train, ensemble: what the user said.
    """

    found: Examples
    judge: Rows
    schema: Schema
    model: ModelConfig
    train: TrainConfig
    ensemble: EnsembleConfig
    seed: int
    budget: Budget
    watch: Watch
    ledger: Ledger
    checkpoints: Checkpoints | None

    def within(self, name: str) -> Checkpoints | None:
        """Where a network of that name goes on."""
        return None if self.checkpoints is None else self.checkpoints.within(name)

    def is_begun(self, job: Job) -> bool:
        """Whether a run that goes on had begun the job."""
        own = self.within(job.name)
        return own is not None and own.newest is not None

    def following(self, job: Job, networks: Sequence[TrainedNetwork]) -> Job:
        """The job on plain numbers where the network that it follows lost clearly less on them."""
        by_name = {each.part.name: each for each in networks}
        widened, plain = by_name.get(job.follows), by_name.get(plainly(job.follows))
        if widened is None or plain is None:
            return job
        own, on_plain = (self.loss(each) for each in (widened, plain))
        return job.on_plain_numbers() if on_plain < own - _LEAST_GAIN * abs(own) else job

    def loss(self, trained: TrainedNetwork) -> float:
        """The validation loss of the mean of a network's variants."""
        return network_loss(trained, self.found, self.judge, judged_weight(self.found, self.judge), self.schema)

    def trained(self, job: Job, share: float = 1.0) -> TrainedNetwork:
        """The network of the job, within so much of the time that is left.

        Raises:
            DivergenceError: it did not keep finite numbers.
            BudgetError: there is no time to train it.
        """
        return train_network(
            self.found, job.name, job.model, job.train, seed=self.seed, budget=self.budget.part(share),
            watch=Named(self.watch, job.name), vary=job.vary, checkpoints=self.within(job.name),
        )  # fmt: skip


def is_interrupted(networks: Sequence[TrainedNetwork]) -> bool:
    """Whether the training of one of them was ended by Ctrl-C, after which no other is begun."""
    return any(each.part.trained.interrupted for each in networks)


def train_planned(fitting: Fitting, planned: Plan, *, has_others: bool) -> tuple[Plan, list[TrainedNetwork]]:
    """The plan as it was followed and its networks, in its order, each in its share of the time that is left.

    has_others: whether there is something to answer with when no network can be trained.
    """
    networks: list[TrainedNetwork] = []
    followed: list[Job] = []
    lost: list[str] = []
    allowed = fitting.budget.left
    for place, asked in enumerate(planned.jobs):
        job = fitting.following(asked, networks)
        followed.append(job)
        still = planned.jobs[place:]
        if networks and not fitting.is_begun(job) and fitting.budget.left < _LEAST_SHARE * allowed:
            lost.append(f"{job.name} (no time was left)")
            continue
        try:
            networks.append(fitting.trained(job, job.share / sum(each.share for each in still)))
        except (DivergenceError, BudgetError) as error:
            if not networks and not has_others and asked is planned.jobs[-1]:
                raise
            lost.append(f"{job.name} ({error.came})")
        if is_interrupted(networks):
            break
    if lost:
        told = f"not trained: {', '.join(lost)}"
        fitting.ledger.record("search.recipes", Outcome.WARNED, told, value=len(networks))
    return replace(planned, jobs=tuple(followed)), networks
