"""The steps that windows forecast as rows of their own: what can be asked of each."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from assay.data.config import DataConfig
from assay.data.rows import complete
from assay.data.schema import Hints, Kind
from assay.errors import ConfigError
from assay.evaluate.forecast.cells import cell_schema, cells_of, levels
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.slices.named import check_slices
from assay.ledger import Ledger
from assay.sources import read_tables


def windows_of(frame, *, horizon=3, window=5, case=None, known=(), time="t"):
    """The test windows of a table, what judges them, and their schema."""
    config = DataConfig(horizon=horizon, window=window, case=case, known=known, season=2)
    tables = read_tables(frame, None, None, Hints(target="y", time=time), config, Ledger())
    rows = complete(tables.windows.test, tables.schema, "test")
    return rows, Judged.of(rows, tables.schema), tables.schema


def days(count, first=date(2024, 1, 1)):
    return [first + timedelta(days=at) for at in range(count)]


def test_a_row_is_a_window_and_a_step_ahead():
    rows, judged, schema = windows_of(pl.DataFrame({"t": days(60), "y": np.arange(60.0)}))
    cells = cells_of(rows, judged, schema)
    assert cells.frame.columns == ["step", "weekday", "month", "level"]
    assert len(cells) == 3 * len(rows)
    first = cells.frame.head(3)
    assert first["step"].to_list() == [1.0, 2.0, 3.0]
    # The value is the number of the day, so that the first step to come is the day it says.
    coming = days(60)[int(judged.truth[0, 0])]
    assert first["weekday"][0] == f"{coming:%A}"
    assert first["month"][0] == coming.month
    assert first["level"].to_list() == [judged.truth[0, 0] - 1.5] * 3  # the mean of the two days before
    np.testing.assert_array_equal(cells.target, judged.truth.ravel())


def test_parts_of_a_time_are_those_that_differ_from_step_to_step():
    hours = [datetime(2024, 1, 1) + timedelta(hours=at) for at in range(80)]
    rows, judged, schema = windows_of(pl.DataFrame({"t": hours, "y": np.arange(80.0) % 24}))
    cells = cells_of(rows, judged, schema)
    assert cells.frame.columns == ["step", "hour", "weekday", "month", "level"]
    np.testing.assert_array_equal(cells.frame["hour"], judged.truth.ravel())
    months = [f"{2000 + at // 12}-{at % 12 + 1:02}" for at in range(60)]
    monthly = windows_of(pl.DataFrame({"t": months, "y": np.arange(60.0) % 12 + 1}))
    assert [column.name for column in cell_schema(monthly[2]).columns] == ["y", "step", "month", "level"]
    np.testing.assert_array_equal(cells_of(*monthly).frame["month"], monthly[1].truth.ravel())
    numbered = windows_of(pl.DataFrame({"y": np.arange(60.0)}), time=None)
    assert cells_of(*numbered).frame.columns == ["step", "level"]


def shops():
    """Two shops, one ten times as large, with a column that is known ahead; `month` is a column of the table."""
    frames = []
    for place, name in enumerate(("a", "b")):
        y = 10.0**place * (np.arange(60) % 4 + 1.0)
        promotion = np.arange(60) % 5 == place
        frames.append(pl.DataFrame(
            {"t": days(60), "shop": name, "month": ["far", "near"][place], "promotion": promotion, "y": y}
        ))  # fmt: skip
    return pl.concat(frames)


def test_series_and_what_is_known_of_steps_to_come_are_columns():
    rows, judged, schema = windows_of(shops(), case="shop", known=("promotion",))
    cells = cells_of(rows, judged, schema)
    assert cells.frame.columns == ["shop", "month", "promotion", "step", "weekday", "level"]
    assert cell_schema(schema)["shop"].kind is Kind.CATEGORY
    assert cell_schema(schema)["promotion"].kind is Kind.BOOLEAN
    assert set(cells.frame["month"]) == {"far", "near"}  # that of the table, not of the clock
    shop_b = (cells.frame["shop"] == "b").to_numpy()
    day = (judged.steps[:, None] + [1, 2, 3]).ravel()
    expected = np.where(shop_b, day % 5 == 1, day % 5 == 0)
    np.testing.assert_array_equal(cells.frame["promotion"].to_numpy(), expected)
    # Levels are in deviations from the mean of each series, so that the size of a shop says nothing.
    by_shop = levels(judged, schema.windowing)
    np.testing.assert_allclose(np.sort(by_shop[np.array(judged.names) == "a"]),
                               np.sort(by_shop[np.array(judged.names) == "b"]))  # fmt: skip


def test_conditions_are_read_before_any_work_is_done():
    schema = windows_of(shops(), case="shop", known=("promotion",))[2]
    ((step, shop),) = check_slices(["step >= 2 & shop = a"], schema)
    assert (step.name, step.value, shop.value) == ("step", 2.0, "a")
    with pytest.raises(ConfigError, match=r"'stepp' is none of them\. Did you mean 'step'"):
        check_slices(["stepp >= 2"], schema)
    with pytest.raises(ConfigError, match="'hour' is none"):
        check_slices(["hour = 3"], schema)
    with pytest.raises(ConfigError, match="is what is predicted"):
        check_slices(["y > 3"], schema)
