"""`assay synthesise` from a file to rows and a page, by every method."""

import json
import re

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli.app import main
from assay.synth import tvae


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """300 made-up people in a CSV: ids, numbers, gaps, words, dates, an unequal target."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 300)
    frame = pl.DataFrame(
        {
            "person_id": [f"P-{at:05d}" for at in rng.choice(90_000, 300, replace=False)],
            "age": age,
            "income": np.where(rng.random(300) < 0.1, np.nan, np.round(np.exp(rng.normal(7, 0.5, 300)), 2)),
            "city": rng.choice(["Aix", "Ulm", "Ypres"], 300, p=[0.6, 0.3, 0.1]),
            "since": [f"{y}-{m:02d}-11" for y, m in rng.integers([2001, 1], [2020, 13], (300, 2))],
            "ill": np.where(rng.random(300) < age / 250, "yes", "no"),
        }
    ).with_columns(pl.col("income").fill_nan(None))
    path = tmp_path_factory.mktemp("people") / "people.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    return assay.synthesise(people, "ill", rows=150, method="copula", out=tmp_path_factory.mktemp("made") / "rows")


def test_rows_look_like_the_real_ones(made, people):
    real, frame = pl.read_csv(people), made.frame
    assert frame.schema == real.schema
    assert frame.height == 150
    assert frame["person_id"].str.contains(r"^P-\d{5}$").all()
    assert not set(frame["person_id"]) & set(real["person_id"])
    assert frame["age"].is_between(18, 79).all()
    assert set(frame["city"].unique()) <= {"Aix", "Ulm", "Ypres"}
    assert frame["since"].str.contains(r"^20[01]\d-\d\d-\d\d$").all()
    assert 0 < frame["income"].null_count() < 40
    present = frame["income"].drop_nulls()
    assert np.array_equal(present.round(2), present)


def test_the_record_says_what_was_found(made):
    quality = made.quality
    assert (quality.fit_rows, quality.held_back_rows, quality.rows, quality.tested_rows) == (240, 60, 150, 240)
    assert quality.made.chosen == "because you say so"
    assert quality.epsilon is None
    assert quality.membership.auroc.low < 0.55
    assert quality.closeness.copies == 0
    assert {column.name for column in quality.columns} == {"age", "income", "city", "since", "ill"}
    assert max(column.distance for column in quality.columns) < 0.15
    assert [verdict.practice for verdict in quality.ledger] == [
        "synth.held-back", "synth.utility", "synth.detection", "synth.copies", "synth.membership",
    ]  # fmt: skip
    assert json.loads((made.directory / "quality.json").read_text())["rows"] == 150
    assert sorted(path.name for path in made.directory.iterdir()) == ["quality.html", "quality.json", "synthetic.csv"]


def test_the_page_stands_alone_and_claims_nothing(made):
    page = (made.directory / "quality.html").read_text()
    assert "carry no privacy guarantee" in page
    assert not re.search(r"\bprivate\b", page)
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_the_same_seed_gives_the_same_bytes(made, people, tmp_path):
    again = assay.synthesise(people, "ill", rows=150, method="copula", out=tmp_path / "again")
    assert again.path.read_bytes() == made.path.read_bytes()
    assert again.quality.model_copy(update={"seconds": {}}) == made.quality.model_copy(update={"seconds": {}})
    other = assay.synthesise(people, "ill", rows=150, method="copula", out=tmp_path / "other", seed=1)
    assert other.path.read_bytes() != made.path.read_bytes()


def test_smote_adds_rows_to_the_small_class(people, tmp_path):
    made = assay.synthesise(people, "ill", rows=40, method="smote", out=tmp_path / "more", drop=("person_id",))
    assert made.frame["ill"].unique().to_list() == ["yes"]
    assert made.quality.made.augments
    assert made.quality.utility.synthetic_rows == made.quality.utility.real_rows + 40
    assert "person_id" not in made.frame.columns


def test_the_command_writes_parquet_and_says_what_it_found(people, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tvae, "_LEAST_STEPS", 50)
    monkeypatch.setattr(tvae, "_MOST_STEPS", 50)
    out = tmp_path / "rows"
    words = ["synthesise", str(people), "--target", "ill", "-n", "70", "--method", "tvae", "--format", "parquet"]
    assert main([*words, "--out", str(out), "--seed", "3", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "70 synthetic rows were made by a variational autoencoder (TVAE)" in said
    assert "carry no privacy guarantee" in " ".join(said.split())
    assert pl.read_parquet(out / "synthetic.parquet").height == 70


def test_json_is_one_object(people, tmp_path, capsys):
    assert (
        main(["synthesise", str(people), "--target", "age", "-n", "5", "--out", str(tmp_path / "o"), "--json", "-q"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "regression"
    assert found["made"]["method"] == "copula"
    assert found["made"]["chosen"].startswith("auto: fewer than 2,000 rows")


@pytest.mark.parametrize("form", ["joined", "columns"])
def test_rows_with_several_labels_are_written_as_they_came(tmp_path, form):
    rng = np.random.default_rng(0)
    minutes = rng.normal(100.0, 30.0, 300).round(1)
    war, long = rng.random(300) < 0.4, minutes > 110
    frame = pl.DataFrame({"minutes": minutes, "war": war.astype(int), "long": long.astype(int)})
    if form == "joined":
        words = [
            "|".join(name for name, has in (("long", a), ("war", b)) if has) for a, b in zip(long, war, strict=True)
        ]
        frame = frame.select("minutes", pl.Series("genres", words))
    frame.write_csv(tmp_path / "films.csv")
    target = "genres" if form == "joined" else "war,long"
    options = ["--target", target, "-n", "200", "--method", "copula", "--out", str(tmp_path / "made"), "--quiet"]
    options += ["--task", "multilabel"]
    assert main(["synthesise", str(tmp_path / "films.csv"), *options]) == 0
    quality = json.loads((tmp_path / "made" / "quality.json").read_text())
    made = pl.read_csv(tmp_path / "made" / "synthetic.csv").with_columns(pl.col(pl.String).fill_null(""))
    assert set(made.columns) == set(frame.columns)
    if form == "joined":
        made = made.with_columns(long=pl.col("genres").str.contains("long"), war=pl.col("genres").str.contains("war"))
        assert set(made["genres"]) == {"", "long", "war", "long|war"}
    assert (
        made.filter(made["long"].cast(bool))["minutes"].mean() > made.filter(~made["long"].cast(bool))["minutes"].mean()
    )
    assert quality["task"] == "multilabel"
    assert quality["utility"]["metric"] == "f1_micro"
    assert quality["utility"]["real"]["value"] > 0.5
    assert {column["name"].rpartition(": ")[2] for column in quality["columns"]} == {"minutes", "long", "war"}
