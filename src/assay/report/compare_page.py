"""Several runs side by side as an HTML page: scores with intervals, paired tests, and who cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from assay.evaluate.record import Report
from assay.evaluate.versus import Family
from assay.report import ablation_words, words
from assay.report.charts import Dot, interval_chart
from assay.report.page import environment
from assay.report.pictures import Picture
from assay.report.story import label_of, network, score_of
from assay.report.ticks import Axis
from assay.version import __version__


def draw_compare(
    names: Sequence[str], reports: Sequence[Report], families: Sequence[Family], *, same_rows: bool
) -> str:
    """A self-contained page on the runs of these names; `same_rows` tells whether all were tested on the same.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    primary, label = reports[0].primary, label_of(reports[0], reports[0].primary)
    dots, rows = [], []
    for name, report in zip(names, reports, strict=True):
        score = score_of(network(report), primary)
        estimate = None if score is None else score.estimate
        ends = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
        dots.append(Dot(name, ends[0], ends[1], ends[2], "network"))
        value = words.NOT_DEFINED if estimate is None else words.number(estimate.value)
        rows.append((name, network(report).description, value, report))
    row = "row" if reports[0].forecast is None else "window"
    caption = (
        f"{label} on the test {row}s of each run, with its interval. Intervals of runs do not test their difference."
    )
    picture = Picture(interval_chart(f"{label} of the runs", dots, Axis(label), 620, letters=36), caption)
    return environment().get_template("compare.html.j2").render(
        version=__version__, label=label, rows=rows, families=families, picture=picture, gain=ablation_words.gain,
        p_value=ablation_words.p_alone, same_rows=same_rows, row=row,
    )  # fmt: skip
