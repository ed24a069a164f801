"""The simplest forecast answers alone until what is mixed with it is better by more than luck, on validation.

The test is the one that tells two forecasts apart anywhere (`evaluate/forecast/paired.py`), on squared errors, which
networks and weights were chosen by, and one-sided: the mixture is taken where chance brings such a lead in one case of
twenty. Epochs and weights were chosen on the same windows, which takes up a laxer level: of 20 random walks, on which
nothing can be gained, ten left the ridge by one standard error (`docs/decisions/forecasting.md`). Where validation
cannot tell, as two years of months cannot, the simple one answers.

Letters: n windows, M candidates, m windows that are drawn from, b draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.evaluate.forecast.paired import Overlap, lead_test
from assay.train.choice import Choice, Lead

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def simple_first(choice: Choice, simple: int, weights: Floats, overlap: Overlap) -> Choice:
    """The choice with the simple candidate alone, unless its mixture is clearly better; so in each draw.

    Args:
        choice: of forecasts.
        simple: place of the candidate.
        weights: how often each draw has each of `choice.rows`, (b, m).
        overlap: of all n windows.
    """
    if len(choice.answers) < 2:
        return choice
    own = np.ones(len(choice.target)) if choice.weight is None else choice.weight
    alone = np.zeros(len(choice.shares))
    alone[simple] = 1.0
    lead = _lead(choice, alone, choice.shares, own, overlap)
    rows, drawn = choice.rows, choice.drawn.copy()
    some = overlap.at(rows)
    for place, (draw, shares) in enumerate(zip(weights, choice.drawn, strict=True)):
        if not _lead(choice, alone, shares, draw * own[rows], some, rows).is_clear:
            drawn[place] = alone
    shares = choice.shares if lead.is_clear else alone
    taken = "so they were taken" if lead.is_clear else "so it answers alone"
    return replace(choice, shares=shares, drawn=drawn, lead=lead, way=f"{choice.way}; {lead.told()}, {taken}")


def _lead(
    choice: Choice, alone: Floats, shares: Floats, weight: Floats, overlap: Overlap, rows: Ints | None = None
) -> Lead:
    """What the shares gain over the simple candidate."""
    target = choice.target if rows is None else choice.target[rows]
    simple, mixed = (np.square(choice.mixed(each, rows) - target).mean(1) for each in (alone, shares))
    gain = simple - mixed
    test = lead_test(gain, overlap, 0.95, weight)
    one_sided = test.p_value / 2.0 if float(weight @ gain) > 0.0 else 1.0 - test.p_value / 2.0
    loss = float(np.average(simple, weights=weight))
    return Lead(
        loss, float(np.average(gain, weights=weight)), one_sided if overlap.support.is_enough else None, test.test
    )
