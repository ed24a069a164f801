"""A trial while it is judged, and what its answers are worth.

Shape legend: n rows that are judged, A answers for a row (members times heads), K classes, L labels, H steps, k folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.rows import Rows, sample_of, times
from assay.data.schema import Schema
from assay.data.split.folds import Folds
from assay.data.split.split import units_of
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.metrics import Metric
from assay.evaluate.multilabel.calibration import fit_label_temperature, mixed_labels
from assay.evaluate.multilabel.metrics import scorer_for
from assay.search.planning.jobs import Job
from assay.search.study.answered import Judged
from assay.search.study.trial import Trial
from assay.train.examples import Units, relative
from assay.train.together import Course, Learned

#: Rows that a temperature is fitted to, a random sample of more: from 5,000 it took 8 ms, most of what a trial costs
#: besides training, and one number needs no more.
_ROWS = 1_000


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

    Probabilities are those of a temperature a trial: one half of the rows fits it for the answers to the other.

    places: of the rows of each fold among all rows. kept: which rows any fold judges, bool (n,).
    weight: relative to their mean, (n,), or None.
    halves: in which half of each fold its rows are, bool, or None: one half chooses the epoch of the answers for the
    other.
    """

    def __init__(self, rows: Rows, folds: Folds | None, schema: Schema, metric: Metric, units: Units) -> None:
        fold = np.zeros(len(rows), np.int16) if folds is None else _fold_of(folds)
        self.metric, self.truth, self.weight = metric, rows.target, relative(rows.weight)
        self.places = [np.flatnonzero(fold == place) for place in range(1 if folds is None else len(folds))]
        self._schema, self._units = schema, units
        self.halves = _halved(rows, self.places, schema)
        self._is_second = np.zeros(len(rows), np.bool_)
        for places, half in zip(self.places, self.halves, strict=True):
            self._is_second[places] = False if half is None else half
        self.kept = kept = fold >= 0
        self.judged = Judged(self.truth[kept], fold[kept], None if self.weight is None else self.weight[kept])

    def scored(self, entry: Entry, folds: Sequence[int]) -> tuple[float, tuple[float, ...], NDArray[Any]]:
        """The metric of these folds together and of each, and the answers, in the order of the rows; NaN without."""
        outputs = [each for each in (self._outputs(entry, fold) for fold in folds) if each is not None]
        if len(outputs) < len(folds) or not outputs:
            return math.nan, (), np.empty(0)
        places = np.concatenate([self.places[fold] for fold in folds])
        whole = self._said(np.concatenate(outputs, axis=1), places)
        ends = np.cumsum([len(self.places[fold]) for fold in folds])[:-1]
        by_fold = tuple(
            self._score(self.places[fold], answer) for fold, answer in zip(folds, np.split(whole, ends), strict=True)
        )  # fmt: skip
        order = np.argsort(places, kind="stable")
        return self._score(places[order], whole[order]), by_fold, whole[order]

    def last(self, entry: Entry) -> NDArray[Any]:
        """What the members of a single fold said together at their last epoch."""
        ((fold, courses),) = entry.courses.items()
        outputs = torch.cat([course.last for course in courses if course.last is not None])
        return self._said(outputs.numpy(), self.places[fold])

    def _score(self, places: NDArray[np.int64], answer: NDArray[Any]) -> float:
        weight = None if self.weight is None else self.weight[places]
        scorer = scorer_for(self._schema.task, self.truth[places], answer)
        return scorer.values(weight, only=[self.metric.id])[self.metric.id]

    def _outputs(self, entry: Entry, fold: int) -> NDArray[np.float32] | None:
        """What each of the members of a fold says, (A, n, outputs); None where one says nothing."""
        outputs = [course.outputs for course in entry.courses.get(fold, ())]
        known = [each for each in outputs if each is not None]
        return torch.cat(known).numpy() if known and len(known) == len(outputs) else None

    def _said(self, raw: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[Any]:
        """What outputs (A, n, outputs) for the rows at `places` say together.

        Probabilities, float32 (n, K), those of labels each by itself, (n, L); values, float64 (n,), forecasts (n, H).
        """
        if self._schema.has_probabilities:
            return self._tempered(raw, places)
        units = self._units
        raw = raw if self._schema.windowing is not None else raw[:, :, 0]
        return np.asarray(raw.astype(np.float64).mean(0) * units.deviation + units.mean, np.float64)

    def _tempered(self, logits: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean of the answers, each half of the rows with the temperature that suits the other half."""
        of_labels, count = self._schema.is_multilabel, len(logits)
        fit = fit_label_temperature if of_labels else fit_temperature
        mixed = mixed_labels if of_labels else mixed_probabilities
        is_second = self._is_second[places]
        answers = np.empty(logits.shape[1:], np.float32)
        for own in (is_second, ~is_second):
            others = np.flatnonzero(~own)
            some = sample_of(len(others), _ROWS)
            others = others if some is None else others[some]
            weight = None if self.weight is None else self.weight[places[others]]
            temperature = fit(logits[:, others], self.truth[places[others]], weight)
            answers[own] = mixed(logits[:, own], [temperature] * count, [1.0 / count] * count)
        return answers


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
