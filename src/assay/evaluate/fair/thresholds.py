"""Thresholds of each sensitive group's own, chosen on rows that were not learned from, and what they would give.

Hardt, Price & Srebro, Equality of Opportunity in Supervised Learning (NIPS 2016), section 3.2: of all thresholds under
which groups have the same share of positive decisions (or the same TPR) those with the highest accuracy. Equalised odds
would need decisions drawn by lot (section 3.2.1), and one who is answered twice must be answered the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.evaluate.config import GroupAim
from assay.evaluate.fair.groups import Grouping, finest, groupings
from assay.evaluate.fair.record import Cuts, GroupThreshold
from assay.evaluate.metrics import Floats, Ints

#: Shares that groups are brought to, tried from none to all.
_TRIED = 401
#: From where on the positive class is decided of groups that are too small to choose for.
HALF = 0.5
#: Above every probability: nobody is decided positive.
_ABOVE_ALL = 1.0 + 1e-9
#: Positive and negative rows that a group needs for a threshold of its own.
_LEAST_EACH = 10


@dataclass(frozen=True)
class Seen:
    """Rows that were not learned from: which are positive (n,), their probability, weight and group.

    grouping: of the rows, by the finest crossing of the sensitive columns.
    """

    positive: Ints
    probability: Floats
    weight: Floats
    grouping: Grouping


def seen_of(rows: Rows, schema: Schema, answers: Floats, weight: Floats | None, cuts: Sequence[Cuts]) -> Seen:
    """What thresholds are chosen by: rows with answers (n, 2) of networks that did not learn from them.

    weight: of rows, (n,); those without count nothing.
    """
    known = np.ones(len(rows)) if weight is None else np.asarray(weight, np.float64)
    return Seen(rows.target, answers[:, 1], known, finest(groupings(rows.column, schema, cuts)))


def choose_group_thresholds(seen: Seen, aim: GroupAim, least: int) -> tuple[GroupThreshold, ...]:
    """A threshold for every group that has rows enough: the most accurate of those that bring groups to one share.

    Args:
        seen: the rows to choose by.
        aim: the share of all rows, or of the positive ones, that is decided positive alike.
        least: rows that a group needs, ten of each class among them; others keep one half.

    Returns:
        Nothing where fewer than two groups are large enough.
    """
    shares = np.linspace(0.0, 1.0, _TRIED)
    right, tried = np.zeros(_TRIED), []
    counted = seen.weight > 0
    for place, name in enumerate(seen.grouping.names):
        own = counted & (seen.grouping.codes == place)
        positive, probability = seen.positive[own] == 1, seen.probability[own]
        if own.sum() < least or min(positive.sum(), (~positive).sum()) < _LEAST_EACH:
            continue
        levels = _levels(probability if aim == "demographic_parity" else probability[positive], shares)
        chosen = probability[None, :] >= levels[:, None]
        right += ((chosen == positive) * seen.weight[own]).sum(axis=1)
        tried.append((name, int(own.sum()), levels))
    if len(tried) < 2:
        return ()
    best = int(right.argmax())
    return tuple(GroupThreshold(group=name, threshold=float(each[best]), rows=rows) for name, rows, each in tried)


def _levels(probability: Floats, shares: Floats) -> Floats:
    """From where on each of these shares of the rows is decided positive, as nearly as ties allow."""
    ranked = np.sort(probability)[::-1]
    levels = np.concatenate([[_ABOVE_ALL], (ranked[:-1] + ranked[1:]) / 2, [0.0]])
    return np.asarray(levels[np.rint(shares * len(ranked)).astype(np.int64)], np.float64)


def decide_by_group(
    rows: Rows, schema: Schema, answers: Floats, cuts: Sequence[Cuts], thresholds: Sequence[GroupThreshold]
) -> Ints:
    """The classes (n,) of rows by the thresholds of their groups; groups without one by one half."""
    grouping = finest(groupings(rows.column, schema, cuts))
    known = {each.group: each.threshold for each in thresholds}
    level = np.array([known.get(name, HALF) for name in grouping.names])
    from_on = level[grouping.codes] if len(grouping.codes) else np.full(len(rows), HALF)
    return np.asarray(answers[:, 1] >= from_on, np.int64)
