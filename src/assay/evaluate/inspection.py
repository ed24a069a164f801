"""A closer look at a trained model once its test rows are open: where it is weak, what it gets wrong, what it bears."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.evaluate.assess import Output
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.diagnosis import diagnose
from assay.evaluate.inspection_record import Inspection
from assay.evaluate.judged import Judged
from assay.evaluate.mistakes import mistakes
from assay.evaluate.robustness import robustness
from assay.evaluate.row_losses import Deciding
from assay.evaluate.slices.weak import weak_slices
from assay.ledger import Ledger
from assay.train.model import Model

#: Training rows that are answered at most and at least, and the seconds that it may take.
_MOST, _FEWEST, _SECONDS = 20_000, 50, 1.5
#: Of these, how many are answered at once.
_BLOCK = 4096

Answer = Callable[[pl.DataFrame], NDArray[np.float64]]


def inspect(
    model: Model,
    split: Split,
    unseen: Judged,
    rows: Rows,
    outputs: Sequence[Output],
    schema: Schema,
    config: EvaluateConfig,
    answer: Answer,
    *,
    seed: int,
    ledger: Ledger,
) -> Inspection:
    """All that the closer look finds; what has to be chosen is chosen by rows that are not test rows.

    Args:
        model: calibrated.
        split: whose test part is open.
        unseen: rows that it did not learn from, answered.
        rows: that were scored.
        outputs: what the models answer to them, the network first.
        answer: from raw rows to probabilities (n, classes or labels) or values (n,).
    """
    a_row = outputs[0].predict_seconds / max(len(rows), 1)
    pictures = model.encoder.pictures
    deciding = Deciding(model.head.rule, model.head.thresholds if schema.is_multilabel else None)
    tested = Judged(rows, outputs[0].prediction)
    learned = _learned(split.train, answer, a_row, seed)
    slices = weak_slices(
        unseen, None if split.test is None else tested, schema, config, pictures=pictures, deciding=deciding,
        seed=seed, ledger=ledger,
    )  # fmt: skip
    wrong = mistakes(
        tested, outputs, unseen, None if unseen.trained is not None else learned, schema, model.encoder,
        files=split.record.files, deciding=deciding, ledger=ledger,
    )  # fmt: skip
    diagnosis = diagnose(learned, split.train, unseen, tested, outputs, config, ledger=ledger)
    bears = robustness(
        rows, schema, model.encoder, config, answer, a_row=a_row, deciding=deciding, seed=seed, ledger=ledger
    )
    return Inspection(slices=slices, mistakes=wrong, diagnosis=diagnosis, robustness=bears)


def _learned(train: Rows, answer: Answer, a_row: float, seed: int) -> Judged | None:
    """Some of the training rows with the answers to them; None where few can be answered in the time allowed."""
    most = min(_MOST, int(_SECONDS / max(a_row, 1e-9)))
    if most < _FEWEST:
        return None
    taken = sample_of(len(train), most, seed)
    some = train if taken is None else train.at(taken)
    return Judged(some, np.concatenate([answer(frame) for frame in some.blocks(_BLOCK)]), is_learned=True)
