"""`assay synthesise` refuses what it cannot do, in words, and leaves nothing half-written."""

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli.app import main
from assay.errors import ConfigError, DataError, InputError
from assay.synth import writing

ROWS = 60
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame({"x": RNG.normal(size=ROWS), "c": ["p", "q", "r"] * (ROWS // 3), "y": ["a", "b"] * (ROWS // 2)})


def refused(tmp_path, frame, target="y", *, kind=InputError, match, **options):
    with pytest.raises(kind, match=match):
        assay.synthesise(frame, target, out=tmp_path / "out", **{"rows": 10, "method": "copula", **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rows": 0}, "at least one row must be asked for, but -n is 0"),
        ({"rows": -5}, "-n is -5"),
        ({"method": "copulla"}, "Did you mean 'copula'"),
        ({"format": "xlsx"}, "the format must be known"),
        ({"seed": -1}, "a seed must be at least 0"),
        ({"budget": "soon"}, "a budget must be a time above 0"),
        ({"drop": ("z",)}, "the drop column must be in the table"),
    ],
)
def test_options(tmp_path, options, match):
    refused(tmp_path, FRAME, match=match, **options)


def test_the_table(tmp_path):
    refused(tmp_path, FRAME, "z", match="the target column must be in the table")
    refused(tmp_path, FRAME.with_columns(y=pl.lit("a")), match="must have at least two values")
    refused(tmp_path, FRAME.head(18), match="at least 20 rows with a target are needed.*there are 18")
    empty = FRAME.with_columns(y=pl.when(pl.int_range(ROWS) < 15).then("y"))
    refused(tmp_path, empty, kind=DataError, match="at least 20 rows with a target.*there are 15")


def test_smote(tmp_path):
    refused(tmp_path, FRAME, "x", kind=ConfigError, method="smote", match="smote adds rows to small classes")
    refused(tmp_path, FRAME, method="smote", match="room for 0")
    lonely = FRAME.with_columns(y=pl.when(pl.int_range(ROWS) < 2).then(pl.lit("c")).otherwise("y"))
    refused(tmp_path, lonely, method="smote", rows=10_000, match="are asked for, and the rows that it learns from have")


def test_what_is_there_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="must not exist yet"):
        assay.synthesise(FRAME, "y", rows=10, out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_odd_columns_come_back_as_they_are(tmp_path):
    frame = FRAME.with_columns(
        nothing=pl.lit(None, dtype=pl.Float64), one=pl.lit("same"), rare=pl.when(pl.int_range(ROWS) == 0).then(7.5),
        infinite=pl.when(pl.int_range(ROWS) == 3).then(float("inf")).otherwise(pl.col("x")),
        huge=pl.Series(np.linspace(-1e300, 1e300, ROWS)),
    )  # fmt: skip
    made = assay.synthesise(frame, "y", rows=30, method="copula", out=tmp_path / "out", format="parquet")
    assert made.frame.schema == frame.schema
    assert made.frame["nothing"].null_count() == 30
    assert made.frame["one"].unique().to_list() == ["same"]
    assert made.frame["huge"].is_finite().all()


def test_a_thousand_categories_and_many_classes(tmp_path):
    wide = pl.DataFrame(
        {
            "c": [f"word{at % 1000}" for at in range(2100)],
            "x": np.arange(2100) % 7,
            "y": [f"k{at % 30}" for at in range(2100)],
        }
    )
    made = assay.synthesise(wide, "y", rows=100, method="copula", out=tmp_path / "out")
    assert made.frame["c"].n_unique() > 50
    assert set(made.frame["y"]) <= set(wide["y"])


def test_few_rows_are_enough(tmp_path):
    made = assay.synthesise(FRAME.head(20), "y", rows=5, method="copula", out=tmp_path / "few")
    assert (made.quality.fit_rows, made.quality.held_back_rows) == (16, 4)
    rare = FRAME.with_columns(y=pl.when(pl.int_range(ROWS) < 3).then(pl.lit("c")).otherwise("y"))
    made = assay.synthesise(rare, "y", rows=12, method="smote", out=tmp_path / "rare")
    assert "down to 1 in the smallest class" in made.quality.made.generator
    assert made.frame["y"].value_counts().sort("count")["y"][-1] == "c"


def test_many_rows_are_made_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BLOCK", 25)
    for name in ("csv", "parquet"):
        made = assay.synthesise(FRAME, "y", rows=90, method="copula", out=tmp_path / name, format=name)
        assert made.frame.height == 90
        assert made.frame.columns == FRAME.columns
        assert made.frame["x"].n_unique() > 40


def test_the_command_ends_with_2_and_one_sentence(tmp_path, capsys):
    path = tmp_path / "t.csv"
    FRAME.write_csv(path)
    assert main(["synthesise", str(path), "--target", "y", "-n", "0", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "error: at least one row must be asked for, but -n is 0. Give -n a number of rows above 0.\n"
    )
    assert main(["synthesise", str(path), "--target", "y", "-n", "3", "--seed", "x", "--quiet"]) == 2
    assert "a seed must be a whole number" in capsys.readouterr().err
