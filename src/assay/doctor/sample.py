"""Rows read out of a loader, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.doctor.rows_statistics import Floats, keys
from assay.doctor.subject import Batch, taken_apart
from assay.train.budget import Budget

#: Rows read at most, columns of them that forests and distances look at, rows kept as tensors.
MOST_ROWS, MOST_COLUMNS, KEPT_ROWS = 4096, 256, 512


@dataclass(frozen=True)
class Sample:
    """Rows of one part, in the order in which they came.

    inputs: (n, d), every input flattened and put side by side. targets: (n,), or None where a row has several.
    batches: number of the batch of each row. sizes: rows of each batch. whole: whether an epoch was read to its end.
    floating: whether the inputs are numbers, not codes. kept: the first rows as batches of tensors.
    """

    inputs: Floats
    targets: NDArray[Any] | None
    batches: NDArray[np.int64]
    sizes: tuple[int, ...]
    whole: bool
    floating: bool
    classes: bool
    hashes: list[bytes]
    kept: tuple[Batch, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def narrow(self) -> Floats:
        """At most `MOST_COLUMNS` of the columns, evenly chosen, without what is not finite."""
        step = -(-self.inputs.shape[1] // MOST_COLUMNS)
        return np.nan_to_num(self.inputs[:, ::step], posinf=0.0, neginf=0.0)


def read(loader: Iterable[Any], device: torch.device, budget: Budget) -> Sample:
    """At most `MOST_ROWS` rows of a pass over the loader."""
    inputs, targets, sizes, kept = [], [], [], []
    floating, whole, rows = True, True, 0
    for raw in loader:
        batch = taken_apart(raw, device)
        if rows < KEPT_ROWS:
            kept.append(batch)
        tensors = batch.tensors
        floating &= all(each.is_floating_point() for each in tensors)
        flat = [each.detach().reshape(len(batch), -1).cpu().double().numpy() for each in tensors]
        inputs.append(np.concatenate(flat, axis=1) if flat else np.zeros((len(batch), 0)))
        targets.append(batch.targets.detach().cpu().numpy())
        sizes.append(len(batch))
        rows += len(batch)
        if rows >= MOST_ROWS or budget.left <= 0:
            whole = False
            break
    if not sizes:
        return Sample(np.zeros((0, 0)), None, np.zeros(0, np.int64), (), True, True, False, [], ())
    matrix = np.concatenate(inputs)
    truth: NDArray[Any] | None = np.concatenate([each.reshape(len(each), -1) for each in targets])
    assert truth is not None
    truth = truth[:, 0] if truth.shape[1] == 1 else None
    return Sample(
        inputs=matrix,
        targets=truth,
        batches=np.repeat(np.arange(len(sizes)), sizes),
        sizes=tuple(sizes),
        whole=whole,
        floating=floating,
        classes=truth is not None and are_classes(truth),
        hashes=keys(matrix.astype(np.float32)),
        kept=tuple(kept),
    )


def are_classes(targets: NDArray[Any]) -> bool:
    """Whether targets are classes: whole numbers by type, or nothing but 0 and 1."""
    return targets.dtype.kind in "iub" or bool(np.isin(targets, (0.0, 1.0)).all())
