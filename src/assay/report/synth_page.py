"""The quality of synthetic rows as an HTML page of its own, in the style of the report."""

from __future__ import annotations

from assay.report import synth_words as words
from assay.report.charts import Dot, interval_chart
from assay.report.matrix_charts import difference_map
from assay.report.page import SIGNS, environment
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import count, counted, fixed, number, short
from assay.synth.record import ColumnFidelity, Quality
from assay.version import __version__

#: Columns that the table lists; of more, those that were met worst.
MOST_COLUMNS = 60


def draw_quality(quality: Quality) -> str:
    """A self-contained page: what the rows are good for, how like the real ones they are, and what they give away.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    template = environment().get_template("synth.html.j2")
    return template.render(
        version=__version__, quality=quality, words=words, signs=SIGNS, columns=_listed(quality), tiles=_tiles(quality),
        scores=_scores(quality), pairs=_pairs(quality), most=MOST_COLUMNS,
    )  # fmt: skip


def _tiles(quality: Quality) -> list[tuple[str, str, str]]:
    """The numbers to see first: name, number, and how to read it."""
    use, area, near = quality.utility, quality.detection.auroc, quality.closeness
    member = quality.membership.auroc
    how = "with synthetic rows added" if quality.made.augments else "trained on synthetic rows"
    return [
        (f"{use.label}, {how}", _value(use.synthetic.value), f"on real rows alone {_value(use.real.value)}"),
        ("Told from real rows", _value(area.value), "AUROC; 0.5 is chance"),
        ("Copies", count(near.copies), f"of {counted(near.rows, 'row')} written"),
        ("Learned from or not", _value(member.value), "AUROC of the attack; 0.5 is chance"),
    ]


def _value(value: float | None) -> str:
    return "not known" if value is None else number(value) if abs(value) >= 10 else fixed(value, 3)


def _scores(quality: Quality) -> Picture:
    """The two scores with their intervals."""
    use = quality.utility
    name = "real and synthetic rows" if quality.made.augments else "synthetic rows"
    rows = [
        Dot(name, use.synthetic.value, use.synthetic.low, use.synthetic.high, "network"),
        Dot("real rows", use.real.value, use.real.low, use.real.high, "baseline"),
    ]
    label = f"{use.label} of {use.model} on held-back real rows, by what they were trained on"
    return Picture(interval_chart(label, rows, Axis(use.label)), f"{label}, with 95 % intervals.")


def _pairs(quality: Quality) -> Picture | None:
    """How much stronger or weaker pairs of columns hang together than they should."""
    pairs = quality.pairs
    if not pairs.differences or pairs.mean_difference is None or pairs.held_back is None:
        return None
    label = "Association of two columns, synthetic less real"
    caption = (
        f"{label}: orange where synthetic columns hang together more, blue where less. The mean difference over "
        f"{pairs.pairs:,} pairs is {fixed(pairs.mean_difference, 3)}; held-back real rows differ by "
        f"{fixed(pairs.held_back, 3)}. Furthest off: {'; '.join(short(pair, 120) for pair in pairs.worst)}."
    )
    return Picture(difference_map(label, pairs.differences, pairs.names), caption)


def _listed(quality: Quality) -> list[ColumnFidelity]:
    """The columns in their order; of very many, those furthest off first."""
    columns = list(quality.columns)
    if len(columns) <= MOST_COLUMNS:
        return columns
    return sorted(columns, key=lambda column: column.held_back - column.distance)[:MOST_COLUMNS]
