"""A small classification and a small regression, encoded, and networks for them."""

import pytest
import torch

from assay.data.encode import Encoded, Layout
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.train.loop import Batch

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

    def make(seed: int = 0, *, outputs: int = 2, **config) -> Network:
        settings = ModelConfig(**{"width": 16, "number_bins": 4, "embedding": 3, "dropout": 0.0, "members": 1} | config)
        numbers, seeds = make_batch(256, 0).inputs.numbers, range(seed, seed + settings.members)
        return build(settings, LAYOUT, numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=seeds)

    return make
