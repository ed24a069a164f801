"""Pictures as SVG text: pure functions of numbers, without a drawing package or a script.

Colours, strokes and fonts are left to the style sheet of the page through classes (`t0`, `t1`, ... are the tones), so
that a picture follows light, dark and print. Every picture has an accessible name; values that are None or not finite
are left out, and a picture without any value says so. Why by hand: docs/decisions/charts.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from assay.report.svg import (
    CHARACTER,
    TONES,
    WIDTH,
    Plot,
    axes,
    drawing,
    empty,
    fitting_ticks,
    legend_of,
    line_from,
    plot_of,
    words_at,
)
from assay.report.ticks import Axis, Number, finite, span, tick_labels
from assay.report.words import counted, fixed, short, visible

HEIGHT = 300
_MOST_POINTS = 240
_FEW_DOTS = 60  # up to which they are drawn larger
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


# Lines ----------------------------------------------------------------------------------------------------------------


def _path(series: Series, plot: Plot, key: int | None = None) -> str:
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


def _alone(series: Series, plot: Plot) -> str:
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
        return empty(label, size[0])
    width, height = size
    named = [(s.label, s.tone) for s in drawn if not s.quiet]
    head, used = legend_of(named, width, 24) if len(named) > 1 or len(drawn) > 1 else ("", 0.0)
    height += max(0.0, used - 18)
    wide = span((v for s in drawn for v in s.x), x, 0.0)
    heights = [*(s.y for s in drawn), *(edge for band in bands for edge in (band.low, band.high))]
    high = span((v for values in heights for v in values), y)
    shown = [mark for mark in marks if wide[0] <= mark.x <= wide[1]]
    height += _MARK_LINE * max(0, len(shown) - 1)
    plot = plot_of(wide, high, width, height, used + _MARK_LINE * len(shown))
    field = [_band(band, plot) for band in bands]
    if diagonal:
        field.append(line_from(plot.px(0), plot.py(0), plot.px(1), plot.py(1), "chance"))
    field += [_path(s, plot) + _alone(s, plot) for s in drawn if s.quiet]
    field += [_path(s, plot, at) + _alone(s, plot) for at, s in enumerate(s for s in drawn if not s.quiet)]
    body = [head, f'<g class="axes">{"".join(axes(plot, x, y, height))}</g><g class="field">{"".join(field)}</g>']
    if shown:
        flags = _marked(shown[0], plot) if len(shown) == 1 else _flagged(shown, plot)
        body.append(f'<g class="flags">{flags}</g>')
    return drawing(label, width, height, body, told=_plot_told(plot, x, y))


def _plot_told(plot: Plot, x: Axis, y: Axis) -> dict[str, object]:
    """The sides of the plot in px, the values they stand for, and what the axes are called."""
    sides = {name: round(getattr(plot, name), 2) for name in ("left", "top", "right", "bottom")}
    kinds = {"whole": True} if x.whole else {"powers": True} if x.powers else {}
    return {**sides, "x": plot.x, "y": plot.y, "names": [visible(x.label), visible(y.label)], **kinds}


def _band(band: Band, plot: Plot) -> str:
    """The area as a path, out along the lower line and back along the upper one."""
    known = [
        (x, low, high)
        for x, low, high in zip(band.x, band.low, band.high, strict=True)
        if x is not None and low is not None and high is not None and all(map(math.isfinite, (x, low, high)))
    ]
    ends = [(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)]
    steps = "L".join(f"{plot.px(x):.1f} {plot.py(y):.1f}" for x, y in ends)
    return f'<path d="M{steps}Z" class="band t{band.tone % TONES}"/>' if known else ""


def _marked(mark: Mark, plot: Plot) -> str:
    at, half = plot.px(mark.x), len(mark.text) * CHARACTER / 2
    word = min(max(at, plot.left + half), plot.right - half)
    return line_from(at, plot.top, at, plot.bottom, "mark") + words_at(word, plot.top - 7, mark.text, "label", "middle")


def _flagged(marks: Sequence[Mark], plot: Plot) -> str:
    """Several marks, each with its word on a line of its own: from the right, so that no line runs through a word."""
    parts = []
    for row, mark in enumerate(sorted(marks, key=lambda mark: -mark.x)):
        at, top = plot.px(mark.x), plot.top - _MARK_LINE * (row + 1)
        side, anchor = (5, "start") if at + 5 + len(mark.text) * CHARACTER <= plot.right else (-5, "end")
        parts.append(
            line_from(at, top, at, plot.bottom, "mark") + words_at(at + side, top + 9, mark.text, "label", anchor)
        )
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
        return empty(label, width)
    far = _far(rows)
    low, high = _reach(rows, far, rule, axis)
    if far is not None and low <= (far.value or 0.0) <= high:  # the intervals of the others reach as far
        far = None
        low, high = _reach(rows, far, rule, axis)
    names = [short(row.label, letters) for row in rows]
    values = _aligned([row.value for row in rows])
    left, right = 14 + max(map(len, names)) * 7.0, width - 20 - max(map(len, values)) * 7.0
    plot = Plot(left, 6, right, 12 + 30.0 * len(rows), (low, high), (0, 1))
    body = []
    columns = fitting_ticks(plot)
    for value, text in zip(columns, tick_labels(columns), strict=True):
        body.append(line_from(plot.px(value), plot.top, plot.px(value), plot.bottom, "grid"))
        body.append(words_at(plot.px(value), plot.bottom + 16, text, "axis", "middle"))
    body.append(words_at((plot.left + plot.right) / 2, plot.bottom + 34, axis.label, "name", "middle"))
    if rule is not None:
        body.append(line_from(plot.px(rule), plot.top, plot.px(rule), plot.bottom, "mark"))
    for at, (row, name, text) in enumerate(zip(rows, names, values, strict=True)):
        middle = plot.top + 18 + 30.0 * at
        strong = "label strong" if row.kind == "network" else "label"
        body += [words_at(0, middle + 4, name, strong), _dot(row, plot, middle, row is far)]
        body.append(words_at(width, middle + 4, text, strong, "end"))
    return drawing(label, width, plot.bottom + 42, body)


def _reach(rows: Sequence[Dot], far: Dot | None, rule: float | None, axis: Axis) -> tuple[float, float]:
    """The ends of an axis that shows every row but the one far away."""
    shown = [v for row in rows if row is not far for v in (row.value, row.low, row.high)]
    return span([*shown, rule], axis, 0.08)


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


def _dot(row: Dot, plot: Plot, y: float, far: bool) -> str:
    if row.value is None or not math.isfinite(row.value):
        return words_at(plot.left + 6, y + 4, "not defined on these rows", "axis")
    if far:
        left = row.value < plot.x[0]
        at, tip, anchor = (plot.left, 9, "start") if left else (plot.right, -9, "end")
        arrow = f"M{at:.1f} {y:.1f}l{tip} -6v12z"
        note = words_at(at + tip * 1.6, y + 4, "far off the scale", "axis", anchor)
        return f'<path d="{arrow}" class="{row.kind}"/>{note}'
    x, bar = min(max(plot.px(row.value), plot.left), plot.right), ""
    if row.low is not None and row.high is not None and finite((row.low,)) and finite((row.high,)):
        a, b = (min(max(plot.px(v), plot.left), plot.right) for v in (row.low, row.high))
        bar = line_from(a, y, b, y, f"whisker {row.kind}")
        bar += "".join(line_from(end, y - 5, end, y + 5, f"whisker {row.kind}") for end in (a, b))
    shapes = {
        "network": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="network"/>',
        "baseline": f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="baseline"/>',
        "reference": f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" class="reference"/>',
    }
    return bar + shapes[row.kind]


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
        return empty(label)
    across, up = [a for a, _ in known], [b for _, b in known]
    wide, high = span(across, x), span(up, y)
    if diagonal:
        wide = high = (min(wide[0], high[0]), max(wide[1], high[1]))
    plot = plot_of(wide, high, WIDTH, 340, 0)
    body = axes(plot, x, y, 340)
    if diagonal:
        body.append(line_from(plot.px(wide[0]), plot.py(wide[0]), plot.px(wide[1]), plot.py(wide[1]), "chance"))
    if level and high[0] <= 0 <= high[1]:
        body.append(line_from(plot.left, plot.py(0), plot.right, plot.py(0), "chance"))
    radius = 2.2 if len(known) > _FEW_DOTS else 3.5
    dots = "".join(f'<circle cx="{plot.px(a):.1f}" cy="{plot.py(b):.1f}" r="{radius}"/>' for a, b in known)
    over = [_path(each, plot) + _alone(each, plot) for each in lines]
    return drawing(label, WIDTH, 340, [*body, f'<g class="cloud">{dots}</g>', *over], told=_plot_told(plot, x, y))


def bar_chart(label: str, parts: Sequence[Part], width: float = WIDTH, *, longest: int = 24) -> str:
    """Horizontal bars from zero, one a row, with their values in words; `longest` is of a label, in characters."""
    known = [part for part in parts if math.isfinite(part.value)]
    if not known:
        return empty(label, width)
    names = [short(part.label, longest) for part in known]
    left = 10 + max(map(len, names)) * CHARACTER
    room = width - left - 12 - max(len(part.text) for part in known) * CHARACTER
    largest = max((part.value for part in known), default=0.0) or 1.0
    body = []
    for at, (part, name) in enumerate(zip(known, names, strict=True)):
        y, long = 4 + 24.0 * at, max(1.0, room * max(part.value, 0.0) / largest)
        body.append(words_at(0, y + 13, name, "label"))
        body.append(f'<rect x="{left:.1f}" y="{y + 2:.1f}" width="{long:.1f}" height="14" rx="2" class="area t0"/>')
        body.append(words_at(left + long + 6, y + 13, part.text, "axis"))
    return drawing(label, width, 6 + 24.0 * len(known), body)


def strip_chart(label: str, parts: Sequence[Part], width: float = 480) -> str:
    """One bar divided into parts, named below."""
    total = sum(part.value for part in parts)
    if not math.isfinite(total) or total <= 0:
        return empty(label, width)
    body, x = [], 0.0
    for at, part in enumerate(parts):
        long = width * part.value / total
        if long > 0:
            place = f'x="{x:.1f}" y="0" width="{max(long - 2, 1):.1f}" height="26" rx="3"'
            body.append(f'<rect {place} class="area t{at % TONES}"/>')
        x += long
    named = [(f"{part.label} {part.text}", at) for at, part in enumerate(parts)]
    legend, used = legend_of(named, width, 0, block=True)
    return drawing(label, width, 40 + used, [*body, f'<g transform="translate(0 38)">{legend}</g>'])


def reliability_chart(label: str, bins: Sequence[Bin]) -> str:
    """Stated against observed frequency with intervals, the diagonal of perfect calibration, and rows a bin below."""
    known = [b for b in bins if finite((b.x,)) and finite((b.y,))]
    if not known:
        return empty(label)
    height = 350
    x, y = Axis("predicted probability", 0.0, 1.0), Axis("observed frequency", 0.0, 1.0)
    frame = plot_of((0.0, 1.0), (0.0, 1.0), WIDTH, height, 0)
    plot = Plot(frame.left, frame.top, frame.right, frame.bottom - 58, frame.x, frame.y)
    body = [line_from(plot.px(0), plot.py(0), plot.px(1), plot.py(1), "chance"), *axes(plot, Axis(""), y, height)]
    joined = Series("", [b.x for b in known], [b.y for b in known], quiet=True)
    body += [_path(joined, plot), *(_whisker(b, plot) for b in known)]
    most, base = max(b.rows for b in known) or 1, plot.bottom + 58
    for b in known:
        tall = 30 * b.rows / most
        at = plot.px(b.x or 0.0)
        body.append(
            f'<rect x="{at - 6:.1f}" y="{base - tall:.1f}" width="12" height="{max(tall, 0.8):.1f}" class="area t2"/>'
        )
    body.append(line_from(plot.left, base, plot.right, base, "rule"))
    body.append(words_at(plot.left - 6, base - 4, "rows", "axis", "end"))
    body.append(words_at((plot.left + plot.right) / 2, base + 18, x.label, "name", "middle"))
    return drawing(label, WIDTH, height, body)


def _whisker(point: Bin, plot: Plot) -> str:
    x, y = plot.px(point.x or 0.0), plot.py(point.y or 0.0)
    bar = ""
    if point.low is not None and point.high is not None and finite((point.low,)) and finite((point.high,)):
        bar = line_from(x, plot.py(point.low), x, plot.py(point.high), "whisker network")
    told = f"predicted {fixed(point.x, 3)}, observed {fixed(point.y, 3)}"
    if bar:
        told += f" ({fixed(point.low, 3)} to {fixed(point.high, 3)})"
    told = escape(f"{told}, {counted(point.rows, 'row')}")
    return f'<g class="told">{bar}<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="network"/><title>{told}</title></g>'
