"""The rows that a model answers without having learned from them: the validation rows, or with folds all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Part, Rows, joined
from assay.data.split.split import Split

if TYPE_CHECKING:  # torch, which scoring a saved model does without
    from assay.train.model import Model


@dataclass(frozen=True)
class Judged:
    """Rows and what the model answers to them: probabilities (n, classes or labels), or values (n,).

    trained: which are training rows, (n,), where rows of two parts are joined; None where they are of one.
    is_learned: whether the model learned from these very rows.
    """

    rows: Rows
    answers: NDArray[np.float64]
    trained: NDArray[np.bool_] | None = None
    is_learned: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: NDArray[Any]) -> Judged:
        """The rows at these places."""
        trained = None if self.trained is None else self.trained[places]
        return Judged(self.rows.at(places), self.answers[places], trained, self.is_learned)

    def part(self, place: int) -> Part:
        """The part of the split that a row is of."""
        if self.trained is None:
            return self.rows.part
        return "train" if self.trained[place] else "valid"


def judged(model: Model, split: Split, answers: NDArray[np.float64]) -> Judged:
    """The rows that the model answers without having learned from them, those of weight 0 left out.

    With folds these are training and validation rows, each answered by members that had not seen it.

    answers: to them, see `exam.validation_answers`.
    """
    seen, rows, trained = model.validation, split.valid, None
    if len(seen.target) != len(rows):
        rows = joined(split.train, split.valid)
        trained = np.arange(len(rows)) < len(split.train)
    found = Judged(rows, answers, trained)
    return found if seen.weight is None else found.at(np.flatnonzero(seen.weight > 0.0))
