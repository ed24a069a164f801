from copy import deepcopy

import pytest
import torch

from assay.models.network import Dropout, Noise


def seeded(*seeds):
    noise = Noise(len(seeds))
    noise.seed(seeds)
    return noise


# Noise


def test_the_bits_of_a_member_are_its_own():
    together = seeded(1, 2, 3)
    alone = seeded(2)
    for shape in ((5, 3), (4, 4), (1,)):
        assert torch.equal(together.bits((3, *shape))[1], alone.bits((1, *shape))[0])


def test_the_bits_are_the_words_of_the_generator():
    words = torch.empty(3, dtype=torch.int64).random_(-(1 << 63), None, generator=torch.Generator().manual_seed(7))
    assert torch.equal(seeded(7).bits((1, 2, 5))[0].flatten(), words.view(torch.int16)[:10])


def test_bits_are_uniform():
    bits = seeded(0, 1).bits((2, 200_000)).double()
    assert bits.dtype == torch.float64
    for member in bits:
        assert float(member.mean()) == pytest.approx(-0.5, abs=150)
        assert float(member.std()) == pytest.approx(65_536 / 12**0.5, rel=0.01)
    assert float(torch.corrcoef(bits)[0, 1]) == pytest.approx(0.0, abs=0.01)


def test_noise_goes_on_from_a_kept_state():
    noise = seeded(1, 2)
    noise.bits((2, 11))
    state, copied = noise.state(), deepcopy(noise)
    assert state.dtype == torch.uint8
    assert state.shape[0] == 2
    expected = noise.bits((2, 9))
    noise.restore(state)
    assert torch.equal(noise.bits((2, 9)), expected)
    assert torch.equal(copied.bits((2, 9)), expected)


def test_noise_on_the_same_device_goes_on():
    noise, other = seeded(1), seeded(1)
    noise.bits((1, 4))
    other.bits((1, 4))
    noise.to("cpu")
    assert torch.equal(noise.bits((1, 4)), other.bits((1, 4)))


# Dropout


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer = Dropout(0.25, seeded(0, 1)).train()
    out = layer(torch.ones(2, 300, 501))
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.003)
    assert float(out.max()) == pytest.approx(1 / 0.75)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.005)
    layer.noise.seed([0, 1])
    assert torch.equal(out, layer(torch.ones(2, 300, 501)))
    assert not torch.equal(out[0], out[1])


def test_dropout_rests_where_there_is_nothing_to_drop():
    rows, noise = torch.randn(2, 3, 5), seeded(0, 1)
    assert Dropout(0.5, noise).eval()(rows) is rows
    assert Dropout(0.0, noise).train()(rows) is rows
    noise.strength = 0.0
    assert Dropout(0.5, noise).train()(rows) is rows


def test_each_member_drops_its_own_share():
    layer = Dropout(0.5, seeded(0, 1, 2)).train()
    layer.shares = (0.0, 0.1, 0.6)
    rows = torch.ones(6, 100, 100)  # two heads a member
    out = layer(rows).view(3, -1)
    assert torch.equal(out[0], torch.ones(20_000))
    for member, share in ((1, 0.1), (2, 0.6)):
        assert float((out[member] == 0).float().mean()) == pytest.approx(share, abs=0.015)
        assert float(out[member].max()) == pytest.approx(1 / (1 - share), rel=1e-4)


def test_strength_is_a_factor_of_the_share():
    strong, weak = Dropout(0.2, seeded(3)).train(), Dropout(0.4, seeded(3)).train()
    weak.noise.strength = 0.5
    rows = torch.ones(1, 50, 50)
    assert torch.equal(strong(rows), weak(rows))


def test_a_member_drops_the_same_units_alone():
    together, alone = Dropout(0.3, seeded(1, 2)).train(), Dropout(0.3, seeded(2)).train()
    rows = torch.randn(2, 7, 5)
    assert torch.equal(together(rows)[1], alone(rows[1:])[0])
