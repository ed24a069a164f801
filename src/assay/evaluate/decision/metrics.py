"""Metrics of decisions and of rankings, as functions of arrays: costs, ordered classes, gain and lift.

Letters as in `metrics.py`. Each takes row weights and is NaN where it is not defined, never an error or a warning.
Sources: Cohen, Weighted kappa (Psychological Bulletin 1968); Elkan (IJCAI 2001) for costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.metrics import Floats, confusion_matrix, ratio

#: The share of the rows with the highest probabilities that a lift is told of.
TOP = 0.1


def expected_cost(
    truth: NDArray[Any], decided: NDArray[Any], costs: Sequence[Sequence[float]], weight: Floats | None = None
) -> float:
    """Mean cost of a row: `costs` (K, K) of decisions (columns) by what is true (rows); class positions (n,)."""
    return float(cost_of(confusion_matrix(truth, decided, len(costs), weight)[None], costs)[0])


def quadratic_kappa(truth: NDArray[Any], decided: NDArray[Any], classes: int, weight: Floats | None = None) -> float:
    """Cohen's kappa with squared distances between class positions (n,); NaN where chance alone would agree."""
    return float(kappa_of(confusion_matrix(truth, decided, classes, weight)[None])[0])


def class_distance(truth: NDArray[Any], decided: NDArray[Any], classes: int, weight: Floats | None = None) -> float:
    """Mean number of classes that a decision is off, of class positions (n,) in their order."""
    return float(distance_of(confusion_matrix(truth, decided, classes, weight)[None])[0])


def cost_of(tables: Floats, costs: Sequence[Sequence[float]]) -> Floats:
    """`expected_cost` of confusion tables (b, K, K), (b,)."""
    return ratio((tables * np.asarray(costs, np.float64)).sum(axis=(1, 2)), tables.sum(axis=(1, 2)))


def kappa_of(tables: Floats) -> Floats:
    """`quadratic_kappa` of confusion tables (b, K, K), (b,)."""
    off = _distances(tables.shape[1]) ** 2
    by_chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    seen = (tables * off).sum(axis=(1, 2)) * tables.sum(axis=(1, 2))
    return 1.0 - ratio(seen, (by_chance * off).sum(axis=(1, 2)))


def distance_of(tables: Floats) -> Floats:
    """`class_distance` of confusion tables (b, K, K), (b,)."""
    return ratio((tables * _distances(tables.shape[1])).sum(axis=(1, 2)), tables.sum(axis=(1, 2)))


def _distances(classes: int) -> Floats:
    places = np.arange(classes, dtype=np.float64)
    return np.abs(places[:, None] - places)


def gains(positive: NDArray[np.bool_], score: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Share of all rows and of the positive ones among those from each score on, the highest first, from (0, 0) on.

    Args:
        positive: whether each row is, (n,).
        score: that ranks them, (n,).
        weight: row weights, (n,).

    Returns:
        Two rising arrays (t + 1,); empty without positive rows.
    """
    share = np.ones(len(score)) if weight is None else np.asarray(weight, np.float64)
    total, having = float(share.sum()), float((share * positive).sum())
    if not having > 0:
        return np.empty(0), np.empty(0)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    rows = np.cumsum(share[order])[ends] / total
    found = np.cumsum((share * positive)[order])[ends] / having
    return np.append(0.0, np.minimum(rows, 1.0)), np.append(0.0, np.minimum(found, 1.0))


def lift_at(positive: NDArray[np.bool_], score: Floats, share: float = TOP, weight: Floats | None = None) -> float:
    """How many times as often rows are positive among the `share` with the highest scores as among all.

    Of rows with equal scores at the end of that share, a part counts, as if drawn at random.
    """
    rows, found = gains(positive, score, weight)
    return float(np.interp(share, rows, found) / share) if len(rows) else float("nan")
