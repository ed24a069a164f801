"""A small classification and a small regression, encoded, networks for them, and a fit with few words."""

import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.watch import Unwatched

LAYOUT = Layout(numbers=3, extras=1, vocabularies=(5,))


def make_batch(rows: int, seed: int, *, regression: bool = False, weight=None) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, 3, generator=generator)
    extras = torch.randint(0, 2, (rows, 1), generator=generator).float()
    codes = torch.randint(0, 5, (rows, 1), generator=generator).int()
    signal = numbers[:, 0] + extras[:, 0] - 0.5 * codes[:, 0] + 0.3 * torch.randn(rows, generator=generator) + 0.5
    target = signal / signal.std() if regression else (signal > 0).long()
    return Batch(Encoded(numbers, extras, codes), target, weight)


@pytest.fixture
def batch():
    return make_batch


@pytest.fixture
def train() -> Batch:
    return make_batch(256, 0)


@pytest.fixture
def valid() -> Batch:
    return make_batch(128, 1)


@pytest.fixture
def network():
    """A function that makes a network: two outputs, or one for a regression."""

    def make(seed: int = 0, *, outputs: int = 2, seeds=None, **config) -> Network:
        settings = ModelConfig(
            **{"name": "mlp", "width": 16, "number_bins": 4, "embedding": 3, "dropout": 0.0, "members": 1} | config
        )
        numbers = make_batch(256, 0).inputs.numbers
        seeds = range(seed, seed + settings.members) if seeds is None else seeds
        return build(settings, LAYOUT, numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=seeds)

    return make


@pytest.fixture
def run():
    """A function that fits a network in short: `run(network, train, valid, lr=0.1)`."""

    def fitted(
        made, train, valid, *, members=None, dropout=0.0, seed=0, budget=None, watch=None, checkpoints=None, **changes
    ):
        config = TrainConfig(**{"epochs": 5, "batch": 32, "lr": 0.01, "threads": 1} | changes)
        members = alike(made.members, config, dropout=dropout, seed=seed) if members is None else members
        train, valid = (Resident(rows) if isinstance(rows, Batch) else rows for rows in (train, valid))
        return fit(
            made, train, valid, config, members, seed=seed, budget=budget or Budget(None), watch=watch or Unwatched(),
            checkpoints=checkpoints,
        )  # fmt: skip

    return fitted
