"""What the rules found, as a record."""

from __future__ import annotations

import math
from enum import StrEnum

from assay.doctor.rules import RULES, Level, Rule
from assay.records import Record


class Outcome(StrEnum):
    """What became of a rule."""

    FIRED = "fired"
    PASSED = "passed"
    NOT_APPLICABLE = "not applicable"


class Finding(Record):
    """One rule on one subject: the outcome, the number where there is one, and what was found in words."""

    rule: str
    outcome: Outcome
    level: Level
    value: float | None
    told: str
    fix: str

    @property
    def fired(self) -> bool:
        """Whether the rule's limit was passed."""
        return self.outcome is Outcome.FIRED

    @property
    def blocks(self) -> bool:
        """Whether it fired and is one that blocks."""
        return self.fired and self.level is Level.BLOCK


class Diagnosis(Record):
    """What all rules found, in the registry's order, and the seconds it took."""

    findings: tuple[Finding, ...]
    seconds: float
    steps: int

    def __getitem__(self, rule: str) -> Finding:
        return next(finding for finding in self.findings if finding.rule == rule)

    @property
    def fired(self) -> tuple[Finding, ...]:
        """The findings whose rule fired."""
        return tuple(finding for finding in self.findings if finding.fired)

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Those that block or warn; notes are no alarms."""
        return tuple(finding for finding in self.fired if finding.level is not Level.NOTE)

    @property
    def blocks(self) -> bool:
        """Whether a rule that blocks fired."""
        return any(finding.blocks for finding in self.findings)

    def __str__(self) -> str:
        if not self.fired:
            passed = sum(each.outcome is Outcome.PASSED for each in self.findings)
            return f"nothing found: {passed} rules passed, {len(self.findings) - passed} could not be asked"
        return "\n".join(f"{each.level:<5} {each.rule}: {each.told}. {each.fix}" for each in self.fired)


def judged(rule: Rule, value: float, told: str) -> Finding:
    """The finding of a number."""
    fired = rule.fires(value)
    return Finding(
        rule=rule.id,
        outcome=Outcome.FIRED if fired else Outcome.PASSED,
        level=rule.level,
        value=value if math.isfinite(value) else None,
        told=told,
        fix=rule.fix if fired else "",
    )


def inapplicable(rule: str, why: str) -> Finding:
    """The finding where a rule has nothing to look at."""
    return Finding(rule=rule, outcome=Outcome.NOT_APPLICABLE, level=RULES[rule].level, value=None, told=why, fix="")
