"""Range tests as an HTML page of their own, in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence

from assay.report.page import environment
from assay.report.pictures import Picture
from assay.report.rate_chart import rate, rate_caption, rate_chart
from assay.train.rate_curve import RateCurve
from assay.version import __version__


def draw_rates(data: str, target: str, rows: int, curves: Sequence[RateCurve], advice: Sequence[str]) -> str:
    """A self-contained page: what to do, a table of the rates, and a picture of each network.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    template = environment().get_template("rates.html.j2")
    return template.render(
        version=__version__, data=data, target=target, rows=rows, advice=advice, curves=curves, rate=rate,
        figures=[Picture(rate_chart(curve, size=(620, 380)), rate_caption(curve)) for curve in curves],
    )  # fmt: skip
