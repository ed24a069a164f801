"""A batch of training rows as an HTML page of its own, in the style of the report."""

from __future__ import annotations

from typing import Final

from assay.evaluate.record import Report
from assay.report.page import environment

#: The page's name in a run.
BATCH: Final = "batch.html"


def draw_batch(report: Report) -> str:
    """What training saw of a few rows, as a self-contained page: pictures, series, encoded cells.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return environment().get_template("batch.html.j2").render(report=report)
