"""What each row adds to the loss of a model, whatever the task, and which decisions are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import LIKELIEST, Rule
from assay.evaluate.multilabel.metrics import LabelScorer

Floats = NDArray[np.float64]


def row_losses(answers: Floats, target: NDArray[Any]) -> Floats:
    """Log loss, of labels their mean, or squared error of each row."""
    if target.ndim == 2:
        return LabelScorer(target, answers, np.full(target.shape[1], 0.5)).row_losses[:, 0]
    if answers.ndim == 1:
        return np.asarray((answers - target) ** 2, np.float64)
    return np.asarray(-np.log(answers[np.arange(len(target)), target].clip(1e-12)), np.float64)


def absolute_or_log(answers: Floats, target: NDArray[Any]) -> Floats:
    """Log loss, of labels their mean, or the absolute error of each row, which few rows far off do not rule."""
    losses = row_losses(answers, target)
    return np.asarray(np.sqrt(losses), np.float64) if answers.ndim == 1 else losses


def loss_name(answers: Floats) -> str:
    """What `absolute_or_log` is called."""
    return "absolute error" if answers.ndim == 1 else "log loss"


@dataclass(frozen=True)
class Deciding:
    """How answers become decisions.

    classes: from probabilities (n, classes) to positions (n,). labels: the probability from which each label is given,
    (L,), where a row has any number of them.
    """

    classes: Rule = LIKELIEST
    labels: Sequence[float] | None = None

    def sets(self, answers: Floats) -> NDArray[np.bool_]:
        """The labels that are given, (n, L)."""
        return np.asarray(answers >= (0.5 if self.labels is None else np.asarray(self.labels)))

    def wrong(self, answers: Floats, target: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which rows have another class than was decided, or another set of labels; None of numbers."""
        if answers.ndim == 1:
            return None
        if target.ndim == 2:
            return np.asarray((self.sets(answers) != (target > 0)).any(axis=1))
        return np.asarray(self.classes(answers) != target)
