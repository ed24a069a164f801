import itertools

import numpy as np
import polars as pl
import pytest

from assay.data.audit.audit import examine
from assay.data.config import AuditConfig, DataConfig
from assay.data.schema import Hints, Schema, Task
from assay.data.series.latest import latest, times_ahead
from assay.data.series.windowing import measured, panel_of, scales_of
from assay.data.split.windows import seal_windows
from assay.errors import ConfigError, DataError
from assay.ledger import Ledger
from assay.sources import read_tables


def line(steps=40, **more):
    """Steps 0, 1, ... whose value is their number squared."""
    columns = {"t": np.arange(steps), "y": np.arange(steps, dtype=float) ** 2}
    return pl.DataFrame(dict((columns | more).items()))


def made(frame, *, horizon=3, window=5, target="y", time="t", valid=None, test=None, ledger=None, **options):
    config = DataConfig(horizon=horizon, window=window, **options)
    tables = read_tables(
        frame, valid, test, Hints(target=target, time=time), config, Ledger() if ledger is None else ledger
    )
    assert tables.windows is not None
    return tables


def split_of(tables):
    return seal_windows(tables.windows, Ledger(), seed=0)


class TestWindows:
    def test_a_row_is_the_steps_before_an_origin_and_those_after_it(self):
        tables = made(line())
        frame = tables.data.frame
        assert frame.columns == ["y before", "t", "y"]
        assert frame["y before"][0].to_list() == [0.0, 1.0, 4.0, 9.0, 16.0]
        assert frame["y"][0].to_list() == [25.0, 36.0, 49.0]
        assert frame["t"][0] == 4.0
        assert tables.schema.task is Task.FORECASTING
        assert [column.name for column in tables.schema.features] == ["y before"]
        assert Schema.from_json(tables.schema.to_json(), "schema") == tables.schema

    def test_no_target_of_a_part_lies_in_an_earlier_one(self):
        tables = made(line(60), horizon=4, window=6)
        split = split_of(tables)
        parts = [split.train, split.valid, split.test.open("the test")]
        reached = [(rows.column("t").to_numpy()[:, None] + np.arange(1, 5)) for rows in parts]
        for before, after in itertools.pairwise(reached):
            assert before.max() < after.min()
        for rows, steps in zip(parts, reached, strict=True):
            assert rows.target.tolist() == (steps**2).tolist()
        # Inputs reach back into the part before.
        assert parts[1].column("y before")[0].to_list() == ((reached[1][0, 0] - np.arange(6, 0, -1)) ** 2).tolist()

    def test_every_step_of_a_part_is_forecast(self):
        split = split_of(made(line(60), horizon=4, window=6))
        steps = set(range(6, 60))
        for rows in (split.train, split.valid, split.test.open("the test")):
            steps -= {int(step) + ahead for step in rows.column("t") for ahead in range(1, 5)}
        assert not steps

    def test_unsorted_rows_are_put_in_order(self):
        ledger = Ledger()
        tables = made(line().sample(fraction=1.0, shuffle=True, seed=0), ledger=ledger)
        assert tables.data.frame.equals(made(line()).data.frame)
        found = examine(tables.data, tables.schema, AuditConfig(), ledger, more=tables.checked)
        assert [finding.check for finding in found.findings] == ["audit.time-steps"]

    def test_a_missing_step_is_the_last_known_before_and_never_a_target(self):
        frame = line().filter(pl.col("t") != 10)
        tables = made(frame)
        rows = tables.data.frame
        assert rows.filter(pl.col("t") == 11)["y before"][0].to_list() == [49.0, 64.0, 81.0, 81.0, 121.0]
        assert not set(rows["t"]) & {7, 8, 9}  # their steps to forecast hold step 10
        assert tables.windows.cut.unknown == 3
        assert "1 step without a row" in tables.checked[0].findings[0].what

    def test_series_of_their_own_length_are_cut_at_the_same_time(self):
        one, other = line(60).with_columns(who=pl.lit("a")), line(60).tail(30).with_columns(who=pl.lit("b"))
        tables = made(pl.concat([one, other]), case="who")
        split = split_of(tables)
        assert (
            split.valid.column("t").min()
            == split.valid.at(np.flatnonzero(split.valid.column("who") == "b")).column("t").min()
        )
        assert set(split.train.column("who")) == {"a", "b"}
        assert split.train.weight is not None

    def test_a_series_too_short_is_counted_and_left_out(self):
        frame = pl.concat([line(60).with_columns(who=pl.lit("a")), line(60).tail(4).with_columns(who=pl.lit("b"))])
        tables = made(frame, case="who")
        assert set(tables.data.frame["who"]) == {"a"}
        found = tables.checked[1].findings[0]
        assert (found.count, "'b'" in found.what) == (1, True)

    def test_without_times_rows_are_steps(self):
        tables = made(line().drop("t"), time=None)
        assert tables.data.frame["step"].to_list()[:2] == [4.0, 5.0]

    def test_files_must_follow_one_another(self):
        whole = line(60)
        tables = made(whole.head(40), valid=whole.slice(40, 10), test=whole.slice(50))
        assert tables.valid.frame["t"].to_list() == list(range(39, 47))
        assert tables.test.frame["t"].to_list() == list(range(49, 57))
        with pytest.raises(DataError, match="must follow one another"):
            made(pl.concat([whole.head(40), whole.tail(1)]), valid=whole.slice(40, 10), test=whole.slice(50, 9))
        with pytest.raises(ConfigError, match="--test is missing"):
            made(whole.head(40), valid=whole.slice(40, 20))

    def test_columns_known_ahead_have_the_steps_to_come(self):
        rng = np.random.default_rng(0)
        frame = line(holiday=rng.random(40) < 0.3, other=rng.normal(size=40), words=["a", "b"] * 20)
        tables = made(frame, known=("holiday",))
        first = tables.data.frame.head(1)
        assert first.columns == ["y before", "other", "holiday", "t", "y"]
        assert first["holiday"][0].to_list() == frame["holiday"].head(8).cast(float).to_list()
        assert len(first["other"][0]) == 5


class TestMeans:
    """Rows at any time, of which a step is the mean."""

    def rows(self, steps=40):
        """Two rows in most steps of 10, at 1 and 7 after its beginning, one below and one above its square."""
        at = np.arange(steps)
        both = np.concatenate([10 * at + 1, 10 * at + 7])
        off = np.concatenate([-np.ones(steps), np.ones(steps)])
        return pl.DataFrame({"t": both, "y": np.tile(at**2.0, 2) + off, "x": off})

    def test_a_step_is_the_mean_of_its_rows(self):
        ledger = Ledger()
        found = made(self.rows(), every=10.0, ledger=ledger)
        frame = found.data.frame
        assert frame["y before"][0].to_list() == [0.0, 1.0, 4.0, 9.0, 16.0]
        assert frame["y"][0].to_list() == [25.0, 36.0, 49.0]
        assert frame["x"][0].to_list() == [0.0] * 5
        assert frame["t"][0] == 40.0
        assert "40 steps of 10 units are means of 80 rows" in ledger["data.times"].reason
        assert Schema.from_json(found.schema.to_json(), "schema") == found.schema

    def test_a_step_with_one_row_is_that_row_and_one_without_is_missing(self):
        frame = self.rows().filter(~pl.col("t").is_in([201, 207, 301]))
        found = made(frame, every=10.0)
        panel = found.windows.cut and panel_of(frame, found.schema.windowing)
        assert np.isnan(panel.target[20])
        assert panel.target[30] == 901.0
        assert panel.gaps.tolist() == [1]

    def test_the_latest_window_is_made_in_the_same_way(self):
        found = made(self.rows(), every=10.0)
        last = latest(self.rows(45), found.schema.windowing)
        assert last.frame["y before"][0].to_list() == [float(at**2) for at in range(40, 45)]

    def test_uneven_times_say_what_to_do(self):
        rng = np.random.default_rng(0)
        frame = line().with_columns(t=np.cumsum(rng.exponential(size=40)))
        with pytest.raises(DataError, match=r"Take the mean of even steps with data.every, such as data.every="):
            made(frame)

    @pytest.mark.parametrize(("every", "time"), [("rows", "t"), (2.0, None)])
    def test_rows_and_means_contradict_each_other(self, every, time):
        with pytest.raises(ConfigError, match="are counted by a column of times, or are rows"):
            made(line(), every=every, time=time)


class TestBadInput:
    def test_a_time_twice_names_one(self):
        frame = pl.concat([line(), line().slice(7, 1)])
        with pytest.raises(DataError, match=r"7 is there twice \(rows 8 and 41\)"):
            made(frame)

    def test_a_horizon_longer_than_the_data_allow(self):
        with pytest.raises(DataError, match="longest horizon they allow is"):
            made(line(), horizon=20)

    def test_a_target_of_words(self):
        with pytest.raises(DataError, match="1 cell without one, such as 'many'"):
            made(line().with_columns(y=pl.col("y").cast(pl.String)).with_columns(
                y=pl.when(pl.col("t") == 3).then(pl.lit("many")).otherwise(pl.col("y"))))  # fmt: skip

    def test_a_constant_target(self):
        with pytest.raises(DataError, match="numbers that change"):
            made(line().with_columns(y=pl.lit(1.0)))
        with pytest.raises(DataError, match="change in the training part"):
            made(line().with_columns(y=(pl.col("t") > 37).cast(pl.Float64)))

    def test_a_constant_series_among_others_is_found(self):
        flat = line(60).with_columns(y=pl.lit(2.0), who=pl.lit("flat"))
        tables = made(pl.concat([line(60).with_columns(who=pl.lit("a")), flat]), case="who")
        assert tables.checked[2].findings[0].count == 1
        assert tables.schema.windowing.scales["flat"].naive is None

    def test_all_series_too_short(self):
        frame = pl.concat([line(60).slice(at, 5).with_columns(who=pl.lit(f"s{at}")) for at in range(0, 50, 5)])
        with pytest.raises(DataError, match="part needs windows of 5 known steps and 3"):
            made(frame, case="who")

    def test_options_of_a_forecast_without_a_horizon(self):
        with pytest.raises(ValueError, match="set horizon"):
            DataConfig(known=("x",))


class TestLatest:
    def test_the_last_window_of_each_series_and_the_times_after_it(self):
        frame = pl.concat([line(60).with_columns(who=pl.lit("a")), line(50).with_columns(who=pl.lit("b"))])
        windowing = made(frame, case="who").schema.windowing
        more = pl.concat([frame, pl.DataFrame({"t": [0], "y": [1.0], "who": ["new"]})])
        found = latest(more, windowing)
        assert found.cases.to_list() == ["a", "b"]
        assert found.short == ("new",)
        assert found.frame["y before"][1].to_list() == [float(step**2) for step in range(45, 50)]
        assert times_ahead(found, windowing).to_list() == [60, 61, 62, 50, 51, 52]

    def test_rows_whose_target_is_still_empty_are_to_come(self):
        windowing = made(line()).schema.windowing
        rest = pl.DataFrame({"t": [40, 41], "y": [None, None]}, schema={"t": pl.Int64, "y": pl.Float64})
        assert times_ahead(latest(pl.concat([line(), rest]), windowing), windowing).to_list() == [40, 41, 42]


def test_a_series_is_measured_by_its_naive_error_and_deviation():
    scale = measured(np.array([1.0, 2.0, 4.0, np.nan, 8.0]), 1)
    assert scale.naive == 1.5
    assert scale.deviation == pytest.approx(np.std([1.0, 2.0, 4.0, 8.0]))
    windowing = made(line(), season=1).schema.windowing
    naive, deviation = scales_of(["", "new"], windowing, np.array([[0.0] * 5, [0.0, 1.0, 0.0, 1.0, 0.0]]))
    assert naive[1] == 1.0
    assert deviation[0] == windowing.scales[""].deviation
    assert len(panel_of(line(), windowing)) == 1
