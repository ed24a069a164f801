"""The range test against arithmetic by hand, and a fit beside one without it, bit for bit."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.lr_find import range_test, rates_before
from assay.train.members import alike
from assay.train.rate_curve import ALL_STEPS, DIVERGED, NO_TIME, NOT_FINITE, Running, Sweep, sweep_for
from assay.train.state import Checkpoints, random_state

PLAIN = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 0.0, "threads": 1, "batch": "full"}


class Line(Network):
    """One weight a number and member, no bias: its squared error is a quadratic of the weights."""

    def __init__(self, members=1):
        super().__init__(members)
        self.weight = nn.Parameter(torch.zeros(members, 2, 1, dtype=torch.float64))

    def forward(self, numbers, extras, codes):
        return numbers @ self.weight


def quadratic(rows=200, noise=0.5, second=0.3):
    """Rows, and the largest curvature of their mean squared error: twice the largest eigenvalue of X'X / n."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(rows, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, second])
    target = numbers @ torch.tensor([1.0, -1.0], dtype=torch.float64) + noise * torch.randn(rows, generator=generator)
    curvature = 2.0 * float(torch.linalg.eigvalsh(numbers.T @ numbers / rows).max())
    return Batch(Encoded(numbers, torch.zeros(rows, 0), torch.zeros(rows, 0).int()), target, None), curvature


def by_hand(rows, rates):
    """Losses of gradient descent with these rates, in double precision, until the mean is lost."""
    x, y = rows.inputs.numbers.numpy(), rows.target.numpy()
    weight, losses, running = np.zeros(2), [], Running(len(rates))
    for rate in rates:
        residual = x @ weight - y
        losses.append(float(np.mean(residual**2)))
        running.after(losses[-1])
        if running.is_lost:
            break
        weight = weight - rate * 2.0 * x.T @ residual / len(y)
    return losses


def walked(network, rows, config, sweep, **words):
    members = alike(network.members, config, dropout=0.0, seed=0)
    return range_test("net", network, Resident(rows), Resident(rows), config, members, sweep, seed=0, **words)


@pytest.mark.parametrize("steps", [40, 60, 80])
def test_a_quadratic_diverges_as_it_does_by_hand(steps):
    rows, curvature = quadratic()
    sweep = Sweep(1e-3, 100.0, steps)
    found = walked(Line(), rows, TrainConfig(**PLAIN, lr=0.1), sweep)
    assert found.losses == pytest.approx(by_hand(rows, sweep.rates), rel=1e-3)
    assert found.ended == DIVERGED
    assert found.diverged == found.rates[-1]
    # Beyond 2 / L an error grows again, but first from almost nothing: the loss is lost within a decade.
    assert 2.0 / curvature < found.diverged < 10 * 2.0 / curvature
    assert found.suggestion < 2.0 / curvature


@pytest.mark.parametrize("steps", [40, 80, 120])
def test_the_loss_turns_within_a_step_of_the_largest_stable_rate(steps):
    rows, curvature = quadratic(noise=0.0, second=0.0)
    sweep = Sweep(1e-2, 100.0, steps)
    found = walked(Line(), rows, TrainConfig(**PLAIN, lr=0.1), sweep)
    turned = found.rates[found.losses.index(min(found.losses))]
    growth = sweep.rates[1] / sweep.rates[0]
    assert 2.0 / curvature < turned < 2.0 / curvature * growth  # steps above 2 / L lead away from the optimum


def test_members_take_one_rate_and_their_mean_is_the_loss():
    rows, _ = quadratic()
    config, sweep = TrainConfig(**PLAIN, lr=0.1), Sweep(1e-3, 0.1, 24)
    one, three = walked(Line(), rows, config, sweep), walked(Line(3), rows, config, sweep)
    assert three.losses == pytest.approx(one.losses, rel=1e-5)


def test_the_scale_of_the_batch_is_not_in_the_rates():
    rows, _ = quadratic()
    whole = walked(Line(), rows, TrainConfig(**PLAIN, lr=0.1), Sweep(1e-3, 0.1, 24))
    half = walked(Line(), rows, TrainConfig(**PLAIN, lr=0.05), Sweep(2e-3, 0.2, 24), scale=0.5)
    assert half.losses == pytest.approx(whole.losses, rel=1e-5)
    assert half.rates == pytest.approx([2 * rate for rate in whole.rates])
    assert (whole.used, half.used) == (0.1, 0.1)


def test_what_is_not_finite_ends_the_test_where_it_is(network, train):
    inputs = Encoded(torch.full_like(train.inputs.numbers, math.nan), train.inputs.extras, train.inputs.codes)
    bad = Batch(inputs, train.target, None)
    found = walked(network(), bad, TrainConfig(batch=32, threads=1), Sweep(1e-6, 1.0, 40))
    assert (found.ended, found.rates, found.diverged, found.suggestion) == (NOT_FINITE, (), 1e-6, None)


def test_the_walk_ends_with_its_rates_and_a_short_batch_is_passed_over(network, batch):
    rows = batch(70, 0)  # two batches of 32, and one of 6
    found = walked(network(), rows, TrainConfig(batch=32, threads=1), Sweep(1e-6, 1e-4, 30))
    assert (found.ended, len(found.losses), found.diverged) == (ALL_STEPS, 30, None)


def test_without_time_nothing_is_tested(network, train):
    found = walked(network(), train, TrainConfig(batch=32, threads=1), Sweep(1e-6, 1.0, 40), seconds=0.0)
    assert (found.ended, found.rates, found.suggestion) == (NO_TIME, (), None)


def test_a_long_test_says_how_long(network, train):
    said = []
    walked(network(), train, TrainConfig(batch=32, threads=1), Sweep(1e-6, 1e-3, 24), tell=said.append)
    assert said == []


def test_generators_and_threads_are_left_as_they_were(network, train):
    python, tensors = random_state()
    threads = torch.get_num_threads()
    config = TrainConfig(batch=32, mixup=0.2)
    members = alike(2, config, dropout=0.3, seed=0)
    made = network(members=2, dropout=0.3)
    range_test("net", made, Resident(train), Resident(train), config, members, Sweep(1e-6, 1.0, 24), seed=0)
    after, now = random_state()
    assert after == python
    assert all(torch.equal(tensors[name], now[name]) for name in tensors)
    assert torch.get_num_threads() == threads


def test_a_test_is_repeated_to_the_bit(network, train):
    config, sweep = TrainConfig(batch=32, threads=1), Sweep(1e-5, 1.0, 40)
    first, second = (walked(network(dropout=0.2), train, config, sweep) for _ in range(2))
    assert first.losses == second.losses


def before(network, train, checkpoints=None, budget=None, said=None):
    config, said = TrainConfig(batch=32, threads=1, lr=0.01), [] if said is None else said
    return rates_before(
        "net", network, Resident(train), Resident(train), config, alike(1, config, dropout=0.0, seed=0), seed=0,
        scale=0.5, budget=budget or Budget(None), checkpoints=checkpoints, tell=said.append,
    )  # fmt: skip


def test_a_run_that_goes_on_reads_the_curve_of_before(network, train, tmp_path):
    checkpoints, made, said = Checkpoints(tmp_path / "net", {}), [], []

    def make():
        made.append(network())
        return made[-1]

    first = before(make, train, checkpoints, said=said)
    assert before(make, train, checkpoints) == first
    assert len(made) == 1
    assert checkpoints.newest is None
    assert said == [f"net: the range test suggests train.lr={first.suggestion:.2g}; 0.02 is used"]
    (tmp_path / "net" / "lr-find.json").write_text("{")
    assert before(make, train, checkpoints).losses == first.losses  # damaged: found again


def test_a_budget_without_room_skips_the_test(network, train):
    said = []
    found = before(network, train, budget=Budget(1e-3), said=said)
    assert found.rates == ()
    assert said == [f"net: no range test, for {NO_TIME}"]


def test_the_sweep_of_a_run_ends_above_its_rate(network, train):
    found = before(network, train)
    assert found.rates[0] == sweep_for(TrainConfig(), 0.02, 120, None, None).low
