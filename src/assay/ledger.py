"""The ledger: which practices exist, and what a run found about each.

A practice is registered once, in `practices.py`. A stage that applies or checks it records a verdict with a number or a
reason; nothing else in assay says whether a practice was followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Self

from assay.practices import PRACTICES, Practice
from assay.records import Record

ROWS_KEPT = 100


class Outcome(StrEnum):
    """What a run found about a practice."""

    APPLIED = "applied"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not applicable"


class Verdict(Record):
    """One practice in one run: the outcome, why, a number where there is one, and the rows concerned.

    `rows` counts data rows from 1 and holds at most `ROWS_KEPT`; `row_count` is how many there are in all.
    """

    practice: str
    outcome: Outcome
    reason: str
    value: float | None = None
    rows: tuple[int, ...] = ()
    row_count: int = 0


class Ledger:
    """The verdicts of one run, at most one a practice, in the registry's order."""

    def __init__(self, verdicts: Iterable[Verdict] = ()) -> None:
        self._verdicts = {verdict.practice: verdict for verdict in verdicts}

    def record(
        self,
        practice: str,
        outcome: Outcome,
        reason: str,
        *,
        value: float | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        """Write the verdict on `practice`; a later verdict replaces an earlier one.

        Raises:
            KeyError: the practice is not registered.
        """
        if practice not in PRACTICES:
            raise KeyError(f"no practice {practice!r} in the registry")
        self._verdicts[practice] = Verdict(
            practice=practice,
            outcome=outcome,
            reason=reason,
            value=value,
            rows=tuple(int(row) for row in rows[:ROWS_KEPT]),
            row_count=len(rows),
        )

    def take(self, verdicts: Iterable[Verdict]) -> None:
        """Write down verdicts that another ledger was told; a later verdict replaces an earlier one."""
        self._verdicts |= {verdict.practice: verdict for verdict in verdicts}

    def close(self) -> Self:
        """Give practices of a fit that no stage spoke of the verdict `not applicable`, with their stage as reason."""
        for practice in PRACTICES.values():
            if practice.verb == "fit" and practice.id not in self._verdicts:
                self.record(practice.id, Outcome.NOT_APPLICABLE, f"the {practice.stage} stage had no occasion for it")
        return self

    def __getitem__(self, practice: str) -> Verdict:
        return self._verdicts[practice]

    def __contains__(self, practice: str) -> bool:
        return practice in self._verdicts

    def __iter__(self) -> Iterator[Verdict]:
        return (self._verdicts[name] for name in PRACTICES if name in self._verdicts)

    def __len__(self) -> int:
        return len(self._verdicts)


__all__ = ["Ledger", "Outcome", "Practice", "Verdict"]
