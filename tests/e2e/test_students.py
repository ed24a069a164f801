"""One network that learned from an ensemble and is exported in its place, of every kind of rows and of targets."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import ConfigError
from assay.ledger import Outcome
from assay.runs import open_run

QUICK = ["ensemble.distill=true", "train.epochs=3", "train.threads=1", "train.precision=float32",
         "evaluate.bootstrap=100", "evaluate.baselines=majority"]  # fmt: skip
OPTIONS = [*QUICK, "ensemble.recipes=mlp,perceptron", "model.members=2"]


def numbers(rows=240):
    x = np.random.default_rng(0).normal(size=(rows, 3))
    return pl.DataFrame({f"x{at}": x[:, at] for at in range(3)})


def binary():
    frame = numbers()
    return frame.with_columns(y=pl.when(pl.col("x0") + pl.col("x1") > 0).then(pl.lit("up")).otherwise(pl.lit("down")))


def multiclass():
    return numbers().with_columns(y="class " + (pl.col("x0") + 0.5).clip(0, 2.99).cast(int).cast(str))


def regression():
    return numbers().with_columns(y=100.0 + 7.0 * pl.col("x0") - pl.col("x1"))


def texts():
    words = [["good", "fine", "lovely"], ["bad", "poor", "sad"], ["a", "the", "of", "it", "film", "plot", "end"]]
    draw = np.random.default_rng(1)
    said = [" ".join(draw.choice(words[at % 2], 2).tolist() + draw.choice(words[2], 6).tolist()) for at in range(200)]
    return pl.DataFrame({"said": said, "y": ["yes", "no"] * 100})


def labels():
    return numbers().with_columns(
        up=(pl.col("x0") + pl.col("x1") > 0).cast(int), far=(pl.col("x2").abs() > 1).cast(int)
    )


def series():
    """Sines of two frequencies with noise, a column a step."""
    draw = np.random.default_rng(0)
    fast = np.arange(90) % 2 == 0
    turns = np.where(fast, 4.0, 2.0)[:, None] * np.arange(24) / 24 + draw.random((90, 1))
    values = np.sin(2 * np.pi * turns) + 0.5 * draw.normal(size=(90, 24))
    return pl.DataFrame({f"t{step}": values[:, step] for step in range(24)} | {"y": np.where(fast, "fast", "slow")})


def pictures(folder):
    """Noise whose left half is brighter, or its right one: paths of pictures of 16 by 16."""
    image = pytest.importorskip("PIL.Image")
    draw, paths = np.random.default_rng(0), []
    for place in range(90):
        pixels = draw.normal(110, 40, (16, 16, 3))
        pixels[:, slice(0, 8) if place % 2 else slice(8, 16)] += 40
        paths.append(str(folder / f"{place}.png"))
        image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1])
    return pl.DataFrame({"image": paths, "y": ["right", "left"] * 45})


def days():
    """A season of a week with noise, a row a day."""
    step = np.arange(260)
    sold = 50 + 20 * np.sin(2 * np.pi * step / 7) + 5 * np.random.default_rng(0).normal(size=260)
    return pl.DataFrame({"day": [date.fromordinal(date(2024, 1, 1).toordinal() + int(at)) for at in step], "y": sold})


@dataclass(frozen=True)
class Case:
    """Rows, what is fitted to them and how, and how many answers they have of which five are shown."""

    make: object
    target: object = "y"
    options: list = field(default_factory=lambda: [*OPTIONS, "ensemble.folds=2"])
    more: dict = field(default_factory=dict)
    answers: int = 5


CASES = {
    "binary": Case(binary),
    "multiclass": Case(multiclass),
    "regression": Case(regression),
    "texts": Case(texts, more={"kinds": {"said": "text"}}),
    "labels": Case(labels, ["up", "far"]),
    "series": Case(series, options=[*QUICK, "ensemble.recipes=fcn", "model.width=4", "model.augment=warp",
                                    "model.members=2", "ensemble.folds=2"]),
    "pictures": Case(pictures, options=[*QUICK, "ensemble.recipes=cnn", "model.width=8", "model.augment=shift",
                                        "ensemble.backbone=none", "ensemble.views=none", "ensemble.folds=2"]),
    "forecast": Case(days, options=[*QUICK, "ensemble.recipes=dlinear,gru", "ensemble.ridge=false", "data.window=14",
                                    "model.members=4", "ensemble.bagging=true"],
                     more={"time": "day", "horizon": 4}, answers=4),
}  # fmt: skip
CHANGED = {"series": "warped windows", "pictures": "shifted by up to"}
MIXED = ("binary", "multiclass", "regression", "labels")


@pytest.mark.parametrize("kind", CASES)
def test_a_student_stands_in_the_place_of_the_ensemble(kind, tmp_path):
    case = CASES[kind]
    frame = pictures(tmp_path) if kind == "pictures" else case.make()
    run = assay.fit(
        frame, case.target, out=tmp_path / "run", budget="none", overrides=case.options, **case.more
    )  # fmt: skip
    report = run.report()
    (part,) = report.training.parts
    assert (part.name, part.members, part.share) == ("student", 1, 1.0)
    assert report.parity.difference <= 1e-4
    assert run.predict(frame.head(5) if kind != "forecast" else frame).height == case.answers

    found = report.distilled
    assert found.networks >= 2
    assert found.own_parameters == report.training.parameters < found.parameters
    assert (found.validation_rows, found.test_rows) == (report.split.valid_rows, report.split.test_rows)
    verdict = next(each for each in report.ledger if each.practice == "search.distillation")
    assert verdict.outcome in (Outcome.APPLIED, Outcome.WARNED)
    assert verdict.value == pytest.approx(found.validation.value)
    assert f"loses {found.validation.value:.4f}" in verdict.reason
    assert f" {found.validation_rows} validation {'windows' if kind == 'forecast' else 'rows'}, which" in verdict.reason
    assert found.echoed == (kind != "forecast")  # all others are in folds
    assert ("so that this flatters it" in verdict.reason) == found.echoed
    assert ("learned from were changed" in verdict.reason) == (kind in CHANGED)
    assert CHANGED.get(kind, "") in verdict.reason
    made = f"from these and {10 * report.split.train_rows:,} rows mixed of near ones, as the ensemble answers them"
    assert (made in verdict.reason) == ("better one on validation" in verdict.reason) == (kind in MIXED)

    rows = {row.kind: row for row in report.leaderboard.rows}
    teacher, own = rows["teacher"], rows["ensemble"]
    sign = 1.0 if report.leaderboard.higher_is_better else -1.0
    assert sign * (teacher.test.value - own.test.value) == pytest.approx(found.test.value, abs=1e-9)
    assert found.test.low <= found.test.value <= found.test.high
    assert own.fit_seconds > teacher.fit_seconds > 0.0
    assert teacher.bytes == 4 * found.parameters or teacher.bytes > 4 * found.own_parameters


@pytest.mark.parametrize("learning", ["student", "student on made rows"])
def test_a_run_killed_while_its_student_learns_goes_on_to_the_same_student(learning, tmp_path, capsys, kill_once_there):
    table = tmp_path / "rows.csv"
    binary().write_csv(table)
    own = [each for each in OPTIONS if not each.startswith("train.epochs")]
    options = [*own, "ensemble.folds=2", "train.epochs=12", "train.patience=12", "train.checkpoint_every=0"]
    whole = tmp_path / "whole"
    command = ["fit", str(table), "--target", "y", "--budget", "none", "--quiet", *options]
    assert main([*command, "--out", str(whole)]) == 0, capsys.readouterr().err
    shown = " ".join(capsys.readouterr().out.split())
    assert "Student One " in shown
    assert "sealed test rows; loses" in shown
    page = (whole / "report.html").read_text("utf-8")
    assert "stands in the place of" in page
    assert "learned from, not saved" in page

    killed = tmp_path / "killed"
    kill_once_there([*command, "--out", str(killed)], tmp_path, f".killed*/checkpoints/{learning}/step-*")
    assert not (killed / "model").exists()
    assert main(["fit", "--resume", str(killed), "--quiet"]) == 0
    one, other = (open_run(path) for path in (whole, killed))
    assert weights(whole) == weights(killed)
    assert one.report().distilled.test == other.report().distilled.test


def weights(run: Path) -> bytes:
    return (run / "model" / "weights.safetensors").read_bytes()


def test_a_model_that_is_one_network_already_is_left_as_it_is(tmp_path):
    options = [*QUICK, "model.name=mlp", "model.members=1", "ensemble.folds=1"]
    report = assay.fit(binary(), "y", out=tmp_path / "run", budget="none", overrides=options).report()
    verdict = next(each for each in report.ledger if each.practice == "search.distillation")
    assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, "the model is one network already")
    assert report.distilled is None


def test_what_a_student_cannot_learn_is_refused_before_anything_is_trained(tmp_path):
    frame = pl.DataFrame({"x": np.arange(60.0), "g": ["a", "b", "c"] * 20, "y": [0, 1] * 30})
    options = ["ensemble.distill=true", "train.fairness=reweigh"]
    with pytest.raises(ConfigError, match=r"train\.fairness=reweigh trains with an eye on groups"):
        assay.fit(frame, "y", out=tmp_path / "run", overrides=options, sensitive=["g"])
    assert not (tmp_path / "run").exists()
