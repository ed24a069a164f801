"""Two chances in one score, told apart: which rows were drawn for the test, and how training fell out.

The interval of a score is of the first alone: it says what other test rows would give to this very model. Trained
anew with another seed the model would be another (Bouthillier et al., Accounting for Variance in Machine Learning
Benchmarks, MLSys 2021). Members of an ensemble are such trainings, so the variance of their mean is estimated by
leaving out one after another: the jackknife (Efron & Stein, Annals of Statistics 1981), here of a weighted mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.evaluate.calibration.calibrate import mixed_probabilities
from assay.evaluate.compare import Scored
from assay.evaluate.estimate import Estimate
from assay.evaluate.forecast.window_scorer import WindowScorer
from assay.evaluate.intervals import quantile
from assay.evaluate.metrics import Metric, Scorer
from assay.evaluate.multilabel.calibration import mixed_labels
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.spread_record import MemberScores, Spread
from assay.ledger import Ledger, Outcome
from assay.models.answer import Head
from assay.models.forecast_ridge import ForecastRidge
from assay.models.network import Network
from assay.train.model import Model

Floats = NDArray[np.float64]
#: From shares of all answers (A,) to the primary metric.
Score = Callable[[Floats], float]

PRACTICE = "evaluate.training-spread"
#: Rows that members are judged on, and members that are, at most.
MOST_ROWS, _MOST_MEMBERS = 20_000, 64
#: Probabilities that all answers to these rows may be together: 160 MB.
_MOST_NUMBERS = 20_000_000
#: Metrics that lie between 0 and 1.
_SHARES = ("auroc", "accuracy", "f1_micro")


@dataclass(frozen=True)
class Block:
    """The answers of one part of the model: so many members with so many heads each, member by member.

    is_fixed: whether it comes out alike however often it is made, such as a forecast in closed form.
    """

    name: str
    members: int
    heads: int
    is_fixed: bool = False


def spread_of(
    blocks: Sequence[Block],
    shares: Sequence[float],
    score: Score,
    on_test: Estimate,
    measure: Metric,
    *,
    rows: int,
    differ: str,
    confidence: float,
    ledger: Ledger,
    test_error: float | None = None,
) -> Spread | None:
    """Both chances in the score of a model; None where no part has two members that weigh something.

    Args:
        blocks: the parts of the model, in the order of their answers.
        shares: weight of each answer, (A,).
        score: the primary metric of the answers with other shares.
        on_test: the score of the model with the interval that other test rows would give.
        measure: the primary metric.
        rows: that `score` is of.
        differ: in what members differ, in words.
        confidence: of the intervals.
        ledger: where the verdict is written.
        test_error: the standard error of `on_test`, where its interval is not a normal one.
    """
    whole = np.asarray(shares, np.float64)
    ends = np.cumsum([0, *(block.members * block.heads for block in blocks)])
    places = [
        (block, places)
        for block, start in zip(blocks, ends, strict=False)
        if len(places := _weighing(whole, int(start), block)) > 1
    ]
    if not places or sum(len(each) for _, each in places) > _MOST_MEMBERS:
        why = "no part of the model has two members to compare" if not places else "there are too many members"
        if _fixed(blocks, ends, whole) > 1.0 - 1e-9:
            told = (
                "the model is in closed form and comes out alike with every seed: its score has no chance of training"
            )
            ledger.record(PRACTICE, Outcome.PASSED, told, value=0.0)
            return None
        ledger.record(PRACTICE, Outcome.SKIPPED, f"{why}; the intervals are of other test rows alone")
        return None
    value = score(whole)
    parts = tuple(_judged(block, own, whole, score, value) for block, own in places)
    if on_test.value is None or not np.isfinite([value, *(each.deviation for each in parts)]).all():
        ledger.record(PRACTICE, Outcome.NOT_APPLICABLE, f"{measure.label} is not defined on the test rows")
        return None
    train_error = float(np.sqrt(sum(each.error**2 for each in parts)))
    test_error = _error_of(on_test, confidence) if test_error is None else test_error
    found = Spread(
        metric=measure.id, label=measure.label, test_error=test_error, train_error=train_error,
        both=_both(on_test, float(np.hypot(test_error, train_error)), measure, confidence), rows=rows,
        alone=_alone(1.0 - sum(each.share for each in parts) - _fixed(blocks, ends, whole)), differ=differ, parts=parts,
    )  # fmt: skip
    _note(found, ledger)
    return found


def _fixed(blocks: Sequence[Block], ends: NDArray[np.int64], shares: Floats) -> float:
    """The share of the answer of what comes out alike with every seed."""
    parts = zip(blocks, ends, ends[1:], strict=False)
    return float(sum(shares[start:end].sum() for block, start, end in parts if block.is_fixed))


def _alone(share: float) -> float:
    """What is left of a share, without what rounding leaves of nothing."""
    return share if share > 1e-9 else 0.0


def _weighing(shares: Floats, start: int, block: Block) -> list[slice]:
    """The answers of each member of a part that weighs something."""
    members = [slice(start + at * block.heads, start + (at + 1) * block.heads) for at in range(block.members)]
    return [member for member in members if shares[member].sum() > 0.0]


def _judged(block: Block, members: Sequence[slice], shares: Floats, score: Score, value: float) -> MemberScores:
    """The members of a part alone, and what training them anew would move the whole by."""
    held = np.array([shares[member].sum() for member in members])
    total, own = float(held.sum()), held / held.sum()
    alone, moved = [], []
    for member, weight in zip(members, own, strict=True):
        single = np.zeros_like(shares)
        single[member] = shares[member] / shares[member].sum()
        alone.append(score(single))
        without = shares.copy()
        without[member] = 0.0
        for other in members:
            if other is not member:
                without[other] = shares[other] / (1.0 - weight)
        moved.append((1.0 / weight - 1.0) * (value - score(without)))
    # Each of `moved` is, to first order, how far this member's own score would pull that of the whole.
    error = float(np.sqrt((own**2).sum()) * np.std(moved, ddof=1))
    return MemberScores(
        name=block.name, members=len(members), share=total, lowest=min(alone), mean=float(np.mean(alone)),
        highest=max(alone), deviation=float(np.std(alone, ddof=1)), error=error,
    )  # fmt: skip


def _error_of(on_test: Estimate, confidence: float) -> float:
    """The standard error that an interval stands for; 0 where there is none."""
    if on_test.low is None or on_test.high is None:
        return 0.0
    return (on_test.high - on_test.low) / (2.0 * quantile(confidence))


def _both(on_test: Estimate, error: float, measure: Metric, confidence: float) -> Estimate:
    """The value with an interval that allows for test rows and training."""
    value = on_test.value
    if value is None or on_test.low is None or on_test.high is None:
        return Estimate(value=value, method="no interval of the test rows")
    half, lowest = quantile(confidence) * error, -np.inf if measure.id == "r2" else 0.0
    highest = 1.0 if measure.id in _SHARES else np.inf
    # Never narrower on a side than what other test rows alone would give: their interval need not be symmetric.
    low, high = max(lowest, min(on_test.low, value - half)), min(highest, max(on_test.high, value + half))
    return Estimate(value=value, low=float(low), high=float(high), method="test rows and training, normal")


def _note(found: Spread, ledger: Ledger) -> None:
    told = (
        f"{found.label} would move by {found.train_error:.2g} (standard error) with {found.differ}, and by "
        f"{found.test_error:.2g} with other test rows"
    )
    told += f"; {found.alone:.0%} of the answer is of single members, of which this is not known" if found.alone else ""
    larger = found.train_error > found.test_error > 0.0
    told += "; the seed matters more than the test rows do: the interval of the score is too narrow" if larger else ""
    ledger.record(PRACTICE, Outcome.WARNED if larger else Outcome.APPLIED, told, value=found.train_error)


# A model and its test rows --------------------------------------------------------------------------------------------


def spread_on_test(
    model: Model,
    rows: Rows,
    raw: NDArray[np.float32],
    schema: Schema,
    on_test: Estimate,
    measure: Metric,
    *,
    with_folds: bool,
    confidence: float,
    seed: int,
    ledger: Ledger,
    test_error: float | None = None,
) -> Spread | None:
    """Both chances in the score of a model on its test rows.

    Args:
        model: calibrated.
        rows: that were scored, with raw outputs of every answer to them, (A, n, outputs).
        on_test: its score in the primary `measure`.
        with_folds: whether members learned from other rows, too.
        test_error: see `spread_of`.
    """
    head = model.head
    most = min(MOST_ROWS, max(1, _MOST_NUMBERS // max(len(raw) * raw.shape[2], 1)))
    taken = sample_of(len(rows), most, seed)
    some, outputs = (rows, raw) if taken is None else (rows.at(taken), raw[:, taken])
    answers = _mixing(head, outputs) if schema.windowing is None else _forecasting(head, outputs)

    def score(shares: Floats) -> float:
        if schema.windowing is not None:
            return WindowScorer(some.target, answers(shares)).values(None, (measure.id,))[measure.id]
        judged: Scored
        if head.has_labels:
            judged = LabelScorer(some.target, answers(shares), np.asarray(head.thresholds))
        else:
            judged = Scorer(schema.task, some.target, answers(shares), head.rule)
        return judged.values(some.weight, (measure.id,))[measure.id]

    networks = [network for network in model.ensemble.networks if isinstance(network, Network)]
    blocks = [
        Block(part.name, net.members, net.heads, isinstance(net, ForecastRidge))
        for part, net in zip(model.parts, networks, strict=True)
    ]
    differ = "other seeds and folds of the training rows" if with_folds else "other seeds"
    return spread_of(
        blocks, head.shares, score, on_test, measure, rows=len(some), differ=differ, confidence=confidence,
        ledger=ledger, test_error=test_error,
    )  # fmt: skip


def _forecasting(head: Head, raw: NDArray[np.float32]) -> Callable[[Floats], Floats]:
    """From shares of all answers (A,) to forecasts of the whole model, (n, H)."""
    return lambda shares: head.in_units(raw, shares.tolist())


def _mixing(head: Head, raw: NDArray[np.float32]) -> Callable[[Floats], Floats]:
    """From shares of all answers (A,) to those of the whole model, (n, classes or labels) or (n,)."""
    if head.temperatures is None:
        return lambda shares: head.in_units(raw[:, :, 0], shares.tolist())
    single = [
        mixed_labels(logits[None], (heat,), (1.0,), head.factors)
        if head.has_labels
        else mixed_probabilities(logits[None], (heat,), (1.0,))
        for logits, heat in zip(raw, head.temperatures, strict=True)
    ]
    stated = np.stack(single)

    def mixed(shares: Floats) -> Floats:
        found = np.asarray(np.tensordot(shares, stated, axes=1), np.float64)
        return found if head.calibration is None else head.calibration.apply(found)

    return mixed
