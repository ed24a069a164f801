"""What is expected over two parameters, as a map of shades in SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from assay.report.words import fixed, short, visible

_SIDE, _LEFT, _TOP, _FOOT = 300.0, 84.0, 12.0, 48.0
#: Strength of the strongest shade, and labels an axis has room for.
_STRONGEST, _LABELS = 0.9, 4


def contour_chart(
    label: str,
    x: str,
    y: str,
    at_x: Sequence[str],
    at_y: Sequence[str],
    means: Sequence[Sequence[float]],
    *,
    higher: bool,
) -> str:
    """A cell for each point of the grid, y rising; the darker, the better. Each tells its value when pointed at.

    Args:
        x, y: names of the parameters. at_x, at_y: their values at the columns and rows.
        means: (rows, columns). higher: whether high values are good.
    """
    flat = [value for row in means for value in row if math.isfinite(value)]
    low, high = (min(flat), max(flat)) if flat else (0.0, 0.0)
    wide, tall = _SIDE / max(len(at_x), 1), _SIDE / max(len(at_y), 1)
    body = []
    for row, values in enumerate(means):
        for column, value in enumerate(values):
            left, top = _LEFT + column * wide, _TOP + _SIDE - (row + 1) * tall
            share = (value - low) / (high - low) if high > low else 0.5
            strength = _STRONGEST * (share if higher else 1.0 - share)
            told = escape(f"{x}={at_x[column]}, {y}={at_y[row]}: {fixed(value, 4)}")
            place = f'x="{left:.1f}" y="{top:.1f}" width="{wide + 0.3:.1f}" height="{tall + 0.3:.1f}"'
            body.append(
                f'<rect {place} class="cell"/><rect {place} class="less" fill-opacity="{strength:.3f}">'
                f"<title>{told}</title></rect>"
            )
    bottom, middle = _TOP + _SIDE, _LEFT + _SIDE / 2
    body += [_word(_LEFT + (at + 0.5) * wide, bottom + 16, at_x[at], "axis", "middle") for at in _some(len(at_x))]
    body += [_word(_LEFT - 6, bottom - (at + 0.5) * tall + 4, at_y[at], "axis", "end") for at in _some(len(at_y))]
    body.append(_word(middle, bottom + 36, short(x, 34), "name", "middle"))
    body.append(_word(14, _TOP + _SIDE / 2, short(y, 34), "name", "middle", turned=True))
    name = escape(visible(label), quote=True)
    width, height = _LEFT + _SIDE + 14, _TOP + _SIDE + _FOOT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-label="{name}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(body)}</svg>'
    )


def _some(count: int) -> list[int]:
    """Places of as many labels as there is room for, both ends among them."""
    if count <= _LABELS:
        return list(range(count))
    return sorted({round(step * (count - 1) / (_LABELS - 1)) for step in range(_LABELS)})


def _word(x: float, y: float, text: str, kind: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"{turn}>{escape(visible(text))}</text>'
