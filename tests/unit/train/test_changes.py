"""Changed rows are a function of seed, epoch and step; a training on them that is ended goes on to the same bits."""

import os
import signal

import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.pictures.picture import PictureFormat
from assay.data.schema import Kind
from assay.errors import TerminatedError
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.train.augment.image_policy import ImagePolicy
from assay.train.augment.series_policy import SeriesPolicy
from assay.train.budget import Budget
from assay.train.changes import changed, policy_of
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched


def rows_of(media):
    rows = len(media)
    nothing = torch.zeros(rows, 0)
    target = torch.arange(rows) % 2
    return Batch(Encoded(nothing, nothing, torch.zeros(rows, 0, dtype=torch.int32), (media,)), target, None)


def pictures(rows=48):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (rows, 1, 8, 8), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("media", "policy"),
    [
        (pictures(), ImagePolicy(translate=2, drawn="trivial")),
        (torch.randn(48, 2, 20, generator=torch.Generator().manual_seed(0)), SeriesPolicy(jitter=1.0, slicing=0.5)),
    ],
)
def test_changes_follow_from_seed_epoch_and_step(media, policy):
    def seen(*at):
        return changed(rows_of(media), policy, *at).inputs.media[0]

    assert torch.equal(seen(3, 1, 2), seen(3, 1, 2))
    assert all(not torch.equal(seen(3, 1, 2), seen(*at)) for at in ((4, 1, 2), (3, 2, 2), (3, 1, 3)))
    rows = rows_of(media)
    assert torch.equal(changed(rows, policy, 3, 1, 2).target, rows.target)


def test_each_kind_of_network_has_its_policy():
    train = TrainConfig(pictures=ImagePolicy(erase=0.5), series=SeriesPolicy(jitter=0.5))
    cnn = policy_of(ModelConfig(name="cnn", augment="flip"), train, 24)
    assert cnn == ImagePolicy(flip="alternating", translate=2, erase=0.5)
    assert policy_of(ModelConfig(name="fcn", augment="none"), train, 24) == SeriesPolicy(jitter=0.5)
    assert policy_of(ModelConfig(name="mlp"), train, 24) is None
    assert policy_of(ModelConfig(name="cnn", augment="none"), TrainConfig(), 24) is None
    with pytest.raises(ValueError, match="'auto'"):
        policy_of(ModelConfig(name="cnn"), train, 24)


class EndsAt(Unwatched):
    """A watch that asks the training to end after an epoch."""

    def __init__(self, epoch):
        self.at = epoch

    def epoch(self, record, of):
        if record.epoch == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def trained_on(folder, watch):
    rows = rows_of(pictures())
    picture = PictureFormat(channels=1, height=8, width=8)
    layout = Layout(0, 0, (), (View((Input(name="photo", kind=Kind.IMAGE, picture=picture),), "pictures"),))
    model = ModelConfig(name="cnn", width=4, augment="flip", members=1)
    network = build(model, layout, torch.zeros(48, 0), outputs=2, prior=torch.zeros(2), seeds=[0], rows=rows.inputs)
    config = TrainConfig(
        epochs=4, patience=4, batch=16, lr=0.01, threads=1, mixup=0.4, cutmix=1.0,
        pictures=ImagePolicy(drawn="trivial"),
    )  # fmt: skip
    fit(
        network, Resident(rows), Resident(rows), config, alike(1, config, dropout=0.0, seed=0), seed=0,
        budget=Budget(None), watch=watch, policy=policy_of(model, config, 8),
        checkpoints=Checkpoints(folder, {"data": "d"}, 1e9, tell=lambda text: None),
    )  # fmt: skip
    return network


def test_ended_and_gone_on_with_mixed_pictures_have_the_same_bits(tmp_path):
    whole = trained_on(tmp_path / "whole", Unwatched())
    with pytest.raises(TerminatedError):
        trained_on(tmp_path / "ended", EndsAt(2))
    again = trained_on(tmp_path / "ended", Unwatched())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
