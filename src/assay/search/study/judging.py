"""A trial while it is judged, and what its answers are worth.

Shape legend: n rows that are judged, K classes, k folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.folds import Folds
from assay.data.rows import Rows, times
from assay.data.schema import Schema
from assay.data.split import units_of
from assay.evaluate.calibration.calibrate import apply_temperature
from assay.evaluate.metrics import Metric
from assay.evaluate.multilabel.calibration import mixed_labels
from assay.evaluate.multilabel.metrics import scorer_for
from assay.search.planning.jobs import Job
from assay.search.study.answered import Judged
from assay.search.study.trial import Trial
from assay.train.examples import Units, relative
from assay.train.together import Course, Learned


@dataclass
class Entry:
    """A trial that is being judged. `courses`: of its members, by the fold that judges them."""

    trial: Trial
    job: Job
    courses: dict[int, list[Course]] = field(default_factory=dict)
    parameters: int = 0
    pruned: str = ""
    failed: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing was decided yet."""
        return not self.pruned and not self.failed

    @property
    def has_ended(self) -> bool:
        """Whether all of its members have."""
        return all(course.ended for courses in self.courses.values() for course in courses)

    @property
    def epochs(self) -> int:
        """Passes of its longest member."""
        return max((course.epochs for courses in self.courses.values() for course in courses), default=0)

    @property
    def learned(self) -> list[Learned]:
        """What its members learned, variant by variant, and within a variant fold by fold."""
        variants = zip(*(courses for _, courses in sorted(self.courses.items())), strict=True)
        return [course.learned for some in variants for course in some if course.learned is not None]

    @property
    def work(self) -> int:
        """Passes of all its members."""
        return sum(course.epochs for courses in self.courses.values() for course in courses)


def note_trouble(entry: Entry) -> None:
    """A trial fails when one of its members never had finite numbers."""
    if entry.failed:
        return
    for fold, courses in sorted(entry.courses.items()):
        for course in courses:
            if course.trouble:
                where = f"in fold {fold + 1} " if len(entry.courses) > 1 else ""
                entry.failed = (
                    f"training must keep finite numbers, but {where}{course.trouble}. Lower the range of train.lr."
                )
                return


class Judge:
    """The rows that judge, and the metric of what was answered for them.

    places: of the rows of each fold among all rows. weight: relative to their mean, (n,), or None. halves: in which
    half of each fold its rows are, bool, or None: one half chooses the epoch of the answers for the other.
    """

    def __init__(self, rows: Rows, folds: Folds | None, schema: Schema, metric: Metric, units: Units) -> None:
        fold = np.zeros(len(rows), np.int16) if folds is None else _fold_of(folds)
        self.metric, self.truth, self.weight = metric, rows.target, relative(rows.weight)
        self.places = [np.flatnonzero(fold == place) for place in range(1 if folds is None else len(folds))]
        self._schema, self._units = schema, units
        self.halves = _halved(rows, self.places, schema)
        kept = fold >= 0
        self.judged = Judged(self.truth[kept], fold[kept], None if self.weight is None else self.weight[kept])

    def scored(self, entry: Entry, folds: Sequence[int]) -> tuple[float, tuple[float, ...], NDArray[Any]]:
        """The metric of these folds together and of each, and the answers, in the order of the rows; NaN without."""
        each = [self._answer(entry, fold) for fold in folds]
        answers = [answer for answer in each if answer is not None]
        if len(answers) < len(each) or not answers:
            return math.nan, (), np.empty(0)
        places = np.concatenate([self.places[fold] for fold in folds])
        order = np.argsort(places, kind="stable")
        whole, places = np.concatenate(answers)[order], places[order]
        by_fold = tuple(
            self._score(self.places[fold], answer) for fold, answer in zip(folds, answers, strict=True)
        )  # fmt: skip
        return self._score(places, whole), by_fold, whole

    def last(self, entry: Entry) -> NDArray[Any]:
        """What the members of a single fold said together at their last epoch."""
        (courses,) = entry.courses.values()
        return self._said(torch.cat([course.last for course in courses if course.last is not None]))

    def _score(self, places: NDArray[np.int64], answer: NDArray[Any]) -> float:
        weight = None if self.weight is None else self.weight[places]
        scorer = scorer_for(self._schema.task, self.truth[places], answer)
        return scorer.values(weight, only=[self.metric.id])[self.metric.id]

    def _answer(self, entry: Entry, fold: int) -> NDArray[Any] | None:
        """What the members of a fold say together: probabilities, float32 (n, K), or values, float64 (n,).

        Forecasts are (n, H). Those of labels are (n, L), each by itself.
        """
        outputs = [course.outputs for course in entry.courses.get(fold, ())]
        known = [each for each in outputs if each is not None]
        if not known or len(known) < len(outputs):
            return None
        return self._said(torch.cat(known))

    def _said(self, outputs: torch.Tensor) -> NDArray[Any]:
        raw = outputs.numpy()
        if self._schema.is_multilabel:
            return mixed_labels(raw, [1.0] * len(raw), [1.0 / len(raw)] * len(raw)).astype(np.float32)
        if self._schema.is_classification:
            return apply_temperature(raw, 1.0).astype(np.float32)
        units = self._units
        raw = raw if self._schema.windowing is not None else raw[:, :, 0]
        return np.asarray(raw.astype(np.float64).mean(0) * units.deviation + units.mean, np.float64)


def _halved(rows: Rows, folds: Sequence[NDArray[np.int64]], schema: Schema) -> list[NDArray[np.bool_] | None]:
    """In which half of its fold each row is: every other one, groups and equal rows whole, or with a time the later.

    None for windows of forecasts, which overlap, and where there are no two halves.
    """
    if schema.windowing is not None:
        return [None for _ in folds]
    if schema.time is None:
        units = units_of(rows, schema, keep_duplicates=True)
        found = [np.unique(units[places], return_inverse=True)[1] % 2 == 1 for places in folds]
    else:
        moments = times(rows, schema, schema.time)
        found = [moments[places] > np.median(moments[places]) for places in folds]
    return [np.asarray(half) if 0 < half.sum() < len(half) else None for half in found]


def _fold_of(folds: Folds) -> NDArray[np.int16]:
    """The fold that judges each row, int16 (n,); -1 where none does."""
    return np.where(folds.judged.any(0), folds.judged.argmax(0), -1).astype(np.int16)
