"""Training, validation and sealed test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from assay.records import Record


class SplitRecord(Record):
    """How the rows were divided. `sealed_sha256` is the hash of the test rows, `opened` how often they were looked at.

    `files` tells which parts came from files of their own. Row positions travel in `positions` (0-based, into the
    concatenation of the parts' own files) only when the record is written beside a run, to keep the report small.
    """

    policy: str
    seed: int
    train_rows: int
    valid_rows: int
    test_rows: int
    sealed_sha256: str | None
    opened: int = 0
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Rows:
    """Some rows of a table: `frame` has all columns of the schema but the target, cells as read.

    part: which part they are: `train`, `valid` or `test`; what learns takes training rows only.
    target: class positions (int64) or values (float64), shape (n,).
    weight: row weights (float64), shape (n,), or None.
    positions: 0-based row numbers in the source, int64, shape (n,).
    """

    part: Literal["train", "valid", "test"]
    frame: pl.DataFrame
    target: np.ndarray
    weight: np.ndarray | None
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.target)
