"""The models the network has to beat: class shares or the mean, a linear model, gradient-boosted trees.

They read the cells with the functions the network's own inputs go through (`data/columns.py`), learn from training rows
only, and leave out the time column: a raw date lets trees cling to a time that test rows are past.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from assay._imports import require
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.evaluate.baseline_cells import BaselineTask, CellReader, NothingToLearnError
from assay.evaluate.baseline_models import fit_linear, fit_trees, fit_trivial
from assay.evaluate.config import Baseline, EvaluateConfig
from assay.evaluate.metrics import Floats
from assay.evaluate.multilabel.baselines import fit_label_linear, fit_label_trees, fit_label_trivial
from assay.ledger import Ledger, Outcome

#: Rows x columns a baseline learns from at most, about 400 MB.
CELLS = 50_000_000
LINEAR_SHARE_OF_TIME = 0.3

_ORDER: tuple[Baseline, ...] = ("majority", "linear", "trees")
_FITS = {"majority": fit_trivial, "linear": fit_linear, "trees": fit_trees}
_FITS_OF_LABELS = {"majority": fit_label_trivial, "linear": fit_label_linear, "trees": fit_label_trees}


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline that has learned; `fit_seconds` is wall time."""

    name: str
    description: str
    fit_seconds: float
    answer: Callable[[pl.DataFrame], Floats]

    def predict(self, rows: Rows) -> Floats:
        """Probabilities of classes or labels (n, K), or values (n,), for `rows`, whose target is not looked at."""
        return np.concatenate([self.answer(block) for block in rows.blocks()])


def fit_baselines(
    train: Rows,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    seconds: float | None,
    threads: int,
    ledger: Ledger,
) -> tuple[FittedBaseline, ...]:
    """Fit the baselines of the config, from the simplest to the strongest, and write `evaluate.baselines`.

    Args:
        train: the training rows; what is held out to choose the number of boosting rounds is held out of these.
        schema: which columns to read and how.
        config: which baselines, and how many rows they learn from at most.
        seed: of the sample of rows and of the rows held out.
        seconds: wall time for all together; fitting stops early at it. None for as long as it takes.
        threads: CPU threads, 0 for all.
        ledger: where the verdict is written.
    """
    require("sklearn", "a baseline")
    begun = time.monotonic()
    taken = _sample(train, schema, config.baseline_rows, seed)
    fitted, missed = [], []
    with _limited(threads):
        frame = taken.frame
        reader = CellReader(frame, schema)
        task = BaselineTask(
            reader, reader.read(frame), taken.target, taken.weight, len(schema.classes), seed, float("inf")
        )
        for kind in (k for k in _ORDER if k in config.baselines):
            share = LINEAR_SHARE_OF_TIME if kind == "linear" else 1.0
            deadline = float("inf") if seconds is None else begun + share * seconds
            if kind != "majority" and time.monotonic() >= deadline:
                missed.append(f"{_name(kind, schema)} (no time was left)")
                continue
            try:
                fitted.append(_timed(kind, replace(task, deadline=deadline), schema, train, threads))
            except NothingToLearnError as reason:
                missed.append(f"{_name(kind, schema)} ({reason})")
    note_baselines(ledger, fitted, missed)
    return tuple(fitted)


def _timed(kind: Baseline, task: BaselineTask, schema: Schema, train: Rows, threads: int) -> FittedBaseline:
    begun = time.monotonic()
    fits = _FITS_OF_LABELS if schema.is_multilabel else _FITS
    description, answer = fits[kind](task, schema)

    def limited(frame: pl.DataFrame) -> Floats:
        with _limited(threads):
            return answer(frame)

    rows = f"{len(task.target):,} of {len(train):,}" if len(task.target) < len(train) else f"{len(train):,}"
    described = f"{description}; {rows} training rows"
    return FittedBaseline(_name(kind, schema), described, time.monotonic() - begun, limited)


def _name(kind: Baseline, schema: Schema) -> str:
    trivial = "majority class" if schema.is_classification else "label shares" if schema.is_multilabel else "mean value"
    return {"majority": trivial, "linear": "linear model", "trees": "boosted trees"}[kind]


def _limited(threads: int) -> Any:  # noqa: ANN401  # threadpoolctl has no types
    control = require("threadpoolctl", "a baseline")
    return control.threadpool_limits(limits=threads or None)


def _sample(train: Rows, schema: Schema, most: int, seed: int) -> Rows:
    """At most `most` of the training rows, fewer for wide tables, in their own order."""
    limit = min(most, max(1000, CELLS // max(len(schema.features), 1)))
    kept = sample_of(len(train), limit, seed)
    return train if kept is None else train.at(kept)


def note_baselines(ledger: Ledger, fitted: Sequence[FittedBaseline], missed: Sequence[str]) -> None:
    """The verdict on baselines that were fitted, and on those that were missed, with the reason."""
    names = ", ".join(f"{model.name} ({model.description})" for model in fitted)
    if missed:
        reason = f"not fitted: {', '.join(missed)}" + (f"; fitted: {names}" if names else "")
        ledger.record("evaluate.baselines", Outcome.WARNED, reason, value=len(fitted))
    elif fitted:
        ledger.record("evaluate.baselines", Outcome.APPLIED, names, value=len(fitted))
    else:
        ledger.record("evaluate.baselines", Outcome.SKIPPED, "no baseline was asked for", value=0)
