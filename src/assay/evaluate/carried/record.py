"""What the report tells of the regions and the outline that a model carries beside its answers."""

from __future__ import annotations

from typing import Literal

from assay.data.regions import IntervalKind, SetKind, Tried
from assay.records import Record

Family = Literal["all", "group", "class", "size", "prediction"]


class CoverageCell(Record):
    """Some test rows: the share whose truth was held, and between which shares chance leaves it.

    low, high: of the band at the report's confidence, were the coverage as asked for. size: mean classes of a set, or
    mean width of an interval. calibration: rows of the limit. is_below: too few were held to be chance, allowing for
    how many cells are looked at.
    """

    family: Family
    name: str
    rows: int
    held: float
    low: float
    high: float
    size: float
    calibration: int
    is_below: bool


class CoverageReport(Record):
    """What sets or intervals did on the test rows.

    rows: that were looked at. alone: the share of sets with one class. sizes: how many sets have 0, 1, 2, ... classes;
    widths: of intervals at 0, 5, ... 100 %. column: whose groups, or classes, have limits of their own.
    """

    kind: SetKind | IntervalKind
    asked: float
    confidence: float
    calibration: int
    source: str
    column: str | None
    overall: CoverageCell
    cells: tuple[CoverageCell, ...]
    alone: float | None = None
    sizes: tuple[int, ...] = ()
    widths: tuple[float, ...] = ()
    tried: tuple[Tried, ...] = ()

    @property
    def is_of_classes(self) -> bool:
        """Whether these are sets of classes."""
        return bool(self.sizes)


class UnusualReport(Record):
    """What was flagged of the test rows.

    asked: the rate of false alarms; rate: the one that could be calibrated. rows: that were looked at. flagged: their
    share, from `flagged_low` to `flagged_high` with Wilson's interval. low, high: between which shares chance leaves
    it; is_above: it is larger than that. columns: that most flagged rows are unusual in, with how many. distances: of
    the rows in units of the limit, at 0, 5, ... 100 %.
    """

    asked: float
    rate: float
    calibration: int
    rows: int
    flagged: float
    flagged_low: float
    flagged_high: float
    low: float
    high: float
    is_above: bool
    columns: tuple[tuple[str, int], ...]
    distances: tuple[float, ...]
