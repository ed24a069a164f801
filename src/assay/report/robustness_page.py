"""What changes of the input cost, in words, as bars and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from assay.evaluate.inspection_record import Harm, Robustness
from assay.evaluate.record import Report
from assay.report.charts import Part, bar_chart
from assay.report.pictures import Picture
from assay.report.story import added, places
from assay.report.words import counted, fixed, number, percent

_WIDTH, _COLUMNS = 560, 12


@dataclass(frozen=True)
class HarmRow:
    """A change as the table shows it."""

    kind: str
    strength: str
    loss: str
    interval: str
    score: str
    flipped: str


def robustness_of(report: Report) -> Robustness | None:
    """What is known of it; None where nothing was changed."""
    return None if report.inspection is None else report.inspection.robustness


def told(report: Report) -> str:
    """What costs most, in a sentence."""
    found = robustness_of(report)
    if found is None or not (found.harms or found.columns):
        return ""
    parts = []
    if found.harms:
        worst = max(found.harms, key=_cost)
        parts.append(f"of the changes, {worst.kind} ({worst.strength}) costs most: {_figures(worst, found, report)}")
    if found.columns:
        first = found.columns[0]
        parts.append(f"of the columns, {first.kind} is missed most: {_figures(first, found, report)}")
    whole = "; ".join(parts)
    return f"{whole[0].upper()}{whole[1:]}."


def _figures(harm: Harm, found: Robustness, report: Report) -> str:
    digits = places(report, report.primary)
    if harm.score is None or found.score is None:
        return f"{found.loss} {number(_cost(harm), 2)} higher"
    return f"{found.metric} {fixed(harm.score, digits)} instead of {fixed(found.score, digits)}"


def _cost(harm: Harm) -> float:
    return harm.loss.value or 0.0


def rows(report: Report, harms: tuple[Harm, ...]) -> tuple[HarmRow, ...]:
    """The changes as the table shows them."""
    digits = places(report, report.primary)
    return tuple(
        HarmRow(
            harm.kind, harm.strength, number(harm.loss.value, 3), added(harm.loss),
            "–" if harm.score is None else fixed(harm.score, digits),
            "–" if harm.flipped is None else percent(harm.flipped),
        )
        for harm in harms
    )  # fmt: skip


def changes(report: Report) -> Picture | None:
    """The loss that each change adds, as bars."""
    found = robustness_of(report)
    if found is None or not found.harms:
        return None
    parts = [Part(f"{harm.kind}, {harm.strength}", _cost(harm), number(_cost(harm), 2)) for harm in found.harms]
    svg = bar_chart(f"{found.loss} added by each change of the input", parts, _WIDTH, longest=40)
    return Picture(svg, f"{found.loss.capitalize()} that is added to a row, on {counted(found.rows, 'test row')}.")


def columns(report: Report) -> Picture | None:
    """The loss that each missing column adds, the largest as bars."""
    found = robustness_of(report)
    if found is None or not found.columns:
        return None
    parts = [Part(harm.kind, _cost(harm), number(_cost(harm), 2)) for harm in found.columns[:_COLUMNS]]
    left = found.left_out + max(0, len(found.columns) - _COLUMNS)
    svg = bar_chart(f"{found.loss} added where a column is missing", parts, _WIDTH, longest=40)
    more = f"; {counted(left, 'other column')} not shown" if left else ""
    return Picture(svg, f"{found.loss.capitalize()} that is added where a column is missing altogether{more}.")
