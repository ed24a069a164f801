"""The rows of a long table of series, by the case that each is a step of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.columns import as_category, as_datetime, as_number, row_groups
from assay.errors import DataError


@dataclass(frozen=True)
class Cases:
    """The rows of a long table, by case.

    codes: the case of each row, dense, in order of first occurrence, int64 (n,). moments: its step as a number, (n,).
    order: the rows of the first case in the order of their steps, then those of the second, int64 (n,).
    count: how many cases there are; `unsorted`: how many of them had to be put in order.
    """

    codes: np.ndarray
    moments: np.ndarray
    order: np.ndarray
    count: int
    unsorted: int

    @property
    def times(self) -> tuple[np.ndarray, np.ndarray]:
        """The steps as numbers, and the cases they are of, in the order of both, (n,)."""
        return self.moments[self.order], self.codes[self.order]

    @classmethod
    def of(cls, frame: pl.DataFrame, case: str, step: str | None) -> Cases:
        """The cases of `frame`.

        Raises:
            DataError: a row has no case or no step, or a case has a step twice.
        """
        names = frame.get_column(case)
        _check_present(as_category(names).is_null().to_numpy(), case, "name its case")
        codes = row_groups(pl.DataFrame([names]))
        count = int(codes.max(initial=-1)) + 1
        if step is None:
            return cls(codes, np.zeros(frame.height), np.argsort(codes, kind="stable"), count, 0)
        steps = _moments(frame.get_column(step))
        order = np.lexsort((steps, codes))
        same = np.diff(codes[order]) == 0
        twice = np.flatnonzero(same & (np.diff(steps[order]) == 0))
        if len(twice):
            row = int(order[twice[0]])
            raise DataError(
                f"a case must have each step once, for {step!r} orders them",
                f"the case {names[row]!r} has the step {frame.get_column(step)[row]!r} more than once "
                f"(rows {row + 1} and {int(order[twice[0] + 1]) + 1})",
                f"Remove the copies, or name another column with data.step; is {case!r} the case?",
            )
        # Sorted by case alone, rows keep their order in the file.
        filed = np.argsort(codes, kind="stable")
        falls = (np.diff(codes[filed]) == 0) & (np.diff(steps[filed]) < 0)
        return cls(codes, steps, order, count, len(np.unique(codes[filed][1:][falls])))


def _check_present(absent: np.ndarray, name: str, what: str) -> None:
    if absent.any():
        rows = np.flatnonzero(absent)
        shown = ", ".join(str(row + 1) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
        raise DataError(
            f"every row of a long table must {what} in {name!r}",
            f"{len(rows):,} {'does' if len(rows) == 1 else 'do'} not (row{'s' if len(rows) > 1 else ''} {shown})",
            "Fill these cells in, or remove the rows.",
        )


def _moments(series: pl.Series) -> np.ndarray:
    """The steps as numbers that order them, float64 (n,).

    Raises:
        DataError: one is missing, or neither a number nor a date.
    """
    steps = as_number(series, None)
    if np.isnan(steps).any() and series.dtype == pl.String:
        dates = as_datetime(series, None)
        steps = dates if np.isnan(dates).sum() < np.isnan(steps).sum() else steps
    _check_present(np.isnan(steps), series.name, "have a number or a date (2024-12-31) of its step")
    return steps
