"""What is told of sensitive groups in plain words; no sentence here says that a model is fair."""

from __future__ import annotations

from collections.abc import Sequence

from assay.evaluate.fair.measures import labels_of
from assay.evaluate.fair.mitigation import paired_gaps
from assay.evaluate.fair.record import Attribute, Cost, Fairness, Gap, Share
from assay.report.words import counted, decimals, fixed, percent, short

#: The gaps that are put into words, the first two of these that there are.
_TOLD = (
    "demographic_parity_difference", "equalised_odds_difference", "accuracy_difference", "residual_difference",
    "error_difference",
)  # fmt: skip
CAUTION = (
    "None of these numbers says that a model is fair. Where groups differ in how often the target is what it is, the "
    "gaps cannot all be nil at once; which of them matters here, and what it costs whom, is for people to decide."
)


def name_of(attribute: Attribute) -> str:
    """The columns of an attribute: `sex`, or `sex and race`."""
    return " and ".join(short(column, 40) for column in attribute.columns)


def sentences(found: Fairness) -> tuple[tuple[str, str], ...]:
    """Each attribute, and a sentence on it: its widest gaps, or why there are none."""
    return tuple((name_of(attribute), _sentence(found, attribute)) for attribute in found.attributes)


def _sentence(found: Fairness, attribute: Attribute) -> str:
    ranked = {name: place for place, name in enumerate(_TOLD)}
    gaps = sorted((gap for gap in attribute.gaps if gap.id in ranked), key=lambda gap: ranked[gap.id])[:2]
    told = "; ".join(_gap(found, attribute, gap) for gap in gaps)
    small = sum(not group.is_counted for group in attribute.groups)
    if small and gaps:
        told += f"; {counted(small, 'group')} of fewer than {found.least} rows left out"
    problem = f"not compared: {attribute.problem}" if attribute.problem else ""
    return "; ".join(part for part in (told, problem) if part)


def _gap(found: Fairness, attribute: Attribute, gap: Gap) -> str:
    digits = digits_of(gap)
    label = labels_of(found.measures)[gap.measure]
    low, high = (_rate_in(found, attribute, group, gap) for group in (gap.lowest, gap.highest))
    return (
        f"{label} {low} of {short(gap.lowest, 40)} and {high} of {short(gap.highest, 40)}: "
        f"{gap.label[0].lower()}{gap.label[1:]} {fixed(gap.value, digits)} ({interval(gap)}), {by_chance(gap)}, "
        f"{verdict(found, gap)}"
    )


def _rate_in(found: Fairness, attribute: Attribute, group: str, gap: Gap) -> str:
    share = next(each.rates[gap.measure] for each in attribute.groups if each.name == group)
    is_share = next(measure.is_share for measure in found.measures if measure.id == gap.measure)
    return value_of(share, is_share)


def value_of(share: Share, is_share: bool) -> str:
    """A share as a percentage, a mean with four digits."""
    if share.value is None:
        return "–"
    return percent(share.value) if is_share else fixed(share.value, decimals([share.value]))


def digits_of(gap: Gap) -> int:
    """Decimals that suit a gap: three of shares."""
    return 3 if gap.value <= 1 else decimals([gap.value])


def interval(gap: Gap) -> str:
    """The interval of a gap."""
    return f"{fixed(gap.low, digits_of(gap))} to {fixed(gap.high, digits_of(gap))}"


def by_chance(gap: Gap) -> str:
    """What chance gives groups of these sizes."""
    return f"by chance {'down' if gap.is_ratio else 'up'} to {fixed(gap.by_chance, digits_of(gap))}"


def verdict(found: Fairness, gap: Gap) -> str:
    """Whether the gap is beyond chance; never more than that."""
    return "more than chance gives" if gap.p_value < 1 - found.confidence else "no more than chance gives"


def mitigated(found: Fairness) -> str:
    """What the mitigation cost and gave, in a sentence; nothing where there was none."""
    made = found.mitigation
    return "" if made is None else _changed(made.costs[0], found.attributes, made.attributes, "the mitigation")


def by_group(found: Fairness) -> str:
    """What thresholds of each group's own would cost and give, in a sentence; nothing where none were asked for."""
    made = found.thresholds
    if made is None:
        return ""
    return _changed(made.costs[0], made.attributes, found.attributes, "a threshold for each group")


def _changed(cost: Cost, attributes: Sequence[Attribute], others: Sequence[Attribute], what: str) -> str:
    digits = decimals([cost.value, cost.without])
    span = ""
    if cost.low is not None and cost.high is not None:
        low, high = fixed(cost.low, digits), fixed(cost.high, digits)
        span = f" (difference {fixed(cost.difference, digits)}, {low} to {high})"
    pairs = [pair for name in _TOLD for pair in paired_gaps(attributes, others) if pair[1].id == name]
    told = "; ".join(
        f"{own.label[0].lower()}{own.label[1:]} of {name_of(attribute)} {fixed(own.value, digits_of(own))} with it, "
        f"{fixed(other.value, digits_of(other))} without"
        for attribute, own, other in sorted(pairs, key=lambda pair: len(pair[0].columns))[:2]
    )
    scores = f"{cost.label} {fixed(cost.value, digits)} with {what} and {fixed(cost.without, digits)} without{span}"
    return f"{scores}{'; ' if told else ''}{told}."


def told_of_rows(found: Fairness) -> str:
    """Which rows the groups are of."""
    named = {"test": "sealed test row", "valid": "validation row", "new": "new row"}[found.part]
    flattering = " (no test part was kept, so this is flattering)" if found.part == "valid" else ""
    return counted(found.rows, named) + flattering
