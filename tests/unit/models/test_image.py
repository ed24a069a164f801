import io
import math

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from assay.data.encoding.encode import Layout
from assay.models.image import ImageNetwork, MemberConv, MemberShiftNorm, Whitening
from assay.models.image_config import ImageConfig

SMALL = ImageConfig(width=8, growth=(1.0, 2.0))
PLAIN = Layout(numbers=0, extras=0, vocabularies=())
BESIDE = Layout(numbers=2, extras=1, vocabularies=(5, 3))


def pictures(n=12, channels=3, height=12, width=12, seed=0):
    """Coarse ones, whose neighbouring pixels are alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (n, channels, 4, 4), generator=generator).float()
    return functional.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)


def beside(n, layout=PLAIN, seed=1):
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(0, size, (n, 1), generator=generator) for size in layout.vocabularies]
    return (
        torch.randn(n, layout.numbers, generator=generator),
        torch.randn(n, layout.extras, generator=generator),
        torch.cat(codes, 1) if codes else torch.zeros(n, 0, dtype=torch.int64),
    )


def network(members=1, layout=PLAIN, config=SMALL, images=None, outputs=3):
    images = pictures(50) if images is None else images
    made = ImageNetwork(members, layout, images, outputs, config)
    made.reset(list(range(members)), torch.full((outputs,), -1.0))
    return made


# The whitening


def test_whitened_patches_are_uncorrelated_with_deviation_one():
    images = torch.randint(0, 256, (200, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    layer = Whitening(images, 2, 1)
    assert layer.outputs == 24
    found = layer(images)[:, :12].transpose(0, 1).flatten(1)
    assert torch.allclose(found @ found.T / found.shape[1], torch.eye(12), atol=0.02)
    assert torch.equal(layer(images)[:, 12:], -layer(images)[:, :12])


def test_pixels_are_normalised_by_channel():
    images = pictures(100)
    assert torch.allclose(Whitening(images, 2, 1).spread.flatten(), images.float().std((0, 2, 3), correction=0))
    found = Whitening(images, 2, 1).normalise(images)
    assert torch.allclose(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(found.std((0, 2, 3)), torch.ones(3), atol=1e-3)


def test_pictures_of_one_colour_stay_finite():
    images = torch.full((9, 3, 6, 6), 7, dtype=torch.uint8)
    assert Whitening(images, 2, 1)(images).isfinite().all()


# The layers


def test_a_convolution_starts_as_the_identity_of_its_inputs():
    layer = MemberConv(1, 3, 5)
    layer.reset([torch.Generator().manual_seed(0)])
    images = torch.randn(2, 3, 6, 6)
    found = layer(images)
    assert torch.allclose(found[:, :3], images, atol=1e-6)
    assert float(found[:, 3:].detach().std()) > 0.1


def test_members_are_convolved_apart():
    layer = MemberConv(2, 3, 4)
    layer.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)])
    images = torch.randn(2, 6, 5, 5)
    expected = [
        functional.conv2d(images[:, 3 * m : 3 * m + 3], layer.weight[m].view(4, 3, 3, 3), padding=1) for m in (0, 1)
    ]
    assert torch.allclose(layer(images), torch.cat(expected, 1), atol=1e-5)
    matrix = torch.zeros(2, 150)  # as in training, where a row holds all weights of a member
    matrix[:, 20:128] = layer.weight.detach().flatten(1)
    layer.weight.data = matrix[:, 20:128].view(2, 4, 27)
    assert torch.allclose(layer(images), torch.cat(expected, 1), atol=1e-5)


def test_the_norm_is_that_of_torch_with_a_shift():
    ours, theirs = MemberShiftNorm(2, 3), torch.nn.BatchNorm2d(6, momentum=0.4)
    with torch.no_grad():
        ours.shift.copy_(torch.arange(6.0).view(2, 3))
        theirs.bias.copy_(torch.arange(6.0))
    images = torch.randn(4, 6, 5, 5) * 3 + 1
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    assert torch.allclose(ours.variance.view(-1), theirs.running_var)
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), atol=1e-5)


# The network


@pytest.mark.parametrize("members", [1, 3])
def test_a_network_starts_at_the_prior_and_every_parameter_leads_with_members(members):
    net = network(members, BESIDE)
    out = net(*beside(5, BESIDE), pictures(5))
    assert out.shape == (members, 5, 3)
    assert torch.equal(out, torch.full((members, 5, 3), -1.0))
    assert all(len(parameter) == members for parameter in net.parameters())
    assert all(len(value) == members for value in net.statistics().values())
    assert len(net.statistics()) == 8


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 2, 2), (3, 1, 9), (1, 5, 40)])
def test_any_size_of_picture_has_room(shape):
    images = torch.randint(0, 256, (6, *shape), dtype=torch.uint8)
    net = network(images=images, config=ImageConfig(width=4, growth=(1.0, 2.0, 2.0, 2.0)))
    assert net(*beside(6), images).shape == (1, 6, 3)


def test_a_member_answers_as_it_does_alone():
    company = network(2).eval()
    alone = network(1).eval()
    head = torch.randn_like(company.head.weight)
    with torch.no_grad():
        company.head.weight.copy_(head)
        alone.head.weight.copy_(head[:1])
    found = company(*beside(7), pictures(7))
    assert torch.allclose(found[0], alone(*beside(7), pictures(7))[0], atol=1e-5)
    assert not torch.allclose(found[0], found[1])


def test_numbers_extras_and_codes_reach_the_head():
    net = network(1, BESIDE).eval()
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(3))
    rows, images = beside(4, BESIDE), pictures(4)
    out = net(*rows, images)
    for place in range(3):
        changed = list(rows)
        changed[place] = (changed[place] + 1) if place < 2 else torch.full_like(changed[2], 2)
        assert not torch.allclose(net(*changed, images), out)
    assert not torch.allclose(net(*rows, pictures(4, seed=9)), out)


def test_shifts_learn_faster_and_do_not_decay():
    factors = network().factors()
    assert factors["blocks.0.first_norm.shift"] == (4.0, 0.0)
    assert factors["blocks.0.first.weight"] == (1.0, 1.0)
    assert factors["head.bias"] == (1.0, 0.0)


def test_mirror_images_get_one_answer_in_evaluation():
    net = network().eval()
    net.mirror = True
    torch.nn.init.normal_(net.head.weight)
    images = pictures(6)
    assert torch.allclose(net(*beside(6), images), net(*beside(6), images.flip(3)), atol=1e-6)


def test_shifted_views_weigh_as_much_as_the_picture():
    net = network().eval()
    torch.nn.init.normal_(net.head.weight)
    images = pictures(6).float()
    height, width = images.shape[2:]
    plain, edges = net(*beside(6), images), functional.pad(images, (1, 1, 1, 1), mode="reflect")
    moved = [net(*beside(6), edges[:, :, at : at + height, at : at + width]) for at in (0, 2)]
    net.shift = 1
    assert net.views == 3
    assert torch.allclose(net(*beside(6), images), plain / 2 + sum(moved) / 4, atol=1e-6)
    assert torch.equal(net.train()(*beside(6), images), net(*beside(6), images))
    net.mirror = True
    assert net.views == 6


def test_floats_of_the_same_pixels_give_the_same_answer():
    net = network().eval()
    assert torch.equal(net.pooled(pictures(4)), net.pooled(pictures(4).float()))


def test_two_easy_classes_are_learned():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128, 1, 12, 12), generator=generator, dtype=torch.uint8)
    labels = torch.arange(128) % 2
    images[labels == 1, :, 2:6, 2:6] = 255  # a square somewhere bright
    net = network(images=images, outputs=2)
    net.reset([0], torch.full((2,), math.log(0.5)))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(30):
        optimiser.zero_grad()
        functional.cross_entropy(net(*beside(128), images)[0], labels).backward()
        optimiser.step()
    net.eval()
    assert float((net(*beside(128), images)[0].argmax(1) == labels).float().mean()) > 0.98


@pytest.mark.filterwarnings("ignore:# The axis name")
def test_the_onnx_file_gives_the_networks_answers():
    net = network(2, BESIDE)
    net.mirror, net.shift = True, 1
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(3))
    net.train()(*beside(9, BESIDE), pictures(9))  # statistics that are not the first ones
    net.eval()
    rows, dim = (*beside(3, BESIDE), pictures(3)), torch.export.Dim("rows", min=1, max=1 << 20)
    names = ["numbers", "extras", "codes", "picture"]
    program = torch.onnx.export(
        net,
        rows,
        dynamo=True,
        opset_version=20,
        input_names=names,
        dynamic_shapes={"numbers": {0: dim}, "extras": {0: dim}, "codes": {0: dim}, "media": ({0: dim},)},
        verbose=False,
    )
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    for n in (1, 7):
        rows = (*beside(n, BESIDE, seed=n), pictures(n, seed=n))
        feeds = {name: value.numpy() for name, value in zip(names, rows, strict=True)}
        with torch.no_grad():
            expected = net(*rows).numpy()
        assert np.abs(session.run(None, feeds)[0] - expected).max() < 1e-4


def test_large_pictures_are_averaged_before_anything_else():
    images = pictures(50, height=24, width=24)
    large = network(config=SMALL.model_copy(update={"shrink": 2}), images=images).eval()
    averaged = functional.avg_pool2d(images.float(), 2)
    plain = network(images=averaged).eval()
    plain.load_state_dict(large.state_dict())
    torch.testing.assert_close(large(*beside(50), images), plain(*beside(50), averaged))
