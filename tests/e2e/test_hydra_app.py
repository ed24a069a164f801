"""The example of a Hydra app of the user's own, run as its user runs it: a sweep over two rates."""

import subprocess
import sys
from pathlib import Path

import yaml

from assay.runs import open_run

APP = Path(__file__).parents[2] / "examples" / "hydra_app.py"
SMALL = [
    "model=mlp", "model.members=1", "ensemble.folds=1", "train.epochs=2", "budget=none", "evaluate.bootstrap=100",
    "evaluate.baselines=[majority]",
]  # fmt: skip


def app(folder, *overrides):
    return subprocess.run([sys.executable, APP, *overrides], cwd=folder, capture_output=True, text=True, check=False)


def test_a_sweep_makes_a_run_for_each_value(adult_small, tmp_path):
    adult_small.select("age", "education", "income").write_csv(tmp_path / "rows.csv")
    said = ["table.data=rows.csv", "table.target=income", *SMALL, "train.lr=1e-3,3e-3", "hydra.sweep.dir=sweep"]
    done = app(tmp_path, *said, "--multirun")
    assert done.returncode == 0, done.stderr
    for job, rate in ((0, 1e-3), (1, 3e-3)):
        run = open_run(tmp_path / "sweep" / str(job) / "run")
        assert run.report().config["train.lr"] == rate
        assert f"{run.directory.relative_to(tmp_path)}: " in done.stdout.replace(f"{tmp_path}/", "")
        saved = yaml.safe_load((tmp_path / "sweep" / str(job) / ".hydra" / "config.yaml").read_text())
        assert saved["train"]["lr"] == rate
        assert saved["train"]["batch"] == "???"  # left to the recipe


def test_the_config_is_shown_without_a_run(tmp_path):
    shown = app(tmp_path, "--cfg", "job", "model=tabm")
    assert shown.returncode == 0, shown.stderr
    assert yaml.safe_load(shown.stdout)["model"]["name"] == "tabm"


def test_what_is_out_of_range_is_said_in_our_words(tmp_path):
    done = app(tmp_path, "table.data=rows.csv", "table.target=y", "train.epochs=-3")
    assert done.returncode == 1
    assert "train.epochs must be a whole number, at least 1, at most 100000" in done.stderr
