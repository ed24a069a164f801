import pytest
import torch
from torch import nn

from assay.errors import ConfigError
from assay.train.optimise.flat import Flat


def test_parameters_become_views_of_one_matrix(network):
    made = network(members=3, norm="batch")
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    flat = Flat(made, 3)
    assert flat.weights.shape == (3, sum(p.numel() for p in before.values()) // 3)
    for (name, parameter), columns in zip(flat.named, flat.columns, strict=True):
        assert torch.equal(parameter, before[name])
        assert torch.equal(flat.weights[:, columns], before[name].reshape(3, -1))
    flat.weights[1] = 7.0
    for name, parameter in made.named_parameters():
        assert bool((parameter[1] == 7.0).all())
        assert torch.equal(parameter[0], before[name][0])


def test_released_parameters_own_their_memory(network):
    made = network(members=2)
    flat = Flat(made, 2)
    flat.release()
    values = [parameter.detach().clone() for parameter in made.parameters()]
    flat.weights.zero_()
    assert all(torch.equal(a, b) for a, b in zip(values, made.parameters(), strict=True))
    assert all(parameter.untyped_storage().nbytes() == parameter.numel() * 4 for parameter in made.parameters())


@pytest.mark.parametrize("members", [1, 3])
def test_gradients_are_gathered_and_norms_taken_of_each_member(network, members):
    made = network(members=members)
    flat, generator = Flat(made, members), torch.Generator().manual_seed(3)
    gradients = [torch.randn(parameter.shape, generator=generator) for parameter in made.parameters()]
    for parameter, gradient in zip(made.parameters(), gradients, strict=True):
        parameter.grad = gradient.clone()
    flat.gather()
    expected = torch.cat([gradient.reshape(members, -1) for gradient in gradients], dim=1)
    assert torch.equal(flat.gradient, expected)
    torch.testing.assert_close(flat.norms(), expected.norm(dim=1))
    assert all(parameter.grad is None for parameter in made.parameters())


def test_a_parameter_without_a_gradient_counts_as_zero(network):
    made = network()
    flat = Flat(made, 1)
    flat.gradient.fill_(5.0)
    made.head.bias.grad = torch.ones_like(made.head.bias)
    assert "head.bias" not in flat.unused()
    assert len(flat.unused()) == len(flat.named) - 1
    flat.gather()
    assert float(flat.gradient.sum()) == made.head.bias.numel()


def test_a_number_for_each_parameter_is_spread_over_its_columns(network):
    flat = Flat(network(members=2), 2)
    row = flat.row(lambda name, _: float(name == "head.weight"))
    columns = next(c for (name, _), c in zip(flat.named, flat.columns, strict=True) if name == "head.weight")
    assert float(row.sum()) == float(row[:, columns].sum()) == columns.stop - columns.start


def test_frozen_parameters_stay_out(network):
    made = network()
    made.hidden[0].linear.weight.requires_grad_(False)
    assert "hidden.0.linear.weight" not in [name for name, _ in Flat(made, 1).named]


def test_networks_without_parameters_or_of_several_types_are_refused(network):
    with pytest.raises(ConfigError, match="parameters that learn, but it has none"):
        Flat(nn.Identity(), 1)
    mixed = network()
    mixed.head.double()
    with pytest.raises(ConfigError, match="must be of one type, but they are float32, float64"):
        Flat(mixed, 1)
