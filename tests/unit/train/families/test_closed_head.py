"""Heads in closed form on labels: a ridge for all, a sigmoid for each; and random convolutions before them."""

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import DataConfig, EncodeConfig, SplitConfig
from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded, Encoder
from assay.data.infer import infer
from assay.data.labelled import find_labels, with_label_column
from assay.data.reading.read import read
from assay.data.schema import Hints
from assay.data.split.split import seal
from assay.ledger import Ledger
from assay.train.budget import Budget
from assay.train.examples import examples
from assay.train.families.closed_head import fit_heads
from assay.train.families.rocket_head import train_rocket
from assay.train.loop import predict
from assay.train.watch import Unwatched


@pytest.fixture(scope="module")
def found():
    """Series that are fast or slow and loud or quiet, and examples of them."""
    rng = np.random.default_rng(0)
    fast, loud = rng.random(80) < 0.5, rng.random(80) < 0.4
    turns = np.where(fast, 5.0, 2.0)[:, None] * np.arange(24) / 24 + rng.random((80, 1))
    values = np.sin(2 * np.pi * turns) * np.where(loud, 3.0, 1.0)[:, None] + 0.2 * rng.normal(size=(80, 24))
    table = read(pl.DataFrame({"wave": values.tolist(), "fast": fast, "loud": loud}))
    labels = find_labels(table, Hints(target="fast,loud"), DataConfig())
    table = with_label_column(table, labels.labelling, labels.hints.target)
    schema = infer(table, labels.hints, labels.labelling)
    split = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder = Encoder.fit(split.train, schema, EncodeConfig(), Ledger())
    return examples(encoder, split.train, split.valid, schema)


def test_targets_are_a_matrix_and_outputs_begin_at_log_odds(found):
    assert found.has_labels
    assert not found.classifies
    assert found.targets.dtype == torch.uint8
    having = found.targets.double().sum(0)
    expected = torch.log((having + 1) / (len(found.targets) - having + 1))
    torch.testing.assert_close(found.prior, expected.float())


def test_random_convolutions_have_a_logit_for_each_label(found):
    part = train_rocket(found, seed=0, budget=Budget(None), watch=Unwatched(), threads=1)
    logits = predict(part.network, found.valid.inputs)[0]
    assert ((logits > 0) == found.valid.target.bool()).float().mean() > 0.9
    assert part.part.trained.best_losses[0] < part.first_loss
    assert part.part.trained.epochs[0].score_name == "label accuracy"


def test_heads_state_how_often_they_are_right(found):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 6)).astype(np.float32)
    chances = 1 / (1 + np.exp(-(features[:, :2] * [2.0, 1.0] - [2.0, 0.0])))
    target = torch.from_numpy((rng.random((4000, 2)) < chances).astype(np.uint8))
    empty = torch.zeros(4000, 0)
    rows = Batch(Encoded(empty, empty, empty.int()), target, None)
    (fitted,) = fit_heads(features[:3000], features[3000:], rows[:3000], rows[3000:], found)
    logits = features @ fitted.head.weight.numpy() + fitted.head.bias.numpy()
    stated = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(stated.mean(0), chances.mean(0), atol=0.02)
    assert np.abs(stated - chances).mean() < 0.06
