"""One network in the place of an ensemble: it learns what the ensemble answers, and is exported instead.

Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network (2015), sections 2 and 3: a student learns
from a mean of the teacher's probabilities and of the classes; labels, values and forecasts likewise. It sees the rows
as the teacher's networks did, changed at random where its family does so, and aims at what the teacher says of them as
they are. `teaching.py` has the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.distilled import student_of
from assay.evaluate.distilled_record import in_words
from assay.evaluate.nested import answers_of
from assay.ledger import Ledger, Outcome
from assay.search.ensemble.combine import mixture_loss
from assay.search.ensemble.teaching import Lesson, lesson_of, longer
from assay.search.planning.jobs import Job, Plan
from assay.train.budget import Budget
from assay.train.examples import Examples
from assay.train.loop import Trained
from assay.train.model import Model, TrainedNetwork, train_network
from assay.train.speed import seconds_a_pass
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

STUDENT, PRACTICE = "student", "search.distillation"
#: The student's share of the time of a run.
SHARE_OF_STUDENT = 0.25
#: The model of one network that was trained on these rows.
Alone = Callable[[TrainedNetwork, Examples], Model]
#: The family that learns most from rows that were made.
_HEARS_MOST = "realmlp"


@dataclass(frozen=True)
class Pupil:
    """A student before its training: what it is called while it learns, its network, and what it learns from."""

    name: str
    job: Job
    lesson: Lesson


@dataclass(frozen=True)
class Student:
    """A student that has learned, and the loss of its answers to validation rows."""

    pupil: Pupil
    model: Model
    loss: float

    @classmethod
    def of(cls, pupil: Pupil, model: Model) -> Student:
        """The student of this model."""
        found = model.validation
        return cls(pupil, model, mixture_loss(answers_of(model, found.outputs), found.target, found.weight))


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
    lesson = lesson_of(teacher, found, split, schema, seed=seed, budget=budget, checkpoints=kept)
    first = Pupil(STUDENT, job, lesson)
    second = _second(first, teacher, planned.jobs, schema, seed, budget.part(0.5), kept)
    students, lost = _taught([first] if second is None else [first, second], alone, seed, budget, watch, checkpoints)
    if not students:
        ledger.record(PRACTICE, Outcome.WARNED, f"the ensemble stands, for {lost}")
        return teacher
    best = min(students, key=lambda each: each.loss)
    student = replace(best.model, teacher=teacher)
    write_distillation(ledger, student, split, schema, best, students, seed=seed)
    return student


def _taught(
    pupils: Sequence[Pupil], alone: Alone, seed: int, budget: Budget, watch: Watch, checkpoints: Checkpoints | None
) -> tuple[list[Student], str]:
    """Those that learned enough to be exported, each in its share of the time; and why the last one did not."""
    students: list[Student] = []
    lost = ""
    for place, pupil in enumerate(pupils):
        found, job = pupil.lesson.own, pupil.job
        kept = None if checkpoints is None else checkpoints.within(pupil.name)
        try:
            network = train_network(
                found, STUDENT, job.model, job.train, seed=seed, budget=budget.part(1.0 / (len(pupils) - place)),
                watch=Named(watch, pupil.name), checkpoints=kept,
            )  # fmt: skip
        except (BudgetError, DivergenceError) as error:
            lost = f"no student could be trained: {error.came}"
            continue
        trained = network.part.trained
        lost = few_rows_seen(trained, len(pupil.lesson.rows))
        if not lost:
            students.append(Student.of(pupil, alone(network, found)))
        if trained.interrupted:
            break
    return students, lost


def _second(
    first: Pupil,
    teacher: Model,
    jobs: Sequence[Job],
    schema: Schema,
    seed: int,
    budget: Budget,
    checkpoints: Checkpoints | None,
) -> Pupil | None:
    """A student that learns from rows made of near ones too, where these can be made; the better one is exported.

    It is a RealMLP where the ensemble has one, which learns more from such rows than the plain network does.
    """
    job = next((_as_student(each) for each in jobs if each.name == _HEARS_MOST), first.job)
    lesson = longer(
        first.lesson, teacher, schema, lambda some: seconds_a_pass(some, job.model, job.train, seed=seed),
        seed=seed, budget=budget, checkpoints=checkpoints,
    )  # fmt: skip
    return None if lesson is None else Pupil(f"{STUDENT} on made rows", job, lesson)


def _job_of(teacher: Model, jobs: Sequence[Job]) -> Job | None:
    """The student's network: one member of the family with the largest share of the ensemble."""
    shares = {part.name: part.share for part in teacher.parts}
    return _as_student(max(jobs, key=lambda each: shares.get(each.name, 0.0))) if jobs else None


def _as_student(job: Job) -> Job:
    """One member. What training did about classes and how sure answers may be, the teacher's answers have in them."""
    train = job.train.model_copy(update={"balance": "none", "label_smoothing": 0.0})
    return replace(job, model=job.model.model_copy(update={"members": 1}), train=train)


def few_rows_seen(trained: Trained, rows: int) -> str:
    """Why a student is not to be exported whose time ended before it had seen each of its rows once; else empty."""
    seen = trained.steps * trained.batch
    if seen >= rows or not trained.limited_by_budget:
        return ""
    return f"a student would have seen {seen:,} of {rows:,} rows in its share of the time; give a longer --budget"


def write_distillation(
    ledger: Ledger,
    student: Model,
    split: Split,
    schema: Schema,
    best: Student,
    students: Sequence[Student],
    *,
    seed: int,
) -> None:
    """The verdict on the student: what it loses on validation rows, a warning where that is more than chance.

    best: of the `students` that were trained.
    """
    found = student_of(student, split.valid, schema, seed=seed)
    low, value = found.validation.low, found.validation.value
    is_sure = low is not None and low > 0.0
    told, changes, lesson = in_words(found), student.parts[0].changes, best.pupil.lesson
    told += f"; the rows it learned from were changed: {changes}" if changes else ""
    if lesson.asked < len(lesson.rows):
        told += f"; of {len(lesson.rows):,} training rows there was time to ask about {lesson.asked:,}"
    if len(students) > 1:
        each = ", ".join(f"{one.loss:.4g} of {one.pupil.job.name} {one.pupil.lesson.told}" for one in students)
        told += f"; it is the better one on validation, with losses {each}"
    elif lesson.made:
        told += f"; it learned {lesson.told}"
    ledger.record(PRACTICE, Outcome.WARNED if is_sure else Outcome.APPLIED, told, value=value)
