from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.forecasts.rhythm import find_clock, find_season, seasonality
from assay.data.series.clock import Clock
from assay.errors import DataError


def one(cells, name="when"):
    series = pl.Series(name, cells)
    return series, find_clock(series, np.zeros(len(series), np.int64))


class TestClock:
    @pytest.mark.parametrize(
        ("cells", "unit", "every", "named", "following"),
        [
            (["1949-01", "1949-02", "1949-04"], "months", 1.0, "1 month", "1949-05"),
            (["2024-03-31", "2024-06-30", "2024-09-30"], "months", 3.0, "3 months", "2024-12-31"),
            (["2024-02-28 10:00", "2024-02-28 10:15", "2024-02-28 10:30"], "seconds", 900.0, "15 minutes",
             "2024-02-28 10:45"),
            ([date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)], "months", 1.0, "1 month", date(2024, 4, 30)),
            ([datetime(2024, 1, 1), datetime(2024, 1, 1, 1), datetime(2024, 1, 1, 4)], "seconds", 3600.0, "1 hour",
             datetime(2024, 1, 1, 5)),
            ([1990, 1991, 1993], "numbers", 1.0, "1 unit", 1994),
            (["2024-01-01", "2024-01-08", "2024-01-15"], "seconds", 604800.0, "1 week", "2024-01-22"),
        ],
    )  # fmt: skip
    def test_steps_of_every_kind_and_the_time_after_the_last(self, cells, unit, every, named, following):
        series, clock = one(cells)
        assert (clock.unit, clock.every, clock.named) == (unit, every, named)
        steps, off = clock.steps(clock.moments_of(series))
        assert not off.any()
        assert steps[0] == 0
        assert clock.cells(steps, "when").to_list() == list(cells)
        assert clock.cells(steps[-1:] + 1, "when").to_list() == [following]

    def test_days_without_weekends_are_weekdays(self):
        days = pl.date_range(date(2024, 1, 1), date(2024, 1, 31), eager=True)
        _, clock = one(days.filter(days.dt.weekday() < 6))
        assert clock.unit == "weekdays"
        assert clock.cells(np.array([4, 5]), "when").to_list() == [date(2024, 1, 5), date(2024, 1, 8)]

    def test_irregular_times_are_refused_in_words(self):
        rng = np.random.default_rng(0)
        with pytest.raises(DataError, match="must be a fixed step apart"):
            one(np.sort(rng.random(50)).tolist())

    def test_a_missing_time_names_its_row(self):
        with pytest.raises(DataError, match="row 2"):
            one(["2024-01-01", None, "2024-01-03", "2024-01-04"])

    def test_words_are_no_times(self):
        with pytest.raises(DataError, match="must be dates or numbers"):
            one(["first", "second", "third"])

    @given(st.integers(0, 2**31), st.integers(1, 48), st.sampled_from(["months", "seconds", "numbers"]))
    def test_steps_and_moments_are_each_others_inverse(self, start, every, unit):
        clock = Clock(unit=unit, every=float(every), start=float(start))
        steps = np.arange(-40, 40)
        found, off = clock.steps(clock.moments(steps))
        assert not off.any()
        assert found.tolist() == steps.tolist()


class TestSeason:
    def test_a_season_that_the_clock_makes_likely(self):
        steps = np.arange(120)
        series = 0.5 * steps + 10 * np.sin(2 * np.pi * steps / 12)
        season, strength = find_season([series], Clock(unit="months"))
        assert season == 12
        assert strength > 0.9

    @pytest.mark.parametrize("seed", range(5))
    def test_neither_noise_nor_a_random_walk_has_one(self, seed):
        noise = np.random.default_rng(seed).normal(size=400)
        for series in (noise, noise.cumsum()):
            assert find_season([series], Clock(unit="months"))[0] == 1
            assert find_season([series], Clock(unit="rows"))[0] == 1

    def test_missing_steps_count_nothing(self):
        steps = np.arange(200)
        series = np.sin(2 * np.pi * steps / 7)
        series[::9] = np.nan
        assert find_season([series], Clock(unit="seconds", every=86400.0))[0] == 7

    def test_a_constant_series_has_no_autocorrelation(self):
        assert np.isnan(seasonality(np.full(50, 3.0), 7))
