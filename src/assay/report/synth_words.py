"""What the tests of synthetic rows found, in sentences: for the page and for the terminal."""

from __future__ import annotations

from assay.evaluate.record import Estimate
from assay.report.words import count, counted, fixed, number, p_value, percent
from assay.synth.record import Quality

_LABELS = {
    "copula": "a Gaussian copula",
    "tvae": "a variational autoencoder (TVAE)",
    "smote": "SMOTE",
    "borderline": "Borderline-SMOTE",
}


def span(estimate: Estimate, places: int = 3) -> str:
    """A value with its interval: `0.912 [0.901, 0.923]`; a value of many digits in few."""
    if estimate.value is None:
        return estimate.method
    large = abs(estimate.value) >= 100
    bounds = [number(v) if large else fixed(v, places) for v in (estimate.value, estimate.low, estimate.high)]
    known = estimate.low is not None and estimate.high is not None
    return f"{bounds[0]} [{bounds[1]}, {bounds[2]}]" if known else bounds[0]


def headline(quality: Quality) -> str:
    """What was made, of what, and by what."""
    made = counted(quality.rows, "synthetic row")
    learned = counted(quality.fit_rows, "row")
    verb = "to be added to the real ones were" if quality.made.augments else "were"
    return (
        f"{made} {verb} made by {_LABELS[quality.made.method]} that learned from {learned}; "
        f"{count(quality.held_back_rows)} more were held back to judge it."
    )


def usefulness(quality: Quality) -> str:
    """What the rows are good for."""
    found = quality.utility
    if found.difference.value is None or found.real.value is None or found.synthetic.value is None:
        return f"What a model learns from these rows is not known: {found.reason or found.difference.method}."
    how = "with the synthetic rows added" if quality.made.augments else "trained on synthetic rows"
    facing = f"{found.label} {span(found.synthetic)} {how}, {span(found.real)} on real rows alone"
    tested = f"On {count(found.test_rows)} held-back rows, {found.model} reach {facing}"
    low, high = found.difference.low, found.difference.high
    if low is None or high is None or found.p_value is None:
        return f"{tested}."
    if low <= 0 <= high:
        return f"{tested}; these rows do not tell the two apart ({p_value(found.p_value)})."
    sign = 1 if found.difference.value > 0 else -1
    size = Estimate(value=sign * found.difference.value, low=min(sign * low, sign * high),
                    high=max(sign * low, sign * high), method="")  # fmt: skip
    return f"{tested}: {'better' if sign > 0 else 'worse'} by {span(size)} ({p_value(found.p_value)})."


def likeness(quality: Quality) -> str:
    """Whether the rows can be told from real ones."""
    area = quality.detection.auroc
    if area.value is None:
        return f"Whether the rows can be told from real ones is not known: {area.method}."
    degree = "tell them from real ones with ease" if area.value > 0.9 else "often tell them from real ones"
    if area.low is not None and area.low <= 0.5:
        degree = "cannot tell them from real ones"
    elif area.value <= 0.7:
        degree = "sometimes tell them from real ones"
    return f"Boosted trees {degree}: AUROC {span(area)}, where 0.5 is chance."


def copying(quality: Quality) -> str:
    """Whether rows learned from come out again."""
    near = quality.closeness
    told = (
        f"{count(near.copies)} of {counted(near.rows, 'row')} written {'equals' if near.copies == 1 else 'equal'} a "
        f"row learned from ({percent(near.copies / near.rows)}); {percent(near.held_back_copies)} of the held-back "
        "real rows do."
    )
    if near.closer.value is None:
        return told
    return (
        f"{told} {percent(near.closer.value)} of the synthetic rows lie nearer to a row learned from than to one of as "
        f"many held-back rows; by chance it would be 50{chr(0x202F)}%."
    )


def telling(quality: Quality) -> str:
    """Whether it can be told who was in the data."""
    area = quality.membership.auroc
    if area.value is None:
        return f"Whether a row was learned from was not tested: {area.method}."
    found = area.low is not None and area.low > 0.5
    degree = "tells better than chance" if found else "does not tell better than chance"
    return (
        f"The distance to the nearest synthetic row {degree} whether a row was learned from: AUROC {span(area)} of "
        f"{counted(area_rows(quality), 'row')}."
    )


def area_rows(quality: Quality) -> int:
    """Rows that the membership attack was tried on."""
    return quality.membership.members + quality.membership.others
