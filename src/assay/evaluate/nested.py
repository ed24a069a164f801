"""Nested cross-validation: the whole way of choosing a model is repeated in outer folds, which it never chooses by.

The estimate is of the way, not of the one model that is kept: networks, weights, epochs and temperatures are chosen
anew on each outer fold's own training and validation rows (Varma & Simon, BMC Bioinformatics 2006). Folds share
training rows, so their scores are not independent; the interval is widened for that (Nadeau & Bengio, Inference for
the Generalization Error, Machine Learning 52, 2003, section 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.config import SplitConfig
from assay.data.rows import Rows, fingerprint, joined
from assay.data.schema import Schema
from assay.data.split.folds import Folds, deal_folds
from assay.data.split.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.calibration.calibrate import class_answers
from assay.evaluate.metrics import Metric, Scorer
from assay.evaluate.multilabel.calibration import label_answers
from assay.evaluate.record import Estimate, Nested
from assay.ledger import Ledger, Outcome
from assay.train.model import Model

#: Training and validation rows, and the place of their outer fold, to the model that is chosen by them.
Choose = Callable[[Split, int], Model]


def nested(
    choose: Choose,
    split: Split,
    schema: Schema,
    dealing: SplitConfig,
    measure: Metric,
    *,
    folds: int,
    seed: int,
    confidence: float,
    ledger: Ledger,
) -> Nested:
    """Repeat the choice in outer folds of the training and validation rows, and score each on rows it has not seen.

    Args:
        choose: the whole way from rows to a calibrated model; it is given no other rows than those of its fold.
        split: whose test part is not looked at.
        folds: outer ones.

    Raises:
        DataError: the rows cannot be dealt to so many folds.
    """
    rows, began = joined(split.train, split.valid), perf_counter()
    dealt = deal_folds(rows, schema, dealing, folds, seed)
    inner = int(np.clip(round(len(rows) / max(len(split.valid), 1)), 2, 10))
    scores, ratios, lost = [], [], []
    for place in range(len(dealt)):
        learned, judged = rows.at(np.flatnonzero(dealt.learns[place])), rows.at(np.flatnonzero(dealt.judged[place]))
        try:
            model = choose(_inner(learned, split, schema, dealing, inner, seed + place), place)
        except (BudgetError, DivergenceError) as error:
            lost.append(f"fold {place + 1} ({error.came})")
            continue
        scores.append(_score(model, judged, schema, measure))
        ratios.append(len(judged) / len(learned))
        if model.trained.interrupted:
            lost += [f"fold {left + 1} (the run was interrupted)" for left in range(place + 1, len(dealt))]
            break
    found = Nested(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, scores=tuple(scores),
        estimate=mean_of_folds(scores, float(np.mean(ratios)) if ratios else 0.0, confidence),
        rows=int(dealt.judged.sum()), seconds=perf_counter() - began,
        ratio=float(np.mean(ratios)) if ratios else 0.0,
        folds="" if lost else fingerprint_of(rows, dealt, schema.pictures),
    )  # fmt: skip
    _note(found, dealt.policy, lost, ledger)
    return found


def fingerprint_of(rows: Rows, dealt: Folds, pictures: Collection[str] = ()) -> str:
    """A hash of the rows and of which folds judge them: runs that have it in common were chosen and judged alike."""
    return hashlib.sha256(fingerprint(rows, pictures).encode() + np.packbits(dealt.judged).tobytes()).hexdigest()


def mean_of_folds(scores: Sequence[float], ratio: float, confidence: float) -> Estimate:
    """The mean of the scores of folds with the interval of Nadeau & Bengio.

    ratio: rows that judge for each row that is learned from; what folds share makes the variance larger by it.
    """
    known = np.array([score for score in scores if np.isfinite(score)])
    if not len(known):
        return Estimate(value=None, method="not defined: no outer fold has a score")
    value, count = float(known.mean()), len(known)
    method = f"mean of {count} outer folds, corrected t"
    if count < 2:
        return Estimate(value=value, method="no interval from one outer fold")
    special = require("scipy.special", "an interval")
    spread = np.sqrt((1.0 / count + ratio) * known.var(ddof=1))
    half = float(special.stdtrit(count - 1, (1.0 + confidence) / 2.0) * spread)
    return Estimate(value=value, low=value - half, high=value + half, method=method)


def _inner(learned: Rows, split: Split, schema: Schema, dealing: SplitConfig, folds: int, seed: int) -> Split:
    """The rows of an outer fold as training and validation rows, cut as the parts of the run were; the latest judge."""
    dealt = deal_folds(learned, schema, dealing, folds, seed)
    train, valid = (learned.at(np.flatnonzero(which[-1])) for which in (dealt.learns, dealt.judged))
    return Split(train, replace(valid, part="valid"), None, split.plan)


def _score(model: Model, rows: Rows, schema: Schema, measure: Metric) -> float:
    answers = answers_of(model, model.outputs_of(rows))
    return Scorer(schema.task, rows.target, answers, model.head.rule).values(rows.weight, (measure.id,))[measure.id]


def answers_of(model: Model, raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities of classes or labels (n, ...), values (n,) or forecasts (n, H), from all members' raw outputs."""
    if model.head.has_labels:
        return label_answers(model, raw)
    if model.head.temperatures is None:
        return model.forecasts(raw) if model.validation.target.ndim == 2 else model.in_units(raw)
    return class_answers(model.head, raw)


def _note(found: Nested, policy: str, lost: Sequence[str], ledger: Ledger) -> None:
    told = f"{policy}; in each, networks, weights, epochs and temperatures were chosen anew"
    if found.estimate.value is not None:
        told += f": {found.label} {found.estimate.value:.4g}"
        if found.estimate.low is not None and found.estimate.high is not None:
            told += f" ({found.estimate.low:.4g} to {found.estimate.high:.4g}, {found.estimate.method})"
    told += f"; without {', '.join(lost)}" if lost else ""
    outcome = Outcome.WARNED if lost or found.estimate.low is None else Outcome.APPLIED
    ledger.record("evaluate.nested", outcome, told, value=found.estimate.value)
