"""A backbone that is trained further starts as the linear model of its features, and only its last layers learn."""

import pytest
import torch
from safetensors.torch import save_file

from assay.models.backbone import Enlarged, load_backbone
from assay.models.backbone_tuned import TunedBackbone, depths
from assay.models.linear_head import LinearHead

timm = pytest.importorskip("timm")

TINY = "test_efficientnet"


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model(TINY).state_dict(), path)
    return Enlarged(load_backbone(TINY, weights=path)[0], 48).eval()


@pytest.fixture(scope="module")
def pictures():
    drawn = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (6, 3, 32, 32), generator=drawn, dtype=torch.uint8)


@pytest.fixture
def tuned(extractor, pictures):
    with torch.no_grad():
        features = extractor(pictures)
    deviation = features.std(0)
    scale = torch.where(deviation > 1e-6, 1.0 / deviation, 0.0)
    network = TunedBackbone(extractor, 2, features.mean(0), scale, 3, (0,))
    network.reset([5], torch.tensor([0.1, 0.2, 0.3]))
    return network, features


NOTHING = torch.zeros(6, 0), torch.zeros(6, 0), torch.zeros(6, 0, dtype=torch.int32)


def test_it_starts_at_the_prior_and_then_as_the_linear_model(tuned, pictures):
    network, features = tuned
    torch.testing.assert_close(network(*NOTHING, pictures)[0], torch.tensor([0.1, 0.2, 0.3]).expand(6, 3))
    varied = (features.std(0) > 1e-6).float().unsqueeze(1)
    weight, bias = torch.randn(features.shape[1], 3) * varied, torch.randn(3)
    network.start_from(LinearHead(weight, bias))
    torch.testing.assert_close(network(*NOTHING, pictures)[0], features @ weight + bias, atol=1e-4, rtol=1e-4)


def test_the_last_layers_learn_and_the_frozen_backbone_does_not_change(tuned, extractor, pictures):
    network, features = tuned
    network.start_from(LinearHead(torch.randn(features.shape[1], 3), torch.zeros(3)))
    network.train()
    statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(*NOTHING, pictures).square().sum().backward()
    places = depths(network.extractor.backbone.network)
    last = max(places.values())
    for name, parameter in network.extractor.backbone.network.named_parameters():
        assert (parameter.grad is not None) == (places[name] > last - 2), name
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in network.named_buffers())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    with torch.no_grad():
        next(p for p in network.extractor.parameters() if p.requires_grad).add_(1.0)
    torch.testing.assert_close(extractor(pictures), features)


def test_lower_layers_learn_slower_and_the_head_faster(tuned):
    network, _ = tuned
    factors = network.factors()
    assert set(factors) == {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert factors["head.weight"] == (5.0, 1.0)
    rates = {round(rate, 6) for name, (rate, _) in factors.items() if not name.startswith("head")}
    assert rates == {1.0, 0.7}
    assert all(decay == 0.0 for name, (_, decay) in factors.items() if name.endswith("bias"))
