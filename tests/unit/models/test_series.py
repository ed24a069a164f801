"""What holds for every network of series."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch

from assay.data.encoding.encode import Layout
from assay.models.series import SERIES_NETWORKS, Fcn, Gru, Lstm, SeriesLayout, SeriesTransformer, average

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "inception": {"width": 4, "depth": 4, "taps": (8, 4, 3)},
    "resnet1d": {"width": 4},
    "fcn": {"width": 4},
    "gru": {"width": 8, "depth": 2},
    "lstm": {"width": 8, "depth": 2},
    "series_transformer": {"width": 8, "depth": 2, "heads": 2, "patch": 4},
}
NAMES = list(SMALL)
SMALLER = {"inception": {"depth": 1}, "resnet1d": {"depth": 1}}  # exporting takes a second for a few layers
TABLE = Layout(2, 1, (4, 5))


def series_of(rows, channels=2, length=21, *, gaps=False, seed=0):
    series = torch.randn(rows, channels, length, generator=torch.Generator().manual_seed(seed)).cumsum(-1)
    if gaps:
        for row in range(rows):
            series[row, :, length - row % (length // 2 + 1) :] = torch.nan
        series[0, -1] = torch.nan
    return series


def table_of(rows, layout=TABLE):
    generator = torch.Generator().manual_seed(5)
    codes = torch.cat([torch.randint(0, s, (rows, 1), generator=generator) for s in layout.vocabularies] or
                      [torch.zeros(rows, 0, dtype=torch.int64)], dim=1)  # fmt: skip
    return (
        torch.randn(rows, layout.numbers, generator=generator),
        torch.randn(rows, layout.extras, generator=generator),
        codes,
    )


def made(name, seeds, train, *, table=TABLE, outputs=3, **options):
    layout = SeriesLayout.learn(train, normalise=False)
    network = SERIES_NETWORKS[name](len(seeds), layout, table, outputs, **SMALL[name] | options)
    network.reset(seeds, torch.zeros(outputs))
    with torch.no_grad():  # a head of zeros would hide everything before it
        for weight, seed in zip(network.head.weight, seeds, strict=True):
            weight.normal_(std=0.5, generator=torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_members_rows_outputs(name, gaps):
    train = series_of(12, gaps=gaps)
    for network in (made(name, (1, 2), train), made(name, (1, 2), train, table=Layout(0, 0, ()))):
        layout = TABLE if network.embedding is not None else Layout(0, 0, ())
        for mode in (True, False):
            found = network.train(mode)(*table_of(12, layout), train)
            assert found.shape == (2, 12, 3)
            assert found.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_first_answer_is_the_prior(name):
    network, train = made(name, (1, 2), series_of(6)), series_of(6)
    network.reset((1, 2), torch.tensor([0.5, -1.0, 2.0]))
    assert torch.equal(network(*table_of(6), train)[1, 3], torch.tensor([0.5, -1.0, 2.0]))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_members_are_networks_of_their_own(name, gaps):
    train = series_of(9, gaps=gaps)
    together = made(name, (3, 9, 5), train, dropout=0.3).train()
    together.noise.seed((1, 2, 3))
    outputs = together(*table_of(9), train)
    outputs.square().mean((1, 2)).sum().backward()
    for place, seed in enumerate((3, 9, 5)):
        alone = made(name, (seed,), train, dropout=0.3).train()
        alone.noise.seed((place + 1,))
        own = alone(*table_of(9), train)
        own.square().mean((1, 2)).sum().backward()
        assert torch.equal(outputs[place], own[0])
        for (called, whole), one in zip(together.named_parameters(), alone.parameters(), strict=True):
            assert torch.equal(whole[place], one[0]), called
            assert torch.equal(whole.grad[place], one.grad[0]), called
        for called, whole in together.statistics().items():
            assert torch.equal(whole[place], alone.statistics()[called][0]), called


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_is_cut_is_that_of_the_members_that_stay(name):
    rows = series_of(12)
    network, other = (made(name, seeds, series_of(12)).eval() for seeds in ([7, 8, 9], [9, 7]))
    network.cut([2, 0])
    found, expected = (each(*table_of(12), rows) for each in (network, other))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_exports_with_any_number_of_rows(name):
    train = series_of(9, gaps=name != "fcn")
    network = made(name, (1,) if name in ("resnet1d", "inception") else (1, 2), train, **SMALLER.get(name, {}))
    network.train()
    network(*table_of(9), train)  # running statistics that are not those of the start
    network.eval()
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        program = torch.onnx.export(
            network, (*table_of(3), train[:3]), dynamo=True, opset_version=20, verbose=False,
            dynamic_shapes=({0: rows}, {0: rows}, {0: rows}, ({0: rows},)),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (1, 9):
        fed = [each.numpy() for each in (*table_of(size), train[:size])]
        found = session.run(None, dict(zip([i.name for i in session.get_inputs()], fed, strict=True)))[0]
        with torch.inference_mode():
            np.testing.assert_allclose(found, network(*table_of(size), train[:size]).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "train", [torch.ones(1, 1, 1), torch.full((2, 2, 3), torch.nan), torch.zeros(3, 1, 5)], ids=["T=1", "NaN", "zeros"]
)
def test_awkward_series_have_answers(name, train):
    network = made(name, (1,), train, table=Layout(0, 0, ()))
    for mode in (True, False):
        assert network.train(mode)(*table_of(len(train), Layout(0, 0, ())), train).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_missing_values_that_training_had_not_are_the_mean(name):
    network, series = made(name, (1,), series_of(4)).eval(), series_of(3, gaps=True)
    assert network(*table_of(3), series).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_factors_name_every_parameter_and_only_matrices_decay(name):
    factors = made(name, (0,), series_of(3)).factors()
    for called, (rate, decay) in factors.items():
        assert rate == 1.0
        assert decay == float("weight" in called or "table" in called), called


def test_series_are_standardised_by_channel_or_each_by_itself():
    train = series_of(8) * 5 + 100
    by_channel = Fcn(1, SeriesLayout.learn(train, normalise=False), TABLE, 1).standardised(train)[0]
    assert torch.allclose(by_channel.mean((0, 2)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(by_channel.std((0, 2), correction=0), torch.ones(2), atol=1e-5)
    by_itself = Fcn(1, SeriesLayout.learn(train, normalise=True), TABLE, 1).standardised(train)[0]
    assert torch.allclose(by_itself.std(2, correction=0), torch.ones(8, 2), atol=1e-5)


def test_the_average_is_of_what_is_there():
    maps, there = torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    assert average(maps, there).item() == 0.5
    assert average(maps, None).item() == 1.5
    assert average(maps, torch.zeros(1, 1, 4)).item() == 0.0


@pytest.mark.parametrize("network", [Gru, Lstm])
def test_a_recurrent_network_is_torchs_own_on_packed_series(network):
    train = series_of(7, gaps=True)
    ours = network(1, SeriesLayout.learn(train, normalise=False), Layout(0, 0, ()), 1, width=6, depth=2)
    ours.reset((3,), torch.zeros(1))
    theirs = (torch.nn.GRU if network is Gru else torch.nn.LSTM)(3, 6, 2, batch_first=True)
    lists = (ours.units.input_weights, ours.units.state_weights, ours.units.input_biases, ours.units.state_biases)
    with torch.no_grad():
        for place in range(2):
            for name, values in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), lists, strict=True):
                getattr(theirs, f"{name}_l{place}").copy_(values[place][0])
    values, there = ours.standardised(train)
    lengths = there[:, 0].sum(1).long()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        values.transpose(1, 2), lengths, batch_first=True, enforce_sorted=False
    )
    last = theirs(packed)[1]
    expected = last[-1] if network is Gru else last[0][-1]
    assert torch.allclose(ours.read(values, there)[0], expected, atol=1e-6)


def test_a_transformer_has_about_64_tokens():
    for length, tokens in ((1, 1), (64, 64), (65, 33), (1000, 63)):
        train = series_of(2, length=length)
        assert SeriesTransformer(1, SeriesLayout.learn(train, normalise=True), TABLE, 1).tokens == tokens


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 attention heads must divide the width 64"):
        SeriesTransformer(1, SeriesLayout.learn(series_of(2), normalise=True), TABLE, 1, heads=3)
