"""One network in the place of an ensemble: it learns what the ensemble answers, and is exported instead.

Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network (2015), sections 2 and 3: a student learns
from a mean of the teacher's probabilities and of the classes. A row with probabilities is as many rows as it has likely
classes, each weighted by its probability: their weighted log losses are the cross-entropy, with the loop as it is. With
folds the teacher's answers are those of networks that had not learned from the row, so that the student does not learn
how sure they are of what they know by heart.

Letters: n rows, K classes, C of them that a row may stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.batches import Batch, Resident
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.data.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.calibrate import mixed_probabilities
from assay.evaluate.label_metrics import scorer_for
from assay.evaluate.metrics import PRIMARY, metric
from assay.evaluate.selection import draws
from assay.ledger import Ledger, Outcome
from assay.models.config import TEXTS
from assay.search.plan import Job, Plan
from assay.train.budget import Budget
from assay.train.examples import Examples, examples, relative
from assay.train.model import Model, TrainedNetwork, train_network
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

Floats = NDArray[np.float64]

STUDENT = "student"
#: The student's share of the time of a run; the weight of the classes beside the teacher's probabilities; the classes
#: that a row may stand for.
SHARE_OF_STUDENT, _HARD, _CLASSES = 0.25, 0.3, 3
#: Draws of validation rows for the interval of what is lost, and rows that are drawn from at most.
_DRAWS, _ROWS, _CONFIDENCE = 200, 5_000, 0.95


#: The model of one network that was trained on these rows.
Alone = Callable[[TrainedNetwork, Examples], Model]


def distilled(
    teacher: Model,
    planned: Plan,
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
    """One network in the place of the ensemble; the ensemble itself, with a warning, where none could be trained."""
    try:
        found, student = taught(
            teacher, (*planned.jobs, *planned.spare), split, schema, folds=planned.folds, seed=seed, budget=budget,
            watch=watch, checkpoints=checkpoints,
        )  # fmt: skip
    except (BudgetError, DivergenceError) as error:
        reason = f"the ensemble stands, for no student could be trained: {error.came}"
        ledger.record("search.distillation", Outcome.WARNED, reason)
        return teacher
    whole = alone(student, found)
    write_distillation(ledger, teacher, whole, lost_by(teacher, whole, schema, seed=seed), schema)
    return whole


def taught(
    teacher: Model,
    jobs: Sequence[Job],
    split: Split,
    schema: Schema,
    *,
    folds: int,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
) -> tuple[Examples, TrainedNetwork]:
    """The student's rows, and the student: one member of the family that has the largest share of the ensemble.

    Raises:
        BudgetError, DivergenceError: it could not be trained.
    """
    shares = {part.name: part.share for part in teacher.parts}
    able = [job for job in jobs if job.model.name not in TEXTS]
    if not able:
        raise BudgetError("a student must have a family", "no network of tables is in the model", "Leave it out.")
    job = max(able, key=lambda each: shares.get(each.name, 0.0))
    found = examples(teacher.encoder, split.train, split.valid, schema, seed=seed)
    lesson = _lesson(found, split.train, answers(teacher, split.train, schema, folds=folds), schema)
    model = job.model.model_copy(update={"members": 1})
    own = None if checkpoints is None else checkpoints.within(STUDENT)
    found = replace(found, train=Resident(lesson))
    return found, train_network(
        found, STUDENT, model, job.train, seed=seed, budget=budget, watch=Named(watch, STUDENT), checkpoints=own
    )


def answers(teacher: Model, train: Rows, schema: Schema, *, folds: int) -> Floats:
    """What the teacher says of the training rows: with folds, by networks that had not learned from them.

    Probabilities (n, K), or values (n,) in the target's units.
    """
    assert teacher.choice is not None
    if folds > 1:
        return teacher.choice.mixed(teacher.choice.shares)[: len(train)]
    raw = teacher.outputs_of(train)
    if not schema.is_classification:
        return teacher.in_units(raw)
    assert teacher.head.temperatures is not None
    return np.asarray(mixed_probabilities(raw, teacher.head.temperatures, teacher.head.shares), np.float64)


def _lesson(found: Examples, train: Rows, told: Floats, schema: Schema) -> Batch:
    """The rows that the student learns from."""
    (whole,) = found.train.blocks(max(len(train), 1))
    weight = relative(train.weight)
    own = torch.ones(len(train)) if weight is None else torch.from_numpy(weight).float()
    if not schema.is_classification:
        values = torch.from_numpy((told - found.units.mean) / found.units.deviation).float()
        target = _HARD * whole.target + (1.0 - _HARD) * values
        return Batch(whole.inputs.reading(()), target, None if weight is None else own)
    places, classes, shares = soft_rows(told, train.target)
    taken = torch.from_numpy(places)
    weights = torch.from_numpy(shares).float() * own[taken]
    return Batch(whole.inputs.reading(())[taken], torch.from_numpy(classes), weights / weights.mean())


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


def lost_by(teacher: Model, student: Model, schema: Schema, *, seed: int) -> tuple[float, float, float]:
    """What the student is worse by in the primary metric on validation rows, with a paired bootstrap interval.

    Positive is worse, whatever the metric.
    """
    assert teacher.choice is not None
    assert student.choice is not None
    truth, answer = student.choice.target, student.choice.mixed(student.choice.shares)
    other = teacher.choice.mixed(teacher.choice.shares)[-len(truth) :]  # with folds training rows come before
    rng = np.random.default_rng(seed)
    rows = np.arange(len(truth))
    rows = rows if len(rows) <= _ROWS else np.sort(rng.choice(rows, _ROWS, replace=False))
    weight = np.ones(len(rows)) if student.choice.weight is None else student.choice.weight[rows]
    strata = np.asarray(truth[rows], np.int64) if schema.is_classification else None
    measure = metric(schema.task, PRIMARY[schema.task])
    sign = 1.0 if measure.higher_is_better else -1.0
    drawn = np.concatenate([weight[None], np.concatenate(list(draws(len(rows), _DRAWS, seed, strata=strata))) * weight])
    scorers = [scorer_for(schema.task, truth[rows], each[rows]) for each in (other, answer)]
    both = [scorer(drawn, (measure.id,))[measure.id] for scorer in scorers]
    worse = sign * (both[0] - both[1])
    tail = (1.0 - _CONFIDENCE) / 2.0
    low, high = np.nanquantile(worse[1:], (tail, 1.0 - tail))
    return float(worse[0]), float(low), float(high)


def write_distillation(
    ledger: Ledger, teacher: Model, student: Model, found: tuple[float, float, float], schema: Schema
) -> None:
    """The verdict on the student that stands in the place of the ensemble."""
    loss, low, high = found
    label = metric(schema.task, PRIMARY[schema.task]).label
    ratio = teacher.parameters / max(student.parameters, 1)
    reason = (
        f"one {student.parts[0].model.name} of {student.parameters:,} parameters stands in the place of "
        f"{teacher.members} networks of {teacher.parameters:,} ({ratio:.1f} times as many); on validation rows it "
        f"loses {loss:+.4f} {label} [{low:+.4f}, {high:+.4f}], paired"
    )
    outcome = Outcome.APPLIED if math.isnan(low) or low <= 0.0 else Outcome.WARNED
    ledger.record("search.distillation", outcome, reason, value=loss)
