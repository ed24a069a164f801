"""Learning-rate range tests in pictures and words: for the report, for a file of their own, and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.report.charts import Mark, Series, line_chart
from assay.report.ticks import Axis
from assay.report.words import number, short
from assay.train.rate_curve import ALL_STEPS, RateCurve

#: The picture ends so far above the least loss, as a share of the fall from the first: what is lost is not drawn.
_ROOM = 0.6
#: A dot matrix of 2 by 4 in each character (Unicode, Braille patterns), bit by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE = 0x2800


def rate(value: float | None) -> str:
    """A rate with two digits, as one would type it: 0.0012, or - where there is none."""
    return "-" if value is None else f"{value:.2g}"


def rate_chart(curve: RateCurve, size: tuple[float, float] = (460, 320)) -> str:
    """Loss by learning rate, on an axis of powers of ten, with the rate used and the one suggested marked."""
    exponents = [math.log10(each) for each in curve.rates]
    top = _top(curve)
    series = (
        Series("loss of each step", exponents, [loss if loss <= top else None for loss in curve.losses], 2, quiet=True),
        Series("loss, smoothed", exponents, _up_to(curve.smoothed, top), 0),
    )
    name = short(curve.network, 24)
    marks = [Mark(math.log10(curve.used), f"used {rate(curve.used)}")]
    label = f"Range test of {name}: loss by learning rate, used {rate(curve.used)}"
    if curve.suggestion is not None:
        marks.append(Mark(math.log10(curve.suggestion), f"suggested {rate(curve.suggestion)}"))
        label += f", suggested {rate(curve.suggestion)}"
    return line_chart(
        label, series, Axis("learning rate", powers=True), Axis("loss"), marks=marks, size=size
    )  # fmt: skip


def rate_caption(curve: RateCurve) -> str:
    """What the picture shows, in words."""
    name = short(curve.network, 24)
    ended = "" if curve.ended == ALL_STEPS else f" At {rate(curve.rates[-1])} {curve.ended}."
    if curve.suggestion is None:
        return f"{name}: the loss fell at no rate, so none is suggested.{ended}"
    return (
        f"{name}: training loss while the rate grows with each of {len(curve.rates)} steps (thick: smoothed). "
        f"Suggested {rate(curve.suggestion)} (valley); steepest fall at {rate(curve.steepest)}, a tenth of the rate "
        f"with the least loss {rate(curve.tenth)}.{ended}"
    )


def _top(curve: RateCurve) -> float:
    """The loss at which the picture ends: above the first and the least one with some room."""
    least = min(curve.smoothed)
    begun = max(curve.smoothed[: max(1, curve.smoothed.index(least) + 1)])
    return begun + _ROOM * max(begun - least, 0.05 * abs(begun))


def _up_to(values: Sequence[float], top: float) -> list[float | None]:
    """The values until, having been least, they leave at `top`: the point there is the last."""
    least = values.index(min(values))
    gone = next((place for place in range(least, len(values)) if values[place] > top), len(values))
    return [min(value, top) if place <= gone else None for place, value in enumerate(values)]


def sketch(curve: RateCurve, columns: int = 60, lines: int = 9) -> str:
    """The smoothed loss as text of `lines` lines and an axis, with the rates used and suggested under it."""
    top, least = _top(curve), min(curve.smoothed)
    first, last = math.log10(curve.rates[0]), math.log10(curve.rates[-1])
    wide, high = 2 * columns - 1, 4 * lines - 1
    cells = [[_BRAILLE] * columns for _ in range(lines)]
    for at in range(wide + 1):
        loss = _between(curve, first + (last - first) * at / wide)
        if loss > top:
            continue
        row = round((top - loss) / (top - least or 1.0) * high)
        cells[row // 4][at // 2] |= _DOTS[at % 2][row % 4]
    edge = max(len(number(top, 3)), len(number(least, 3)))
    heads = {0: number(top, 3), lines - 1: number(least, 3)}
    drawn = [f"{heads.get(row, ''):>{edge}} ┤{''.join(map(chr, line))}" for row, line in enumerate(cells)]
    return "\n".join(
        [*drawn, f"{'':{edge}} └{_axis(curve, first, last, columns)}", *_feet(curve, first, last, columns, edge)]
    )


def _between(curve: RateCurve, exponent: float) -> float:
    """The smoothed loss at a rate between two steps, on the straight line between them."""
    exponents = [math.log10(each) for each in curve.rates]
    after = next((place for place, each in enumerate(exponents) if each >= exponent - 1e-9), len(exponents) - 1)
    if not after:
        return curve.smoothed[0]
    share = (exponent - exponents[after - 1]) / (exponents[after] - exponents[after - 1])
    return curve.smoothed[after - 1] + min(share, 1.0) * (curve.smoothed[after] - curve.smoothed[after - 1])


def _axis(curve: RateCurve, first: float, last: float, columns: int) -> str:
    line = ["─"] * columns
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        line[_column(power, first, last, columns)] = "┴"
    for marked in (curve.used, curve.suggestion):
        if marked is not None and first <= math.log10(marked) <= last:
            line[_column(math.log10(marked), first, last, columns)] = "▲"
    return "".join(line)


def _column(exponent: float, first: float, last: float, columns: int) -> int:
    return min(round((exponent - first) / (last - first) * (columns - 1)), columns - 1)


def _feet(curve: RateCurve, first: float, last: float, columns: int, edge: int) -> list[str]:
    """The ends of the axis, and a line for each mark with its word beside the place."""
    ends = f"{rate(curve.rates[0])}{rate(curve.rates[-1]):>{columns - len(rate(curve.rates[0]))}}"
    feet = [f"{'':{edge}}  {ends}"]
    for word, marked in (("used", curve.used), ("suggested", curve.suggestion)):
        if marked is not None and first <= math.log10(marked) <= last:
            text, at = f"{word} {rate(marked)}", _column(math.log10(marked), first, last, columns)
            shown = f"▲ {text}" if at + len(text) + 2 <= columns else f"{text} ▲"
            start = at if shown.startswith("▲") else at - len(text) - 1
            feet.append(f"{'':{edge}}  {'':{start}}{shown}")
    return feet
