"""The losses of three epochs on 600 rows of Adult, frozen: no refactoring may move them unnoticed.

In single precision, for processors that compute in bfloat16 train in it unasked.

`python tests/golden/test_losses.py` writes them anew; say in the commit why they moved.
"""

import json
from pathlib import Path

import polars as pl
import pytest

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints
from assay.data.split.split import seal
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.model import train_model
from assay.train.threads import using_threads
from assay.train.watch import Unwatched

GOLDEN = Path(__file__).parent / "adult_losses.json"
ADULT = Path(__file__).parents[2] / "examples" / "adult" / "train.csv.gz"
MODELS = {
    "default": ModelConfig(name="mlp", members=1),
    "members": ModelConfig(name="mlp", members=3, norm="batch", activation="gelu", width=32, dropout=0.2),
    "perceptron": ModelConfig(name="perceptron", number_bins=0, members=1),
}


def losses(model: ModelConfig) -> list[list[float]]:
    """Training and validation loss of each epoch, from the raw rows on."""
    table, ledger = read(pl.read_csv(ADULT).head(600)), Ledger()
    schema = infer(table, Hints(target="income"))
    split = seal(table, schema, SplitConfig(), seed=0, ledger=ledger)
    encoder = Encoder.fit(split.train, schema, EncodeConfig(), ledger)
    with using_threads(1):
        trained = train_model(
            encoder, split.train, split.valid, schema, model, TrainConfig(epochs=3, precision="float32"), seed=0,
            budget=Budget(None), watch=Unwatched(), ledger=ledger,
        )  # fmt: skip
    return [[epoch.train_loss, epoch.valid_loss] for epoch in trained.trained.epochs]


@pytest.mark.parametrize("name", MODELS)
def test_the_losses_are_those_of_before(name):
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    found = losses(MODELS[name])
    assert len(found) == len(expected) == 3
    for before, now in zip(expected, found, strict=True):
        assert now == pytest.approx(before, rel=1e-4)


if __name__ == "__main__":
    text = json.dumps({name: losses(model) for name, model in MODELS.items()}, indent=1)
    GOLDEN.write_text(text + "\n", encoding="utf-8")
