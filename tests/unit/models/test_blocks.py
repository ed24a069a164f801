import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from assay.models.blocks import ACTIVATIONS, MemberBatchNorm, MemberEmbedding, MemberLinear
from assay.models.numbers import PiecewiseLinear, bin_edges


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# MemberLinear


def test_a_member_linear_is_one_linear_layer_a_member():
    layer, rows = MemberLinear(3, 5, 2), random(3, 7, 5)
    layer.reset(generators(1, 2, 3))
    nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(9))
    for member in range(3):
        plain = nn.Linear(5, 2)
        plain.weight.data, plain.bias.data = layer.weight.data[member].T, layer.bias.data[member, 0]
        torch.testing.assert_close(layer(rows)[member], plain(rows[member]))


def test_a_member_is_initialised_from_its_own_generator():
    together, alone = MemberLinear(3, 50, 20), MemberLinear(1, 50, 20)
    together.reset(generators(1, 2, 3))
    alone.reset(generators(2))
    assert torch.equal(together.weight[1], alone.weight[0])
    assert not together.bias.any()
    bound = math.sqrt(6 / 50)
    assert together.weight.abs().max() <= bound
    assert float(together.weight.detach().std()) == pytest.approx(
        math.sqrt(2 / 50), rel=0.05
    )  # He et al.: variance 2 / inputs


# MemberBatchNorm


def test_a_member_batch_norm_is_one_batch_norm_a_member():
    layer, plain = MemberBatchNorm(2, 4), [nn.BatchNorm1d(4), nn.BatchNorm1d(4)]
    for step in range(3):
        rows = random(2, 6, 4, seed=step) * (step + 1) + step
        found = layer(rows)
        for member, reference in enumerate(plain):
            torch.testing.assert_close(found[member], reference(rows[member]))
    layer.eval()
    rows = random(2, 6, 4, seed=9)
    for member, reference in enumerate(plain):
        reference.eval()
        torch.testing.assert_close(layer.mean[member, 0], reference.running_mean)
        torch.testing.assert_close(layer.variance[member, 0], reference.running_var)
        torch.testing.assert_close(layer(rows)[member], reference(rows[member]))


def test_a_batch_of_one_row_is_normalised_by_the_running_statistics():
    layer = MemberBatchNorm(1, 4)
    layer(random(1, 8, 4))
    mean = layer.mean.clone()
    row = random(1, 1, 4, seed=1)
    found = layer(row)
    assert torch.equal(layer.mean, mean)
    torch.testing.assert_close(found, layer.eval()(row))


# MemberEmbedding


def test_a_member_embedding_is_one_embedding_a_member_and_column():
    vocabularies, length = (4, 6), 3
    layer = MemberEmbedding(2, vocabularies, length)
    layer.reset(generators(1, 2))
    codes = torch.tensor([[0, 5], [3, 1], [2, 2]], dtype=torch.int32)
    found = layer(codes)
    assert found.shape == (2, 3, 6)
    for member in range(2):
        table = layer.table.data[member]
        first, second = nn.Embedding(4, length), nn.Embedding(6, length)
        first.weight.data, second.weight.data = table[:4], table[4:]
        expected = torch.cat([first(codes[:, 0]), second(codes[:, 1])], dim=1)
        assert torch.equal(found[member], expected)


def test_the_vectors_of_unknown_and_missing_start_at_zero():
    layer = MemberEmbedding(2, (4, 6), 3)
    layer.reset(generators(1, 2))
    zero = (layer.table == 0).all(2)
    assert [member.nonzero().flatten().tolist() for member in zero] == [[0, 1, 4, 5]] * 2


def test_a_member_embedding_is_initialised_from_its_own_generator():
    together, alone = MemberEmbedding(3, (4, 6), 8), MemberEmbedding(1, (4, 6), 8)
    together.reset(generators(1, 2, 3))
    alone.reset(generators(3))
    assert torch.equal(together.table[2:], alone.table)


# PiecewiseLinear


def test_piecewise_linear_is_the_published_encoding():
    """Gorishniy et al. 2022, equation 1, by hand: edges 0, 1, 3, 4."""
    layer = PiecewiseLinear(torch.tensor([[0.0], [1.0], [3.0], [4.0]]), bins=3)
    found = layer(torch.tensor([[-2.0], [0.5], [1.0], [2.0], [3.5], [6.0]]))
    expected = [[-2, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0.5], [1, 1, 3.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_each_column_has_its_own_bins():
    numbers = torch.stack([torch.linspace(0, 1, 100), torch.tensor([0.0, 1.0] * 50)], dim=1)
    layer = PiecewiseLinear(numbers, bins=4)
    assert layer.outputs == 5
    assert layer.column.tolist() == [0, 0, 0, 0, 1]
    torch.testing.assert_close(layer(numbers)[:, 4], numbers[:, 1])
    torch.testing.assert_close(layer(numbers)[:, :4].sum(1), numbers[:, 0] * 4, rtol=0.0, atol=0.1)


def test_a_constant_column_stays_finite():
    for value in (0.0, 1e18, 1e-40):
        layer = PiecewiseLinear(torch.full((5, 1), value), bins=8)
        assert layer.outputs == 1
        assert layer(torch.tensor([[value], [0.0], [1e18], [-1e18]])).isfinite().all()


def test_edges_are_quantiles():
    values = torch.arange(101.0)
    assert bin_edges(values, 4) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert bin_edges(torch.tensor([3.0, 1.0, 2.0, 1.0]), 4) == [1.0, 2.0, 3.0]
    assert bin_edges(torch.tensor([5.0, 5.0]), 4) == [5.0, 6.0]


def test_a_spike_gets_one_edge_and_the_rest_the_others():
    values = torch.cat([torch.zeros(900), torch.linspace(1, 100, 100)])
    edges = bin_edges(values, 8)
    assert edges[0] == 0.0
    assert len(edges) == 9
    assert edges[1:] == pytest.approx([1.0, 15.0, 29.0, 43.0, 58.0, 72.0, 86.0, 100.0], abs=1.0)


@given(
    values=st.lists(st.one_of(st.floats(-9, 9, width=32), st.sampled_from([0.0, 1.0])), min_size=1, max_size=200),
    bins=st.integers(1, 12),
)
def test_edges_rise_and_span_the_values(values, bins):
    edges = bin_edges(torch.tensor(values), bins)
    assert 2 <= len(edges) <= bins + 2 - (len(set(values)) > 1)
    assert all(low < high for low, high in pairwise(edges))
    tensor = torch.tensor(values)
    assert edges[0] == float(tensor.min())
    assert edges[-1] >= float(tensor.max())


# Activations


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("relu", nn.ReLU()),
        ("gelu", nn.GELU()),
        ("silu", nn.SiLU()),
        ("mish", nn.Mish()),
        ("selu", nn.SELU()),
        ("tanh", nn.Tanh()),
        ("leaky_relu", nn.LeakyReLU()),
        ("elu", nn.ELU()),
    ],
)
def test_an_activation_is_what_its_name_says(name, reference):
    assert set(ACTIVATIONS) == {"relu", "gelu", "silu", "mish", "selu", "elu", "tanh", "leaky_relu", "auto"}
    rows = random(5, 5) * 3
    torch.testing.assert_close(ACTIVATIONS[name](rows), reference(rows), rtol=1e-5, atol=1e-6)
    assert not torch.equal(ACTIVATIONS[name](rows), functional.hardtanh(rows))
