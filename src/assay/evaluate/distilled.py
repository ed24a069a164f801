"""One network in the place of an ensemble that it learned from: what is lost by that, on the same rows, and saved."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.evaluate.chosen import selection_of
from assay.evaluate.clusters import clusters_of
from assay.evaluate.compare import paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.distilled_record import Distillation
from assay.evaluate.intervals import estimates
from assay.evaluate.leaderboard import SAMPLES, bytes_of, ranked
from assay.evaluate.metrics import PRIMARY, Floats, Metric, Scorer, metric
from assay.evaluate.nested import answers_of
from assay.evaluate.record import Estimate, Leaderboard, LeaderboardRow
from assay.train.model import Model

#: What the leaderboard calls the ensemble.
TEACHER = "the ensemble"


def student_of(model: Model, valid: Rows, schema: Schema, *, seed: int, confidence: float = 0.95) -> Distillation:
    """What the student in the place of its teacher loses in the primary metric on validation rows, paired."""
    teacher = model.teacher
    assert teacher is not None
    assert teacher.choice is not None
    assert model.choice is not None
    measure, choice = metric(schema.task, PRIMARY[schema.task]), teacher.choice
    before = choice.mixed(choice.shares)[-len(valid) :]  # with folds training rows come first
    now = model.choice.mixed(model.choice.shares)
    if choice.weight is not None:  # rows that no fold judges the teacher had learned from
        judged = np.flatnonzero(choice.weight[-len(valid) :] > 0.0)
        valid, before, now = valid.at(judged), before[judged], now[judged]
    return Distillation(
        metric=measure.id, label=measure.label, family=model.parts[0].model.name, networks=teacher.members,
        parameters=teacher.parameters, own_parameters=model.parameters, seconds=teacher.seconds,
        validation=lost(valid, before, now, schema, seed=seed, confidence=confidence), validation_rows=len(valid),
    )  # fmt: skip


def lost(rows: Rows, before: Floats, now: Floats, schema: Schema, *, seed: int, confidence: float) -> Estimate:
    """How much worse answers are `now` than `before` in the primary metric; positive is worse, whatever the metric."""
    return paired_test(
        schema.task, rows.target, before, now, rows.weight, confidence=confidence, seed=seed,
        clusters=clusters_of(rows, schema),
    ).difference  # fmt: skip


def examine_student(
    model: Model, valid: Rows, rows: Rows, answers: Floats, schema: Schema, board: Leaderboard | None,
    config: EvaluateConfig, *, is_sealed: bool, seed: int,
) -> tuple[Distillation | None, Leaderboard | None]:  # fmt: skip
    """What the student loses on validation and test rows, and the leaderboard with its teacher; None without one.

    Args:
        rows: that were answered. answers: the student's. is_sealed: whether they are a test part.
    """
    teacher = model.teacher
    if teacher is None or board is None:
        return None, board
    found = student_of(model, valid, schema, seed=seed, confidence=config.confidence)
    begun = perf_counter()
    before = answers_of(teacher, teacher.outputs_of(rows))
    a_row = (perf_counter() - begun) / max(len(rows), 1)
    if is_sealed:
        on_test = lost(rows, before, answers, schema, seed=seed, confidence=config.confidence)
        found = found.model_copy(update={"test": on_test, "test_rows": len(rows)})
    row = _row(teacher, schema, metric(schema.task, PRIMARY[schema.task]), a_row, config.confidence)
    if is_sealed:
        row = row.model_copy(update={"test": _scored(rows, before, schema, found.metric, config.confidence, seed)})
    return found, ranked(board, (*board.rows, row))


def _row(teacher: Model, schema: Schema, measure: Metric, a_row: float, confidence: float) -> LeaderboardRow:
    choice = teacher.choice
    assert choice is not None
    weight: NDArray[Any] | None = choice.weight
    scorer = Scorer(schema.task, choice.target, choice.mixed(choice.shares))
    validation = scorer.values(weight, (measure.id,))[measure.id]
    chosen = selection_of(choice, schema.task, measure, validation, confidence)
    return LeaderboardRow(
        name=TEACHER, kind="teacher", share=None, validation=validation if np.isfinite(validation) else None,
        validation_rows=chosen.rows, corrected=chosen.corrected, test=None, fit_seconds=teacher.seconds,
        predict_microseconds=1e6 * a_row, bytes=bytes_of(teacher),
    )  # fmt: skip


def _scored(rows: Rows, answers: Floats, schema: Schema, name: str, confidence: float, seed: int) -> Estimate:
    return estimates(
        schema.task, rows.target, answers, rows.weight, confidence=confidence, samples=SAMPLES, seed=seed, only=(name,),
        clusters=clusters_of(rows, schema),
    )[name]  # fmt: skip
