"""A number with its interval, which every record of the evaluation is made of."""

from __future__ import annotations

from assay.records import Record


class Estimate(Record):
    """A number with its interval; None where it is not defined on these rows (`method` then says why)."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str
