"""Folds of a backtest: blocks in time, and nothing is learned that was not over."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.config import DataConfig
from assay.data.rows import complete, times
from assay.data.schema import Hints
from assay.data.split.folds import backtest
from assay.errors import DataError
from assay.ledger import Ledger
from assay.sources import read_tables


def windows_of(steps, horizon, shops=1):
    """The training windows of a table, their origins, and their schema."""
    days = [date(2024, 1, 1) + timedelta(days=at) for at in range(steps)]
    frames = [pl.DataFrame({"t": days, "shop": f"s{shop}", "y": np.arange(steps) % 7 + 1.0}) for shop in range(shops)]
    config = DataConfig(horizon=horizon, window=4, case="shop", split={"test": 0.0})
    tables = read_tables(pl.concat(frames), None, None, Hints(target="y", time="t"), config, Ledger())
    rows = complete(tables.windows.data, tables.schema, "train")
    return rows, tables.schema.windowing.clock.steps(times(rows, tables.schema, "t"))[0], tables.schema


def test_each_block_is_judged_by_what_was_over_before_it():
    rows, steps, schema = windows_of(80, 3, shops=2)
    folds = backtest(rows, schema, 4)
    assert len(folds) == 4
    for learns, judged in zip(folds.learns, folds.judged, strict=True):
        assert steps[learns].max() + 3 == steps[judged].min()  # all that was over, and no more
    later = np.unique(steps)[len(np.unique(steps)) // 2 :]
    np.testing.assert_array_equal(folds.judged.any(axis=0), np.isin(steps, later))
    assert (folds.judged.sum(axis=0) <= 1).all()
    assert "each judged by what was over before it" in folds.policy


@given(st.integers(30, 120), st.integers(1, 6), st.integers(2, 6))
def test_no_step_is_learned_from_that_a_block_is_judged_by(steps, horizon, count):
    rows, origins, schema = windows_of(steps, horizon)
    try:
        folds = backtest(rows, schema, count)
    except DataError:
        return
    for learns, judged in zip(folds.learns, folds.judged, strict=True):
        assert learns.any()
        assert judged.any()
        assert origins[learns].max() + horizon <= origins[judged].min()


def test_too_few_origins_are_refused():
    rows, _, schema = windows_of(24, 3)
    with pytest.raises(DataError, match="a backtest of 20 blocks needs windows that are over"):
        backtest(rows, schema, 20)
