"""Changes of training series: what each does, what it leaves alone, and the bits of a seed."""

import pytest
import torch

from assay.train.augment.series import augment_series, jitter, permutation, scaling, window_slicing, window_warping
from assay.train.augment.series_policy import SeriesPolicy, series_policy

CHANGES = [jitter, scaling, window_warping, window_slicing, permutation]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def series_of(rows=6, channels=2, length=50):
    return torch.randn(rows, channels, length, generator=seeded(9)).cumsum(-1)


@pytest.mark.parametrize("change", CHANGES)
def test_a_seed_gives_the_same_bits_and_the_input_stays(change):
    series = series_of()
    kept = series.clone()
    found = change(series, seeded())
    assert torch.equal(series, kept)
    assert found.shape == series.shape
    assert torch.equal(found, change(series, seeded()))
    assert not torch.equal(found, change(series, seeded(1)))
    assert not torch.equal(found, series)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_and_missing_series_stay_what_they_are(change, length):
    assert change(torch.full((3, 2, length), torch.nan), seeded()).isnan().all()
    assert change(series_of(3, 1, length), seeded()).isfinite().all()
    assert change(series_of(1, 1, length), seeded()).shape == (1, 1, length)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_missing_stays_about_as_much(change):
    series = series_of()
    series[:, :, 30:] = torch.nan
    found = change(series, seeded())
    assert torch.equal(found[:, 0].isnan(), found[:, 1].isnan())
    assert float(found.isnan().float().mean()) == pytest.approx(0.4, abs=0.1)


def test_jitter_is_noise_of_the_deviation():
    series = series_of(50, 1, 500) * 40
    noise = jitter(series, seeded(), 0.1) - series
    assert float((noise.std(2) / series.std(2)).mean()) == pytest.approx(0.1, rel=0.02)
    assert torch.equal(jitter(torch.ones(2, 1, 9), seeded()), torch.ones(2, 1, 9))


def test_scaling_is_one_factor_a_channel():
    series = series_of()
    factor = scaling(series, seeded()) / series
    assert torch.allclose(factor, factor[..., :1].expand_as(factor), rtol=1e-4)
    assert factor[..., 0].unique().numel() == 12


def test_a_slice_of_a_line_is_a_slower_line():
    line = torch.arange(101.0).expand(4, 1, -1)
    found = window_slicing(line, seeded(), 0.5)
    assert torch.allclose(found.diff(dim=2), torch.tensor(0.5), atol=1e-4)
    assert torch.allclose(window_slicing(line, seeded(), 1.0), line, atol=1e-4)


def test_warping_a_line_keeps_its_ends_and_bends_it_once():
    line = torch.arange(201.0).expand(8, 1, -1)
    found = window_warping(line, seeded(), 0.2)[:, 0]
    assert torch.allclose(found[:, 0], torch.tensor(0.0), atol=1e-3)
    assert torch.allclose(found[:, -1], torch.tensor(200.0), atol=1e-3)
    pace = found.diff(dim=1)
    assert (pace > 0).all()
    for row in pace:  # twice as slow or as fast within the window as around it
        ratio = float(row.max() / row.min())
        assert ratio == pytest.approx(2.0, abs=0.02)


def test_permutation_moves_whole_pieces():
    series = torch.arange(40.0).expand(30, 2, -1)
    found = permutation(series, seeded(), 4)
    assert torch.equal(found.sort(2).values, series)
    pieces = found.view(30, 2, 4, 10)
    assert (pieces.diff(dim=3) == 1).all()
    assert found[:, 0].unique(dim=0).shape[0] > 10


def test_a_policy_changes_its_share_of_rows():
    series = series_of(400, 1, 20)
    found = augment_series(series, SeriesPolicy(jitter=0.25), seeded())
    assert float((found != series).any(2).float().mean()) == pytest.approx(0.25, abs=0.06)


def test_an_idle_policy_changes_nothing():
    series = series_of()
    assert SeriesPolicy().is_idle
    assert augment_series(series, SeriesPolicy(), seeded()) is series


def test_a_policy_of_all_is_the_same_for_a_seed():
    policy = SeriesPolicy(jitter=0.5, scaling=0.5, warping=0.5, slicing=0.5, permutation=0.5)
    first, second = (augment_series(series_of(), policy, seeded()) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment_series(series_of(), policy, seeded(1)))


def test_what_was_said_goes_on_top_of_the_named_policy():
    assert series_policy("warp", SeriesPolicy(warping=0.0)) == SeriesPolicy(slicing=0.5)
    assert series_policy("none", SeriesPolicy()).is_idle
    assert series_policy("noise", SeriesPolicy()).told() == (
        "factors of 1 +- 0.1 (50% of the rows), noise of 0.03 deviations (50% of the rows)"
    )
    with pytest.raises(ValueError, match="not by 'flip'"):
        series_policy("flip", SeriesPolicy())
