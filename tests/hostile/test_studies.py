"""Two processes at one study, and a disk that is full at any of its writes: clear words, and no trial is lost.

A limit of the size of files stands in for the full disk.
"""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("optuna")

from assay.runs import open_run
from assay.tuning.directory import open_study

SEARCH = [
    "tune", "rows.csv", "--target", "income", "--over", "train.lr,model.width=8|16", "--trials", "12", "--folds", "2",
    "--budget", "none", "--seed", "3", "--out", "study", "model.name=mlp", "train.epochs=2", "train.threads=1",
]  # fmt: skip
FULL = "error: there must be room on the disk, but it is full"
KEPT = "What was tried is kept: go on with `assay tune --resume study`."


@pytest.fixture(scope="module")
def rows(adult_small):
    """Few columns, so that exporting the network does not take long."""
    return adult_small.select("age", "education", "relationship", "income").head(300)


@pytest.fixture
def folder(tmp_path, rows):
    rows.write_csv(tmp_path / "rows.csv")
    return tmp_path


@pytest.fixture(scope="module")
def whole(_nursery, tmp_path_factory, rows):
    """The trials of a search that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    rows.write_csv(folder / "rows.csv")
    child = _nursery.assay(*SEARCH, "--no-fit", folder=folder)
    assert child.wait() == 0, child.err
    return trials_of(folder)


def trials_of(folder: Path) -> pl.DataFrame:
    return open_study(folder / "study").trials.select(pl.exclude("seconds"))


def limit_files(pid: int, size: int) -> None:
    """Files of the process may be this large."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def last_line(child) -> str:
    assert "Traceback" not in child.err
    return child.err.splitlines()[-1]


# Two processes --------------------------------------------------------------------------------------------------------


def test_one_process_at_a_time_is_at_a_study(processes, folder, whole):
    first = processes.assay(*SEARCH, "--no-fit", folder=folder, pause="] search")  # stopped, it is at it all the same
    second = processes.assay(*SEARCH, "--no-fit", folder=folder)
    assert second.wait() == 2
    assert last_line(second) == (
        "error: the directory of a study must not exist yet, but 'study' is already there. Go on with `assay tune "
        "--resume study`, or name another."
    )
    third = processes.assay("tune", "--resume", "study", "--trials", "13", folder=folder)
    assert third.wait() == 2
    assert last_line(third) == (
        "error: one process at a time must go on with a study, but one is at 'study' just now. Wait for its end; "
        "`assay show` tells how far it is."
    )
    first.go_on()
    assert first.wait() == 0, first.err
    assert trials_of(folder).equals(whole)
    assert json.loads((folder / "study" / "study.json").read_text())["trials"] == 12


# A full disk ----------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_in_a_search_loses_no_trial(processes, folder, whole):
    """The journal, an answer, and a file of the end cannot be written, one after another."""
    child = processes.assay(*SEARCH, "--no-fit", folder=folder, pause="] search")
    limit_files(child.pid, 4_000)  # the rows that judge, but not what is answered for them
    child.go_on()
    assert child.wait() == 2
    assert last_line(child).startswith(FULL)
    assert last_line(child).endswith(KEPT)
    assert list((folder / "study").rglob("*.partial")) == []
    child = processes.assay("tune", "--resume", "study", folder=folder, pause="] search")
    limit_files(child.pid, (folder / "study" / "journal.log").stat().st_size + 100)  # a line breaks off
    child.go_on()
    assert child.wait() == 2
    assert last_line(child).startswith(FULL)
    child = processes.assay("tune", "--resume", "study", folder=folder, pause="the search is over")
    limit_files(child.pid, 2_000)  # less than study.json
    child.go_on()
    assert child.wait() == 2
    assert last_line(child).startswith(FULL)
    assert len(open_study(folder / "study").tried) == 12
    child = processes.assay("tune", "--resume", "study", folder=folder)
    assert child.wait() == 0, child.err
    assert trials_of(folder).equals(whole)


def test_a_disk_that_is_full_in_a_worker_is_told_in_words(processes, folder):
    words = [*SEARCH[:-3], "--jobs", "2", "--no-fit", *SEARCH[-3:]]
    child = processes.assay(*words, folder=folder, pause="] search")
    limit_files(child.pid, 4_000)
    child.go_on()
    assert child.wait() == 2
    assert last_line(child).startswith(FULL)
    assert last_line(child).endswith(KEPT)


def test_a_study_whose_model_finds_the_disk_full_makes_it_later(processes, folder):
    words = [word.replace("none", "60s") for word in SEARCH]
    child = processes.assay(*words, "evaluate.baselines=majority", "evaluate.bootstrap=100", folder=folder,
                            pause="] save")  # fmt: skip
    limit_files(child.pid, 10_000)
    child.go_on()
    assert child.wait() == 2
    assert last_line(child).startswith(FULL)
    study = open_study(folder / "study")
    assert (study.file.ended, len(study.tried), study.run) == ("trials", 12, None)
    assert not (folder / "study" / "run").exists()
    child = processes.assay("tune", "--resume", "study", "--budget", "none", folder=folder, pause="] train")
    assert child.send(signal.SIGKILL) == -signal.SIGKILL
    child = processes.assay("tune", "--resume", "study", folder=folder)
    assert child.wait() == 0, child.err
    assert open_run(folder / "study" / "run").bundle.verify() <= 1e-5
