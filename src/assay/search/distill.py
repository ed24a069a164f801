"""One network in the place of an ensemble: it learns what the ensemble answers, and is exported instead.

Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network (2015), sections 2 and 3: a student learns
from a mean of the teacher's probabilities and of the classes; labels, values and forecasts likewise. It sees the rows
as the teacher's networks did, changed at random where its family does so, and aims at what the teacher says of them as
they are. With folds the teacher's answers are those of networks that had not learned from the row, so that the student
does not learn how sure they are of what they know by heart.

Letters: n rows, K classes, L labels, H steps ahead, m rows that the teacher was asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.batches import Batch, Resident
from assay.data.encode import Encoded
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.distilled import student_of
from assay.evaluate.distilled_record import in_words
from assay.evaluate.nested import answers_of
from assay.ledger import Ledger, Outcome
from assay.search.plan import Job, Plan
from assay.train.budget import Budget
from assay.train.examples import Examples, Units, targets_of
from assay.train.loop import Trained, predict
from assay.train.model import Model, TrainedNetwork, train_network
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

Floats = NDArray[np.float64]

STUDENT, PRACTICE = "student", "search.distillation"
#: The student's share of the time of a run, and of that the share in which the teacher is asked.
SHARE_OF_STUDENT, _SHARE_OF_ASKING = 0.25, 0.3
#: The weight of the truth beside the teacher's answers; rows that are learned from at most where they do not lie in
#: memory; and those that the teacher is asked about at once.
_HARD, _ROWS, _AT_ONCE = 0.3, 200_000, 512
#: The model of one network that was trained on these rows.
Alone = Callable[[TrainedNetwork, Examples], Model]


@dataclass(frozen=True)
class Told:
    """What the teacher says: its answers (m, ...) to the rows at these places, int64 (m,)."""

    places: NDArray[np.int64]
    answers: Floats


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
    kept = None if checkpoints is None else checkpoints.within(STUDENT)
    own = one_split(found, split, schema)
    source, rows = _in_memory(own, split.train, schema)
    told = _folded(teacher, len(rows)) if found.folds else ask(teacher, source.rows.inputs, seed, budget, kept)
    lesson = replace(source, rows=aimed(source.rows, rows.target, told, schema, own.units))
    try:
        network = train_network(
            replace(own, train=lesson), STUDENT, job.model, job.train, seed=seed, budget=budget,
            watch=Named(watch, STUDENT), checkpoints=kept,
        )  # fmt: skip
    except (BudgetError, DivergenceError) as error:
        ledger.record(PRACTICE, Outcome.WARNED, f"the ensemble stands, for no student could be trained: {error.came}")
        return teacher
    if too_short := few_rows_seen(network.part.trained, len(rows)):
        ledger.record(PRACTICE, Outcome.WARNED, f"the ensemble stands, for {too_short}")
        return teacher
    student = replace(alone(network, own), teacher=teacher)
    write_distillation(ledger, student, split, schema, asked=len(told.places), rows=len(rows), seed=seed)
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


def few_rows_seen(trained: Trained, rows: int) -> str:
    """Why a student is not to be exported whose time ended before it had seen each of its rows once; else empty."""
    seen = trained.steps * trained.batch
    if seen >= rows or not trained.limited_by_budget:
        return ""
    return f"a student would have seen {seen:,} of {rows:,} rows in its share of the time; give a longer --budget"


# The rows and what the teacher says of them ---------------------------------------------------------------------------


def one_split(found: Examples, split: Split, schema: Schema) -> Examples:
    """The examples without their folds: training rows to learn from, validation rows to be judged by."""
    if not found.folds:
        return replace(found, bagged=False)
    assert isinstance(found.train, Resident)
    whole, rows = found.valid.inputs, len(split.train)
    train = Batch(whole[:rows], *targets_of(split.train, schema, found.units))
    valid = Batch(whole[rows:], *targets_of(split.valid, schema, found.units))
    return replace(found, train=replace(found.train, rows=train), valid=valid, folds=0, bagged=False)


def _in_memory(found: Examples, train: Rows, schema: Schema) -> tuple[Resident, Rows]:
    """The training rows as they were encoded, or many of them anew where they lie in files in another order."""
    if isinstance(found.train, Resident):
        return found.train, train
    places = sample_of(len(train), _ROWS)
    rows = train if places is None else train.at(places)
    return Resident(Batch(found.encoder.encode_rows(rows), *targets_of(rows, schema, found.units))), rows


def _folded(teacher: Model, rows: int) -> Told:
    """What networks answered that had not learned from the row; training rows come first."""
    assert teacher.choice is not None
    return Told(np.arange(rows), teacher.choice.mixed(teacher.choice.shares)[:rows])


def ask(teacher: Model, inputs: Encoded, seed: int, budget: Budget, checkpoints: Checkpoints | None) -> Told:
    """The teacher's answers to the rows, in a random order until its share of the time is used up.

    A run that goes on asks about those that it had asked about.
    """
    known = None if checkpoints is None else checkpoints.remembered("asked")
    order = np.random.default_rng(seed).permutation(len(inputs))[: None if known is None else int(known)]
    until = (1.0 - _SHARE_OF_ASKING) * budget.left
    answers: list[Floats] = []
    for first in range(0, len(order), _AT_ONCE):
        if answers and known is None and budget.left < until:
            break
        some = inputs[torch.from_numpy(order[first : first + _AT_ONCE])]
        answers.append(answers_of(teacher, predict(teacher.ensemble, some).numpy()))
    told = np.concatenate(answers)
    if checkpoints is not None:
        checkpoints.kept("asked", len(told))
    return Told(order[: len(told)], told)


def aimed(rows: Batch, truth: NDArray[Any], told: Told, schema: Schema, units: Units) -> Batch:
    """The rows with their aims: means of what the teacher says and of the truth, which stands alone for other rows.

    Args:
        rows: encoded.
        truth: class positions or values (n,), labels 0 and 1 (n, L), or values ahead (n, H), in the target's units.
        told: of these rows: probabilities (m, K) or (m, L), values (m,) or (m, H).
        units: that values are told to networks in.
    """
    aims = np.eye(len(schema.classes))[truth] if schema.is_classification else truth.astype(np.float64)
    aims[told.places] = _HARD * aims[told.places] + (1.0 - _HARD) * told.answers
    if schema.has_probabilities:
        return replace(rows, aims=torch.from_numpy(aims).float())
    return replace(rows, target=torch.from_numpy((aims - units.mean) / units.deviation).float())


def write_distillation(
    ledger: Ledger, student: Model, split: Split, schema: Schema, *, asked: int, rows: int, seed: int
) -> None:
    """The verdict on the student: what it loses on validation rows, a warning where that is more than chance.

    asked: about how many of its `rows` the teacher was asked.
    """
    found = student_of(student, split.valid, schema, seed=seed)
    low, value = found.validation.low, found.validation.value
    is_sure = low is not None and low > 0.0
    told, changes = in_words(found), student.parts[0].changes
    told += f"; the rows it learned from were changed: {changes}" if changes else ""
    told += f"; of {rows:,} training rows there was time to ask about {asked:,}" if asked < rows else ""
    ledger.record(PRACTICE, Outcome.WARNED if is_sure else Outcome.APPLIED, told, value=value)
