"""A table that is worked on in files gives the model that it gives in memory, and leaves no files behind."""

from __future__ import annotations

import pytest

import assay
from assay.ledger import Outcome
from assay.train.watch import Unwatched

QUICK = [
    "train.epochs=2",
    "train.threads=1",
    "evaluate.bootstrap=100",
    "evaluate.baselines=majority",
    "ensemble.folds=1",
]
#: Two kinds of networks, and a single one where no number of it is looked at.
TWO = [*QUICK, "ensemble.recipes=realmlp,mlp", "model.members=2"]
ONE = [*QUICK, "model.name=mlp", "model.members=1"]


@pytest.fixture(scope="module")
def runs(adult_small, tmp_path_factory):
    """The same fit in memory and in files."""
    folder = tmp_path_factory.mktemp("large")
    adult_small.write_parquet(folder / "rows.parquet")
    return [
        assay.fit(folder / "rows.parquet", "income", out=folder / f"of-{memory}" / "run", budget="none",
                  overrides=[*TWO, f"data.memory={memory}"])
        for memory in (1000, 0)
    ]  # fmt: skip


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


def test_the_model_is_the_same_to_the_last_bit(runs):
    one, other = ((run.directory / "model" / "weights.safetensors").read_bytes() for run in runs)
    assert one == other
    assert [model.scores for model in runs[0].scores] == [model.scores for model in runs[1].scores]
    assert runs[0].report().table_schema == runs[1].report().table_schema
    assert runs[0].report().findings == runs[1].report().findings
    assert runs[0].report().split == runs[1].report().split


def test_the_ledger_says_where_the_table_lay(runs):
    in_memory, in_files = (verdicts(run)["data.memory"] for run in runs)
    assert in_memory.outcome is Outcome.NOT_APPLICABLE
    assert in_files.outcome is Outcome.APPLIED
    assert "encoded rows lie in files" in in_files.reason


def test_no_files_stay_behind(runs):
    names = [sorted(path.name for path in run.directory.iterdir()) for run in runs]
    assert names[0] == names[1]


class Interrupts(Unwatched):
    """A watch in which Ctrl-C comes as a stage begins."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stage(self, name):
        if name == self.name:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["split", "calibrate"])
def test_an_interrupt_leaves_no_files(adult_small, tmp_path, stage):
    adult_small.write_parquet(tmp_path / "rows.parquet")
    options = {"overrides": [*ONE, "data.memory=0"], "watch": Interrupts(stage)}
    with pytest.raises(KeyboardInterrupt):
        assay.fit(tmp_path / "rows.parquet", "income", out=tmp_path / "run", **options)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    kept = [".run.partial"] if stage == "calibrate" else []  # what was trained can be gone on with
    assert sorted(path.name for path in tmp_path.iterdir()) == [*kept, "rows.parquet"]
    assert not [name for name in left if name.endswith((".bin", ".arrow", ".mmap", ".npy"))]
