"""What is kept of a network in the place of an ensemble, and how it is told."""

from __future__ import annotations

from typing import Literal

from assay.evaluate.estimate import Estimate
from assay.records import Record


class Distillation(Record):
    """One network in the place of an ensemble that it learned from: what it loses in the primary metric, paired.

    family: of the network, which has `own_parameters`. networks, parameters, seconds: of the ensemble and its training.
    validation: on rows that chose the network's epoch. test: None without a test part. Positive losses are losses,
    whatever the metric. unit: what the rows are. echoed: whether networks of the ensemble had learned from the
    validation rows, as in folds, so that the student was told of them and that loss flatters it.
    """

    metric: str
    label: str
    family: str
    networks: int
    parameters: int
    own_parameters: int
    seconds: float
    validation: Estimate
    validation_rows: int
    test: Estimate | None = None
    test_rows: int = 0
    unit: Literal["rows", "windows"] = "rows"
    echoed: bool = False


def in_words(found: Distillation) -> str:
    """What stands in the place of what, and what that costs in the primary metric."""
    times = found.parameters / max(found.own_parameters, 1)
    judged = "which chose its epoch"
    if found.echoed:
        judged += " and which networks of the ensemble had learned from, so that this flatters it"
    where = [(found.validation, f"{found.validation_rows:,} validation {found.unit}, {judged}")]
    if found.test is not None:
        where.insert(0, (found.test, f"{found.test_rows:,} sealed test {found.unit}"))
    losses = "; ".join(f"{_loss(estimate, found.label)} on {rows}" for estimate, rows in where)
    return (
        f"one {found.family} of {found.own_parameters:,} parameters stands in the place of {found.networks} networks "
        f"of {found.parameters:,} ({times:.1f} times as many), from which it learned; against them it {losses}"
    )


def _loss(estimate: Estimate, label: str) -> str:
    """A loss in words: `loses 0.0031 AUROC [0.0011, 0.0052]`; a gain is a loss below zero."""
    if estimate.value is None:
        return f"loses what is not known ({estimate.method})"
    ends = (estimate.low, estimate.high)
    span = "" if None in ends else f" [{estimate.low:.4f}, {estimate.high:.4f}]"
    return f"loses {estimate.value:.4f} {label}{span}"
