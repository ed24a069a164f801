"""From a table to synthetic rows and what is known of them: part, learn, write, judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from assay.data.reading.read import Table
from assay.data.schema import Schema
from assay.ledger import Ledger
from assay.synth.choose import AUGMENTING, chosen_method, fitted
from assay.synth.codec import Codec
from assay.synth.config import SynthesisConfig
from assay.synth.judge import judge
from assay.synth.parts import part
from assay.synth.record import Generation, Quality
from assay.synth.verdicts import note_quality
from assay.synth.writing import TESTED, write
from assay.train.watch import Watch

#: Shares of the time left that training and the models of the utility test may take.
_TRAINING, _JUDGING = 0.6, 0.5


def make(
    table: Table,
    schema: Schema,
    config: SynthesisConfig,
    *,
    folder: Path,
    scratch: Path,
    watch: Watch,
    stage: Callable[[str], AbstractContextManager[None]],
    begun: float,
    threads: int,
) -> Quality:
    """Write `synthetic.csv` (or .parquet) into `folder` and say how good its rows are.

    Args:
        table, schema: what is to be imitated.
        config: what is asked for.
        folder: where the rows go.
        scratch: a folder for what is in between.
        watch: is told of notes and steps.
        stage: times a stage and tells that it begins.
        begun: `time.monotonic()` from which the budget counts.
        threads: of the processor, for the models of the tests.

    Raises:
        InputError: the table cannot be imitated, or not in this way.
        DivergenceError: a training diverged.
    """
    with stage("split"):
        parts = part(table, schema, config)
        for note in parts.notes:
            watch.note(note)
        names = np.random.default_rng([config.seed, 0])
        needed = max(config.rows, min(len(parts.learned), TESTED))
        codec = Codec.fit(parts.learned_frame, schema, needed, names)
        block = codec.read(parts.learned_frame)
    with stage("train"):
        left = _left(config, begun)
        method, why = chosen_method(config, len(block), left)
        generator = fitted(
            method, block, codec.layout, parts.learned, schema, config,
            None if left is None else max(left * _TRAINING, 1.0), lambda done, of: watch.steps(done, of, method),
        )  # fmt: skip
    augments = method in AUGMENTING
    made = Generation(
        method=method, chosen=why, generator=generator.told, augments=augments, file=f"synthetic.{config.file}"
    )
    with stage("write"):
        written = write(
            generator, codec, config, parts.learned_frame, tested=0 if augments else min(len(block), TESTED),
            path=folder / made.file, scratch=scratch, tell=watch.steps,
        )  # fmt: skip
    with stage("judge"):
        left = _left(config, begun)
        seconds = None if left is None else max(left * _JUDGING, 2.0)
        quality = judge(parts, codec, written, config, made, seconds=seconds, threads=threads)
    ledger = Ledger()
    note_quality(quality, ledger)
    return quality.model_copy(update={"ledger": tuple(ledger)})


def _left(config: SynthesisConfig, begun: float) -> float | None:
    """Seconds of the budget that are left, None where there is no limit."""
    return None if config.budget is None else config.budget - (time.monotonic() - begun)
