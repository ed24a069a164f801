"""What the networks of a fit have in common, and how those of a plan are trained within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import BudgetError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.ensemble.combine import mixture_loss
from assay.search.fit.assembly import candidate_answers, judged_weight
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

    def gain_of_plain(self, name: str, networks: Sequence[TrainedNetwork]) -> float | None:
        """The share by which a network lost less on plain numbers than on widened ones; None where it has not both."""
        by_name = {each.part.name: each for each in networks}
        widened, plain = by_name.get(name), by_name.get(plainly(name))
        if widened is None or plain is None:
            return None
        before = self.loss(widened)
        return (before - self.loss(plain)) / before if before else 0.0

    def loss(self, trained: TrainedNetwork) -> float:
        """The validation loss of the mean of a network's variants."""
        weight = judged_weight(self.found, self.judge)
        answers = candidate_answers(trained, self.found, self.judge, weight, self.schema)
        return mixture_loss(np.mean(answers, axis=0), self.judge.target, weight)

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
    allowed, reason = fitting.budget.left, planned.reason
    for place, asked in enumerate(planned.jobs):
        job, still = asked, planned.jobs[place:]
        gain = fitting.gain_of_plain(asked.follows, networks)
        if gain is not None:
            job = asked.on_plain_numbers() if gain >= _LEAST_GAIN else asked
            reason = (
                f"{planned.reason} (loss {abs(gain):.1%} {'lower' if gain > 0.0 else 'higher'} than on widened ones)"
            )
        followed.append(job)
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
    return replace(planned, jobs=tuple(followed), reason=reason), networks
