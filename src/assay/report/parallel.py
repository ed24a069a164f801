"""Parallel coordinates as SVG text: one line a trial across an axis for each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from assay.report.words import short, visible

_WIDTH, _HEIGHT, _TOP, _SIDE = 820.0, 340.0, 52.0, 72.0
#: Names of neighbours stand in two lines, so that long ones do not meet.
_LINES = (12.0, 28.0)


@dataclass(frozen=True)
class Upright:
    """An axis: its name, the places of the lines on it from 0 to 1 (None: none), and what its ends are called."""

    name: str
    places: Sequence[float | None]
    low: str
    high: str


def parallel_chart(label: str, axes: Sequence[Upright], strong: Sequence[bool]) -> str:
    """A line for each trial through its places; `strong` ones lie on top, in another tone.

    They pass by an axis on which a trial has no place, such as a parameter that means nothing in it.
    """
    gap = (_WIDTH - 2 * _SIDE) / max(len(axes) - 1, 1)
    bottom = _HEIGHT - 30
    body = []
    for at in sorted(range(len(strong)), key=lambda each: strong[each]):
        steps: list[str] = []
        for number, axis in enumerate(axes):
            place = axis.places[at]
            if place is None or not math.isfinite(place):
                continue
            x, y = _SIDE + number * gap, bottom - place * (bottom - _TOP)
            steps.append(f"{'L' if steps else 'M'}{x:.1f} {y:.1f}")
        tone = "t1" if strong[at] else "t0 quiet"
        body.append(f'<path d="{"".join(steps)}" class="line {tone}"/>' if len(steps) > 1 else "")
    for number, axis in enumerate(axes):
        x = _SIDE + number * gap
        body.append(f'<line x1="{x:.1f}" y1="{_TOP:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="rule"/>')
        body += [_word(x, _LINES[number % 2], short(axis.name, 28), "name"), _word(x, _TOP - 6, axis.high, "axis")]
        body.append(_word(x, bottom + 16, axis.low, "axis"))
    name = escape(visible(label), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart wide" role="img" aria-label="{name}" '
        f'width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}">{"".join(body)}</svg>'
    )


def _word(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" class="{kind}">{escape(visible(text))}</text>'
