import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.data.audit.audit import Severity
from assay.data.config import DataConfig
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind, Schema
from assay.data.series.folding import Folding, find_folding, fold, step_names
from assay.data.split.split import seal
from assay.data.steps import padded
from assay.data.stored import Spill, Stored
from assay.errors import ConfigError, DataError
from assay.ledger import Ledger, Outcome
from assay.runs import audit
from assay.sources import read_tables

REAL = Path(os.environ.get("ASSAY_DATA", Path(__file__).parents[5] / "shared" / "data")) / "sequence"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the shared data sets are not here")

LONG = pl.DataFrame(
    {
        "patient": ["b", "b", "a", "a", "a", "c"],
        "t": [1, 0, 0, 1, 2, 0],
        "x": [2.0, 1.0, 3.0, 4.0, 5.0, 6.0],
        "z": [0, 1, 0, 0, 0, 9],
        "note": ["p", "q", "r", "s", "t", "u"],
        "sensor": ["old", None, "new", "new", "new", "old"],
        "y": ["sick", "sick", "well", "well", "well", "sick"],
    }
)
TWICE = pl.concat([LONG, LONG.with_columns(pl.col("patient") + "2")])
CASE = DataConfig(case="patient", step="t")


def wide(rows=40, steps=20, first=0, prefix="t", **more):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, steps))
    columns = {f"{prefix}{first + at}": values[:, at] for at in range(steps)}
    return pl.DataFrame({"label": ["a", "b"] * (rows // 2), **columns, **more})


def tables(frame, config=None, target="label", *, valid=None, test=None, **hints):
    ledger = Ledger()
    return read_tables(frame, valid, test, Hints(target=target, **hints), config or DataConfig(), ledger), ledger


class TestWide:
    def test_steps_become_one_column_where_the_first_stood(self):
        frame = wide(after=[1.0, 2.0] * 20)
        folding = find_folding(frame, DataConfig(), "label")
        assert folding == Folding(kind="wide", columns=tuple(f"t{at}" for at in range(20)), name="series")
        made = fold(frame, folding)
        assert made.columns == ["label", "series", "after"]
        assert made.schema["series"] == pl.List(pl.Float64)
        assert made["series"].to_list() == frame.select(folding.columns).to_numpy().tolist()
        assert fold(made, folding) is made

    @pytest.mark.parametrize("prefix", ["t", "time", "step", "ts", "t_", "time_", "T", "Step_"])
    @pytest.mark.parametrize("first", [0, 1])
    def test_the_usual_names_are_known_whatever_their_order(self, prefix, first):
        names = [f"{prefix}{first + at}" for at in range(16)]
        assert step_names(["x", *reversed(names), "label"]) == tuple(names)

    @pytest.mark.parametrize(
        "names",
        [
            [f"t{at}" for at in range(15)],
            [f"t{at}" for at in range(2, 30)],
            [f"t{at}" for at in range(30) if at != 7],
            [*(f"t{at}" for at in range(20)), "t01"],
            [f"v{at}" for at in range(20)],
            [f"rt{at}" for at in range(20)],
        ],
    )
    def test_other_names_are_no_steps(self, names):
        assert step_names(names) == ()

    def test_a_target_or_a_column_with_a_part_is_no_step(self):
        frame = wide()
        assert len(find_folding(frame, DataConfig(), "t19").columns) == 19
        assert find_folding(frame, DataConfig(), "t3") is None
        assert find_folding(frame, DataConfig(), "label", apart=["t3"]) is None

    def test_a_pattern_names_other_steps_in_the_order_of_their_numbers(self):
        frame = pl.DataFrame({"nm10.5": [3], "nm9": [2], "nm-1": [1], "y": [0]})
        folding = find_folding(frame, DataConfig(series="nm{}"), "y")
        assert fold(frame, folding)["series"].to_list() == [[1.0, 2.0, 3.0]]

    def test_the_new_column_takes_a_free_name(self):
        frame = wide(series=["w"] * 40, series_2=["w"] * 40)
        assert find_folding(frame, DataConfig(), "label").name == "series_3"

    def test_missing_cells_at_the_end_are_the_end(self):
        frame = wide(rows=4).with_columns(
            t19=pl.Series([1.0, None, float("nan"), None]), t18=pl.Series([1.0, 2.0, None, None]), t3=pl.lit(None)
        )
        frame = frame.with_columns(
            pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col(f"t{at}")).alias(f"t{at}")
            for at in range(20)
        )
        made = fold(frame, find_folding(frame, DataConfig(), "label"))["series"]
        assert made.list.len().to_list() == [20, 19, 18, 0]
        assert np.isnan(made[0][3])

    def test_numbers_written_as_words_are_read_by_one_format(self):
        frame = wide(rows=2).with_columns(pl.Series("t4", ["1,5", "?"]))
        folding = find_folding(frame, DataConfig(), "label")
        assert folding.format == "1.234,5"
        assert fold(frame, folding)["series"][0][4] == 1.5

    def test_words_among_the_steps_keep_the_columns_apart_and_are_told(self):
        frame = wide().with_columns(pl.Series("t4", ["high", "low"] * 20))
        found, ledger = tables(frame)
        assert found.schema.folding is None
        assert found.schema["t3"].kind is Kind.NUMBER
        assert ledger["data.series"].outcome is Outcome.WARNED
        assert "'t4'" in ledger["data.series"].reason
        _, seen, _ = audit(frame, "label")
        (finding,) = [one for one in seen.findings if one.check == "audit.series"]
        assert finding.columns == ("t4",)
        assert "'t0' to 't19' would be one series" in finding.what

    def test_words_among_named_steps_are_an_error(self):
        frame = wide(prefix="v").with_columns(pl.Series("v4", ["high", "low"] * 20))
        with pytest.raises(DataError, match="the steps of a series must be numbers, but 'v4' holds 'high'"):
            find_folding(frame, DataConfig(series="v{}"), "label")

    def test_none_switches_it_off(self):
        found, ledger = tables(wide(), DataConfig(series="none"))
        assert found.schema.folding is None
        assert ledger["data.series"].outcome is Outcome.SKIPPED

    def test_a_pattern_that_fits_nothing_or_twice(self):
        with pytest.raises(DataError, match="but none of 21 columns are"):
            find_folding(wide(), DataConfig(series="w{}"), "label")
        with pytest.raises(DataError, match="'v01' and 'v1' have the same number"):
            find_folding(pl.DataFrame({"v01": [1], "v1": [1], "y": [1]}), DataConfig(series="v{}"), "y")

    def test_rows_to_answer_must_have_every_step(self):
        frame = wide()
        folding = find_folding(frame, DataConfig(), "label")
        with pytest.raises(DataError, match="1 is missing: 't7'"):
            fold(frame.drop("t7"), folding)
        assert fold(frame.head(0), folding).schema["series"] == pl.List(pl.Float64)

    @pytest.mark.slow
    def test_ten_thousand_steps(self):
        frame = wide(rows=10, steps=10_000)
        found, _ = tables(frame)
        assert found.schema["series"].reason == "sequence because each cell is a list of numbers, 10000 steps"


class TestLong:
    def test_a_row_a_case_in_the_order_of_first_occurrence(self):
        folding = find_folding(LONG, CASE, "y")
        assert folding.columns == ("x", "z")
        assert folding.kept == ("sensor", "y")
        assert folding.left_out == ("note",)
        made = fold(LONG, folding)
        assert made.to_dict(as_series=False) == {
            "patient": ["b", "a", "c"],
            "x": [[1.0, 2.0], [3.0, 4.0, 5.0], [6.0]],
            "z": [[1.0, 0.0], [0.0, 0.0, 0.0], [9.0]],
            "sensor": ["old", "new", "old"],
            "y": ["sick", "well", "sick"],
        }
        assert fold(made, folding) is made

    def test_without_a_step_column_the_order_of_the_rows_counts(self):
        folding = find_folding(LONG, DataConfig(case="patient"), "y")
        assert folding.columns == ("t", "x", "z")
        assert fold(LONG, folding)["x"].to_list()[0] == [2.0, 1.0]

    def test_the_ledger_counts_cases_and_those_out_of_order(self):
        found, ledger = tables(TWICE, CASE, target="y")
        verdict = ledger["data.series"]
        assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, 6)
        assert "12 rows are the steps of 6 cases" in verdict.reason
        assert "2 cases were not in order" in verdict.reason
        assert "'note'" in verdict.reason
        assert found.data.source.rows == 12
        assert found.data.frame.height == 6
        assert found.schema["patient"].kind is Kind.ID
        assert [column.name for column in found.schema.features] == ["x", "z", "sensor"]

    def test_dates_order_steps_too(self):
        frame = pl.DataFrame({"c": [1, 1], "day": ["2024-03-01", "2024-01-01"], "x": [2.0, 1.0], "y": [0, 0]})
        folding = find_folding(frame, DataConfig(case="c", step="day"), "y")
        assert fold(frame, folding)["x"].to_list() == [[1.0, 2.0]]

    def test_a_step_twice_is_an_error_that_names_the_case(self):
        with pytest.raises(DataError, match=r"the case 'a' has the step 0 more than once \(rows 3 and 4\)"):
            find_folding(LONG.with_columns(t=pl.Series([1, 0, 0, 0, 2, 0])), CASE, "y")

    def test_a_case_with_two_targets_is_named(self):
        frame = LONG.with_columns(y=pl.Series(["sick", "sick", "well", "sick", "well", "sick"]))
        with pytest.raises(DataError, match="a case must have one value of 'y', but the case 'a' has 'well', 'sick'"):
            find_folding(frame, CASE, "y")
        folding = find_folding(LONG, CASE, "y")
        with pytest.raises(DataError, match="the case 'a' has"):
            fold(frame, folding)
        with pytest.raises(DataError, match="one value of 'note'"):
            find_folding(LONG, CASE, "y", single=["note"])

    @pytest.mark.parametrize(
        ("change", "config", "message"),
        [
            ({"patient": pl.Series(["b", "b", None, "a", "a", "c"])}, CASE, r"name its case in 'patient'.*row 3"),
            ({"t": pl.Series([1, 0, 0, None, 2, 0])}, CASE, r"of its step in 't'.*row 4"),
            ({"t": pl.Series(list("abcdef"))}, CASE, "of its step in 't', but 6 do not"),
            ({}, DataConfig(case="patients"), "Did you mean 'patient'"),
            ({}, DataConfig(case="patient", step="tt"), "data.step must name a column, but 'tt' is none"),
            ({}, DataConfig(case="y"), "is the column to predict"),
            ({}, DataConfig(case="note"), "must vary within a case, but each has one row"),
        ],
    )
    def test_what_cannot_be_folded(self, change, config, message):
        with pytest.raises(DataError, match=message):
            find_folding(LONG.with_columns(**change), config, "y")

    def test_extra_columns_and_a_missing_target_do_not_matter_at_prediction(self):
        folding = find_folding(LONG, CASE, "y")
        raw = LONG.drop("y", "note").with_columns(new=pl.int_range(pl.len()))
        assert fold(raw, folding).columns == ["patient", "x", "z", "sensor"]
        assert fold(raw.head(0), folding).height == 0

    def test_hints_on_columns_that_went_are_let_go(self):
        found, _ = tables(TWICE, CASE, target="y", drop=("t", "z", "note"))
        assert "z" in found.schema.dropped
        assert [c.name for c in found.schema.features] == ["x", "sensor"]


def test_the_folding_travels_with_the_schema():
    found, _ = tables(wide())
    again = Schema.from_json(found.schema.to_json(), "schema.json")
    assert again == found.schema
    assert again.folding.columns[-1] == "t19"


def test_given_files_are_folded_as_the_table_is():
    found, _ = tables(wide(), valid=wide(rows=6), test=fold(wide(), find_folding(wide(), DataConfig(), "label")))
    assert found.valid.frame.columns == found.test.frame.columns == ["label", "series"]
    with pytest.raises(DataError, match="must have the columns that the series are made of"):
        tables(wide(), test=wide(steps=19))


def test_a_table_in_files_is_not_folded(tmp_path):
    path = tmp_path / "wide.parquet"
    wide(prefix="v").write_parquet(path)
    frame = read(path, spill=Spill(tmp_path, 10)).frame
    assert isinstance(frame, Stored)
    with pytest.raises(DataError, match=r"Raise data\.memory"):
        find_folding(frame, DataConfig(series="v{}"), "label")
    with pytest.raises(DataError, match=r"Raise data\.memory"):
        find_folding(frame, DataConfig(case="label"), "v1")
    assert find_folding(frame, DataConfig(), "label") is None


@pytest.mark.parametrize(
    "options", [{"series": "v"}, {"series": "{}{}"}, {"step": "t"}, {"case": "c", "series": "v{}"}, {"case": ""}]
)
def test_options_that_contradict_each_other(options):
    with pytest.raises(ValueError, match=r"series|case|at least 1"):
        DataConfig(**options)


def test_options_are_refused_in_words():
    from assay.compose.hydra_io import compose

    with pytest.raises(ConfigError, match="series"):
        compose(None, None, ["data.series=v"])
    assert compose(None, None, ["data.series=v{}"]).data.series == "v{}"
    assert compose(None, None, ["data.case=who", "data.step=t"]).data.case == "who"


@needs_real
@pytest.mark.parametrize(("name", "steps"), [("GunPoint", 150), ("ECG200", 96), ("Computers", 720)])
def test_wide_tables_of_the_archive(name, steps):
    found, _ = tables(REAL / f"ucr_{name}_train.parquet", test=REAL / f"ucr_{name}_test.parquet")
    assert found.schema["series"].kind is Kind.SEQUENCE
    assert len(found.schema.folding.columns) == steps
    raw = pl.read_parquet(REAL / f"ucr_{name}_test.parquet")
    lists = np.array(found.test.frame["series"].to_list())
    assert np.array_equal(lists, raw.drop("label").to_numpy().astype(np.float64), equal_nan=True)


@needs_real
def test_a_long_table_of_the_archive():
    config = DataConfig(case="case", step="t")
    path = REAL / "uea_JapaneseVowels_train.parquet"
    found, ledger = tables(path, config, test=REAL / "uea_JapaneseVowels_test.parquet")
    assert found.data.frame.height == 270
    assert found.test.frame.height == 370
    assert [c.name for c in found.schema.features] == [f"dim{at}" for at in range(12)]
    assert "26 steps" in found.schema["dim3"].reason
    raw = pl.read_parquet(path)
    third = raw.filter(pl.col("case") == raw["case"].unique(maintain_order=True)[2])
    assert found.data.frame["dim7"][2].to_list() == third.sort("t")["dim7"].to_list()
    split = seal(found.data, found.schema, config.split, seed=0, ledger=ledger)
    assert len(split.train) + len(split.valid) + len(split.test) == 270
    schema, seen, _ = audit(path, "label", config=_run_config(config))
    assert schema == found.schema
    assert not [one for one in seen.findings if one.severity is Severity.SERIOUS]


def _run_config(data):
    from assay.compose.run_config import RunConfig

    return RunConfig(data=data)


def test_series_are_padded_to_one_length_and_longer_ones_are_told():
    cells = pl.Series("s", [[1.0, None, 3.0], [], None, [4.0, float("inf"), 1e300, 7.0, 8.0]])
    values, longer = padded(cells, 4)
    nan = np.nan
    np.testing.assert_array_equal(
        values, np.array([[1, nan, 3, nan], [nan] * 4, [nan] * 4, [4, nan, nan, 7]], np.float32)
    )
    assert longer.tolist() == [False, False, False, True]
