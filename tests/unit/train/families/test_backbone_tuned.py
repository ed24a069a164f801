"""What further training of a backbone costs is measured, and how many passes there is time for follows from it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from assay.models.backbone import Enlarged, load_backbone
from assay.models.linear_head import LinearHead
from assay.train.families.backbone_head import LinearStart, sides_for
from assay.train.families.backbone_tuned import Cost, affordable, cost_of

timm = pytest.importorskip("timm")


def test_passes_are_what_is_left_beside_features_and_answers():
    cost = Cost(side=64, layers=2, learning=0.02, answering=0.01)
    assert cost.a_pass(1000, 100) == pytest.approx(21.0)
    # 1,300 pictures are answered once, which takes 13 s.
    assert cost.passes(76.0, 1000, 100, 200) == pytest.approx(3.0)
    assert cost.passes(5.0, 1000, 100, 200) == 0.0


def test_the_first_candidate_with_passes_enough_ends_the_search():
    asked = []

    def costs():
        for side, learning in ((128, 0.04), (96, 0.02), (64, 0.01)):
            asked.append(side)
            yield Cost(side, 2, learning, learning / 4)

    tried = affordable(costs(), 60.0, rows=800, judged=100, tested=100, least=3.0)
    assert asked == [128, 96]
    # 60 s without 1,000 answers of 10 ms each, over passes of 800 and 100 pictures.
    assert [(cost.side, n) for cost, n in tried] == [(128, pytest.approx(50 / 33)), (96, pytest.approx(55 / 16.5))]
    assert len(affordable(costs(), 10.0, rows=800, judged=100, tested=100, least=3.0)) == 3
    assert affordable(costs(), float("inf"), rows=8, judged=1, tested=1, least=3.0)[0][0].side == 128


@pytest.mark.parametrize(
    ("own", "most", "sides"),
    [(32, 128, [128, 96, 64]), (32, 96, [96, 64]), (80, 128, [128, 96]), (200, 128, [128]), (96, 96, [96])],
)
def test_pictures_are_enlarged_to_smaller_sides_but_never_made_smaller(own, most, sides):
    assert sides_for(torch.zeros(2, 3, own, own + 5, dtype=torch.uint8), most) == sides


def test_a_step_is_measured_on_a_copy(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    extractor = Enlarged(load_backbone("test_efficientnet", weights=path)[0], 64).eval()
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        before = extractor(pictures)
    width = before.shape[1]
    head = LinearHead(torch.zeros(width, 2), torch.zeros(2))
    start = LinearStart(extractor, np.zeros(width, np.float32), np.ones(width, np.float32), head)
    cost = cost_of(start, 48, 1, pictures, threads=1)
    assert (cost.side, cost.layers) == (48, 1)
    assert cost.learning > 0.0 < cost.answering
    assert extractor.side == 64
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    with torch.no_grad():
        assert torch.equal(extractor(pictures), before)
