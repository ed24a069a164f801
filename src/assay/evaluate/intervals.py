"""Intervals of metrics: Wilson for proportions, DeLong for areas under the ROC curve, bootstrap for the rest.

Sources: Wilson (JASA 1927); DeLong et al. (Biometrics 1988) by the midrank algorithm of Sun & Xu (IEEE Signal
Processing Letters 2014), on the logit scale (Pepe 2003, section 5.2); Efron & Tibshirani, An Introduction to the
Bootstrap (1993); Hesterberg, What Teachers Should Know about the Bootstrap (The American Statistician 2015) for the
widening in small samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.decision import LIKELIEST, Rule
from assay.data.schema import Task
from assay.evaluate.metrics import METRICS, Floats, Ints, Scorer
from assay.evaluate.record import Estimate

#: Rows times samples a bootstrap may look at before it takes fewer samples; about three seconds of one core.
WORK = 5e7
FEWEST_SAMPLES = 50
#: From this many samples on the percentiles themselves are used, below it the standard error alone.
PERCENTILE_SAMPLES = 400
#: Rows times samples worked on at once: what stays in a processor's cache.
CHUNK = 200_000


def quantile(confidence: float) -> float:
    """The two-sided normal quantile, 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(share: float, rows: float, confidence: float) -> tuple[float, float]:
    """The Wilson score interval of a `share` seen in `rows` independent rows; the whole of [0, 1] without rows."""
    if rows <= 0:
        return 0.0, 1.0
    square = quantile(confidence) ** 2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    half = np.sqrt(square * (share * (1 - share) / rows + square / (4 * rows**2))) / (1 + square / rows)
    # At the ends the bound is exact; rounding must not push the share out of its interval.
    low = 0.0 if share <= 0 else min(centre - half, share)
    high = 1.0 if share >= 1 else max(centre + half, share)
    return float(max(low, 0.0)), float(min(high, 1.0))


# DeLong -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placements:
    """What each row adds to an AUROC (DeLong's structural components).

    positives: for each positive row the share of negative rows it is ranked above, (m,).
    negatives: for each negative row the share of positive rows it is ranked below, (k,).
    """

    positives: Floats
    negatives: Floats

    @property
    def area(self) -> float:
        """The AUROC."""
        return float(self.positives.mean()) if len(self.positives) and len(self.negatives) else float("nan")

    @property
    def variance(self) -> float:
        """The variance of the area, NaN with fewer than two rows in a class."""
        return placement_variance(self.positives, self.negatives)


def placement_variance(positives: Floats, negatives: Floats) -> float:
    """The variance of a mean placement; given differences of placements, of the difference of two areas."""
    if min(len(positives), len(negatives)) < 2:
        return float("nan")
    return float(positives.var(ddof=1) / len(positives) + negatives.var(ddof=1) / len(negatives))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank, in O(n log n)."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], np.float64)


def placements(positive: NDArray[np.bool_], score: Floats) -> Placements:
    """DeLong's structural components of the AUROC of `score` (n,) for the rows that are `positive` (n,)."""
    above, below = score[positive], score[~positive]
    if not len(above) or not len(below):
        return Placements(np.empty(0), np.empty(0))
    joint = _midranks(np.concatenate([above, below]))
    m, k = len(above), len(below)
    return Placements((joint[:m] - _midranks(above)) / k, 1.0 - (joint[m:] - _midranks(below)) / m)


def delong(positive: NDArray[np.bool_], score: Floats, confidence: float) -> Estimate:
    """The AUROC of `score` (n,) with DeLong's interval on the logit scale.

    Where that has no width (no overlap of the classes, one row in a class) the interval is Wilson's on as many trials
    as the smaller class has rows, which is wider than the truth rather than empty.
    """
    found = placements(positive, score)
    return _area_estimate(found.area, found.variance, min(len(found.positives), len(found.negatives)), confidence)


def _area_estimate(area: float, variance: float, smaller: int, confidence: float) -> Estimate:
    if np.isnan(area):
        return undefined("needs rows of two classes")
    if not variance > 1e-18 or not 0 < area < 1:
        low, high = wilson(area, smaller, confidence)
        return Estimate(value=area, low=low, high=high, method="Wilson on the smaller class")
    centre, half = np.log(area / (1 - area)), quantile(confidence) * np.sqrt(variance) / (area * (1 - area))
    # exp may not overflow: beyond 700 the bound is 0 or 1 in any case.
    low, high = (float(1 / (1 + np.exp(-np.clip(bound, -700, 700)))) for bound in (centre - half, centre + half))
    return Estimate(value=area, low=low, high=high, method="DeLong")


def delong_average(truth: Ints, probabilities: Floats, average: str, confidence: float) -> Estimate:
    """The mean one-against-rest AUROC of probabilities (n, K), `macro` or `weighted`, with DeLong's interval.

    The areas of the classes share their rows, so each row's placements are added up over the classes before the
    variance is taken. Classes without rows are left out.
    """
    rows = np.bincount(truth, minlength=probabilities.shape[1])
    used = [k for k in range(probabilities.shape[1]) if 0 < rows[k] < len(truth)]
    if not used:
        return undefined("needs rows of two classes")
    share = rows[used] / rows[used].sum() if average == "weighted" else np.full(len(used), 1 / len(used))
    area, influence = 0.0, np.zeros(len(truth))
    for part, k in zip(share, used, strict=True):
        positive = truth == k
        found = placements(positive, probabilities[:, k])
        area += part * found.area
        influence[positive] += part * (found.positives - found.area) / rows[k]
        influence[~positive] += part * (found.negatives - found.area) / (len(truth) - rows[k])
    smaller = int(rows[used].min())
    if smaller == 1:
        return Estimate(value=float(area), method="no interval: a class has a single row")
    variance = float((influence**2).sum()) * len(truth) / max(len(truth) - 1, 1)
    return _area_estimate(float(area), variance, smaller, confidence)


# Bootstrap ----------------------------------------------------------------------------------------------------------


def sample_count(rows: int, asked: int, cost: float = 1.0) -> int:
    """Samples taken of `asked`: fewer where rows x cost x samples passes `WORK`, but at least `FEWEST_SAMPLES`."""
    return int(min(asked, max(FEWEST_SAMPLES, WORK / max(rows * cost, 1))))


def resamples(strata: Ints | None, rows: int, samples: int, seed: int) -> Iterator[Floats]:
    """The weight each row has in each bootstrap sample, in blocks (b, n) that together hold `samples` samples.

    Without strata the weight is how often the row was drawn. With strata, rows are drawn within their class and then
    weighted to class sizes drawn at random, at least one row each. That varies as a plain bootstrap does - to keep the
    class sizes would make intervals of what depends on them, such as the log loss, too short (0.85 covered for 0.95 in
    benchmarks/intervals.py) - yet no sample lacks a class.

    Args:
        strata: class positions (n,), or None.
        rows: n.
        samples: bootstrap samples.
        seed: the same seed gives the same draws.
    """
    rng = np.random.default_rng(seed)
    classes = np.zeros(rows, np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    order = np.argsort(classes, kind="stable")
    count = np.bincount(classes)
    size = count[classes[order]].astype(np.float64)
    start = (np.cumsum(count) - count)[classes[order]].astype(np.float64)
    block = max(1, min(samples, CHUNK // max(rows, 1)))
    for first in range(0, samples, block):
        weights = np.empty((min(block, samples - first), rows))
        for sample in weights:
            drawn = np.bincount((start + rng.random(rows) * size).astype(np.int64), minlength=rows)
            sample[order] = drawn
            if strata is not None:
                drawn_sizes = np.maximum(rng.multinomial(rows, count / rows), 1)
                sample *= (drawn_sizes / count)[classes]
        yield weights


def replicates(
    measure: Callable[[Floats], dict[str, Floats]],
    strata: Ints | None,
    weight: Floats | None,
    rows: int,
    samples: int,
    seed: int,
) -> dict[str, Floats]:
    """What `measure` gives for weights (b, n) on bootstrap samples of the rows: arrays (samples,)."""
    blocks = [
        measure(counts if weight is None else counts * weight) for counts in resamples(strata, rows, samples, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def bootstrap_interval(
    value: float, drawn: Floats, rows: int, confidence: float, *, lowest: float = -np.inf, highest: float = np.inf
) -> tuple[float, float]:
    """The interval of `value` from its bootstrap replicates `drawn`, within [lowest, highest].

    Bias-corrected percentiles (Efron & Tibshirani 1993, section 14.3), widened for few rows (Hesterberg 2015, section
    5.3); with fewer than `PERCENTILE_SAMPLES` replicates the value plus and minus its standard error times a t
    quantile. Replicates that are not defined are left out.
    """
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 2:
        return float("nan"), float("nan")
    special = require("scipy.special", "an interval")
    if len(drawn) < PERCENTILE_SAMPLES:
        half = float(special.stdtrit(len(drawn) - 1, (1 + confidence) / 2)) * drawn.std(ddof=1)
        low, high = value - half, value + half
    else:
        freedom = max(rows - 1, 1)
        t = float(special.stdtrit(freedom, (1 + confidence) / 2))
        wide = np.sqrt(rows / freedom) * t
        below = float((drawn < value).mean() + (drawn == value).mean() / 2)
        # Beyond one deviation the correction would rest on a handful of replicates.
        shift = 2 * float(np.clip(special.ndtri(below), -1, 1))
        low, high = np.quantile(drawn, special.ndtr([shift - wide, shift + wide]))
    return float(np.clip(min(low, value), lowest, highest)), float(np.clip(max(high, value), lowest, highest))


def bootstrap_name(samples: int) -> str:
    """The method in words."""
    return f"bootstrap ({samples:,})" if samples >= PERCENTILE_SAMPLES else f"bootstrap standard error ({samples:,})"


# All metrics of a model ---------------------------------------------------------------------------------------------

#: Metrics of a ranking of the rows.
_RANKED = ("auroc", "auprc")
_BOUNDS = {
    "log_loss": (0.0, np.inf),
    "brier": (0.0, 2.0),
    "rmse": (0.0, np.inf),
    "mae": (0.0, np.inf),
    "median_error": (0.0, np.inf),
    "r2": (-np.inf, 1.0),
}


def estimates(
    task: Task,
    truth: NDArray[Any],
    prediction: Floats,
    weight: Floats | None = None,
    *,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    only: Collection[str] | None = None,
    rule: Rule = LIKELIEST,
) -> dict[str, Estimate]:
    """Every metric of the task, or those in `only`, with its interval, in the order of `METRICS`.

    Args:
        task: binary, multiclass or regression.
        truth: class positions or values, (n,).
        prediction: probabilities (n, K) or values (n,).
        weight: row weights (n,); with weights every interval is a bootstrap of the rows.
        confidence: coverage of the intervals.
        samples: bootstrap samples; large tables take fewer, and `method` says so.
        seed: the same seed gives the same intervals.
        only: the metrics wanted; all of them where not given.
        rule: how a class is decided from probabilities.
    """
    scorer = Scorer(task, truth, prediction, rule)
    values = scorer.values(weight, only)
    found = {} if weight is not None else _closed_forms(scorer, values, confidence)
    defined = [name for name, value in values.items() if name not in found and np.isfinite(value)]
    if defined and scorer.rows > 1:
        found |= _bootstraps(scorer, {name: values[name] for name in defined}, weight, confidence, samples, seed)
    for name, value in values.items():
        if name not in found and np.isfinite(value):
            found[name] = Estimate(value=value, method="no interval from one row")
    wanted = [m.id for m in METRICS[task] if m.id in values]
    return {name: found.get(name, undefined(_reason(name, scorer.rows))) for name in wanted}


def _closed_forms(scorer: Scorer, values: dict[str, float], confidence: float) -> dict[str, Estimate]:
    """Wilson and DeLong intervals of the metrics that have them, for unweighted rows."""
    if scorer.task is Task.REGRESSION or scorer.rows == 0:
        return {}
    chosen = scorer.rule(scorer.prediction)
    trials = {"accuracy": scorer.rows}
    found = {}
    if scorer.task is Task.BINARY:
        trials |= {"precision": int((chosen == 1).sum()), "recall": int((scorer.truth == 1).sum())}
        if "auroc" in values:
            found["auroc"] = delong(scorer.truth == 1, scorer.prediction[:, 1], confidence)
    else:
        for average in ("macro", "weighted"):
            if f"auroc_{average}" in values:
                found[f"auroc_{average}"] = delong_average(scorer.truth, scorer.prediction, average, confidence)
    for name, count in trials.items():
        if count and name in values:
            low, high = wilson(values[name], count, confidence)
            found[name] = Estimate(value=values[name], low=low, high=high, method="Wilson")
    return found


def _bootstraps(
    scorer: Scorer, values: dict[str, float], weight: Floats | None, confidence: float, samples: int, seed: int
) -> dict[str, Estimate]:
    """Intervals by resampling; what ranks the rows for each of more than two classes takes fewer samples."""
    ranked = {name: value for name, value in values.items() if name.startswith(_RANKED)} if scorer.classes > 2 else {}
    found: dict[str, Estimate] = {}
    for part, cost in ((ranked, 2.0 * scorer.classes), ({k: v for k, v in values.items() if k not in ranked}, 1.0)):
        if part:
            taken = sample_count(scorer.rows, samples, cost)
            found |= _resampled(scorer, part, weight, confidence, taken, seed)
    return found


def _resampled(
    scorer: Scorer, values: dict[str, float], weight: Floats | None, confidence: float, taken: int, seed: int
) -> dict[str, Estimate]:
    strata = None if scorer.task is Task.REGRESSION else scorer.truth
    drawn = replicates(lambda counts: scorer(counts, values.keys()), strata, weight, scorer.rows, taken, seed)
    found = {}
    for name, value in values.items():
        lowest, highest = _BOUNDS.get(name, (0.0, 1.0))
        low, high = bootstrap_interval(value, drawn[name], scorer.rows, confidence, lowest=lowest, highest=highest)
        method = bootstrap_name(taken)
        if name == "ece":
            low, high = _reflected(value, drawn[name], confidence)
            method = f"{method}, reflected"
        known = np.isfinite(low)
        found[name] = Estimate(value=value, low=low if known else None, high=high if known else None, method=method)
    return found


def _reflected(value: float, drawn: Floats, confidence: float) -> tuple[float, float]:
    """The basic bootstrap interval (Efron & Tibshirani 1993, section 13.5) of an error that resampling biases upwards.

    Replicates of the ECE lie above it for the same reason that it lies above the true one, so the percentiles would
    move further off; reflecting them takes the bias out twice. The value itself is always kept inside.
    """
    low, high = np.quantile(drawn[np.isfinite(drawn)], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(np.clip(2 * value - high, 0.0, value)), float(np.clip(2 * value - low, value, 1.0))


def _reason(name: str, rows: int) -> str:
    if rows == 0:
        return "no rows"
    return {
        "precision": "no row was decided positive",
        "recall": "no row is positive",
        "f1": "no row is or was decided positive",
        "r2": "the truth does not vary",
    }.get(name, "needs rows of two classes")


def undefined(reason: str) -> Estimate:
    """No value, and why."""
    return Estimate(value=None, method=f"not defined: {reason}")
