"""Networks and their parts against their authors' packages: with the same weights, the same outputs and gradients."""

import math
import warnings

import pytest
import rtdl_num_embeddings
import rtdl_revisiting_models
import tabm
import torch
from torch import nn

from assay.data.encoding.encode import Encoded, Layout
from assay.models.blocks import MemberLinear
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.families import DEFAULTS
from assay.models.numbers import (
    CosineVectors,
    LinearVectors,
    PeriodicVectors,
    PiecewiseLinear,
    PiecewiseVectors,
    bin_edges,
)
from assay.testing.models import random_inputs

with warnings.catch_warnings():  # its import uses what torch deprecates
    warnings.simplefilter("ignore", FutureWarning)
    from pytabkit.models.alg_interfaces.base import InterfaceResources, SplitIdxs
    from pytabkit.models.data.data import DictDataset, TensorInfo
    from pytabkit.models.sklearn.default_params import DefaultParams
    from pytabkit.models.training.nn_creator import NNCreator

ROWS, NUMBERS = 24, 4


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def disturbed(module, seed=3):
    """All parameters moved a little, so that nothing is special because it starts so."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module


def agree(ours, theirs, pairs, atol=1e-5):
    """Outputs agree, and so do the gradients of `pairs` (our parameter, how theirs looks like it, their parameter)."""
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=atol)
    weights = random(*ours.shape, seed=8)
    found = torch.autograd.grad((ours * weights).sum(), [mine for mine, _, _ in pairs])
    expected = torch.autograd.grad((theirs * weights).sum(), [other for _, _, other in pairs])
    for mine, (_, alike, _), other in zip(found, pairs, expected, strict=True):
        torch.testing.assert_close(mine, alike(other), rtol=1e-4, atol=10 * atol)


def copy_linear(ours: MemberLinear, theirs: nn.Linear) -> None:
    ours.weight.data[0], ours.bias.data[0, 0] = theirs.weight.data.T, theirs.bias.data


def copy_norm(ours, theirs) -> None:
    ours.gain.data[0, 0], ours.shift.data[0, 0] = theirs.weight.data, theirs.bias.data


def transposed(gradient):
    return gradient.T.unsqueeze(0)


def network_of(family, layout, outputs, **options):
    rows = random_inputs(layout, 200, seed=5)
    config = DEFAULTS[family].model_copy(update=options)
    prior = torch.zeros(outputs)
    return build(config, layout, rows.numbers, outputs=outputs, prior=prior, seeds=[1], rows=rows)


# Numbers


@pytest.fixture
def training():
    """Two numbers with many values, one with three and one with two."""
    made = random(300, NUMBERS, seed=2)
    made[:, 2] = (made[:, 2] * 0.7).round().clamp(-1, 1)
    made[:, 3] = (made[:, 3] > 0).float()
    return made


def edges_of(training, bins):
    return [torch.tensor(bin_edges(column, bins)) for column in training.T]


def their_piecewise(training, bins, length, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has just two bin edges.*")
        warnings.filterwarnings("ignore", message=".*row_stack.*")
        return rtdl_num_embeddings.PiecewiseLinearEmbeddings(edges_of(training, bins), length, **options)


def test_bins_are_those_of_the_authors(training):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*row_stack.*")
        theirs = rtdl_num_embeddings.PiecewiseLinearEncoding(edges_of(training, 6))
    rows = random(ROWS, NUMBERS, seed=4) * 2
    ours = PiecewiseLinear(training, 6)
    # Theirs has the last bin of each number last, also where a number has fewer; without padding that is our order.
    torch.testing.assert_close(ours(rows), theirs(rows), rtol=0.0, atol=1e-5)


def padded_place(edges, number, most):
    """Where their padded layout has each of our bins: the last one last."""
    count = len(edges[number]) - 1
    return [*range(count - 1), most - 1]


@pytest.mark.parametrize("residual", [False, True])
def test_vectors_of_bins_are_those_of_the_authors(training, residual):
    bins, length = 6, 5
    theirs = disturbed(
        their_piecewise(training, bins, length, activation=not residual, version="B" if residual else "A")
    )
    ours = PiecewiseVectors(1, training, bins, length, residual=residual)
    edges, most = edges_of(training, bins), ours.weight.shape[-1]
    ours.weight.data.zero_()
    for number in range(NUMBERS):
        places = padded_place(edges, number, most)
        ours.weight.data[0, number, :, : len(places)] = theirs.linear.weight.data[number, places].T
    if residual:
        ours.linear.weight.data[0], ours.linear.bias.data[0] = theirs.linear0.weight.data, theirs.linear0.bias.data
        pair = (ours.linear.weight, lambda g: g.unsqueeze(0), theirs.linear0.weight)
    else:
        ours.bias.data[0] = theirs.linear.bias.data.unsqueeze(2)
        pair = (ours.bias, lambda g: g.unsqueeze(0).unsqueeze(3), theirs.linear.bias)
    rows = random(ROWS, NUMBERS, seed=4)
    agree(ours(rows)[0], theirs(rows).flatten(1), [pair])


def test_periodic_vectors_are_those_of_the_authors():
    theirs = rtdl_num_embeddings.PeriodicEmbeddings(NUMBERS, 5, n_frequencies=7, frequency_init_scale=0.3, lite=False)
    ours = PeriodicVectors(1, NUMBERS, [0.3] * 7, 5)
    ours.frequency.data[0] = theirs.periodic.weight.data.unsqueeze(2)
    ours.weight.data[0], ours.bias.data[0] = theirs.linear.weight.data.mT, theirs.linear.bias.data.unsqueeze(2)
    pair = (ours.frequency, lambda g: g[None, :, :, None], theirs.periodic.weight)
    rows = random(ROWS, NUMBERS)
    agree(ours(rows)[0], theirs(rows).flatten(1), [pair])


def test_periodic_vectors_start_as_those_of_the_authors():
    layer = PeriodicVectors(1, 200, [0.5] * 50, 4)
    layer.reset([torch.Generator().manual_seed(0)])
    assert float(layer.frequency.detach().abs().max()) <= 1.5
    assert float(layer.frequency.detach().std()) == pytest.approx(0.5 * 0.9866, rel=0.02)  # cut at three deviations


def test_linear_vectors_are_those_of_the_authors():
    theirs = rtdl_num_embeddings.LinearEmbeddings(NUMBERS, 6)
    ours = LinearVectors(1, NUMBERS, 6)
    ours.weight.data[0], ours.bias.data[0] = theirs.weight.data, theirs.bias.data
    rows = random(ROWS, NUMBERS)
    agree(ours(rows)[0], theirs(rows).flatten(1), [(ours.weight, lambda g: g.unsqueeze(0), theirs.weight)])


@pytest.mark.parametrize("training_mode", [False, True])
def test_cosine_vectors_are_their_formula(training_mode):
    """The same outputs and gradients by autograd from cos(2 pi f x + p), in both forms of the code."""
    ours = CosineVectors(2, NUMBERS, [0.2] * 6, 3).train(training_mode)
    ours.reset([torch.Generator().manual_seed(seed) for seed in (1, 2)])
    rows = random(ROWS, NUMBERS)
    wave = torch.cos(2 * math.pi * rows.T[None, :, None] * ours.frequency + ours.phase)
    expected = (torch.einsum("mjek,mjkn->mjen", ours.weight, wave) + ours.bias).flatten(1, 2).mT
    parameters = list(ours.parameters())
    same = [(parameter, lambda g: g, parameter) for parameter in parameters]
    agree(ours(rows), expected, same)


# ResNet and FT-Transformer


@pytest.mark.parametrize("training_mode", [False, True])
def test_the_resnet_is_that_of_the_authors(training_mode):
    theirs = rtdl_revisiting_models.ResNet(
        d_in=NUMBERS, d_out=2, n_blocks=2, d_block=12, d_hidden_multiplier=2.0, dropout1=0.0, dropout2=0.0
    )
    disturbed(theirs).train(training_mode)
    ours = network_of("resnet", Layout(NUMBERS, 0, ()), 2, width=12, dropout=0.0).train(training_mode)
    copy_linear(ours.first, theirs.input_projection)
    for mine, other in zip(ours.blocks, theirs.blocks, strict=True):
        copy_norm(mine.norm, other.normalization)
        copy_linear(mine.widen, other.linear1)
        copy_linear(mine.narrow, other.linear2)
    copy_norm(ours.norm, theirs.output.normalization)
    copy_linear(ours.head, theirs.output.linear)
    rows = random(ROWS, NUMBERS)
    found = ours(rows, torch.empty(ROWS, 0), torch.empty(ROWS, 0, dtype=torch.int32))[0]
    agree(found, theirs(rows), [(ours.first.weight, transposed, theirs.input_projection.weight)])


def copy_attention(ours, theirs) -> None:
    copy_linear(ours.query, theirs.W_q)
    copy_linear(ours.mix, theirs.W_out)
    both = nn.Linear(theirs.W_k.in_features, 2 * theirs.W_k.out_features)
    both.weight.data = torch.cat([theirs.W_k.weight.data, theirs.W_v.weight.data])
    both.bias.data = torch.cat([theirs.W_k.bias.data, theirs.W_v.bias.data])
    copy_linear(ours.key_value, both)


def test_the_ft_transformer_is_that_of_the_authors():
    vocabularies, width = (4, 9), 16
    theirs = rtdl_revisiting_models.FTTransformer(
        n_cont_features=NUMBERS, cat_cardinalities=list(vocabularies), d_out=3, n_blocks=3, d_block=width,
        attention_n_heads=4, attention_dropout=0.0, ffn_d_hidden_multiplier=4 / 3, ffn_dropout=0.0,
        residual_dropout=0.0,
    )  # fmt: skip
    disturbed(theirs)
    layout = Layout(NUMBERS, 0, vocabularies)
    ours = network_of("ft_transformer", layout, 3, width=width, attention_heads=4, dropout=0.0)
    tokens = ours.tokens
    tokens.answer.data[0, 0] = theirs.cls_embedding.weight.data
    tokens.numbers.weight.data[0] = theirs.cont_embeddings.weight.data
    tokens.numbers.bias.data[0] = theirs.cont_embeddings.bias.data
    tokens.categories.table.data[0] = torch.cat([each.weight.data for each in theirs.cat_embeddings.embeddings])
    tokens.bias.data[0, 0] = theirs.cat_embeddings.bias.data.flatten()
    for place, (mine, other) in enumerate(zip(ours.blocks, theirs.backbone.blocks, strict=True)):
        if place:
            copy_norm(mine.norm, other["attention_normalization"])
        copy_attention(mine.attention, other["attention"])
        copy_norm(mine.inner_norm, other["ffn_normalization"])
        copy_linear(mine.widen, other["ffn"].linear1)
        copy_linear(mine.narrow, other["ffn"].linear2)
    copy_norm(ours.norm, theirs.backbone.output.normalization)
    copy_linear(ours.head, theirs.backbone.output.linear)
    inputs = random_inputs(layout, ROWS)
    found = ours(inputs.numbers, inputs.extras, inputs.codes)[0]
    expected = theirs(inputs.numbers, inputs.codes.long())
    first = ours.blocks[0].attention.query.weight
    agree(found, expected, [(first, transposed, theirs.backbone.blocks[0]["attention"].W_q.weight)])


def test_attention_with_dropout_is_attention():
    """The written-out form, taken while dropout is on, and torch's own are the same function."""
    network = network_of("ft_transformer", Layout(NUMBERS, 0, (5,)), 2, width=16, attention_heads=4, dropout=0.2)
    disturbed(network)
    inputs = random_inputs(Layout(NUMBERS, 0, (5,)), ROWS)
    expected = network.eval()(inputs.numbers, inputs.extras, inputs.codes)
    network.train().set_dropout([1e-9])  # on, and yet nothing is dropped
    torch.testing.assert_close(network(inputs.numbers, inputs.extras, inputs.codes), expected, rtol=0.0, atol=1e-5)


# TabM


@pytest.mark.parametrize("mini", [False, True])
@pytest.mark.parametrize("widened", [False, True])
def test_tabm_is_that_of_the_authors(mini, widened, training):
    heads, width, sizes = 3, 10, (2, 4)  # known categories; ours have unknown and missing besides
    embeddings = their_piecewise(training, 6, 5, activation=False, version="B") if widened else None
    theirs = tabm.TabM(
        n_num_features=NUMBERS, cat_cardinalities=list(sizes), d_out=2, num_embeddings=embeddings, n_blocks=2,
        d_block=width, dropout=0.0, k=heads, arch_type="tabm-mini" if mini else "tabm",
        start_scaling_init="normal" if widened else "random-signs",
    )  # fmt: skip
    disturbed(theirs)
    layout = Layout(NUMBERS, 0, tuple(size + 2 for size in sizes))
    config = ModelConfig(
        name="tabm_mini" if mini else "tabm", layers=2, width=width, dropout=0.0, heads=heads, number_bins=6,
        number_embedding=5, numbers="piecewise_residual" if widened else "plain",
    )  # fmt: skip
    ours = build(config, layout, training, outputs=2, prior=torch.zeros(2), seeds=[1])
    columns = our_columns(sizes, numbers=NUMBERS, length=5 if widened else 1)
    copy_tabm(ours, theirs, columns, mini=mini)
    if widened:
        copy_residual(ours.features.vectors, theirs.num_module, edges_of(training, 6))
    rows = random(ROWS, NUMBERS)
    known = torch.stack([torch.arange(ROWS) % size for size in sizes], dim=1)
    found = ours(rows, torch.empty(ROWS, 0), (known + 2).int())
    expected = theirs(rows, known).transpose(0, 1)
    last = ours.hidden[1].linear.weight, transposed, theirs.backbone.blocks[1][0].weight
    agree(found, expected, [last])


def our_columns(sizes, *, numbers, length):
    """Where ours has each column of theirs: ours has a missing one after each one-hot block, and vectors last."""
    total = numbers * length
    one_hot, start = [], 0 if length > 1 else total
    for size in sizes:
        one_hot += range(start, start + size)
        start += size + 1
    first = start if length > 1 else 0
    return [*range(first, first + total), *one_hot]


def copy_tabm(ours, theirs, columns, *, mini):
    for place, (mine, block) in enumerate(zip(ours.hidden, theirs.backbone.blocks, strict=True)):
        linear, other = mine.linear, block[0]
        target = linear.weight.data[0]
        if place:
            target.copy_(other.weight.data.T)
        else:
            target.zero_()
            target[columns] = other.weight.data.T
        if mini:
            linear.bias.data[0, 0] = other.bias.data
            continue
        linear.bias.data[0, :, 0], linear.after.data[0, :, 0] = other.bias.data, other.s.data
        if place:
            linear.before.data[0, :, 0] = other.r.data
    scale = theirs.backbone.affine.weight if mini else theirs.backbone.blocks[0][0].r
    ours.adapter.scale.data[0, :, 0, columns] = scale.data
    ours.head.weight.data[0], ours.head.bias.data[0, :, 0] = theirs.output.weight.data, theirs.output.bias.data


def copy_residual(ours, theirs, edges):
    ours.weight.data.zero_()
    for number in range(len(edges)):
        places = padded_place(edges, number, ours.weight.shape[-1])
        ours.weight.data[0, number, :, : len(places)] = theirs.linear.weight.data[number, places].T
    ours.linear.weight.data[0], ours.linear.bias.data[0] = theirs.linear0.weight.data, theirs.linear0.bias.data


def test_tabm_starts_as_that_of_the_authors():
    with torch.no_grad():
        _tabm_starts_as_that_of_the_authors()


def _tabm_starts_as_that_of_the_authors():
    """Signs or normal scales, one for each input of the table; the other vectors one; the biases alike in all heads."""
    layout = Layout(2, 1, (5, 40))
    for numbers, is_sign in (("plain", True), ("piecewise_residual", False)):
        network = network_of("tabm", layout, 2, width=8, heads=4, numbers=numbers, number_bins=4)
        scale = network.adapter.scale[0, :, 0]
        assert (scale.abs() == 1).all() == is_sign
        for chunk in scale.split(network.features.chunks, dim=1):
            assert (chunk == chunk[:, :1]).all()
        first, second = (layer.linear for layer in network.hidden)
        assert first.before is None
        for vector in (first.after, second.before, second.after):
            assert (vector == 1).all()
        assert (first.bias == first.bias[:, :1]).all()
        assert len(network.head.weight.flatten(2).unique(dim=1)[0]) == 4
        bound = 1 / math.sqrt(network.features.width)
        assert bound * 0.9 < float(first.weight.abs().max()) <= bound


# RealMLP


KNOWN = (3, 2, 19)  # known categories of three columns: one-hot, one signed column, vectors


def their_realmlp(numbers, codes, target, *, regression):
    """RealMLP-TD with the authors' defaults, built on rows as their trainer does; and what runs before it."""
    params = DefaultParams.RealMLP_TD_REG if regression else DefaultParams.RealMLP_TD_CLASS
    creator = NNCreator(**params | {"tfms": ["one_hot", "embedding"], "hidden_sizes": [12] * 3})
    of_target = TensorInfo(feat_shape=[1]) if regression else TensorInfo(cat_sizes=[3])
    infos = {
        "x_cont": TensorInfo(feat_shape=[NUMBERS]),
        "x_cat": TensorInfo(cat_sizes=[size + 1 for size in KNOWN]),
        "y": of_target,
    }
    data = DictDataset({"x_cont": numbers, "x_cat": codes, "y": target.unsqueeze(1)}, infos, device="cpu")
    places = torch.arange(len(numbers)).unsqueeze(0)
    split = SplitIdxs(places, places[:, :10], None, split_seed=0, sub_split_seeds=[0], split_id=0)
    creator.setup_from_dataset(data, [split], InterfaceResources(n_threads=1, gpu_devices=[]))
    with torch.random.fork_rng():
        network = creator.create_model(data, [split])
    return creator.static_model, network


def their_outputs(before, network, numbers, codes):
    encoded = before({"x_cont": numbers, "x_cat": codes})
    return network({name: tensor.unsqueeze(0) for name, tensor in encoded.items()})["x_cont"][0]


def copy_realmlp(ours, named):
    """Theirs to ours, by the scopes of their parameters; returns the places of their columns among ours."""
    vectors = ours.features.vectors
    vectors.frequency.data[0] = named["/plr/weight_1"].data[0].mT
    vectors.phase.data[0] = named["/plr/bias_1"].data[0].mT
    vectors.weight.data[0] = named["/plr/weight_2"].data[0].mT
    vectors.bias.data[0] = named["/plr/bias_2"].data[0].mT
    table = named["/tfms/emb"].data[0]
    ours.features.embedding.table.data[0] = torch.cat([table[:1], torch.zeros(1, 8), table[1:]])
    shared = NUMBERS + (3 + 1) + (1 + 1)
    of_vectors, of_embedding = range(shared, shared + 3 * NUMBERS), range(shared + 3 * NUMBERS, ours.features.width)
    columns = [*of_vectors, *range(NUMBERS), *range(NUMBERS, NUMBERS + 3), NUMBERS + 4, *of_embedding]
    for place, layer in enumerate([*ours.hidden, None]):
        scope = f"/net/{'first' if not place else 'middle' if layer else 'last'}_layer/layer-{place}"
        linear = layer.linear if layer else ours.head
        weight = named[f"{scope}/weight"].data[0]
        if place:
            linear.weight.data[0] = weight
        else:
            linear.weight.data.zero_()
            linear.weight.data[0, columns] = weight
            linear.scale.data[0, columns, 0] = named[f"{scope}/scale"].data[0, 0]
            # Theirs has no columns of missing categories, and divides by the root of fewer inputs.
            linear.weight.data *= math.sqrt(ours.features.width / len(columns))
        linear.bias.data[0] = named[f"{scope}/bias"].data[0]
        if layer:
            layer.activation.blend.data[0] = named[f"{scope}/act"].data[0]
    return columns


@pytest.mark.parametrize("regression", [False, True])
def test_realmlp_is_that_of_the_authors(regression):
    numbers = random(300, NUMBERS, seed=2)
    codes = torch.stack([torch.arange(300) % (size + 1) for size in KNOWN], dim=1)
    target = random(300, seed=3) if regression else torch.arange(300) % 3
    before, theirs = their_realmlp(numbers, codes, target, regression=regression)
    named = {str(parameter.context.scope): parameter for parameter in theirs.parameters()}
    disturbed(theirs)
    layout, outputs = Layout(NUMBERS, 0, tuple(size + 2 for size in KNOWN)), 1 if regression else 3
    mean, deviation = (target.mean(), target.std(correction=0)) if regression else (0.0, 1.0)
    rows = Encoded(numbers, torch.empty(300, 0), (codes + (codes > 0)).int())
    config = DEFAULTS["realmlp"].model_copy(update={"width": 12})
    ours = build(
        config, layout, numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=[1], rows=rows,
        targets=(target - mean) / deviation if regression else target,
    ).eval()  # fmt: skip
    copy_realmlp(ours, named)
    found = ours(rows.numbers, rows.extras, rows.codes)[0] * deviation + mean
    expected = their_outputs(before, theirs, numbers, codes)
    pairs = [
        (ours.hidden[1].linear.weight, lambda g: g, named["/net/middle_layer/layer-1/weight"]),
        (ours.hidden[0].activation.blend, lambda g: g, named["/net/first_layer/layer-0/act"]),
        (ours.features.vectors.frequency, lambda g: g.mT, named["/plr/weight_1"]),
    ]
    agree(found, expected, pairs)


def test_realmlp_has_the_rates_and_decays_of_the_authors():
    numbers, codes = random(50, NUMBERS), torch.stack([torch.arange(50) % (size + 1) for size in KNOWN], dim=1)
    _, theirs = their_realmlp(numbers, codes, torch.arange(50) % 3, regression=False)
    expected = {}
    for parameter in theirs.parameters():
        factors = parameter.hyper_factors
        expected[str(parameter.context.scope)] = (factors.get("lr", 1.0), factors.get("wd", 1.0))
    layout = Layout(NUMBERS, 0, tuple(size + 2 for size in KNOWN))
    found = network_of("realmlp", layout, 3, width=12).factors()
    ours = {
        "features.vectors.frequency": "/plr/weight_1", "features.vectors.phase": "/plr/bias_1",
        "features.vectors.weight": "/plr/weight_2", "features.vectors.bias": "/plr/bias_2",
        "features.embedding.table": "/tfms/emb", "hidden.0.linear.scale": "/net/first_layer/layer-0/scale",
        "hidden.0.linear.weight": "/net/first_layer/layer-0/weight",
        "hidden.0.linear.bias": "/net/first_layer/layer-0/bias",
        "hidden.0.activation.blend": "/net/first_layer/layer-0/act", "head.weight": "/net/last_layer/layer-3/weight",
        "head.bias": "/net/last_layer/layer-3/bias",
    }  # fmt: skip
    for mine, other in ours.items():
        assert found[mine] == expected[other], mine


def test_realmlp_starts_as_that_of_the_authors():
    """Units of unit deviation, whose zeros lie within the training rows, in every layer, as theirs."""
    numbers, codes = random(2000, NUMBERS, seed=2), torch.zeros(2000, 3, dtype=torch.int64)
    codes[:, 2] = torch.arange(2000) % 20
    before, theirs = their_realmlp(numbers, codes, torch.arange(2000) % 3, regression=False)
    rows = Encoded(numbers, torch.empty(2000, 0), (codes + (codes > 0)).int())
    layout = Layout(NUMBERS, 0, tuple(size + 2 for size in KNOWN))
    config = DEFAULTS["realmlp"].model_copy(update={"width": 12})
    ours = build(config, layout, numbers, outputs=3, prior=torch.zeros(3), seeds=[1], rows=rows).eval()
    for outputs in (their_outputs(before, theirs, numbers, codes), ours(rows.numbers, rows.extras, rows.codes)[0]):
        torch.testing.assert_close(outputs.std(0, correction=0), torch.ones(3), rtol=0.02, atol=0.0)
        assert (outputs.mean(0).abs() < 2).all()
        assert ((outputs.amin(0) < 0) & (outputs.amax(0) > 0)).all()
