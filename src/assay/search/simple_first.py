"""The simplest forecast answers alone until what is mixed with it is better by more than luck, on validation.

Windows overlap, and months differ more than a bootstrap of them shows: what a mixture gains in one stretch of time may
be lost in the next. So validation is cut into a few stretches, one after another, the gain is taken in each, and its
standard error over them tells how far it is to be trusted (Ibragimov & Mueller, t-Statistic Based Correlation and
Heterogeneity Robust Inference, JBES 2010). As in pruning of trees (Breiman et al. 1984, section 3.4.3) the simpler
model is kept within one standard error. Of two stretches, a mixture must gain in both.

Letters: n windows, M candidates, m windows that are drawn from, b draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.forecast.scores import Blocks
from assay.train.choice import Choice, Lead

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Stretches at most; Ibragimov & Mueller find 8 to be enough where stretches differ.
_STRETCHES = 8


def stretches(steps: Ints, horizon: int) -> Ints:
    """The stretch of each window by its origin's step in time, (n,): as many as share no step, but a few at most."""
    blocks = Blocks.of(steps, horizon)
    count = min(_STRETCHES, blocks.independent)
    return np.asarray((np.arange(blocks.count) * count // blocks.count)[blocks.place], np.int64)


def simple_first(choice: Choice, simple: int, weights: Floats, stretch: Ints) -> Choice:
    """The choice with the simple candidate alone, unless its mixture is clearly better; so in each draw.

    Args:
        choice: of forecasts.
        simple: place of the candidate.
        weights: how often each draw has each of `choice.rows`, (b, m).
        stretch: of each window, (n,).
    """
    if len(choice.answers) < 2:
        return choice
    own = np.ones(len(choice.target)) if choice.weight is None else choice.weight
    alone = np.zeros(len(choice.shares))
    alone[simple] = 1.0
    lead = _lead(choice, alone, choice.shares, own, stretch)
    rows, drawn = choice.rows, choice.drawn.copy()
    for place, (draw, shares) in enumerate(zip(weights, choice.drawn, strict=True)):
        if not _lead(choice, alone, shares, draw * own[rows], stretch[rows], rows).is_clear:
            drawn[place] = alone
    shares = choice.shares if lead.is_clear else alone
    taken = "so they were taken" if lead.is_clear else "so it answers alone"
    return replace(choice, shares=shares, drawn=drawn, lead=lead, way=f"{choice.way}; {lead.told()}, {taken}")


def _lead(
    choice: Choice, alone: Floats, shares: Floats, weight: Floats, stretch: Ints, rows: Ints | None = None
) -> Lead:
    """What the shares gain over the simple candidate; stretches without weight say nothing."""
    target = choice.target if rows is None else choice.target[rows]
    simple, mixed = (np.square(choice.mixed(each, rows) - target).mean(1) for each in (alone, shares))
    total, gained, of_simple = (
        np.bincount(stretch, weight * values) for values in (np.ones_like(simple), simple - mixed, simple)
    )
    there = total > 0.0
    gains, losses = gained[there] / total[there], of_simple[there] / total[there]
    count, loss, gain = len(gains), float(losses.mean()), float(gains.mean())
    error = float(gains.std(ddof=1) / np.sqrt(count)) if count > 1 else float("inf")
    return Lead(loss, loss - gain, gain, error, count)
