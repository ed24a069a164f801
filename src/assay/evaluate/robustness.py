"""What a model withstands: the loss that missing, noisy, unseen and damaged cells add, on some of the test rows.

Nothing is chosen by it. Each change is of the same rows, so that its cost is a mean of paired differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.contributions import paired_mean
from assay.evaluate.corruptions import Corruption, corruptions, without_column
from assay.evaluate.inspection_record import Harm, Robustness
from assay.evaluate.metrics import PRIMARY, Scorer, metric
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.row_losses import Deciding, absolute_or_log, loss_name
from assay.ledger import Ledger, Outcome

PRACTICE = "evaluate.robustness"
#: Rows at most and at least, seconds that all may take, and columns that are looked at one by one.
_MOST, _ENOUGH, _LEAST, _SECONDS, _COLUMNS = 1000, 200, 50, 2.0, 30

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Asked:
    """The rows as they are, with what the model answers to them and how an answer is scored."""

    frame: pl.DataFrame
    target: NDArray[np.generic]
    answers: Floats
    losses: Floats
    weight: Floats
    score: Callable[[Floats], float | None]
    answer: Callable[[pl.DataFrame], Floats]
    deciding: Deciding
    confidence: float
    seed: int

    def harm(self, change: Corruption) -> Harm:
        """What a change costs."""
        changed = self.answer(change.apply(self.frame, np.random.default_rng(self.seed)))
        added = (absolute_or_log(changed, self.target) - self.losses) * self.weight
        flipped = None
        if changed.ndim == 2 and self.target.ndim == 1:
            flipped = float((self.deciding.classes(changed) != self.deciding.classes(self.answers)).mean())
        return Harm(
            kind=change.kind, strength=change.strength, columns=change.columns,
            loss=paired_mean(added, self.confidence), score=self.score(changed), flipped=flipped,
        )  # fmt: skip


def robustness(
    rows: Rows,
    schema: Schema,
    encoder: Encoder,
    config: EvaluateConfig,
    answer: Callable[[pl.DataFrame], Floats],
    *,
    a_row: float,
    deciding: Deciding,
    seed: int,
    ledger: Ledger,
) -> Robustness | None:
    """What changes of the cells cost; None where an answer takes too long.

    Args:
        rows: test rows.
        encoder: of the model, which knows how pictures are read.
        answer: from raw rows to probabilities (n, classes or labels) or values (n,).
        a_row: seconds of an answer, which bound how many rows are taken.
        deciding: how answers become decisions.
    """
    changes = corruptions(schema, encoder)
    able = [column.name for column in schema.features if column.kind is not Kind.IMAGE]
    taken, columns = planned(len(rows), len(changes), len(able), a_row)
    if taken < min(_LEAST, len(rows)) or not taken:
        ledger.record(PRACTICE, Outcome.SKIPPED, f"{_LEAST} answers to each change would take more than {_SECONDS:g} s")
        return None
    places = sample_of(len(rows), taken, seed)
    some = rows if places is None else rows.at(places)
    asked = _asked(some, schema, config, answer, deciding, seed)
    harms = tuple(asked.harm(change) for change in changes)
    one_by_one = [asked.harm(without_column(name)) for name in able[:columns]] if len(able) > 1 else []
    found = Robustness(
        rows=len(some), loss=loss_name(asked.answers), metric=metric(schema.task, PRIMARY[schema.task]).label,
        score=asked.score(asked.answers), harms=harms, left_out=len(able) - columns,
        columns=tuple(sorted(one_by_one, key=_cost, reverse=True)),
    )  # fmt: skip
    _note(found, ledger)
    return found


def planned(rows: int, changes: int, columns: int, a_row: float) -> tuple[int, int]:
    """How many rows are taken, and how many columns are looked at one by one, in the time that is allowed."""
    own = min(columns, _COLUMNS)
    while own and _SECONDS / (max(a_row, 1e-9) * (1 + changes + own)) < min(_ENOUGH, rows):
        own //= 2
    return min(_MOST, rows, int(_SECONDS / (max(a_row, 1e-9) * (1 + changes + own)))), own


def _asked(
    some: Rows, schema: Schema, config: EvaluateConfig, answer: Callable[[pl.DataFrame], Floats],
    deciding: Deciding, seed: int,
) -> _Asked:  # fmt: skip
    frame, name = some.frame, PRIMARY[schema.task]
    answers = answer(frame)
    cuts = np.full(len(schema.classes), 0.5) if deciding.labels is None else np.array(deciding.labels)

    def score(given: Floats) -> float | None:
        by_label = schema.is_multilabel
        scorer = LabelScorer(some.target, given, cuts) if by_label else Scorer(schema.task, some.target, given)
        value = scorer.values(some.weight, (name,))[name]
        return value if np.isfinite(value) else None

    weight = np.ones(len(some)) if some.weight is None else some.weight / max(float(some.weight.mean()), 1e-300)
    return _Asked(
        frame, some.target, answers, absolute_or_log(answers, some.target), weight, score, answer, deciding,
        config.confidence, seed,
    )  # fmt: skip


def _cost(harm: Harm) -> float:
    assert harm.loss.value is not None
    return harm.loss.value


def _note(found: Robustness, ledger: Ledger) -> None:
    worst = sorted(found.harms, key=_cost, reverse=True)[:2]
    told = [f"{harm.kind}, {harm.strength}: {_cost(harm):+.3g}" for harm in worst]
    told += [f"{found.columns[0].kind} missing: {_cost(found.columns[0]):+.3g}"] if found.columns else []
    reason = f"{found.loss} that is added on {found.rows:,} test rows: {'; '.join(told) or 'nothing to change'}"
    ledger.record(PRACTICE, Outcome.APPLIED, reason, value=_cost(worst[0]) if worst else None)
