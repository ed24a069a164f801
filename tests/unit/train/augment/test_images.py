import pytest
import torch
from pydantic import ValidationError

from assay.train.augment import images as changes
from assay.train.augment.image_policy import ImagePolicy, image_policy, mirrors, named_policy
from assay.train.augment.images import alternates, augment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, channels=3, height=10, width=8, seed=0):
    return torch.randint(0, 256, (n, channels, height, width), generator=seeded(seed), dtype=torch.uint8)


def changed(policy, images=None, seed=0, epoch=0):
    images = pictures() if images is None else images
    return augment(images, ImagePolicy(**policy), seeded(seed), epoch=epoch)


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
    images = pictures(10_000, 1, 4, 4)
    first = alternates(images, 0)
    assert float(first.float().mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(alternates(images, 1), ~first)
    assert torch.equal(alternates(images, 2), first)
    order = torch.randperm(10_000, generator=seeded())  # whatever the order of the rows is
    assert torch.equal(alternates(images[order], 0), first[order])


def test_alternating_flips_of_plain_pictures_are_halves_too():
    plain = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    assert float(alternates(plain, 0).float().mean()) == pytest.approx(0.5, abs=0.1)


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


# Policies


def test_a_policy_refuses_what_makes_no_sense():
    with pytest.raises(ValidationError, match="choose one"):
        ImagePolicy(erase=0.5, cutout=4)
    with pytest.raises(ValidationError, match="less than or equal to 180"):
        ImagePolicy(rotate=200)
    assert ImagePolicy().is_idle
    assert not ImagePolicy(flip_vertical=True).is_idle


def test_what_was_said_goes_on_top_of_the_named_policy():
    assert image_policy("flip", ImagePolicy(), 32) == ImagePolicy(flip="alternating", translate=2)
    assert image_policy("flip", ImagePolicy(translate=0, drawn="rand"), 32) == ImagePolicy(
        flip="alternating", drawn="rand"
    )
    assert image_policy("strong", ImagePolicy(erase=0.5), 30) == ImagePolicy(flip="alternating", translate=2, erase=0.5)
    with pytest.raises(ValueError, match="not by 'warp'"):
        named_policy("warp", 32)
    with pytest.raises(ValueError, match="not by 'auto'"):
        named_policy("auto", 32)


def test_pictures_mirror_as_named_or_said():
    assert mirrors("flip", ImagePolicy())
    assert not mirrors("shift", ImagePolicy())
    assert not mirrors("strong", ImagePolicy(flip="none"))
    assert mirrors("auto", ImagePolicy(flip="random"))


def test_a_policy_says_what_it_does():
    assert named_policy("strong", 30).told() == (
        "mirrored every other epoch, shifted by up to 2 pixels, a square of 10 pixels cut out"
    )
    assert named_policy("trivial", 30).told() == "shifted by up to 2 pixels, changed by TrivialAugment"
