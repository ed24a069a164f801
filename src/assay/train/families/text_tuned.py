"""A text encoder trained further on the rows of a table, as a part of a model.

First a linear head is fitted to what the encoder says as it is, then head and last layers are trained together (Kumar
et al., Fine-Tuning can Distort Pretrained Features, ICLR 2022), lower layers slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from assay.data.encoding.batches import Resident
from assay.models.text_tuned import SplitEncoder, TunedText
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.families.closed_head import first_loss, fit_heads
from assay.train.families.tuned import check_tunable, train_further
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.watch import Watch

#: The part's name.
TUNED_TEXT = "tuned text encoder"
#: How it is trained: rates as for BERT's kind with few layers open (Devlin et al. 2019, A.3; Sun et al., How to
#: Fine-Tune BERT, CCL 2019), and a second moment that forgets within an epoch.
_TRAINING = TrainConfig(
    epochs=4, lr=3e-4, beta2=0.98, schedule="cosine", warmup=0.1, weight_decay=0.01, clip_norm=1.0, patience=4,
)  # fmt: skip
#: Rows of a step, and its tokens at most, about: a batch of long texts has fewer rows, but so many.
_ROWS, _TOKENS, _FEWEST_ROWS = 32, 4096, 4


def tune_text(
    found: Examples,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """The encoder's last layers and a linear head, trained on the training rows; see `TunedText`.

    Args:
        found: rows of a single split in memory, whose layout has the windows of text columns.
        threads: of the processor; 0 for as many as are faster.

    Raises:
        BudgetError: there is no time for it.
        DivergenceError: the numbers are no longer finite.
        KeyboardInterrupt: interrupted before the first step.
    """
    check_tunable("text encoder", found, budget, checkpoints)
    network = _built(found, [seed])
    train, valid = found.on(torch.device("cpu"), 1, [seed], network.reads)
    assert isinstance(train, Resident)
    assert isinstance(valid, Resident)
    (fitted,) = fit_heads(_features(train), _features(valid), train.rows, valid.rows, found)
    network.start_from(fitted.head)
    part = train_further(
        TUNED_TEXT, network, len(network.upper), train, valid, _training(found, threads), seed=seed, budget=budget,
        watch=watch, checkpoints=checkpoints,
    )  # fmt: skip
    return TrainedNetwork(network, part, first_loss(found, valid.rows), partial(_built, found))


def _built(found: Examples, seeds: Sequence[int]) -> TunedText:
    encoder, features = found.encoder.frozen, found.encoder.preprocess.features
    assert encoder is not None
    assert features is not None
    assert isinstance(encoder.encoder, SplitEncoder)
    network = TunedText(encoder.encoder, features, found.encoder.layout, found.outputs)
    network.reset(seeds, found.prior)
    return network


def _features(rows: Resident) -> np.ndarray:
    inputs = rows.rows.inputs
    return torch.cat([inputs.numbers, inputs.extras], 1).numpy()


def _training(found: Examples, threads: int) -> TrainConfig:
    """The options for these texts: fewer rows a step where texts are long."""
    inputs = found.sample.reading(found.places("windows"))
    tokens = sum(int((media > 0).sum()) for media in inputs.media) / max(len(inputs), 1)
    rows = min(int(np.clip(_TOKENS / max(tokens, 1.0), _FEWEST_ROWS, _ROWS)), len(found.train))
    return _TRAINING.model_copy(
        update={"batch": rows, "threads": threads, "select": "metric" if found.classifies else "loss"}
    )
