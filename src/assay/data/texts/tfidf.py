"""Bags of n-grams as TF-IDF matrices: (1 + log count) * idf, words and letters of a column each of length one.

Source: Sparck Jones, A statistical interpretation of term specificity (1972), in scikit-learn's smooth form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require

#: Training texts that an n-gram must stand in to be known.
LEAST_TEXTS = 2

Bags = Sequence[NDArray[np.int32]]


@dataclass(frozen=True)
class Lexicon:
    """The n-grams that a model knows, of all text columns.

    slots: place of a bucket among the known ones, counted from 1, and 0 for unknown ones, int32 (columns * buckets,);
    the buckets of a column come after those of the one before, words before letters. buckets: of a column.
    """

    slots: NDArray[np.int32]
    buckets: int

    @classmethod
    def of(cls, bags: Bags, buckets: int) -> Lexicon:
        """The n-grams that stand in enough of the texts; `bags` of each column, (n, k), see `grams.py`."""
        texts = np.zeros(buckets * len(bags), np.int64)
        for place, packed in enumerate(bags):
            texts += np.bincount(packed[packed > 0] % buckets + place * buckets, minlength=len(texts))
        known = texts >= LEAST_TEXTS
        return cls(np.where(known, np.cumsum(known), 0).astype(np.int32), buckets)

    @property
    def known(self) -> int:
        """How many n-grams are known."""
        return int(self.slots.max(initial=0))

    def counted(self, bags: Bags) -> Any:  # noqa: ANN401  # a SciPy matrix
        """1 + log count of the known n-grams, sparse (n, known)."""
        sparse = require("scipy.sparse", "a linear model of texts")
        values, rows, columns = [], [], []
        for place, packed in enumerate(bags):
            row, at = np.nonzero(packed)
            each = packed[row, at]
            slot = self.slots[each % self.buckets + place * self.buckets]
            known = slot > 0
            values.append(1.0 + np.log((each // self.buckets)[known]))
            rows.append(row[known])
            columns.append(slot[known] - 1)
        cells = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(cells, shape=(len(bags[0]), self.known))

    def weighed(self, counted: Any, idf: NDArray[np.float64]) -> Any:  # noqa: ANN401
        """`counted` times idf, the words and the letters of each column brought to length one by themselves."""
        sparse = require("scipy.sparse", "a linear model of texts")
        matrix = counted @ sparse.diags(idf)
        groups = self.slots.reshape(-1, self.buckets // 2)
        bounds = np.concatenate([[0], np.maximum.accumulate(groups.max(1))])
        parts = []
        for start, stop in pairwise(bounds.tolist()):
            part = matrix[:, start:stop]
            length = np.sqrt(np.asarray(part.multiply(part).sum(1)).ravel())
            parts.append(sparse.diags(1.0 / np.maximum(length, 1e-12)) @ part)
        return sparse.hstack(parts, format="csr")


def idf_of(counted: Any) -> NDArray[np.float64]:  # noqa: ANN401
    """log((1 + n) / (1 + texts)) + 1 of each n-gram; 0 for those that stand in too few of these texts."""
    texts = np.asarray((counted > 0).sum(0)).ravel()
    weights = np.log((1.0 + counted.shape[0]) / (1.0 + texts)) + 1.0
    return np.where(texts >= LEAST_TEXTS, weights, 0.0)
