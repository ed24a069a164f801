"""A pretrained network of pictures trained further on the pictures of a table, as a part of a model.

It starts from the linear head that was fitted to its features (Kumar et al., Fine-Tuning can Distort Pretrained
Features, ICLR 2022), and lower layers learn slower.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from assay.data.batches import Resident
from assay.models.backbone_tuned import TunedBackbone
from assay.train.backbone_head import BackboneHead
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.image_policy import ImagePolicy
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.tuned import check_tunable, train_further
from assay.train.watch import Watch

#: The part's name.
TUNED_BACKBONE = "tuned backbone"
#: How it is trained; a second moment that forgets within an epoch.
_TRAINING = TrainConfig(
    epochs=12, lr=5e-4, beta2=0.98, schedule="cosine", warmup=0.1, weight_decay=0.01, label_smoothing=0.1,
    clip_norm=1.0, patience=12,
)  # fmt: skip
_ROWS = 32
#: What a picture costs in a pass, in the time in which its features are computed: forward, and backward in part.
A_STEP = 2.2
#: Passes over the pictures from which it is worth its time.
PASSES = 2.0


def tune_backbone(
    found: Examples,
    head: BackboneHead,
    layers: int,
    policy: ImagePolicy,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """The backbone's last layers and a linear head, trained on the training pictures; see `TunedBackbone`.

    Args:
        found: rows of a single split in memory, with pictures.
        head: the frozen backbone with the head that was fitted to it.
        layers: from the last one on, that learn.
        policy: how the pictures of a step are changed.
        threads: of the processor; 0 for as many as are faster.

    Raises:
        BudgetError: there is no time for it.
        DivergenceError: the numbers are no longer finite.
        KeyboardInterrupt: interrupted before the first step.
    """
    check_tunable("backbone", found, budget, checkpoints)
    places = found.places("pictures")
    center, scale = torch.from_numpy(head.center), torch.from_numpy(head.scale)

    def make(seeds: Sequence[int]) -> TunedBackbone:
        network = TunedBackbone(head.extractor, layers, center, scale, found.outputs, places)
        network.reset(seeds, found.prior)
        return network

    network = make([seed])
    network.start_from(head.head)
    train, valid = found.on(torch.device("cpu"), 1, [seed], network.reads)
    assert isinstance(train, Resident)
    classes = {"select": "metric"} if found.classifies else {"label_smoothing": 0.0}
    config = _TRAINING.model_copy(update={"batch": min(_ROWS, len(train)), "threads": threads, **classes})
    part = train_further(
        TUNED_BACKBONE, network, layers, train, valid, config, seed=seed, budget=budget, watch=watch,
        checkpoints=checkpoints, policy=policy,
    )  # fmt: skip
    return TrainedNetwork(network, part, head.part.first_loss, make)
