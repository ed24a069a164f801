"""Views of a picture are taken where validation gains by more than its standard error, and there is the time."""

from types import SimpleNamespace

import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.models.picture_network import PictureNetwork
from assay.search.fit.views import choose_views
from assay.train.examples import Examples, Units
from assay.train.model import TrainedNetwork
from assay.train.part import Part


class Leftmost(PictureNetwork):
    """Calls a picture the brighter, the brighter its left edge is."""

    def __init__(self):
        super().__init__(members=1)
        self.reads = (0,)
        self.set_head(Layout(0, 0, ()), 1, 2, 8)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[[-1.0, 1.0]]]) / 20)

    def pooled(self, pictures):
        return pictures.float()[:, :, :, 0].mean((1, 2)).view(1, -1, 1) - 127


def examples_of(pictures, target):
    nothing = torch.zeros(len(target), 0)
    rows = Batch(Encoded(nothing, nothing, torch.zeros(len(target), 0, dtype=torch.int32), (pictures,)), target, None)
    picture = SimpleNamespace(kind="pictures")
    encoder = SimpleNamespace(layout=Layout(0, 0, (), (picture,)))
    return Examples(encoder, Units(), torch.zeros(2), Resident(rows), rows, rows.inputs, target)


@pytest.fixture
def noisy():
    """Pictures whose two edges tell the class, each with noise of its own."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(400) % 2
    edges = 110 + 34 * target.view(-1, 1) + 40 * torch.randn(400, 2, generator=generator)
    pictures = torch.full((400, 1, 4, 6), 127.0)
    pictures[:, 0, :, 0], pictures[:, 0, :, 5] = edges[:, :1], edges[:, 1:]
    return examples_of(pictures.clamp(0, 255).to(torch.uint8), target)


def chosen(found, asked="auto", *, mirror=True, seconds=float("inf")):
    ledger = Ledger()
    part = Part("cnn", ModelConfig(), None, None, 1, 2)
    trained = TrainedNetwork(Leftmost().eval(), part, 0.0, lambda seeds: Leftmost())
    (made,) = choose_views([trained], found, asked, mirror=mirror, tests=10, seconds=seconds, ledger=ledger)
    return made, ledger["search.views"]


def test_a_view_that_tells_more_is_taken(noisy):
    made, verdict = chosen(noisy)
    assert made.network.mirror
    assert made.make([0]).mirror
    assert verdict.outcome is Outcome.APPLIED
    assert "ms a picture; validation loss with the picture and its mirror image -0." in verdict.reason


def test_a_view_that_tells_nothing_is_not(noisy):
    pictures = noisy.valid.inputs.media[0].clone()
    pictures[:, :, :, 5] = torch.randint(0, 256, (400, 1, 1), generator=torch.Generator().manual_seed(1))
    made, verdict = chosen(examples_of(pictures, noisy.valid.target))
    assert not made.network.mirror
    assert verdict.value == 1.0


def test_without_time_or_on_request_there_is_one_view(noisy):
    made, verdict = chosen(noisy, seconds=0.0)
    assert made.network.views == 1
    assert "for 2 more there was no time" in verdict.reason
    made, verdict = chosen(noisy, "none")
    assert (made.network.views, verdict.outcome) == (1, Outcome.SKIPPED)
    made, _ = chosen(noisy, "shifts")
    assert made.network.views == 6
    made, _ = chosen(noisy, "shifts", mirror=False)
    assert made.network.views == 3
