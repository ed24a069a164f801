"""Times of series: even, with gaps and uneven, and what lies between rows, by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.config import DataConfig
from assay.data.schema import Hints
from assay.data.series.folding import find_folding, fold
from assay.data.series.grid import Grid, find_grid, placed, unevenness
from assay.errors import DataError
from assay.ledger import Ledger, Outcome
from assay.runs import audit
from assay.sources import read_tables

CASE = DataConfig(case="who", step="t")


def grid_of(*cases, every="auto", taken=()):
    codes = np.repeat(np.arange(len(cases)), [len(case) for case in cases])
    return find_grid(np.concatenate(cases), codes, every, "t", taken)


def long(times, values, who=None, **more):
    owner = np.repeat([0], len(times)) if who is None else np.asarray(who)
    return pl.DataFrame({"who": owner, "t": times, "x": values, "y": owner % 2, **more})


def folded(frame, config=CASE):
    return fold(frame, find_folding(frame, config, "y"))


def lists(frame, name="x"):
    return [[None if np.isnan(step) else step for step in cell] for cell in frame[name].to_list()]


class TestFinding:
    def test_even_times_are_steps_whatever_their_unit(self):
        assert grid_of([0.0, 0.1, 0.2, 0.30000000000000004], [7.0, 7.1]).every == pytest.approx(0.1)
        assert grid_of([0.0, 60.0, 180.0, 240.0]) == Grid(every=60.0)

    def test_small_jitter_is_even(self):
        rng = np.random.default_rng(0)
        times = np.cumsum(1.0 + 0.05 * rng.uniform(-1, 1, 200))
        found = grid_of(times)
        assert found.distance is None
        assert found.every == pytest.approx(1.0, abs=0.02)

    def test_the_least_gap_is_the_step_where_all_are_multiples_of_it_and_few_are_long(self):
        assert grid_of([0.0, 1.0, 3.0, 5.0]) == Grid(every=1.0)
        found = grid_of([0.0, 1.0, 2.0, 20.0, 43.0, 59.0])  # of 60 whole steps six would have a row
        assert found == Grid(every=16.0, distance="t distance")

    def test_uneven_times_have_the_median_and_a_channel_of_distances(self):
        found = grid_of([0.0, 1.0, 2.7, 3.1, 6.0], taken=("t distance",))
        assert found.every == pytest.approx(1.35)
        assert found.distance == "t distance 2"

    def test_bursts_do_not_blow_series_up(self):
        times = np.concatenate([10.0 * place + np.array([0.0, 0.0103, 0.0211, 0.0307]) for place in range(20)])
        found = grid_of(times)
        assert found.every == pytest.approx(np.diff(times).mean() / 4)

    def test_a_step_that_was_named_is_taken(self):
        assert grid_of([0.0, 1.0, 2.7], every=0.5) == Grid(every=0.5, distance="t distance")
        assert grid_of([0.0, 1.0, 2.0], every=0.5) == Grid(every=0.5)
        assert grid_of([0.0, 1.0, 2.7], every="rows") is None
        assert grid_of([0.0], [5.0]) is None

    def test_unevenness_by_hand(self):
        found = unevenness(np.array([0.0, 1.0, 2.5]), np.zeros(3, np.int64), Grid(every=1.0, distance="d"))
        assert (found.least, found.median, found.largest, found.off) == (1.0, 1.25, 1.5, 0.5)


class TestPlacing:
    def test_steps_without_a_row_are_missing(self):
        made = folded(long([0, 1, 3, 10, 12], [1.0, 2.0, 3.0, 4.0, 5.0], [0, 0, 0, 1, 1]))
        assert lists(made) == [[1.0, 2.0, None, 3.0], [4.0, None, 5.0]]
        assert made.columns == ["who", "x", "y"]

    def test_jitter_does_not_add_up(self):
        times = np.cumsum(np.full(300, 1.04))
        times[0::2] += 0.03
        frame = long(times, np.arange(300.0))
        assert lists(folded(frame)) == [np.arange(300.0).tolist()]

    def test_uneven_rows_are_joined_by_straight_lines(self):
        frame = long([0.0, 1.0, 2.5, 3.0, 5.0], [0.0, 10.0, 25.0, 30.0, 50.0])
        made = folded(frame, DataConfig(case="who", step="t", every=1.0))
        assert lists(made) == [[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]]
        assert lists(made, "t distance") == [[0.0, 0.0, 0.5, 0.0, 1.0, 0.0]]

    def test_channels_that_are_measured_apart_are_filled_apart(self):
        frame = long([0.0, 1.5, 2.0, 3.0], [None, 15.0, None, 30.0], z=[1.0, None, None, 4.0])
        made = folded(frame, DataConfig(case="who", step="t", every=1.0))
        assert lists(made) == [[None, None, 20.0, 30.0]]
        assert lists(made, "z") == [[1.0, 2.0, 3.0, 4.0]]

    def test_a_channel_that_was_never_measured_is_missing(self):
        frame = long([0.0, 1.0, 2.5, 0.0, 1.0, 2.5], [1.0, 2.0, 3.0, None, None, None], [0, 0, 0, 1, 1, 1])
        made = folded(frame, DataConfig(case="who", step="t", every=1.0))
        assert lists(made) == [[1.0, 2.0, pytest.approx(2.0 + 2 / 3)], [None, None, None]]

    def test_dates_are_counted_in_seconds(self):
        frame = long(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 03:00"], [1.0, 2.0, 4.0])
        folding = find_folding(frame, CASE, "y")
        assert folding.grid == Grid(every=3600.0)
        assert lists(fold(frame, folding)) == [[1.0, 2.0, None, 4.0]]

    @given(st.lists(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=8), min_size=1, max_size=5))
    def test_a_straight_line_stays_one_and_cases_keep_to_themselves(self, gaps):
        cases = [np.concatenate([[0.0], np.cumsum(each)]) for each in gaps]
        moments = np.concatenate(cases)
        codes = np.repeat(np.arange(len(cases)), [len(case) for case in cases])
        grid = Grid(every=1.0, distance="d")
        found = placed(moments, codes, grid)
        values = found.values(100.0 * codes + 3.0 * moments)
        steps = np.arange(len(found.owner)) - np.searchsorted(found.owner, found.owner)
        np.testing.assert_allclose(values, 100.0 * found.owner + 3.0 * steps, atol=1e-3)
        away = [np.abs(cases[owner] - step).min() for owner, step in zip(found.owner, steps, strict=True)]
        np.testing.assert_allclose(found.distances(), away, atol=1e-5)

    def test_a_mistaken_time_is_an_error_and_no_memory(self):
        folding = find_folding(long([0, 1, 2], [1.0, 2.0, 3.0]), CASE, "y")
        with pytest.raises(DataError, match="there would be 1,000,000,001 steps of 2 rows"):
            fold(long([0, 1_000_000_000], [1.0, 2.0]), folding)


def series(uneven, cases=30, rows=20):
    rng = np.random.default_rng(0)
    gaps = rng.exponential(size=(cases, rows)) + 0.05 if uneven else np.ones((cases, rows))
    times = np.cumsum(gaps, 1).ravel()
    return long(times, np.sin(times) + rng.normal(size=len(times)), np.repeat(np.arange(cases), rows))


def read(frame, config=CASE):
    ledger = Ledger()
    return read_tables(frame, None, None, Hints(target="y"), config, ledger), ledger["data.times"]


def test_the_ledger_says_how_uneven_times_were_and_what_was_filled():
    found, verdict = read(series(uneven=True))
    assert verdict.outcome is Outcome.APPLIED
    assert "of the gaps no multiples of one step" in verdict.reason
    assert [column.name for column in found.schema.features] == ["x", "t distance"]
    away = np.concatenate([np.array(cell) for cell in found.data.frame["t distance"].to_list()])
    assert verdict.value == (away > 0).sum() > 0
    assert found.data.frame["x"].list.len().to_list() == found.data.frame["t distance"].list.len().to_list()


def test_even_times_pass_gaps_are_counted_and_rows_are_taken_where_asked():
    _, verdict = read(series(uneven=False))
    assert (verdict.outcome, verdict.value) == (Outcome.PASSED, 0)
    holed = series(uneven=False).filter(pl.col("t") != 7)
    _, verdict = read(holed)
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, 30)
    assert "30 lack a row" in verdict.reason
    found, verdict = read(series(uneven=True), DataConfig(case="who", step="t", every="rows"))
    assert verdict.outcome is Outcome.SKIPPED
    assert found.data.frame["x"].list.len().unique().to_list() == [20]


def test_the_audit_finds_steps_that_lie_between_rows():
    from assay.compose.run_config import RunConfig

    _, seen, _ = audit(series(uneven=True), "y", config=RunConfig(data=CASE))
    (finding,) = [one for one in seen.findings if "times are uneven" in one.what]
    assert finding.columns == ("t distance",)
    assert "more than a step from any" in finding.what


@pytest.mark.parametrize("options", [{"every": 2.0}, {"every": 0.0, "case": "c", "step": "t"}, {"every": "rows"}])
def test_a_step_needs_times_and_a_size(options):
    with pytest.raises(ValueError, match=r"every|greater than 0"):
        DataConfig(**options)
