"""Sensitive groups on a terminal: a line an attribute, and a table of rates and gaps where they were asked for."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from assay.evaluate.fair.record import Attribute, Fairness
from assay.report.fair_page import gap_rows, group_rows
from assay.report.fair_words import by_group, mitigated, name_of, sentences
from assay.report.words import plain, short

_MOST_LINES = 4


def lines_of(found: Fairness | None) -> tuple[tuple[str, str], ...]:
    """Labels and sentences for the summary of a run; how many more there are stands in the last."""
    if found is None:
        return ()
    told = [("Groups" if at == 0 else "", f"{name}: {text}") for at, (name, text) in enumerate(sentences(found))]
    last = [("Cost", text) for text in (mitigated(found), by_group(found)) if text]
    left = len(told) - _MOST_LINES
    if left > 0:
        told = [*told[:_MOST_LINES], ("", f"{left} more crossings of columns are in the report")]
    return (*told, *last)


def group_table(found: Fairness, attribute: Attribute) -> Table:
    """The groups of an attribute down, the shares and means across."""
    table = _table(name_of(attribute), "rows", *(measure.label for measure in found.measures))
    for row in group_rows(found, attribute):
        name = short(row.name, 30) + ("" if row.is_counted else " (too few rows)")
        cells = (plain(cell.value + (f"\n{cell.interval}" if cell.interval else "")) for cell in row.cells)
        table.add_row(Text(plain(name)), plain(row.rows), *cells)
    return table


def gap_table(found: Fairness, attribute: Attribute) -> Table:
    """The gaps of an attribute with their intervals, and what chance gives."""
    table = _table("gap", "value", "interval", "chance", "p", "between")
    for row in gap_rows(found, attribute):
        cells = (row.value, row.interval, row.chance, row.p_value)
        table.add_row(Text(plain(row.label)), *map(plain, cells), Text(plain(row.groups)))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(Text(plain(first)), overflow="fold")
    for heading in others:
        table.add_column(Text(plain(heading)), justify="right", overflow="fold")
    return table
