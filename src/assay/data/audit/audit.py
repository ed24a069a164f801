"""The audit of the data before training: each finding says what, how many, which rows, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from assay.data.audit import columns as checks_columns
from assay.data.audit import files as checks_files
from assay.data.audit import rows as checks_rows
from assay.data.audit import series as checks_series
from assay.data.audit import texts as checks_texts
from assay.data.config import AuditConfig
from assay.data.findings import Checked, Finding, Severity, View
from assay.data.reading.read import Table
from assay.data.rows import given_files, sample_of
from assay.data.schema import Schema
from assay.data.split.deal_labels import set_codes
from assay.data.target import target_values
from assay.errors import AuditError
from assay.ledger import Ledger, Outcome

__all__ = ["Audit", "Finding", "Severity", "examine"]

#: Rows that statistics of single columns are computed on at most, drawn with a fixed seed.
SAMPLE_ROWS = 200_000

_CHECKS: tuple[Callable[[View], Checked], ...] = (
    checks_rows.duplicates,
    checks_rows.near_duplicates,
    checks_files.shared_rows,
    checks_rows.conflicting_labels,
    checks_columns.constant_columns,
    checks_columns.id_columns,
    checks_columns.single_column_leak,
    checks_columns.missingness,
    checks_columns.outliers,
    checks_rows.class_balance,
    checks_rows.size_of_test,
    checks_rows.time_order,
    checks_files.unseen_categories,
    checks_files.column_match,
    checks_columns.mixed_types,
    checks_series.series,
    checks_texts.cells,
    checks_texts.near_copies,
    checks_texts.phrases,
    checks_texts.language_mix,
)


@dataclass(frozen=True)
class Audit:
    """What the audit found, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def serious(self) -> tuple[Finding, ...]:
        """The findings that make the numbers of a run untrustworthy."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.SERIOUS)


def examine(
    table: Table,
    schema: Schema,
    config: AuditConfig,
    ledger: Ledger,
    *,
    valid: Table | None = None,
    test: Table | None = None,
    test_share: float = 0.1,
    more: Sequence[Checked] = (),
) -> Audit:
    """Run every check on `table` and the given files, and write one verdict for each to the ledger.

    `test_share` is the share of rows that the split will seal, for the judgement whether they are enough; with `test`
    given its rows count. `more` are checks that were made before, of pictures. Nothing is changed and nothing is
    learned; statistics of more than 200,000 rows rest on a sample with a fixed seed, and their verdict says so.

    Raises:
        AuditError: `config.strict` and there are serious findings; the ledger is complete by then.
    """
    if schema.windowing is not None:  # windows overlap: their series were checked before they were made
        answers = list(more)
    else:
        answers = [*_row_answers(table, schema, config, valid, test, test_share), *more]
    for answer in answers:
        _record(answer, ledger)
    audit = Audit(tuple(finding for answer in answers for finding in answer.findings))
    if config.strict and audit.serious:
        raise AuditError(
            "under --strict the data must have no serious findings",
            f"there {'is' if len(audit.serious) == 1 else 'are'} {len(audit.serious)}: "
            + "; ".join(finding.what for finding in audit.serious),
            " ".join(dict.fromkeys(finding.do for finding in audit.serious)),
        )
    return audit


def _row_answers(
    table: Table, schema: Schema, config: AuditConfig, valid: Table | None, test: Table | None, test_share: float
) -> list[Checked]:
    """What the checks of rows say."""
    files = given_files(valid, test)
    target = target_values(table.frame[schema.target], schema)
    labels = target if schema.is_multilabel else None
    target = target if labels is None else set_codes(labels)
    known = np.flatnonzero(target >= 0 if schema.has_probabilities else ~np.isnan(target))
    drawn = sample_of(len(known), SAMPLE_ROWS)
    sample = known if drawn is None else known[drawn]
    test_rows = round(len(known) * test_share) if test is None else test.frame.height
    view = View(table.frame, schema, config, target, sample, files, test_rows, labels)

    return [check(view) for check in _CHECKS]


def _record(answer: Checked, ledger: Ledger) -> None:
    """The verdict: the check's own outcome, else failed for serious findings, warned for others, passed for none."""
    severities = {finding.severity for finding in answer.findings}
    outcome = answer.outcome
    if outcome is None:
        outcome = Outcome.FAILED if Severity.SERIOUS in severities else Outcome.WARNED
        outcome = outcome if severities else Outcome.PASSED
    reason = "; ".join(finding.what for finding in answer.findings) or answer.reason
    rows = [] if answer.rows is None else answer.rows.tolist()
    ledger.record(answer.practice, outcome, reason, value=answer.value, rows=rows)
