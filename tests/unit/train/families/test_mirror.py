"""Whether pictures may be mirrored is told by what a quick model makes of mirror images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.pictures.picture import PictureFormat
from assay.data.schema import Kind
from assay.train.examples import Examples, Units
from assay.train.families.mirror import MirrorTest, mirror_test


def found_of(kind: str) -> Examples:
    """Pictures that are bright on the left or on the right, or at the top or at the bottom, with noise."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 300)
    pictures = rng.normal(90, 20, (300, 1, 8, 8))
    for picture, label in zip(pictures[:, 0], target, strict=True):
        half = slice(0, 4) if label else slice(4, 8)
        picture[(half, slice(None)) if kind == "tall" else (slice(None), half)] += 50
    media = (torch.from_numpy(pictures.clip(0, 255).astype(np.uint8)),)
    empty = torch.zeros(300, 0)
    inputs = Encoded(empty, empty, empty.int(), media)
    rows = Batch(inputs, torch.from_numpy(target.astype(np.int64)), None)
    train, valid = rows[:200], rows[200:]
    form = PictureFormat(height=8, width=8, channels=1)
    view = View((Input(name="image", kind=Kind.IMAGE, picture=form),), "pictures")
    encoder = SimpleNamespace(layout=Layout(0, 0, (), (view,)))
    return Examples(encoder, Units(), torch.zeros(2), Resident(train), valid, train.inputs, train.target)


def test_what_a_mirror_leaves_as_it_is_passes():
    found = mirror_test(found_of("tall"), seed=0)
    assert found.plain == found.mirrored == 1.0
    assert found.passed


def test_what_a_mirror_turns_into_the_other_class_does_not():
    found = mirror_test(found_of("wide"), seed=0)
    assert (found.plain, found.mirrored) == (1.0, 0.0)
    assert not found.passed
    assert found.told() == "a quick model scores 1.000 on validation pictures and 0.000 mirrored"


@pytest.mark.parametrize(("plain", "mirrored", "passes"), [(0.9, 0.7, True), (0.9, 0.6, False), (0.4, 0.6, True)])
def test_a_little_of_what_is_known_may_be_lost(plain, mirrored, passes):
    assert MirrorTest(plain, mirrored, 0.1).passed is passes
