"""The pieces that charts are drawn of: SVG text, a plot's rectangle, its axes and the legend."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from assay.report.ticks import Axis, labels_on, tick_labels, ticks, whole_ticks
from assay.report.words import short, visible

WIDTH = 460
TONES = 6
CHARACTER = 6.6  # mean width of a character of the 12 px label font, in px


@dataclass(frozen=True)
class Plot:
    """The rectangle of a plot in px, and the values its sides stand for."""

    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def px(self, value: float) -> float:
        """Where a value of the x axis lies, in px."""
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)

    def py(self, value: float) -> float:
        """Where a value of the y axis lies, in px from the top."""
        return self.bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - self.top)


def drawing(
    label: str, width: float, height: float, body: Iterable[str], extra: str = "", told: dict[str, object] | None = None
) -> str:
    """The picture; `told` is what a script needs to know to let it be read and zoomed: see page.js."""
    name = escape(visible(label), quote=True)
    more = "" if told is None else f' data-plot="{escape(json.dumps(told, allow_nan=False), quote=True)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart{extra}" role="img" aria-label="{name}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"{more}>'
        + "".join(body)
        + "</svg>"
    )


def words_at(x: float, y: float, text: str, kind: str = "", anchor: str = "start", turn: int = 0) -> str:
    """Words at a point, of a class of the style sheet, turned by degrees."""
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}{turned}>{escape(visible(text))}</text>'


def line_from(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class of the style sheet."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def empty(label: str, width: float = WIDTH, height: float = 80) -> str:
    """A picture without any value, which says so."""
    return drawing(label, width, height, [words_at(width / 2, height / 2, "no values to draw", "axis", "middle")])


def legend_of(names: Sequence[tuple[str, int]], width: float, left: float, block: bool = False) -> tuple[str, float]:
    """Swatches and names in as many lines as they need, and the height used; `data-key` counts the names."""
    parts, x, y = [], left, 12.0
    for at, (text, tone) in enumerate(names):
        shown = short(text, 34)
        wide = 30 + len(shown) * CHARACTER
        if x > left and x + wide > width:
            x, y = left, y + 18
        swatch = (
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="11" height="11" class="area t{tone % TONES}"/>'
            if block
            else line_from(x, y - 4, x + 18, y - 4, f"line t{tone % TONES}")
        )
        parts.append(
            f'<g class="key" data-key="{at}">{swatch}{words_at(x + (16 if block else 23), y, shown, "label")}</g>'
        )
        x += wide + 10
    return "".join(parts), (y + 6 if names else 0.0)


def plot_of(x: tuple[float, float], y: tuple[float, float], width: float, height: float, top: float) -> Plot:
    """The plot of two ranges within a picture, with room for tick labels and names."""
    longest = max((len(text) for text in tick_labels(ticks(*y, _wanted(height)))), default=1)
    return Plot(24 + longest * CHARACTER, top + 8, width - 14, height - 40, x, y)


def _wanted(height: float) -> int:
    return max(2, min(5, int(height // 50)))


def axes(plot: Plot, x: Axis, y: Axis, height: float) -> list[str]:
    """Grid, tick labels and axis names; ticks of the x axis are thinned until their labels do not touch."""
    parts = []
    rows = ticks(*plot.y, _wanted(height))
    for value, text in zip(rows, tick_labels(rows), strict=True):
        at = plot.py(value)
        parts.append(line_from(plot.left, at, plot.right, at, "grid"))
        parts.append(words_at(plot.left - 6, at + 4, text, "axis", "end"))
    columns = whole_ticks(x, *plot.x, fitting_ticks(plot))
    for value, text in zip(columns, labels_on(x, columns), strict=True):
        parts.append(line_from(plot.px(value), plot.bottom, plot.px(value), plot.bottom + 4, "rule"))
        parts.append(words_at(plot.px(value), plot.bottom + 17, text, "axis", "middle"))
    parts.append(line_from(plot.left, plot.bottom, plot.right, plot.bottom, "rule"))
    parts.append(words_at((plot.left + plot.right) / 2, plot.bottom + 34, x.label, "name", "middle"))
    parts.append(words_at(12, (plot.top + plot.bottom) / 2, y.label, "name", "middle", -90))
    return parts


def fitting_ticks(plot: Plot) -> tuple[float, ...]:
    """Ticks of the x axis, as many as have room for their labels."""
    for wanted in (6, 5, 4, 3, 2, 1):
        values = ticks(*plot.x, wanted)
        room = (plot.right - plot.left) / max(len(values), 1)
        if max((len(text) for text in tick_labels(values)), default=0) * CHARACTER + 8 <= room:
            return values
    return ticks(*plot.x, 1)
