"""Rows as the training loop takes them: batches of an epoch, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from assay.data.encoding.encode import Encoded

#: Rows of a block in which rows are looked at without training.
BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Batch:
    """Encoded rows with their targets and weights.

    target: int64 classes or float32 standardised values, (n,); of a forecast (n, H), of labels uint8 of 0 and 1 (n, L).
    weight: row weights with a mean of about one, (n,) for all members alike or (M, n) for each its own, or None.
    groups: positions of the sensitive groups that rows are in, int64 (n,), where training is to look at them.
    aims: probabilities that are learned in the place of classes (n, K) or labels (n, L), float32, where there are any.
    """

    inputs: Encoded
    target: Tensor
    weight: Tensor | None
    groups: Tensor | None = None
    aims: Tensor | None = None

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        weight = None if self.weight is None else self.weight[..., rows]
        groups, aims = (None if each is None else each[rows] for each in (self.groups, self.aims))
        return Batch(self.inputs[rows], self.target[rows], weight, groups, aims)

    def to(self, device: torch.device) -> Batch:
        """The same rows on `device`."""
        given = (self.weight, self.groups, self.aims)
        weight, groups, aims = (None if each is None else each.to(device) for each in given)
        return Batch(self.inputs.to(device), self.target.to(device), weight, groups, aims)


class Source(Protocol):
    """Rows that can be trained on, wherever they lie."""

    def __len__(self) -> int: ...

    @property
    def weight(self) -> Tensor | None:
        """Row weights, see `Batch`, in an order that `weighing` takes."""

    def weighing(self, weight: Tensor | None) -> Source:
        """The same rows with other weights."""

    def reading(self, places: Sequence[int]) -> Source:
        """The same rows with these of the media and no others."""

    def epoch(self, seed: int, epoch: int, batch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the one at `start` on; the same for the same seed and epoch."""

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Batch]:
        """All rows in their own order."""

    def to(self, device: torch.device) -> Source:
        """The same rows, whose batches come on `device`."""


@dataclass(frozen=True)
class Resident:
    """Rows that lie in memory: shuffled once an epoch and then sliced, which is cheaper than gathering each batch."""

    rows: Batch

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def weight(self) -> Tensor | None:
        """See `Source`."""
        return self.rows.weight

    def weighing(self, weight: Tensor | None) -> Resident:
        """See `Source`."""
        return replace(self, rows=replace(self.rows, weight=weight))

    def reading(self, places: Sequence[int]) -> Resident:
        """See `Source`."""
        return replace(self, rows=replace(self.rows, inputs=self.rows.inputs.reading(places)))

    def to(self, device: torch.device) -> Resident:
        """See `Source`."""
        return replace(self, rows=self.rows.to(device))

    def epoch(self, seed: int, epoch: int, batch: int, start: int = 0) -> Iterator[Batch]:
        """See `Source`."""
        order = epoch_order(len(self.rows), seed, epoch).to(self.rows.target.device)
        shuffled = self.rows[order] if batch < len(self.rows) else self.rows
        for first in range(start * batch, len(shuffled), batch):
            yield shuffled[first : first + batch]

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Batch]:
        """See `Source`."""
        for first in range(0, max(len(self.rows), 1), rows):
            yield self.rows[first : first + rows]


def epoch_order(rows: int, seed: int, epoch: int) -> Tensor:
    """The order of rows in an epoch: a pure function of seed and epoch, so that a run can be resumed. int64 (rows,)."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(epoch_seed(seed, epoch)))


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of everything random in an epoch."""
    return (seed * 1_000_003 + epoch) % (2**63 - 1)
