"""From which probability on the positive one of two classes is decided: chosen on rows that were not learned from.

For what calibrated probabilities have a best threshold in theory (accuracy: one half; balanced accuracy: the share of
positive rows; costs: Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, section 1; F1: half of the highest
F1 that the probabilities promise, Lipton, Elkan & Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1,
ECML PKDD 2014, theorem 1), theory is left only where the rows say so by more than a standard error, by folds that chose
without the rows they are judged on: few errors say little of where between them a threshold should lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import HALF, DecisionChoice, Rule
from assay.data.schema import Schema, Task
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.order import check_order
from assay.evaluate.metrics import Floats, Ints
from assay.ledger import Ledger, Outcome

Costs = tuple[tuple[float, ...], ...]

#: Each error costs 1.
EQUAL: Costs = ((0.0, 1.0), (1.0, 0.0))
#: Rows of each class without which nothing is chosen, and the share below which a class is rare.
FEWEST, RARE = 10, 0.2
FOLDS, _DRAWS = 5, 200
_TINY = 1e-300
_PRACTICE = "evaluate.thresholds"
#: What a threshold is chosen for, in words.
AIMS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "cost": "cost of a row",
    "given": "accuracy",
    "likeliest": "accuracy",
}


def cost_matrix(costs: tuple[float, ...]) -> Costs:
    """(K, K) of decisions (columns) by what is true (rows) from the option: two numbers, or all of them row by row."""
    if len(costs) == 2:
        return ((0.0, costs[0]), (costs[1], 0.0))
    side = int(np.sqrt(len(costs)))
    return tuple(costs[at * side : (at + 1) * side] for at in range(side))


def check_decisions(schema: Schema, config: EvaluateConfig) -> None:
    """Refuse calibration, costs and thresholds that do not suit the task.

    Raises:
        ConfigError: they do not.
    """
    check_order(config.order, schema)
    kind, classes = config.calibration, len(schema.classes)
    if schema.is_multilabel and kind == "isotonic":
        raise ConfigError(
            "labels of which a row has any number are calibrated by a few numbers for each",
            "evaluate.calibrate=isotonic was given",
            "Leave it out, or use auto, temperature, vector, beta or none.",
        )
    if config.threshold != "auto" and config.threshold != "cost" and schema.task is not Task.BINARY:
        raise ConfigError(
            "a threshold parts two classes",
            f"evaluate.threshold={config.threshold} was given for a {schema.task.value} task",
            "Leave it out; of more than two classes evaluate.costs decides for the cheapest.",
        )
    if config.costs and not schema.is_classification:
        raise ConfigError(
            "costs are those of taking one class for another",
            f"evaluate.costs was given for a {schema.task.value} task",
            "Leave it out.",
        )
    if config.costs and len(cost_matrix(config.costs)) != classes:
        raise ConfigError(
            f"costs of {classes} classes must be {classes} times {classes} numbers",
            f"evaluate.costs has {len(config.costs)}",
            f"Give a row of costs for each true class, in the order {', '.join(map(repr, schema.classes[:8]))}.",
        )
    if config.costs and classes == 2:
        elkan(cost_matrix(config.costs))


def elkan(costs: Costs) -> float:
    """The probability from which deciding for the positive class costs least, from calibrated probabilities.

    Raises:
        ConfigError: one decision is never dearer than the other, so that there is nothing to decide.
    """
    alarm, miss = costs[0][1] - costs[0][0], costs[1][0] - costs[1][1]
    if not (alarm > 0.0 and miss > 0.0):
        raise ConfigError(
            "a wrong decision must cost more than the right one",
            f"a false positive costs {alarm:g} more than a true negative, a false negative {miss:g} more than a true "
            "positive",
            "Example: evaluate.costs=1,5 (a false positive costs 1, a false negative 5).",
        )
    return alarm / (alarm + miss)


# Cuts -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cuts:
    """What is decided from each threshold on, the highest first, by which no row is positive, (t,).

    lowest: the lowest probability that is decided positive. hits, alarms: weight of the positive and of the negative
    rows that are decided positive. positives, negatives: all.
    """

    thresholds: Floats
    lowest: Floats
    hits: Floats
    alarms: Floats
    positives: float
    negatives: float

    @classmethod
    def of(cls, probability: Floats, positive: NDArray[np.bool_], weight: Floats) -> Cuts:
        """Of the probability of the positive class (n,), the rows that are of it (n,) and weights (n,)."""
        order = np.argsort(-probability, kind="stable")
        ranked, share, hit = probability[order], weight[order], positive[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.empty(0, np.int64)
        hits, alarms = np.cumsum(share * hit)[ends], np.cumsum(share * ~hit)[ends]
        levels = np.concatenate([[1.0], ranked[ends], [0.0]])
        # Rows that state exactly 1 are positive from every threshold on.
        first = int(len(ranked) > 0 and ranked[0] >= 1.0)
        return cls(
            ((levels[:-1] + levels[1:]) / 2)[first:], np.append(np.inf, levels[1:-1])[first:],
            np.append(0.0, hits)[first:], np.append(0.0, alarms)[first:], float((weight * positive).sum()),
            float((weight * ~positive).sum()),
        )  # fmt: skip

    def at(self, threshold: float) -> tuple[float, float]:
        """Hits and alarms from this threshold on."""
        place = int((self.lowest >= threshold).sum()) - 1
        return (float(self.hits[place]), float(self.alarms[place])) if place >= 0 else (0.0, 0.0)

    def values(self, aim: str, costs: Costs) -> Floats:
        """What is to be as high as possible, at each threshold."""
        return score(aim, self.hits, self.alarms, self.positives, self.negatives, costs)


def score(
    aim: str, hits: Floats, alarms: Floats, positives: Floats | float, negatives: Floats | float, costs: Costs
) -> Floats:
    """The aim, of costs their mean with its sign turned, from weights of rows: see `Cuts`."""
    total = positives + negatives
    if aim == "f1":
        return np.asarray(2.0 * hits / np.maximum(hits + alarms + positives, _TINY), np.float64)
    if aim == "balanced_accuracy":
        right = hits / np.maximum(positives, _TINY) + (negatives - alarms) / np.maximum(negatives, _TINY)
        return np.asarray(right / 2.0, np.float64)
    if aim == "cost":
        (true_negative, false_positive), (false_negative, true_positive) = costs
        paid = true_negative * (negatives - alarms) + false_positive * alarms
        paid = paid + false_negative * (positives - hits) + true_positive * hits
        return np.asarray(-paid / total, np.float64)
    return np.asarray((hits + negatives - alarms) / total, np.float64)


def best_cut(cuts: Cuts, aim: str, costs: Costs) -> float:
    """The threshold at which the aim is highest; of several the one nearest to one half."""
    values = cuts.values(aim, costs)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    return float(cuts.thresholds[best[np.abs(cuts.thresholds[best] - HALF).argmin()]])


# Choice ---------------------------------------------------------------------------------------------------------------


def aim_of(config: EvaluateConfig, positive: float) -> str:
    """What a threshold is chosen for, where a share of the rows is `positive`."""
    if config.threshold != "auto":
        return config.threshold if isinstance(config.threshold, str) else "given"
    if config.costs:
        return "cost"
    if min(positive, 1.0 - positive) >= RARE:
        return "accuracy"
    return "f1" if positive < RARE else "balanced_accuracy"


@dataclass(frozen=True)
class _Seen:
    """Rows that were not learned from: what they state, whether they are positive, their weights, and the aim."""

    probability: Floats
    positive: NDArray[np.bool_]
    share: Floats
    aim: str
    costs: Costs

    def best(self, kept: NDArray[np.bool_] | slice = slice(None)) -> float:
        """The best threshold of some of the rows."""
        return best_cut(Cuts.of(self.probability[kept], self.positive[kept], self.share[kept]), self.aim, self.costs)

    def out_of_fold(self) -> Floats:
        """For each row, (n,), the best threshold of the rows of other folds, which have the classes in proportion."""
        order = np.lexsort((np.random.default_rng(0).random(len(self.positive)), self.positive))
        place = np.empty(len(self.positive), np.int64)
        place[order] = np.arange(len(self.positive)) % FOLDS
        return np.array([self.best(place != fold) for fold in range(FOLDS)])[place]

    def gain(self, own: Floats | float, other: float) -> tuple[float, float]:
        """What thresholds of each row, (n,) or one, gain in the aim against another, and its bootstrap standard error.

        Rows matter only by their class and both decisions, so that a bootstrap sample is eight numbers of rows.
        """
        cell = self.positive * 4 + (self.probability >= own) * 2 + (self.probability >= other)
        rows, weights = np.bincount(cell, minlength=8), np.bincount(cell, self.share, 8)
        mean = np.divide(weights, rows, out=np.zeros(8), where=rows > 0)
        drawn = np.random.default_rng(0).multinomial(len(cell), rows / len(cell), _DRAWS) * mean
        tables = np.vstack([weights, drawn])
        positives, negatives = tables[:, 4:].sum(axis=1), tables[:, :4].sum(axis=1)
        first, second = (
            score(
                self.aim, tables[:, hits].sum(axis=1), tables[:, alarms].sum(axis=1), positives, negatives, self.costs
            )
            for hits, alarms in (([6, 7], [2, 3]), ([5, 7], [1, 3]))
        )
        return float(first[0] - second[0]), float((first - second)[1:].std(ddof=1))

    def at(self, cuts: Cuts, threshold: float) -> float:
        """The aim from this threshold on."""
        hits, alarms = map(np.asarray, cuts.at(threshold))
        return float(score(self.aim, hits, alarms, cuts.positives, cuts.negatives, self.costs))

    def told(
        self, threshold: float, why: str, own: Floats | None = None, *, is_doubtful: bool = False
    ) -> tuple[float, DecisionChoice]:
        """The choice with what the rows say for it; own: thresholds of each row that did not see it, where chosen."""
        reason = f"positive is decided from a probability of {threshold:.4g} on, for {AIMS[self.aim]}: {why}"
        if not len(self.positive):
            return threshold, DecisionChoice(self.aim, reason, is_doubtful=is_doubtful, costs=self.costs)
        cuts, sign = Cuts.of(self.probability, self.positive, self.share), -1.0 if self.aim == "cost" else 1.0
        value, half = (sign * self.at(cuts, cut) for cut in (threshold, HALF))
        gain, error = self.gain(threshold if own is None else own, HALF)
        reason += f"; {AIMS[self.aim]} on these rows {value:.4f}, from 0.5 on {half:.4f}"
        if threshold != HALF:
            apart = "" if own is None else " by folds that chose without the rows they are judged on"
            reason += f", a gain of {gain:.4f} (standard error {error:.4f}){apart}"
        found = DecisionChoice(
            self.aim, reason, len(self.positive), value, half, gain, error, is_doubtful=is_doubtful, costs=self.costs
        )
        return threshold, found


def choose_threshold(
    probability: Floats, positive: NDArray[np.bool_], weight: Floats | None, config: EvaluateConfig
) -> tuple[float, DecisionChoice]:
    """The threshold that suits these rows, and what they say for it against one half.

    Args:
        probability: calibrated, of the positive class, of rows that were not learned from, (n,).
        positive: whether they are of it, (n,).
        weight: row weights, (n,); rows of no weight do not count.
        config: what it is chosen for.
    """
    counted = np.ones(len(positive), bool) if weight is None else weight > 0
    probability, positive = probability[counted], positive[counted]
    share = np.ones(len(positive)) if weight is None else weight[counted]
    having = float(share @ positive / share.sum()) if len(share) else HALF
    aim, costs = aim_of(config, having), cost_matrix(config.costs) if config.costs else EQUAL
    seen = _Seen(probability, positive, share, aim, costs)
    if isinstance(config.threshold, float):
        return seen.told(config.threshold, "as evaluate.threshold has it")
    rarer = int(min(positive.sum(), (~positive).sum()))
    if rarer < FEWEST:
        start = elkan(costs) if aim == "cost" else HALF
        return seen.told(_rounded(start), f"only {rarer} rows of a class are there to choose by", is_doubtful=True)
    own, against = seen.out_of_fold(), _rounded(_in_theory(seen, having))
    gain, error = seen.gain(own, against)
    if gain > error:
        return seen.told(_rounded(seen.best()), "the best on rows not learned from", own)
    why = f"{_THEORY[aim]}; choosing by these rows gains {gain:.4f} (standard error {error:.4f}) by folds, too little"
    return seen.told(against, why)


def _rounded(threshold: float) -> float:
    """As single precision has it, in which the bundle compares."""
    return float(np.float32(threshold))


def _in_theory(seen: _Seen, positive: float) -> float:
    """The best threshold of calibrated probabilities, where a share of the rows is `positive`; no row is asked."""
    if seen.aim == "cost":
        return elkan(seen.costs)
    if seen.aim == "f1":
        return promised_f1(seen.probability, seen.share) / 2.0
    return positive if seen.aim == "balanced_accuracy" else HALF


def promised_f1(probability: Floats, weight: Floats) -> float:
    """The highest F1 over all thresholds that rows (n,) have where each is positive with the probability it states."""
    order = np.argsort(-probability, kind="stable")
    decided, hits = np.cumsum(weight[order]), np.cumsum((weight * probability)[order])
    return float((2.0 * hits / np.maximum(decided + hits[-1], _TINY)).max())


#: What the threshold is in theory.
_THEORY = {
    "accuracy": "where both classes are as likely",
    "balanced_accuracy": "the share of positive rows",
    "cost": "where both decisions cost the same",
    "f1": "half of the highest F1 that the probabilities promise",
}


def choose_rule(
    answers: Floats, target: Ints, weight: Floats | None, config: EvaluateConfig
) -> tuple[Rule, DecisionChoice]:
    """How a class is decided from calibrated probabilities (n, K), chosen on rows that were not learned from.

    Of two classes by a threshold; of more the likeliest, or with costs the one that costs least.
    """
    if answers.shape[1] == 2:
        threshold, choice = choose_threshold(answers[:, 1], target == 1, weight, config)
        return Rule((threshold,)), choice
    if not config.costs:
        return Rule(), DecisionChoice("likeliest", "the likeliest class is decided", len(target))
    costs = cost_matrix(config.costs)
    rule, share = Rule(costs=costs), np.ones(len(target)) if weight is None else weight
    paid = [
        float(np.average(np.array(costs)[target, made], weights=share)) for made in (rule(answers), Rule()(answers))
    ]
    reason = (
        f"the class with the least expected cost is decided; cost of a row on rows not learned from {paid[0]:.4f}, of "
        f"the likeliest class {paid[1]:.4f}"
    )
    gain = paid[1] - paid[0]
    return rule, DecisionChoice("cost", reason, len(target), paid[0], paid[1], gain, is_doubtful=gain < 0, costs=costs)


def note_decision(choice: DecisionChoice, ledger: Ledger) -> None:
    """Write the verdict on `evaluate.thresholds`."""
    if choice.aim == "likeliest":
        reason = "of more than two classes the likeliest is decided, which is best where every error costs the same"
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, reason)
        return
    outcome = Outcome.WARNED if choice.is_doubtful else Outcome.APPLIED
    ledger.record(_PRACTICE, outcome, choice.reason, value=choice.gain)
