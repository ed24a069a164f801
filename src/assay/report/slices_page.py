"""Weak subgroups in words and as a picture, for the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from assay.evaluate.inspection_record import STEPS_AHEAD, Slice, SliceFamily, Slices
from assay.evaluate.record import Report
from assay.report.charts import Dot, interval_chart
from assay.report.pictures import Picture
from assay.report.story import interval, level, tested_on
from assay.report.ticks import Axis
from assay.report.words import count, counted, decimals, fixed, p_value, percent, short

_LABEL, _WIDTH = 44, 720
_WORDS = {
    "weaker": "higher loss", "stronger": "lower loss", "not distinguishable": "no difference",
    "too few rows": "too few rows",
}  # fmt: skip


@dataclass(frozen=True)
class SliceRow:
    """A slice as the table shows it; `proof` is what the verdict rests on."""

    condition: str
    verdict: str
    tag: str
    rows: str
    wrong: str
    expected: str
    loss: str
    difference: str
    interval: str
    score: str
    score_interval: str
    proof: str


def slices_of(report: Report) -> Slices | None:
    """What is known of slices; None where none were looked for or named."""
    if report.forecast is not None:
        return report.forecast.slices
    return None if report.inspection is None else report.inspection.slices


def told(report: Report) -> str:
    """What the search found, in a sentence; nothing where there was none."""
    found = slices_of(report)
    if found is None:
        return ""
    if report.forecast is not None:
        return _told_of_steps(found)
    if not found.candidates:
        return f"No search for weak subgroups: {found.reason}."
    weak = confirmed(found)
    searched = f"{counted(found.candidates, 'subgroup')} of {counted(found.searched_rows, 'row')}"
    searched += " that nothing was learned from"
    if weak:
        others = f", and in {counted(len(weak) - 1, 'other subgroup')}" if len(weak) > 1 else ""
        return f"The model is weaker where {_named(weak[0], found)}{others} ({searched} were looked at)."
    if found.found:
        stood = "one stood out" if len(found.found) == 1 else f"{count(len(found.found))} stood out"
        return f"No weak subgroup was confirmed: of {searched}, {stood}, which {tested_on(report)} do not bear out."
    return f"No weak subgroup was found that chance would not explain, among {searched}."


def _told_of_steps(found: Slices) -> str:
    """Where forecasts are weak, in a sentence; that later steps are harder is told last."""
    if not found.families:
        return f"No parts of the forecast steps were compared: {found.reason or 'all steps are alike'}."
    looked = f"{counted(found.candidates, 'part')} of {counted(found.tested_on, 'forecast step')} were looked at"
    weak = [each for family in sorted(found.families, key=_is_of_steps) for each in family.slices
            if each.verdict == "weaker"]  # fmt: skip
    if not weak:
        return f"No part of the steps is forecast worse beyond chance ({looked})."
    others = f", and in {counted(len(weak) - 1, 'other part')}" if len(weak) > 1 else ""
    return f"Forecasts are weaker where {_named(weak[0], found, 'step')}{others} ({looked})."


def _is_of_steps(family: SliceFamily) -> bool:
    return family.name == STEPS_AHEAD


def confirmed(found: Slices) -> tuple[Slice, ...]:
    """The slices that were found and that the test rows confirm."""
    return tuple(each for each in found.found if each.verdict == "weaker")


def _named(each: Slice, found: Slices, row: str = "test row") -> str:
    """A slice with the figures that speak for themselves."""
    condition = short(each.condition, 120)
    if each.wrong is not None and each.wrong_rest is not None:
        figures = (
            f"{percent(each.wrong)} of {counted(each.rows, 'test row')} are wrong against {percent(each.wrong_rest)}"
        )
    else:
        digits = decimals([each.loss, each.loss_rest], 3)
        figures = f"{found.loss} {fixed(each.loss, digits)} of {counted(each.rows, row)} against "
        figures += fixed(each.loss_rest, digits)
    expected = "" if each.expected_wrong is None else f" (the model itself expects {percent(each.expected_wrong)})"
    return f"{condition}: {figures} of the others{expected}"


def named_lines(report: Report) -> tuple[str, ...]:
    """A line for each slice that the user named."""
    found = slices_of(report)
    if found is None:
        return ()
    row = "test row" if report.forecast is None else "step"
    return tuple(line(each, found, row) for each in found.named)


def line(each: Slice, found: Slices, row: str = "test row") -> str:
    """A slice in a sentence; `row` is what one of its rows is called."""
    if not each.rows:
        return f"{short(each.condition, 120)}: no {row} is in it."
    score = each.score
    told = f"{short(each.condition, 120)}: {counted(each.rows, row)}"
    if score is not None and score.value is not None:
        digits = decimals([score.value, score.high])
        span = interval(score, digits, ", ")
        told += f", {found.metric} {fixed(score.value, digits)}" + (f" [{span}]" if span else "")
        told += "" if each.score_rest is None else f" against {fixed(each.score_rest, digits)} of the others"
    apart = {"weaker": "is higher", "stronger": "is lower", "not distinguishable": "is not distinguishable from theirs"}
    return f"{told}; its {found.loss} {apart.get(each.verdict, 'is of too few rows to compare')}."


def rows(each: tuple[Slice, ...]) -> tuple[SliceRow, ...]:
    """The slices as the table shows them."""
    return tuple(_row(one) for one in each)


def _row(each: Slice) -> SliceRow:
    losses = decimals([each.loss, each.loss_rest], 3)
    score = each.score
    digits = 3 if score is None else decimals([score.value, score.high])
    known = score is not None and score.value is not None
    proof = "" if each.p_value is None else p_value(each.p_value)
    return SliceRow(
        condition=each.condition,
        verdict=_WORDS[each.verdict],
        tag={"weaker": "warned", "stronger": "passed"}.get(each.verdict, ""),
        rows=f"{count(each.rows)} ({percent(each.share)})",
        wrong="–"
        if each.wrong is None or each.wrong_rest is None
        else f"{percent(each.wrong)}, {percent(each.wrong_rest)}",
        expected="–" if each.expected_wrong is None else percent(each.expected_wrong),
        loss="–" if each.loss is None else f"{fixed(each.loss, losses)}, {fixed(each.loss_rest, losses)}",
        difference="–" if each.difference.value is None else fixed(each.difference.value, losses),
        interval=interval(each.difference, losses),
        score=fixed(score.value, digits) if score is not None and known else "–",
        score_interval=interval(score, digits) if score is not None and known else "",
        proof=proof,
    )


def picture(report: Report) -> Picture | None:
    """How much higher the loss is in each slice than outside it."""
    found = slices_of(report)
    every = () if found is None else (*found.found, *(each for one in found.families for each in one.slices),
                                      *found.named)  # fmt: skip
    drawn = [each for each in every if each.difference.low is not None]
    if found is None or not drawn:
        return None
    dots = [
        Dot(
            each.condition, each.difference.value, each.difference.low, each.difference.high,
            "network" if each.verdict == "weaker" else "baseline",
        )
        for each in drawn
    ]  # fmt: skip
    row = "test rows" if report.forecast is None else "steps"
    label = f"Difference in {found.loss} between each slice and the other {row}"
    svg = interval_chart(label, dots, Axis(f"{found.loss}, slice less the rest"), _WIDTH, rule=0.0, letters=_LABEL)
    caption = (
        f"Mean {found.loss} of a slice less that of all other {row}, with {level(report)} intervals; "
        "right of the line the model does worse. Circles: weaker beyond chance."
    )
    return Picture(svg, caption)
