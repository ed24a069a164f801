"""A module of the user's own in our loop against the loop one writes by hand for it: AdamW, cosine, clip_grad_norm_."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.data.encoding.batches import Batch, Resident, epoch_order
from assay.data.encoding.encode import Encoded, Layout
from assay.models.foreign import ForeignNetwork
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.watch import Unwatched

ROWS, NUMBERS, BATCH, EPOCHS, RATE, DECAY, WARMUP, CLIP = 200, 5, 32, 4, 0.01, 0.1, 0.2, 0.5


def rows_of(seed, outputs):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(ROWS, NUMBERS, generator=generator)
    signal = numbers.sum(1) + 0.5 * torch.randn(ROWS, generator=generator)
    signal = signal / signal.std()
    return numbers, signal if outputs == 1 else (signal > 0).long() if outputs == 2 else torch.bucketize(
        signal, torch.tensor([-0.5, 0.5])
    )


class Residual(nn.Module):
    """Normalised, with a skip connection and weights that are tied: what a plain stack of layers has not."""

    def __init__(self, answers):
        super().__init__()
        torch.manual_seed(7)
        self.first, self.norm, self.last = nn.Linear(NUMBERS, 16), nn.LayerNorm(16), nn.Linear(16, answers)
        self.inner, self.again = nn.Linear(16, 16), nn.Linear(16, 16)
        self.again.weight = self.inner.weight

    def forward(self, rows):
        hidden = self.norm(self.first(rows)).relu()
        return self.last(hidden + self.again(self.inner(hidden).relu()))


def plain_fit(model, train, valid, loss_of):
    """Losses of each epoch, training and validation."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
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
        losses = []
        for chosen in epoch_order(ROWS, 0, epoch).split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(model(train[0][chosen]), train[1][chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        with torch.no_grad():
            history.append((sum(losses) / len(losses), loss_of(model(valid[0]), valid[1]).item()))
    return history


LOSSES = {
    "values": (1, 1, lambda out, target: functional.mse_loss(out[:, 0], target)),
    "one logit": (2, 1, lambda out, target: functional.binary_cross_entropy_with_logits(out[:, 0], target.float())),
    "two logits": (2, 2, functional.cross_entropy),
    "three logits": (3, 3, functional.cross_entropy),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_are_those_of_a_loop_by_hand(name):
    outputs, answers, loss_of = LOSSES[name]
    train, valid = rows_of(0, outputs), rows_of(1, outputs)
    expected = plain_fit(Residual(answers), train, valid, loss_of)
    none = torch.zeros(ROWS, 0)
    sources = [Resident(Batch(Encoded(numbers, none, none.int()), target, None)) for numbers, target in (train, valid)]
    settings = TrainConfig(epochs=EPOCHS, batch=BATCH, lr=RATE, weight_decay=DECAY, warmup=WARMUP, clip_norm=CLIP)
    network = ForeignNetwork(Residual(answers), Layout(NUMBERS, 0, ()), outputs)
    members = alike(1, settings, dropout=0.0, seed=0)
    trained = fit(network, *sources, settings, members, seed=0, budget=Budget(None), watch=Unwatched())
    found = [(epoch.train_loss, epoch.valid_loss) for epoch in trained.epochs]
    assert 0 < trained.clipped < 1
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0.0, atol=1e-6)
    assert network.module.again.weight is network.module.inner.weight
