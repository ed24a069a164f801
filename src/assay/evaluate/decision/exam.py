"""What decisions are worth on the test rows: costs, trade-offs of other thresholds, gain and lift, ordered classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import DecisionChoice, Rule
from assay.data.schema import Schema
from assay.evaluate.assess import CURVE_POINTS, thin
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.metrics import TOP, cost_of, distance_of, gains, kappa_of, lift_at
from assay.evaluate.decision.order import order_of
from assay.evaluate.decision.record import DecisionReport, DecisionScore, Gains, RivalCost, Trade
from assay.evaluate.decision.thresholds import EQUAL, Costs, Cuts, score
from assay.evaluate.estimate import Estimate
from assay.evaluate.intervals import bootstrap_interval, bootstrap_name, replicates, sample_count
from assay.evaluate.metrics import Floats, Ints, confusion_matrix

#: Classes of which a table is drawn anew for each bootstrap sample.
_MOST_CLASSES = 100


def decision_report(
    schema: Schema,
    truth: NDArray[Any],
    probabilities: Floats,
    weight: Floats | None,
    rule: Rule,
    choice: DecisionChoice,
    config: EvaluateConfig,
    *,
    seed: int,
    rivals: Sequence[tuple[str, Ints]] = (),
) -> DecisionReport | None:
    """The decisions of one model on the test rows; None where there is nothing to say of them.

    Args:
        schema: gives the classes.
        truth: class positions, (n,).
        probabilities: calibrated, (n, K).
        weight: row weights, (n,).
        rule: how a class is decided.
        choice: why so.
        config: confidence and bootstrap samples, and the order of the classes where it was given.
        seed: of the bootstrap.
        rivals: names of baselines, and what they decide, (n,).
    """
    of_two, has_costs, places = probabilities.shape[1] == 2, bool(config.costs), order_of(schema, config.order)
    if not (of_two or has_costs or places is not None) or probabilities.shape[1] > _MOST_CLASSES:
        return None
    costs = choice.costs or (EQUAL if of_two else ())
    decided = rule(probabilities)
    given = costs if has_costs else ()
    scores = _table_scores(len(schema.classes), places, truth, decided, weight, given, config, seed)
    trade = curve = None
    if of_two:
        scores += _lift(truth == 1, probabilities[:, 1], weight, config, seed)
        trade = trade_off(truth == 1, probabilities[:, 1], weight, costs)
        curve = gain_curve(truth == 1, probabilities[:, 1], weight)
    return DecisionReport(
        aim=choice.aim, reason=choice.reason, threshold=rule.threshold if of_two else None, costs=costs,
        has_costs=has_costs, value=choice.value, at_half=choice.at_half, gain=choice.gain, error=choice.error,
        scores=tuple(scores), rivals=rival_costs(truth, decided, rivals, given, weight, config, seed),
        order=config.order, trade=trade, gains=curve,
    )  # fmt: skip


def decided_again(
    made: DecisionReport, schema: Schema, truth: NDArray[Any], answers: Floats, weight: Floats | None, rule: Rule,
    config: EvaluateConfig, *, seed: int,
) -> DecisionReport | None:  # fmt: skip
    """The decisions of a saved model on new rows, in the costs and the order that its run was given.

    Args:
        made: what the run said of its test rows.
    """
    costs = tuple(cost for row in made.costs for cost in row) if made.has_costs else ()
    options = config.model_copy(update={"costs": costs, "order": made.order})
    choice = DecisionChoice(made.aim, made.reason, costs=made.costs)
    return decision_report(schema, truth, answers, weight, rule, choice, options, seed=seed)


def trade_off(positive: NDArray[np.bool_], probability: Floats, weight: Floats | None, costs: Costs) -> Trade | None:
    """Precision, recall, F1 and cost from each threshold on, thinned; None without rows of both classes."""
    share = np.ones(len(positive)) if weight is None else weight
    cuts = Cuts.of(probability, positive, share)
    if not (cuts.positives > 0 and cuts.negatives > 0):
        return None
    given = cuts.hits + cuts.alarms
    precision = np.divide(cuts.hits, given, out=np.ones_like(given), where=given > 0)
    recall = cuts.hits / cuts.positives
    f1 = score("f1", cuts.hits, cuts.alarms, cuts.positives, cuts.negatives, costs)
    cost = -score("cost", cuts.hits, cuts.alarms, cuts.positives, cuts.negatives, costs)
    # What matters to the eye lies at even steps of recall as well as of the threshold.
    kept = np.union1d(thin(recall, precision, CURVE_POINTS), thin(-cuts.thresholds, cost, CURVE_POINTS))
    lines = (cuts.thresholds, precision, recall, f1, cost)
    thresholds, *others = (tuple(map(float, line[kept])) for line in lines)
    return Trade(thresholds=thresholds, precision=others[0], recall=others[1], f1=others[2], cost=others[3])


def gain_curve(positive: NDArray[np.bool_], probability: Floats, weight: Floats | None) -> Gains | None:
    """The gain and lift curves, thinned; None without positive rows."""
    rows, found = gains(positive, probability, weight)
    if not len(rows):
        return None
    kept = thin(rows, found, CURVE_POINTS)
    kept = kept[rows[kept] > 0]
    rows, found = rows[kept], found[kept]
    lines = (tuple(map(float, line)) for line in (rows, found, found / rows))
    first, second, third = lines
    return Gains(rows=first, positives=second, lift=third)


def _table_scores(
    classes: int,
    places: Ints | None,
    truth: Ints,
    decided: Ints,
    weight: Floats | None,
    costs: Costs,
    config: EvaluateConfig,
    seed: int,
) -> list[DecisionScore]:
    """Scores that follow from the confusion table, with bootstrap intervals; `places` order the classes, (K,)."""
    measures: list[tuple[str, str, bool, Callable[[Floats], Floats]]] = []
    if costs:
        measures.append(("cost", "Cost of a row", False, lambda tables: cost_of(tables, costs)))
    if places is not None:
        ranks = np.argsort(places)

        def ordered(of: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
            return lambda tables: of(tables[:, ranks][:, :, ranks])

        measures.append(("quadratic_kappa", "Quadratic weighted kappa", True, ordered(kappa_of)))
        measures.append(("class_distance", "Classes off, on average", False, ordered(distance_of)))
    if not measures:
        return []
    table = confusion_matrix(truth, decided, classes, weight)[None]
    drawn, taken = drawn_cells(truth * classes + decided, classes**2, weight, config, seed)
    tables = drawn.reshape(-1, classes, classes)
    return [
        _scored(name, label, higher, float(of(table)[0]), of(tables), len(truth), taken, config)
        for name, label, higher, of in measures
    ]


def rival_costs(
    truth: Ints,
    decided: Ints,
    rivals: Sequence[tuple[str, Ints]],
    costs: Costs,
    weight: Floats | None,
    config: EvaluateConfig,
    seed: int,
) -> tuple[RivalCost, ...]:
    """What each baseline's decisions cost a row, and the model's cost less that with its interval, paired by rows."""
    if not costs or not len(truth):
        return ()
    table, found = np.asarray(costs, np.float64), []
    own, share = table[truth, decided], np.ones(len(truth)) if weight is None else weight
    for name, other in rivals:
        cost = table[truth, other]
        apart, cells = np.unique(own - cost, return_inverse=True)
        drawn, taken = drawn_cells(cells.reshape(-1).astype(np.int64), len(apart), weight, config, seed)
        means = (drawn @ apart) / drawn.sum(axis=1)
        value = float(np.average(own - cost, weights=share))
        low, high = bootstrap_interval(value, means, len(truth), config.confidence) if len(truth) > 1 else (np.nan,) * 2
        known = bool(np.isfinite(low) and np.isfinite(high))
        difference = Estimate(
            value=value, low=low if known else None, high=high if known else None,
            method=f"paired {bootstrap_name(taken)}" if known else "no interval from one row",
        )  # fmt: skip
        found.append(RivalCost(name=name, cost=float(np.average(cost, weights=share)), difference=difference))
    return tuple(found)


def drawn_cells(
    cells: Ints, count: int, weight: Floats | None, config: EvaluateConfig, seed: int
) -> tuple[Floats, int]:
    """Weight of the rows in each cell in bootstrap samples of the rows, (b, cells), and how many samples there are."""
    rows = len(cells)
    if not rows:
        return np.zeros((0, count)), 0
    if weight is None:
        taken = sample_count(count, config.bootstrap, 10.0)
        drawn = np.random.default_rng(seed).multinomial(rows, np.bincount(cells, minlength=count) / rows, taken)
        return drawn.astype(np.float64), taken

    def measure(counts: Floats) -> dict[str, Floats]:
        return {"cells": np.stack([np.bincount(cells, each, count) for each in counts])}

    taken = sample_count(rows, config.bootstrap, 2.0)
    return replicates(measure, None, weight, rows, taken, seed)["cells"], taken


def _lift(
    positive: NDArray[np.bool_], probability: Floats, weight: Floats | None, config: EvaluateConfig, seed: int
) -> list[DecisionScore]:
    """The lift of the top tenth; its interval keeps the probability that the tenth ends at."""
    value = lift_at(positive, probability, TOP, weight)
    if not len(positive):
        return [_scored("lift", f"Lift at {TOP:.0%}", True, value, np.empty(0), 0, 0, config)]
    is_top = probability >= np.quantile(probability, 1.0 - TOP)
    drawn, taken = drawn_cells(is_top * 2 + positive, 4, weight, config, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        among = drawn[:, 3] / drawn[:, 2:].sum(axis=1)
        lifts = among / (drawn[:, [1, 3]].sum(axis=1) / drawn.sum(axis=1))
    return [_scored("lift", f"Lift at {TOP:.0%}", True, value, lifts, len(positive), taken, config)]


def _scored(
    name: str, label: str, higher: bool, value: float, drawn: Floats, rows: int, taken: int, config: EvaluateConfig
) -> DecisionScore:
    if not np.isfinite(value):
        reason = "not defined: no row is positive" if name == "lift" else "not defined: needs rows of two classes"
        return DecisionScore(name=name, label=label, higher_is_better=higher, value=None, method=reason)
    low, high = (float("nan"),) * 2
    if rows > 1:
        lowest = -1.0 if name == "quadratic_kappa" else 0.0
        highest = 1.0 if name == "quadratic_kappa" else np.inf
        low, high = bootstrap_interval(value, drawn, rows, config.confidence, lowest=lowest, highest=highest)
    known = np.isfinite(low) and np.isfinite(high)
    return DecisionScore(
        name=name, label=label, higher_is_better=higher, value=value, low=low if known else None,
        high=high if known else None, method=bootstrap_name(taken) if known else "no interval from one row",
    )  # fmt: skip
