"""Networks of timm from random weights: seeds, normalisation, sizes, names, and the file they become."""

import io

import numpy as np
import onnxruntime
import pytest
import torch

from assay.data.encoding.encode import Layout
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.models.timm_network import TimmNetwork, check_name

pytest.importorskip("timm")
SMALL = "resnet10t"


def pictures(n=4, channels=3, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator, dtype=torch.uint8)


def beside(n):
    return torch.zeros(n, 1), torch.zeros(n, 0), torch.zeros(n, 0, dtype=torch.int32)


def network(name=SMALL, images=None, seed=0):
    made = TimmNetwork(name, Layout(1, 0, ()), pictures() if images is None else images, 3, 8)
    made.reset([seed], torch.tensor([0.5, 0.3, 0.2]).log())
    return made


def test_it_starts_at_the_prior_from_weights_of_the_seed():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    net, again, other = network(), network(), network(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not torch.equal(net.module.conv1[0].weight, other.module.conv1[0].weight)
    out = net.eval()(*beside(2), pictures(2))
    assert out.shape == (1, 2, 3)
    torch.testing.assert_close(out.softmax(2)[0, 0], torch.tensor([0.5, 0.3, 0.2]))


def test_pixels_are_normalised_by_those_of_training():
    images = pictures(50, channels=1)
    net = network(images=images)
    normalised = net._normalised(images)
    assert float(normalised.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(normalised.std()) == pytest.approx(1.0, abs=1e-3)


def test_numbers_join_and_norms_and_biases_do_not_decay():
    net = network().eval()
    torch.nn.init.normal_(net.head.weight)
    numbers, extras, codes = beside(2)
    assert not torch.allclose(net(numbers, extras, codes, pictures(2)), net(numbers + 1, extras, codes, pictures(2)))
    factors = net.factors()
    assert set(factors) == {name for name, _ in net.named_parameters()}
    decays = {name: decay for name, (_, decay) in factors.items()}
    assert decays["module.conv1.0.weight"] == decays["head.weight"] == 1.0
    assert decays["module.conv1.1.weight"] == decays["head.bias"] == 0.0


def test_a_single_row_leaves_the_statistics_alone():
    net = network().train()
    before = {name: value.clone() for name, value in net.statistics().items()}
    assert before
    assert net(*beside(1), pictures(1)).isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in net.statistics().items())
    net(*beside(4), pictures(4))
    assert not torch.equal(net.statistics()["module.bn1.running_mean"], before["module.bn1.running_mean"])


def test_a_transformer_gets_pictures_of_a_size_it_can_take():
    net = network("test_vit", pictures(side=28)).eval()
    assert net.size == (32, 32)
    assert net(*beside(3), pictures(3, side=28)).shape == (1, 3, 3)


def test_unknown_names_bring_the_nearest():
    with pytest.raises(ConfigError, match=r"it is 'resnet81'. The nearest: .*resnet18"):
        check_name("resnet81")
    assert ModelConfig(name="timm").timm == "resnet18"


@pytest.mark.filterwarnings("ignore:# The axis name")
def test_the_onnx_file_gives_the_networks_answers():
    net = network("test_resnet").eval()
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(3))
    net.mirror = True
    rows, dim = (*beside(3), pictures(3)), torch.export.Dim("rows", min=1, max=1 << 20)
    program = torch.onnx.export(
        net, rows, dynamo=True, opset_version=20, input_names=["numbers", "extras", "codes", "picture"],
        dynamic_shapes={"numbers": {0: dim}, "extras": {0: dim}, "codes": {0: dim}, "media": ({0: dim},)},
        verbose=False,
    )  # fmt: skip
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    given = {each.name for each in session.get_inputs()}
    rows = (*beside(5), pictures(5, seed=2))
    names = ["numbers", "extras", "codes", "picture"]
    feeds = {name: value.numpy() for name, value in zip(names, rows, strict=True) if name in given}
    with torch.no_grad():
        expected = net(*rows).numpy()
    assert np.abs(session.run(None, feeds)[0] - expected).max() < 1e-4


def test_vgg_goes_without_layers_that_are_made_for_larger_pictures():
    short = network("vgg11")
    assert short.parameter_count < 10_000_000  # 128 million with them
    assert short.shown == "vgg11 without its fully connected layers, for which pictures are too small"
    assert short.eval()(*beside(2), pictures(2)).shape == (1, 2, 3)
    assert network().shown == SMALL
