"""A chart as a file of its own: the style of the page is written into it, resolved for readers without CSS variables.

Programs that show, convert or print SVG know plain CSS only. The colours are those of the page in daylight, read off
its style sheet, on its paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from assay.report.words import visible

_MARGIN, _TITLE = 18.0, 26.0
_SIZE = re.compile(r'width="(\d+)" height="(\d+)"')


def sheet(label: str, charts: Sequence[tuple[str, str]]) -> str:
    """Charts with a title each, one below the other, as one SVG that stands alone.

    Args:
        label: its accessible name.
        charts: titles and pictures, as `charts.py` draws them.
    """
    body, top, width = [], _MARGIN, 0.0
    for title, svg in charts:
        size = _SIZE.search(svg)
        assert size is not None
        body.append(f'<text x="{_MARGIN:.0f}" y="{top + 12:.0f}" class="title">{escape(visible(title))}</text>')
        place = f'<svg x="{_MARGIN:.0f}" y="{top + _TITLE:.0f}"'
        body.append(svg.replace('<svg xmlns="http://www.w3.org/2000/svg"', place, 1))
        top += _TITLE + float(size[2]) + _MARGIN
        width = max(width, float(size[1]) + 2 * _MARGIN)
    name = escape(visible(label), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" width="{width:.0f}" '
        f'height="{top:.0f}" viewBox="0 0 {width:.0f} {top:.0f}"><style>{_style()}</style>'
        f'<rect width="{width:.0f}" height="{top:.0f}" class="paper"/>{"".join(body)}</svg>\n'
    )


@cache
def _style() -> str:
    """The rules of the page that charts need, without variables."""
    page = (files("assay.report") / "templates" / "page.css").read_text("utf-8")
    page = page.partition("@media print")[0]
    values = dict(re.findall(r"--([\w-]+): ([^;]+);", page.partition("@media")[0]))
    tones = {name: values[colour] for name, colour in re.findall(r"\.(t\d) \{ --tone: var\(--(\w+)\); \}", page)}
    rules = []
    for selector, content in re.findall(r"^(\.chart[^{]*)\{ ([^}]*) \}", _one_a_line(page), re.MULTILINE):
        if "var(--tone)" in content:
            spread = [
                (f"{selector.strip()}.{name}", content.replace("var(--tone)", tone)) for name, tone in tones.items()
            ]
        else:
            spread = [(selector.strip(), content)]
        rules += [f"{where} {{ {_resolved(what, values)} }}" for where, what in spread]
    rules.append(f".paper {{ fill: {values['paper']} }}")
    rules.append(f".title {{ font: 600 15px {values['serif']}; fill: {values['ink']} }}")
    return escape("\n".join(rules), quote=False)


def _one_a_line(page: str) -> str:
    return page.replace("} .", "}\n.")


def _resolved(content: str, values: dict[str, str]) -> str:
    return re.sub(r"var\(--([\w-]+)\)", lambda found: values[found[1]], content)
