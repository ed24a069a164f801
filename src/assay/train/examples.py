"""Rows as examples: encoded cells, targets in the network's units, and row weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.batches import Batch, Resident, Source
from assay.data.encode import Encoder
from assay.data.folds import Folds
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.train.members import weighted


@dataclass(frozen=True)
class Units:
    """How a target is told to a network: the mean and deviation of the training rows (0 and 1 for classes)."""

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class Examples:
    """What networks learn from and are judged on.

    prior: where outputs start, (outputs,): log shares of the classes (each counted once more), or zero.
    training: the rows that are trained on, before folds.
    folds: members of a cross-validation; then `train` and `valid` hold the same rows, each weighted for each fold.
    """

    encoder: Encoder
    units: Units
    prior: Tensor
    train: Batch
    valid: Batch
    folds: int = 0

    @property
    def outputs(self) -> int:
        """Outputs of a network."""
        return len(self.prior)

    def on(self, device: torch.device, variants: int) -> tuple[Source, Source]:
        """Training and validation rows on the device; with folds, weighted for the folds of each variant in turn."""
        return Resident(self._for(self.train, variants).to(device)), Resident(self.judged(variants).to(device))

    def judged(self, variants: int) -> Batch:
        """The validation rows, with folds weighted for the folds of each variant in turn."""
        return self._for(self.valid, variants)

    def _for(self, rows: Batch, variants: int) -> Batch:
        if not self.folds or rows.weight is None:
            return rows
        return Batch(rows.inputs, rows.target, rows.weight.repeat(variants, 1))


def examples(encoder: Encoder, train: Rows, valid: Rows, schema: Schema) -> Examples:
    """Examples of a single split."""
    units = _units(train, schema)
    batches = [_batch(encoder, rows, schema, units) for rows in (train, valid)]
    return Examples(encoder, units, _prior(train, schema), batches[0], batches[1])


def folded(encoder: Encoder, rows: Rows, schema: Schema, folds: Folds) -> Examples:
    """Examples of a cross-validation: every row is learned from by some members and judged by others."""
    units = _units(rows, schema)
    batch = _batch(encoder, rows, schema, units)
    learns = torch.from_numpy(folds.learns).float()
    learns = learns / learns.mean(1, keepdim=True)
    judged = torch.from_numpy(folds.judged).float()
    train = Batch(batch.inputs, batch.target, weighted(batch.weight, learns))
    valid = Batch(batch.inputs, batch.target, weighted(batch.weight, judged))
    return Examples(encoder, units, _prior(rows, schema), train, valid, len(folds))


def _units(train: Rows, schema: Schema) -> Units:
    if schema.is_classification:
        return Units()
    weight = relative(train.weight)
    mean = float(np.average(train.target, weights=weight))
    deviation = float(np.sqrt(np.average((train.target - mean) ** 2, weights=weight)))
    return Units(mean, deviation or 1.0)


def _batch(encoder: Encoder, rows: Rows, schema: Schema, units: Units) -> Batch:
    found = relative(rows.weight)
    weight = None if found is None else torch.from_numpy(found).float()
    if schema.is_classification:
        target = torch.from_numpy(rows.target.astype(np.int64))
    else:
        target = torch.from_numpy((rows.target - units.mean) / units.deviation).float()
    return Batch(encoder.encode(rows.frame), target, weight)


def relative(weight: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Row weights with a mean of one: only their ratios count, whatever unit they were given in."""
    if weight is None:
        return None
    shares = weight / weight.max()
    return np.asarray(shares / shares.mean(), np.float64)


def _prior(train: Rows, schema: Schema) -> Tensor:
    if not schema.is_classification:
        return torch.zeros(1)
    counts = np.bincount(train.target, weights=relative(train.weight), minlength=len(schema.classes)) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum())).float()
