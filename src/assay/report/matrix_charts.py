"""Matrices as SVG text: a confusion matrix, and the differences of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from assay.report.svg import CHARACTER, drawing, empty, words_at
from assay.report.words import count, fixed, percent, short


def heat_map(label: str, cells: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A confusion matrix: true classes down, predicted across, counts in the cells, shade by share of the row."""
    if not cells:
        return empty(label)
    n = len(cells)
    side = 84 if n <= 3 else 58 if n <= 8 else 40 if n <= 14 else 27
    shown = [short(name, 16) for name in names]
    longest = max(map(len, shown)) * CHARACTER
    upright = longest > side - 6
    left, top = 34 + longest, 30 + (longest if upright else 14)
    body = [
        words_at(left + n * side / 2, 12, "predicted", "name", "middle"),
        words_at(12, top + n * side / 2, "true", "name", "middle", -90),
    ]
    for i, row in enumerate(cells):
        x, y, total = left + (i + 0.5) * side, top + i * side, sum(row)
        body.append(words_at(left - 8, y + side / 2 + 4, shown[i], "label", "end"))
        head = (x + 4, "start", -90) if upright else (x, "middle", 0)
        body.append(words_at(head[0], top - 8, shown[i], "label", head[1], head[2]))
        for j, value in enumerate(row):
            body.append(_cell((left + j * side, y, side), value, value / total if total else 0.0, names[i], names[j]))
    told: dict[str, object] = {"cells": [list(row) for row in cells]}
    return drawing(label, left + n * side + 4, top + n * side + 6, body, " wide" if n > 8 else "", told=told)


def _cell(at: tuple[float, float, float], value: int, share: float, true: str, predicted: str) -> str:
    """A cell at (x, y, side), which tells its share of the row when pointed at; a small one leaves out zeros."""
    x, y, side = at
    place = f'x="{x:.1f}" y="{y:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" rx="2"'
    box, faint = f'<rect {place} class="cell"/>', " none" if value == 0 else ""
    if value > 0:
        # Half strength at most: the number on it stays readable in light and dark. The root lets rare errors show.
        kind = "right" if true == predicted else "wrong"
        box += f'<rect {place} class="{kind}" fill-opacity="{0.04 + 0.5 * math.sqrt(share):.3f}"/>'
    middle, centre = x + side / 2 - 1, y + side / 2
    if side >= 58:
        box += words_at(middle, centre - 2, count(value), "count" + faint, "middle")
        box += words_at(middle, centre + 15, percent(share), "share" + faint, "middle")
    elif value > 0:
        box += words_at(middle, centre + 3, count(value), "count" + (" small" if side < 40 else ""), "middle")
    told = escape(
        f"{short(true, 40)} predicted as {short(predicted, 40)}: {count(value)}, {percent(share)} of the class"
    )
    return f'<g class="square">{box}<title>{told}</title></g>'


def difference_map(label: str, cells: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """Differences from -1 to 1 of pairs, below the diagonal: more in one colour, less in another."""
    if len(names) < 2:
        return empty(label)
    n = len(names)
    side = 46 if n <= 8 else 34 if n <= 14 else 24
    shown = [short(name, 18) for name in names]
    left, foot = 22 + max(map(len, shown)) * CHARACTER, 14 + max(map(len, shown[:-1])) * CHARACTER
    bottom = 6 + (n - 1) * side
    body = []
    for i in range(1, n):
        y = 6 + (i - 1) * side
        body.append(words_at(left - 8, y + side / 2 + 4, shown[i], "label", "end"))
        body += [_difference((left + j * side, y, side), cells[i][j], names[i], names[j]) for j in range(i)]
    for j in range(n - 1):
        body.append(words_at(left + (j + 0.5) * side + 4, bottom + 8, shown[j], "label", "end", -90))
    return drawing(label, left + (n - 1) * side + 4, bottom + foot, body, " wide" if n > 14 else "")


def _difference(at: tuple[float, float, float], value: float, first: str, second: str) -> str:
    """A cell at (x, y, side); a small one tells its number when pointed at."""
    x, y, side = at
    place = f'x="{x:.1f}" y="{y:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" rx="2"'
    # As in a confusion matrix: the number stays readable, and the root lets small differences show.
    strength = 0.55 * math.sqrt(min(abs(value), 1.0))
    box = f'<rect {place} class="cell"/><rect {place} class="{"more" if value > 0 else "less"}" '
    box += f'fill-opacity="{strength:.3f}"/>'
    if side >= 34:
        box += words_at(x + side / 2 - 1, y + side / 2 + 3, fixed(value, 2), "count small", "middle")
    told = escape(f"{short(first, 40)} and {short(second, 40)}: {fixed(value, 3)}")
    return f"<g>{box}<title>{told}</title></g>"
