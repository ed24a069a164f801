"""Statistics of rows: each a number from arrays, held against a rule's limit elsewhere.

Inputs are matrices (n, d), a row each; labels are class positions (n,), values are floats (n,).
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Bins of a column that is asked whether it tells the target.
_BINS = 32


def non_finite(values: NDArray[Any]) -> int:
    """Numbers that are NaN or infinite."""
    return int(values.size - np.isfinite(values).sum())


def scale(inputs: Floats) -> float:
    """log10 of the root mean square of the largest column, or of 1 / the median column's deviation if that is more.

    Columns with at most two values (flags, one-hot codes) say nothing of scale and are left out; 0 if none is left.
    """
    counted = [column for column in inputs.T if len(np.unique(column[:500])) > 2]
    if not counted:
        return 0.0
    kept = np.stack(counted)
    spread = kept.std(axis=1)
    largest = np.sqrt((kept**2).mean(axis=1)).max()
    return float(max(math.log10(max(largest, 1e-12)), -math.log10(max(float(np.median(spread)), 1e-12))))


def target_scale(values: Floats) -> float:
    """Absolute log10 of the root mean square of the values, or of their deviation, whichever is further from 1."""
    sizes = (math.sqrt(float((values**2).mean())), float(values.std()))
    return max(abs(math.log10(max(size, 1e-12))) for size in sizes)


def farthest(inputs: Floats) -> float:
    """The largest distance of a value from its column's mean, in deviations of the column's other values."""
    spread = inputs.std(axis=0)
    kept = inputs[:, spread > 1e-12]
    if not kept.size or len(kept) < 3:
        return 0.0
    places = np.abs(kept - np.median(kept, axis=0)).argmax(axis=0)
    columns = np.arange(kept.shape[1])
    extreme = kept[places, columns]
    n = len(kept)
    mean = (kept.sum(axis=0) - extreme) / (n - 1)
    others = ((kept - mean) ** 2).sum(axis=0) - (extreme - mean) ** 2
    deviation = np.sqrt(np.maximum(others / (n - 1), 0.0))
    # A column that is else constant, such as a rare flag or a pixel at the border, has no spread to be far in.
    far = np.abs(extreme - mean)[deviation > 1e-6] / deviation[deviation > 1e-6]
    rare = np.array([len(np.unique(column[:500])) > 2 for column in kept.T])[deviation > 1e-6]
    return float(far[rare].max()) if rare.any() else 0.0


def constant_share(inputs: Floats) -> float:
    """Share of columns with one value."""
    return float((inputs == inputs[:1]).all(axis=0).mean()) if inputs.size else 0.0


def keys(rows: NDArray[Any]) -> list[bytes]:
    """A short hash of each row."""
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1))
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in flat]


def duplicate_share(hashes: list[bytes]) -> float:
    """Share of rows that repeat an earlier one."""
    return 1.0 - len(set(hashes)) / max(len(hashes), 1)


def overlap_share(train: list[bytes], judging: list[bytes]) -> float:
    """Share of judging rows that are training rows, less the share of training rows that are copies anyhow."""
    if not judging:
        return 0.0
    known = set(train)
    return max(0.0, sum(key in known for key in judging) / len(judging) - duplicate_share(train))


def near_overlap(train: Floats, judging: Floats, *, most: int = 1500) -> float:
    """Share of judging rows nearer to a training row than 99 % of training rows are to each other.

    Exact copies do not count. Distances are Euclidean between standardised columns, of `most` rows of each part.
    """
    spread = train.std(axis=0)
    kept = spread > 1e-12
    known, asked = ((part[:most, kept] - train[:, kept].mean(axis=0)) / spread[kept] for part in (train, judging))
    if len(known) < 50 or not len(asked) or not kept.any():
        return 0.0
    inside = _nearest(known, known, same=True)
    outside = _nearest(asked, known, same=False)
    limit = np.quantile(inside[inside > 1e-9], 0.01) if (inside > 1e-9).any() else 0.0
    return float(((outside < limit) & (outside > 1e-9)).mean())


def _nearest(asked: Floats, known: Floats, *, same: bool) -> Floats:
    """Distance of each asked row to the nearest known one, itself left out."""
    squares = (asked**2).sum(1)[:, None] + (known**2).sum(1)[None, :] - 2.0 * asked @ known.T
    if same:
        np.fill_diagonal(squares, np.inf)
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0.0)), np.float64)


def conflict_share(hashes: list[bytes], targets: NDArray[Any]) -> float:
    """Share of rows whose inputs another row has with another target."""
    seen: dict[bytes, set[bytes]] = {}
    marks = keys(targets)
    for key, mark in zip(hashes, marks, strict=True):
        seen.setdefault(key, set()).add(mark)
    return sum(len(seen[key]) > 1 for key in hashes) / max(len(hashes), 1)


def best_column(inputs: Floats, targets: NDArray[Any], *, classes: bool) -> tuple[float, int]:
    """How well one column tells the target on rows it was not fitted to, and which column.

    The column is cut into bins of equal counts on every other row, and judged on the rest: for classes by the mean
    recall above chance, as a share of what can be gained; for values by R2.
    """
    fitted, judged = inputs[::2], inputs[1::2]
    best, place = 0.0, -1
    for column in range(inputs.shape[1]):
        edges = np.unique(np.quantile(fitted[:, column], np.linspace(0, 1, _BINS + 1)[1:-1]))
        places = np.searchsorted(edges, fitted[:, column]), np.searchsorted(edges, judged[:, column])
        told = _told_classes if classes else _told_values
        score = told(places[0], targets[::2], places[1], targets[1::2], len(edges) + 1)
        if not classes and len(np.unique(inputs[:, column])) > 2:
            score = max(score, float(np.corrcoef(inputs[:, column], targets)[0, 1]) ** 2)
        if score > best:
            best, place = score, column
    return best, place


def _told_classes(
    bins: NDArray[np.intp], labels: NDArray[Any], asked: NDArray[np.intp], truth: NDArray[Any], size: int
) -> float:
    names, coded = np.unique(labels, return_inverse=True)
    counts = np.zeros((size, len(names)))
    np.add.at(counts, (bins, coded), 1.0)
    answers = names[(counts / counts.sum(axis=0).clip(min=1)).argmax(axis=1)][asked]
    recalls = [float((answers[truth == name] == name).mean()) for name in names if (truth == name).any()]
    chance = 1.0 / max(len(names), 2)
    return (float(np.mean(recalls)) - chance) / (1.0 - chance) if recalls else 0.0


def _told_values(
    bins: NDArray[np.intp], values: NDArray[Any], asked: NDArray[np.intp], truth: NDArray[Any], size: int
) -> float:
    sums, counts = np.zeros(size), np.zeros(size)
    np.add.at(sums, bins, values)
    np.add.at(counts, bins, 1.0)
    means = np.where(counts > 0, sums / counts.clip(min=1), values.mean())
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - means[asked]) ** 2).sum()) / spread if spread > 0 else 0.0


def prevalence_gap(train: NDArray[Any], judging: NDArray[Any], *, classes: bool) -> float:
    """Cramer's V of part and class, or the Kolmogorov-Smirnov distance of values; 0 where p >= 0.01."""
    stats = require("scipy.stats", "comparing targets of two parts")
    if not classes:
        test = stats.ks_2samp(train, judging)
        return float(test.statistic) if test.pvalue < 0.01 else 0.0
    names = np.unique(np.concatenate([train, judging]))
    table = np.stack([(part[:, None] == names).sum(axis=0) for part in (train, judging)])
    return association(table, alpha=0.01)


def association(table: NDArray[Any], *, alpha: float) -> float:
    """Cramer's V of a table of counts, less what chance brings (Bergsma, 2013).

    0 where a chi-square test has p >= alpha.
    """
    stats = require("scipy.stats", "tests of independence")
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    if min(rows, columns) < 2:
        return 0.0
    found = stats.chi2_contingency(table, correction=False)
    if found.pvalue >= alpha:
        return 0.0
    n = float(table.sum())
    phi = max(0.0, found.statistic / n - (rows - 1) * (columns - 1) / (n - 1))
    shrunk = [size - (size - 1) ** 2 / (n - 1) for size in (rows, columns)]
    return min(1.0, float(math.sqrt(phi / max(min(shrunk) - 1, 1e-9))))


def order_of(batches: NDArray[Any], targets: NDArray[Any], *, classes: bool) -> float:
    """How much the batch a row is in tells its target, beyond chance: Cramer's V, or the root of adjusted eta squared.

    0 where a test has p >= 0.0001.
    """
    if classes:
        names = np.unique(targets)
        table = np.stack([(targets[batches == b][:, None] == names).sum(axis=0) for b in np.unique(batches)])
        return association(table, alpha=1e-4)
    stats = require("scipy.stats", "tests of independence")
    groups = [targets[batches == b] for b in np.unique(batches)]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2:
        return 0.0
    if float(stats.f_oneway(*groups).pvalue) >= 1e-4:
        return 0.0
    n, k = sum(map(len, groups)), len(groups)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    spread = float(((targets - targets.mean()) ** 2).sum())
    return math.sqrt(max(0.0, 1.0 - (within / max(n - k, 1)) / (spread / (n - 1))))


def imbalance(labels: Labels) -> float:
    """Smallest over largest class."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.min() / counts.max())


def misfits(labels: Labels, outputs: int) -> int:
    """Labels outside 0 ... outputs - 1, plus one where no label is 0: then they were counted from 1."""
    return int(((labels < 0) | (labels >= outputs)).sum()) + int(not (labels == 0).any())
