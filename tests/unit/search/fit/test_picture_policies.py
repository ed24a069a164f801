"""Which changes of pictures are tried: mirroring that validation bears, and more where there is the time."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.pictures.picture import PictureFormat
from assay.data.schema import Kind
from assay.ledger import Ledger, Outcome
from assay.models.families import DEFAULTS
from assay.search.fit.picture_policies import choose_mirroring, seconds_to_save, with_policies
from assay.search.planning.jobs import Job, Plan
from assay.train.augment.image_policy import ImagePolicy
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples, Units
from assay.train.speed import seconds_a_pass
from assay.train.state import Checkpoints


def found_of(*, wide: bool) -> Examples:
    """Pictures of two classes that are bright on the left or on the right, or else at the top or at the bottom."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 300)
    pictures = rng.normal(90, 20, (300, 1, 8, 8))
    for picture, label in zip(pictures[:, 0], target, strict=True):
        half = slice(0, 4) if label else slice(4, 8)
        picture[(slice(None), half) if wide else (half, slice(None))] += 50
    media = (torch.from_numpy(pictures.clip(0, 255).astype(np.uint8)),)
    empty = torch.zeros(300, 0)
    rows = Batch(Encoded(empty, empty, empty.int(), media), torch.from_numpy(target.astype(np.int64)), None)
    train, valid = rows[:200], rows[200:]
    form = PictureFormat(height=8, width=8, channels=1)
    view = View((Input(name="image", kind=Kind.IMAGE, picture=form),), "pictures")
    encoder = SimpleNamespace(layout=Layout(0, 0, (), (view,)))
    return Examples(encoder, Units(), torch.zeros(2), Resident(train), valid, train.inputs, train.target)


def planned(augment="auto", **pictures) -> Plan:
    model = DEFAULTS["cnn"].model_copy(update={"width": 4, "augment": augment})
    train = TrainConfig(batch=50, pictures=ImagePolicy(**pictures), threads=1)
    return Plan((Job("cnn", model, train, 0.8),), 1, "")


def tried(found, budget=None, checkpoints=None, **said):
    ledger, plan = Ledger(), planned(**said)
    mirroring = choose_mirroring(found, plan, 0, ledger)
    made, told = with_policies(found, plan, mirroring, Budget(budget), checkpoints, 0)
    return made, told, ledger["train.mirroring"]


def test_what_a_mirror_leaves_as_it_is_is_mirrored_and_the_ledger_has_the_number():
    made, told, verdict = tried(found_of(wide=False))
    assert verdict.outcome is Outcome.APPLIED
    assert verdict.value == 0.0
    assert verdict.reason.endswith("1.000 on validation pictures and 1.000 mirrored, so pictures are mirrored")
    assert [(job.name, job.model.augment) for job in made.jobs] == [
        ("cnn", "flip"), ("cnn with squares cut out", "strong"), ("cnn with TrivialAugment", "trivial"),
    ]  # fmt: skip
    assert made.jobs[2].train.pictures.flip == "alternating"
    assert told.startswith("3 policies were tried in the time of ")


def test_what_a_mirror_confuses_is_not_and_other_changes_are_tried():
    made, _, verdict = tried(found_of(wide=True))
    assert verdict.outcome is Outcome.SKIPPED
    assert verdict.value == 1.0
    assert [(job.model.augment, job.train.pictures.erase) for job in made.jobs] == [
        ("shift", 0.0), ("shift", 0.5), ("none", 0.0),
    ]  # fmt: skip
    assert sum(job.share for job in made.jobs) == pytest.approx(0.8)
    assert seconds_to_save(made) == 2 * seconds_to_save(Plan(made.jobs[:2], 1, ""))


@pytest.mark.parametrize(("passes", "jobs"), [(10, 1), (59, 1), (61, 2), (179, 2), (181, 3)])
def test_the_time_of_a_pass_says_how_many_are_tried(passes, jobs, tmp_path):
    kept = Checkpoints(tmp_path, {}, 0.0)
    kept.kept("passes", passes)  # as a run that goes on finds it
    made, told, _ = tried(found_of(wide=True), budget=1e6, checkpoints=kept)
    assert len(made.jobs) == jobs
    if jobs == 1:
        assert told == f"no other changes were tried: there is time for {passes} passes, and two trainings need 30 each"


def test_without_time_nothing_is_tried_and_a_run_that_goes_on_keeps_to_that(tmp_path):
    kept = Checkpoints(tmp_path, {}, 0.0)
    first, told, _ = tried(found_of(wide=True), budget=0.0, checkpoints=kept)
    assert "time for 0 passes" in told
    again, _, _ = tried(found_of(wide=True), checkpoints=kept)
    assert again == first


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"augment": "flip"}, Outcome.APPLIED),
        ({"augment": "none"}, Outcome.SKIPPED),
        ({"flip": "random"}, Outcome.APPLIED),
    ],
)
def test_what_the_user_said_is_not_asked_of_validation(said, outcome):
    made, told, verdict = tried(found_of(wide=True), **said)
    assert (verdict.outcome, verdict.value, told) == (outcome, None, "")
    assert verdict.reason == f"pictures are {'' if outcome is Outcome.APPLIED else 'not '}mirrored, as the options say"
    assert len(made.jobs) == 1


def test_a_pass_is_timed_on_a_copy_without_a_trace():
    found, job = found_of(wide=True), planned("shift").jobs[0]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert 0.0 < seconds_a_pass(found, job.model, job.train, seed=0) < math.inf
    assert torch.equal(torch.get_rng_state(), state)
