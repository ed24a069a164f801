"""A pretrained network of pictures trained further on the pictures of a table, as a part of a model.

It starts from the linear head that was fitted to its features (Kumar et al., Fine-Tuning can Distort Pretrained
Features, ICLR 2022), and lower layers learn slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.batches import Resident
from assay.models.backbone import Enlarged
from assay.models.backbone_tuned import TunedBackbone
from assay.train.augment.image_policy import ImagePolicy
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.families.backbone_head import LinearStart
from assay.train.families.tuned import check_tunable, train_further
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.threads import free_cores, using_threads
from assay.train.watch import Watch

#: The part's name.
TUNED_BACKBONE = "tuned backbone"
#: How it is trained; a second moment that forgets within an epoch.
_TRAINING = TrainConfig(
    epochs=12, lr=5e-4, beta2=0.98, schedule="cosine", warmup=0.1, weight_decay=0.01, label_smoothing=0.1,
    clip_norm=1.0, patience=12,
)  # fmt: skip
_ROWS = 32
#: Pictures that the cost of a step is measured on, and how often; the quickest counts.
_TIMED, _TIMES = 16, 2


@dataclass(frozen=True)
class Cost:
    """What training the last layers costs with pictures of a side, measured: seconds a picture.

    learning: forward and backward. answering: forward alone.
    """

    side: int
    layers: int
    learning: float
    answering: float

    def a_pass(self, rows: int, judged: int) -> float:
        """Seconds of a pass over so many training pictures, with so many of validation."""
        return rows * self.learning + judged * self.answering

    def passes(self, seconds: float, rows: int, judged: int, tested: int) -> float:
        """Passes that the seconds are enough for, once features are computed and test pictures answered."""
        left = seconds - (rows + judged + tested) * self.answering
        return max(left, 0.0) / self.a_pass(rows, judged)


def affordable(
    costs: Iterable[Cost], seconds: float, *, rows: int, judged: int, tested: int, least: float
) -> list[tuple[Cost, float]]:
    """The candidates with the passes that there is time for, up to and with the first that has `least` of them.

    Args:
        costs: the candidate that teaches most first; those behind the first that will do are not asked for.
        seconds: for all of it. rows, judged, tested: pictures that are learned from, judged by and answered.
    """
    tried = []
    for cost in costs:
        tried.append((cost, cost.passes(seconds, rows, judged, tested)))
        if tried[-1][1] >= least:
            break
    return tried


def cost_of(start: LinearStart, side: int, layers: int, pictures: Tensor, threads: int = 0) -> Cost:
    """Measure a few steps with some of the training `pictures`, uint8 (n, C, H, W), on a copy of the backbone.

    threads: of the processor; 0 for as many as are free.
    """
    some = pictures[:_TIMED]
    features = torch.zeros(len(start.center))
    extractor = Enlarged(start.extractor.backbone, side)
    network = TunedBackbone(extractor, layers, features, features + 1.0, 2, (0,)).eval()
    network.reset([0], torch.zeros(2))
    nothing = torch.zeros(len(some), 0)
    aims = torch.zeros(len(some), dtype=torch.int64)
    learning = answering = math.inf
    clock = Budget(None).clock
    with using_threads(threads or free_cores()):
        for _ in range(_TIMES):
            began = clock()
            functional.cross_entropy(network(nothing, nothing, nothing, some)[0], aims).backward()
            learning = min(learning, clock() - began)
            began = clock()
            with torch.inference_mode():
                network(nothing, nothing, nothing, some)
            answering = min(answering, clock() - began)
    return Cost(side, layers, learning / len(some), answering / len(some))


def tune_backbone(
    found: Examples,
    start: LinearStart,
    layers: int,
    policy: ImagePolicy,
    *,
    first_loss: float,
    seed: int,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """The backbone's last layers and a linear head, trained on the training pictures; see `TunedBackbone`.

    Args:
        found: rows of a single split in memory, with pictures.
        start: the frozen backbone with the head that was fitted to it.
        layers: from the last one on, that learn.
        policy: how the pictures of a step are changed.
        first_loss: on validation, of the prior.
        threads: of the processor; 0 for as many as are faster.

    Raises:
        BudgetError: there is no time for it.
        DivergenceError: the numbers are no longer finite.
        KeyboardInterrupt: interrupted before the first step.
    """
    check_tunable("backbone", found, budget, checkpoints)
    places = found.places("pictures")
    center, scale = torch.from_numpy(start.center), torch.from_numpy(start.scale)

    def make(seeds: Sequence[int]) -> TunedBackbone:
        network = TunedBackbone(start.extractor, layers, center, scale, found.outputs, places)
        network.reset(seeds, found.prior)
        return network

    network = make([seed])
    network.start_from(start.head)
    train, valid = found.on(torch.device("cpu"), 1, [seed], network.reads)
    assert isinstance(train, Resident)
    classes = {"select": "metric"} if found.classifies else {"label_smoothing": 0.0}
    config = _TRAINING.model_copy(update={"batch": min(_ROWS, len(train)), "threads": threads, **classes})
    part = train_further(
        TUNED_BACKBONE, network, layers, train, valid, config, seed=seed, budget=budget, watch=watch,
        checkpoints=checkpoints, policy=policy,
    )  # fmt: skip
    return TrainedNetwork(network, part, first_loss, make)
