"""Each metric as a function of arrays, through the same sums as `Scorer`; see `metrics` for letters and conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.evaluate.metrics import Average, Floats, Ints, Scorer


def _one_hot(classes: Ints, count: int) -> Floats:
    return np.eye(count)[classes]


def _decided(truth: NDArray[Any], predicted: NDArray[Any], classes: int | None = None) -> Scorer:
    truth, predicted = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    largest = int(max(truth.max(initial=1), predicted.max(initial=1)))
    count = classes or largest + 1
    return Scorer(Task.BINARY if count == 2 else Task.MULTICLASS, truth, _one_hot(predicted, count))


def _stated(truth: NDArray[Any], probabilities: Floats) -> Scorer:
    """A scorer of probabilities (n, K), or (n,) of the positive class."""
    stated = np.asarray(probabilities, np.float64)
    if stated.ndim == 1:
        stated = np.stack([1.0 - stated, stated], axis=1)
    return Scorer(Task.BINARY if stated.shape[1] == 2 else Task.MULTICLASS, truth, stated)


def accuracy(truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None = None) -> float:
    """Share of rows whose decision (n,) is right."""
    return _decided(truth, predicted).values(weight, ("accuracy",))["accuracy"]


def balanced_accuracy(truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None = None) -> float:
    """Mean recall over the classes that have rows."""
    return _decided(truth, predicted).values(weight, ("balanced_accuracy",))["balanced_accuracy"]


def _by_class(
    name: str, truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None, average: Average | None
) -> float:
    if average is None:
        return _decided(truth, predicted, 2).values(weight, (name,))[name]
    key = f"{name}_{average}"
    # Three classes at least, so that the averages of two classes take the same way.
    count = 1 + int(max(np.max(truth, initial=2), np.max(predicted, initial=2)))
    return _decided(truth, predicted, count).values(weight, (key,))[key]


def precision(
    truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None = None, average: Average | None = None
) -> float:
    """Share of the rows decided positive that are; NaN when none is. Averages are over the classes that have rows."""
    return _by_class("precision", truth, predicted, weight, average)


def recall(
    truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None = None, average: Average | None = None
) -> float:
    """Share of the positive rows decided positive; NaN without any. Averages are over the classes that have rows."""
    return _by_class("recall", truth, predicted, weight, average)


def f1(
    truth: NDArray[Any], predicted: NDArray[Any], weight: Floats | None = None, average: Average | None = None
) -> float:
    """Harmonic mean of precision and recall. Averages are over the classes that have rows."""
    return _by_class("f1", truth, predicted, weight, average)


def auroc(truth: NDArray[Any], score: Floats, weight: Floats | None = None, average: Average = "macro") -> float:
    """Area under the ROC curve of scores (n,) of the positive class, or one against the rest of probabilities (n, K).

    For (n, K > 2) the mean over the classes for which it is defined: equal parts (macro) or by their rows (weighted).
    """
    scorer = _stated(truth, score)
    name = "auroc" if scorer.task is Task.BINARY else f"auroc_{average}"
    return scorer.values(weight, (name,))[name]


def auprc(truth: NDArray[Any], score: Floats, weight: Floats | None = None) -> float:
    """Average precision of scores (n,), or its mean over the classes of probabilities (n, K)."""
    scorer = _stated(truth, score)
    name = "auprc" if scorer.task is Task.BINARY else "auprc_macro"
    return scorer.values(weight, (name,))[name]


def log_loss(truth: NDArray[Any], probabilities: Floats, weight: Floats | None = None) -> float:
    """Mean negative log probability (nats) of the true class; probabilities (n, K), or (n,) of the positive class."""
    return _stated(truth, probabilities).values(weight, ("log_loss",))["log_loss"]


def brier(truth: NDArray[Any], probabilities: Floats, weight: Floats | None = None) -> float:
    """Mean squared error of the probabilities: of the positive class (0 to 1), or summed over K > 2 classes (to 2)."""
    return _stated(truth, probabilities).values(weight, ("brier",))["brier"]


def ece(truth: NDArray[Any], probabilities: Floats, weight: Floats | None = None) -> float:
    """Expected calibration error over 15 equal-width bins (Guo et al. 2017, section 2).

    Of two classes the positive one's probability is binned, of more the likeliest class's (see `confidence_and_hits`).
    """
    return _stated(truth, probabilities).values(weight, ("ece",))["ece"]


def rmse(truth: NDArray[Any], predicted: Floats, weight: Floats | None = None) -> float:
    """Root of the mean squared error, in the target's unit."""
    return Scorer(Task.REGRESSION, truth, predicted).values(weight, ("rmse",))["rmse"]


def mae(truth: NDArray[Any], predicted: Floats, weight: Floats | None = None) -> float:
    """Mean absolute error, in the target's unit."""
    return Scorer(Task.REGRESSION, truth, predicted).values(weight, ("mae",))["mae"]


def r2(truth: NDArray[Any], predicted: Floats, weight: Floats | None = None) -> float:
    """Share of the variance explained; NaN for a constant truth."""
    return Scorer(Task.REGRESSION, truth, predicted).values(weight, ("r2",))["r2"]


def median_error(truth: NDArray[Any], predicted: Floats, weight: Floats | None = None) -> float:
    """Median of the absolute error, in the target's unit."""
    return Scorer(Task.REGRESSION, truth, predicted).values(weight, ("median_error",))["median_error"]
