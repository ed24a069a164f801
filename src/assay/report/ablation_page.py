"""An ablation as an HTML page of its own, in the style of the report, and as a table for a terminal."""

from __future__ import annotations

from assay.evaluate.earned import Ablation, Effect
from assay.practices import PRACTICES
from assay.report import ablation_words
from assay.report.charts import Dot, interval_chart
from assay.report.page import environment
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.version import __version__


def draw_ablation(made: Ablation) -> str:
    """A self-contained page: what was found, dots with whiskers sorted by gain, the table, and what was not measured.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    labels = dict.fromkeys(effect.label for effect in made.effects)
    figures = [picture for label in labels if (picture := _figure(made, label)) is not None]
    return environment().get_template("ablation.html.j2").render(
        version=__version__, made=made, words=ablation_words, practices=PRACTICES, figures=figures,
    )  # fmt: skip


def _figure(made: Ablation, label: str) -> Picture | None:
    """The gains in one metric, what gains most on top."""
    found = [effect for effect in made.effects if effect.label == label and effect.gain.value is not None]
    if not found:
        return None
    dots = [_dot(effect) for effect in found]
    svg = interval_chart(f"Gain in {label} by practice", dots, Axis(f"gain in {label}"), 620, rule=0.0, letters=32)
    caption = (
        f"What each practice gains in {label}, with its interval. Right of the line at zero it helps; where the "
        "whisker crosses the line there is no measurable effect (square)."
    )
    return Picture(svg, caption)


def _dot(effect: Effect) -> Dot:
    ends = effect.gain.value, effect.gain.low, effect.gain.high
    return Dot(effect.practice, *ends, "network" if effect.verdict in ("helps", "hurts") else "baseline")
