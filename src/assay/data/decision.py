"""How a class is decided from probabilities: by the likeliest, from a threshold on, or by what errors cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: From where on the positive one of two classes is decided where nothing else was chosen.
HALF = 0.5


@dataclass(frozen=True)
class Rule:
    """Decides the class of probabilities (n, K).

    thresholds: of two classes, the probability from which the positive one, the last, is decided; none is one half.
    costs: (K, K) of a decision (column) by what is true (row). Where given, the class with the least expected cost is
        decided (Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001); else the likeliest.
    """

    thresholds: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()

    @property
    def threshold(self) -> float:
        """The probability from which the positive one of two classes is decided."""
        return self.thresholds[0] if self.thresholds else HALF

    def told(self, positive: str) -> str:
        """How, in words, where that is neither the likeliest class nor one half; `positive` is the last of two."""
        if self.thresholds and self.threshold != HALF:
            return f"{positive} from a probability of {self.threshold:.3g} on"
        return "the class with the least expected cost" if self.costs else ""

    def __call__(self, probabilities: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.int64]:
        """Class positions (n,) of probabilities (n, K)."""
        if probabilities.shape[1] == 2:
            return np.asarray(probabilities[:, 1] >= np.asarray(self.threshold, probabilities.dtype), np.int64)
        if self.costs:
            expected = probabilities @ np.asarray(self.costs, probabilities.dtype)
            return np.asarray(expected.argmin(axis=1), np.int64)
        return np.asarray(probabilities.argmax(axis=1), np.int64)


#: The likeliest class.
LIKELIEST = Rule()


@dataclass(frozen=True)
class DecisionChoice:
    """How classes are decided, and what validation rows say for it.

    aim: accuracy, f1, balanced_accuracy, cost, given (by the user), or likeliest. value, at_half: of the aim on these
    rows, with the rule and from one half on (of more than two classes: of the likeliest). gain: of choosing by other
    rows than those judged, against one half; error: its standard error. reason: in words. is_doubtful: whether too few
    rows could say. costs: (K, K), as they are counted.
    """

    aim: str
    reason: str
    rows: int = 0
    value: float | None = None
    at_half: float | None = None
    gain: float | None = None
    error: float | None = None
    is_doubtful: bool = False
    costs: tuple[tuple[float, ...], ...] = ()
