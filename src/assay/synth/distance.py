"""How far rows are from each other: numbers in deviations, categories equal or not, missing a value of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay._imports import require
from assay.synth.block import Block, Floats, Ints

#: Distances held at once.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Distance:
    """A distance of rows, learned from the rows that a generator learns from.

    Half the squared difference of each number in its deviations, which for two random rows is 1 on average, and
    `mismatch` for each category that differs, added up; the root of that. A missing number stands at the mean and
    differs from all that are there by 1 besides.

    scale: deviations of the numbers (V,); infinite for one that does not vary.
    mean: what a missing number stands at, (V,).
    """

    mean: Floats
    scale: Floats
    mismatch: float = 1.0

    @classmethod
    def of(cls, block: Block, mismatch: float = 1.0) -> Distance:
        """The distance in units of the rows of `block`."""
        known = ~np.isnan(block.numbers)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, block.numbers, 0.0)
        # Scaled to 1 first, so that squares of huge numbers stay finite.
        unit = np.maximum(np.abs(filled).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
        mean = (filled / unit).sum(axis=0) / count
        spread = np.sqrt((np.where(known, filled / unit - mean, 0.0) ** 2).sum(axis=0) / count)
        mean, spread = mean * unit, np.where(spread > 1e-12, spread * unit, np.inf)
        return cls(mean, spread, mismatch)

    def nearest(self, rows: Block, among: Block, k: int = 1, *, themselves: bool = False) -> tuple[Floats, Ints]:
        """Distances and places of the k nearest of `among` (m rows, at least k) for each of `rows`: (n, k) twice.

        Args:
            rows: whose neighbours are looked for.
            among: the neighbours to choose from.
            k: how many.
            themselves: whether `rows` are `among`, so that no row is its own neighbour.
        """
        distances, places = np.empty((len(rows), k)), np.empty((len(rows), k), np.int64)
        for start, block in self._squares(rows, among):
            if themselves:
                own = np.arange(len(block))
                block[own, own + start] = np.inf
            found = np.argpartition(block, k - 1, axis=1)[:, :k] if k < block.shape[1] else np.argsort(block, axis=1)
            near = np.take_along_axis(block, found, axis=1)
            order = np.lexsort((found, near), axis=1)
            stop = start + len(block)
            places[start:stop] = np.take_along_axis(found, order, axis=1)[:, :k]
            distances[start:stop] = np.sqrt(np.take_along_axis(near, order, axis=1)[:, :k])
        return distances, places

    def _squares(self, rows: Block, among: Block) -> Iterator[tuple[int, Floats]]:
        """Squared distances of some rows to all of `among`, with the place of the first."""
        spatial = require("scipy.spatial.distance", "the distance of rows")
        ours, theirs = self._points(rows), self._points(among)
        step = max(1, _AT_ONCE // max(len(among), 1))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            if ours.shape[1]:
                squares = spatial.cdist(ours[part], theirs, "sqeuclidean")
            else:
                squares = np.zeros((len(rows.codes[part]), len(among)))
            for mine, others in zip(rows.codes[part].T, among.codes.T, strict=True):
                squares += self.mismatch * (mine[:, None] != others[None, :])
            yield start, squares

    def _points(self, block: Block) -> Floats:
        absent = np.isnan(block.numbers)
        scaled = (np.where(absent, self.mean, block.numbers) - self.mean) / self.scale / np.sqrt(2)
        return np.concatenate([scaled, absent.astype(np.float64)], axis=1)
