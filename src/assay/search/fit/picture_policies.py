"""Which changes of pictures networks are trained with: those that validation bears and, given time, gains by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.ledger import Ledger, Outcome
from assay.models.config import PICTURES, Augment
from assay.search.fit.views import judged
from assay.search.planning.jobs import Job, Plan
from assay.train.augment.image_policy import ImagePolicy, mirrors
from assay.train.budget import Budget
from assay.train.examples import Examples
from assay.train.families.mirror import mirror_test
from assay.train.model import TrainedNetwork
from assay.train.speed import seconds_a_pass
from assay.train.state import Checkpoints

#: Passes that each of two trainings must have before a second policy is tried, and each of three before a third: below
#: them a network learns more from a longer training than from other changes.
_PASSES = (30, 60)
#: Seconds of training that are planned with where no time was given, and those that saving another network takes.
_UNLIMITED, _SAVING = 600.0, 4.0


@dataclass(frozen=True)
class _Other:
    """A policy that is tried beside the first: how the network is called then, its name and what goes on top of it."""

    called: str
    augment: Augment
    pictures: ImagePolicy


#: What is tried where pictures may be mirrored, and where not; first come `flip` and `shift`.
_MIRRORED = (
    _Other("with squares cut out", "strong", ImagePolicy()),
    _Other("with TrivialAugment", "trivial", ImagePolicy(flip="alternating")),
)
_UPRIGHT = (
    _Other("with erased parts", "shift", ImagePolicy(erase=0.5)),
    _Other("on unchanged pictures", "none", ImagePolicy()),
)


@dataclass(frozen=True)
class Mirroring:
    """Whether training mirrors pictures: anywhere, and where the choice was left open."""

    anywhere: bool
    where_open: bool

    def of(self, job: Job) -> bool:
        """Whether the pictures of a network are mirrored."""
        return self.where_open if _leaves_mirroring_open(job) else mirrors(job.model.augment, job.train.pictures)


def choose_mirroring(found: Examples, planned: Plan, seed: int, ledger: Ledger) -> Mirroring:
    """Ask validation whether pictures may be mirrored, unless the options say so; the ledger has the numbers."""
    jobs = [job for job in planned.jobs if job.model.name in PICTURES]
    said = any(mirrors(job.model.augment, job.train.pictures) for job in jobs if not _leaves_mirroring_open(job))
    if not any(map(_leaves_mirroring_open, jobs)):
        done = "mirrored" if said else "not mirrored"
        outcome = Outcome.APPLIED if said else Outcome.SKIPPED
        ledger.record("train.mirroring", outcome, f"pictures are {done}, as the options say")
        return Mirroring(said, said)
    test = mirror_test(found, seed)
    done = f"so pictures are {'' if test.passed else 'not '}mirrored"
    outcome = Outcome.APPLIED if test.passed else Outcome.SKIPPED
    ledger.record("train.mirroring", outcome, f"{test.told()}, {done}", value=test.plain - test.mirrored)
    return Mirroring(test.passed or said, test.passed)


def _leaves_mirroring_open(job: Job) -> bool:
    return job.model.augment == "auto" and "flip" not in job.train.pictures.model_fields_set


def with_policies(
    found: Examples, planned: Plan, mirroring: Mirroring, budget: Budget, checkpoints: Checkpoints | None, seed: int
) -> tuple[Plan, str]:
    """The plan with the changes of pictures chosen where they were left open; and what is tried, or why nothing is.

    The network of assay's own is trained again, with other changes, where each training has passes enough; the greedy
    weights then keep what validation gains by. A run that goes on tries what it tried.
    """
    jobs = [_settled(job, mirroring) for job in planned.jobs]
    able = [job for job, before in zip(jobs, planned.jobs, strict=True) if job is not before and _may_be_tried(job)]
    if not able:
        return replace(planned, jobs=tuple(jobs)), ""
    first = able[0]
    seconds = _UNLIMITED if math.isinf(budget.left) else max(budget.left, 0.0) * first.share
    passes = seconds / max(seconds_a_pass(found, first.model, first.train, seed=seed), 1e-9)
    if checkpoints is not None:
        passes = checkpoints.kept("passes", passes)
    others = (_MIRRORED if mirroring.of(first) else _UPRIGHT)[: _affordable(passes) - 1]
    if not others:
        reason = f"no other changes were tried: there is time for {passes:.0f} passes, and two trainings need "
        return replace(planned, jobs=tuple(jobs)), reason + f"{_PASSES[0]} each"
    share = first.share / (1 + len(others))
    place = jobs.index(first)
    jobs[place : place + 1] = [replace(first, share=share), *(_changed(first, other, share) for other in others)]
    told = f"{1 + len(others)} policies were tried in the time of {passes:,.0f} passes"
    return replace(planned, jobs=tuple(jobs)), told


def _settled(job: Job, mirroring: Mirroring) -> Job:
    """The job with the first policy, where it was left open."""
    if job.model.name not in PICTURES or job.model.augment != "auto":
        return job
    augment: Augment = "flip" if mirroring.of(job) else "shift"
    return replace(job, model=job.model.model_copy(update={"augment": augment}))


def _may_be_tried(job: Job) -> bool:
    """Whether the network is quick to train, and all its changes were left to assay."""
    return job.model.name == "cnn" and not job.train.pictures.model_fields_set


def _affordable(passes: float) -> int:
    """Trainings, with other changes each, that so many passes are enough for."""
    return 1 + sum(passes >= (2 + place) * least for place, least in enumerate(_PASSES))


def _changed(job: Job, other: _Other, share: float) -> Job:
    model = job.model.model_copy(update={"augment": other.augment})
    train = job.train.model_copy(update={"pictures": other.pictures})
    return replace(job, name=f"{job.name} {other.called}", model=model, train=train, share=share)


def seconds_to_save(planned: Plan) -> float:
    """What saving takes longer because of networks that are trained again with other changes."""
    again = len(planned.jobs) - len({job.model.name for job in planned.jobs})
    return _SAVING * again


def losses_of(networks: Sequence[TrainedNetwork], found: Examples) -> Mapping[str, float]:
    """The validation loss of each network of pictures, each at its best temperature; nothing of a single one."""
    able = [each for each in networks if each.part.is_network and each.part.model.name in PICTURES]
    if len(able) < 2:
        return {}
    return {each.part.name: float(judged(each.network, found)[0].mean()) for each in able}
