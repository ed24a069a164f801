"""What the audit's checks look at and what they give back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import polars as pl

from assay.data.columns import as_boolean, as_category, as_datetime, as_number, hashes_with
from assay.data.config import AuditConfig
from assay.data.reading.read import Table
from assay.data.rows import Part
from assay.data.schema import Column, Kind, Schema
from assay.data.steps import is_missing, is_series
from assay.data.stored import Frame, cells_at
from assay.ledger import ROWS_KEPT, Outcome
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


@dataclass(frozen=True)
class Checked:
    """The answer of one check.

    `reason` and `value` go to the ledger when there is nothing to find; `outcome` overrides what the findings say
    (passed, warned, or failed). `rows` are all rows concerned (of the main table), counted from 1.
    """

    practice: str
    reason: str
    value: float | None = None
    findings: tuple[Finding, ...] = ()
    outcome: Outcome | None = None
    rows: np.ndarray | None = None


@dataclass(frozen=True)
class View:
    """All that the checks look at: the tables and how they are to be understood.

    target: class positions with -1, or values with NaN, where missing; shape (n,). Of labels a number for each
        different set of them.
    labels: 0 and 1 for each label, (n, labels), -1 where missing; None for other tasks.
    sample: positions of the rows with a target that costly statistics are computed on, ascending.
    test_rows: rows the test part will have, 0 if there is to be none.
    """

    frame: Frame
    schema: Schema
    config: AuditConfig
    target: np.ndarray
    sample: np.ndarray
    files: dict[Part, Table]
    test_rows: int
    labels: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Which rows have a target, shape (n,)."""
        return self.target >= 0 if self.schema.has_probabilities else ~np.isnan(self.target)

    def has(self, position: int, rows: np.ndarray) -> np.ndarray:
        """Which of some rows are of a class, or have a label, bool (m,)."""
        own = self.target == position if self.labels is None else self.labels[:, position] == 1
        return np.asarray(own[rows])

    def answer_of(self, row: int) -> str:
        """The class of a row, or its labels with commas between them."""
        if self.labels is None:
            return self.schema.classes[int(self.target[row])]
        return ", ".join(self.schema.classes[at] for at in np.flatnonzero(self.labels[row] == 1)) or "no label"

    @property
    def feature_names(self) -> list[str]:
        """The feature columns in file order."""
        return [column.name for column in self.schema.features]

    @property
    def features(self) -> Frame:
        """The table with its feature columns only."""
        return self.frame.select(self.feature_names)

    @cached_property
    def feature_hashes(self) -> np.ndarray:
        """A hash of each row's features, uint64 (n,): several checks look for equal rows."""
        columns = (self.frame[name] for name in self.feature_names)
        return hashes_with(np.zeros(self.frame.height, dtype=np.uint64), columns)

    @property
    def sampled(self) -> str:
        """Words that say so where the statistics rest on a sample."""
        n = int(self.known.sum())
        return f" (on a random sample of {len(self.sample):,} of {n:,} rows)" if len(self.sample) < n else ""

    def sampled_features(self) -> Iterator[tuple[Column, pl.Series]]:
        """Feature columns, one at a time, cut to the sample."""
        whole = len(self.sample) == self.frame.height
        for column in self.schema.features:
            yield column, self.frame[column.name] if whole else cells_at(self.frame, column.name, self.sample)


def numbers_of(series: pl.Series, column: Column) -> np.ndarray:
    """A number, boolean or datetime column as float64, NaN where missing, shape (n,)."""
    if column.kind is Kind.BOOLEAN:
        return as_boolean(series)
    return as_datetime(series, column.format) if column.kind is Kind.DATETIME else as_number(series, column.format)


def is_measured(column: Column) -> bool:
    """Whether the column's values are numbers of some sort."""
    return column.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME)


def missing_of(series: pl.Series, column: Column) -> np.ndarray:
    """Where a column has no value of its kind, shape (n,)."""
    if is_measured(column):
        return np.asarray(np.isnan(numbers_of(series, column)))
    if is_series(series.dtype):
        return is_missing(series)
    return np.asarray(as_category(series).is_null().to_numpy())


def first_rows(positions: np.ndarray) -> tuple[int, ...]:
    """The first rows as users count them, from 1."""
    return tuple(int(position) + 1 for position in positions[:ROWS_KEPT])


def count_of(number: int, noun: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def said(number: int, one: str, many: str) -> str:
    """The verb of so many things: `1 row repeats`, `2 rows repeat`."""
    return one if number == 1 else many


def named(counts: dict[str, int], most: int = 8) -> str:
    """`'a' 12, 'b' 3`, largest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - most} more columns" if len(ordered) > most else ""
    return ", ".join(f"{name!r} {count:,}" for name, count in ordered[:most]) + more
