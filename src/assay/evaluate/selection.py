"""The score of what was chosen among many, without what the choice flatters it by.

The best of many settings owes a part of its score to luck on the rows that chose it. Bootstrap bias-corrected
cross-validation (Tsamardinos, Greasidou & Borboudakis, Machine Learning 107, 2018, sections 4 and 5) makes the choice
anew on bootstrap draws of the rows and scores each on the rows that its draw left out: no training is repeated.

Letters: n rows, S settings, b draws, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.evaluate.forecast.window_scorer import WindowScorer
from assay.evaluate.intervals import bootstrap_interval, resamples, sample_count
from assay.evaluate.metrics import Floats, Ints, Metric
from assay.evaluate.multilabel.metrics import scorer_for
from assay.evaluate.record import Estimate, Selection

#: The scores of all settings, (S, b), for weights of the rows, (b, n).
Scores = Callable[[Floats], Floats]

#: A mean of losses, where no metric has a name.
LOSS = Metric("loss", "Loss", False)
#: The share of rows that a draw leaves out, and how much less the mean of all rows varies than that of such a part.
_LEFT_OUT = float(np.exp(-1.0))
_NARROWER = float(np.sqrt(_LEFT_OUT / (1.0 - _LEFT_OUT)))
#: What a setting costs beside a weighting of a row, where its rows are summed and where they are ranked or counted.
_SUMMED, _RANKED = 0.02, 1.0
#: Numbers of the answers of all settings that are held in memory.
IN_MEMORY = 50_000_000


def best_of_losses(
    losses: Floats,
    measure: Metric = LOSS,
    *,
    left_out: int = 0,
    weight: Floats | None = None,
    groups: NDArray[Any] | None = None,
    strata: Ints | None = None,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> Selection:
    """The best of settings by the mean of what each row adds, (S, n), and its bias-corrected estimate.

    Args:
        losses: of each setting for rows that it had not learned from; squared errors where the metric is rmse.
        measure: whether more is better, and whether the root of the mean is meant (rmse).
        left_out: settings that have no answers, counted only.
        weight: of the rows, (n,).
        groups: rows of one group are drawn together, (n,).
        strata: rows are drawn within each, (n,); not with groups.
        confidence: of the interval. samples: bootstrap draws; fewer where there is much to score. seed: of the draws.

    Raises:
        ValueError: there is no setting, or there are no rows.
    """
    rooted = measure.id == "rmse"

    def scores(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        means = np.divide(losses @ weights.T, total, out=np.full((len(losses), len(total)), np.nan), where=total > 0)
        return np.asarray(np.sqrt(means) if rooted else means, np.float64)

    settings, rows = losses.shape
    taken = sample_count(rows, samples, max(settings * _SUMMED, 1.0))
    drawn = draws(rows, taken, seed, groups=groups, strata=strata)
    units = rows if groups is None else len(np.unique(groups))
    return _best_of(scores, settings, rows, measure, drawn, weight, units, left_out, confidence)


def best_of_answers(
    task: Task,
    truth: NDArray[Any],
    answers: Sequence[Floats | None],
    measure: Metric,
    *,
    weight: Floats | None = None,
    groups: NDArray[Any] | None = None,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    in_memory: int = IN_MEMORY,
) -> Selection:
    """The best of settings by a metric of their answers for rows that they had not learned from; see `best_of_losses`.

    Args:
        task: of the rows.
        truth: class positions or values, (n,), of forecasts (n, H), of labels 0 and 1, (n, L).
        answers: probabilities (n, K), values (n,) or forecasts (n, H) of each setting; None of those that failed or
            were pruned.
        measure: one of the metrics of the task; of forecasts mae or rmse.
        in_memory: numbers of all answers beyond which they are gone through one after another for each draw.

    Raises:
        ValueError: no setting has answers, or there are no rows.
    """
    sizes = {at: each.size for at, each in enumerate(answers) if each is not None}
    left_out, rows = len(answers) - len(sizes), len(truth)
    is_classes = task in (Task.BINARY, Task.MULTICLASS)
    strata = np.asarray(truth, np.int64) if is_classes and groups is None else None
    units = rows if groups is None else len(np.unique(groups))
    if task is not Task.FORECASTING and sum(sizes.values()) > in_memory:
        taken = sample_count(rows, samples, max(len(sizes) * _RANKED, 1.0))
        drawn = iter([np.concatenate(list(draws(rows, taken, seed, groups=groups, strata=strata)))])
        of_each = _one_after_another(task, truth, answers, list(sizes), measure)
        return _best_of(of_each, len(sizes), rows, measure, drawn, weight, units, left_out, confidence)
    if task is Task.FORECASTING and sizes:
        missed = [WindowScorer(truth, each).of_rows(measure.id) for each in answers if each is not None]
        return best_of_losses(
            np.stack(missed), measure, left_out=left_out, weight=weight, groups=groups, confidence=confidence,
            samples=samples, seed=seed,
        )  # fmt: skip
    known = [np.asarray(each, np.float64) for each in answers if each is not None]
    scorers = [scorer_for(task, truth, each) for each in known]
    of_rows = [scorer.of_rows(measure.id) for scorer in scorers]
    added = [each for each in of_rows if each is not None]
    if scorers and len(added) == len(scorers):
        return best_of_losses(
            np.stack(added), measure, left_out=left_out, weight=weight, groups=groups, strata=strata,
            confidence=confidence, samples=samples, seed=seed,
        )  # fmt: skip

    def scores(weights: Floats) -> Floats:
        return np.stack([scorer(weights, (measure.id,))[measure.id] for scorer in scorers])

    taken = sample_count(rows, samples, max(len(scorers) * _RANKED, 1.0))
    drawn = draws(rows, taken, seed, groups=groups, strata=strata)
    return _best_of(scores, len(scorers), rows, measure, drawn, weight, units, left_out, confidence)


def _one_after_another(
    task: Task, truth: NDArray[Any], answers: Sequence[Floats | None], places: Sequence[int], measure: Metric
) -> Scores:
    """The scores of very many settings, whose answers lie in files, with those of one in memory at a time."""

    def of_one(answer: Floats | None, weights: Floats) -> Floats:
        scorer = scorer_for(task, truth, np.asarray(answer, np.float64))
        each = scorer.of_rows(measure.id)
        if each is None:
            return scorer(weights, (measure.id,))[measure.id]
        total = weights.sum(axis=1)
        means = np.divide(weights @ each, total, out=np.full(len(total), np.nan), where=total > 0)
        return np.asarray(np.sqrt(means) if measure.id == "rmse" else means, np.float64)

    return lambda weights: np.stack([of_one(answers[at], weights) for at in places])


def draws(
    rows: int, samples: int, seed: int, *, groups: NDArray[Any] | None = None, strata: Ints | None = None
) -> Iterator[Floats]:
    """The weight of each row in each bootstrap draw, in blocks (b, n); 0 is a row that was left out.

    Groups are drawn whole (cluster bootstrap; Field & Welsh, JRSS B 2007), rows within their strata.
    """
    if groups is None:
        yield from resamples(strata, rows, samples, seed)
        return
    names, place = np.unique(groups, return_inverse=True)
    for block in resamples(None, len(names), samples, seed):
        yield block[:, place]


def corrected(
    validation: float, measure: Metric, chosen: Floats, kept: Floats, units: int, confidence: float
) -> tuple[Estimate, float]:
    """The estimate without what choosing flatters by, with its interval; and that flattery, at least 0.

    What all rows chose is scored on the same left-out rows as what each draw chose. So the difference is that of the
    choices alone, and where there is nothing to choose the estimate is the validation score itself.

    The interval is of the percentiles of what the draws chose, around the estimate. A draw leaves out 0.37 of the rows,
    whose mean varies 1.31 times as much as that of all rows: deviations are divided by that.

    Args:
        validation: the score of what all rows chose, on all rows.
        chosen, kept: scores on the rows that each draw left out, (b,): of what it chose, and of what all rows chose.
        units: rows, or groups of rows, that were drawn from.
    """
    known = np.isfinite(chosen) & np.isfinite(kept)
    if not known.any() or not np.isfinite(validation):
        return Estimate(value=None, method="not defined: no draw left out rows that it is defined on"), 0.0
    chosen, kept = chosen[known], kept[known]
    sign = 1.0 if measure.higher_is_better else -1.0
    flattery = max(0.0, float(sign * (kept - chosen).mean()))
    value = validation - sign * flattery
    around = value + (chosen - chosen.mean()) * _NARROWER
    bounded = measure.higher_is_better and measure.id != "r2"
    lowest, highest = (0.0 if measure.id != "r2" else -np.inf), (1.0 if bounded else np.inf)
    low, high = bootstrap_interval(value, around, units, confidence, lowest=lowest, highest=highest)
    ends = (low, high) if np.isfinite(low) else (None, None)
    return Estimate(value=value, low=ends[0], high=ends[1], method=f"BBC-CV ({len(chosen):,} draws)"), flattery


def _best_of(
    scores: Scores,
    settings: int,
    rows: int,
    measure: Metric,
    drawn: Iterator[Floats],
    weight: Floats | None,
    units: int,
    left_out: int,
    confidence: float,
) -> Selection:
    if not settings or not rows:
        raise ValueError(f"a choice needs settings with answers and rows: there are {settings} and {rows}")
    own = np.ones(rows) if weight is None else np.asarray(weight, np.float64)
    whole = scores(own[None])[:, 0]
    best = _is_best(whole[:, None], measure)[:, 0]
    validation = float(whole[best].mean()) if best.any() else float("nan")
    chosen, kept = [], []
    for counts in drawn:
        picked = _is_best(scores(counts * own), measure)
        outside = scores((counts == 0.0) * own)
        chosen.append(_mean_where(outside, picked))
        kept.append(_mean_where(outside, np.broadcast_to(best[:, None], outside.shape)))
    estimate, flattery = corrected(
        validation, measure, np.concatenate(chosen), np.concatenate(kept), units, confidence
    )  # fmt: skip
    return Selection(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, validation=validation,
        corrected=estimate, flattery=flattery, settings=settings, left_out=left_out, rows=rows,
    )  # fmt: skip


def _is_best(found: Floats, measure: Metric) -> NDArray[np.bool_]:
    """Which settings are best in each draw, (S, b): all that are equally good, so that their order says nothing."""
    signed = np.where(np.isnan(found), -np.inf, found if measure.higher_is_better else -found)
    top = signed.max(axis=0)
    return np.asarray((signed >= top - 1e-12 * np.abs(top)) & np.isfinite(signed), np.bool_)


def _mean_where(values: Floats, taken: NDArray[np.bool_]) -> Floats:
    """The mean over the settings that were taken, (b,); NaN where none was, or one of them is not defined."""
    count = taken.sum(axis=0)
    total = np.where(taken, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0), np.float64)
