"""What a student learns from: rows, and what its teacher says of them.

With folds the teacher's answers to training rows are those of networks that had not learned from the row, so that the
student does not learn how sure they are of what they know by heart. Rows that were made of others it answers whole.

Letters: n rows, K classes, L labels, H steps ahead, m rows that the teacher was asked about.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.evaluate.nested import answers_of
from assay.search.ensemble.munge import munge
from assay.train.budget import Budget
from assay.train.examples import Examples, Units, targets_of
from assay.train.loop import predict
from assay.train.model import Model
from assay.train.state import Checkpoints

Floats = NDArray[np.float64]

#: The share of the student's time in which the teacher is asked about rows, and once more about those that are made.
_SHARE_OF_ASKING = 0.3
#: The weight of the truth beside the teacher's answers; rows that are learned from at most where they do not lie in
#: memory; and those that the teacher is asked about at once.
_HARD, _ROWS, _AT_ONCE = 0.3, 200_000, 512
#: Rows that are made for each training row, how many there are of both at most, and passes over them that there is to
#: be time for.
_TIMES, _ROWS_IN_ALL, _PASSES = 10, 50_000, 20


@dataclass(frozen=True)
class Told:
    """What the teacher says: its answers (m, ...) to the rows at these places, int64 (m,)."""

    places: NDArray[np.int64]
    answers: Floats


@dataclass(frozen=True)
class Lesson:
    """What a student learns from: `rows` training rows, about `asked` of which the teacher was asked, and `made` ones.

    own: the examples that it is trained with; their units are those of the teacher's networks.
    """

    own: Examples
    rows: Rows
    asked: int
    made: int = 0

    @property
    def told(self) -> str:
        """What it is, in words."""
        if not self.made:
            return "from training rows alone"
        return f"from these and {self.made:,} rows mixed of near ones, as the ensemble answers them"


def lesson_of(
    teacher: Model,
    found: Examples,
    split: Split,
    schema: Schema,
    *,
    seed: int,
    budget: Budget,
    checkpoints: Checkpoints | None,
) -> Lesson:
    """The training rows with what the teacher says of them.

    found: the rows that the networks of the teacher learned from and were judged by.
    """
    own = one_split(found, split, schema)
    source, rows = _in_memory(own, split.train, schema)
    if found.folds:
        told = _folded(teacher, len(rows))
    else:
        told = ask(teacher, source.rows.inputs, "asked", seed, budget, checkpoints)
    heard = aimed(source.rows, rows.target, told, schema, own.units)
    return Lesson(replace(own, train=replace(source, rows=heard)), rows, len(told.places))


def longer(
    lesson: Lesson,
    teacher: Model,
    schema: Schema,
    a_pass: Callable[[Examples], float],
    *,
    seed: int,
    budget: Budget,
    checkpoints: Checkpoints | None,
) -> Lesson | None:
    """The lesson with rows made of near ones; None where cells cannot be mixed, or rows are many or the time is short.

    Args:
        a_pass: seconds of a pass of the student over such rows.
        budget: of the student.
    """
    source, rows, units = lesson.own.train, len(lesson.rows), lesson.own.units
    assert isinstance(source, Resident)
    if not _is_mixable(teacher, source.rows, schema):
        return None
    count = _affordable(rows, lambda: a_pass(lesson.own), budget, checkpoints)
    if count < rows:
        return None
    made = made_rows(teacher, lesson.rows, source.rows, schema, units, count, seed, budget, checkpoints)
    whole = replace(source, rows=added(source.rows, made))
    return replace(lesson, own=replace(lesson.own, train=whole), made=len(made))


def _is_mixable(teacher: Model, heard: Batch, schema: Schema) -> bool:
    """Whether rows can be made of others: of numbers, categories and hashed words, and without groups to be fair to."""
    encoder = teacher.encoder
    is_plain = not encoder.layout.media and encoder.frozen is None and schema.windowing is None
    return is_plain and heard.groups is None and len(heard) > 1


def _affordable(rows: int, a_pass: Callable[[], float], budget: Budget, checkpoints: Checkpoints | None) -> int:
    """How many rows are made: so many that there is time for enough passes over all; a run that goes on remembers."""
    known = None if checkpoints is None else checkpoints.remembered("made")
    if known is not None:
        return int(known)
    most = min(_TIMES * rows, _ROWS_IN_ALL - rows)
    if most >= rows and not math.isinf(budget.left):
        left = (1.0 - _SHARE_OF_ASKING) * max(budget.left, 0.0)
        most = min(most, int(rows * left / (_PASSES * max(a_pass(), 1e-9))) - rows)
    most = max(most, 0)
    if checkpoints is not None:
        checkpoints.kept("made", most)
    return most


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


def ask(teacher: Model, inputs: Encoded, name: str, seed: int, budget: Budget, checkpoints: Checkpoints | None) -> Told:
    """The teacher's answers to the rows, in a random order until its share of the time is used up.

    A run that goes on asks about those that it had asked about, whose number it remembers by `name`.
    """
    known = None if checkpoints is None else checkpoints.remembered(name)
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
        checkpoints.kept(name, len(told))
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


def made_rows(
    teacher: Model,
    rows: Rows,
    heard: Batch,
    schema: Schema,
    units: Units,
    count: int,
    seed: int,
    budget: Budget,
    checkpoints: Checkpoints | None,
) -> Batch:
    """So many further rows, fewer where there is no time to ask the teacher about them, with its answers as aims.

    Args:
        rows: that they are made of, see `munge.py`. heard: the same, encoded.
    """
    inputs = teacher.encoder.encode(munge(rows, heard.inputs, count, seed))
    told = ask(teacher, inputs, "asked.made", seed, budget, checkpoints)
    inputs, answers = inputs[torch.from_numpy(told.places)], torch.from_numpy(told.answers)
    if not schema.has_probabilities:
        return Batch(inputs, ((answers - units.mean) / units.deviation).float(), None)
    target = (answers > 0.5).to(torch.uint8) if schema.is_multilabel else answers.argmax(1)
    return Batch(inputs, target, None, aims=answers.float())


def added(heard: Batch, made: Batch) -> Batch:
    """All rows of both; rows that were made count as much as a row does on average."""
    one, other = heard.inputs, made.inputs
    inputs = Encoded(
        torch.cat([one.numbers, other.numbers]), torch.cat([one.extras, other.extras]),
        torch.cat([one.codes, other.codes]),
    )  # fmt: skip
    weight = None if heard.weight is None else torch.cat([heard.weight, torch.ones(len(made))])
    aims = None if heard.aims is None or made.aims is None else torch.cat([heard.aims, made.aims])
    return Batch(inputs, torch.cat([heard.target, made.target]), weight, aims=aims)
