"""Any number of labels a row: from lists, joined words or columns of 0 and 1 to a bundle that answers alone."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from torch import nn

import assay
from assay.bundle.load import load
from assay.cli import main
from assay.errors import ConfigError, DataError
from assay.runs import evaluate

LABELS = ("drama", "funny", "long", "war")
FAST = [
    "model.name=mlp", "model.members=2", "ensemble.folds=1", "train.epochs=8", "evaluate.bootstrap=100",
    "ensemble.text_linear=true", "ensemble.trees=true", "data.encode.text_encoder=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def films():
    """400 films whose labels follow from words and length; some have none, and one has a label of its own."""
    rng = np.random.default_rng(0)
    words = {"drama": "tears", "funny": "laughs", "war": "soldiers"}
    rows = []
    for place in range(400):
        minutes = int(rng.integers(60, 240))
        labels = [label for label in words if rng.random() < 0.35] + ["long"] * (minutes > 150)
        told = " ".join([*(words[label] for label in labels if label in words), *rng.choice(["a", "film", "of"], 4)])
        rows.append({"plot": f"{told} {place % 37}", "minutes": minutes, "genres": labels + ["alone"] * (place == 7)})
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def run(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("films") / "run"
    return assay.fit(films, "genres", out=out, budget="none", overrides=FAST)


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


def test_it_learns_the_labels(run):
    report = run.report()
    assert (report.table_schema.task, report.table_schema.classes) == ("multilabel", LABELS)
    found = {model.name: {score.name: score.estimate for score in model.scores} for model in report.scores}
    assert set(found) == {"network", "label shares", "linear model", "boosted trees"}
    assert found["network"]["f1_micro"].value > 0.9
    assert found["network"]["f1_micro"].value > found["label shares"]["f1_micro"].value
    assert all(score.low <= score.value <= score.high for score in found["network"].values())
    assert report.primary == "f1_micro"


def test_networks_and_baselines_stand_on_a_leaderboard(run, capsys):
    from assay.cli.app import main

    report = run.report()
    board = {row.name: row for row in report.leaderboard.rows}
    assert {"the model", "mlp", "text linear", "trees", "label shares", "linear model"} <= set(board)
    assert (report.leaderboard.metric, report.leaderboard.rows[0].kind != "baseline") == ("f1_micro", True)
    in_model = [row for row in board.values() if row.share]
    assert all(row.test.value > 0.6 and row.predict_microseconds > 0 for row in in_model)
    whole = next(score.estimate for score in report.scores[0].scores if score.name == "f1_micro")
    assert board["the model"].test == whole
    if len(report.training.parts) == 1:  # a network alone is the whole model, thresholds included
        assert in_model[-1].test.value == whole.value
    assert report.selection.corrected.value <= report.selection.validation
    assert "thresholds are not chosen anew" in verdicts(run)["evaluate.selection-bias"].reason
    assert main(["show", str(run.directory), "--leaderboard"]) == 0
    assert "label shares" in capsys.readouterr().out


def test_the_closer_look_serves_several_labels(run):
    looked = run.report().inspection
    assert looked.slices.loss == "log loss"
    assert 0 <= looked.mistakes.wrong <= looked.mistakes.judged
    assert looked.robustness.score is not None


def test_the_ledger_says_what_was_taken_chosen_and_left_out(run):
    found = verdicts(run)
    assert "its cells are lists of labels" in found["data.labels"].reason
    assert "'alone' (1)" in found["data.labels"].reason
    assert found["data.labels"].outcome == "warned"
    assert "has the highest F1 on rows not learned from" in found["evaluate.thresholds"].reason
    assert "label shares differ" in found["split.stratified"].reason
    assert "temperature" in found["evaluate.calibration"].reason
    assert found["audit.label-errors"].outcome == "passed"
    assert found["search.trees"].outcome in ("applied", "warned")


def test_every_label_has_a_row_in_the_report(run):
    report = run.report()
    assert tuple(label.name for label in report.labels) == LABELS
    test_rows = report.split.test_rows
    assert all(0 < label.rows < test_rows and 0.0 < label.threshold < 1.0 for label in report.labels)
    page = (run.directory / "report.html").read_text()
    assert "Label by label" in page
    card = (run.directory / "model" / "card.md").read_text()
    assert "| label | test rows with it |" in card


def test_the_bundle_gives_lists_without_torch(run, films, tmp_path):
    assert run.bundle.verify() <= 1e-5
    films.head(40).write_parquet(tmp_path / "rows.parquet")
    program = (
        "import sys, assay, polars\n"
        f"answers = assay.load({str(run.directory)!r}).predict({str(tmp_path / 'rows.parquet')!r})\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers.schema["prediction"] == pl.List(pl.String)
    assert answers.columns == ["prediction", *(f"probability_{label}" for label in LABELS)]
    cuts = np.array(load(run.directory).manifest.thresholds, np.float32)
    stated = answers.drop("prediction").to_numpy()
    expected = [[label for label, given in zip(LABELS, row, strict=True) if given] for row in stated >= cuts]
    assert answers["prediction"].to_list() == expected


def test_the_file_alone_decides_as_the_bundle_does(run, films):
    session, bundle = run.bundle._session, run.bundle
    from assay.data.inputs import feed

    arrays = feed(films.head(20), bundle.manifest.inputs, bundle._readers)
    given, stated = session.run([bundle.manifest.output_prediction, bundle.manifest.output_probability], arrays)
    assert (given.astype(bool) == bundle.given(stated)).all()


def test_commands_write_words_and_score_new_rows(run, films, tmp_path, capsys):
    films.head(30).write_parquet(tmp_path / "new.parquet")
    answers = tmp_path / "answers.csv"
    assert main(["predict", str(run.directory), str(tmp_path / "new.parquet"), "-o", str(answers)]) == 0
    words = pl.read_csv(answers)["prediction"].fill_null("").to_list()
    assert words == ["|".join(labels) for labels in run.predict(films.head(30))["prediction"].to_list()]
    capsys.readouterr()
    assert main(["evaluate", str(run.directory), str(tmp_path / "new.parquet"), "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert [label["name"] for label in scored["labels"]] == list(LABELS)
    assert main(["show", str(run.directory)]) == 0
    shown = capsys.readouterr().out
    assert "precision" in shown
    assert "funny" in shown


def test_a_label_that_training_never_met_is_refused(run, films):
    strange = films.head(20).with_columns(genres=pl.lit(["drama", "western"]))
    with pytest.raises(DataError, match="'western'"):
        evaluate(run.directory, strange)
    known = films.head(20).with_columns(genres=pl.lit(["drama", "alone"]))  # left out of training, and no stranger
    assert {score.name for score in evaluate(run.directory, known).scores[0].scores} >= {"f1_macro"}


def test_joined_words_and_columns_are_the_same_task(films, tmp_path):
    small = [*FAST[:3], "train.epochs=2", "evaluate.bootstrap=100", "evaluate.baselines=majority", *FAST[-1:]]
    joined = films.with_columns(pl.col("genres").list.join("|")).drop("plot")
    joined.write_csv(tmp_path / "films.csv")
    first = assay.fit(tmp_path / "films.csv", "genres", out=tmp_path / "first", budget="none", overrides=small)
    assert first.report().table_schema.labelling.form == "joined"
    assert first.report().split.left_out == 0  # rows without a label are no rows without a target
    wide = films.select("minutes", *(pl.col("genres").list.contains(label).cast(int).alias(label) for label in LABELS))
    second = assay.fit(wide, list(LABELS), out=tmp_path / "second", budget="none", overrides=small)
    assert second.report().table_schema.target == "drama, funny, long and 1 more"
    assert set(second.predict(wide)["prediction"].explode().drop_nulls()) <= set(LABELS)
    assert "--target drama,funny,long,war" in second.report().command
    assert {score.name for score in evaluate(second.directory, wide, sealed=True).scores[0].scores} >= {"hamming_loss"}


@pytest.mark.parametrize("model", [None, nn.Linear])
def test_what_has_no_meaning_for_labels_is_refused(films, tmp_path, model):
    options = ["evaluate.baselines=majority", "train.select=metric"]
    with pytest.raises(ConfigError, match="chosen by its loss"):
        assay.fit(films, "genres", model=model, out=tmp_path / "run", budget="none", overrides=options)


def test_a_model_of_the_users_own_answers_with_a_logit_for_each_label(films, tmp_path):
    wide = films.select(
        "minutes",
        *(pl.col("plot").str.contains(word).alias(word) for word in ("tears", "laughs", "soldiers")),
        "genres",
    )
    given = assay.describe_inputs(wide, "genres")
    assert (given.outputs, given.has_labels) == (4, True)
    assert str(given).endswith("to return: a logit for each label, drama, funny, long, war, (rows, 4)")
    options = ["train.epochs=12", "train.lr=0.02", "evaluate.bootstrap=100", "evaluate.baselines=majority"]
    with pytest.raises(ConfigError, match=r"the sigmoid of each label itself.* but the module ends in Sigmoid"):
        assay.fit(
            wide, "genres", model=lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs), nn.Sigmoid()),
            out=tmp_path / "run", overrides=options,
        )  # fmt: skip

    def perceptron(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))

    run = assay.fit(wide, "genres", model=perceptron, out=tmp_path / "run", budget="none", overrides=options)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["f1_micro"] > 0.9
    assert run.report().parity.difference <= 1e-5
    assert run.predict(wide.head(3)).columns == ["prediction", *(f"probability_{label}" for label in LABELS)]


def test_a_table_of_pictures_has_labels(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    rows = []
    for place in range(120):
        pixels, labels = rng.normal(80, 20, (16, 16, 3)), []
        for label, part in (("top", (slice(0, 8),)), ("red", (slice(None), slice(None), 0))):
            if rng.random() < 0.5:
                pixels[part] += 110
                labels.append(label)
        image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{place}.png")
        rows.append({"picture": f"{place}.png", "things": labels})
    pl.DataFrame(rows).write_parquet(tmp_path / "things.parquet")
    options = ["train.epochs=12", "evaluate.bootstrap=100", "ensemble.backbone=none", "model.width=8"]
    run = assay.fit(tmp_path / "things.parquet", "things", out=tmp_path / "run", budget="none", overrides=options)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["f1_micro"] > 0.7
    answers = run.predict(tmp_path / "things.parquet")
    assert answers.columns == ["prediction", "probability_red", "probability_top"]
    assert run.bundle.verify() <= 1e-5


def test_what_practices_earned_is_measured_by_log_loss(tmp_path):
    draw = np.random.default_rng(5)
    seen = draw.normal(size=(300, 2))
    frame = pl.DataFrame({"u": seen[:, 0], "v": seen[:, 1], "topics": ["|".join(
        name for name, has in (("a", u > 0), ("b", v > 0), ("c", u + v > 1)) if has) for u, v in seen]})  # fmt: skip
    options = ["model.name=mlp", "model.members=2", "model.width=16", "ensemble.folds=1", "train.epochs=6",
               "evaluate.bootstrap=100", "evaluate.baselines=majority", "data.labels=|"]  # fmt: skip
    made = assay.ablate(
        assay.fit(frame, "topics", out=tmp_path / "run", budget="none", overrides=options).directory, frame,
        practices=["train.clipping", "train.best-weights", "evaluate.calibration"], budget="none", seeds=1,
    )  # fmt: skip
    assert made.label == "Log loss"
    effects = {effect.practice: effect for effect in made.effects}
    unmeasured = {each.practice: each.reason for each in made.unmeasured}
    assert not unmeasured
    assert effects["train.best-weights"].pairs == 5
    assert effects["evaluate.calibration"].way == "computed anew"
    assert effects["evaluate.calibration"].gain.low <= effects["evaluate.calibration"].gain.value
    assert all(effect.with_score > 0.0 for effect in made.effects)


def test_runs_are_compared_by_their_own_thresholds(run, capsys):
    assert main(["compare", str(run.directory), str(run.directory), "--json"]) == 0
    (family,) = json.loads(capsys.readouterr().out)["families"]
    assert (family["metric"], family["pairs"][0]["verdict"]) == ("f1_micro", "not distinguishable")
    told = next(score for score in run.scores[0].scores if score.name == "f1_micro").estimate.value
    assert family["scores"][0] == pytest.approx(told, abs=1e-6)
