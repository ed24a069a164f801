"""One network in the place of an ensemble that it learned from: what is lost by that, on the same rows, and saved."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.evaluate.chosen import selection_of, validation_of
from assay.evaluate.clusters import clusters_of
from assay.evaluate.compare import paired_bootstrap, paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.distilled_record import Distillation
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.forecast.scores import forecast_test
from assay.evaluate.intervals import estimates
from assay.evaluate.leaderboard import SAMPLES, bytes_of, ranked
from assay.evaluate.metrics import Floats, Metric, primary_of
from assay.evaluate.multilabel.calibration import choose_thresholds, validation_labels
from assay.evaluate.multilabel.exam import label_estimates
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.nested import answers_of
from assay.evaluate.record import Estimate, Leaderboard, LeaderboardRow
from assay.train.model import Model

#: What the leaderboard calls the ensemble.
TEACHER = "the ensemble"
#: Bootstrap samples of a difference.
_PAIRED = 1000


@dataclass(frozen=True)
class Said:
    """What a model says of rows: its answers (n, ...) and, of labels, from which probability it gives each, (L,)."""

    answers: Floats
    cuts: Floats | None = None


def student_of(model: Model, valid: Rows, schema: Schema, *, seed: int, confidence: float = 0.95) -> Distillation:
    """What the student in the place of its teacher loses in the primary metric on validation rows, paired."""
    teacher = model.teacher
    assert teacher is not None
    assert teacher.choice is not None
    assert model.choice is not None
    measure, choice = primary_of(schema.task), teacher.choice
    before = choice.mixed(choice.shares)[-len(valid) :]  # with folds training rows come first
    now, is_folded = model.choice.mixed(model.choice.shares), len(choice.target) > len(valid)
    if choice.weight is not None:  # rows that no fold judges the teacher had learned from
        judged = np.flatnonzero(choice.weight[-len(valid) :] > 0.0)
        valid, before, now = valid.at(judged), before[judged], now[judged]
    first, second = (_with_cuts(answers, valid, schema) for answers in (before, now))
    return Distillation(
        metric=measure.id, label=measure.label, family=model.parts[0].model.name, networks=teacher.members,
        parameters=teacher.parameters, own_parameters=model.parameters, seconds=teacher.seconds,
        validation=lost(valid, first, second, schema, seed=seed, confidence=confidence), validation_rows=len(valid),
        unit="rows" if schema.windowing is None else "windows", echoed=is_folded,
    )  # fmt: skip


def _with_cuts(answers: Floats, rows: Rows, schema: Schema) -> Said:
    """Answers with the thresholds that suit them best on these rows."""
    if not schema.is_multilabel:
        return Said(answers)
    return Said(answers, choose_thresholds(answers, rows.target, rows.weight).each)


def lost(rows: Rows, before: Said, now: Said, schema: Schema, *, seed: int, confidence: float) -> Estimate:
    """How much worse answers are `now` than `before` in the primary metric; positive is worse, whatever the metric."""
    if schema.windowing is not None:
        windows = Judged.of(rows, schema)
        one, other = windows.scorer(before.answers), windows.scorer(now.answers)
        return forecast_test(one, other, confidence).difference
    clusters = clusters_of(rows, schema)
    if schema.is_multilabel:
        teacher, student = _label_scorer(rows, before), _label_scorer(rows, now)
        return paired_bootstrap(teacher, student, rows.weight, confidence, _PAIRED, seed, clusters).difference
    return paired_test(
        schema.task, rows.target, before.answers, now.answers, rows.weight, confidence=confidence, samples=_PAIRED,
        seed=seed, clusters=clusters,
    ).difference  # fmt: skip


def _label_scorer(rows: Rows, said: Said) -> LabelScorer:
    assert said.cuts is not None
    return LabelScorer(rows.target, said.answers, said.cuts)


def examine_student(
    model: Model, split: Split, rows: Rows, answers: Floats, schema: Schema, board: Leaderboard | None,
    config: EvaluateConfig, *, seed: int,
) -> tuple[Distillation | None, Leaderboard | None]:  # fmt: skip
    """What the student loses on validation and test rows, and the leaderboard with its teacher; None without one.

    Args:
        rows: of the test part, or of validation where there is none. answers: the student's to them.
    """
    teacher = model.teacher
    if teacher is None or board is None:
        return None, board
    found = student_of(model, split.valid, schema, seed=seed, confidence=config.confidence)
    begun = perf_counter()
    before = Said(answers_of(teacher, teacher.outputs_of(rows)), _cuts_of(teacher))
    a_row = (perf_counter() - begun) / max(len(rows), 1)
    row = _row(teacher, schema, primary_of(schema.task), a_row, config.confidence)
    if split.test is not None:
        now = Said(answers, None if not schema.is_multilabel else np.array(model.head.thresholds))
        on_test = lost(rows, before, now, schema, seed=seed, confidence=config.confidence)
        found = found.model_copy(update={"test": on_test, "test_rows": len(rows)})
        row = row.model_copy(update={"test": _scored(rows, before, schema, config.confidence, seed)})
    return found, ranked(board, (*board.rows, row))


def _cuts_of(teacher: Model) -> Floats | None:
    """Thresholds of labels as validation chooses them: a teacher comes as it was before its model was calibrated."""
    if not teacher.head.has_labels:
        return None
    seen = teacher.validation
    return choose_thresholds(validation_labels(teacher), seen.target, seen.weight).each


def _row(teacher: Model, schema: Schema, measure: Metric, a_row: float, confidence: float) -> LeaderboardRow:
    choice = teacher.choice
    assert choice is not None
    validation = validation_of(choice, schema.task, measure)
    chosen = selection_of(choice, schema.task, measure, validation, confidence)
    return LeaderboardRow(
        name=TEACHER, kind="teacher", share=None, validation=validation if np.isfinite(validation) else None,
        validation_rows=chosen.rows, corrected=chosen.corrected, test=None, fit_seconds=teacher.seconds,
        predict_microseconds=1e6 * a_row, bytes=bytes_of(teacher),
    )  # fmt: skip


def _scored(rows: Rows, said: Said, schema: Schema, confidence: float, seed: int) -> Estimate:
    name = primary_of(schema.task).id
    if schema.windowing is not None:
        windows = Judged.of(rows, schema).scorer(said.answers)
        return windows.estimates(confidence)[name]
    if schema.is_multilabel:
        labels = _label_scorer(rows, said)
        return label_estimates(
            labels, rows.weight, confidence=confidence, samples=SAMPLES, seed=seed, only=(name,)
        )[name]  # fmt: skip
    return estimates(
        schema.task, rows.target, said.answers, rows.weight, confidence=confidence, samples=SAMPLES, seed=seed,
        only=(name,), clusters=clusters_of(rows, schema),
    )[name]  # fmt: skip
