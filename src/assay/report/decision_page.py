"""Decisions in pictures and words: the chosen threshold among all others, what errors cost, gain and lift."""

from __future__ import annotations

from assay.evaluate.calibration.reliability import in_words
from assay.evaluate.decision.record import DecisionReport, DecisionScore, RivalCost, Trade
from assay.evaluate.record import Report
from assay.report.charts import Mark, Series, line_chart
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import decimals, fixed, number, short

_PERCENT = "share of the rows, the most probable first"


def said(report: Report) -> str:
    """How a class is decided, in a sentence or two."""
    found = report.decision
    if found is None:
        return ""
    if found.threshold is None:
        return _upper(found.reason)
    positive = short(report.table_schema.positive or "positive", 30)
    return f"{positive} {found.reason.removeprefix('positive ')}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def reliable(report: Report) -> str:
    """Whether the model can be told from a calibrated one."""
    tests = () if report.calibration is None else report.calibration.tests
    return f"The model {in_words(tests)}." if tests else ""


def doubted(report: Report) -> str:
    """`reliable` where the model can be told from a calibrated one, which who uses it must know; else nothing."""
    tests = () if report.calibration is None else report.calibration.tests
    return reliable(report) if any(test.name == "smooth_ece" and test.is_miscalibrated for test in tests) else ""


def trade_off(report: Report) -> Picture | None:
    """Precision against recall with what the thresholds at hand do."""
    found = report.decision
    if found is None or found.trade is None or found.threshold is None:
        return None
    trade, chosen = found.trade, number(found.threshold, 3)
    series = [Series("all thresholds", trade.recall, trade.precision, 0)]
    for cut, text, tone in _cuts(found):
        at = _place(trade, cut)
        series.append(Series(text, [trade.recall[at]], [trade.precision[at]], tone))
    label = f"Precision and recall at every threshold, {chosen} is chosen"
    axes = Axis("recall", 0.0, 1.0), Axis("precision", 0.0, 1.0)
    caption = f"What a higher precision costs in recall; the dots are what is decided from {chosen} on"
    caption += " and from 0.5 on." if len(series) > 2 else "."
    return Picture(line_chart(label, series, *axes, size=(460, 350)), caption)


def by_threshold(report: Report) -> Picture | None:
    """Precision, recall and F1 by threshold."""
    found = report.decision
    if found is None or found.trade is None:
        return None
    trade = found.trade
    series = [
        Series("precision", trade.thresholds, trade.precision, 0),
        Series("recall", trade.thresholds, trade.recall, 1),
        Series("F1", trade.thresholds, trade.f1, 3),
    ]
    x, y = Axis("threshold", 0.0, 1.0), Axis("", 0.0, 1.0)
    svg = line_chart("Precision, recall and F1 by threshold", series, x, y, marks=_marks(found))
    return Picture(svg, "Precision, recall and F1 of the positive class by threshold.")


def costs(report: Report) -> Picture | None:
    """The cost of a row by threshold."""
    found = report.decision
    if found is None or found.trade is None:
        return None
    trade = found.trade
    series = [Series("cost of a row", trade.thresholds, trade.cost, 4)]
    axes = Axis("threshold", 0.0, 1.0), Axis("cost of a row", low=0.0)
    svg = line_chart("Cost of a row by threshold", series, *axes, marks=_marks(found))
    if not found.has_costs:
        return Picture(svg, "Cost of a row by threshold; no costs were given, so every error costs 1.")
    (_, alarm), (miss, _) = found.costs
    told = f"a false positive costs {number(alarm)}, a false negative {number(miss)}"
    return Picture(svg, f"Cost of a row by threshold: {told}.")


def gain(report: Report) -> Picture | None:
    """The gain curve: how many of the positive rows are among the most probable ones."""
    found = None if report.decision is None else report.decision.gains
    if found is None:
        return None
    rows, positives = (0.0, *found.rows), (0.0, *found.positives)
    axes = Axis(_PERCENT, 0.0, 1.0), Axis("share of the positive rows", 0.0, 1.0)
    svg = line_chart("Gain curve", [Series("gain", rows, positives, 0)], *axes, diagonal=True)
    return Picture(svg, "Gain: how many of the positive rows are found in the most probable part of all rows.")


def lift(report: Report) -> Picture | None:
    """The lift curve."""
    found = None if report.decision is None else report.decision.gains
    if found is None:
        return None
    axes = Axis(_PERCENT, 0.0, 1.0), Axis("lift", low=0.0)
    svg = line_chart("Lift curve", [Series("lift", found.rows, found.lift, 1)], *axes, marks=(Mark(0.1, "10 %"),))
    return Picture(svg, "Lift: how many times as often a row is positive there as among all rows.")


def score_cells(score: DecisionScore) -> tuple[str, str]:
    """The value and its interval."""
    digits = decimals([score.value, score.high])
    span = ""
    if score.low is not None and score.high is not None:
        span = f"{fixed(score.low, digits)} to {fixed(score.high, digits)}"
    return fixed(score.value, digits), span


def rival_cells(rival: RivalCost) -> tuple[str, str, str]:
    """The cost of a baseline, the model's less that, and its interval."""
    apart = rival.difference
    digits = decimals([rival.cost, apart.value, apart.high])
    span = (
        "" if apart.low is None or apart.high is None else f"{fixed(apart.low, digits)} to {fixed(apart.high, digits)}"
    )
    return fixed(rival.cost, digits), fixed(apart.value, digits), span


def summary(report: Report) -> str:
    """The line of the terminal: from which probability on, for what, and what it gains."""
    found = report.decision
    if found is None or (found.threshold is None and not found.has_costs):
        return ""
    return said(report)


def _cuts(found: DecisionReport) -> list[tuple[float, str, int]]:
    assert found.threshold is not None
    chosen = [(found.threshold, f"from {number(found.threshold, 3)} on", 1)]
    return chosen if found.threshold == 0.5 else [*chosen, (0.5, "from 0.5 on", 3)]


def _marks(found: DecisionReport) -> tuple[Mark, ...]:
    return () if found.threshold is None else (Mark(found.threshold, f"chosen: {number(found.threshold, 3)}"),)


def _place(trade: Trade, threshold: float) -> int:
    """The point of what is decided from the threshold on."""
    return max(sum(cut >= threshold for cut in trade.thresholds) - 1, 0)
