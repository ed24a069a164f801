"""How many test rows are flagged as unlike the training rows, beside the rate of false alarms that was promised."""

from __future__ import annotations

from collections import Counter

import numpy as np

from assay.data.outline import Outline, Placed
from assay.evaluate.carried.conformal import Chance
from assay.evaluate.carried.record import UnusualReport
from assay.evaluate.intervals import wilson
from assay.ledger import Ledger, Outcome

_MOST_COLUMNS = 5
_LEVELS = np.linspace(0.0, 1.0, 21)


def unusual_share(outline: Outline, placed: Placed, asked: float, confidence: float) -> UnusualReport:
    """What a calibrated outline flags of rows that neither it nor its limit was learned from."""
    assert outline.limit is not None
    rows = len(placed.distance)
    flags = placed.distance > outline.limit
    share = float(flags.mean()) if rows else 0.0
    # Rows within the limit are a coverage of 1 - rate; what is flagged is the rest.
    chance = Chance(outline.calibration, 1.0 - outline.rate, rows)
    low, high = chance.band(confidence)
    bottom, top = wilson(share, rows, confidence)
    names = outline.names
    most = Counter(names[place] for place in placed.most[flags]).most_common(_MOST_COLUMNS)
    return UnusualReport(
        asked=asked, rate=outline.rate, calibration=outline.calibration, rows=rows,
        flagged=share, flagged_low=bottom, flagged_high=top, low=1.0 - high, high=1.0 - low,
        is_above=chance.at_most(1.0 - share) < (1.0 - confidence) / 2.0, columns=tuple(most),
        distances=tuple(np.quantile(placed.distance / max(outline.limit, 1e-12), _LEVELS).tolist()) if rows else (),
    )  # fmt: skip


def note_unusual(found: UnusualReport, ledger: Ledger) -> None:
    """The verdict on `evaluate.unusual`."""
    told = sentence(found)
    if found.rate > found.asked:
        told += (
            f"; {found.calibration:,} validation rows are too few for a rate of {found.asked:.2%}, so it is "
            f"{found.rate:.2%}"
        )
    if found.columns and found.is_above:
        told += "; mostly for " + ", ".join(f"{name!r} ({count:,})" for name, count in found.columns)
    is_worse = found.is_above or found.rate > found.asked
    ledger.record("evaluate.unusual", Outcome.WARNED if is_worse else Outcome.APPLIED, told, value=found.flagged)


def sentence(found: UnusualReport) -> str:
    """`1.20% of 2,000 test rows are flagged as unusual (0.80% to 1.80%); of rows like the training rows 1.00% ...`."""
    more = ", more than chance allows: the test rows differ from the training rows" if found.is_above else ""
    return (
        f"{found.flagged:.2%} of {found.rows:,} test rows are flagged as unusual ({found.flagged_low:.2%} to "
        f"{found.flagged_high:.2%}); of rows like the training rows {found.rate:.2%} would be, {found.low:.2%} to "
        f"{found.high:.2%} by chance{more}"
    )
