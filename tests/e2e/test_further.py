"""Time that a small table leaves: further networks join the model, and a run that is killed among them goes on."""

import numpy as np
import polars as pl
import pytest

from assay.cli import main
from assay.runs import open_run

#: A budget that there is no need to wait for: networks end when they did not improve in an epoch.
OPTIONS = ["--budget", "90s", "--quiet", "ensemble.folds=2", "train.patience=1", "train.threads=1",
           "train.precision=float32", "train.checkpoint_every=0", "evaluate.bootstrap=100",
           "evaluate.baselines=majority"]  # fmt: skip
TOLD = "and for the time left further networks on the same folds: "


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(160, 3))
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.sin(2 * x[:, 0]) + x[:, 1] ** 2}).write_csv(path)
    return path


def trained(run):
    """The names of the networks, in the order of their training."""
    verdict = next(each for each in run.report().ledger if each.practice == "search.recipes")
    assert TOLD in verdict.reason
    return verdict.reason.partition(TOLD)[2].split(", ")


def test_networks_of_the_portfolio_join_those_of_the_plan_and_outlive_a_kill(table, tmp_path, kill_once_there):
    killed = tmp_path / "killed"
    command = ["fit", str(table), "--target", "y", *OPTIONS, "--out", str(killed)]
    kill_once_there(command, tmp_path, ".killed*/checkpoints/mlp*2/step-*")
    assert main(["fit", "--resume", str(killed), "--quiet"]) == 0
    run = open_run(killed)
    names = trained(run)
    assert names[:2] == ["mlp", "mlp on plain numbers"]
    assert set(names[2:4]) == {"realmlp", "realmlp on plain numbers"}
    further = [name for name in names if name[-1].isdigit()]
    assert further[0].startswith("mlp")
    assert len(further) >= 3  # as many as may bring nothing
    assert run.report().parity.difference <= 1e-4
    assert sum(part.share for part in run.report().training.parts) == pytest.approx(1.0)
