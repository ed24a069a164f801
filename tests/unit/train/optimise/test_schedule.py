import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from assay.train.config import TrainConfig
from assay.train.optimise.schedule import Plateau, coslog4, factor, flat_cosine

STEPS = 100


def ours(**options):
    config = TrainConfig(**{"warmup": 0.0} | options)
    return [factor(step, STEPS, config) for step in range(STEPS)]


def theirs(make):
    """Factors of a scheduler of torch at each of the steps."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, found = make(optimiser), []
    for _ in range(STEPS):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


PAIRS = {
    "step": ({"step_share": 0.25, "gamma": 0.3}, lambda o: lr_scheduler.StepLR(o, 25, gamma=0.3)),
    "multistep": (
        {"milestones": (0.2, 0.5, 0.9), "gamma": 0.5},
        lambda o: lr_scheduler.MultiStepLR(o, [20, 50, 90], gamma=0.5),
    ),
    "exponential": ({"gamma": 0.05}, lambda o: lr_scheduler.ExponentialLR(o, 0.05 ** (1 / STEPS))),
    "cosine": ({}, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "restarts": ({"cycles": 4}, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 25)),
    "constant": ({}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_schedules_are_those_of_torch(name):
    options, make = PAIRS[name]
    assert ours(schedule=name, **options) == pytest.approx(theirs(make), abs=1e-6)


@pytest.mark.parametrize("rising", [0.1, 0.3, 0.75])
def test_one_cycle_is_that_of_torch(rising):
    """Torch's cycle has its top and its end at a step, ours just before one, hence the step more."""
    share = (rising * STEPS + 1) / (STEPS + 1)

    def make(optimiser):
        return lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=STEPS + 1, pct_start=share, cycle_momentum=False)

    found = ours(schedule="one_cycle", warmup=rising)
    assert found == pytest.approx(theirs(make), abs=1e-6)
    assert (found[0], found.index(max(found))) == (pytest.approx(1 / 25), round(rising * STEPS))


def test_a_plateau_is_that_of_torch():
    generator = torch.Generator().manual_seed(1)
    losses = (1.0 / torch.arange(1, 41).sqrt() + 0.1 * torch.rand(40, generator=generator)).tolist()
    plateau = Plateau(TrainConfig(schedule="plateau", plateau_patience=2, gamma=0.5))
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=2)
    for loss in losses:
        plateau.look(loss)
        schedule.step(loss)
        assert plateau.factor == optimiser.param_groups[0]["lr"]
    assert plateau.factor < 0.2


def test_a_plateau_leaves_other_schedules_alone():
    plateau = Plateau(TrainConfig(schedule="cosine"))
    for _ in range(20):
        plateau.look(1.0)
    assert plateau.factor == 1.0


def test_it_rises_in_a_line_and_falls_along_half_a_cosine():
    found = ours(warmup=0.1)
    assert found[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert found[10] == 1.0
    assert found[55] == pytest.approx(0.5)
    assert found[40] == pytest.approx(0.5 * (1 + math.cos(math.pi / 3)))
    assert factor(100, 100, TrainConfig(warmup=0.1)) == pytest.approx(0.0, abs=1e-12)


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.99))
def test_it_rises_once_and_falls_once_within_bounds(steps, warmup):
    config = TrainConfig(warmup=warmup)
    found = [factor(step, steps, config) for step in range(steps)]
    assert all(0.0 < each <= 1.0 for each in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


@given(
    steps=st.integers(2, 500),
    warmup=st.floats(0, 0.5),
    beyond=st.integers(0, 10),
    name=st.sampled_from(["cosine", "restarts", "coslog4", "flat_cosine", "one_cycle"]),
)
def test_it_ends_at_zero_and_stays_there(steps, warmup, beyond, name):
    config = TrainConfig(schedule=name, warmup=warmup)
    assert factor(steps + beyond, steps, config) == pytest.approx(0.0, abs=1e-5)


def test_coslog4_has_four_waves_of_doubling_length():
    """Holzmueller et al. (2024): zero where log2(1 + 15 t) is whole, one in the middle between."""
    zeros = [(2**k - 1) / 15 for k in range(5)]
    assert [coslog4(t) for t in zeros] == pytest.approx([0.0] * 5, abs=1e-9)
    tops = [(2 ** (k + 0.5) - 1) / 15 for k in range(4)]
    assert [coslog4(t) for t in tops] == pytest.approx([1.0] * 4)


def test_flat_cosine_is_flat_and_then_falls():
    assert [flat_cosine(t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0])
