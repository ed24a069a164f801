import pytest
import torch

from assay.train.config import TrainConfig
from assay.train.optim import build_optimiser, clip_members, member_norms


def with_gradients(network, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    return parameters


def test_weights_and_tables_decay_and_nothing_else(network):
    made = network(batch_norm=True)
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    decayed, exempt = build_optimiser(made, TrainConfig(weight_decay=0.3, lr=0.1)).param_groups
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.3, 0.0)
    assert {names[id(parameter)] for parameter in decayed["params"]} == {
        "features.embedding.table", "hidden.0.linear.weight", "hidden.1.linear.weight", "head.weight",
    }  # fmt: skip
    assert {names[id(parameter)].rpartition(".")[2] for parameter in exempt["params"]} == {"bias", "gain", "shift"}
    assert len(decayed["params"]) + len(exempt["params"]) == len(names)


def test_a_step_without_gradient_shrinks_the_decayed_alone(network):
    made = network()
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    made.head.bias.data.fill_(1.0)
    optimiser = build_optimiser(made, TrainConfig(weight_decay=0.5, lr=0.1))
    for parameter in made.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    weight = made.hidden[0].linear.weight
    torch.testing.assert_close(weight.detach(), before["hidden.0.linear.weight"] * 0.95)
    assert made.head.bias.detach().flatten().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_is_that_of_torch(network, limit):
    ours, theirs = network(), network()
    parameters = with_gradients(ours)
    norms = member_norms(parameters, 1)
    clip_members(parameters, norms, limit)
    expected = torch.nn.utils.clip_grad_norm_(with_gradients(theirs), limit)
    torch.testing.assert_close(norms[0], expected)
    for mine, other in zip(parameters, theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_each_member_is_clipped_by_its_own_norm(network):
    made = network(members=3, batch_norm=True)
    parameters = with_gradients(made)
    for parameter in parameters:
        parameter.grad.view(3, -1)[1] *= 100.0
        parameter.grad.view(3, -1)[2] *= 1e-4
    before = [parameter.grad.reshape(3, -1).clone() for parameter in parameters]
    norms = member_norms(parameters, 3)
    expected = torch.cat(before, dim=1).norm(dim=1)
    torch.testing.assert_close(norms, expected)
    clip_members(parameters, norms, 1.0)
    torch.testing.assert_close(member_norms(parameters, 3), torch.tensor([1.0, 1.0, float(expected[2])]))
    torch.testing.assert_close(parameters[0].grad.reshape(3, -1)[2], before[0][2])
