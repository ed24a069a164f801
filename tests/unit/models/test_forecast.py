"""What holds for every network that forecasts."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch

from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.schema import Kind
from assay.models.config import ModelConfig
from assay.models.forecast import FORECAST_NETWORKS, WindowLayout, build_forecast
from assay.models.linear_start import linear_start
from assay.models.series import SeriesLayout

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = list(FORECAST_NETWORKS)
SMALL = {"dlinear": {}, "patchtst": {"width": 8, "depth": 1, "heads": 2}, "gru": {"width": 8}}
TABLE = Layout(0, 2, (4,))
LENGTH, HORIZON = 40, 6


def windows_of(rows, *, seed=0):
    """A target, a channel that ends at the origin and one that is known ahead: (n, 3, L + H)."""
    series = torch.randn(rows, 3, LENGTH + HORIZON, generator=torch.Generator().manual_seed(seed)).cumsum(-1)
    series[:, :2, LENGTH:] = torch.nan
    return series


def table_of(rows):
    generator = torch.Generator().manual_seed(5)
    return (
        torch.zeros(rows, 0),
        torch.randn(rows, 2, generator=generator),
        torch.randint(0, 4, (rows, 1), generator=generator),
    )


def made(name, seeds, *, disturbed=True):
    layout = WindowLayout.learn(windows_of(30), HORIZON)
    network = FORECAST_NETWORKS[name](len(seeds), layout, TABLE, **SMALL[name])
    network.reset(seeds, torch.zeros(HORIZON))
    if disturbed:
        with torch.no_grad():  # layers of zeros would hide everything before them
            for parameter in network.parameters():
                for own, seed in zip(parameter, seeds, strict=True):
                    own.add_(0.1 * torch.randn(own.shape, generator=torch.Generator().manual_seed(seed)))
    return network


def test_the_layout_tells_channels_that_go_on_from_those_that_end():
    layout = WindowLayout.learn(windows_of(30), HORIZON)
    assert (layout.length, layout.horizon, layout.known, layout.past) == (LENGTH, HORIZON, (2,), (1,))
    alone = WindowLayout.learn(windows_of(30)[:, :1, :LENGTH], HORIZON)
    assert (alone.length, alone.known, alone.past) == (LENGTH, (), ())


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_with_its_level(name):
    network = made(name, [1, 2], disturbed=False).eval()
    rows = windows_of(5)
    level = network.standardised(rows)[0][:, 0, :LENGTH]
    level = level[:, -1] if network.level == "last" else level.mean(1)
    answers = network(*table_of(5), rows)
    assert answers.shape == (2, 5, HORIZON)
    torch.testing.assert_close(answers, level[None, :, None].expand(2, -1, HORIZON))


@pytest.mark.parametrize("name", NAMES)
def test_a_window_at_another_level_and_size_is_forecast_there(name):
    network = made(name, [1]).eval()
    network.known, network.hidden, network.effect = (), None, None
    rows = windows_of(4)
    before = network(*table_of(4), rows).detach()
    deviation = 1.0 / network.standardised.scale[0, 0, 0]
    moved = rows.clone()
    moved[:, 0] = 3.0 * rows[:, 0] + 20.0
    centre = network.standardised.centre[0, 0, 0]
    raw = before * deviation + centre
    expected = ((3.0 * raw + 20.0) - centre) / deviation
    torch.testing.assert_close(network(*table_of(4), moved).double(), expected.double(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_ends_at_the_origin_tells_nothing_of_what_comes(name):
    network = made(name, [1]).eval()
    rows = windows_of(3)
    spoilt = rows.clone()
    spoilt[:, :2, LENGTH:] = 1e6
    assert network(*table_of(3), rows).equal(network(*table_of(3), spoilt))
    ahead = rows.clone()
    ahead[:, 2, -1] += 5.0  # known ahead, and only of the last step
    changed = (network(*table_of(3), rows) != network(*table_of(3), ahead)).any(0).any(0)
    assert changed.tolist() == [False] * (HORIZON - 1) + [True]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_is_cut_is_that_of_the_members_that_stay(name):
    rows = windows_of(64)
    network, other = (made(name, seeds).eval() for seeds in ([7, 8, 9], [9, 7]))
    network.cut([2, 0])
    found, expected = (each(*table_of(64), rows) for each in (network, other))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_members_are_as_if_alone(name):
    together, rows = made(name, [7, 8]), windows_of(64)
    for place, seed in enumerate([7, 8]):
        alone = made(name, [seed])
        for network in (together, alone):
            network.eval()
        expected = alone(*table_of(64), rows)[0]
        # Products of few rows and steps may end in other last bits beside another member.
        torch.testing.assert_close(together(*table_of(64), rows)[place], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_and_leads_with_members(name):
    network = made(name, [1, 2]).train()
    network(*table_of(6), windows_of(6)).square().sum().backward()
    for label, parameter in network.named_parameters():
        assert len(parameter) == 2, label
        assert parameter.grad is not None, label
        assert (parameter.grad.flatten(1).abs().sum(1) > 0).all(), label


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_in_onnx_as_in_torch(name, tmp_path):
    network = made(name, [1, 2]).eval()
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    table, path = table_of(3), tmp_path / "network.onnx"

    class Present(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, extras, codes, series):
            return self.network(torch.zeros((series.shape[0], 0)), extras, codes, series)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Present().eval(), (*table[1:], windows_of(3)), path, dynamo=True, opset_version=20, verbose=False,
            dynamic_shapes=({0: rows}, {0: rows}, {0: rows}),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        given = dict(zip([node.name for node in session.get_inputs()],
                         [each.numpy() for each in (*table_of(count)[1:], windows_of(count, seed=count))],
                         strict=True))  # fmt: skip
        (found,) = session.run(None, given)
        expected = network(*table_of(count), windows_of(count, seed=count)).detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_linear_start_is_the_ridge_regression_of_the_windows():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 3))
    windows = rng.normal(size=(500, 8))
    aims = windows @ weights
    found = linear_start(torch.from_numpy(windows), torch.from_numpy(aims), torch.ones(500, 1))
    np.testing.assert_allclose(found.numpy(), weights, atol=1e-3)


def test_a_network_begins_where_the_linear_forecast_is():
    steps = torch.arange(200.0)
    line = torch.sin(2 * torch.pi * steps / 8) + 0.01 * steps
    rows = line.unfold(0, 24, 1)
    windows, ahead = rows[:, None, :20], rows[:, 20:]
    layout = SeriesLayout.learn(windows, normalise=False)
    targets = (ahead - layout.means[0]) / layout.deviations[0]
    inputs = Encoded(torch.zeros(len(rows), 0), torch.zeros(len(rows), 0), torch.zeros(len(rows), 0), (windows,))
    view = View((Input(name="y", kind=Kind.SEQUENCE, length=20),), "series")
    network = build_forecast(ModelConfig(name="dlinear"), Layout(0, 0, (), (view,)), 4, 1, inputs, targets)
    network.reset([1], torch.zeros(4))
    found = network(inputs.numbers, inputs.extras, inputs.codes, windows)[0].detach()
    assert float((found - targets).abs().max()) < 0.02
