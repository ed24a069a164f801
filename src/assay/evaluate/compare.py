"""The network against the baselines on the same rows: a paired test on the primary metric, and advice in words.

Sources: DeLong et al. (Biometrics 1988) for AUROC; McNemar (Psychometrika 1947) for accuracy, its interval from Bonett
& Price (J. Educational and Behavioral Statistics 2012); Efron & Tibshirani (1993), chapter 16, for the rest; Holm
(Scandinavian Journal of Statistics 1979) over the baselines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.decision import LIKELIEST, Rule
from assay.data.schema import Task
from assay.evaluate.intervals import (
    PERCENTILE_SAMPLES,
    bootstrap_interval,
    bootstrap_name,
    delong,
    placement_variance,
    placements,
    quantile,
    replicates,
    sample_count,
    units,
)
from assay.evaluate.metrics import PRIMARY, Floats, Scorer, metric
from assay.evaluate.record import Comparison, Estimate, ModelScores

#: Up to this many rows that one model alone got right, McNemar's test is exact.
EXACT_PAIRS = 100

Verdict = Literal["better", "worse", "not distinguishable"]


class Scored(Protocol):
    """A model's answers to some rows, with the metrics of their task for weightings of the rows: see `Scorer`."""

    task: Task
    truth: NDArray[Any]
    rows: int

    def __call__(self, weights: Floats, only: Collection[str] | None = None) -> dict[str, Floats]:
        """The metrics of the task (those in `only`) for weights (b, n): each an array (b,)."""
        ...

    def values(self, weight: Floats | None = None, only: Collection[str] | None = None) -> dict[str, float]:
        """The metrics for one weighting (n,)."""


@dataclass(frozen=True)
class PairedTest:
    """A difference of two models on the same rows, oriented so that positive favours the first; p two-sided, raw.

    error: the standard error of the difference, where the test has one that its interval does not tell.
    """

    difference: Estimate
    p_value: float
    test: str
    error: float | None = None


def paired_test(
    task: Task,
    truth: NDArray[Any],
    first: Floats,
    second: Floats,
    weight: Floats | None = None,
    *,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    rules: tuple[Rule, Rule] = (LIKELIEST, LIKELIEST),
    clusters: NDArray[np.int64] | None = None,
) -> PairedTest:
    """Two models' predictions, each (n, K) or (n,), compared on the task's primary metric.

    AUROC: DeLong's paired test. Accuracy: McNemar's, exact for few discordant rows. RMSE, and any metric of weighted
    rows or of rows in `clusters` (n,): a paired bootstrap.
    """
    alone = weight is None and clusters is None
    if alone and task is Task.BINARY:
        return _paired_delong(truth == 1, first[:, 1], second[:, 1], confidence)
    if alone and task is Task.MULTICLASS and len(truth):
        return _mcnemar(rules[0](first) == truth, rules[1](second) == truth, confidence)
    ours, other = Scorer(task, truth, first, rules[0]), Scorer(task, truth, second, rules[1])
    return paired_bootstrap(ours, other, weight, confidence, samples, seed, clusters)


def _paired_delong(positive: NDArray[np.bool_], first: Floats, second: Floats, confidence: float) -> PairedTest:
    a, b = placements(positive, first), placements(positive, second)
    name = "DeLong, paired"
    if np.isnan(a.area):
        return _impossible(name, "needs rows of two classes")
    difference = a.area - b.area
    variance = placement_variance(a.positives - b.positives, a.negatives - b.negatives)
    if np.isnan(variance):
        return _impossible(name, "needs two rows of each class", difference)
    if difference and not variance > 1e-18:
        return _without_spread(positive, first, second, difference, confidence)
    return _normal(difference, float(np.sqrt(variance)), (-1.0, 1.0), confidence, name)


def _without_spread(
    positive: NDArray[np.bool_], first: Floats, second: Floats, difference: float, confidence: float
) -> PairedTest:
    """Two AUROCs of which every row says the same, such as 1 against 0.5: DeLong's variance is zero.

    The p-value is that of a sign test on the smaller class, all of whose rows favour one model; the interval combines
    the models' own (Zou & Donner, Statistics in Medicine 2008), as if they were independent. Both err on the safe side.
    """
    a, b = delong(positive, first, confidence), delong(positive, second, confidence)
    (a_below, a_above), (b_below, b_above) = _reach(a), _reach(b)
    low = max(-1.0, difference - float(np.hypot(a_below, b_above)))
    high = min(1.0, difference + float(np.hypot(a_above, b_below)))
    smaller = int(min(positive.sum(), (~positive).sum()))
    estimate = Estimate(value=difference, low=low, high=high, method="Zou-Donner")
    return PairedTest(estimate, min(1.0, 2.0 ** (1 - smaller)), "sign test on the smaller class")


def _reach(estimate: Estimate) -> tuple[float, float]:
    """How far an interval reaches below and above its value."""
    value, low, high = (np.nan if x is None else x for x in (estimate.value, estimate.low, estimate.high))
    return value - low, high - value


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], confidence: float) -> PairedTest:
    special = require("scipy.special", "McNemar's test")
    rows, wins, losses = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    pairs = wins + losses
    if pairs <= EXACT_PAIRS:
        p_value = min(1.0, 2 * float(special.bdtr(min(wins, losses), pairs, 0.5))) if pairs else 1.0
        name = "McNemar, exact"
    else:
        p_value = float(special.chdtrc(1, (wins - losses) ** 2 / pairs))
        name = "McNemar"
    ahead, behind = (wins + 1) / (rows + 2), (losses + 1) / (rows + 2)
    half = quantile(confidence) * np.sqrt((ahead + behind - (ahead - behind) ** 2) / (rows + 2))
    difference = (wins - losses) / rows
    low, high = max(-1.0, min(ahead - behind - half, difference)), min(1.0, max(ahead - behind + half, difference))
    estimate = Estimate(value=difference, low=float(low), high=float(high), method="Bonett-Price")
    return PairedTest(estimate, p_value, name)


def paired_bootstrap(
    first: Scored,
    second: Scored,
    weight: Floats | None,
    confidence: float,
    samples: int,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
) -> PairedTest:
    """Two models compared on the primary metric by resampling the rows, or clusters of them, places (n,)."""
    primary = PRIMARY[first.task]
    sign = 1.0 if metric(first.task, primary).higher_is_better else -1.0
    taken = sample_count(first.rows, samples)

    def measure(counts: Floats) -> dict[str, Floats]:
        return {"difference": sign * (first(counts, (primary,))[primary] - second(counts, (primary,))[primary])}

    difference = sign * (first.values(weight, (primary,))[primary] - second.values(weight, (primary,))[primary])
    many = units(first.rows, clusters)
    if not np.isfinite(difference) or many < 2:
        return _impossible("paired bootstrap", f"{primary} is not defined on these rows")
    strata = first.truth if first.task in (Task.BINARY, Task.MULTICLASS) else None
    drawn = replicates(measure, strata, weight, first.rows, taken, seed, clusters)["difference"]
    drawn = drawn[np.isfinite(drawn)]
    name = f"paired {bootstrap_name(taken)}" + ("" if clusters is None else f" of {many:,} groups")
    if len(drawn) < PERCENTILE_SAMPLES:
        return _normal(difference, float(drawn.std(ddof=1)), (-np.inf, np.inf), confidence, name)
    low, high = bootstrap_interval(difference, drawn, many, confidence)
    behind, ahead = (drawn <= 0).sum() + 1, (drawn >= 0).sum() + 1
    p_value = min(1.0, 2 * float(min(behind, ahead)) / (len(drawn) + 1))
    return PairedTest(Estimate(value=difference, low=low, high=high, method=name), p_value, name)


def _normal(difference: float, error: float, bounds: tuple[float, float], confidence: float, name: str) -> PairedTest:
    """A test and interval from a normal difference; without spread there is nothing to tell the models apart by."""
    half = quantile(confidence) * error
    low, high = max(bounds[0], difference - half), min(bounds[1], difference + half)
    special = require("scipy.special", "a paired test")
    p_value = float(2 * special.ndtr(-abs(difference) / error)) if error > 0 else 1.0
    return PairedTest(Estimate(value=difference, low=low, high=high, method=name), p_value, name)


def _impossible(name: str, reason: str, difference: float | None = None) -> PairedTest:
    return PairedTest(Estimate(value=difference, method=f"not defined: {reason}"), 1.0, f"{name}: {reason}")


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given."""
    adjusted, reached = [0.0] * len(p_values), 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = reached
    return tuple(adjusted)


def comparisons(
    task: Task, names: Sequence[str], tests: Sequence[PairedTest], confidence: float
) -> tuple[Comparison, ...]:
    """The verdict on the network against each baseline in `names`, Holm-corrected over all of them."""
    made = []
    for name, test, p_value in zip(names, tests, holm([test.p_value for test in tests]), strict=True):
        verdict: Verdict = "not distinguishable"
        if p_value < 1 - confidence and test.difference.value:
            verdict = "better" if test.difference.value > 0 else "worse"
        made.append(
            Comparison(
                against=name,
                metric=PRIMARY[task],
                difference=test.difference,
                p_value=p_value,
                test=test.test,
                verdict=verdict,
            )
        )
    return tuple(made)


# Advice -------------------------------------------------------------------------------------------------------------

#: Names of the baselines that look at no column.
TRIVIAL = ("majority class", "mean value", "last value")


def advice(scores: Sequence[ModelScores], found: Sequence[Comparison], rows: int, row: str = "row") -> str:
    """One or two plain sentences on whether the network is worth having, from the verdicts.

    Args:
        scores: of the models, the network first.
        found: its comparisons, from the simplest baseline to the strongest.
        rows: how many test rows there are. row: what one of them is called.
    """
    where = f"{rows:,} test {row}s"
    if not rows:
        return "There are no test rows, so nothing can be said about how good the model is."
    if not found:
        return "No baseline was fitted, so nothing says whether a deep network is needed here."
    network, primary = scores[0], found[0].metric
    if _value(network, primary) is None:
        return f"The models cannot be compared: {_label(network, primary)} is not defined on these test rows."
    unbeaten = [comparison for comparison in found if comparison.verdict != "better"]
    if not unbeaten:
        return _network_wins(scores, found)
    if unbeaten[0].against in TRIVIAL:
        return _nothing_learned(scores, unbeaten[0], where, row)
    return _not_needed(scores, unbeaten, where)


def _network_wins(scores: Sequence[ModelScores], found: Sequence[Comparison]) -> str:
    closest = min(found, key=lambda comparison: comparison.difference.value or 0.0)
    facing = _facing(scores[0], _named(scores, closest.against), closest.metric)
    return (
        f"The network beats every baseline: {facing} for the best of them, {_the(closest.against)} "
        f"({_p(closest.p_value)})."
    )


def _nothing_learned(scores: Sequence[ModelScores], trivial: Comparison, where: str, row: str) -> str:
    facing = _facing(scores[0], _named(scores, trivial.against), trivial.metric)
    if trivial.verdict == "worse":
        return f"Do not use this network: it is worse than {_the(trivial.against)} ({facing}, {_p(trivial.p_value)})."
    return (
        f"The network cannot be told apart from {_the(trivial.against)} on {where} ({facing}, "
        f"{_p(trivial.p_value)}): these {row}s do not show that it has learned anything."
    )


def _not_needed(scores: Sequence[ModelScores], unbeaten: Sequence[Comparison], where: str) -> str:
    """The simplest baseline that the network does not beat, and the first that beats the network, if another."""
    simplest = unbeaten[0]
    facing = _facing(_named(scores, simplest.against), scores[0], simplest.metric)
    subject = f"{_the(simplest.against)} {_is(simplest.against)}"
    if simplest.verdict == "worse":
        return f"You do not need a deep network here: {subject} better ({facing}, {_p(simplest.p_value)})."
    first = (
        f"You do not need a deep network here: {subject} as good ({facing}; {where} do not tell the two "
        f"apart, {_p(simplest.p_value)})."
    )
    ahead = next((comparison for comparison in unbeaten if comparison.verdict == "worse"), None)
    if ahead is None:
        return first
    subject = f"{_the(ahead.against)} {_is(ahead.against)}"
    number = score_text(_named(scores, ahead.against), ahead.metric)
    return f"{first} {subject[0].upper()}{subject[1:]} better than the network ({number}, {_p(ahead.p_value)})."


def _named(scores: Sequence[ModelScores], name: str) -> ModelScores:
    return next(model for model in scores[1:] if model.name == name)


def _the(name: str) -> str:
    return name if name == "boosted trees" else f"the {name}"


def _is(name: str) -> str:
    return "are" if name == "boosted trees" else "is"


def _p(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _value(model: ModelScores, name: str) -> float | None:
    return next(score.estimate.value for score in model.scores if score.name == name)


def _label(model: ModelScores, name: str) -> str:
    return next(score.label for score in model.scores if score.name == name)


def score_text(model: ModelScores, name: str) -> str:
    """A score of a model in words, or that it has none."""
    value = _value(model, name)
    if value is None:
        return "not defined"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _facing(model: ModelScores, other: ModelScores, name: str) -> str:
    return f"{_label(model, name)} {score_text(model, name)} against {score_text(other, name)}"
