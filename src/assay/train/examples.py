"""Rows as examples: encoded cells, targets in the network's units, and row weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.encoding.batches import Batch, Resident, Source
from assay.data.encoding.encode import Encoded, Encoder
from assay.data.encoding.mapped import bytes_encoded, map_rows
from assay.data.encoding.paged import Paged, bytes_of_media, encode_into_files
from assay.data.inputs import ViewKind
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split.folds import Folds
from assay.data.steps import steps_of
from assay.data.stored import Spill
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.train.augment.texts import NO_WORDS, Substitutes
from assay.train.losses import are_labels
from assay.train.members import bootstrap_weights, weighted

#: Training rows that networks fit bins and first weights to at most, and at least where memory is short.
SAMPLE_ROWS, _LEAST_SAMPLE = 200_000, 4_000


@dataclass(frozen=True)
class Units:
    """How a target is told to a network: the mean and deviation of the training rows (0 and 1 for classes)."""

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class Examples:
    """What networks learn from and are judged on.

    prior: where outputs start, (outputs,): log shares of the classes (each counted once more), log odds of the labels
        (each counted once more, and once more missing), or zero.
    sample: inputs of training rows, all or many, that networks fit bins and first weights to.
    targets: of all training rows, in no order to be relied on.
    folds: members of a cross-validation; then `train` and `valid` hold the same rows, each weighted for each fold.
    bagged: each member learns from a bootstrap sample of its own.
    words: that take the place of others in changed texts, where that is asked for.
    """

    encoder: Encoder
    units: Units
    prior: Tensor
    train: Source
    valid: Batch
    sample: Encoded
    targets: Tensor
    folds: int = 0
    bagged: bool = False
    words: Substitutes = NO_WORDS

    @property
    def outputs(self) -> int:
        """Outputs of a network."""
        return len(self.prior)

    def places(self, kind: ViewKind) -> tuple[int, ...]:
        """Places of the media of a kind."""
        return self.encoder.layout.places(kind)

    @property
    def classifies(self) -> bool:
        """Whether targets are classes."""
        return self.targets.dtype == torch.int64

    @property
    def has_labels(self) -> bool:
        """Whether a row has any number of labels."""
        return are_labels(self.targets)

    def on(
        self, device: torch.device, variants: int, seeds: Sequence[int], reads: Sequence[int] = ()
    ) -> tuple[Source, Source]:
        """Training and validation rows on the device, weighted for the members that `seeds` are of.

        They come with the media that the network `reads`. With folds there are those of each variant in turn; with bags
        a row counts for a member as often as its Poisson sample has it.
        """
        weight = self._for(self.train.weight, variants)
        if self.bagged:
            weight = weighted(weight, bootstrap_weights(len(self.train), seeds))
        train, valid = self.train.weighing(weight), Resident(self.judged(variants))
        return train.reading(reads).to(device), valid.reading(reads).to(device)

    def grouped(self, learned: NDArray[np.int64], judged: NDArray[np.int64]) -> Examples:
        """The same rows, told which sensitive group each is in; those that are learned from must lie in memory.

        Args:
            learned, judged: positions of the groups of the training rows and of those that judge.
        """
        assert isinstance(self.train, Resident)
        rows = replace(self.train.rows, groups=torch.from_numpy(learned))
        valid = replace(self.valid, groups=torch.from_numpy(judged))
        return replace(self, train=replace(self.train, rows=rows), valid=valid)

    def judged(self, variants: int) -> Batch:
        """The validation rows, with folds weighted for the folds of each variant in turn."""
        return replace(self.valid, weight=self._for(self.valid.weight, variants))

    def _for(self, weight: Tensor | None, variants: int) -> Tensor | None:
        return weight if weight is None or not self.folds else weight.repeat(variants, 1)


def examples(
    encoder: Encoder,
    train: Rows,
    valid: Rows,
    schema: Schema,
    *,
    seed: int = 0,
    spill: Spill | None = None,
    ledger: Ledger | None = None,
) -> Examples:
    """Examples of a single split.

    Args:
        encoder: learned from `train`.
        train, valid: the rows.
        schema: of their table.
        seed: of the order in which training rows are put into files.
        spill: where rows are put when their encoding is too large for memory, together with the shuffled copy of it
            that an epoch takes; None keeps them in memory.
        ledger: where it is written that they are.

    Raises:
        OSError: there is no room on the disk.
    """
    units = _units(train, schema)
    target, weight = targets_of(train, schema, units)
    size = _bytes_of(encoder, train)
    is_large = spill is not None and size > spill.limit
    source: Source
    if spill is not None and is_large and not encoder.layout.media:
        sample = sample_of(len(train), SAMPLE_ROWS)
        source = map_rows(encoder, train, target, weight, spill.folder, seed=seed)
        taken = encoder.encode_rows(train if sample is None else train.at(sample))
    else:
        inputs, kind = _encoded(encoder, train, spill)
        source = kind(Batch(inputs, target, weight))
        most = SAMPLE_ROWS if spill is None or not is_large else _sampled(size // len(train), spill.limit)
        sample = sample_of(len(train), most)
        taken = inputs if sample is None else inputs[torch.from_numpy(sample)]
    if is_large and ledger is not None:
        reason = f"{len(train):,} encoded rows lie in files: in memory they would take {size // 10**6:,} MB"
        ledger.record("data.memory", Outcome.APPLIED, reason, value=size // 10**6)
    judged = Batch(_encoded(encoder, valid, spill)[0], *targets_of(valid, schema, units))
    return Examples(encoder, units, _prior(train, schema), source, judged, taken, target)


def _bytes_of(encoder: Encoder, rows: Rows) -> int:
    """What rows take in memory when they are encoded, together with a shuffled copy."""
    return 2 * (bytes_encoded(encoder.layout, len(rows)) + bytes_of_media(encoder, rows))


def _encoded(encoder: Encoder, rows: Rows, spill: Spill | None) -> tuple[Encoded, type[Resident]]:
    """The inputs of rows, in files where they have media and are too large for memory, and the kind of their source."""
    if spill is None or not encoder.layout.media or _bytes_of(encoder, rows) <= spill.limit:
        return encoder.encode_rows(rows), Resident
    return encode_into_files(encoder, rows, spill.folder), Paged


def _sampled(bytes_a_row: int, limit: int) -> int:
    """Rows of a sample that memory may hold, but enough to fit first weights to."""
    return min(SAMPLE_ROWS, max(limit // max(bytes_a_row, 1), _LEAST_SAMPLE))


def folded(encoder: Encoder, rows: Rows, schema: Schema, folds: Folds, spill: Spill | None = None) -> Examples:
    """Examples of a cross-validation: every row is learned from by some members and judged by others.

    Raises:
        ConfigError: the encoded rows are too large for the memory that `spill` allows: folds need them there.
    """
    size = _bytes_of(encoder, rows)
    if spill is not None and size > spill.limit and not encoder.layout.media:
        raise ConfigError(
            "rows that are cross-validated must fit into memory",
            f"they take {size // 10**6:,} MB when encoded, and data.memory allows {spill.limit // 10**6:,}",
            "Give one split with ensemble.folds=1, or allow more with data.memory.",
        )
    units = _units(rows, schema)
    inputs, kind = _encoded(encoder, rows, spill)
    target, weight = targets_of(rows, schema, units)
    learns = torch.from_numpy(folds.learns).float()
    learns = learns / learns.mean(1, keepdim=True)
    judged = torch.from_numpy(folds.judged).float()
    train = kind(Batch(inputs, target, weighted(weight, learns)))
    valid = Batch(inputs, target, weighted(weight, judged))
    return Examples(encoder, units, _prior(rows, schema), train, valid, inputs, target, len(folds))


def _units(train: Rows, schema: Schema) -> Units:
    if schema.has_probabilities:
        return Units()
    if schema.windowing is not None:
        return _units_of_windows(train.column(schema.windowing.history))
    weight = relative(train.weight)
    mean = float(np.average(train.target, weights=weight))
    deviation = float(np.sqrt(np.average((train.target - mean) ** 2, weights=weight)))
    return Units(mean, deviation or 1.0)


def _units_of_windows(history: pl.Series) -> Units:
    """Mean and deviation of the steps before forecasts: networks take windows by the same two."""
    steps = steps_of(history).values
    deviation = float(np.nanstd(steps))
    return Units(float(np.nanmean(steps)), deviation or 1.0)


def targets_of(rows: Rows, schema: Schema, units: Units) -> tuple[Tensor, Tensor | None]:
    """Targets in the network's units and row weights."""
    found = relative(rows.weight)
    weight = None if found is None else torch.from_numpy(found).float()
    if schema.is_classification:
        return torch.from_numpy(rows.target.astype(np.int64)), weight
    if schema.is_multilabel:
        return torch.from_numpy(rows.target.astype(np.uint8)), weight
    return torch.from_numpy((rows.target - units.mean) / units.deviation).float(), weight


def relative(weight: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Row weights with a mean of one: only their ratios count, whatever unit they were given in."""
    if weight is None:
        return None
    shares = weight / weight.max()
    return np.asarray(shares / shares.mean(), np.float64)


def _prior(train: Rows, schema: Schema) -> Tensor:
    if schema.is_multilabel:
        return _log_odds(train)
    if not schema.is_classification:
        return torch.zeros(1 if schema.windowing is None else schema.windowing.horizon)
    counts = np.bincount(train.target, weights=relative(train.weight), minlength=len(schema.classes)) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def _log_odds(train: Rows) -> Tensor:
    """Log odds of each label, (labels,)."""
    weight = np.ones(len(train)) if train.weight is None else relative(train.weight)
    assert weight is not None
    having = weight @ train.target.astype(np.float64) + 1.0
    return torch.from_numpy(np.log(having / (weight.sum() + 2.0 - having))).float()
