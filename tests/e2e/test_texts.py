"""Texts, alone and beside other columns, from a table to a bundle that answers without torch."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import assay
from assay.errors import BundleError

FAST = [
    "model.name=mlp", "model.members=2", "ensemble.folds=1", "train.epochs=12", "evaluate.bootstrap=100",
    "evaluate.baselines=[majority, linear]", "data.encode.text_window=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(reviews, small_encoder, tmp_path_factory):
    """A run on a text and a number, read by the small encoder."""
    out = tmp_path_factory.mktemp("texts") / "run"
    options = [*FAST, f"data.encode.text_encoder={small_encoder}", "ensemble.tuned_layers=2"]
    return assay.fit(reviews, "verdict", out=out, budget="none", overrides=options)


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


def test_it_learns_what_decides(run):
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["accuracy"] > 0.85
    assert {part.name for part in run.report().training.parts} <= {"mlp", "text linear", "tuned text encoder"}


def test_the_ledger_names_the_encoder_and_the_linear_model(run):
    found = verdicts(run)
    assert "sha256" in found["text.encoder"].reason
    assert found["text.ngrams"].outcome == "applied"
    assert found["text.length"].outcome == "passed"
    assert 0.0 <= found["search.text-linear"].value <= 1.0
    assert "its last 2 layers were trained for 4 epochs" in found["search.text-tuning"].reason


def test_the_closer_look_misspells_texts(run):
    looked = run.report().inspection
    assert {"typos", "cells missing"} <= {harm.kind for harm in looked.robustness.harms}
    verdict = verdicts(run)["evaluate.bias-variance"]
    assert (looked.diagnosis is None) == (verdict.outcome == "skipped")


def test_the_bundle_has_its_tokenizer_and_verifies(run, small_encoder):
    manifest = json.loads((run.directory / "model" / "manifest.json").read_text())
    assert "tokenizer.json" in manifest["files"]
    assert run.bundle.verify() <= 1e-5
    (review,) = (item for item in run.bundle.manifest.inputs if item.name == "review")
    assert (review.window, review.buckets) == (32, 0)
    assert (run.directory / "model" / "tokenizer.json").read_text() == (small_encoder / "tokenizer.json").read_text()


def test_a_lean_copy_reads_texts_too(run, tmp_path):
    copy = assay.load(run.save(tmp_path / "lean", lean=True))
    assert set(run.bundle.manifest.files) - set(copy.manifest.files) == {"weights.safetensors", "report.html"}
    assert copy.verify() == run.bundle.verify()


def test_answers_need_no_torch_and_do_not_depend_on_company(run, reviews, tmp_path):
    texts = ["The film was not very bad!", "", None, "good " * 400, "日本語 \U0001f600 שלום", "The plot is dull."]
    rows = pl.DataFrame({"review": texts, "stars": [3, None, 1, 5, 2, 1]})
    rows.write_parquet(tmp_path / "rows.parquet")
    program = (
        "import sys, assay, polars\n"
        f"rows = polars.read_parquet({str(tmp_path / 'rows.parquet')!r})\n"
        f"answers = assay.load({str(run.directory)!r}).predict(rows)\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    together = pl.read_parquet(tmp_path / "answers.parquet")
    alone = pl.concat([run.predict(rows.slice(place, 1)) for place in range(rows.height)])
    names = [name for name in together.columns if name.startswith("probability_")]
    np.testing.assert_allclose(together.select(names).to_numpy(), alone.select(names).to_numpy(), atol=1e-5)
    assert together["prediction"][-1] == "not liked"


def test_a_bundle_without_its_tokenizer_is_refused(run, tmp_path):
    import shutil

    copy = shutil.copytree(run.directory / "model", tmp_path / "model")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"must hold tokenizer\.json"):
        assay.load(copy)


def test_only_what_the_model_reads_is_asked_for(reviews, tmp_path):
    options = [*FAST, "data.encode.text_encoder=none", "ensemble.text_linear=false"]
    run = assay.fit(reviews, "verdict", out=tmp_path / "run", budget="none", overrides=options)
    (review,) = (item for item in run.bundle.manifest.inputs if item.name == "review")
    assert (review.grams, review.window, review.buckets) == (0, 0, 256)
    assert verdicts(run)["search.text-linear"].outcome == "skipped"
    assert not (run.directory / "model" / "tokenizer.json").exists()


def test_a_regression_of_texts(reviews, tmp_path):
    options = [*FAST, "data.encode.text_encoder=none"]
    run = assay.fit(
        reviews.drop("verdict"), "stars", task="regression", out=tmp_path / "run", budget="none", overrides=options
    )
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["r2"] > 0.2


def test_networks_of_words_read_the_texts_and_stand_in_the_bundle(reviews, tmp_path):
    options = [
        "model.name=text_cnn", "model.width=16", "model.embedding=16", "train.epochs=14", "train.batch=16",
        "evaluate.bootstrap=100", "evaluate.baselines=[majority]", "ensemble.text_linear=false",
        "data.encode.text_words=8", "model.augment_text=light",
    ]  # fmt: skip
    rows = reviews.with_columns(pl.lit("very short").alias("note"))
    rows[5, "review"] = "The film is good! " * 30
    kinds = {"review": "text", "note": "text"}
    run = assay.fit(rows, "verdict", out=tmp_path / "run", budget="none", kinds=kinds, overrides=options)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["accuracy"] > 0.8
    found = verdicts(run)
    assert found["text.words"].outcome == "applied"
    assert found["text.encoder"].outcome == "skipped"
    assert found["train.text-augmentation"].outcome == "applied"
    assert found["text.length"].outcome == "warned"
    assert "8 words" in found["text.length"].reason
    (review,) = (item for item in run.bundle.manifest.inputs if item.name == "review")
    assert (review.words, review.grams, review.window, review.buckets) == (8, 0, 0, 0)
    assert run.bundle.verify() <= 1e-5
    odd = pl.DataFrame(
        {"review": ["", None, "\U0001f600", "bad " * 50], "note": ["", "x", None, "שלום"], "stars": [3, None, 1, 5]}
    )
    together = run.predict(odd)
    alone = pl.concat([run.predict(odd.slice(place, 1)) for place in range(4)])
    names = [name for name in together.columns if name.startswith("probability_")]
    np.testing.assert_allclose(together.select(names).to_numpy(), alone.select(names).to_numpy(), atol=1e-5)


def test_a_study_of_texts_beside_other_columns_tries_networks_with_and_without_the_texts(
    reviews, small_encoder, tmp_path
):
    pytest.importorskip("optuna")
    options = ["model.name=mlp", "model.width=16", "train.epochs=3", f"data.encode.text_encoder={small_encoder}",
               "data.encode.text_window=32"]  # fmt: skip
    study = assay.tune(
        reviews, "verdict", out=tmp_path / "study", budget="none", trials=3, folds=2, fit_best=False, overrides=options
    )
    first, second, third = (each.trial for each in study.tried)
    assert first.options == second.options | {"model.reads_texts": True}
    assert (second.options["model.reads_texts"], third.options["model.reads_texts"]) == (False, False)
    parameters = study.trials["parameters"].to_list()
    assert parameters[1] < parameters[0]
