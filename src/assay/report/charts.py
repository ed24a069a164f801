"""Pictures as SVG text: pure functions of numbers, without a drawing package or a script.

Colours, strokes and fonts are left to the style sheet of the page through classes (`t0`, `t1`, ... are the tones), so
that a picture follows light, dark and print. Every picture has an accessible name; values that are None or not finite
are left out, and a picture without any value says so. Why by hand: docs/decisions/charts.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from assay.report.ticks import Axis, Number, finite, labels_on, span, tick_labels, ticks
from assay.report.words import count, counted, fixed, percent, short, visible

WIDTH, HEIGHT = 460, 300
TONES = 6
_CHARACTER = 6.6  # mean width of a character of the 12 px label font, in px
_MOST_POINTS = 240
_MARK_LINE = 14  # height of the word of a mark, in px


@dataclass(frozen=True)
class Series:
    """A line: equally long `x` and `y`; a `quiet` one is thin, without a place in the legend."""

    label: str
    x: Sequence[Number]
    y: Sequence[Number]
    tone: int = 0
    quiet: bool = False


@dataclass(frozen=True)
class Band:
    """An area between two lines of equal length, behind the lines."""

    x: Sequence[Number]
    low: Sequence[Number]
    high: Sequence[Number]
    tone: int = 0


@dataclass(frozen=True)
class Mark:
    """A point of the x axis worth a line and a word."""

    x: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A row of the interval chart; the shape tells the kind, not the colour alone."""

    label: str
    value: Number
    low: Number = None
    high: Number = None
    kind: Literal["network", "baseline", "reference"] = "baseline"


@dataclass(frozen=True)
class Part:
    """A named amount: a bar, or a share of a strip."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Bin:
    """A point of the reliability diagram, its interval, and the rows behind it."""

    x: Number
    y: Number
    low: Number
    high: Number
    rows: int


@dataclass(frozen=True)
class _Plot:
    """The rectangle of a plot in px, and the values its sides stand for."""

    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def px(self, value: float) -> float:
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)

    def py(self, value: float) -> float:
        return self.bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - self.top)


# Pieces ---------------------------------------------------------------------------------------------------------------


def _svg(
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


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start", turn: int = 0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}{turned}>{escape(visible(text))}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _empty(label: str, width: float = WIDTH, height: float = 80) -> str:
    return _svg(label, width, height, [_text(width / 2, height / 2, "no values to draw", "axis", "middle")])


def _legend(names: Sequence[tuple[str, int]], width: float, left: float, block: bool = False) -> tuple[str, float]:
    """Swatches and names in as many lines as they need, and the height used; `data-key` counts the names."""
    parts, x, y = [], left, 12.0
    for at, (text, tone) in enumerate(names):
        shown = short(text, 34)
        wide = 30 + len(shown) * _CHARACTER
        if x > left and x + wide > width:
            x, y = left, y + 18
        swatch = (
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="11" height="11" class="area t{tone % TONES}"/>'
            if block
            else _line(x, y - 4, x + 18, y - 4, f"line t{tone % TONES}")
        )
        parts.append(
            f'<g class="key" data-key="{at}">{swatch}{_text(x + (16 if block else 23), y, shown, "label")}</g>'
        )
        x += wide + 10
    return "".join(parts), (y + 6 if names else 0.0)


def _layout(x: tuple[float, float], y: tuple[float, float], width: float, height: float, top: float) -> _Plot:
    longest = max((len(text) for text in tick_labels(ticks(*y, _wanted(height)))), default=1)
    return _Plot(24 + longest * _CHARACTER, top + 8, width - 14, height - 40, x, y)


def _wanted(height: float) -> int:
    return max(2, min(5, int(height // 50)))


def _axes(plot: _Plot, x: Axis, y: Axis, height: float) -> list[str]:
    """Grid, tick labels and axis names; ticks of the x axis are thinned until their labels do not touch."""
    parts = []
    rows = ticks(*plot.y, _wanted(height))
    for value, text in zip(rows, tick_labels(rows), strict=True):
        at = plot.py(value)
        parts.append(_line(plot.left, at, plot.right, at, "grid"))
        parts.append(_text(plot.left - 6, at + 4, text, "axis", "end"))
    columns = [value for value in _fitting_ticks(plot) if not (x.whole or x.powers) or value == round(value)]
    for value, text in zip(columns, labels_on(x, columns), strict=True):
        parts.append(_line(plot.px(value), plot.bottom, plot.px(value), plot.bottom + 4, "rule"))
        parts.append(_text(plot.px(value), plot.bottom + 17, text, "axis", "middle"))
    parts.append(_line(plot.left, plot.bottom, plot.right, plot.bottom, "rule"))
    parts.append(_text((plot.left + plot.right) / 2, plot.bottom + 34, x.label, "name", "middle"))
    parts.append(_text(12, (plot.top + plot.bottom) / 2, y.label, "name", "middle", -90))
    return parts


def _fitting_ticks(plot: _Plot) -> tuple[float, ...]:
    for wanted in (6, 5, 4, 3, 2, 1):
        values = ticks(*plot.x, wanted)
        room = (plot.right - plot.left) / max(len(values), 1)
        if max((len(text) for text in tick_labels(values)), default=0) * _CHARACTER + 8 <= room:
            return values
    return ticks(*plot.x, 1)


def _path(series: Series, plot: _Plot, key: int | None = None) -> str:
    """The line as a path, lifted where a value is missing, thinned to what can be seen.

    One with a `key`, its place in the legend, tells its name and its values too.
    """
    steps, lifted = [], True
    pairs = list(zip(series.x, series.y, strict=True))
    stride = max(1, math.ceil(len(pairs) / _MOST_POINTS))
    kept = [pair for i, pair in enumerate(pairs) if i % stride == 0 or i == len(pairs) - 1]
    for x, y in kept:
        if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
            lifted = True
            continue
        steps.append(f"{'M' if lifted else 'L'}{plot.px(x):.1f} {plot.py(y):.1f}")
        lifted = False
    kind = f"line t{series.tone % TONES}" + (" quiet" if series.quiet else "")
    told = "" if key is None else f' data-line="{key}" {_told(series.label, kept)}'
    return f'<path d="{"".join(steps)}" class="{kind}"{told}/>' if steps else ""


def _told(name: str, points: Sequence[tuple[Number, Number]]) -> str:
    """The name and the values of a line as attributes."""
    known = [(x, y) for x, y in points if x is not None and y is not None and math.isfinite(x) and math.isfinite(y)]
    values = " ".join(f"{x:.6g},{y:.6g}" for x, y in known)
    return f'data-name="{escape(short(name, 34), quote=True)}" data-points="{values}"'


def _alone(series: Series, plot: _Plot) -> str:
    """A dot for a series with a single value, which a path would not show."""
    known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if finite((x,)) and finite((y,))]
    if len(known) != 1 or known[0][0] is None or known[0][1] is None:
        return ""
    return (
        f'<circle cx="{plot.px(known[0][0]):.1f}" cy="{plot.py(known[0][1]):.1f}" r="3.5" class="dot t{series.tone}"/>'
    )


# Charts ---------------------------------------------------------------------------------------------------------------


def line_chart(
    label: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    marks: Sequence[Mark] = (),
    bands: Sequence[Band] = (),
    diagonal: bool = False,
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> str:
    """Lines on shared axes with a legend above; `marks` draws dotted lines at an x, `diagonal` from 0, 0 to 1, 1."""
    drawn = [s for s in series if any(finite((a,)) and finite((b,)) for a, b in zip(s.x, s.y, strict=True))]
    if not drawn:
        return _empty(label, size[0])
    width, height = size
    named = [(s.label, s.tone) for s in drawn if not s.quiet]
    head, used = _legend(named, width, 24) if len(named) > 1 or len(drawn) > 1 else ("", 0.0)
    height += max(0.0, used - 18)
    wide = span((v for s in drawn for v in s.x), x, 0.0)
    heights = [*(s.y for s in drawn), *(edge for band in bands for edge in (band.low, band.high))]
    high = span((v for values in heights for v in values), y)
    shown = [mark for mark in marks if wide[0] <= mark.x <= wide[1]]
    height += _MARK_LINE * max(0, len(shown) - 1)
    plot = _layout(wide, high, width, height, used + _MARK_LINE * len(shown))
    field = [_band(band, plot) for band in bands]
    if diagonal:
        field.append(_line(plot.px(0), plot.py(0), plot.px(1), plot.py(1), "chance"))
    field += [_path(s, plot) + _alone(s, plot) for s in drawn if s.quiet]
    field += [_path(s, plot, at) + _alone(s, plot) for at, s in enumerate(s for s in drawn if not s.quiet)]
    body = [head, f'<g class="axes">{"".join(_axes(plot, x, y, height))}</g><g class="field">{"".join(field)}</g>']
    if shown:
        flags = _marked(shown[0], plot) if len(shown) == 1 else _flagged(shown, plot)
        body.append(f'<g class="flags">{flags}</g>')
    return _svg(label, width, height, body, told=_plot_told(plot, x, y))


def _plot_told(plot: _Plot, x: Axis, y: Axis) -> dict[str, object]:
    """The sides of the plot in px, the values they stand for, and what the axes are called."""
    sides = {name: round(getattr(plot, name), 2) for name in ("left", "top", "right", "bottom")}
    kinds = {"whole": True} if x.whole else {"powers": True} if x.powers else {}
    return {**sides, "x": plot.x, "y": plot.y, "names": [visible(x.label), visible(y.label)], **kinds}


def _band(band: Band, plot: _Plot) -> str:
    """The area as a path, out along the lower line and back along the upper one."""
    known = [
        (x, low, high)
        for x, low, high in zip(band.x, band.low, band.high, strict=True)
        if x is not None and low is not None and high is not None and all(map(math.isfinite, (x, low, high)))
    ]
    ends = [(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)]
    steps = "L".join(f"{plot.px(x):.1f} {plot.py(y):.1f}" for x, y in ends)
    return f'<path d="M{steps}Z" class="band t{band.tone % TONES}"/>' if known else ""


def _marked(mark: Mark, plot: _Plot) -> str:
    at, half = plot.px(mark.x), len(mark.text) * _CHARACTER / 2
    word = min(max(at, plot.left + half), plot.right - half)
    return _line(at, plot.top, at, plot.bottom, "mark") + _text(word, plot.top - 7, mark.text, "label", "middle")


def _flagged(marks: Sequence[Mark], plot: _Plot) -> str:
    """Several marks, each with its word on a line of its own: from the right, so that no line runs through a word."""
    parts = []
    for row, mark in enumerate(sorted(marks, key=lambda mark: -mark.x)):
        at, top = plot.px(mark.x), plot.top - _MARK_LINE * (row + 1)
        side, anchor = (5, "start") if at + 5 + len(mark.text) * _CHARACTER <= plot.right else (-5, "end")
        parts.append(_line(at, top, at, plot.bottom, "mark") + _text(at + side, top + 9, mark.text, "label", anchor))
    return "".join(parts)


def interval_chart(
    label: str, rows: Sequence[Dot], axis: Axis, width: float = 480, *, rule: float | None = None, letters: int = 24
) -> str:
    """One row a model: a dot at the value, a bar over its interval, the value in words at the right.

    rule: where a line stands that intervals are held against. letters: of a name that are shown.

    One row far from all others (a trivial baseline) would press the others together; it is drawn as an arrow at the
    edge, its value still stands at the right.
    """
    if not any(finite((row.value,)) for row in rows):
        return _empty(label, width)
    far = _far(rows)
    shown = [v for row in rows if row is not far for v in (row.value, row.low, row.high)]
    low, high = span([*shown, rule], axis, 0.08)
    names = [short(row.label, letters) for row in rows]
    values = _aligned([row.value for row in rows])
    left, right = 14 + max(map(len, names)) * 7.0, width - 20 - max(map(len, values)) * 7.0
    plot = _Plot(left, 6, right, 12 + 30.0 * len(rows), (low, high), (0, 1))
    body = []
    columns = _fitting_ticks(plot)
    for value, text in zip(columns, tick_labels(columns), strict=True):
        body.append(_line(plot.px(value), plot.top, plot.px(value), plot.bottom, "grid"))
        body.append(_text(plot.px(value), plot.bottom + 16, text, "axis", "middle"))
    body.append(_text((plot.left + plot.right) / 2, plot.bottom + 34, axis.label, "name", "middle"))
    if rule is not None:
        body.append(_line(plot.px(rule), plot.top, plot.px(rule), plot.bottom, "mark"))
    for at, (row, name, text) in enumerate(zip(rows, names, values, strict=True)):
        middle = plot.top + 18 + 30.0 * at
        strong = "label strong" if row.kind == "network" else "label"
        body += [_text(0, middle + 4, name, strong), _dot(row, plot, middle, row is far)]
        body.append(_text(width, middle + 4, text, strong, "end"))
    return _svg(label, width, plot.bottom + 42, body)


def _aligned(values: Sequence[Number]) -> list[str]:
    known = finite(values)
    places = max(0, 3 - math.floor(math.log10(max(abs(v) for v in known)))) if any(known) else 3
    return [fixed(value, min(places, 9)) for value in values]


def _far(rows: Sequence[Dot]) -> Dot | None:
    """The one row whose absence would make the rest more than three times as wide, if there is one."""
    known = [row for row in rows if finite((row.value,)) and row.value is not None]
    if len(known) < 3:
        return None
    ordered = sorted(known, key=lambda row: row.value or 0.0)
    values = [row.value or 0.0 for row in ordered]
    whole = values[-1] - values[0]
    without = {0: values[-1] - values[1], -1: values[-2] - values[0]}
    end = min(without, key=lambda at: without[at])
    return ordered[end] if without[end] * 3 < whole and ordered[end].kind != "network" else None


def _dot(row: Dot, plot: _Plot, y: float, far: bool) -> str:
    if row.value is None or not math.isfinite(row.value):
        return _text(plot.left + 6, y + 4, "not defined on these rows", "axis")
    if far:
        left = row.value < plot.x[0]
        at, tip, anchor = (plot.left, 9, "start") if left else (plot.right, -9, "end")
        arrow = f"M{at:.1f} {y:.1f}l{tip} -6v12z"
        note = _text(at + tip * 1.6, y + 4, "far off the scale", "axis", anchor)
        return f'<path d="{arrow}" class="{row.kind}"/>{note}'
    x, bar = min(max(plot.px(row.value), plot.left), plot.right), ""
    if row.low is not None and row.high is not None and finite((row.low,)) and finite((row.high,)):
        a, b = (min(max(plot.px(v), plot.left), plot.right) for v in (row.low, row.high))
        bar = _line(a, y, b, y, f"whisker {row.kind}")
        bar += "".join(_line(end, y - 5, end, y + 5, f"whisker {row.kind}") for end in (a, b))
    shapes = {
        "network": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="network"/>',
        "baseline": f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="baseline"/>',
        "reference": f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" class="reference"/>',
    }
    return bar + shapes[row.kind]


def heat_map(label: str, cells: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A confusion matrix: true classes down, predicted across, counts in the cells, shade by share of the row."""
    if not cells:
        return _empty(label)
    n = len(cells)
    side = 84 if n <= 3 else 58 if n <= 8 else 40 if n <= 14 else 27
    shown = [short(name, 16) for name in names]
    longest = max(map(len, shown)) * _CHARACTER
    upright = longest > side - 6
    left, top = 34 + longest, 30 + (longest if upright else 14)
    body = [
        _text(left + n * side / 2, 12, "predicted", "name", "middle"),
        _text(12, top + n * side / 2, "true", "name", "middle", -90),
    ]
    for i, row in enumerate(cells):
        x, y, total = left + (i + 0.5) * side, top + i * side, sum(row)
        body.append(_text(left - 8, y + side / 2 + 4, shown[i], "label", "end"))
        head = (x + 4, "start", -90) if upright else (x, "middle", 0)
        body.append(_text(head[0], top - 8, shown[i], "label", head[1], head[2]))
        for j, value in enumerate(row):
            body.append(_cell((left + j * side, y, side), value, value / total if total else 0.0, names[i], names[j]))
    told: dict[str, object] = {"cells": [list(row) for row in cells]}
    return _svg(label, left + n * side + 4, top + n * side + 6, body, " wide" if n > 8 else "", told=told)


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
        box += _text(middle, centre - 2, count(value), "count" + faint, "middle")
        box += _text(middle, centre + 15, percent(share), "share" + faint, "middle")
    elif value > 0:
        box += _text(middle, centre + 3, count(value), "count" + (" small" if side < 40 else ""), "middle")
    told = escape(
        f"{short(true, 40)} predicted as {short(predicted, 40)}: {count(value)}, {percent(share)} of the class"
    )
    return f'<g class="square">{box}<title>{told}</title></g>'


def difference_map(label: str, cells: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """Differences from -1 to 1 of pairs, below the diagonal: more in one colour, less in another."""
    if len(names) < 2:
        return _empty(label)
    n = len(names)
    side = 46 if n <= 8 else 34 if n <= 14 else 24
    shown = [short(name, 18) for name in names]
    left, foot = 22 + max(map(len, shown)) * _CHARACTER, 14 + max(map(len, shown[:-1])) * _CHARACTER
    bottom = 6 + (n - 1) * side
    body = []
    for i in range(1, n):
        y = 6 + (i - 1) * side
        body.append(_text(left - 8, y + side / 2 + 4, shown[i], "label", "end"))
        body += [_difference((left + j * side, y, side), cells[i][j], names[i], names[j]) for j in range(i)]
    for j in range(n - 1):
        body.append(_text(left + (j + 0.5) * side + 4, bottom + 8, shown[j], "label", "end", -90))
    return _svg(label, left + (n - 1) * side + 4, bottom + foot, body, " wide" if n > 14 else "")


def _difference(at: tuple[float, float, float], value: float, first: str, second: str) -> str:
    """A cell at (x, y, side); a small one tells its number when pointed at."""
    x, y, side = at
    place = f'x="{x:.1f}" y="{y:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" rx="2"'
    strength = 0.9 * math.sqrt(min(abs(value), 1.0))  # the root lets small differences show
    box = f'<rect {place} class="cell"/><rect {place} class="{"more" if value > 0 else "less"}" '
    box += f'fill-opacity="{strength:.3f}"/>'
    if side >= 34:
        box += _text(x + side / 2 - 1, y + side / 2 + 3, fixed(value, 2), "count small", "middle")
    told = escape(f"{short(first, 40)} and {short(second, 40)}: {fixed(value, 3)}")
    return f"<g>{box}<title>{told}</title></g>"


def scatter_chart(
    label: str,
    xs: Sequence[Number],
    ys: Sequence[Number],
    x: Axis,
    y: Axis,
    *,
    diagonal: bool = False,
    level: bool = False,
    lines: Sequence[Series] = (),
) -> str:
    """Dots; `diagonal` gives both axes one range and draws x = y, `level` draws y = 0, `lines` lie on the dots."""
    known = [(a, b) for a, b in zip(xs, ys, strict=True) if a is not None and b is not None]
    known = [(a, b) for a, b in known if math.isfinite(a) and math.isfinite(b)]
    if not known:
        return _empty(label)
    across, up = [a for a, _ in known], [b for _, b in known]
    wide, high = span(across, x), span(up, y)
    if diagonal:
        wide = high = (min(wide[0], high[0]), max(wide[1], high[1]))
    plot = _layout(wide, high, WIDTH, 340, 0)
    body = _axes(plot, x, y, 340)
    if diagonal:
        body.append(_line(plot.px(wide[0]), plot.py(wide[0]), plot.px(wide[1]), plot.py(wide[1]), "chance"))
    if level and high[0] <= 0 <= high[1]:
        body.append(_line(plot.left, plot.py(0), plot.right, plot.py(0), "chance"))
    dots = "".join(f'<circle cx="{plot.px(a):.1f}" cy="{plot.py(b):.1f}" r="2.2"/>' for a, b in known)
    over = [_path(each, plot) + _alone(each, plot) for each in lines]
    return _svg(label, WIDTH, 340, [*body, f'<g class="cloud">{dots}</g>', *over], told=_plot_told(plot, x, y))


def bar_chart(label: str, parts: Sequence[Part], width: float = WIDTH, *, longest: int = 24) -> str:
    """Horizontal bars from zero, one a row, with their values in words; `longest` is of a label, in characters."""
    known = [part for part in parts if math.isfinite(part.value)]
    if not known:
        return _empty(label, width)
    names = [short(part.label, longest) for part in known]
    left = 10 + max(map(len, names)) * _CHARACTER
    room = width - left - 12 - max(len(part.text) for part in known) * _CHARACTER
    largest = max((part.value for part in known), default=0.0) or 1.0
    body = []
    for at, (part, name) in enumerate(zip(known, names, strict=True)):
        y, long = 4 + 24.0 * at, max(1.0, room * max(part.value, 0.0) / largest)
        body.append(_text(0, y + 13, name, "label"))
        body.append(f'<rect x="{left:.1f}" y="{y + 2:.1f}" width="{long:.1f}" height="14" rx="2" class="area t0"/>')
        body.append(_text(left + long + 6, y + 13, part.text, "axis"))
    return _svg(label, width, 6 + 24.0 * len(known), body)


def strip_chart(label: str, parts: Sequence[Part], width: float = 480) -> str:
    """One bar divided into parts, named below."""
    total = sum(part.value for part in parts)
    if not math.isfinite(total) or total <= 0:
        return _empty(label, width)
    body, x = [], 0.0
    for at, part in enumerate(parts):
        long = width * part.value / total
        if long > 0:
            place = f'x="{x:.1f}" y="0" width="{max(long - 2, 1):.1f}" height="26" rx="3"'
            body.append(f'<rect {place} class="area t{at % TONES}"/>')
        x += long
    named = [(f"{part.label} {part.text}", at) for at, part in enumerate(parts)]
    legend, used = _legend(named, width, 0, block=True)
    return _svg(label, width, 40 + used, [*body, f'<g transform="translate(0 38)">{legend}</g>'])


def reliability_chart(label: str, bins: Sequence[Bin]) -> str:
    """Stated against observed frequency with intervals, the diagonal of perfect calibration, and rows a bin below."""
    known = [b for b in bins if finite((b.x,)) and finite((b.y,))]
    if not known:
        return _empty(label)
    height = 350
    x, y = Axis("predicted probability", 0.0, 1.0), Axis("observed frequency", 0.0, 1.0)
    frame = _layout((0.0, 1.0), (0.0, 1.0), WIDTH, height, 0)
    plot = _Plot(frame.left, frame.top, frame.right, frame.bottom - 58, frame.x, frame.y)
    body = [_line(plot.px(0), plot.py(0), plot.px(1), plot.py(1), "chance"), *_axes(plot, Axis(""), y, height)]
    joined = Series("", [b.x for b in known], [b.y for b in known], quiet=True)
    body += [_path(joined, plot), *(_whisker(b, plot) for b in known)]
    most, base = max(b.rows for b in known) or 1, plot.bottom + 58
    for b in known:
        tall = 30 * b.rows / most
        at = plot.px(b.x or 0.0)
        body.append(
            f'<rect x="{at - 6:.1f}" y="{base - tall:.1f}" width="12" height="{max(tall, 0.8):.1f}" class="area t2"/>'
        )
    body.append(_line(plot.left, base, plot.right, base, "rule"))
    body.append(_text(plot.left - 6, base - 4, "rows", "axis", "end"))
    body.append(_text((plot.left + plot.right) / 2, base + 18, x.label, "name", "middle"))
    return _svg(label, WIDTH, height, body)


def _whisker(point: Bin, plot: _Plot) -> str:
    x, y = plot.px(point.x or 0.0), plot.py(point.y or 0.0)
    bar = ""
    if point.low is not None and point.high is not None and finite((point.low,)) and finite((point.high,)):
        bar = _line(x, plot.py(point.low), x, plot.py(point.high), "whisker network")
    told = f"predicted {fixed(point.x, 3)}, observed {fixed(point.y, 3)}"
    if bar:
        told += f" ({fixed(point.low, 3)} to {fixed(point.high, 3)})"
    told = escape(f"{told}, {counted(point.rows, 'row')}")
    return f'<g class="told">{bar}<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="network"/><title>{told}</title></g>'
