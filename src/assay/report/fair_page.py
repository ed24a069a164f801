"""The part of the page on sensitive groups: its pictures and the rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.evaluate.fair.mitigation import paired_gaps
from assay.evaluate.fair.record import Attribute, Cost, Fairness, Measure, Share
from assay.report.charts import Dot, interval_chart
from assay.report.fair_words import by_chance, digits_of, interval, name_of, value_of, verdict
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import count, counted, decimals, fixed, p_value, percent, short

#: Groups that are drawn, the largest ones, and those that a table lists.
MOST_DRAWN, MOST_LISTED = 12, 50
_ALL = "all rows"


@dataclass(frozen=True)
class RateCell:
    """A measure of a group in words; what it is of where one points at it."""

    value: str
    interval: str
    note: str


@dataclass(frozen=True)
class GroupRow:
    """A group across the measures."""

    name: str
    rows: str
    is_counted: bool
    cells: tuple[RateCell, ...]


@dataclass(frozen=True)
class GapRow:
    """A gap in words."""

    label: str
    value: str
    interval: str
    chance: str
    p_value: str
    groups: str
    verdict: str
    is_beyond: bool


@dataclass(frozen=True)
class MitigationRow:
    """A score or a gap with the mitigation and without it."""

    label: str
    value: str
    interval: str
    without: str
    interval_without: str
    difference: str
    note: str


def mitigation_rows(found: Fairness) -> tuple[MitigationRow, ...]:
    """The scores with and without `train.fairness`, then the gaps of every attribute."""
    made = found.mitigation
    return () if made is None else _side_by_side(made.costs, found.attributes, made.attributes)


def threshold_rows(found: Fairness) -> tuple[MitigationRow, ...]:
    """Accuracy and gaps with thresholds of each group's own and with one for all."""
    made = found.thresholds
    return () if made is None else _side_by_side(made.costs, made.attributes, found.attributes)


def _side_by_side(
    costs: Sequence[Cost], attributes: Sequence[Attribute], others: Sequence[Attribute]
) -> tuple[MitigationRow, ...]:  # fmt: skip
    rows = []
    for cost in costs:
        digits = decimals([cost.value, cost.without])
        span = (
            "" if cost.low is None or cost.high is None else f"{fixed(cost.low, digits)} to {fixed(cost.high, digits)}"
        )
        note = "; ".join(part for part in (span, p_value(cost.p_value), cost.test) if part)
        value, without, difference = (fixed(each, digits) for each in (cost.value, cost.without, cost.difference))
        rows.append(MitigationRow(cost.label, value, "", without, "", difference, note))
    for attribute, own, other in paired_gaps(attributes, others):
        digits = digits_of(own)
        value, without, difference = (fixed(each, digits) for each in (own.value, other.value, own.value - other.value))
        label = f"{own.label}, {name_of(attribute)}"
        rows.append(MitigationRow(label, value, interval(own), without, interval(other), difference, ""))
    return tuple(rows)


def rate_pictures(found: Fairness, attribute: Attribute) -> tuple[Picture, ...]:
    """The first measures of the task by group, each a row of dots with intervals beside that of all rows."""
    return tuple(
        _rates(found, attribute, measure) for measure in found.measures if measure.is_primary and attribute.groups
    )


def _rates(found: Fairness, attribute: Attribute, measure: Measure) -> Picture:
    largest = sorted(attribute.groups, key=lambda group: -group.rows)[:MOST_DRAWN]
    drawn = [group for group in attribute.groups if group in largest]
    whole = found.overall[measure.id]
    dots = [Dot(_ALL, whole.value, whole.low, whole.high, "reference")]
    for group in drawn:
        rate = group.rates[measure.id]
        dots.append(Dot(group.name, rate.value, rate.low, rate.high, "network" if group.is_counted else "baseline"))
    label = f"{measure.label} by {name_of(attribute)}"
    svg = interval_chart(f"{label}, {len(drawn)} groups with intervals", dots, Axis(measure.label), width=430)
    caption = f"{label}: {measure.of}, with {percent(found.confidence)} intervals."
    if any(not group.is_counted for group in drawn):
        caption += f" Squares are groups of fewer than {found.least} rows."
    left = len(attribute.groups) - len(drawn)
    return Picture(svg, caption + (f" {counted(left, 'smaller group')} are in the table." if left else ""))


def group_rows(found: Fairness, attribute: Attribute) -> tuple[GroupRow, ...]:
    """All rows, then each group."""
    whole = GroupRow(_ALL, count(found.rows), True, _cells(found, found.overall))
    listed = attribute.groups[:MOST_LISTED]
    return (
        whole,
        *(GroupRow(one.name, count(one.rows), one.is_counted, _cells(found, one.rates)) for one in listed),
    )


def _cells(found: Fairness, rates: dict[str, Share]) -> tuple[RateCell, ...]:
    return tuple(_cell(measure, rates[measure.id]) for measure in found.measures)


def _cell(measure: Measure, share: Share) -> RateCell:
    span = ""
    if share.low is not None and share.high is not None:
        digits = 3 if measure.is_share else decimals([share.low, share.high], 3)
        span = f"{fixed(share.low, digits)} to {fixed(share.high, digits)}"
    return RateCell(value_of(share, measure.is_share), span, f"{short(measure.of, 80)}; {counted(share.rows, 'row')}")


def gap_rows(found: Fairness, attribute: Attribute) -> tuple[GapRow, ...]:
    """The gaps of an attribute."""
    return tuple(
        GapRow(
            gap.label, fixed(gap.value, digits_of(gap)), interval(gap), by_chance(gap), p_value(gap.p_value),
            f"{short(gap.lowest, 40)} – {short(gap.highest, 40)}", verdict(found, gap),
            gap.p_value < 1 - found.confidence,
        )
        for gap in attribute.gaps
    )  # fmt: skip
