"""Our loop against a plain PyTorch loop of the kind one writes by hand: nn.Linear, AdamW, cosine, clip_grad_norm_."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.data.encoding.batches import Batch, Resident, epoch_order
from assay.data.encoding.encode import Encoded, Layout
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.watch import Unwatched

ROWS, NUMBERS, BATCH, EPOCHS, RATE, DECAY, WARMUP = 200, 5, 32, 4, 0.01, 0.1, 0.2


def make_rows(seed, regression, dtype):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(ROWS, NUMBERS, generator=generator, dtype=dtype)
    signal = numbers.sum(1) + 0.5 * torch.randn(ROWS, generator=generator, dtype=dtype)
    return numbers, signal / signal.std() if regression else (signal > 0).long()


def plain(network, batch_norm):
    """The same layers with the same weights out of torch.nn."""
    layers = []
    for hidden in network.hidden:
        linear = nn.Linear(*hidden.linear.weight.shape[1:])
        linear.weight.data = hidden.linear.weight.data[0].T.clone()
        linear.bias.data = hidden.linear.bias.data[0, 0].clone()
        layers += [linear, nn.BatchNorm1d(linear.out_features), nn.ReLU()] if batch_norm else [linear, nn.ReLU()]
    head = nn.Linear(*network.head.weight.shape[1:])
    head.weight.data = network.head.weight.data[0].T.clone()
    head.bias.data = network.head.bias.data[0, 0].clone()
    return nn.Sequential(*layers, head)


def plain_fit(model, rows, valid, loss_of, clip):
    """Losses of each epoch, training and validation."""
    numbers, target = rows
    weights = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=RATE)
    steps = EPOCHS * math.ceil(ROWS / BATCH)
    rising = WARMUP * steps

    def factor(step):
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    history = []
    for epoch in range(EPOCHS):
        model.train()
        order, losses = epoch_order(ROWS, 0, epoch), []
        for chosen in order.split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(model(numbers[chosen]), target[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            history.append((sum(losses) / len(losses), loss_of(model(valid[0]), valid[1]).item()))
    return history


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_loop_gives_the_losses_of_a_plain_loop(regression, batch_norm):
    # Under batch norm the gradient of a bias is nothing but rounding, which AdamW blows up in float32.
    dtype = torch.float64 if batch_norm else torch.float32
    rows, valid = make_rows(0, regression, dtype), make_rows(1, regression, dtype)
    outputs = 1 if regression else 2
    config = ModelConfig(
        name="mlp", width=16, layers=2, dropout=0.0, number_bins=0, norm="batch" if batch_norm else "none", members=1
    )
    network = build(config, Layout(NUMBERS, 0, ()), rows[0], outputs=outputs, prior=torch.zeros(outputs), seeds=[3])
    network.to(dtype)
    reference = plain(network, batch_norm).to(dtype)

    def loss_of(out, target):
        return functional.mse_loss(out[:, 0], target) if regression else functional.cross_entropy(out, target)

    clip = 1.0 if regression else 0.5
    expected = plain_fit(reference, rows, valid, loss_of, clip)
    train, check = (
        Resident(
            Batch(
                Encoded(numbers, torch.empty(ROWS, 0, dtype=dtype), torch.empty(ROWS, 0, dtype=torch.int32)),
                target,
                None,
            )
        )
        for numbers, target in (rows, valid)
    )
    settings = TrainConfig(epochs=EPOCHS, batch=BATCH, lr=RATE, weight_decay=DECAY, warmup=WARMUP, clip_norm=clip)
    members = alike(1, settings, dropout=0.0, seed=0)
    trained = fit(network, train, check, settings, members, seed=0, budget=Budget(None), watch=Unwatched())
    found = [(epoch.train_loss, epoch.valid_loss) for epoch in trained.epochs]
    assert 0 < trained.clipped < 1
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0.0, atol=1e-6)
