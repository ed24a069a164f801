from __future__ import annotations

import math

import numpy as np
import polars as pl

from assay.data.schema import Column, Kind, Schema, Task
from assay.data.target import target_values


def test_target_values_are_positions_or_numbers() -> None:
    column = Column(name="y", kind=Kind.CATEGORY, dtype="String", reason="")
    schema = Schema(columns=(column,), target="y", task=Task.BINARY, task_reason="", classes=("no", "yes"))
    codes = target_values(pl.Series(["yes", " no", "?", None, "maybe"]), schema)
    assert codes.tolist() == [1, 0, -1, -1, -1]
    assert codes.dtype == np.int64
    truth = schema.model_copy(update={"classes": ("false", "true"), "class_dtype": "boolean"})
    assert target_values(pl.Series(["True", "NO", "1", None]), truth).tolist() == [1, 0, 1, -1]
    assert target_values(pl.Series([False, True]), truth).tolist() == [0, 1]
    integers = schema.model_copy(update={"classes": ("3", "5")})
    assert target_values(pl.Series([5.0, 3.0, math.nan]), integers).tolist() == [1, 0, -1]
    amount = schema.model_copy(update={"task": Task.REGRESSION, "classes": ()})
    assert np.array_equal(target_values(pl.Series(["1.5", "x"]), amount), [1.5, math.nan], equal_nan=True)
