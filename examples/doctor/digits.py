"""A training of one's own for `assay doctor`: digits of scikit-learn, once as it should be and once with three bugs.

assay doctor examples/doctor/digits.py:healthy
assay doctor examples/doctor/digits.py:broken
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import Subject


def rows() -> tuple[TensorDataset, TensorDataset]:
    """1,300 and 497 pictures of 8 by 8 pixels, scaled."""
    bunch = load_digits()
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(0))
    pixels = torch.as_tensor(bunch.data, dtype=torch.float32)[order] / 8 - 0.6
    labels = torch.as_tensor(bunch.target)[order]
    return TensorDataset(pixels[:1300], labels[:1300]), TensorDataset(pixels[1300:], labels[1300:])


def healthy() -> Subject:
    """The usual step: gradients to zero, forward, loss, backward, step."""
    train, valid = rows()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    return Subject(
        model=model,
        loss=functional.cross_entropy,
        train=DataLoader(train, 32, shuffle=True, drop_last=True),
        valid=DataLoader(valid, 128),
        optimiser=torch.optim.AdamW(model.parameters(), lr=3e-3),
    )


def broken() -> Subject:
    """The model ends in a softmax, gradients add up, and rows are never shuffled."""
    train, valid = rows()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10), nn.Softmax(dim=1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def step(batch: list[torch.Tensor]) -> torch.Tensor:
        pixels, labels = batch
        loss = functional.cross_entropy(model(pixels), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    loaders = DataLoader(train, 32), DataLoader(valid, 128)
    return Subject(model, functional.cross_entropy, *loaders, optimiser=optimiser, step=step)
