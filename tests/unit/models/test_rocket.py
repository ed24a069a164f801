"""Features of series: their values, their bits, and what they make of awkward series."""

import warnings
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch

from assay.models.rocket import Bank, Contest, Grid, Rocket, bridge, dilations, running_max

NAN = float("nan")


def series_of(rows, channels=2, length=40, *, gaps=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    series = torch.randn(rows, channels, length, generator=generator).cumsum(-1)
    if gaps:
        series[torch.rand(series.shape, generator=generator) < 0.1] = NAN
        for row in range(rows):
            series[row, :, length - row % (length // 2 + 1) :] = NAN
    return series


# Parts


def test_running_max_is_torchs():
    values = torch.rand(3, 2, 37)
    assert torch.equal(running_max(values), values.cummax(-1).values)


def test_gaps_are_filled_on_a_straight_line_and_ends_are_not():
    series = torch.tensor([[[NAN, 2.0, NAN, NAN, 5.0, NAN], [NAN] * 6]])
    filled, inside = bridge(series)
    assert filled.tolist() == [[[0, 2, 3, 4, 5, 0], [0] * 6]]
    assert inside.tolist() == [[[False, True, True, True, True, False], [False] * 6]]


def test_the_grid_standardises_to_whole_numbers():
    series = series_of(5) * 3 + 50
    values, valid = Grid(2, normalise=True, has_gaps=False)(series)
    expected = (series - series.mean(-1, keepdim=True)) / series.std(-1, correction=0, keepdim=True)
    assert valid is None
    assert torch.equal(values, values.round())
    assert torch.allclose(values / 1024, expected, atol=1e-3)
    by_channel = Grid(2, normalise=False, has_gaps=False)
    by_channel.learn(series)
    values = by_channel(series)[0] / 1024
    assert torch.allclose(values.mean((0, 2)), torch.zeros(2), atol=1e-3)
    assert torch.allclose(values.std((0, 2), correction=0), torch.ones(2), atol=1e-3)


def bank_of(train, pairs):
    bank = Bank(train.shape[1], train.shape[2], pairs)
    bank.learn(train, None, torch.Generator().manual_seed(0))
    return bank


def test_a_bank_pools_what_is_above_a_bias():
    bank = Bank(1, 12, 1)
    bank.weight[0, :, 0, 4] = 1.0  # the series itself
    bank.bias.fill_(0.5)
    series = torch.tensor([[[0.0, 1024, 2048, 0, 3072, 0, 1, 1, 1, 0, 0, 0]]])
    found = bank(series, None).view(4, 84)
    assert (
        found[:, :42].mT.tolist()
        == [pytest.approx([6 / 12, (6144 + 3 - 3) / 6, (2 + 3 + 5 + 7 + 8 + 9) / 72, 3 / 12])] * 42
    )
    # The other half see nothing in the first four steps, and nothing in the last four.
    assert found[:, 42:].mT.tolist() == [pytest.approx([3 / 4, (3072 + 2 - 1.5) / 3, (5 + 7 + 8) / 36, 2 / 4])] * 42
    valid = (torch.arange(12) < 8).float().view(1, 1, 12)
    assert bank(series, valid).view(4, 84)[[0, 3], 0].tolist() == [5 / 8, 2 / 8]
    assert bank(series, valid).view(4, 84)[[0, 3], 83].tolist() == [3 / 4, 2 / 4]


def test_pools_are_those_of_a_plain_loop():
    values = Grid(1, normalise=True, has_gaps=False)(series_of(4, 1))[0]
    bank = bank_of(values, 6)
    assert bank.dilations == [1, 2, 3, 4]
    found = bank(values, None).view(4, 4, 4, 84, -1)
    for row, place, kernel, bias in ((0, 0, 0, 0), (3, 2, 41, 1), (2, 3, 20, 0)):
        maps = torch.nn.functional.conv1d(values, bank.weight[place], dilation=place + 1, padding=4 * (place + 1))
        above = (maps[row, kernel] - bank.bias[84 * place + kernel, bias, 0]).tolist()
        places = [step for step, value in enumerate(above, start=1) if value > 0]
        runs, longest = 0, 0
        for value in above:
            runs = runs + 1 if value > 0 else 0
            longest = max(longest, runs)
        some, steps = max(len(places), 1), len(above)
        expected = [len(places) / steps, sum(max(v, 0) for v in above) / some, sum(places) / some / steps]
        assert found[row, :, place, kernel, bias].tolist() == pytest.approx([*expected, longest / steps], rel=1e-5)


def test_no_value_is_ever_on_a_bias():
    bank = bank_of(Grid(1, normalise=True, has_gaps=False)(series_of(4, 1))[0], 6)
    assert (bank.bias % 1 == 0.5).all()
    assert bank.bias.unique().numel() > 300


def test_a_contest_counts_wins_and_losses():
    contest = Contest(1, 3, 2)
    contest.draw(torch.Generator().manual_seed(0))
    assert torch.equal(contest.weight.sum(-1), torch.zeros(24, 1))
    assert torch.equal(contest.weight, contest.weight.round())
    values = Grid(1, normalise=True, has_gaps=False)(series_of(4, 1))[0]
    maps = torch.nn.functional.conv1d(values, contest.weight, padding=8, dilation=2).view(4, 3, 8, 40)
    best, winner = maps.max(2)
    wins = torch.zeros(4, 3, 8).scatter_add_(2, winner, best).clamp(min=0) / (128 * 1024)
    losses = torch.zeros(4, 3, 8).scatter_add_(2, maps.argmin(2), torch.ones(4, 3, 40))
    expected = (torch.stack([wins, losses], dim=1) / 40).sqrt().flatten(1)
    assert torch.allclose(contest(values, None), expected, atol=1e-6)


@pytest.mark.parametrize(("length", "most", "expected"), [(9, 8, [1]), (17, 8, [1, 2]), (721, 4, [1, 4, 20, 90])])
def test_dilations_reach_from_one_to_the_whole_series(length, most, expected):
    assert dilations(length, most) == expected
    assert all(a < b for a, b in pairwise(dilations(length, 32)))


# The whole


@pytest.mark.parametrize("wanted", [2_000, 12_000])
def test_there_are_about_as_many_features_as_wanted(wanted):
    for length in (1, 40, 700):
        assert Rocket(1, length, wanted).features == pytest.approx(wanted, rel=0.3)


def test_training_features_are_standardised():
    rocket, features = Rocket.fit_transform(series_of(60), 0, 2_000)
    assert features.shape == (60, rocket.features)
    assert features.dtype == torch.float32
    counted = features[:, : rocket.counted]
    assert float(counted.mean().abs()) < 0.01
    assert float(counted.std(0, correction=0).median()) == pytest.approx(1.0, abs=0.01)
    assert float(features.abs().max()) <= 10.0


@pytest.mark.parametrize("gaps", [False, True])
def test_the_same_seed_gives_the_same_bits_in_any_company(gaps):
    train, new = series_of(20, gaps=gaps), series_of(7, gaps=gaps, seed=1)
    rocket, features = Rocket.fit_transform(train, 5, 2_000)
    assert torch.equal(Rocket.fit(train, 5, 2_000).transform(new), rocket.transform(new))
    assert torch.equal(rocket.transform(train), features)
    assert not torch.equal(Rocket.fit(train, 6, 2_000).transform(new), rocket.transform(new))
    alone = torch.cat([rocket.transform(row) for row in new.split(1)])
    assert torch.allclose(alone, rocket.transform(new), atol=2e-5)


def test_a_rocket_is_its_sizes_and_its_buffers():
    train = series_of(9, gaps=True)
    rocket = Rocket.fit(train, 0, 2_000, normalise=False)
    other = Rocket(2, 40, 2_000, normalise=False, has_gaps=True)
    other.load_state_dict(rocket.state_dict())
    assert torch.equal(other.transform(train), rocket.transform(train))
    assert not list(rocket.parameters())


def test_normalised_series_have_no_level_and_no_scale():
    train = series_of(10)
    rocket = Rocket.fit(train, 0, 2_000)
    shifted = train * torch.linspace(0.5, 20, 10).view(-1, 1, 1) + 7
    # A value in 100,000 is rounded to the next whole number.
    assert float((rocket.transform(shifted) - rocket.transform(train)).abs().mean()) < 1e-3
    kept = Rocket.fit(train, 0, 2_000, normalise=False)
    assert float((kept.transform(shifted) - kept.transform(train)).abs().mean()) > 0.1


def test_what_stands_after_the_end_counts_for_nothing():
    train = series_of(10, gaps=True)
    rocket = Rocket.fit(train, 0, 2_000)
    row = train[9:10].clone()
    first_missing = int(row.isnan().all(1).flatten().nonzero()[0])
    values, valid = rocket.grid(row)
    assert valid.flatten().tolist() == [1.0] * first_missing + [0.0] * (40 - first_missing)
    assert (values[..., first_missing:] == 0).all()


AWKWARD = {
    "one step": torch.tensor([[[1.0]], [[2.0]], [[5.0]]]),
    "one row": series_of(1),
    "constant": torch.ones(4, 2, 30),
    "no channel": torch.full((3, 2, 12), NAN),
    "a channel without values": torch.cat([series_of(3, 1), torch.full((3, 1, 40), NAN)], dim=1),
    "two steps": series_of(5, 1, 2),
    "as many steps as taps": series_of(5, 1, 9),
    "infinite": torch.cat([series_of(3, 1), torch.full((1, 1, 40), float("inf"))]),
    "huge": series_of(5) * 1e30,
    "tiny": series_of(5) * 1e-20,
    "many channels": series_of(3, 30, 15),
}


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_series_have_features(name, normalise):
    train = AWKWARD[name]
    rocket, features = Rocket.fit_transform(train, 0, 1_500, normalise=normalise)
    assert features.isfinite().all()
    assert rocket.transform(torch.full_like(train, NAN)).isfinite().all()
    assert rocket.transform(series_of(2, *train.shape[1:], gaps=train.shape[2] > 2)).isfinite().all()


@pytest.mark.parametrize(("channels", "length", "gaps"), [(1, 12, False), (3, 30, True)])
def test_onnx_finds_the_same_features(channels, length, gaps):
    train = series_of(16, channels, length, gaps=gaps)
    rocket = Rocket.fit(train, 0, 2_000)
    new = series_of(50, channels, length, gaps=gaps, seed=3)
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        program = torch.onnx.export(
            rocket, (train[:3],), dynamo=True, opset_version=20, verbose=False, dynamic_shapes=({0: rows},)
        )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    for size in (1, 50):
        found = session.run(None, {given.name: new[:size].numpy()})[0]
        np.testing.assert_allclose(found, rocket.transform(new[:size]).numpy(), atol=1e-4)
