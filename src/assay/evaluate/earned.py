"""What a practice earned: a paired difference with its interval, and the words for it.

Where networks were trained anew, the pair is a fold: what folds share makes their differences vary less than they
should, and the interval allows for that (Nadeau & Bengio, Inference for the Generalization Error, Machine Learning 52,
2003, section 3; over repeated folds Bouckaert & Frank, PAKDD 2004). Where answers were computed anew without training,
the pair is a row: a paired bootstrap (Efron & Tibshirani 1993, chapter 16). Holm (1979) over the family of practices.

Letters: n rows, K classes, J pairs of folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.schema import Task
from assay.evaluate.compare import holm
from assay.evaluate.intervals import bootstrap_interval, bootstrap_name, sample_count
from assay.evaluate.metrics import Floats, Metric
from assay.evaluate.multilabel.metrics import scorer_for
from assay.evaluate.record import Estimate
from assay.evaluate.selection import draws
from assay.records import Record

#: The document beside a run.
ABLATION, ABLATION_FORMAT = "ablation.json", 1
Verdict = Literal["helps", "hurts", "no measurable effect", "unclear", "needed"]


class Effect(Record):
    """What one practice earned.

    way: whether networks were trained anew, or kept answers computed anew. without: what was done in its place.
    gain: in `metric`, positive where the practice helped, whichever way the metric goes; None where training without it
        failed, and `reason` says how. p_value: after Holm over all practices that were measured.
    by_rows: the same gain by a paired bootstrap over the rows, of forecasts by the Diebold-Mariano test over origins:
        both leave out how trainings vary.
    proper: the gain in log loss (classes), MAE (numbers) or RMSE (forecasts), as `proper_label` says.
    seconds: of processor time that the practice costs, on one network and one fold; below zero where it saves some.
        passes: likewise, over the rows.
    pairs: folds, over all seeds; 0 where the rows of validation were the pairs.
    """

    practice: str
    way: Literal["trained anew", "computed anew"]
    without: str
    metric: str
    label: str
    with_score: float | None
    without_score: float | None
    gain: Estimate
    p_value: float
    verdict: Verdict
    by_rows: Estimate | None = None
    proper: Estimate | None = None
    seconds: float | None = None
    passes: float | None = None
    pairs: int = 0
    reason: str = ""


class Unmeasured(Record):
    """A practice that the run applied and nothing was measured of, and why."""

    practice: str
    reason: str


class Ablation(Record):
    """`ablation.json`: what each applied practice of a run earned; `effects` are sorted by what they gain.

    network: the family that was trained anew, with `options` beside those of the run; empty without any. rows: of
    training and validation that were used, of `of_rows`; `passes` over them at most. folds, seeds: every pair is a fold
    of one seed's deal. notes: what the reader must know. complete: whether all that was asked for is measured. seconds:
    of the whole, all times it was gone on with.
    """

    format: int = ABLATION_FORMAT
    run: str
    data: str
    target: str
    label: str
    proper_label: str
    confidence: float
    network: str
    rows: int
    of_rows: int
    passes: int
    folds: int
    seeds: int
    notes: tuple[str, ...] = ()
    effects: tuple[Effect, ...]
    unmeasured: tuple[Unmeasured, ...]
    complete: bool
    seconds: float


def ablation_of(directory: Path) -> Ablation | None:
    """What was measured of the practices of the run in a directory; None where nothing was.

    Raises:
        BundleError: the document is damaged.
    """
    path = directory / ABLATION
    return Ablation.read(path) if path.is_file() else None


@dataclass(frozen=True)
class Arms:
    """Answers with and without a practice for the same rows of a fold: probabilities (n, K), values (n,) or (n, H).

    ratio: rows that judge for each that was learned from. passes: with and without. block: place of the fold where
    other seeds have folds of the very same rows, as those of a backtest; None where rows are dealt anew.
    """

    truth: NDArray[Any]
    weight: Floats | None
    with_it: Floats
    without: Floats
    ratio: float
    passes: tuple[float, float] = (0.0, 0.0)
    block: int | None = None


@dataclass(frozen=True)
class Measured:
    """A practice before the family is known: its effect with a p-value of its own."""

    effect: Effect
    p_value: float = field(default=1.0)


def corrected_gain(differences: Sequence[float], ratio: float, confidence: float) -> tuple[Estimate, float]:
    """The mean of paired differences of folds, with its interval and two-sided p-value.

    ratio: rows that judge for each row that is learned from, which the variance is made larger by.
    """
    special = require("scipy.special", "an interval")
    known = np.array([each for each in differences if np.isfinite(each)])
    if not len(known):
        return Estimate(value=None, method="not defined: no fold has a score"), 1.0
    value, count = float(known.mean()), len(known)
    if count < 2:
        return Estimate(value=value, method="no interval from one fold"), 1.0
    error = float(np.sqrt((1.0 / count + ratio) * known.var(ddof=1)))
    if not error > 1e-12 * abs(value) and value:
        return Estimate(value=value, method="no interval: all folds differ by the same"), 1.0
    half = float(special.stdtrit(count - 1, (1.0 + confidence) / 2.0)) * error
    p_value = 2.0 * float(special.stdtr(count - 1, -abs(value) / error)) if error > 0.0 else 1.0
    method = f"mean of {count} folds, corrected t"
    return Estimate(value=value, low=value - half, high=value + half, method=method), p_value


def gain_by_rows(
    task: Task,
    truth: NDArray[Any],
    with_it: Floats,
    without: Sequence[Floats],
    measure: Metric,
    weight: Floats | None = None,
    *,
    groups: NDArray[Any] | None = None,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> tuple[Estimate, float]:
    """The gain on these rows with the interval and the two-sided p-value of a paired bootstrap.

    without: answers of which the mean of the scores is compared with. groups: rows of one are drawn together, (n,).
    """
    first, others = scorer_for(task, truth, with_it), [scorer_for(task, truth, each) for each in without]
    sign = 1.0 if measure.higher_is_better else -1.0

    def gains(weights: Floats) -> Floats:
        rivals = np.mean([other(weights, (measure.id,))[measure.id] for other in others], axis=0)
        return np.asarray(sign * (first(weights, (measure.id,))[measure.id] - rivals), np.float64)

    own = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    value = float(gains(own[None])[0])
    taken = sample_count(len(truth), samples, 1.0 + len(others))
    name = f"paired {bootstrap_name(taken)}"
    if not np.isfinite(value) or len(truth) < 2:
        return Estimate(value=None, method=f"not defined: {measure.label} is not defined on these rows"), 1.0
    is_of_classes = task in (Task.BINARY, Task.MULTICLASS)
    strata = np.asarray(truth, np.int64) if is_of_classes and groups is None else None
    drawn = np.concatenate(
        [gains(counts * own) for counts in draws(len(truth), taken, seed, groups=groups, strata=strata)]
    )
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 2:
        return Estimate(value=value, method=f"no interval: {measure.label} is not defined on draws of the rows"), 1.0
    if not drawn.any() and value == 0.0:
        return Estimate(value=0.0, low=0.0, high=0.0, method=name), 1.0
    units = len(truth) if groups is None else len(np.unique(groups))
    low, high = bootstrap_interval(value, drawn, units, confidence)
    behind, ahead = (drawn <= 0).sum() + 1, (drawn >= 0).sum() + 1
    p_value = min(1.0, 2.0 * float(min(behind, ahead)) / (len(drawn) + 1))
    return Estimate(value=value, low=low, high=high, method=name), p_value


def score(task: Task, truth: NDArray[Any], answers: Floats, measure: Metric, weight: Floats | None = None) -> float:
    """The metric of these answers."""
    return scorer_for(task, truth, answers).values(weight, (measure.id,))[measure.id]


def gain_by_folds(
    task: Task, arms: Sequence[Arms], measure: Metric, confidence: float
) -> tuple[Estimate, float, float | None, float | None]:
    """The gain over folds with its p-value, and the mean scores with and without the practice.

    Folds of the same rows are one, with the mean of their scores: other seeds are no other rows.
    """
    sign = 1.0 if measure.higher_is_better else -1.0
    pairs: dict[tuple[int | None, int], list[list[float]]] = {}
    for place, arm in enumerate(arms):
        own = [score(task, arm.truth, each, measure, arm.weight) for each in (arm.with_it, arm.without)]
        pairs.setdefault((arm.block, place if arm.block is None else 0), []).append(own)
    means = [np.mean(each, axis=0) for each in pairs.values()]
    known = np.array([pair for pair in means if np.isfinite(pair).all()]).reshape(-1, 2)
    ratio = float(np.mean([arm.ratio for arm in arms])) if arms else 0.0
    estimate, p_value = corrected_gain([sign * (one - other) for one, other in known], ratio, confidence)
    scores: list[float | None] = [float(each) for each in known.mean(axis=0)] if len(known) else [None, None]
    return estimate, p_value, scores[0], scores[1]


def told_apart(found: Sequence[Measured], confidence: float) -> tuple[Effect, ...]:
    """The effects with the p-values of the family and a verdict each, what gains most first.

    An interval that holds zero is no measurable effect. One that does not, but whose p-value does not stand up to the
    number of practices that were looked at, is unclear.
    """
    judged = [each for each in found if each.effect.verdict != "needed"]
    adjusted = iter(holm([each.p_value for each in judged]))
    effects = []
    for each in found:
        if each.effect.verdict == "needed":
            effects.append(each.effect)
            continue
        p_value = next(adjusted)
        verdict = _verdict(each.effect.gain, p_value, confidence)
        effects.append(each.effect.model_copy(update={"p_value": p_value, "verdict": verdict}))
    return tuple(sorted(effects, key=lambda effect: (effect.verdict != "needed", -(effect.gain.value or 0.0))))


def _verdict(gain: Estimate, p_value: float, confidence: float) -> Verdict:
    if gain.value is None or gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return "no measurable effect"
    if p_value >= 1.0 - confidence:
        return "unclear"
    return "helps" if gain.value > 0.0 else "hurts"
