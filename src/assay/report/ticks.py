"""Axes in numbers: round ticks, their labels, and the range an axis spans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assay.report.words import fixed, number, power_of_ten

Number = float | None


@dataclass(frozen=True)
class Axis:
    """A named axis; without `low` and `high` it spans the values. A `whole` one counts: no ticks between integers.

    Of an axis of `powers` the values are exponents: its ticks are whole ones, labelled as powers of ten, or where it
    spans too little 1, 2 and 5 times such.
    """

    label: str
    low: float | None = None
    high: float | None = None
    whole: bool = False
    powers: bool = False


def ticks(low: float, high: float, wanted: int = 5) -> tuple[float, ...]:
    """At most about `wanted` round values in [low, high], a step of 1, 2, 2.5 or 5 times a power of ten apart."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return (low,) if math.isfinite(low) else ()
    raw = span / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{k * step:.12g}") for k in range(first, last + 1))


def tick_labels(values: Sequence[float]) -> tuple[str, ...]:
    """The values as text, all with the same decimals."""
    if not values:
        return ()
    places = max((_places(value) for value in values), default=0)
    if places > 5 or max(abs(value) for value in values) >= 1e7:
        return tuple("0" if value == 0 else number(value, 3) for value in values)
    return tuple(fixed(value, places) for value in values)


def whole_ticks(axis: Axis, low: float, high: float, values: Sequence[float]) -> tuple[float, ...]:
    """What of `values` an axis in [low, high] can have; the ticks within a power of ten where it spans hardly one."""
    if not (axis.whole or axis.powers):
        return tuple(values)
    whole = tuple(value for value in values if value == round(value))
    if not axis.powers or len(whole) > 1:
        return whole
    powers = range(math.floor(low), math.floor(high) + 1)
    within = (power + math.log10(step) for power in powers for step in (1, 2, 5))
    return tuple(value for value in within if low <= value <= high)


def labels_on(axis: Axis, values: Sequence[float]) -> tuple[str, ...]:
    """The values as the ticks of an axis are labelled."""
    if not axis.powers:
        return tick_labels(values)
    if all(value == round(value) for value in values):
        return tuple(power_of_ten(round(value)) for value in values)
    return tuple(number(10.0**value, 1) for value in values)


def _places(value: float) -> int:
    text = f"{value:.12f}".rstrip("0")
    return len(text.partition(".")[2])


def finite(values: Iterable[Number]) -> list[float]:
    """The values that are there and finite."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def span(values: Iterable[Number], axis: Axis, margin: float = 0.05) -> tuple[float, float]:
    """The range of an axis: its own ends where given, else of the finite values with a margin; never of length zero."""
    known = finite(values)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if low == high:
        room = abs(low) / 2 or 0.5
        low, high = low - room, high + room
    else:
        room = (high - low) * margin
        low, high = low - room, high + room
    low = low if axis.low is None else axis.low
    high = high if axis.high is None else axis.high
    return (low, high) if low < high else (low - 0.5, low + 0.5)
