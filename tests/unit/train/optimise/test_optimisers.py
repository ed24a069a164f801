import math

import pytest
import torch
from torch import nn

from assay.train.config import TrainConfig
from assay.train.optimise.flat import Flat
from assay.train.optimise.optimisers import build_optimiser, orthogonal

STEPS = 50
SHAPES = {
    "in.weight": (7, 13),
    "in.bias": (1, 13),
    "hidden.weight": (13, 13),
    "out.weight": (13, 3),
    "out.bias": (1, 3),
}
FACTORS = {name: (1.0, float(name.endswith("weight"))) for name in SHAPES}


class Matrices(nn.Module):
    """Parameters of `members` networks, drawn from a seed each."""

    def __init__(self, members):
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in range(members)]
        for name, shape in SHAPES.items():
            drawn = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
            self.register_parameter(name.replace(".", "_"), nn.Parameter(drawn))

    def named_parameters(self, *args, **kwargs):
        return [(name.replace("_", "."), parameter) for name, parameter in super().named_parameters(*args, **kwargs)]


def gradients(step, member=0):
    """A gradient of each parameter at a step, the same for whoever asks; small ones and a zero among them."""
    generator = torch.Generator().manual_seed(1000 * member + step)
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    drawn["in.bias"][..., 0] = 0.0
    return {name: value * (0.01 if "out" in name else 1.0) for name, value in drawn.items()}


def ours(rates=(0.01,), decays=None, members=1, **options):
    """Weights of each parameter, (members, ...), after the steps; the rate halves after half of them."""
    made = Matrices(members)
    flat = Flat(made, members)
    config = TrainConfig(**options)
    decays = [config.decay] * members if decays is None else decays
    optimiser = build_optimiser(flat, config, FACTORS, rates, decays)
    for step in range(STEPS):
        for member in range(members):
            for (_, place), gradient in zip(flat.named, gradients(step, member).values(), strict=True):
                if place.grad is None:
                    place.grad = torch.zeros_like(place)
                place.grad[member] = gradient
        flat.gather()
        optimiser.step(1.0 if step < STEPS // 2 else 0.5, 1.0)
    return {name: parameter.detach().clone() for name, parameter in flat.named}


def theirs(make, rate=0.01, member=0, decay=0.0, only=None):
    """Weights after the same steps of an optimiser of torch; biases do not decay."""
    made = {name: nn.Parameter(p[member].detach().clone()) for name, p in Matrices(member + 1).named_parameters()}
    chosen = {name: p for name, p in made.items() if only is None or name in only}
    groups = [
        {"params": [p for name, p in chosen.items() if name.endswith("weight")], "weight_decay": decay},
        {"params": [p for name, p in chosen.items() if not name.endswith("weight")], "weight_decay": 0.0},
    ]
    optimiser = make([group for group in groups if group["params"]], rate)
    for step in range(STEPS):
        for name, gradient in gradients(step, member).items():
            made[name].grad = gradient.clone()
        for group in optimiser.param_groups:
            group["lr"] = rate if step < STEPS // 2 else rate / 2
        optimiser.step()
    return {name: p.detach() for name, p in chosen.items()}


PAIRS = {
    "adamw": ({"weight_decay": 0.3}, lambda p, lr: torch.optim.AdamW(p, lr=lr), 0.3),
    "adamw with constants": (
        {"weight_decay": 0.0, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        lambda p, lr: torch.optim.AdamW(p, lr=lr, betas=(0.8, 0.95), eps=1e-3),
        0.0,
    ),
    "adam": ({"optimiser": "adam"}, lambda p, lr: torch.optim.Adam(p, lr=lr), 0.0),
    "sgd": (
        {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0},
        lambda p, lr: torch.optim.SGD(p, lr=lr),
        0.0,
    ),
    "momentum": (
        {"optimiser": "sgd", "weight_decay": 0.0},
        lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
        0.0,
    ),
    "nesterov": (
        {"optimiser": "sgd", "momentum": 0.7, "nesterov": True, "weight_decay": 0.0},
        lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.7, nesterov=True),
        0.0,
    ),
    "rmsprop": ({"optimiser": "rmsprop", "weight_decay": 0.0}, lambda p, lr: torch.optim.RMSprop(p, lr=lr), 0.0),
    "rmsprop with momentum": (
        {"optimiser": "rmsprop", "momentum": 0.8, "alpha": 0.9, "epsilon": 1e-4, "weight_decay": 0.0},
        lambda p, lr: torch.optim.RMSprop(p, lr=lr, momentum=0.8, alpha=0.9, eps=1e-4),
        0.0,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps_are_those_of_torch(name):
    options, make, decay = PAIRS[name]
    found, expected = ours(**options), theirs(make, decay=decay)
    for key, weights in expected.items():
        torch.testing.assert_close(found[key][0], weights, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_that_of_torch_on_hidden_matrices_and_adamw_elsewhere(nesterov):
    """Torch iterates in bfloat16, so that its steps are only as exact as that: 3 significant digits."""
    found = ours(optimiser="muon", weight_decay=0.1, nesterov=nesterov)
    expected = theirs(
        lambda p, lr: torch.optim.Muon(p, lr=lr, momentum=0.95, nesterov=nesterov, adjust_lr_fn="match_rms_adamw"),
        decay=0.1,
        only=("in.weight", "hidden.weight"),
    )
    start = dict(Matrices(1).named_parameters())
    for name, weights in expected.items():
        moved = (weights - start[name][0].detach()).norm()
        assert float((found[name][0] - weights).norm() / moved) < 0.02
    rest = theirs(lambda p, lr: torch.optim.AdamW(p, lr=lr), decay=0.1, only=("in.bias", "out.weight", "out.bias"))
    for name, weights in rest.items():
        torch.testing.assert_close(found[name][0], weights, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3)])
def test_orthogonal_factors_have_singular_values_near_one(shape):
    matrices = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrices)
    values = torch.linalg.svdvals(found)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.25
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    cosine = (found * (u @ v)).sum((1, 2)) / (found.norm(dim=(1, 2)) * math.sqrt(min(shape)))
    assert float(cosine.min()) > 0.97
    assert torch.equal(orthogonal(torch.zeros(1, *shape)), torch.zeros(1, *shape))


EACH = [{}, {"optimiser": "adam"}, {"optimiser": "sgd", "nesterov": True}, {"optimiser": "rmsprop", "momentum": 0.5},
        {"optimiser": "muon"}]  # fmt: skip


@pytest.mark.parametrize("options", EACH, ids=lambda options: options.get("optimiser", "adamw"))
def test_each_member_has_its_own_rate_and_decay(options):
    rates, decays = (0.01, 0.001, 0.05), (0.0, 0.5, 0.1)
    together = ours(rates, decays, members=3, **options)
    first = ours(rates[:1], decays[:1], **options)
    for name, weights in first.items():
        assert torch.equal(together[name][0], weights[0])
    assert all(bool(weights.isfinite().all()) for weights in together.values())


def test_members_of_other_rates_are_those_of_torch():
    rates, decays = (0.01, 0.001, 0.05), (0.0, 0.5, 0.1)
    together = ours(rates, decays, members=3)
    for member, (rate, decay) in enumerate(zip(rates, decays, strict=True)):
        alone = theirs(lambda p, lr: torch.optim.AdamW(p, lr=lr), rate, member, decay)
        for name, weights in alone.items():
            torch.testing.assert_close(together[name][member], weights, rtol=2e-4, atol=2e-5)


def test_a_parameter_may_learn_at_a_factor_of_the_rate():
    made = Matrices(1)
    flat = Flat(made, 1)
    factors = {name: (0.0 if name == "in.weight" else 1.0, 0.0) for name in SHAPES}
    before = {name: parameter.detach().clone() for name, parameter in flat.named}
    optimiser = build_optimiser(flat, TrainConfig(), factors, [0.1], [0.5])
    flat.gradient.fill_(1.0)
    optimiser.step(1.0, 1.0)
    for name, parameter in flat.named:
        moved = before[name] - parameter.detach()
        expected = torch.zeros_like(moved) if name == "in.weight" else torch.full_like(moved, 0.1)
        torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-6)


def test_decay_eases_off():
    flat = Flat(Matrices(1), 1)
    before = flat.weights.clone()
    optimiser = build_optimiser(flat, TrainConfig(weight_decay=0.5), FACTORS, [0.1], [0.5])
    optimiser.step(1.0, 0.0)
    assert torch.equal(flat.weights, before)
    optimiser.step(1.0, 0.5)
    column = flat.columns[0]
    torch.testing.assert_close(flat.weights[:, column], before[:, column] * (1 - 0.1 * 0.5 * 0.5))


@pytest.mark.parametrize("options", EACH, ids=lambda options: options.get("optimiser", "adamw"))
def test_what_is_restored_goes_on_with_the_same_bits(options):
    ends = []
    for pause in (None, 3):
        flat = Flat(Matrices(2), 2)
        config = TrainConfig(**options)

        def build(flat=flat, config=config):
            return build_optimiser(flat, config, FACTORS, [0.01, 0.02], [config.decay] * 2)

        optimiser = build()
        for step in range(6):
            if step == pause:
                saved = {name: tensor.clone() for name, tensor in optimiser.state().items()}
                steps, optimiser = optimiser.steps, build()
                optimiser.restore(saved, steps)
            flat.gradient.copy_(torch.randn(flat.gradient.shape, generator=torch.Generator().manual_seed(step)))
            optimiser.step(1.0, 1.0)
        ends.append(flat.weights.clone())
    assert torch.equal(*ends)
