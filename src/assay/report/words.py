"""Numbers and names in words, one way for the page, the card and the terminal.

Thousands are parted by a narrow no-break space; `plain` turns it into a comma where a terminal or a Markdown reader may
not have it. Names come from the user's file and may hold anything: `visible` and `short` make them safe to look at,
escaping for HTML or SVG is done where they are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

THIN = "\u202f"
MINUS = "\u2212"
NOT_DEFINED = "not defined"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_JOINERS = {"\u200d", "\ufe0f"}  # parts of emoji; not printable on their own
_CONTROLS = {"\n": "⏎", "\r": "␍", "\t": "⇥"}
_BLANKS = {"\u00a0", THIN, "\u2009"}


def visible(text: str) -> str:
    """`text` on one line with every character that does not print shown as a sign or its code point."""
    return text if text.isprintable() else "".join(_sign(character) for character in text)


def _sign(character: str) -> str:
    if character.isprintable() or character in _JOINERS or character in _BLANKS:
        return character
    return _CONTROLS.get(character, f"\\u{ord(character):04x}")


def short(text: str, limit: int = 48) -> str:
    """`text` made visible and cut to `limit` characters, the cut marked by an ellipsis."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def count(value: int) -> str:
    """A whole number with its thousands parted: 32 561."""
    return f"{value:,}".replace(",", THIN).replace("-", MINUS)


def counted(value: int, one: str, many: str | None = None) -> str:
    """A whole number with its noun: `1 row`, `32 561 rows`."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def decimals(values: Iterable[float | None], digits: int = 4) -> int:
    """Decimal places that show the largest of `values` with `digits` significant digits, so that a row lines up."""
    largest = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)
    if largest == 0.0:
        return digits - 1
    return min(max(digits - 1 - math.floor(math.log10(largest)), 0), 9)


def fixed(value: float | None, places: int) -> str:
    """`value` with `places` decimals, or `not defined` for None and what is not finite."""
    if value is None or not math.isfinite(value):
        return NOT_DEFINED
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0.0:
        text = text.removeprefix("-")
    return text.replace(",", THIN).replace("-", MINUS)


def number(value: float | None, digits: int = 4) -> str:
    """`value` with `digits` significant digits, no idle zeros, powers of ten when very large or very small."""
    if value is None or not math.isfinite(value):
        return NOT_DEFINED
    if value != 0.0 and not 1e-4 <= abs(value) < 1e15:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_trim(mantissa)}\u00a0×\u00a0{power_of_ten(int(exponent))}".replace("-", MINUS)
    return _trim(fixed(value, decimals([value], digits)))


def power_of_ten(exponent: int) -> str:
    """10 to a whole power: 10⁻³."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage: 24.1 %; what is neither none nor all never reads as 0 % or 100 %."""
    if 0.0 < share < 0.001:
        return f"<{THIN}0.1{THIN}%"
    if 0.999 < share < 1.0:
        return f">{THIN}99.9{THIN}%"
    return f"{_trim(f'{100 * share:.1f}')}{THIN}%"


def p_value(value: float) -> str:
    """A p-value: `p < 0.001`, `p = 0.032`."""
    if not math.isfinite(value):
        return "p not defined"
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.1 else f"p = {value:.2f}"


def seconds(value: float) -> str:
    """A duration: 4 ms, 31.2 s, 12 min 5 s, 3 h."""
    if not math.isfinite(value):
        return NOT_DEFINED
    if value < 1:
        return f"{number(1000 * value, 2) if value >= 0.001 else '< 1'} ms"
    if value < 59.95:
        return f"{_trim(f'{value:.1f}')} s"
    minutes, rest = divmod(round(value), 60)
    hours, left = divmod(minutes, 60)
    large, small = (
        (f"{minutes} min", f"{rest} s" if rest else "") if hours == 0 else (f"{hours} h", f"{left} min" if left else "")
    )
    return f"{large} {small}".rstrip()


def size(value: float | None) -> str:
    """Bytes in the unit that suits them: 840 B, 12.4 kB, 1.3 MB; nothing where they are not known."""
    if value is None:
        return NOT_DEFINED
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{number(value / factor, 3)} {unit}"
    return f"{count(int(value))} B"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names in one line, the first `most` of them and how many more there are."""
    every = list(names)
    more = f" and {count(len(every) - most)} more" if len(every) > most else ""
    return ", ".join(short(name) for name in every[:most]) + more


def row_list(rows: tuple[int, ...], of: int, most: int = 15) -> str:
    """Row numbers in one line, and of how many they are the first: `9, 140, 271 and 49 more`."""
    shown = rows[:most]
    left = max(of, len(rows)) - len(shown)
    return ", ".join(str(row) for row in shown) + (f" and {count(left)} more" if left else "")


def plain(text: str) -> str:
    """`text` for a terminal or Markdown: commas between thousands, simple spaces, hyphens for minus."""
    for space in (THIN + "%", "\u00a0%"):
        text = text.replace(space, "%")
    return (
        text.replace(f"<{THIN}", "< ")
        .replace(f">{THIN}", "> ")
        .replace(THIN, ",")
        .replace("\u00a0", " ")
        .replace(MINUS, "-")
    )
