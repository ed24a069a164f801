"""What each kind of column gives: how much worse the answers are when its cells are dealt out anew among the rows.

All columns of a kind are dealt out together, so that what they say of each other stays (permutation importance of
groups: Breiman, Random Forests, 2001, section 10; Fisher, Rudin & Dominici, JMLR 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema, Task
from assay.evaluate.compare import Scored
from assay.evaluate.intervals import quantile
from assay.evaluate.metrics import PRIMARY, Scorer
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Contribution, Estimate
from assay.evaluate.row_losses import row_losses
from assay.ledger import Ledger, Outcome

Floats = NDArray[np.float64]
_Scoring = Callable[[NDArray[Any], Floats], Scored]

#: Kinds of columns that are dealt out together.
FAMILIES: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {
        "numbers": (Kind.NUMBER, Kind.BOOLEAN),
        "dates": (Kind.DATETIME,),
        "categories": (Kind.CATEGORY,),
        "texts": (Kind.TEXT,),
        "series": (Kind.SEQUENCE,),
        "pictures": (Kind.IMAGE,),
    }
)
#: Rows at most and at least, and the seconds that it may take.
_MOST, _LEAST, _SECONDS = 1000, 50, 4.0
_PRACTICE = "evaluate.contributions"


def contributions(
    answer: Callable[[pl.DataFrame], Floats],
    rows: Rows,
    schema: Schema,
    *,
    a_row: float,
    confidence: float,
    seed: int,
    ledger: Ledger,
    thresholds: Sequence[float] | None = None,
) -> tuple[Contribution, ...]:
    """What each kind of column gives, the largest first; nothing where there is one kind alone.

    Args:
        answer: from raw rows to probabilities (n, classes or labels) or values (n,).
        rows: that the model did not learn from.
        a_row: seconds of an answer, which bound how many rows are taken.
        confidence: of the intervals.
        thresholds: the probability from which each label is given, where a row has any number of them.
    """
    families = {name: _columns(schema, kinds) for name, kinds in FAMILIES.items() if _columns(schema, kinds)}
    if len(families) < 2:
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, "all columns are of one kind")
        return ()
    most = min(_MOST, int(_SECONDS / (max(a_row, 1e-9) * (1 + len(families)))))
    if most < _LEAST and most < len(rows):
        ledger.record(
            _PRACTICE, Outcome.SKIPPED, f"{_LEAST} answers with each kind would take more than {_SECONDS:g} s"
        )
        return ()
    taken = sample_of(len(rows), most, seed)
    some = rows if taken is None else rows.at(taken)
    scored = _scorer_of(schema.task, thresholds)
    found = tuple(sorted(_measured(answer, some, schema, families, confidence, seed, scored), key=_gain, reverse=True))
    told = ", ".join(f"{each.family} {_gain(each):.3g}" for each in found)
    what = "squared error" if schema.task is Task.REGRESSION else "log loss"
    reason = f"{what} that is added where cells are dealt out anew among {len(some):,} rows: {told}"
    ledger.record(_PRACTICE, Outcome.APPLIED, reason, value=len(found))
    return found


def _gain(contribution: Contribution) -> float:
    value = contribution.loss.value
    assert value is not None
    return value


def _columns(schema: Schema, kinds: Sequence[Kind]) -> list[str]:
    return [column.name for column in schema.features if column.kind in kinds]


def _measured(
    answer: Callable[[pl.DataFrame], Floats],
    rows: Rows,
    schema: Schema,
    families: Mapping[str, Sequence[str]],
    confidence: float,
    seed: int,
    scored: _Scoring,
) -> list[Contribution]:
    frame, measure = rows.frame, PRIMARY[schema.task]
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight / rows.weight.mean()
    whole = answer(frame)
    losses, score = row_losses(whole, rows.target), _score(scored(rows.target, whole), rows.weight, measure)
    dealt = np.random.default_rng(seed).permutation(len(rows))
    found = []
    for family, names in families.items():
        other = answer(frame.with_columns([frame.get_column(name).gather(dealt) for name in names]))
        found.append(
            Contribution(
                family=family,
                columns=len(names),
                rows=len(rows),
                loss=paired_mean((row_losses(other, rows.target) - losses) * weight, confidence),
                metric=measure,
                score=score,
                score_without=_score(scored(rows.target, other), rows.weight, measure),
            )
        )
    return found


def _scorer_of(task: Task, thresholds: Sequence[float] | None) -> _Scoring:
    """What scores answers: of labels with their thresholds."""
    if thresholds is None:
        return lambda target, answers: Scorer(task, target, answers)
    return lambda target, answers: LabelScorer(target, answers, np.array(thresholds))


def _score(scorer: Scored, weight: Floats | None, measure: str) -> float | None:
    value = scorer.values(weight, (measure,))[measure]
    return value if math.isfinite(value) else None


def paired_mean(differences: Floats, confidence: float) -> Estimate:
    """The mean of differences of the same rows (n,), with a normal interval."""
    mean, rows = float(differences.mean()), len(differences)
    half = quantile(confidence) * float(differences.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
    method = f"mean over {rows:,} rows, normal interval of paired differences"
    if not math.isfinite(half):
        return Estimate(value=mean, method=method)
    return Estimate(value=mean, low=mean - half, high=mean + half, method=method)
