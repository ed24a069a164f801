"""Statistics of rows that take a small forest: whether there is anything to learn, and whether two parts are alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.doctor.rows_statistics import Floats

#: Trees of a forest, and the parts that rows are dealt into.
_TREES, _FOLDS = 40, 3


def signal(truth: NDArray[Any], answers: Floats, *, classes: bool) -> float:
    """Gain of answers to unseen rows over a constant answer, in standard errors.

    For classes by hits against always saying the largest class; for values by the correlation of answer and truth.
    """
    if not classes:
        r = float(np.corrcoef(truth, answers)[0, 1]) if answers.std() > 0 and truth.std() > 0 else 0.0
        return r * math.sqrt(len(truth))
    names, counts = np.unique(truth, return_counts=True)
    hit = names[answers.argmax(axis=1)] == truth
    # Mean recall, so that a rare class is not lost in the share of the largest.
    recalls = np.array([hit[truth == name].mean() for name in names])
    chance = 1.0 / len(names)
    error = math.sqrt(float((chance * (1 - chance) / counts).sum())) / len(names)
    return float((recalls.mean() - chance) / max(error, 1e-12))


def contradicted(truth: NDArray[Any], answers: Floats) -> float:
    """Share of labels that the answers to unseen rows contradict.

    Confident learning (Northcutt et al., JAIR 2021, section 3.1): another class is at least as likely as it usually is
    for its own rows, and likelier than the label.
    """
    names = np.unique(truth)
    coded = np.searchsorted(names, truth)
    usual = np.array([answers[coded == place, place].mean() for place in range(len(names))])
    confident = np.where(answers >= usual, answers, -1.0)
    likelier = confident.argmax(axis=1)
    return float(((confident.max(axis=1) > 0) & (likelier != coded)).mean())


def apartness(train: Floats, judging: Floats) -> float:
    """Gini index (2 AUC - 1) at which a forest tells two parts apart, lower 99 % bound; at least 0."""
    size = min(len(train), len(judging), 600)
    inputs = np.concatenate([train[:size], judging[:size]])
    part = np.repeat([0, 1], size)
    order = np.random.default_rng(0).permutation(2 * size)
    truth, answers = out_of_fold(inputs[order], part[order], classes=True)
    stats = require("scipy.stats", "telling two parts apart")
    ranks = stats.rankdata(answers[:, 1])
    positive = float((truth == 1).sum())
    negative = len(truth) - positive
    area = (float(ranks[truth == 1].sum()) - positive * (positive + 1) / 2) / (positive * negative)
    error = math.sqrt((positive + negative + 1) / (12 * positive * negative))
    return max(0.0, 2 * (area - 2.33 * error) - 1)


def out_of_fold(inputs: Floats, targets: NDArray[Any], *, classes: bool) -> tuple[NDArray[Any], Floats]:
    """The targets, and a forest's answers to rows it did not learn from: probabilities (n, classes) or values (n,)."""
    ensemble = require("sklearn.ensemble", "a forest")
    selection = require("sklearn.model_selection", "dealing rows into parts")
    made = ensemble.ExtraTreesClassifier if classes else ensemble.ExtraTreesRegressor
    dealt = selection.StratifiedKFold if classes else selection.KFold
    forest = made(n_estimators=_TREES, min_samples_leaf=2, max_features="sqrt", random_state=0)
    folds = dealt(_FOLDS, shuffle=True, random_state=0)
    how = "predict_proba" if classes else "predict"
    return targets, np.asarray(selection.cross_val_predict(forest, inputs, targets, cv=folds, method=how), np.float64)
