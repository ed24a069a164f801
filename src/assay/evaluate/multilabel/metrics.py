"""Metrics of labels of which a row has any number, for many weightings of the rows at once.

Letters: n rows, L labels, b weightings. Truth is 0 and 1, (n, L), a prediction is probabilities (n, L), and a label is
given from its threshold on. Micro averages count rows and labels together, macro averages each label alike, sample
averages each row alike. Where a metric is not defined (no rows, no label with rows) it is NaN. As everywhere in assay a
macro average is over the labels that have rows; a label that is never given has precision and F1 0. A row without a
label to which none is given is right: its F1 is 1.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.evaluate.forecast.window_scorer import WindowScorer
from assay.evaluate.metrics import (
    ECE_BINS,
    LABEL_METRICS,
    Floats,
    Ranking,
    Scorer,
    average_defined,
    calibration_bins,
    ratio,
)

#: The metrics that rank rows, which cost most.
RANKED = ("auroc", "auprc")
_TINY = np.finfo(np.float64).eps


class LabelScorer:
    """All metrics of a multilabel task on fixed rows, as `metrics.Scorer` has those of other tasks.

    Args:
        truth: 0 and 1, (n, L).
        prediction: probabilities, (n, L).
        thresholds: the probability from which each label is given, (L,).
    """

    task = Task.MULTILABEL

    def __init__(self, truth: NDArray[Any], prediction: Floats, thresholds: Floats) -> None:
        self.truth = np.asarray(truth) > 0
        self.prediction = np.asarray(prediction, np.float64)
        self.thresholds = np.asarray(thresholds, np.float64)
        self.chosen = self.prediction >= self.thresholds
        self.rows, self.classes = self.truth.shape

    def __call__(self, weights: Floats, only: Collection[str] | None = None) -> dict[str, Floats]:
        """The metrics of the task (those in `only`) for weights (b, n): each an array (b,)."""
        names = [m.id for m in LABEL_METRICS if only is None or m.id in only]
        values = self._decisions(names, weights) | self._rankings(names, weights) | self._means(names, weights)
        return {name: values[name] if name == "log_loss" else np.clip(values[name], 0.0, 1.0) for name in names}

    def values(self, weight: Floats | None = None, only: Collection[str] | None = None) -> dict[str, float]:
        """The metrics for one weighting (n,), ones by default."""
        weights = np.ones((1, self.rows)) if weight is None else np.asarray(weight, np.float64)[None]
        return {name: float(value[0]) for name, value in self(weights, only).items()}

    def of_rows(self, name: str) -> Floats | None:
        """What each row adds to a metric that is a mean over rows, (n,); None of others."""
        places = {"log_loss": 0, "brier": 1, "hamming_loss": 2}
        return self.row_losses[:, places[name]] if name in places else None

    def by_label(self, weights: Floats) -> dict[str, Floats]:
        """Precision, recall and F1 of each label, (b, L) each; NaN where not defined."""
        hits, given, having = self._counts(weights)
        return {"precision": ratio(hits, given), "recall": ratio(hits, having), "f1": ratio(2 * hits, given + having)}

    def ranking_by_label(self, weights: Floats) -> dict[str, Floats]:
        """AUROC and average precision of each label, (b, L) each; NaN where all rows have it, or none."""
        total = weights.sum(axis=1)
        found = [rank.areas(weights, total) for rank in self._ranks]
        roc, average, support = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        return {"auroc": roc, "auprc": average, "rows": support}

    def _counts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Weight of the rows that are rightly given each label, that are given it, and that have it, (b, L)."""
        right, given, having = self._indicators
        return weights @ right, weights @ given, weights @ having

    @cached_property
    def _indicators(self) -> tuple[Floats, Floats, Floats]:
        return (self.chosen & self.truth).astype(float), self.chosen.astype(float), self.truth.astype(float)

    @cached_property
    def _ranks(self) -> list[Ranking]:
        return [Ranking(self.prediction[:, label], self.truth[:, label]) for label in range(self.classes)]

    @cached_property
    def _together(self) -> Ranking:
        return Ranking(self.prediction.ravel(), self.truth.ravel())

    @cached_property
    def row_losses(self) -> Floats:
        """Log loss, Brier score, share of wrong labels, whether one is wrong, and 1 - F1 of each row, (n, 5)."""
        stated = np.where(self.truth, self.prediction, 1.0 - self.prediction)
        wrong = self.chosen != self.truth
        sizes = self.chosen.sum(axis=1) + self.truth.sum(axis=1)
        both = 2.0 * (self.chosen & self.truth).sum(axis=1)
        f1 = np.divide(both, sizes, out=np.ones(self.rows), where=sizes > 0)
        return np.stack(
            [
                -np.log(np.clip(stated, _TINY, 1.0)).mean(axis=1),
                ((1.0 - stated) ** 2).mean(axis=1),
                wrong.mean(axis=1),
                wrong.any(axis=1),
                1.0 - f1,
            ],
            axis=1,
        )

    def _decisions(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        if not any(name.startswith(("f1", "precision", "recall")) for name in names):
            return {}
        hits, given, having = self._counts(weights)
        share = (having > 0).astype(np.float64)
        values = {}
        for name, above, below in (
            ("precision", hits, given),
            ("recall", hits, having),
            ("f1", 2 * hits, given + having),
        ):
            values[f"{name}_micro"] = ratio(above.sum(axis=1), below.sum(axis=1))
            values[f"{name}_macro"] = ratio((np.nan_to_num(ratio(above, below)) * share).sum(axis=1), share.sum(axis=1))
        return values

    def _rankings(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        values: dict[str, Floats] = {}
        if any(name in ("auroc_macro", "auprc_macro") for name in names):
            found = self.ranking_by_label(weights)
            for name in RANKED:
                values[f"{name}_macro"] = average_defined(found[name], found["rows"], "macro")
        if any(name in ("auroc_micro", "auprc_micro") for name in names):
            repeated = np.repeat(weights, self.classes, axis=1)
            roc, average, _ = self._together.areas(repeated, repeated.sum(axis=1))
            values |= {"auroc_micro": roc, "auprc_micro": average}
        return values

    def _means(self, names: list[str], weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        log_loss, brier, hamming, inexact, unlike = (ratio(one, total) for one in (weights @ self.row_losses).T)
        values = {
            "log_loss": log_loss, "brier": brier, "hamming_loss": hamming, "subset_accuracy": 1.0 - inexact,
            "f1_samples": 1.0 - unlike,
        }  # fmt: skip
        if "ece" in names:
            bins, gap = calibration_bins(self.prediction.ravel()), (self.prediction - self.truth).ravel()
            repeated = (np.repeat(weight, self.classes) for weight in weights)
            off = np.array([np.abs(np.bincount(bins, one * gap, ECE_BINS)).sum() for one in repeated])
            values["ece"] = ratio(off, total * self.classes)
        return values


def scorer_for(task: Task, truth: NDArray[Any], prediction: Floats) -> Scorer | LabelScorer | WindowScorer:
    """The scorer of a task; labels are given from one half on: a model has thresholds, what is searched has none."""
    if task is Task.MULTILABEL:
        return LabelScorer(truth, prediction, np.full(prediction.shape[1], 0.5))
    if task is Task.FORECASTING:
        return WindowScorer(truth, prediction)
    return Scorer(task, truth, prediction)
