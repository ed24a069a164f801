"""Which labels are likely wrong, by what a model answers to rows that it did not learn from.

Classes: confident learning (Northcutt, Jiang & Chuang, JAIR 2021, sections 3.1 and 3.3). Labels of which a row has any
number: the same, each label for itself. Values: errors beyond the outer fence of all errors (Tukey 1977), for a value
that was mistyped stands far from what the other columns let expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Schema
from assay.evaluate.judged import Judged
from assay.evaluate.metrics import Floats

#: Rows of a class below which its own mean probability says little.
_FEW = 5
#: Quartile ranges beyond the quartiles from which an error is far off, and rows without which no fence is drawn.
_FENCE, _FEWEST = 3.0, 30
#: Groups of rows with like answers that have a fence each, for errors grow with what is measured.
_GROUPS = 10


@dataclass(frozen=True)
class Suspects:
    """Rows whose label is likely wrong, the surest first: their places, and what they are likelier to be, (s,) each."""

    places: NDArray[np.int64]
    likelier: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)


def suspects(probabilities: Floats, labels: NDArray[np.int64]) -> Suspects:
    """Rows that are confidently of another class than their label.

    A class is confidently a row's where its probability reaches the mean that the rows labelled so give it; of several
    the likeliest counts. So classes that a model is never sure of are not suspected throughout. The rows come in order
    of how much more probable the other class is.

    Args:
        probabilities: of rows that were not learned from, (n, K).
        labels: positions of their classes, (n,).
    """
    rows, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(rows), labels]
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts < _FEW] = np.inf
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    likelier = confident.argmax(1)
    found = np.flatnonzero((confident.max(1) > 0.0) & (likelier != labels))
    found = found[probabilities[found, likelier[found]] > own[found]]
    margin = probabilities[found, likelier[found]] - own[found]
    order = found[np.argsort(-margin, kind="stable")]
    return Suspects(order.astype(np.int64), likelier[order].astype(np.int64))


@dataclass(frozen=True)
class Doubts:
    """Rows whose label is likely wrong, the surest first.

    places: among the rows that were judged, (s,). given, likelier: in words. probability: of what is likelier, own: of
    what was given, (s,); None of values. missed: answer less value, (s,); None of classes and labels.
    refused: why nothing can be doubted; empty where something can.
    """

    places: NDArray[np.int64]
    given: tuple[str, ...]
    likelier: tuple[str, ...]
    probability: Floats | None = None
    own: Floats | None = None
    missed: Floats | None = None
    refused: str = ""

    def __len__(self) -> int:
        return len(self.places)


def doubts(judged: Judged, schema: Schema) -> Doubts:
    """The labels that are likely wrong among these rows, whatever the task."""
    if schema.windowing is not None:
        return _none("a forecast is of later values, not of labels")
    if schema.is_multilabel:
        return _of_labels(judged, schema.classes)
    if not schema.is_classification:
        return _of_values(judged)
    labels = judged.rows.target.astype(np.int64)
    known = float((judged.answers.argmax(1) == labels).mean()) if len(labels) else 0.0
    common = np.bincount(labels).max() / len(labels) if len(labels) else 0.0
    if known <= common:
        return _none(
            f"the model gets {known:.0%} of the labels right, no more than the commonest class: it cannot doubt any"
        )
    found = suspects(judged.answers, labels)
    given = labels[found.places]
    return Doubts(
        found.places, _named(schema.classes, given), _named(schema.classes, found.likelier),
        judged.answers[found.places, found.likelier], judged.answers[found.places, given],
    )  # fmt: skip


def _none(why: str) -> Doubts:
    return Doubts(np.empty(0, np.int64), (), (), refused=why)


def _named(classes: Sequence[str], places: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(classes[int(place)] for place in places)


def _of_labels(judged: Judged, classes: Sequence[str]) -> Doubts:
    """Single labels that a row has or lacks by mistake, each label held against rows that have it and that lack it."""
    truth, answers = judged.rows.target > 0, judged.answers
    rows: list[NDArray[np.int64]] = []
    of: list[NDArray[np.int64]] = []
    for place in range(len(classes)):
        both = np.stack([1.0 - answers[:, place], answers[:, place]], 1)
        found = suspects(both, truth[:, place].astype(np.int64)).places
        rows.append(found)
        of.append(np.full(len(found), place))
    where, label = np.concatenate(rows), np.concatenate(of)
    stated = np.where(truth[where, label], 1.0 - answers[where, label], answers[where, label])
    order = np.argsort(-stated, kind="stable")
    where, label, stated = where[order], label[order], stated[order]
    has = truth[where, label]
    given = tuple(f"{'' if on else 'not '}{classes[at]}" for on, at in zip(has, label.tolist(), strict=True))
    likelier = tuple(f"{'not ' if on else ''}{classes[at]}" for on, at in zip(has, label.tolist(), strict=True))
    return Doubts(where.astype(np.int64), given, likelier, stated, 1.0 - stated)


def _of_values(judged: Judged) -> Doubts:
    truth = judged.rows.target
    if len(truth) < _FEWEST:
        return _none(f"{len(truth):,} values are too few to say which is far off")
    missed = judged.answers - truth
    beyond = _beyond_fence(missed, judged.answers)
    found = np.flatnonzero(beyond > 0.0)
    found = found[np.argsort(-beyond[found], kind="stable")]
    given = tuple(f"{value:.6g}" for value in truth[found])
    likelier = tuple(f"{value:.6g}" for value in judged.answers[found])
    return Doubts(found.astype(np.int64), given, likelier, missed=missed[found])


def _beyond_fence(missed: Floats, answers: Floats) -> Floats:
    """How far each error is beyond the fence of rows with like answers, in their quartile range, (n,); 0 within."""
    beyond = np.zeros(len(missed))
    groups = min(_GROUPS, max(1, len(missed) // _FEWEST))
    for places in np.array_split(np.argsort(answers, kind="stable"), groups):
        low, high = np.quantile(missed[places], [0.25, 0.75])
        if high > low:
            outside = np.maximum(low - missed[places], missed[places] - high) / (high - low)
            beyond[places] = np.maximum(outside - _FENCE, 0.0)
    return beyond
