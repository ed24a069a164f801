"""Rows that nobody has seen, made of those that were: a student hears more of its teacher than training rows ask for.

Source: Bucila, Caruana & Niculescu-Mizil, Model Compression (KDD 2006), section 3 (MUNGE): a row takes each of its
cells, with some probability, from a row near it. Cells are taken as they stand, so that every value is one that occurs,
and of raw rows, so that what the encoder makes of a cell stays together.

Letters: n training rows, m rows that are made, d numbers by which rows are near each other.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.data.encoding.encode import Encoded
from assay.data.rows import Rows
from assay.train.near import nearest

Ints = NDArray[np.int64]

#: The chance of a cell to be the other row's, and the nearest rows one of which that is.
_CHANCE, _NEAREST = 0.25, 5
#: Rows that are looked among at most, and those whose distances are had at once.
_AMONG, _AT_ONCE = 20_000, 512
#: Numbers that stand for a category, random and of length one: two categories are about as far apart as any others.
_FOR_A_CATEGORY = 8


def munge(train: Rows, inputs: Encoded, count: int, seed: int) -> pl.DataFrame:
    """So many rows, (m,), each made of a training row, drawn evenly, and one of those nearest to it.

    Args:
        inputs: the training rows as networks take them, by which they are near each other.
    """
    rng = np.random.default_rng(seed)
    own = np.concatenate([rng.permutation(len(train)) for _ in range(-(-count // len(train)))])[:count]
    near = neighbours(as_points(inputs, seed), rng)
    other = near[own, rng.integers(near.shape[1], size=count)]
    cells = train.frame
    takes_other = rng.random((cells.width, count)) < _CHANCE
    return pl.DataFrame(
        [column.gather(np.where(takes, other, own)) for column, takes in zip(cells, takes_other, strict=True)]
    )


def as_points(inputs: Encoded, seed: int) -> Tensor:
    """Rows as points, float32 (n, d): scaled numbers, extras, and of each category random numbers that stand for it."""
    generator = torch.Generator().manual_seed(seed)
    parts = [inputs.numbers.float(), inputs.extras.float()]
    for codes in inputs.codes.long().T:
        known = torch.randn((int(codes.max()) + 1, _FOR_A_CATEGORY), generator=generator)
        parts.append(torch.nn.functional.normalize(known)[codes])
    return torch.cat(parts, 1)


def neighbours(points: Tensor, rng: np.random.Generator) -> Ints:
    """The places of the rows nearest to each but itself, int64 (n, k), among at most `_AMONG` of them."""
    rows = len(points)
    among = torch.from_numpy(np.sort(rng.choice(rows, min(rows, _AMONG), replace=False)))
    most = min(_NEAREST, len(among) - 1)
    found = [nearest(points, some, among, most) for some in torch.arange(rows).split(_AT_ONCE)]
    return np.asarray(torch.cat(found).numpy(), np.int64)
