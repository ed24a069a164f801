"""Settings searched from a table to a tested model: by the command, in Python, killed and gone on with."""

import json

import numpy as np
import polars as pl
import pytest

pytest.importorskip("optuna")

import assay
from assay.cli import main
from assay.errors import ConfigError, DataError
from assay.studies import open_study

FIXED = ["model.name=mlp", "train.epochs=3", "train.threads=1", "ensemble.folds=1", "evaluate.baselines=majority"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """200 rows whose class is the sign of a sum of two of four columns, in a file."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    frame = pl.DataFrame({f"x{at}": x[:, at] for at in range(4)} | {"y": np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")})
    path = tmp_path_factory.mktemp("tune") / "signs.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def tuned(table, tmp_path_factory):
    """A study of five trials by the command line, with its run."""
    out = tmp_path_factory.mktemp("study") / "signs"
    command = ["tune", str(table), "--target", "y", "--over", "train.lr,model.width=16|32", "--trials", "5", "--folds",
               "2", "--budget", "none", "--out", str(out), "--quiet", *FIXED]  # fmt: skip
    assert main(command) == 0
    return out


def test_a_study_leaves_trials_the_best_setting_a_page_and_a_run(tuned):
    study = open_study(tuned)
    assert study.file.ended == "trials"
    assert study.states == {"complete": 5, "pruned": 0, "failed": 0}
    trials = pl.read_parquet(tuned / "trials.parquet")
    assert trials["number"].to_list() == [0, 1, 2, 3, 4]
    assert trials.columns[:3] == ["number", "state", "value"]
    assert study.best.value == trials["value"].max()
    assert study.default.number == 0
    assert study.default.trial.options == {"train.lr": 0.002, "model.width": 32}
    chosen = study.file.selection
    assert (chosen.settings, chosen.left_out) == (5, 0)
    assert chosen.validation == pytest.approx(study.best.value)
    assert chosen.corrected.value == pytest.approx(chosen.validation - chosen.flattery)
    assert "<script" not in (tuned / "report.html").read_text()
    assert study.run.report().training.parts[0].options["model.width"] == study.options["model.width"]
    assert study.run.report().split.opened == 1


def test_the_best_setting_is_a_configuration_of_fit(tuned):
    from assay.compose.hydra_io import compose

    config, study = compose(None, tuned / "best.yaml"), open_study(tuned)
    assert config.train.lr == study.options["train.lr"]
    assert config.model.width == study.options["model.width"]
    assert config.model.name == "mlp"


def test_a_study_is_shown(tuned, capsys):
    assert main(["show", str(tuned)]) == 0
    shown = capsys.readouterr().out
    assert "trials: 5 complete; tpe" in shown
    assert f"best: trial {open_study(tuned).best.number}, AUROC" in shown
    assert main(["show", str(tuned), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["ended"] == "trials"
    assert len(content["table"]) == 5


def test_a_finished_study_tries_more_only_when_asked(tuned, table, capsys):
    assert main(["tune", "--resume", str(tuned)]) == 2
    assert "is finished" in capsys.readouterr().err
    assert main(["tune", str(table), "--target", "y", "--out", str(tuned)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["tune", "--resume", str(tuned), "--over", "train.lr"]) == 2
    assert "--over is given beside --resume" in capsys.readouterr().err


class Ending:
    """A watch that presses Ctrl-C when so many trials are done."""

    def __init__(self, after):
        self.after = after

    def stage(self, name): ...

    def epoch(self, record, of): ...

    def note(self, text): ...

    def close(self): ...

    def steps(self, done, of, network=""):
        if network.startswith("best") and done >= self.after:
            raise KeyboardInterrupt


def searched(table, out, **more):
    asked = {"over": ["train.lr,model.width=16|32,model.dropout"], "trials": 14, "folds": 2, "budget": "none",
             "fit_best": False, "overrides": FIXED[:3]}  # fmt: skip
    return assay.tune(table, "y", out=out, **asked, **more)


def test_an_interrupted_study_goes_on_to_the_same_trials(table, tmp_path):
    with pytest.raises(KeyboardInterrupt) as ended:
        searched(table, tmp_path / "a", watch=Ending(10))
    assert ended.value.__notes__ == [f"What was tried is kept: go on with `assay tune --resume {tmp_path / 'a'}`."]
    assert open_study(tmp_path / "a").file.ended == ""
    done = assay.tune(resume=tmp_path / "a")
    whole = searched(table, tmp_path / "b")
    apart = pl.exclude("seconds")
    assert done.trials.select(apart).equals(whole.trials.select(apart))
    more = assay.tune(resume=tmp_path / "a", trials=15)
    assert more.trials.height == 15


def test_a_study_does_not_go_on_with_other_data(table, tmp_path):
    own = tmp_path / "own.csv"
    own.write_bytes(table.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        searched(own, tmp_path / "a", watch=Ending(1))
    text = own.read_text()
    own.write_text(text.replace("yes", "no", 1).replace("no", "yes", 1) + "")
    changed = text.splitlines()
    changed[1], changed[2] = changed[2], changed[1]
    own.write_text("\n".join(changed) + "\n")
    with pytest.raises(DataError, match="the data it began with"):
        assay.tune(resume=tmp_path / "a")


def test_a_frame_is_given_again(table, tmp_path):
    frame = pl.read_csv(table)
    with pytest.raises(KeyboardInterrupt):
        searched(frame, tmp_path / "a", watch=Ending(1))
    with pytest.raises(ConfigError, match=r"assay.tune\(data, resume="):
        assay.tune(resume=tmp_path / "a")
    assert assay.tune(frame, resume=tmp_path / "a").trials.height == 14


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--over", "train.lrr"], "Did you mean 'train.lr'"),
        (["--over", "train.lr", "train.lr=0.1"], "either set or searched"),
        (["--sampler", "tpee"], "Did you mean 'tpe'"),
        (["--prune", "ashaa"], "Did you mean 'asha'"),
        (["--prune", "wilcoxon", "--folds", "1"], "compares folds"),
        (["--metric", "rmse"], "Choose one of accuracy"),
        (["--trials", "0"], "--trials must be 1 or more"),
        (["--jobs", "2", "--prune", "asha"], "compares the trials of one process"),
        (["--over", "train.lr", "--space", "space.yaml"], "one space"),
        (["--budget", "none"], "neither --trials nor a --budget"),
        (["--storage", "mysql://me:secret@host/x", "--trials", "2"], "SQLite or PostgreSQL"),
        (["--sampler", "grid", "--budget", "40s", "--over", "train.lr,model.width,model.layers,train.weight_decay"],
         "settings at about"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_tried(table, tmp_path, capsys, arguments, said):
    out = tmp_path / "study"
    assert main(["tune", str(table), "--target", "y", "--out", str(out), "--quiet", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error
    assert not out.exists()
