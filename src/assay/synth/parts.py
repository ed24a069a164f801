"""The real rows: those that a generator learns from, and those held back to judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.reading.read import Table
from assay.data.rows import Rows, complete, sample_of
from assay.data.schema import Schema
from assay.data.split.deal import cut_at_random, pool_small, target_bins
from assay.data.split.deal_labels import cut_by_labels
from assay.data.stored import gather
from assay.errors import DataError
from assay.synth.config import FEWEST_ROWS, SynthesisConfig
from assay.synth.labels import LabelForm

#: Rows that a generator learns from, and that are held back, at most.
LEARNED, HELD_BACK = 200_000, 50_000


@dataclass(frozen=True)
class Parts:
    """Real rows with a target, learned from and held back; the frames have all columns that are not dropped.

    notes: what was left out, in words.
    """

    table: Table
    schema: Schema
    learned: Rows
    held_back: Rows
    learned_frame: pl.DataFrame
    held_back_frame: pl.DataFrame
    without_target: int
    notes: tuple[str, ...]

    def rows(self, frame: pl.DataFrame, schema: Schema) -> Rows:
        """A frame with the columns of `schema` as rows to train on."""
        narrow = frame.select([column.name for column in schema.columns])
        return complete(Table(narrow, self.table.source), schema, "train")


def part(table: Table, schema: Schema, config: SynthesisConfig) -> Parts:
    """Rows to learn from and rows to judge by, at random within classes or tenths of a number.

    Several labels a row are dealt so that each has its share of either side.

    Equal rows may lie on both sides: what the tests compare must be drawn alike.

    Raises:
        DataError: there are too few rows.
    """
    whole = complete(table, schema, "train")
    if len(whole) < FEWEST_ROWS:
        raise DataError(
            f"at least {FEWEST_ROWS} rows with a target are needed to learn from and to judge by",
            f"there are {len(whole)}",
            "Give more rows.",
        )
    every = np.arange(len(whole))
    shares, rng = np.array([1.0 - config.held_back, config.held_back]), np.random.default_rng([config.seed, 3])
    if schema.is_multilabel:
        side = cut_by_labels(every, whole.target, shares, rng)
    else:
        strata = pool_small(whole.target, 2) if schema.is_classification else target_bins(whole.target, every)
        side = cut_at_random(every, strata, shares, rng)
    places, notes = [np.flatnonzero(side == 0), np.flatnonzero(side == 1)], []
    for at, (most, what) in enumerate(((LEARNED, "learned from"), (HELD_BACK, "held back"))):
        taken = sample_of(len(places[at]), most, config.seed)
        if taken is not None:
            notes.append(f"{most:,} of {len(places[at]):,} rows are {what}, drawn at random")
            places[at] = places[at][taken]
    learned, held_back = (whole.at(each) for each in places)
    kept = [column.name for column in schema.columns if column.name not in schema.dropped]
    frames = [gather(table.frame, rows.positions).select(kept) for rows in (learned, held_back)]
    labels = LabelForm.of(schema, kept)
    if labels is not None:
        frames = [labels.plain(frame) for frame in frames]
    without = table.frame.height - len(whole)
    return Parts(table, schema, learned, held_back, frames[0], frames[1], without, tuple(notes))
