"""The audit of the data before training: each finding says what, how many, which rows, and what to do."""

from __future__ import annotations

from enum import StrEnum

from assay.records import Record


class Severity(StrEnum):
    """How much a finding matters: `serious` ones stop a run under --strict."""

    NOTE = "note"
    WARNING = "warning"
    SERIOUS = "serious"


class Finding(Record):
    """One thing the audit found. `check` is the practice id; `rows` counts data rows from 1, at most 100 of `count`.

    `part` names the file the rows are of: `data`, `valid` or `test`.
    """

    check: str
    severity: Severity
    what: str
    do: str
    count: int
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    part: str = "data"
