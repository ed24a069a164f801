"""What the report tells of the two chances that a score is made of: which rows were tested, and how training fell."""

from __future__ import annotations

from assay.evaluate.estimate import Estimate
from assay.records import Record


class MemberScores(Record):
    """The members of one part of the model, each by itself, in the primary metric: the worst, mean and best of them.

    deviation: of one member from the next. error: what is left of it in the score of the whole model.
    """

    name: str
    members: int
    share: float
    lowest: float
    mean: float
    highest: float
    deviation: float
    error: float


class Spread(Record):
    """The score of the model with the standard errors of both of its chances, which are independent.

    test_error: of other test rows. train_error: of training anew, by what members differ in. both: the interval that
    allows for both. rows: that members were judged on. alone: share of the answer of parts with one member, of which
    nothing is known. differ: in what members differ, in words.
    """

    metric: str
    label: str
    test_error: float
    train_error: float
    both: Estimate
    rows: int
    alone: float
    differ: str
    parts: tuple[MemberScores, ...]
