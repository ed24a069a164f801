"""One network in the place of an ensemble: it learns what the ensemble answers, and is exported instead.

Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network (2015), sections 2 and 3: a student learns
from a mean of the teacher's probabilities and of the classes. A row with probabilities is as many rows as it has likely
classes, each weighted by its probability: their weighted log losses are the cross-entropy, with the loop as it is. With
folds the teacher's answers are those of networks that had not learned from the row, so that the student does not learn
how sure they are of what they know by heart.

Letters: n rows, K classes, C of them that a row may stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.batches import Batch, Resident
from assay.data.encode import Encoded
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.calibration.calibrate import mixed_probabilities
from assay.evaluate.distilled import student_of
from assay.evaluate.distilled_record import in_words
from assay.ledger import Ledger, Outcome
from assay.models.config import TEXTS
from assay.search.plan import Job, Plan
from assay.train.budget import Budget
from assay.train.examples import Examples, relative
from assay.train.loop import predict
from assay.train.model import Model, TrainedNetwork, train_network
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

Floats = NDArray[np.float64]

STUDENT, PRACTICE = "student", "search.distillation"
#: The student's share of the time of a run; the weight of the classes beside the teacher's probabilities; the classes
#: that a row may stand for; rows that it learns from at most where they do not lie in memory.
SHARE_OF_STUDENT, _HARD, _CLASSES, _ROWS = 0.25, 0.3, 3, 200_000
#: The model of one network that was trained on these rows.
Alone = Callable[[TrainedNetwork, Examples], Model]


@dataclass(frozen=True)
class Taught:
    """Rows that the teacher was asked about: what they are, and what it says of them."""

    inputs: Encoded
    rows: Rows
    told: Floats


def distilled(
    teacher: Model,
    planned: Plan,
    found: Examples,
    split: Split,
    schema: Schema,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    alone: Alone,
) -> Model:
    """One network in the place of the ensemble, or the ensemble itself where no student could be trained.

    Args:
        found: the rows that the networks of the teacher learned from and were judged by.
        alone: makes the student's model.
    """
    if teacher.members == 1:
        ledger.record(PRACTICE, Outcome.SKIPPED, "the model is one network already")
        return teacher
    if any(part.trained.interrupted for part in teacher.parts):
        ledger.record(PRACTICE, Outcome.WARNED, "the ensemble stands, for training was interrupted before a student's")
        return teacher
    job = _job_of(teacher, (*planned.jobs, *planned.spare))
    if job is None:
        ledger.record(PRACTICE, Outcome.WARNED, "the ensemble stands, for none of its parts is a network to learn as")
        return teacher
    own = one_split(found, split)
    lesson = _lesson(own, _asked(teacher, own, split.train, schema, is_folded=bool(found.folds)), schema, job)
    kept = None if checkpoints is None else checkpoints.within(STUDENT)
    try:
        network = train_network(
            replace(own, train=lesson), STUDENT, job.model, job.train, seed=seed, budget=budget,
            watch=Named(watch, STUDENT), checkpoints=kept,
        )  # fmt: skip
    except (BudgetError, DivergenceError) as error:
        ledger.record(PRACTICE, Outcome.WARNED, f"the ensemble stands, for no student could be trained: {error.came}")
        return teacher
    student = replace(alone(network, own), teacher=teacher)
    write_distillation(ledger, student, split, schema, seed=seed)
    return student


def _job_of(teacher: Model, jobs: Sequence[Job]) -> Job | None:
    """The student's network: one member of the family with the largest share of the ensemble.

    What its training did about classes and how sure answers may be, the teacher's answers have in them.
    """
    shares = {part.name: part.share for part in teacher.parts}
    if not jobs:
        return None
    job = max(jobs, key=lambda each: shares.get(each.name, 0.0))
    train = job.train.model_copy(update={"balance": "none", "label_smoothing": 0.0})
    return replace(job, model=job.model.model_copy(update={"members": 1}), train=train)


def one_split(found: Examples, split: Split) -> Examples:
    """The examples without their folds: training rows to learn from, validation rows to be judged by."""
    if not found.folds:
        return replace(found, bagged=False)
    whole, rows = found.valid, len(split.train)
    train = Batch(whole.inputs[:rows], whole.target[:rows], _weights(split.train))
    valid = Batch(whole.inputs[rows:], whole.target[rows:], _weights(split.valid))
    return replace(found, train=Resident(train), valid=valid, folds=0, bagged=False)


def _weights(rows: Rows) -> Tensor | None:
    weight = relative(rows.weight)
    return None if weight is None else torch.from_numpy(weight).float()


# What the teacher says ------------------------------------------------------------------------------------------------


def _asked(teacher: Model, found: Examples, train: Rows, schema: Schema, *, is_folded: bool) -> Taught:
    """The teacher's answers to the training rows, or to many of them where they do not lie in memory."""
    assert teacher.choice is not None
    if is_folded:
        assert isinstance(found.train, Resident)
        told = teacher.choice.mixed(teacher.choice.shares)[: len(train)]
        return Taught(found.train.rows.inputs, train, told)
    if isinstance(found.train, Resident):
        inputs, rows = found.train.rows.inputs, train
    else:
        places = sample_of(len(train), _ROWS)
        rows = train if places is None else train.at(places)
        inputs = found.encoder.encode_rows(rows)
    raw = predict(teacher.ensemble, inputs).numpy()
    if not schema.is_classification:
        return Taught(inputs, rows, teacher.in_units(raw))
    assert teacher.head.temperatures is not None
    stated = mixed_probabilities(raw, teacher.head.temperatures, teacher.head.shares)
    return Taught(inputs, rows, np.asarray(stated, np.float64))


def _lesson(found: Examples, taught: Taught, schema: Schema, job: Job) -> Resident:
    """The rows that the student learns from; media that it does not read are not repeated with them."""
    inputs = taught.inputs if job.model.name in TEXTS else taught.inputs.reading(())
    own, target = _weights(taught.rows), taught.rows.target
    if not schema.is_classification:
        aims = _HARD * target + (1.0 - _HARD) * taught.told
        return Resident(Batch(inputs, torch.from_numpy((aims - found.units.mean) / found.units.deviation).float(), own))
    places, classes, shares = soft_rows(taught.told, target)
    taken, weight = torch.from_numpy(places), torch.from_numpy(shares).float()
    weight = weight if own is None else weight * own[taken]
    return Resident(Batch(inputs[taken], torch.from_numpy(classes), weight / weight.mean()))


def soft_rows(told: Floats, target: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows whose weighted log losses are the cross-entropy with the aims: place, class and share of each.

    Aims are means of the teacher's probabilities (n, K) and of the classes; the likeliest C of a row are kept.
    """
    aims = (1.0 - _HARD) * told
    aims[np.arange(len(target)), target] += _HARD
    kept = min(_CLASSES, aims.shape[1])
    classes = np.sort(np.argsort(-aims, axis=1, kind="stable")[:, :kept], axis=1)
    shares = np.take_along_axis(aims, classes, axis=1)
    shares /= shares.sum(1, keepdims=True)
    places = np.repeat(np.arange(len(target)), kept)
    return places, np.asarray(classes.ravel(), np.int64), np.asarray(shares.ravel(), np.float64)


def write_distillation(ledger: Ledger, student: Model, split: Split, schema: Schema, *, seed: int) -> None:
    """The verdict on the student: what it loses on validation rows, a warning where that is more than chance."""
    found = student_of(student, split.valid, schema, seed=seed)
    low, value = found.validation.low, found.validation.value
    is_sure = low is not None and low > 0.0
    ledger.record(PRACTICE, Outcome.WARNED if is_sure else Outcome.APPLIED, in_words(found), value=value)
