"""Subgroups that are given: their scores beside those of all other rows, with intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.pictures.picture import suggest
from assay.data.pictures.reader import PictureReader, looks_of
from assay.data.pictures.store import store_pictures
from assay.data.rows import Rows, listed, sample_of
from assay.data.schema import Kind, Schema
from assay.errors import DataError
from assay.evaluate.compare import holm
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.estimate import Estimate
from assay.evaluate.forecast.cells import cell_schema
from assay.evaluate.inspection_record import Slice, Slices, SliceVerdict
from assay.evaluate.intervals import estimates, quantile
from assay.evaluate.judged import Judged
from assay.evaluate.metrics import PRIMARY, Scorer, metric
from assay.evaluate.row_losses import Deciding, absolute_or_log, loss_name
from assay.evaluate.slices.conditions import Condition, parse, written
from assay.evaluate.slices.row_values import RowValues

#: Rows that slices are tested on, at most.
TESTED_ROWS = 100_000
#: Test rows that a slice, and those outside it, must have to be judged.
_JUDGED_ROWS = 15
#: Samples of the bootstrap of a slice's score, fewer where it has many rows.
_SAMPLES, _FEWEST_SAMPLES, _DRAWN = 200, 50, 2_000_000

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def check_slices(named: Sequence[str], schema: Schema) -> tuple[Condition, ...]:
    """The conditions that the user named, before any work is done; of a forecast they are of steps to come.

    Raises:
        ConfigError: one of them cannot be read.
    """
    of = schema if schema.windowing is None else cell_schema(schema)
    return tuple(parse(text, of) for text in named)


def named_slices(
    named: Sequence[Condition],
    judged: Judged,
    schema: Schema,
    config: EvaluateConfig,
    *,
    pictures: PictureReader | None,
    deciding: Deciding,
    seed: int,
) -> Slices:
    """The slices that the user named, on rows that have just been answered; nothing is searched for.

    Args:
        named: see `check_slices`.
        judged: the rows, and what the model answers to them.
        schema: of their table.
        config: how sure intervals and tests are to be.
        pictures: see `decoded_for`.
        deciding: how answers become decisions.
        seed: of what is drawn.

    Raises:
        DataError: a slice asks for a column that the rows do not have.
    """
    taken = sample_of(len(judged), TESTED_ROWS, seed)
    some = judged if taken is None else judged.at(taken)
    tested = Tested.of(some, schema, config, pictures, deciding, seed)
    return Slices(
        loss=loss_name(judged.answers), metric=metric(schema.task, PRIMARY[schema.task]).label, searched_rows=0,
        candidates=0, smallest=0, tested_on=len(some), named=tested.all(named), reason="only named slices are scored",
    )  # fmt: skip


def check_columns(named: Sequence[Condition], columns: Collection[str]) -> None:
    """Refuse slices of columns that the rows do not have.

    Raises:
        DataError: there is one.
    """
    lacking = sorted({clause.name for condition in named for clause in condition} - set(columns))
    if lacking:
        raise DataError(
            "rows must have the columns that slices ask for", f"they lack {listed(lacking)}",
            "Add the column, or leave that slice out.",
        )  # fmt: skip


def decoded_for(
    named: Sequence[Condition], rows: Rows, schema: Schema, folder: Path, longest: int
) -> PictureReader | None:
    """The decoded pictures that slices ask for, such as `brightness(image) < 50`; None where they ask for none.

    Args:
        folder: where decoded pictures are kept.
        longest: the longest side that they are shrunk to.

    Raises:
        DataError: none of the pictures can be read.
    """
    asked = {clause.name for condition in named for clause in condition if clause.aspect}
    names = [name for name in sorted(asked) if schema[name].kind is Kind.IMAGE]
    if not names or not len(rows):
        return None
    places = rows.column(names[0]).cast(pl.String)
    looks = looks_of(places.to_list())
    if not looks:
        raise DataError(
            "slices of pictures need pictures that can be read", f"none of column {names[0]!r} can be",
            "A path is taken from where the table lies; check it, or leave that slice out.",
        )  # fmt: skip
    return PictureReader.of(store_pictures(places, suggest(looks, longest), folder), places.to_list())


def weighted_losses(judged: Judged) -> Floats:
    """The loss of each row, times its weight where rows have weights with a mean of one."""
    losses, weight = absolute_or_log(judged.answers, judged.rows.target), judged.rows.weight
    return losses if weight is None else losses * weight / max(float(weight.mean()), 1e-300)


@dataclass(frozen=True)
class Tested:
    """The rows that slices are tested on, with all that is asked of them."""

    rows: Rows
    answers: Floats
    losses: Floats
    wrong: Bools | None
    values: RowValues
    schema: Schema
    config: EvaluateConfig
    deciding: Deciding
    seed: int

    @classmethod
    def of(
        cls,
        judged: Judged,
        schema: Schema,
        config: EvaluateConfig,
        pictures: PictureReader | None,
        deciding: Deciding,
        seed: int,
    ) -> Tested:
        """The rows with their losses."""
        rows = judged.rows
        return cls(
            rows, judged.answers, weighted_losses(judged), deciding.wrong(judged.answers, rows.target),
            RowValues(rows, schema, pictures), schema, config, deciding, seed,
        )  # fmt: skip

    def all(self, conditions: Sequence[Condition], found: Sequence[float] | None = None) -> tuple[Slice, ...]:
        """Each slice against the rest of the rows, their p-values Holm-corrected together."""
        inside = [self.values.holds(condition) for condition in conditions]
        raw = [self._tested(mask) for mask in inside]
        judged = [at for at, (_, p_value) in enumerate(raw) if p_value is not None]
        p_values: list[float | None] = [None] * len(raw)
        one_sided = [min(p, 1.0 - p) * 2.0 if found is None else p for _, p in raw if p is not None]
        for at, p_value in zip(judged, holm(one_sided), strict=True):
            p_values[at] = p_value
        return tuple(
            self._slice(condition, mask, difference, p_value, None if found is None else found[at])
            for at, (condition, mask, (difference, _), p_value) in enumerate(
                zip(conditions, inside, raw, p_values, strict=True)
            )
        )

    def _tested(self, inside: Bools) -> tuple[Estimate, float | None]:
        """The difference of the mean losses inside and outside with its interval, and the chance of one so high."""
        within, rest = self.losses[inside], self.losses[~inside]
        if not len(within) or not len(rest):
            return Estimate(value=None, method="not defined: all rows are on one side"), None
        value = float(within.mean() - rest.mean())
        if min(len(within), len(rest)) < _JUDGED_ROWS:
            return Estimate(value=value, method=f"no interval: fewer than {_JUDGED_ROWS} rows on a side"), None
        error = math.sqrt(within.var(ddof=1) / len(within) + rest.var(ddof=1) / len(rest))
        if not error > 0.0:
            return Estimate(value=value, method="no interval: the losses do not vary"), None
        special = require("scipy.special", "a test of a slice")
        half = quantile(self.config.confidence) * error
        estimate = Estimate(value=value, low=value - half, high=value + half, method="Welch, normal")
        return estimate, float(special.ndtr(-value / error))

    def _slice(
        self, condition: Condition, inside: Bools, difference: Estimate, p_value: float | None, found: float | None
    ) -> Slice:
        rows = int(inside.sum())
        verdict: SliceVerdict = "too few rows" if p_value is None else "not distinguishable"
        if p_value is not None and p_value < 1.0 - self.config.confidence and difference.value is not None:
            verdict = "weaker" if difference.value > 0.0 else "stronger"
        wrong = self.wrong
        return Slice(
            condition=written(condition, self.schema), rows=rows, share=rows / max(len(self.rows), 1),
            loss=_mean(self.losses[inside]), loss_rest=_mean(self.losses[~inside]), difference=difference,
            p_value=p_value, wrong=None if wrong is None else _mean(wrong[inside]),
            wrong_rest=None if wrong is None else _mean(wrong[~inside]), expected_wrong=self._expected(inside),
            score=self._score(inside), score_rest=self._plain_score(~inside),
            found_difference=found, verdict=verdict,
        )  # fmt: skip

    def _expected(self, inside: Bools) -> float | None:
        """The share of wrong answers that the model's own probabilities let expect."""
        if not self.schema.is_classification:
            return None
        answers = self.answers[inside]
        return _mean(1.0 - answers[np.arange(len(answers)), self.deciding.classes(answers)])

    def _score(self, inside: Bools) -> Estimate | None:
        """The primary metric of these rows; of labels there is none."""
        if self.schema.is_multilabel or not inside.any():
            return None
        name, target, answers = PRIMARY[self.schema.task], self.rows.target[inside], self.answers[inside]
        return estimates(
            self.schema.task, target, answers, None if self.rows.weight is None else self.rows.weight[inside],
            confidence=self.config.confidence, only=(name,), seed=self.seed, rule=self.deciding.classes,
            samples=int(np.clip(_DRAWN / inside.sum(), _FEWEST_SAMPLES, _SAMPLES)),
        )[name]  # fmt: skip

    def _plain_score(self, inside: Bools) -> float | None:
        """The same without an interval."""
        if self.schema.is_multilabel or not inside.any():
            return None
        name, weight = PRIMARY[self.schema.task], self.rows.weight
        scorer = Scorer(self.schema.task, self.rows.target[inside], self.answers[inside], self.deciding.classes)
        value = scorer.values(None if weight is None else weight[inside], (name,))[name]
        return value if math.isfinite(value) else None


def _mean(values: NDArray[np.float64] | Bools) -> float | None:
    return float(values.mean()) if len(values) else None
