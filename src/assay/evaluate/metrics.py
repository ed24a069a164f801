"""The metrics each task reports, and the sums behind them.

Letters: n rows, K classes, b weightings of the rows. Truth is class positions (n,) int or values (n,) float; a
prediction is probabilities (n, K) or values (n,). A binary decision is "positive" from probability 0.5 on, or as a
`Rule` has it; the positive class is the last. Every metric takes row weights; where it is not defined (no rows, one
class, constant truth) it is NaN, never an error or a warning.

`Scorer` evaluates all metrics of a task for many weightings at once: the plain value is the weighting of ones, a
bootstrap sample is the weighting by how often each row was drawn. `plain_metrics` has each metric as a function.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import LIKELIEST, Rule
from assay.data.schema import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Average = Literal["macro", "weighted"]

ECE_BINS = 15


@dataclass(frozen=True)
class Metric:
    """A metric a task reports: `id` in records, `label` for people."""

    id: str
    label: str
    higher_is_better: bool


_BINARY = (
    Metric("accuracy", "Accuracy", True),
    Metric("balanced_accuracy", "Balanced accuracy", True),
    Metric("precision", "Precision", True),
    Metric("recall", "Recall", True),
    Metric("f1", "F1", True),
    Metric("auroc", "AUROC", True),
    Metric("auprc", "AUPRC", True),
    Metric("log_loss", "Log loss", False),
    Metric("brier", "Brier score", False),
    Metric("ece", "ECE", False),
)
_MULTICLASS = (
    Metric("accuracy", "Accuracy", True),
    Metric("balanced_accuracy", "Balanced accuracy", True),
    Metric("precision_macro", "Precision (macro)", True),
    Metric("recall_macro", "Recall (macro)", True),
    Metric("f1_macro", "F1 (macro)", True),
    Metric("f1_weighted", "F1 (weighted)", True),
    Metric("precision_weighted", "Precision (weighted)", True),
    Metric("recall_weighted", "Recall (weighted)", True),
    Metric("auroc_macro", "AUROC (macro)", True),
    Metric("auroc_weighted", "AUROC (weighted)", True),
    Metric("auprc_macro", "AUPRC (macro)", True),
    Metric("log_loss", "Log loss", False),
    Metric("brier", "Brier score", False),
    Metric("ece", "ECE", False),
)
_REGRESSION = (
    Metric("rmse", "RMSE", False),
    Metric("mae", "MAE", False),
    Metric("r2", "R²", True),
    Metric("median_error", "Median error", False),
)

#: The metrics of labels of which a row has any number, the primary one first; `multilabel/metrics.py` computes them.
LABEL_METRICS = (
    Metric("f1_micro", "F1 (micro)", True),
    Metric("f1_macro", "F1 (macro)", True),
    Metric("f1_samples", "F1 (samples)", True),
    Metric("precision_micro", "Precision (micro)", True),
    Metric("recall_micro", "Recall (micro)", True),
    Metric("precision_macro", "Precision (macro)", True),
    Metric("recall_macro", "Recall (macro)", True),
    Metric("subset_accuracy", "Subset accuracy", True),
    Metric("hamming_loss", "Hamming loss", False),
    Metric("auroc_macro", "AUROC (macro)", True),
    Metric("auroc_micro", "AUROC (micro)", True),
    Metric("auprc_macro", "AUPRC (macro)", True),
    Metric("auprc_micro", "AUPRC (micro)", True),
    Metric("log_loss", "Log loss", False),
    Metric("brier", "Brier score", False),
    Metric("ece", "ECE", False),
)

#: The metrics of forecasts, the primary one first; `forecast/scores.py` computes them.
FORECAST_METRICS = (
    Metric("mae", "MAE", False),
    Metric("rmse", "RMSE", False),
    Metric("mase", "MASE", False),
    Metric("smape", "sMAPE, %", False),
    Metric("mse_standardised", "MSE (standardised)", False),
)

#: Those that settings can be judged by without the training part: means of what each window adds, and the root of one.
SEARCHED_FORECAST_METRICS = FORECAST_METRICS[:2]

#: The metrics that `Scorer` computes for each task, in the order they are shown.
METRICS: dict[Task, tuple[Metric, ...]] = {
    Task.BINARY: _BINARY,
    Task.MULTICLASS: _MULTICLASS,
    Task.REGRESSION: _REGRESSION,
}
#: The metrics of classes that may exceed 1.
_UNBOUNDED = ("log_loss", "brier")
#: The metric models of a task are compared on.
PRIMARY: dict[Task, str] = {
    Task.BINARY: "auroc", Task.MULTICLASS: "accuracy", Task.MULTILABEL: LABEL_METRICS[0].id, Task.REGRESSION: "rmse",
    Task.FORECASTING: FORECAST_METRICS[0].id,
}  # fmt: skip


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The metrics that settings can be judged by."""
    others = {Task.MULTILABEL: LABEL_METRICS, Task.FORECASTING: SEARCHED_FORECAST_METRICS}
    return others[task] if task in others else METRICS[task]


def primary_of(task: Task) -> Metric:
    """The metric models of a task are compared on."""
    return FORECAST_METRICS[0] if task is Task.FORECASTING else metric(task, PRIMARY[task])


def searched_by(task: Task) -> Metric:
    """The metric that settings are judged by.

    It is the primary one but where that is of decisions: few rows change theirs from one setting to the next, and
    thresholds of labels are chosen for a model that is trained.
    """
    return metric(task, "log_loss") if task in (Task.MULTICLASS, Task.MULTILABEL) else primary_of(task)


def metric(task: Task, name: str) -> Metric:
    """The metric `name` of `task`.

    Raises:
        KeyError: the task does not report it.
    """
    for candidate in metrics_of(task):
        if candidate.id == name:
            return candidate
    raise KeyError(name)


def decide(probabilities: Floats) -> Ints:
    """The class positions (n,) chosen from probabilities (n, K): the likeliest; of two, the positive from 0.5 on."""
    return LIKELIEST(probabilities)


# Sums that every weighting shares -----------------------------------------------------------------------------------


def ratio(above: Floats, below: Floats) -> Floats:
    """`above / below`, NaN where `below` is 0."""
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    return np.asarray(np.divide(above, below, out=np.full(shape, np.nan), where=np.asarray(below) > 0), np.float64)


class Ranking:
    """Rows in falling order of a score: the sums behind AUROC and average precision.

    Both change only at thresholds that let a positive row in, so sums are taken at these g thresholds alone.
    """

    def __init__(self, score: Floats, positive: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-score, kind="stable")
        ranked, found = score[self._order], np.flatnonzero(positive[self._order])
        edges = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1 if len(score) else np.empty(0, np.int64)
        # Rows of equal scores share a threshold: each positive row with the run of ties it is in.
        run = np.searchsorted(edges, found, side="right")
        self._first = np.flatnonzero(np.append(True, run[1:] != run[:-1])) if len(run) else run
        self._positive = self._order[found]
        self._end = edges[run[self._first]]
        self._start = np.append(0, edges)[run[self._first]]

    def sums(self, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """For weights (b, n): positives gained at each threshold, positives and all rows up to it, and all rows before.

        Each is of shape (b, g).
        """
        gained = np.add.reduceat(np.take(weights, self._positive, axis=1), self._first, axis=1)
        reached = np.zeros((len(weights), weights.shape[1] + 1))
        np.cumsum(np.take(weights, self._order, axis=1), axis=1, out=reached[:, 1:])
        return gained, np.cumsum(gained, axis=1), reached[:, self._end], reached[:, self._start]

    def areas(self, weights: Floats, total: Floats) -> tuple[Floats, Floats, Floats]:
        """AUROC (ties counting half), average precision and weight of the positives, (b,); `total` is all weight."""
        if not len(self._first):
            missing = np.full(len(weights), np.nan)
            return missing, missing, np.zeros(len(weights))
        gained, hits, reached, before = self.sums(weights)
        positives = hits[:, -1]
        negatives = total - positives
        alarms = (reached - hits + before - hits + gained) / 2
        below = (gained * (negatives[:, None] - alarms)).sum(axis=1)
        precision = np.divide(hits, reached, out=np.zeros_like(hits), where=reached > 0)
        average = ratio((gained * precision).sum(axis=1), positives)
        return ratio(below, positives * np.where(negatives > 1e-12 * total, negatives, 0.0)), average, positives


def _per_class(table: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Precision, recall, F1 and support (b, K) of confusion tables (b, K, K); NaN where not defined."""
    hits = np.diagonal(table, axis1=1, axis2=2)
    support, chosen = table.sum(axis=2), table.sum(axis=1)
    return ratio(hits, chosen), ratio(hits, support), ratio(2 * hits, support + chosen), support


def _average(values: Floats, support: Floats, average: Average) -> Floats:
    """The mean (b,) over the classes with rows; NaN within them counts as 0 (a class never chosen has precision 0)."""
    share = (support > 0).astype(np.float64) if average == "macro" else support
    return ratio((np.nan_to_num(values) * share).sum(axis=1), share.sum(axis=1))


def average_defined(values: Floats, support: Floats, average: Average) -> Floats:
    """The mean (b,) over the classes for which the value is defined."""
    share = (support > 0).astype(np.float64) if average == "macro" else support
    share = np.where(np.isnan(values), 0.0, share)
    return ratio((np.nan_to_num(values) * share).sum(axis=1), share.sum(axis=1))


def confusion_matrix(
    truth: NDArray[Any], predicted: NDArray[Any], classes: int, weight: Floats | None = None
) -> Floats:
    """Counts, or weights, (K, K) of rows by truth (rows) and decision (columns), both class positions (n,)."""
    cells = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, weight, classes**2).astype(np.float64).reshape(classes, classes)


def confidence_and_hits(truth: Ints, probabilities: Floats) -> tuple[Floats, Floats]:
    """What calibration compares, two arrays (n,): the stated probability and whether it came true.

    Two classes: the probability of the positive class, and whether the row is positive. More: the probability of the
    likeliest class, and whether the row is of it.
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (truth == 1).astype(np.float64)
    chosen = decide(probabilities)
    return probabilities[np.arange(len(truth)), chosen], (chosen == truth).astype(np.float64)


def calibration_bins(confidence: Floats, bins: int = ECE_BINS) -> Ints:
    """The equal-width bin of [0, 1], 0 to bins - 1, that each confidence (n,) falls in."""
    return np.clip((confidence * bins).astype(np.int64), 0, bins - 1)


class Scorer:
    """All metrics of a task on fixed rows, for many weightings of the rows at once.

    Args:
        task: binary, multiclass or regression.
        truth: class positions or values, (n,).
        prediction: probabilities (n, K) or values (n,).
        rule: how a class is decided from probabilities.
    """

    def __init__(self, task: Task, truth: NDArray[Any], prediction: Floats, rule: Rule = LIKELIEST) -> None:
        self.task = task
        self.rule = rule
        self.truth: NDArray[Any] = np.asarray(truth, np.float64 if task is Task.REGRESSION else np.int64)
        self.prediction = np.asarray(prediction, np.float64)
        self.rows = len(self.truth)
        self.classes = 0 if task is Task.REGRESSION else self.prediction.shape[1]

    def __call__(self, weights: Floats, only: Collection[str] | None = None) -> dict[str, Floats]:
        """The metrics of the task (those in `only`) for weights (b, n): each an array (b,)."""
        names = [m.id for m in METRICS[self.task] if only is None or m.id in only]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.task is Task.REGRESSION:
                return {name: self._error(name, weights) for name in names}
            values = self._decisions(names, weights) | self._rankings(names, weights) | self._means(names, weights)
        # Sums of weights that should be equal may differ in the last digit; no share may pass 1 for that.
        return {name: values[name] if name in _UNBOUNDED else np.clip(values[name], 0.0, 1.0) for name in names}

    def values(self, weight: Floats | None = None, only: Collection[str] | None = None) -> dict[str, float]:
        """The metrics for one weighting (n,), ones by default."""
        weights = np.ones((1, self.rows)) if weight is None else np.asarray(weight, np.float64)[None]
        return {name: float(value[0]) for name, value in self(weights, only).items()}

    def of_rows(self, name: str) -> Floats | None:
        """What each row adds to a metric that is a mean over rows, or the root of one (rmse), (n,); None of others."""
        if name == "accuracy":
            return np.asarray(self.rule(self.prediction) == self.truth, np.float64)
        if name in ("log_loss", "brier"):
            return self._row_losses[:, int(name == "brier")]
        if name in ("rmse", "mae"):
            return self._errors[0][:, int(name == "mae")]
        return None

    def table(self, weights: Floats) -> Floats:
        """Confusion tables (b, K, K): rows are the truth, columns the decision."""
        size = self.classes**2
        tables = np.empty((len(weights), size))
        for row, weight in enumerate(weights):
            tables[row] = np.bincount(self._cells, weight, size)
        return tables.reshape(-1, self.classes, self.classes)

    @cached_property
    def _cells(self) -> Ints:
        return np.asarray(self.truth * self.classes + self.rule(self.prediction), np.int64)

    @cached_property
    def _ranks(self) -> list[Ranking]:
        wanted = [1] if self.task is Task.BINARY else range(self.classes)
        return [Ranking(self.prediction[:, k], self.truth == k) for k in wanted]

    @cached_property
    def _row_losses(self) -> Floats:
        """Log loss and Brier score of each row, (n, 2)."""
        own = self.prediction[np.arange(self.rows), self.truth]
        log_loss = -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))
        others = (self.prediction**2).sum(axis=1) - own**2
        brier = (1.0 - own) ** 2 + others
        return np.stack([log_loss, brier / 2 if self.task is Task.BINARY else brier], axis=1)

    @cached_property
    def _gaps(self) -> tuple[Ints, Floats]:
        confidence, hits = confidence_and_hits(self.truth, self.prediction)
        return calibration_bins(confidence), confidence - hits

    @cached_property
    def _errors(self) -> tuple[Floats, Ints]:
        error = self.prediction - self.truth
        # Centred on the median so that a constant truth gives an exact 0.
        centred = self.truth - np.median(self.truth) if self.rows else self.truth
        sums = np.stack([error**2, np.abs(error), centred, centred**2], axis=1)
        return sums, np.argsort(sums[:, 1], kind="stable")

    def _decisions(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        if not any(n.startswith(("accuracy", "balanced", "precision", "recall", "f1")) for n in names):
            return {}
        table = self.table(weights)
        precision, recall, f1, support = _per_class(table)
        values = {
            "accuracy": ratio(np.trace(table, axis1=1, axis2=2), support.sum(axis=1)),
            "balanced_accuracy": _average(recall, support, "macro"),
        }
        for name, each in (("precision", precision), ("recall", recall), ("f1", f1)):
            if self.task is Task.BINARY:
                values[name] = each[:, 1]
            values[f"{name}_macro"] = _average(each, support, "macro")
            values[f"{name}_weighted"] = _average(each, support, "weighted")
        return values

    def _rankings(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        if not any(name.startswith(("auroc", "auprc")) for name in names):
            return {}
        total = weights.sum(axis=1)
        found = [rank.areas(weights, total) for rank in self._ranks]
        if self.task is Task.BINARY:
            return {"auroc": found[0][0], "auprc": found[0][1]}
        roc, average, support = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        return {
            "auroc_macro": average_defined(roc, support, "macro"),
            "auroc_weighted": average_defined(roc, support, "weighted"),
            "auprc_macro": average_defined(average, support, "macro"),
        }

    def _means(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        values = {}
        if "log_loss" in names or "brier" in names:
            losses = weights @ self._row_losses
            values = {"log_loss": ratio(losses[:, 0], total), "brier": ratio(losses[:, 1], total)}
        if "ece" in names:
            bins, gap = self._gaps
            off = np.array([np.abs(np.bincount(bins, w * gap, ECE_BINS)).sum() for w in weights])
            values["ece"] = ratio(off, total)
        return values

    def _error(self, name: str, weights: Floats) -> Floats:
        rows, order = self._errors
        if name == "median_error":
            return _weighted_median(rows[order, 1], weights[:, order])
        total = weights.sum(axis=1)
        squares, absolute, first, second = (weights @ rows).T
        if name == "rmse":
            return np.sqrt(ratio(squares, total))
        if name == "mae":
            return ratio(absolute, total)
        spread = second - np.nan_to_num(ratio(first**2, total))
        # What is left of a constant truth after rounding is not a spread.
        return 1.0 - ratio(squares, np.where(spread > 1e-14 * second, spread, 0.0))


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Medians (b,) of rising values (n,) under weights (b, n): the mean of the two middle ones where two meet."""
    if not len(values):
        return np.full(len(weights), np.nan)
    reached = np.cumsum(weights, axis=1)
    half = reached[:, -1:] / 2
    low = np.minimum((reached < half).sum(axis=1), len(values) - 1)
    high = np.minimum((reached <= half).sum(axis=1), len(values) - 1)
    return np.where(half[:, 0] > 0, (values[low] + values[high]) / 2, np.nan)
