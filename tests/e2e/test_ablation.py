"""What practices earned, from a run to a page: by the command, in Python, out of time, killed and gone on with."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import BundleError, ConfigError, DataError
from assay.evaluate.earned import Ablation, ablation_of
from assay.practices import PRACTICES
from assay.switches import SWITCHES

OPTIONS = [
    "model.name=mlp", "model.members=2", "model.width=16", "train.epochs=6", "train.threads=1", "train.lr=0.02",
    "train.batch=64", "ensemble.folds=1", "evaluate.baselines=majority", "evaluate.bootstrap=200",
]  # fmt: skip
ASKED = ("encode.impute", "train.clipping", "train.best-weights", "evaluate.calibration")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """400 rows: whether `gap` is missing tells the class 19 times out of 20, its value tells nothing."""
    draw = np.random.default_rng(0)
    missing = draw.random(400) < 0.5
    gap = np.where(missing, np.nan, draw.integers(0, 3, 400))
    y = np.where((draw.random(400) < 0.95) == missing, "yes", "no")
    frame = pl.DataFrame({"gap": gap, "x": draw.normal(size=400), "y": y}).with_columns(pl.col("gap").fill_nan(None))
    path = tmp_path_factory.mktemp("ablation") / "gaps.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "gaps"
    assay.fit(table, target="y", kinds={"gap": "number"}, out=out, budget="none", overrides=OPTIONS)
    return out


@pytest.fixture(scope="module")
def made(run):
    sums = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    made = assay.ablate(run, budget="none", seeds=1)
    assert {path.name: path.read_bytes() for path in (run / "model").iterdir()} == sums  # the bundle is as it was
    return made


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run that a test may write to."""
    shutil.copytree(run, tmp_path / "gaps", ignore=shutil.ignore_patterns("ablation*", ".ablation"))
    return tmp_path / "gaps"


def test_every_practice_that_was_applied_is_measured_or_says_why_not(made, run):
    report = assay.Report.read(run / "report.json")
    applied = {verdict.practice for verdict in report.ledger if verdict.outcome == "applied"}
    measured = {effect.practice for effect in made.effects}
    assert measured | {each.practice for each in made.unmeasured} == applied
    assert measured <= SWITCHES.keys()
    assert measured >= {"encode.impute", "encode.scale", "train.schedule", "train.clipping", "train.best-weights"}
    assert all(each.reason for each in made.unmeasured)
    assert made.complete
    assert (made.network, made.folds, made.seeds, made.rows) == ("mlp", 5, 1, 360)


def test_what_helps_is_told_from_what_does_nothing(made):
    found = {effect.practice: effect for effect in made.effects}
    impute = found["encode.impute"]
    assert impute.verdict == "helps"
    assert impute.without == "data.encode.missing_flags=false"
    assert impute.gain.low > 0.05
    assert impute.with_score - impute.without_score == pytest.approx(impute.gain.value)
    assert impute.by_rows.low > 0
    assert impute.proper.value > 0
    assert impute.pairs == 5
    idle = found["train.clipping"]
    assert idle.verdict == "no measurable effect"
    assert idle.gain.low <= 0 <= idle.gain.high
    assert found["evaluate.calibration"].metric == "log_loss"
    assert found["evaluate.calibration"].way == "computed anew"


def test_the_document_and_the_pages_say_the_same(made, run):
    assert ablation_of(run) == made
    page = (run / "ablation.html").read_text()
    assert "<script" not in page
    assert "no measurable effect" in page
    assert all(effect.practice in page for effect in made.effects)
    report = (run / "report.html").read_text()
    assert report.count("earned: ") == len(made.effects)
    assert "earned: " not in (run / "model" / "report.html").read_text()
    assert not (run / ".ablation").exists()


def test_the_command_prints_a_table_and_show_mentions_it(made, run, capsys):
    assert main(["show", str(run)]) == 0
    assert "Ablation" in capsys.readouterr().out
    assert main(["show", str(run), "--ablation"]) == 0
    shown = capsys.readouterr().out
    assert "encode.impute" in shown
    assert "no measurable effect" in shown
    assert "The test rows stayed sealed." in shown
    assert main(["show", str(run), "--ablation", "--json"]) == 0
    assert Ablation.model_validate(json.loads(capsys.readouterr().out)) == made
    assert main(["show", str(run), "--ledger"]) == 0
    assert "; earned: +" in " ".join(capsys.readouterr().out.split())


class Ending:
    """A watch that presses Ctrl-C when a stage begins."""

    def __init__(self, stage):
        self.name = stage

    def stage(self, name):
        if name == self.name:
            raise KeyboardInterrupt

    def epoch(self, record, of): ...

    def note(self, text): ...

    def steps(self, done, of, network=""): ...

    def close(self): ...


def test_an_interrupted_ablation_goes_on_to_the_same_numbers(copy, made, capsys):
    with pytest.raises(KeyboardInterrupt) as ended:
        assay.ablate(copy, watch=Ending("fold 3 of 5"), practices=ASKED, budget="none", seeds=1)
    assert ended.value.__notes__ == [f"What was trained is kept: `assay ablate {copy}` goes on."]
    kept = list((copy / ".ablation").glob("*.npz"))
    assert len(kept) == 2 * 3 + 1  # of two folds three settings each, and what one costs alone
    times = {path: path.stat().st_mtime_ns for path in kept}
    with pytest.raises(KeyboardInterrupt):
        assay.ablate(copy, watch=Ending("fold 4 of 5"), practices=ASKED, budget="none", seeds=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    command = ["ablate", str(copy), "--practices", ",".join(ASKED), "--budget", "none", "--seeds", "1", "--quiet"]
    assert main([*command, "--json"]) == 0
    again = Ablation.model_validate(json.loads(capsys.readouterr().out))
    whole = {effect.practice: effect for effect in made.effects}
    assert {effect.practice for effect in again.effects} == set(ASKED)
    assert again.unmeasured == ()
    for effect in again.effects:  # to the bit, in whatever company it was trained
        assert effect.gain == whole[effect.practice].gain
        assert effect.by_rows == whole[effect.practice].by_rows
        assert effect.passes == whole[effect.practice].passes
    assert not (copy / ".ablation").exists()
    assert assay.Report.read(copy / "report.json").split.opened == 1


def test_out_of_time_it_says_what_it_could_not_measure(copy):
    made = assay.ablate(copy, budget=0.001, seeds=1, practices=("encode.impute", "evaluate.calibration"))
    assert not made.complete
    assert [effect.practice for effect in made.effects] == ["evaluate.calibration"]
    assert "no time for two folds" in made.unmeasured[0].reason
    assert not (copy / ".ablation").exists()  # there is nothing in it to go on from


@pytest.mark.parametrize(
    ("practice", "told"),
    [("train.cliping", "Did you mean 'train.clipping'"), ("audit.duplicates", "it looks at the data"),
     ("encode.dates", "no other way to read a date")],
)  # fmt: skip
def test_a_practice_that_cannot_be_measured_is_refused(run, practice, told):
    with pytest.raises(ConfigError, match=told):
        assay.ablate(run, practices=[practice])


def test_a_practice_that_was_not_applied_says_so(copy):
    made = assay.ablate(copy, practices=["train.mixup"], budget="none")
    assert made.effects == ()
    assert made.unmeasured[0].reason == "the run did not apply it (skipped)"


def test_another_table_is_refused(run, table, tmp_path, capsys):
    other = tmp_path / "gaps.csv"
    other.write_text(table.read_text() + "1,0.5,yes\n")
    with pytest.raises(DataError, match="needs the table that the run was made from"):
        assay.ablate(run, other)
    assert main(["ablate", str(run / "model"), "--quiet"]) == 2
    assert "it is a bundle" in capsys.readouterr().err
    with pytest.raises(BundleError, match="there is no such directory"):
        assay.ablate(tmp_path / "none")
    assert main(["ablate", str(run), "--practices", " , "]) == 2


def test_the_registry_has_all_that_is_shown(made):
    assert {effect.practice for effect in made.effects} <= PRACTICES.keys()
