"""Shares of trained networks from their answers to validation rows, with the draws of these rows that guard them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_category
from assay.data.rows import Rows, times
from assay.data.schema import Schema
from assay.evaluate.forecast.blocks import Blocks
from assay.evaluate.forecast.judged import origins_of
from assay.evaluate.forecast.paired import Overlap
from assay.evaluate.selection import draws
from assay.search.ensemble.combine import ROUNDS, Weighting, guarded_shares
from assay.search.ensemble.simple_first import simple_first
from assay.search.ensemble.stacking import Stacked, stacked_shares
from assay.train.choice import Choice
from assay.train.part import Part

Floats = NDArray[np.float64]

#: Rows times candidates times classes that a draw may look at, and those of all draws in all steps: half a second.
_ROW_WORK, _WORK = 6e4, 4e7
_FEWEST_DRAWS, _MOST_DRAWS, _FEWEST_ROWS = 16, 60, 500
#: Classes whose probabilities are averaged in the time that a logarithm takes.
_CLASSES_A_LOGARITHM = 16


@dataclass(frozen=True)
class Draws:
    """Rows that are drawn from, (m,), how often each draw has each of them, (b, m), and how many are drawn as one."""

    rows: NDArray[np.int64]
    weights: Floats
    units: int


def guarded(
    parts: Sequence[Part],
    owner: Sequence[int],
    answers: Sequence[Floats],
    judge: Rows,
    weight: Floats | None,
    schema: Schema,
    seed: int,
    simple: int | None = None,
) -> Choice:
    """Greedy weights with as many steps as hold on rows that draws left out.

    Args:
        parts: the networks. owner: the place of each candidate's network among them.
        answers: of each candidate to the rows of `judge`: probabilities (n, K), values (n,) or forecasts (n, H).
        weight: of the rows, (n,); rows without weight are not judged by.
        seed: of the draws.
        simple: the candidate that answers alone unless the others clearly gain; see `simple_first.py`.
    """
    drawn = _drawn(judge, weight, schema, len(answers), seed)
    found = guarded_shares(answers, judge.target, weight, draws=drawn.weights, rows=drawn.rows)
    made = _choice(parts, owner, answers, judge, weight, drawn, found.shares, found.drawn, _greedy_way(found, drawn))
    return made if simple is None else _simple_first(made, simple, judge, drawn, schema)


def stacked(
    parts: Sequence[Part],
    owner: Sequence[int],
    answers: Sequence[Floats],
    judge: Rows,
    weight: Floats | None,
    schema: Schema,
    seed: int,
    simple: int | None = None,
) -> Choice:
    """Shares of a regularised linear model of the answers, which what is said of the greedy ones stands beside."""
    drawn = _drawn(judge, weight, schema, len(answers), seed)
    found = stacked_shares(answers, judge.target, weight, draws=drawn.weights, rows=drawn.rows)
    greedy = guarded_shares(answers, judge.target, weight, draws=drawn.weights, rows=drawn.rows)
    way = _stacked_way(found, greedy, drawn)
    made = _choice(parts, owner, answers, judge, weight, drawn, found.shares, found.drawn, way)
    return made if simple is None else _simple_first(made, simple, judge, drawn, schema)


def _choice(
    parts: Sequence[Part],
    owner: Sequence[int],
    answers: Sequence[Floats],
    judge: Rows,
    weight: Floats | None,
    drawn: Draws,
    shares: Floats,
    by_draw: Floats,
    way: str,
) -> Choice:
    return Choice(
        tuple(parts), np.asarray(owner, np.int64), np.stack([each.astype(np.float32) for each in answers]),
        judge.target, weight, shares, drawn.rows, drawn.weights == 0.0, by_draw, drawn.units, way,
    )  # fmt: skip


def _simple_first(made: Choice, simple: int, judge: Rows, drawn: Draws, schema: Schema) -> Choice:
    """The choice with the simplest candidate of a forecast alone, where the others do not clearly gain."""
    assert schema.windowing is not None
    overlap = Overlap.of(*origins_of(judge, schema), schema.windowing.horizon)
    return simple_first(made, simple, drawn.weights, overlap)


def _drawn(judge: Rows, weight: Floats | None, schema: Schema, models: int, seed: int) -> Draws:
    """Draws of the rows that judge; of very many rows of a sample, which makes the guard more careful, not less."""
    rows = np.arange(len(judge)) if weight is None else np.flatnonzero(weight > 0.0)
    rng = np.random.default_rng(seed)
    costs = models * max(len(schema.classes) / _CLASSES_A_LOGARITHM, 1.0)
    most = max(int(_ROW_WORK / costs), _FEWEST_ROWS)
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    samples = int(np.clip(_WORK / max(ROUNDS * costs * len(rows), 1.0), _FEWEST_DRAWS, _MOST_DRAWS))
    if not len(rows):
        return Draws(rows, np.empty((0, 0)), 0)
    if schema.windowing is not None:
        steps, _ = schema.windowing.clock.steps(times(judge.at(rows), schema, schema.windowing.origin))
        blocks = Blocks.of(steps, schema.windowing.horizon)
        return Draws(rows, blocks.draws(samples, seed)[:, blocks.place], blocks.independent)
    groups = None
    if schema.group is not None:
        groups = np.asarray(as_category(judge.column(schema.group)).fill_null("").to_numpy())[rows]
    strata = judge.target[rows] if schema.is_classification and groups is None else None
    weights = np.concatenate(list(draws(len(rows), samples, seed, groups=groups, strata=strata)))
    return Draws(rows, weights, len(rows) if groups is None else len(np.unique(groups)))


def _greedy_way(found: Weighting, drawn: Draws) -> str:
    if len(found.shares) == 1:
        return "one candidate, which has the whole answer"
    known = np.isfinite(found.outside).all()
    if not known:
        return f"greedy weights of {found.steps} steps, without a guard: too few rows to draw from"
    kept, every, alone = found.outside[found.steps - 1], found.outside[-1], found.outside[0]
    told = (
        f"greedy weights; on rows that {len(drawn.weights)} draws left out the loss is {kept:.5g}, {alone:.5g} of the "
    )
    told += "best alone"
    if found.steps < len(found.outside):
        told += f"; {found.steps} of {len(found.outside)} steps were kept, for with all it is {every:.5g}"
    return told


def _stacked_way(found: Stacked, greedy: Weighting, drawn: Draws) -> str:
    if not np.isfinite(greedy.outside).all():
        return "stacking, as ensemble.stacking=true asked, without a guard: too few rows to draw from"
    rival, alone = greedy.outside[greedy.steps - 1], greedy.outside[0]
    return (
        f"stacking, as ensemble.stacking=true asked: on rows that {len(drawn.weights)} draws left out the loss is "
        f"{found.outside:.5g}, {rival:.5g} with greedy weights, {alone:.5g} of the best alone"
    )
