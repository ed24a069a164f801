import pytest
import torch
from pydantic import ValidationError

from assay.train import augment_images as changes
from assay.train.augment_images import alternates, augment, mix
from assay.train.image_policy import ImagePolicy


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, channels=3, height=10, width=8, seed=0):
    return torch.randint(0, 256, (n, channels, height, width), generator=seeded(seed), dtype=torch.uint8)


def changed(policy, images=None, seed=0, epoch=0):
    images = pictures() if images is None else images
    return augment(images, ImagePolicy(**policy), seeded(seed), rows=torch.arange(len(images)), epoch=epoch)


POLICIES = [
    {"flip": "random"},
    {"flip": "alternating"},
    {"flip_vertical": True},
    {"translate": 2},
    {"rotate": 20},
    {"scale": 0.2},
    {"brightness": 0.4},
    {"contrast": 0.4},
    {"saturation": 0.4},
    {"drawn": "trivial"},
    {"drawn": "rand"},
    {"drawn": "auto"},
    {"erase": 1.0},
    {"cutout": 4},
]


def test_the_default_changes_nothing():
    images = pictures()
    assert changed({}, images) is images


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_change_follows_from_the_generator_alone(policy, channels):
    images = pictures(channels=channels)
    before = images.clone()
    torch.manual_seed(0)
    first = changed(policy, images)
    state = torch.get_rng_state()
    assert torch.equal(changed(policy, images), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before)
    assert (first.dtype, first.shape) == (torch.uint8, images.shape)
    if channels == 3 or "saturation" not in policy:
        others = [changed(policy, images, seed=seed, epoch=seed) for seed in range(1, 5)]
        assert any(not torch.equal(other, first) for other in others)


# Places


def test_flips_mirror_what_they_say():
    images = pictures(2)
    which = torch.tensor([True, False])
    assert torch.equal(changes.flip(images, which), torch.stack([images[0].flip(2), images[1]]))
    assert torch.equal(changes.flip(images, which, axis=2), torch.stack([images[0].flip(1), images[1]]))


def test_random_flips_turn_half():
    images = torch.zeros(2000, 1, 1, 2, dtype=torch.uint8)
    images[..., 1] = 1
    assert float(changed({"flip": "random"}, images)[..., 0].float().mean()) == pytest.approx(0.5, abs=0.05)


def test_alternating_flips_show_both_ways_in_any_two_epochs():
    rows = torch.randperm(10_000, generator=seeded())
    first = alternates(rows, 0)
    assert float(first.float().mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(alternates(rows, 1), ~first)
    assert torch.equal(alternates(rows, 2), first)
    assert torch.equal(alternates(rows[5:9], 0), first[5:9])
    # Nothing to do with the order of the rows, which often is that of the classes.
    ordered = alternates(torch.arange(10_000), 0).float()
    assert abs(float(torch.corrcoef(torch.stack([ordered[1:], ordered[:-1]]))[0, 1])) < 0.05
    blocks = ordered.view(10, 1000).mean(1)
    assert float((blocks - 0.5).abs().max()) < 0.05


def test_shifts_are_crops_of_the_reflected_picture():
    images = pictures(200, 1, 7, 6)
    padded = torch.nn.functional.pad(images.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    crops = {(down, aside): padded[..., down : down + 7, aside : aside + 6] for down in range(5) for aside in range(5)}
    moved = changes.translate(images, 2, seeded())
    seen = set()
    for row in range(200):
        found = [place for place, crop in crops.items() if torch.equal(crop[row], moved[row])]
        assert found
        seen.update(found)
    assert len(seen) == 25


def test_shifts_beyond_a_small_picture_stay_inside():
    images = pictures(5, 1, 3, 1)
    assert changes.translate(images, 9, seeded()).shape == images.shape


def test_no_turn_and_no_scale_give_the_picture_back():
    images = pictures()
    assert torch.equal(changes.affine(images, 0.0, 0.0, seeded()), images)


def test_a_turn_keeps_lengths_in_a_picture_that_is_no_square(monkeypatch):
    images = torch.zeros(1, 1, 41, 81, dtype=torch.uint8)
    images[0, 0, 20, 30:51] = 255  # a bar of 21 pixels lying
    monkeypatch.setattr(changes, "_spread", lambda n, most, _: torch.full((n,), most))
    turned = changes.affine(images, 90.0, 0.0, seeded())[0, 0]
    assert (turned[:, 40] > 128).nonzero().flatten().tolist() == list(range(10, 31))
    assert int((turned > 128).sum()) == 21


def test_magnifying_makes_a_square_larger(monkeypatch):
    images = torch.zeros(1, 1, 40, 40, dtype=torch.uint8)
    images[0, 0, 10:30, 10:30] = 255
    monkeypatch.setattr(changes, "_spread", lambda n, most, _: torch.full((n,), most))
    assert int((changes.affine(images, 0.0, 0.5, seeded()) > 127).sum()) == 30 * 30


# Colours


def test_colours_change_by_their_factors(monkeypatch):
    images = torch.tensor([100, 50, 200], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2).contiguous()
    grey = 0.299 * 100 + 0.587 * 50 + 0.114 * 200
    monkeypatch.setattr(changes, "_spread", lambda n, most, _: torch.full((n,), most))
    assert changes.colour(images, 0.2, 0.0, 0.0, seeded())[0, :, 0, 0].tolist() == [120, 60, 240]
    contrast = changes.colour(images, 0.0, 0.5, 0.0, seeded())[0, :, 0, 0].tolist()
    assert contrast == [round(grey + 1.5 * (value - grey)) for value in (100, 50)] + [255]
    saturation = changes.colour(images, 0.0, 0.0, 0.5, seeded())[0, :, 0, 0].tolist()
    assert saturation == contrast  # of a picture of one colour


# Erasing


def test_erasing_takes_a_rectangle_of_the_share_it_says():
    images = torch.zeros(3000, 1, 20, 20, dtype=torch.uint8)
    images[:, :, ::2] = 200  # the mean is 100, which no pixel has
    gone = (changes.erase(images, 0.5, seeded()) == 100).squeeze(1)
    erased = gone.flatten(1).any(1)
    assert float(erased.float().mean()) == pytest.approx(0.5, abs=0.04)
    tall, wide = gone[erased].any(2).sum(1), gone[erased].any(1).sum(1)
    area = gone[erased].flatten(1).sum(1)
    assert torch.equal(tall * wide, area)
    assert float(area.min()) / 400 > 0.01
    assert float(area.max()) / 400 < 0.38


def test_cutout_takes_a_square_that_may_reach_outside():
    images = torch.zeros(500, 1, 12, 12, dtype=torch.uint8)
    images[:, :, ::2] = 200
    area = (changes.cutout(images, 4, seeded()) == 100).flatten(1).sum(1)
    assert int(area.max()) == 16
    assert int(area.min()) == 4


# Mixing


def test_mixup_is_the_share_of_both():
    images, target = pictures(50), torch.arange(50)
    found = changes.mixup(images, target, 1.0, seeded())
    share = found.share.view(-1, 1, 1, 1)
    expected = share * images.float() + (1 - share) * images[found.second].float()
    assert torch.allclose(found.pictures, expected, atol=1e-3)
    assert torch.equal(found.first, target)
    assert found.second.sort().values.tolist() == list(range(50))


def test_cutmix_counts_the_pixels_of_the_other():
    images = torch.arange(40, dtype=torch.uint8).view(-1, 1, 1, 1).expand(40, 1, 16, 16).contiguous()
    found = changes.cutmix(images, torch.arange(40), 1.0, seeded())
    for row in range(40):
        own = (found.pictures[row] == row).float().mean()
        other = (found.pictures[row] == int(found.second[row])).float().mean()
        if int(found.second[row]) != row:
            assert float(own) == pytest.approx(float(found.share[row]), abs=1e-6)
            assert float(own + other) == pytest.approx(1.0)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 10.0])
def test_shares_have_the_mean_and_variance_of_a_beta(alpha):
    share = changes._beta(20_000, alpha, seeded())
    assert float(share.mean()) == pytest.approx(0.5, abs=0.015)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_a_policy_says_how_pictures_are_mixed():
    images, target = pictures(8), torch.arange(8)
    plain = mix(images, target, ImagePolicy(), seeded())
    assert torch.equal(plain.pictures, images.float())
    assert plain.share.tolist() == [1.0] * 8
    both = ImagePolicy(mixup=1.0, cutmix=1.0)
    kinds = {bool((mix(images, target, both, seeded(seed)).pictures % 1 == 0).all()) for seed in range(10)}
    assert kinds == {True, False}


def test_a_policy_refuses_what_makes_no_sense():
    with pytest.raises(ValidationError, match="choose one"):
        ImagePolicy(erase=0.5, cutout=4)
    with pytest.raises(ValidationError, match="less than or equal to 180"):
        ImagePolicy(rotate=200)
    assert not ImagePolicy().mixes
    assert ImagePolicy(cutmix=1.0).mixes
