"""Baselines of labels of which a row has any number: their shares, and one model for each label against the rest.

A label that all rows have, or none, or for which no time is left stands at its share, and the description counts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from assay.data.schema import Schema
from assay.evaluate.baseline_cells import BaselineTask, NothingToLearnError
from assay.evaluate.baseline_models import (
    Design,
    Fitted,
    at_round,
    best_round,
    boost,
    fit_logistic,
    held_out,
    new_booster,
    notes_on,
    tree_matrix,
    usable_columns,
)
from assay.evaluate.metrics import Floats

#: From rows of a matrix to the probability of a label, (n,).
_Answer = Callable[[Any], Floats]


def fit_label_trivial(task: BaselineTask, schema: Schema) -> Fitted:
    """The share of each label, whatever the row."""
    shares = _shares(task)
    return "the share of each label, whatever the row", lambda frame: np.tile(shares, (len(frame), 1))


def fit_label_linear(task: BaselineTask, schema: Schema) -> Fitted:
    """A logistic regression of each label, all on the same columns.

    Raises:
        NothingToLearnError: no column can be used, or no label varies.
    """
    design = Design(task.cells, task.reader.kept)
    if not design.width:
        raise NothingToLearnError("no column it can use")
    matrix = design(task.cells)
    cut_short = 0

    def fit(own: BaselineTask) -> _Answer:
        nonlocal cut_short
        model, converged = fit_logistic(matrix, own)
        cut_short += not converged
        return lambda rows: np.asarray(model.predict_proba(rows)[:, 1], np.float64)

    answers, left = _for_each(task, fit)
    told = "logistic regression of each label" + (f", {cut_short} stopped by the time limit" if cut_short else "")
    notes = notes_on(task, "TF-IDF of words and letters" if task.cells.texts else "")
    return f"{told}{left}{notes}", _together(task, answers, lambda frame: design(task.reader.read(frame)))


def fit_label_trees(task: BaselineTask, schema: Schema) -> Fitted:
    """Histogram gradient boosting of each label, each with the rounds that held-out training rows choose.

    Raises:
        NothingToLearnError: no column can be used, or no label varies.
    """
    matrix = tree_matrix(task.cells)
    usable = usable_columns(matrix)
    if not usable.any():
        raise NothingToLearnError("no column it can use")
    categorical = (np.arange(matrix.shape[1]) >= task.cells.values.shape[1])[usable]
    rounds: list[int] = []

    def fit(own: BaselineTask) -> _Answer:
        held = held_out(own.target, True, own.seed)
        model = new_booster(own, categorical, classify=True, early=bool(held.any()))
        boost(model, matrix[:, usable], own, held)
        best = best_round(model) if held.any() else int(model.n_iter_)
        rounds.append(best)
        return lambda rows: np.asarray(at_round(model.staged_predict_proba(rows), best)[:, 1], np.float64)

    answers, left = _for_each(task, fit)
    spread = f"{min(rounds)} to {max(rounds)}" if min(rounds) < max(rounds) else f"{rounds[0]}"
    notes = notes_on(task, "without the text columns" if task.cells.texts else "")
    told = f"histogram gradient boosting of each label, {spread} rounds{left}{notes}"
    return told, _together(task, answers, lambda frame: tree_matrix(task.reader.read(frame))[:, usable])


def _shares(task: BaselineTask) -> Floats:
    return np.asarray(np.average(task.target, axis=0, weights=task.weight), np.float64)


def _for_each(task: BaselineTask, fit: Callable[[BaselineTask], _Answer]) -> tuple[dict[int, _Answer], str]:
    """What is fitted to each label that varies, the most frequent first, and how many were left, in words.

    Raises:
        NothingToLearnError: nothing could be fitted.
    """
    varying = [label for label in range(task.target.shape[1]) if len(np.unique(task.target[:, label])) > 1]
    varying.sort(key=lambda label: -int(task.target[:, label].sum()))
    answers: dict[int, _Answer] = {}
    for place, label in enumerate(varying):
        now = time.monotonic()
        if place and now >= task.deadline:
            break
        deadline = now + (task.deadline - now) / (len(varying) - place)
        target = task.target[:, label].astype(np.int64)
        answers[label] = fit(replace(task, target=target, classes=2, deadline=deadline))
    if not answers:
        raise NothingToLearnError("no label varies in its training rows")
    late, alike = len(varying) - len(answers), task.target.shape[1] - len(varying)
    left = f", {late} labels at their share for want of time" if late else ""
    return answers, left + (f", {alike} at their share, for all rows are alike" if alike else "")


def _together(
    task: BaselineTask, answers: dict[int, _Answer], read: Callable[[pl.DataFrame], Any]
) -> Callable[[pl.DataFrame], Floats]:
    """From raw rows to probabilities (n, L)."""
    shares = _shares(task)

    def answer(frame: pl.DataFrame) -> Floats:
        found, rows = np.tile(shares, (len(frame), 1)), read(frame)
        for label, one in answers.items():
            found[:, label] = one(rows)
        return found

    return answer
