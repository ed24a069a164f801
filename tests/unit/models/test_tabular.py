import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.data.encode import Layout
from assay.models.build import NETWORKS, build
from assay.models.config import ModelConfig
from assay.models.network import Network

LAYOUT = Layout(numbers=3, extras=2, vocabularies=(4, 9))
ACTIVATIONS = ("relu", "gelu", "silu", "mish", "selu", "tanh", "leaky_relu")


def inputs(rows=32, seed=0, layout=LAYOUT):
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(0, size, (rows, 1), generator=generator) for size in layout.vocabularies]
    return (
        torch.randn(rows, layout.numbers, generator=generator),
        torch.randn(rows, layout.extras, generator=generator),
        torch.cat(codes, 1).int() if codes else torch.empty(rows, 0, dtype=torch.int32),
    )


def made(seed=0, prior=(0.0, 0.0), layout=LAYOUT, **config) -> Network:
    config = ModelConfig(**{"width": 8, "number_bins": 4, "embedding": 3, "members": 1} | config)
    numbers, seeds = inputs(layout=layout)[0], range(seed, seed + config.members)
    return build(config, layout, numbers, outputs=len(prior), prior=torch.tensor(prior), seeds=seeds)


def trained_a_little(network, steps=5, seed=0):
    """A few steps of plain gradient descent, each member on its own loss."""
    rows = inputs()
    target = torch.randint(0, 2, (32,), generator=torch.Generator().manual_seed(seed))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        outputs = network(*rows)
        loss = sum(functional.cross_entropy(member, target) for member in outputs)
        loss.backward()
        optimiser.step()
    return network


def test_shapes_are_members_rows_outputs():
    assert made(members=3, prior=(0.0, 0.0, 0.0))(*inputs(7)).shape == (3, 7, 3)
    assert made().features.width == 3 + 3 * 4 + 2 + 2 * 3
    assert made(number_bins=0).features.width == 3 + 2 + 2 * 3
    assert made(embedding=100).features.width == 3 + 3 * 4 + 2 + 2 * 9


@pytest.mark.parametrize("batch_norm", [False, True])
def test_three_members_are_three_networks_with_their_seeds(batch_norm):
    together = trained_a_little(made(seed=5, members=3, dropout=0.0, batch_norm=batch_norm)).eval()
    for member in range(3):
        alone = trained_a_little(made(seed=5 + member, dropout=0.0, batch_norm=batch_norm)).eval()
        torch.testing.assert_close(together(*inputs(9, seed=1))[member], alone(*inputs(9, seed=1))[0])
        initial = made(seed=5, members=3).hidden[0].linear.weight[member]
        assert torch.equal(initial, made(seed=5 + member).hidden[0].linear.weight[0])
    assert (together(*inputs())[0] - together(*inputs())[1]).abs().max() > 1e-3


def test_the_same_seed_gives_the_same_network():
    one, same, other = made(seed=1), made(seed=1), made(seed=2)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name))
    assert not torch.equal(one.hidden[0].linear.weight, other.hidden[0].linear.weight)


def test_the_first_loss_is_the_entropy_of_the_prior():
    shares = torch.tensor([0.7, 0.2, 0.1])
    network = made(prior=tuple(shares.log().tolist()), members=2)
    target = torch.tensor([0] * 7 + [1] * 2 + [2])
    entropy = -(shares * shares.log()).sum()
    for member in network(*inputs(10)).detach():
        assert float(functional.cross_entropy(member, target)) == pytest.approx(float(entropy), abs=1e-6)
        torch.testing.assert_close(member.softmax(1), shares.expand(10, 3))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_stands_between_the_layers(activation):
    reference = {
        "relu": nn.ReLU(), "gelu": nn.GELU(), "silu": nn.SiLU(), "mish": nn.Mish(), "selu": nn.SELU(),
        "tanh": nn.Tanh(), "leaky_relu": nn.LeakyReLU(),
    }[activation]  # fmt: skip
    network = trained_a_little(made(activation=activation, dropout=0.0, layers=2))
    rows = network.features(*inputs())[0]
    for layer in network.hidden:
        rows = reference(rows @ layer.linear.weight[0] + layer.linear.bias[0])
    expected = rows @ network.head.weight[0] + network.head.bias[0]
    torch.testing.assert_close(network(*inputs())[0], expected)


def test_a_perceptron_has_no_hidden_layer_and_is_linear_in_its_features():
    network = trained_a_little(made(name="perceptron", layers=3))
    assert len(network.hidden) == 0
    features = network.features(*inputs())[0]
    plain = nn.Linear(network.features.width, 2)
    plain.weight.data, plain.bias.data = network.head.weight.data[0].T, network.head.bias.data[0, 0]
    torch.testing.assert_close(network(*inputs())[0], plain(features))
    assert set(NETWORKS) == {"mlp", "perceptron"}


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_gradient_reaches_every_parameter_of_every_member(layers, batch_norm):
    before = made(layers=layers, batch_norm=batch_norm, members=2)
    start = {name: parameter.detach().clone() for name, parameter in before.named_parameters()}
    after = trained_a_little(before)
    assert len(after.hidden) == layers
    for name, parameter in after.named_parameters():
        if batch_norm and name.endswith("linear.bias"):
            continue  # the batch mean takes it out again
        moved = (parameter - start[name]).reshape(2, -1).abs().amax(1)
        assert (moved > 0).all(), name
        assert parameter.isfinite().all()


def test_dropout_works_in_training_alone():
    network = trained_a_little(made(dropout=0.5))
    network.train()
    assert not torch.equal(network(*inputs()), network(*inputs()))
    network.eval()
    assert torch.equal(network(*inputs()), network(*inputs()))


@pytest.mark.parametrize("layout", [Layout(2, 0, ()), Layout(0, 3, ()), Layout(0, 0, (5,)), Layout(0, 0, ())])
def test_tables_without_some_kinds_have_networks_too(layout):
    network = made(layout=layout, prior=(math.log(0.25), math.log(0.75)), members=2).eval()
    found = network(*inputs(6, layout=layout)).softmax(-1)
    torch.testing.assert_close(found, torch.tensor([0.25, 0.75]).expand(2, 6, 2))
    assert network(*inputs(0, layout=layout)).shape == (2, 0, 2)
