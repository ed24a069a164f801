"""How long a pass of a network takes, told by a few steps of a copy that is thrown away."""

from __future__ import annotations

import time
from itertools import islice

from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.changes import changed
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.loop import update
from assay.train.model import changes_of, start_of
from assay.train.state import isolated_randomness
from assay.train.threads import free_cores, using_threads
from assay.train.training import Training

#: Steps that are timed; the quickest counts, for the first ones warm up.
_STEPS = 3
#: What a row costs that is only answered, beside one that is learned from.
_AN_ANSWER = 1 / 3


def seconds_a_pass(found: Examples, model: ModelConfig, config: TrainConfig, *, seed: int) -> float:
    """Seconds of one epoch of a network family with its changes of rows, its validation included.

    Raises:
        ConfigError: see `start_of`.
    """
    start = start_of(found, model, config, seed=seed)
    policy = changes_of(model, start.config, start.train, found)
    seconds = []
    with isolated_randomness(), using_threads(config.threads or free_cores()):
        run = Training(
            start.network, start.train, start.valid, start.config, start.members, seed, Budget(None), None,
            policy=policy,
        )  # fmt: skip
        run.network.train()
        for place, rows in enumerate(islice(start.train.blocks(run.rows_a_step), _STEPS)):
            began = time.perf_counter()
            update(run, rows if policy is None else changed(rows, policy, seed, 0, place), 1.0, 1.0)
            seconds.append((time.perf_counter() - began) / len(rows))
    return min(seconds) * (len(start.train) + _AN_ANSWER * len(start.valid))
