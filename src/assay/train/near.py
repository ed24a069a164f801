"""Rows that are nearest to others."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest(points: Tensor, some: Tensor, among: Tensor, most: int) -> Tensor:
    """The places of the rows nearest to each of `some` but itself, the nearest first, int64 (s, most).

    Args:
        points: all rows, float32 (n, d).
        some: places of rows, int64 (s,); all distances of these are had at once.
        among: places of the rows that are looked at, int64 (a,), more than `most`.
    """
    apart = torch.cdist(points[some], points[among])
    apart[some.unsqueeze(1) == among] = torch.inf
    return among[apart.topk(most, largest=False).indices]
