import pytest
import torch

from assay.train.config import TrainConfig
from assay.train.optimise.clip import GradientGuard
from assay.train.optimise.flat import Flat

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def guard(network):
    """A function that makes a guard over a network whose gradient is drawn."""

    def make(members=1, **options):
        made = network(members=members, norm="batch")
        flat = Flat(made, members)
        flat.gradient.copy_(torch.randn(flat.gradient.shape, generator=torch.Generator().manual_seed(3)))
        decayed = flat.row(lambda name, _: float(name.endswith(("weight", "table"))))
        return GradientGuard(flat, TrainConfig(**{"clip_norm": 0.0} | options), decayed), flat, made

    return make


def finite(members=1):
    return torch.ones(members)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_by_norm_is_that_of_torch(guard, limit):
    one, flat, _ = guard(clip_norm=limit)
    reference = torch.nn.Parameter(torch.zeros_like(flat.gradient))
    reference.grad = flat.gradient.clone()
    expected = torch.nn.utils.clip_grad_norm_([reference], limit)
    norms, may_step = one(finite())
    assert may_step
    torch.testing.assert_close(norms[0], expected)
    torch.testing.assert_close(flat.gradient, reference.grad)
    assert float(one.clipped) == (1.0 if limit < 1 else 0.0)


def test_clipping_by_value_is_that_of_torch(guard):
    one, flat, _ = guard(clip_value=0.3)
    reference = torch.nn.Parameter(torch.zeros_like(flat.gradient))
    reference.grad = flat.gradient.clone()
    torch.nn.utils.clip_grad_value_([reference], 0.3)
    one(finite())
    assert torch.equal(flat.gradient, reference.grad)


def test_each_member_is_clipped_by_its_own_norm(guard):
    one, flat, _ = guard(members=3, clip_norm=1.0)
    flat.gradient.mul_(torch.tensor([[1.0], [100.0], [1e-4]]))
    before = flat.gradient.clone()
    norms, _ = one(finite(3))
    torch.testing.assert_close(norms, before.norm(dim=1))
    torch.testing.assert_close(flat.norms(), torch.tensor([1.0, 1.0, float(norms[2])]))
    assert torch.equal(flat.gradient[2], before[2])
    assert float(one.clipped) == pytest.approx(2 / 3)


def test_adaptive_clipping_limits_each_units_gradient_by_its_weights(guard):
    one, flat, made = guard(clip_adaptive=0.01)
    before = {
        name: flat.gradient[:, c].view(p.shape).clone() for (name, p), c in zip(flat.named, flat.columns, strict=True)
    }
    one(finite())
    weight = made.hidden[0].linear.weight.detach()[0]
    for unit in range(weight.shape[1]):
        given = before["hidden.0.linear.weight"][0, :, unit]
        most = 0.01 * max(float(weight[:, unit].norm()), 1e-3)
        expected = given * min(1.0, most / float(given.norm()))
        place = [name for name, _ in flat.named].index("hidden.0.linear.weight")
        found = flat.gradient[:, flat.columns[place]].view(1, *weight.shape)[0, :, unit]
        torch.testing.assert_close(found, expected)


def test_penalties_are_the_gradients_of_their_sums(guard):
    one, flat, made = guard(l1=0.1, l2=0.3)
    before = flat.gradient.clone()
    decayed = [p for name, p in made.named_parameters() if name.endswith(("weight", "table"))]
    penalty = sum(0.1 * p.abs().sum() + 0.15 * p.square().sum() for p in decayed)
    penalty.backward()
    expected = torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(1, -1) for p in made.parameters()], dim=1
    )
    one(finite())
    torch.testing.assert_close(flat.gradient - before, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spoilt", ["loss", "gradient"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_member_that_is_not_finite_gets_no_gradient_and_is_counted(guard, spoilt, value):
    one, flat, _ = guard(members=3, clip_norm=0.5)
    alone, other, _ = guard(members=3, clip_norm=0.5)
    alone(finite(3))
    losses = finite(3)
    if spoilt == "loss":
        losses[1] = value
    else:
        flat.gradient[1, 5] = value
    _, may_step = one(losses)
    assert may_step
    assert one.skipped.tolist() == [0, 1, 0]
    assert bool((flat.gradient[1] == 0).all())
    assert torch.equal(flat.gradient[[0, 2]], other.gradient[[0, 2]])
    assert not one.gave_up


def test_it_gives_up_when_no_member_is_within_the_limit(guard):
    one, _, _ = guard(members=2, skip_limit=2)
    for losses in ([NAN, 1.0], [NAN, NAN], [NAN, NAN]):
        _, may_step = one(torch.tensor(losses))
        assert may_step == (losses[1] == 1.0)
        assert not one.gave_up
    one(torch.tensor([1.0, NAN]))
    assert one.skipped.tolist() == [3, 3]
    assert one.gave_up
