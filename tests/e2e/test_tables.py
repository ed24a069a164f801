"""Real tables of every task and shape, from the raw file to the answers; a small budget, sane numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import assay
from assay.practices import PRACTICES

#: Practices that the ledger of a fit has a verdict on.
OF_FITS = {one.id for one in PRACTICES.values() if one.verb == "fit"}

SMALL = [
    "model.name=mlp",
    "model.members=4",
    "ensemble.folds=1",
    "train.epochs=4",
    "evaluate.bootstrap=100",
    "evaluate.baselines=majority",
]
DATA = Path(os.environ.get("ASSAY_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
#: What makes a browser fetch something: nothing of it may name another place.
LOADS = re.compile(r"""(?:src|srcset|href|action|data)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""")


def table(name: str, rows: int) -> pl.DataFrame:
    """`rows` rows of a published table, drawn in random order."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand")
    return pl.read_csv(path, infer_schema_length=None).sample(rows, seed=0, shuffle=True)


def fit(frame: pl.DataFrame, target: str, folder: Path, *overrides: str, **asked) -> assay.Run:
    """A run on the frame as a raw file, checked for what holds of every run."""
    frame.write_csv(folder / "rows.csv")
    run = assay.fit(folder / "rows.csv", target, out=folder / "run", overrides=[*SMALL, *overrides], **asked)
    report = run.report()
    assert {verdict.practice for verdict in report.ledger} == OF_FITS
    assert report.parity.difference <= 1e-5
    assert run.bundle.verify() <= 1e-5
    assert report.split.opened == 1
    assert not LOADS.search((run.directory / "report.html").read_text(encoding="utf-8"))
    for scored in run.scores[0].scores:
        estimate = scored.estimate
        if estimate.value is not None and estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high
    answers = run.predict(folder / "rows.csv")
    assert answers.height == frame.height
    # One row and many are summed in another order, so the last digits differ.
    assert_frame_equal(answers[5:8], run.predict(frame[5:8]), rel_tol=1e-5, abs_tol=1e-6)
    return run


def value(run: assay.Run, name: str, model: int = 0) -> float:
    return next(score.estimate.value for score in run.scores[model].scores if score.name == name)


def test_binary(small_run):
    assert small_run.report().split.opened == 1
    assert {verdict.practice for verdict in small_run.report().ledger} == OF_FITS
    assert value(small_run, "auroc") > 0.65
    assert value(small_run, "auroc", 1) == 0.5
    assert small_run.scores[0].kind == "network"
    assert not LOADS.search((small_run.directory / "report.html").read_text(encoding="utf-8"))


def test_multiclass(tmp_path):
    frame = table("tabular/letter.csv.gz", 3000)
    run = fit(frame, "class", tmp_path, "train.lr=0.01")
    assert run.report().table_schema.task == "multiclass"
    assert value(run, "accuracy") > 0.4 > value(run, "accuracy", 1)
    answers = run.predict(frame)
    assert answers.columns == ["prediction", *[f"probability_{chr(65 + place)}" for place in range(26)]]
    sums = answers.select(pl.sum_horizontal(pl.exclude("prediction"))).to_series()
    assert ((sums - 1).abs() < 1e-5).all()
    likeliest = answers.drop("prediction").to_numpy().argmax(1)
    assert [chr(65 + place) for place in likeliest] == answers["prediction"].to_list()


def test_regression_with_missing_values(tmp_path):
    frame = table("tabular/california_housing.csv.gz", 2500)
    assert frame["total_bedrooms"].null_count() > 0
    run = fit(frame, "median_house_value", tmp_path)
    assert value(run, "r2") > 0.5
    assert value(run, "rmse") < 0.75 * value(run, "rmse", 1)
    answers = run.predict(frame)
    assert answers.columns == ["prediction"]
    assert 0 < answers["prediction"].median() < 500_000
    assert any(verdict.practice == "encode.impute" and verdict.outcome == "applied" for verdict in run.report().ledger)


def test_a_split_in_time_with_dates(tmp_path):
    frame = table("tabular/bike_sharing_hour.csv.gz", 2500).drop("instant")
    run = fit(frame, "cnt", tmp_path, time="dteday")
    report = run.report()
    assert report.table_schema["dteday"].kind == "datetime"
    assert "time" in report.split.policy
    assert 0 < report.split.test_rows < report.split.train_rows
    assert value(run, "rmse") < value(run, "rmse", 1)


def test_groups_weights_and_sensitive_columns(tmp_path):
    frame = table("tabular/adult_train.csv.gz", 1500).with_columns(weight=1.0 + pl.int_range(pl.len()) % 3)
    run = fit(frame, "income", tmp_path, group="occupation", weight="weight", sensitive=["sex"], drop=["fnlwgt"])
    schema = run.report().table_schema
    assert (schema.group, schema.weight, schema.sensitive, schema.dropped) == (
        "occupation",
        "weight",
        ("sex",),
        ("fnlwgt",),
    )
    inputs = {item.name for item in run.bundle.manifest.inputs}
    assert not inputs & {"occupation", "weight", "fnlwgt", "income"}
    (attribute,) = run.report().fairness.attributes
    assert [group.name for group in attribute.groups] == ["Female", "Male"]
    assert "rows that belong together" in run.report().fairness.method
    assert value(run, "auroc") > 0.7


def test_free_text(tmp_path):
    frame = table("text/sms_spam.csv.gz", 2500)
    run = fit(frame, "label", tmp_path, "train.lr=0.01", positive="spam")
    assert run.report().table_schema["text"].kind == "text"
    assert value(run, "auroc") > 0.9
    spam = run.predict({"text": ["Free entry! WIN a prize, call now 09061701461", "see you at home tonight, love"]})
    assert spam["probability_spam"][0] > spam["probability_spam"][1]


def test_the_same_seed_gives_the_same_bits(adult_small, tmp_path):
    runs = [
        assay.fit(adult_small, "income", out=tmp_path / name, seed=seed, overrides=SMALL)
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    ]
    files = [
        {name: run.bundle.manifest.files[name].sha256 for name in ("model.onnx", "weights.safetensors")} for run in runs
    ]
    assert files[0] == files[1]
    assert files[0]["weights.safetensors"] != files[2]["weights.safetensors"]
    assert files[0]["model.onnx"] != files[2]["model.onnx"]
