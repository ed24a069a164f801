"""A training that is ended goes on where it was; what cannot be saved is said and does not end it."""

import json
import math
import os
import resource
import signal
import time

import pytest
import torch

from assay.data.encoding.batches import Resident
from assay.errors import BudgetError, CheckpointError, TerminatedError
from assay.ledger import Ledger, Outcome
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.state import Checkpoints, Standing, note_resumable, standing
from assay.train.watch import Recorder, Unwatched

IDENTITY = {"data": "d"}


class Heard(Unwatched):
    """A watch that remembers, and does something when an epoch ends."""

    def __init__(self, at=0, act=None):
        self.epochs, self.notes, self.at, self.act = [], [], at, act

    def epoch(self, record, of):
        self.epochs.append((record.epoch, record.valid_loss))
        if record.epoch == self.at:
            self.act()

    def note(self, text):
        self.notes.append(text)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def train_on(network, train, valid):
    """Train the same network on the same rows, with a place for checkpoints or none."""

    def trained(checkpoints=None, *, watch=None, budget=None, epochs=6, width=16):
        made = network(name="mlp", dropout=0.1, width=width)
        config = TrainConfig(epochs=epochs, patience=epochs, batch=32, lr=0.01, threads=1)
        found = fit(
            made, Resident(train), Resident(valid), config, alike(1, config, dropout=0.1, seed=0), seed=0,
            budget=budget or Budget(None), watch=watch or Unwatched(), checkpoints=checkpoints,
        )  # fmt: skip
        return made, found

    return trained


@pytest.fixture
def place(tmp_path):
    return lambda every=0.0, tell=None: Checkpoints(
        tmp_path / "checkpoints", IDENTITY, every, tell=tell or (lambda text: None)
    )


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_terminated_it_goes_on_to_the_same_bits_and_the_watch_sees_every_epoch_once(train_on, place):
    whole, heard = Heard(), Heard(at=3, act=terminate)
    expected, one = train_on(watch=whole)
    with pytest.raises(TerminatedError, match=r"SIGTERM\) after 25 steps. The checkpoint of step 25 holds what was"):
        train_on(place(every=1e9), watch=heard)
    assert heard.epochs == whole.epochs[:3]
    heard = Heard()
    found, other = train_on(place(every=1e9), watch=heard)
    assert same(found, expected)
    assert heard.epochs == whole.epochs
    assert (other.steps, other.best_epochs, other.stopped) == (one.steps, one.best_epochs, one.stopped)


def test_a_finished_training_is_not_trained_again(train_on, place, tmp_path):
    expected, one = train_on(place())
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("step-*")}
    heard = Heard()
    found, other = train_on(place(), watch=heard)
    assert same(found, expected)
    assert other.epochs == one.epochs
    assert [epoch for epoch, _ in heard.epochs] == [1, 2, 3, 4, 5, 6]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("step-*")} == written


def test_terminated_in_the_last_validation_it_ends_as_it_was_asked_to(train_on, place):
    with pytest.raises(TerminatedError, match="step 48"):
        train_on(place(), watch=Heard(at=6, act=terminate))


def test_terminated_without_a_place_for_checkpoints_it_keeps_the_best_so_far(train_on):
    for at in (3, 6):
        assert train_on(watch=Heard(at=at, act=terminate))[1].interrupted


def test_without_time_a_training_that_was_begun_ends_with_its_best_weights(train_on, place):
    spent = Budget(1.0, started=time.monotonic() - 10.0)
    with pytest.raises(BudgetError):
        train_on(place(), budget=spent)
    with pytest.raises(TerminatedError):
        train_on(place(), watch=Heard(at=3, act=terminate), epochs=1000)
    _, found = train_on(place(), budget=spent, epochs=1000)
    assert found.stopped == "the time budget was used up"
    assert [record.epoch for record in found.epochs] == [1, 2, 3, 4]
    losses = [record.valid_loss for record in found.epochs]
    assert found.best_epoch == 1 + losses.index(min(losses))


# A full disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk():
    """Switch a limit on the size of files on and off: it stands in for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda is_full: resource.setrlimit(resource.RLIMIT_FSIZE, (100 if is_full else soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_once_and_does_not_end_the_training(train_on, place, full_disk, tmp_path):
    heard = Heard(at=2, act=lambda: full_disk(True))
    checkpoints = place(tell=heard.note)
    found, trained = train_on(checkpoints, watch=heard)
    full_disk(False)
    assert same(found, train_on()[0])
    folder = tmp_path / "checkpoints"
    assert heard.notes == [
        f"a checkpoint could not be written (File too large: {folder}); training goes on, and it is tried again"
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["step-000000000015", "step-000000000016"]
    assert checkpoints.tally.refused == trained.steps - 16 + 1
    ledger = Ledger()
    note_resumable(ledger, checkpoints, [])
    assert ledger["run.resumable"].outcome is Outcome.WARNED
    assert "33 checkpoints could not be written (File too large)" in ledger["run.resumable"].reason


def test_terminated_on_a_full_disk_it_says_what_there_is(train_on, place, full_disk):
    full_disk(True)
    with pytest.raises(TerminatedError, match="No checkpoint could be written, so it must be begun anew"):
        train_on(place(every=1e9), watch=Heard(at=1, act=terminate))
    full_disk(False)
    with pytest.raises(TerminatedError, match=r"after 17 steps. The checkpoint of step 16 holds what was done"):
        train_on(place(), watch=Heard(at=2, act=lambda: (full_disk(True), terminate())))
    full_disk(False)  # before pytest writes of this test: its own output may go to a file


def test_epochs_that_a_full_disk_keeps_back_are_written_later(train_on, full_disk, tmp_path):
    heard, path = Heard(at=2, act=lambda: full_disk(True)), tmp_path / "metrics.jsonl"
    path.write_text("from before\n")

    class Mended(Recorder):
        def epoch(self, record, of):
            if record.epoch == 5:
                full_disk(False)
            super().epoch(record, of)

    recorder = Mended(heard, path)
    train_on(watch=recorder)
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert heard.notes == [f"the epochs could not be written (File too large: {path}); it is tried again"]
    full_disk(True)
    recorder._held = b"x" * 200
    with pytest.raises(OSError, match="File too large"):
        recorder.flush()
    full_disk(False)


# Where a run stands ---------------------------------------------------------------------------------------------------


def test_a_run_stands_where_its_networks_stand(train_on, place, tmp_path):
    assert standing(tmp_path) == Standing(0, 0.0)
    run = place()
    began = time.monotonic() - 100.0
    train_on(run.within("first"), budget=Budget(1e6, began))
    with pytest.raises(TerminatedError):
        train_on(run.within("second"), watch=Heard(at=2, act=terminate), budget=Budget(1e6, began))
    stands = standing(tmp_path)
    assert stands.steps == 48 + 17
    assert 100.0 < stands.used <= time.monotonic() - began
    (tmp_path / "checkpoints" / "second" / "step-000000000017" / "state.json").write_text("{}")
    assert standing(tmp_path).steps == 48 + 16


def test_another_network_does_not_go_on_from_it(train_on, place):
    train_on(place())
    with pytest.raises(CheckpointError, match=r"of the network that goes on from it, but .* of shape \(1, .*16"):
        train_on(place(), width=8)


def test_what_a_killed_process_was_writing_goes_with_the_next_checkpoint(train_on, place, tmp_path):
    (tmp_path / "checkpoints" / "step-000000000003.partial").mkdir(parents=True)
    train_on(place())
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000000000047", "step-000000000048",
    ]  # fmt: skip


def test_a_damaged_checkpoint_is_passed_over_aloud(train_on, place):
    with pytest.raises(TerminatedError):
        train_on(place(), watch=Heard(at=2, act=terminate))
    heard = Heard()
    checkpoints = place(tell=heard.note)
    (checkpoints.directory / "step-000000000017" / "tensors.safetensors").write_bytes(b"")
    assert same(train_on(checkpoints)[0], train_on()[0])
    assert heard.notes == [
        "the checkpoint step-000000000017 is damaged (tensors.safetensors is not as it was written); the one before it "
        "was taken"
    ]


@pytest.mark.parametrize("value", [12.5, math.inf])
def test_what_is_kept_is_what_it_was_the_first_time(place, value):
    assert place().kept("seconds", value) == value
    assert place().kept("seconds", 3.0) == value
    (place().directory / "seconds.json").write_text("")
    assert place().kept("seconds", 4.0) == 4.0


@pytest.mark.parametrize(
    ("every", "resumed", "words"),
    [
        (30.0, [], "a checkpoint every 30 s; the run was never stopped"),
        (0.0, [9], "a checkpoint after every step; the run was resumed once, from step 9"),
        (0.5, [9, 1200], "a checkpoint every 0.5 s; the run was resumed 2 times, from step 9, 1,200"),
    ],
)
def test_the_verdict_tells_how_often_and_from_where(place, every, resumed, words):
    ledger = Ledger()
    note_resumable(ledger, place(every), resumed)
    verdict = ledger["run.resumable"]
    assert (verdict.outcome, verdict.reason, verdict.value) == (Outcome.APPLIED, words, len(resumed))
