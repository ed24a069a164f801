"""What a report says of decisions: how a class is decided, what that gains, and what other thresholds would do."""

from __future__ import annotations

from assay.evaluate.estimate import Estimate
from assay.records import Record


class DecisionScore(Record):
    """A score of decisions, or of a ranking, on the test rows with its interval; None where it is not defined."""

    name: str
    label: str
    higher_is_better: bool
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str


class RivalCost(Record):
    """What the decisions of a baseline cost a row; the difference is the model's cost less that, paired by rows."""

    name: str
    cost: float
    difference: Estimate


class Trade(Record):
    """What thresholds do on the test rows, the highest first; `cost` is that of a row."""

    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    cost: tuple[float, ...]


class Gains(Record):
    """Of the rows by falling probability: the share of all rows, of all positive rows, and the lift, to each point."""

    rows: tuple[float, ...]
    positives: tuple[float, ...]
    lift: tuple[float, ...]


class DecisionReport(Record):
    """How a class is decided, chosen on validation rows, and what comes of it on the test rows.

    aim: see `DecisionChoice`; threshold: None of more than two classes. costs: (K, K) of decisions (columns) by what is
    true (rows); where none were given, every error costs 1 and `has_costs` is false. value, at_half, gain, error: on
    the validation rows. rivals: costs of the baselines, where costs were given. order: of the classes, where the user
    gave it. trade, gains: None of more than two classes, or without rows of both.
    """

    aim: str
    reason: str
    threshold: float | None
    costs: tuple[tuple[float, ...], ...]
    has_costs: bool
    value: float | None = None
    at_half: float | None = None
    gain: float | None = None
    error: float | None = None
    scores: tuple[DecisionScore, ...] = ()
    rivals: tuple[RivalCost, ...] = ()
    order: tuple[str, ...] = ()
    trade: Trade | None = None
    gains: Gains | None = None
