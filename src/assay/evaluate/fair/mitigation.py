"""What a mitigation costs and gives: the model beside the same one without it, on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from assay.data.decision import LIKELIEST, Rule
from assay.data.rows import Rows
from assay.data.schema import Schema, Task
from assay.evaluate.compare import PairedTest, holm, paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.record import Attribute, Cost, Fairness, Gap, Mitigation
from assay.evaluate.metrics import PRIMARY, Floats, Ints, Metric, Scorer, metric
from assay.ledger import Ledger, Outcome

_PRACTICE = "train.fairness"
#: The gaps that the ledger names, the first of these that there is.
_NAMED = ("equalised_odds_difference", "accuracy_difference", "error_difference")


def costs_of(
    schema: Schema,
    rows: Rows,
    answers: Floats,
    without: Floats,
    config: EvaluateConfig,
    seed: int,
    rules: tuple[Rule, Rule] = (LIKELIEST, LIKELIEST),
) -> tuple[Cost, ...]:
    """The scores of both and their paired difference: accuracy of classes, and the primary metric of the task.

    Args:
        schema: gives the task.
        rows: that both answered.
        answers, without: of the model and of the same without its mitigation, (n, K) or (n,) each.
        config: confidence and bootstrap samples.
        seed: of the bootstrap.
        rules: how classes are decided from each.
    """
    wanted = [(schema.task, metric(schema.task, PRIMARY[schema.task]))]
    if schema.task is Task.BINARY:
        # Accuracy is what two models of several classes are compared in, and two classes are several.
        wanted.insert(0, (Task.MULTICLASS, metric(Task.BINARY, "accuracy")))
    tests = [
        paired_test(task, rows.target, answers, without, rows.weight, confidence=config.confidence,
                    samples=config.bootstrap, seed=seed, rules=rules)
        for task, _ in wanted
    ]  # fmt: skip
    adjusted = holm([test.p_value for test in tests])
    both = [Scorer(schema.task, rows.target, each, rule) for each, rule in zip((answers, without), rules, strict=True)]
    made = []
    for (_, measure), test, p_value in zip(wanted, tests, adjusted, strict=True):
        value, other = (each.values(rows.weight, (measure.id,))[measure.id] for each in both)
        made.append(_cost(measure, value, other, test, p_value))
    return tuple(made)


def cost_of_decisions(rows: Rows, chosen: Ints, without: Ints, config: EvaluateConfig, seed: int) -> Cost:
    """Accuracy of decisions (n,) for the positive class, and of others."""
    both = [np.stack([1.0 - each, each.astype(np.float64)], axis=1) for each in (chosen, without)]
    test = paired_test(Task.MULTICLASS, rows.target, both[0], both[1], rows.weight, confidence=config.confidence,
                       samples=config.bootstrap, seed=seed)  # fmt: skip
    value, other = (float(np.average(each == rows.target, weights=rows.weight)) for each in (chosen, without))
    return _cost(metric(Task.BINARY, "accuracy"), value, other, test, test.p_value)


def _cost(measure: Metric, value: float, other: float, test: PairedTest, p_value: float) -> Cost:
    """A paired difference counts as positive what favours the first; here it is plainly with less without."""
    low, high = test.difference.low, test.difference.high
    if not measure.higher_is_better and low is not None and high is not None:
        low, high = -high, -low
    return Cost(
        id=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, value=value, without=other,
        difference=value - other, low=low, high=high, p_value=p_value, test=test.test,
    )  # fmt: skip


def paired_gaps(
    attributes: Sequence[Attribute], others: Sequence[Attribute]
) -> Iterator[tuple[Attribute, Gap, Gap]]:  # fmt: skip
    """Each gap with a change, and the same gap without it, attribute by attribute."""
    for own, other in zip(attributes, others, strict=True):
        named = {gap.id: gap for gap in other.gaps}
        for gap in own.gaps:
            if gap.id in named:
                yield own, gap, named[gap.id]


def note_mitigation(found: Fairness, mitigation: Mitigation, ledger: Ledger) -> None:
    """Add to the ledger what the mitigation cost and gave; warned where the gap that it is about did not shrink."""
    if _PRACTICE not in ledger:
        return
    told = ledger[_PRACTICE]
    cost = mitigation.costs[0]
    words = f"{cost.label} {cost.value:.4g} with it and {cost.without:.4g} without"
    if cost.low is not None and cost.high is not None:
        words += f" (difference {cost.difference:+.2g}, {cost.low:.2g} to {cost.high:.2g})"
    pairs = [
        pair for name in _NAMED for pair in paired_gaps(found.attributes, mitigation.attributes) if pair[1].id == name
    ]
    grown = False
    if pairs:
        attribute, gap, other = pairs[0]
        grown = gap.value >= other.value
        words += (
            f"; {gap.label} of {' and '.join(attribute.columns)} {gap.value:.3g} with it and {other.value:.3g} without"
        )
    outcome = Outcome.WARNED if grown else told.outcome
    ledger.record(_PRACTICE, outcome, f"{told.reason}; {words}", value=told.value)
