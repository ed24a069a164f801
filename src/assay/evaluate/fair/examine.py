"""What a model does to the groups of columns that the user named as sensitive.

No number here is called fair: measures that all sound fair exclude each other wherever groups differ in the target
(Kleinberg, Mullainathan & Raghavan, ITCS 2017; Chouldechova, Big Data 2017): which of them matters is not ours to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.data.decision import LIKELIEST, Rule
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split.split import Split, units_of
from assay.evaluate.compare import holm
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.gaps import Weighing, count, gap_of, share_of
from assay.evaluate.fair.groups import Grouping, groupings, learn_cuts
from assay.evaluate.fair.measures import Measures, measures_of
from assay.evaluate.fair.mitigation import cost_of_decisions, costs_of, note_mitigation
from assay.evaluate.fair.record import (
    Attribute,
    Cuts,
    Fairness,
    Gap,
    GroupRates,
    GroupThresholds,
    Mitigation,
)
from assay.evaluate.fair.thresholds import choose_group_thresholds, decide_by_group, seen_of
from assay.evaluate.metrics import Floats, Ints, decide
from assay.ledger import Ledger, Outcome

#: Class positions (n,), or labels as 0 and 1 (n, L), from probabilities (n, K).
Decides = Callable[[Floats], Ints]
_RATES, _GAPS, _THRESHOLDS = "evaluate.group-rates", "evaluate.group-gaps", "evaluate.group-thresholds"


#: How labels are decided, in words.
BY_LABEL = "each label from a threshold of its own"


def giving(thresholds: Sequence[float]) -> Decides:
    """What gives labels of probabilities (n, L) from these on, (L,): 0 and 1, (n, L)."""
    return lambda probabilities: np.asarray(probabilities >= np.asarray(thresholds), np.int64)


@dataclass(frozen=True)
class Unlearned:
    """Answers (n, K) to rows that were not learned from, and their weights (n,) or None: see `Validation`."""

    answers: Floats
    weight: Floats | None


@dataclass(frozen=True)
class Unmitigated:
    """Answers (n, K) of the same model without its mitigation, and how classes are decided from them."""

    answers: Floats
    rule: Rule


def examine_groups(
    split: Split, rows: Rows, schema: Schema, answers: Floats, config: EvaluateConfig, *, seed: int, ledger: Ledger,
    rule: Rule = LIKELIEST, labels: Sequence[float] | None = None, without: Unmitigated | None = None,
    unlearned: Unlearned | None = None,
) -> Fairness | None:  # fmt: skip
    """What the model does to groups of the rows that its scores are on; None where no column was named as sensitive.

    Args:
        split: whose training rows say where numbers are cut into bands.
        rows: that are judged.
        schema, answers, config, seed: see `fairness_of`. rule: how classes are decided. labels: from which probability
            on each label is given, (L,), where a row has any number of them.
        ledger: where the verdicts are written.
        without: what the same model without its mitigation answers.
        unlearned: by which thresholds of groups are chosen.
    """
    if not schema.sensitive:
        for practice in (_RATES, _GAPS, _THRESHOLDS):
            ledger.record(practice, Outcome.NOT_APPLICABLE, "no column was named as sensitive (--sensitive)")
        return None
    part: Literal["test", "valid"] = "valid" if split.test is None else "test"
    cuts = learn_cuts(split.train, schema)

    def judged(given: Floats, by: Rule) -> Fairness:
        told = by.told(schema.classes[-1]) if schema.is_classification else ""
        if labels is not None:
            decides, told = giving(labels), BY_LABEL
        else:
            decides = by
        return fairness_of(
            rows, schema, given, config, cuts=cuts, part=part, decides=decides, decided=told, seed=seed
        )  # fmt: skip

    found = judged(answers, rule)
    write_group_verdicts(found, ledger)
    if without is not None:
        rules = rule, without.rule
        costs = costs_of(schema, rows, answers, without.answers, config, seed, rules)
        made = Mitigation(costs=costs, attributes=judged(without.answers, without.rule).attributes)
        note_mitigation(found, made, ledger)
        found = found.model_copy(update={"mitigation": made})
    return _with_thresholds(found, split, rows, schema, answers, config, cuts, seed, ledger, rule, unlearned)


def _with_thresholds(
    found: Fairness, split: Split, rows: Rows, schema: Schema, answers: Floats, config: EvaluateConfig,
    cuts: Sequence[Cuts], seed: int, ledger: Ledger, decides: Decides, unlearned: Unlearned | None,
) -> Fairness:  # fmt: skip
    """The record with what thresholds of groups would give, where that was asked for."""
    aim = config.group_thresholds
    if aim == "none" or unlearned is None:
        reason = "one threshold for all groups; evaluate.group_thresholds tells what one for each would give"
        ledger.record(_THRESHOLDS, Outcome.SKIPPED, reason)
        return found
    rows_seen = split.valid if len(unlearned.answers) == len(split.valid) else joined(split.train, split.valid)
    seen = seen_of(rows_seen, schema, unlearned.answers, unlearned.weight, cuts)
    chosen = choose_group_thresholds(seen, aim, config.least_group)
    if not chosen:
        reason = f"fewer than two groups have {config.least_group} validation rows and enough of both classes"
        ledger.record(_THRESHOLDS, Outcome.WARNED, f"no thresholds were chosen: {reason}")
        return found
    by_group = decide_by_group(rows, schema, answers, cuts, chosen)
    cost = cost_of_decisions(rows, by_group, decides(answers), config, seed)
    told = fairness_of(
        rows, schema, answers, config, cuts=cuts, part=found.part, decides=lambda _: by_group, seed=seed,
        decided="by thresholds of each group's own",
    )  # fmt: skip
    given = GroupThresholds(aim=aim, thresholds=chosen, costs=(cost,), attributes=told.attributes)
    note_thresholds(given, ledger)
    return found.model_copy(update={"thresholds": given})


def note_thresholds(given: GroupThresholds, ledger: Ledger) -> None:
    """What the ledger is told of thresholds of groups."""
    (cost,) = given.costs
    ledger.record(
        _THRESHOLDS, Outcome.APPLIED, f"chosen on validation rows for {given.aim.replace('_', ' ')}: accuracy "
        f"{cost.value:.4g} with them, {cost.without:.4g} with one for all; reported, and not in the bundle, which "
        "would have to be told the group of a row", value=cost.difference,
    )  # fmt: skip


def fairness_of(
    rows: Rows,
    schema: Schema,
    answers: Floats,
    config: EvaluateConfig,
    *,
    cuts: Sequence[Cuts],
    part: Literal["test", "valid", "new"],
    absent: Sequence[str] = (),
    decides: Decides = decide,
    decided: str = "",
    seed: int = 0,
) -> Fairness:
    """Rates of all groups, and the gaps between them.

    Args:
        rows: that are judged, with their cells.
        schema: names the sensitive columns, read by the model or not.
        answers: probabilities of classes (n, K) or of labels (n, L), or values (n,).
        config: confidence, bootstrap samples, and the rows that a group must have.
        cuts: where columns of numbers are cut into bands.
        part: which rows these are.
        absent: sensitive columns that these rows do not have.
        decides: the classes (n,) from probabilities, by default the likeliest, or the positive from 0.5 on; of labels
            those that are given, 0 and 1, (n, L).
        decided: how, in words, where that is another way.
        seed: of the bootstrap and the permutations.
    """
    chosen = decides(answers) if schema.has_probabilities else None
    measures = measures_of(schema, rows.target, answers, chosen, decided)
    clusters = None if schema.group is None else units_of(rows, schema, keep_duplicates=False)
    weighing = Weighing(rows.weight, clusters)
    found = groupings(rows.column, schema, cuts, absent)
    whole = Grouping((), ("all rows",), np.zeros(len(rows), np.int64))
    (overall,) = _attribute(whole, measures, weighing, config, np.random.default_rng(seed)).groups or (None,)
    made = [
        _attribute(grouping, measures, weighing, config, np.random.default_rng([seed, place]))
        for place, grouping in enumerate(found)
    ]
    return Fairness(
        rows=len(rows), part=part, decided=measures.decided,
        measures=tuple(measured.told for measured in measures.measured),
        overall={} if overall is None else overall.rates, attributes=_corrected(made),
        cuts=tuple(cuts), least=config.least_group, confidence=config.confidence, method=weighing.method,
    )  # fmt: skip


def _attribute(
    grouping: Grouping, measures: Measures, weighing: Weighing, config: EvaluateConfig, rng: np.random.Generator
) -> Attribute:
    if not grouping.names:
        return Attribute(columns=grouping.columns, problem=grouping.problem)
    counts = count(measures.measured, grouping, weighing, samples=config.bootstrap, rng=rng)
    rows = np.bincount(grouping.codes, minlength=len(grouping.names))
    groups = tuple(
        GroupRates(
            name=name, rows=int(rows[place]), is_counted=bool(rows[place] >= config.least_group),
            rates={each: share_of(own, place, weighing, config.confidence) for each, own in counts.items()},
        )
        for place, name in enumerate(grouping.names)
    )  # fmt: skip
    big = [place for place, group in enumerate(groups) if group.is_counted]
    gaps = (
        gap_of(
            compared, counts, grouping, big, weighing, least=config.least_group, confidence=config.confidence, rng=rng
        )
        for compared in measures.compared
    )  # fmt: skip
    kept = tuple(gap for gap in gaps if gap is not None)
    problem = grouping.problem
    if not problem and not kept:
        problem = f"fewer than two groups have the {config.least_group} rows that a gap needs (evaluate.least_group)"
    return Attribute(
        columns=grouping.columns, groups=groups, gaps=kept, problem=problem, is_banded=grouping.is_banded
    )  # fmt: skip


def _corrected(attributes: Sequence[Attribute]) -> tuple[Attribute, ...]:
    """The attributes with p-values that are corrected over all gaps of all of them."""
    adjusted = iter(holm([gap.p_value for attribute in attributes for gap in attribute.gaps]))
    return tuple(
        attribute.model_copy(
            update={"gaps": tuple(gap.model_copy(update={"p_value": next(adjusted)}) for gap in attribute.gaps)}
        )
        for attribute in attributes
    )


def beyond_chance(found: Fairness, attribute: Attribute) -> tuple[Gap, ...]:
    """The gaps that are larger than chance gives, by their corrected p-values."""
    return tuple(gap for gap in attribute.gaps if gap.p_value < 1 - found.confidence)


def write_group_verdicts(found: Fairness, ledger: Ledger) -> None:
    """What the ledger is told of groups: how many were measured, and whether gaps are larger than chance gives."""
    measured = [attribute for attribute in found.attributes if attribute.groups]
    problems = [f"{_named(each)}: {each.problem}" for each in found.attributes if each.problem]
    groups = sum(len(attribute.groups) for attribute in measured)
    small = sum(not group.is_counted for attribute in measured for group in attribute.groups)
    told = f"{groups} groups of {_listed(measured)}" if measured else "no group was measured"
    told += f", {small} of them with fewer than {found.least} rows and left out of gaps" if small else ""
    told += f"; {'; '.join(problems)}" if problems else ""
    ledger.record(_RATES, Outcome.WARNED if problems else Outcome.APPLIED, told, value=groups)
    gaps = [(attribute, gap) for attribute in found.attributes for gap in attribute.gaps]
    if not gaps:
        ledger.record(_GAPS, Outcome.NOT_APPLICABLE, "there are no two groups that are large enough to compare")
        return
    beyond = [(attribute, gap) for attribute in found.attributes for gap in beyond_chance(found, attribute)]
    if not beyond:
        reason = f"none of {len(gaps)} gaps is larger than chance gives groups of these sizes; none is proven to be nil"
        ledger.record(_GAPS, Outcome.PASSED, reason, value=0.0)
        return
    named = "; ".join(
        f"{gap.label} of {_named(attribute)} {gap.value:.3g} ({gap.low:.3g} to {gap.high:.3g}; by chance "
        f"{'down' if gap.is_ratio else 'up'} to {gap.by_chance:.3g})"
        for attribute, gap in beyond[:3]
    )
    more = f"; and {len(beyond) - 3} more" if len(beyond) > 3 else ""
    reason = f"{len(beyond)} of {len(gaps)} gaps are larger than chance gives: {named}{more}"
    ledger.record(_GAPS, Outcome.WARNED, reason, value=len(beyond))


def _named(attribute: Attribute) -> str:
    return " and ".join(attribute.columns)


def _listed(attributes: Sequence[Attribute]) -> str:
    return ", ".join(_named(attribute) for attribute in attributes)
