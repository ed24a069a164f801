"""The Gaussian copula: every column keeps its own distribution, and normal variables behind them carry what they share.

Source: Patki, Wedge & Veeramachaneni, The Synthetic Data Vault (DSAA 2016), section 3: a category is an interval of
[0, 1] as long as its share, a missing number is a variable of its own, correlations are those of normal scores. Two
things are done otherwise. The intervals of a column are ordered by what their rows have as target, not by their
frequency, so that a single normal variable can carry that. And a column of few values has scores of less than unit
variance; covariances are divided by it, which to first order is the correlation of the normal variables themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay._imports import require
from assay.synth.block import Block, Floats, Ints, Layout

#: Quantiles of a number that are kept at most.
_QUANTILES = 100_000
#: A correlation beyond this would let one column decide the other.
_STRONGEST = 0.98
#: Rows of the average target that a category's own target is mixed with, so that rare ones are not ordered by chance.
_SHRUNK_BY = 10.0


@dataclass(frozen=True)
class _Number:
    """The marginal of a number: its sorted values (m,), or m of their quantiles."""

    values: Floats

    def at(self, share: Floats) -> Floats:
        """The quantiles of these shares: values seen, and what lies between neighbours."""
        return np.interp(share * len(self.values) - 0.5, np.arange(len(self.values)), self.values)


@dataclass(frozen=True)
class _Intervals:
    """The marginal of codes: `order` (K,) of the codes along [0, 1], and where each one's interval ends (K,)."""

    order: Ints
    ends: Floats

    def at(self, share: Floats) -> Ints:
        """The codes in whose intervals the shares lie."""
        return self.order[np.minimum(np.searchsorted(self.ends, share, side="right"), len(self.order) - 1)]


@dataclass(frozen=True)
class Copula:
    """A fitted copula of V numbers, M flags of missing numbers and C coded columns.

    flagged: the numbers that may be missing, int64 (M,).
    root: lower triangular, (p, p) with p = V + M + C; its square is the correlation matrix of the normal variables.
    """

    numbers: tuple[_Number, ...]
    flagged: Ints
    flags: tuple[_Intervals, ...]
    codes: tuple[_Intervals, ...]
    root: Floats
    told: str

    @classmethod
    def fit(cls, block: Block, layout: Layout) -> Copula:
        """Learn marginals and correlations from the rows of `block`."""
        absent = np.isnan(block.numbers)
        numbers = tuple(_marginal(column) for column in block.numbers.T)
        flagged = np.flatnonzero(absent.any(axis=0) & ~absent.all(axis=0))
        scores = [_number_scores(column) for column in block.numbers.T]
        target = _target_scores(block, layout, scores)
        flags = tuple(_intervals(absent[:, at].astype(np.int64), 2, target) for at in flagged)
        codes = tuple(_intervals(block.codes[:, at], size, target) for at, size in enumerate(layout.sizes))
        scores += [
            _interval_scores(absent[:, at].astype(np.int64), marginal)
            for at, marginal in zip(flagged, flags, strict=True)
        ]
        scores += [_interval_scores(block.codes[:, at], marginal) for at, marginal in enumerate(codes)]
        correlation = nearest_correlation(latent_correlation(np.stack(scores, axis=1)))
        root = np.asarray(np.linalg.cholesky(correlation + 1e-9 * np.eye(len(correlation))), np.float64)
        told = f"Gaussian copula of {len(scores)} normal variables"
        return cls(numbers, flagged, flags, codes, root, told)

    def sample(self, rows: int, rng: np.random.Generator) -> Block:
        """So many new rows."""
        special = require("scipy.special", "a copula")
        shares = special.ndtr(rng.standard_normal((rows, len(self.root))) @ self.root.T)
        count = len(self.numbers)
        numbers = np.empty((rows, count))
        for at, number in enumerate(self.numbers):
            numbers[:, at] = number.at(shares[:, at])
        for at, flag, share in zip(self.flagged, self.flags, shares.T[count:], strict=False):
            numbers[flag.at(share) == 1, at] = np.nan
        codes = np.empty((rows, len(self.codes)), np.int64)
        for at, marginal in enumerate(self.codes):
            codes[:, at] = marginal.at(shares[:, count + len(self.flags) + at])
        return Block(numbers, codes)


def latent_correlation(scores: Floats) -> Floats:
    """Correlations of the normal variables behind `scores` (n, p), which are NaN where a number is missing: (p, p).

    A score is the mean of its variable over the interval or the ties of its value. With v the mean square of the scores
    of a column, the covariance of two columns' scores is v v' times their variables' correlation, to first order.
    """
    there = ~np.isnan(scores)
    filled = np.where(there, scores, 0.0)
    pairs = np.maximum(there.T.astype(np.float64) @ there, 1.0)
    spread = (filled**2).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    covariance = filled.T @ filled / pairs
    scale = np.outer(spread, spread)
    found = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 1e-12)
    found = np.clip(found, -_STRONGEST, _STRONGEST)
    np.fill_diagonal(found, 1.0)
    return found


def nearest_correlation(matrix: Floats, tolerance: float = 1e-8, rounds: int = 200) -> Floats:
    """The correlation matrix nearest to a symmetric one (Higham, IMA J. Numerical Analysis 2002, algorithm 3.3)."""
    nearest, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(rounds):
        values, vectors = np.linalg.eigh(nearest - correction)
        if values[0] >= -tolerance:
            break
        projected = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = projected - (nearest - correction)
        nearest = projected.copy()
        np.fill_diagonal(nearest, 1.0)
    values, vectors = np.linalg.eigh(nearest)
    whole = (vectors * np.maximum(values, tolerance)) @ vectors.T
    deviation = np.sqrt(np.diag(whole))
    return np.asarray(whole / np.outer(deviation, deviation), np.float64)


def _marginal(column: Floats) -> _Number:
    values = np.sort(column[~np.isnan(column)])
    if not len(values):
        return _Number(np.array([np.nan]))
    if len(values) > _QUANTILES:
        values = np.quantile(values, (np.arange(_QUANTILES) + 0.5) / _QUANTILES, method="inverted_cdf")
    return _Number(values)


def _number_scores(column: Floats) -> Floats:
    """Normal scores of a number by its midranks, NaN where missing, (n,)."""
    special = require("scipy.special", "a copula")
    scores = np.full(len(column), np.nan)
    known = ~np.isnan(column)
    _, place, count = np.unique(column[known], return_inverse=True, return_counts=True)
    if len(place):
        middle = np.cumsum(count) - count / 2
        scores[known] = special.ndtri((middle / len(place))[place])
    return scores


def _target_scores(block: Block, layout: Layout, scores: list[Floats]) -> Floats:
    """A number for each row that grows along the target, (n,): its score, or the place of its class on an axis.

    More than two classes are laid out along the direction in which the means of their numbers vary most.
    """
    kind, at = layout.target
    if kind == "number":
        return np.nan_to_num(scores[at])
    codes, size = block.codes[:, at], layout.sizes[at]
    if size <= 2 or not scores:
        return codes.astype(np.float64)
    filled = np.nan_to_num(np.stack(scores, axis=1))
    count = np.maximum(np.bincount(codes, minlength=size), 1)
    means = np.stack([np.bincount(codes, column, size) / count for column in filled.T], axis=1)
    centred = (means - filled.mean(axis=0)) * np.sqrt(count)[:, None]
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    along = np.asarray((means - filled.mean(axis=0)) @ axes[0], np.float64)
    return along[codes]


def _intervals(codes: Ints, size: int, target: Floats) -> _Intervals:
    count = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, target, size)
    order = np.argsort((sums + _SHRUNK_BY * target.mean()) / (count + _SHRUNK_BY), kind="stable")
    return _Intervals(order, np.cumsum(count[order]) / len(codes))


def _interval_scores(codes: Ints, marginal: _Intervals) -> Floats:
    """The mean of a standard normal variable over the interval of each row's code, (n,)."""
    special = require("scipy.special", "a copula")
    ends = special.ndtri(np.clip(marginal.ends, 0.0, 1.0))
    density = np.exp(-(ends**2) / 2) / np.sqrt(2 * np.pi)
    share = np.diff(marginal.ends, prepend=0.0)
    fallen = -np.diff(density, prepend=0.0)
    means = np.divide(fallen, share, out=np.zeros_like(share), where=share > 0)
    by_code = np.empty(len(means))
    by_code[marginal.order] = means
    return by_code[codes]
