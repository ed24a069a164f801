"""Folds of a cross-validation: every rule that holds for the parts of a split holds for folds as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.data.config import SplitConfig
from assay.data.rows import Rows, times
from assay.data.schema import Schema
from assay.data.split.deal import cut_at_random, cut_in_time, pool_small, rarest_class, target_bins
from assay.data.split.deal_labels import cut_by_labels
from assay.data.split.split import units_of
from assay.errors import DataError


@dataclass(frozen=True)
class Folds:
    """Which rows each fold learns from and which it is judged on, both bool (k, n).

    policy: how the rows were dealt, in words.
    """

    learns: np.ndarray
    judged: np.ndarray
    policy: str

    def __len__(self) -> int:
        return len(self.learns)


def deal_folds(rows: Rows, schema: Schema, config: SplitConfig, count: int, seed: int) -> Folds:
    """Deal `rows` to `count` folds, whole groups and equal rows to one, within strata of the target.

    Rows with a time are dealt to blocks in time: fold i learns from the blocks before block i + 1 and is judged on that
    one, so that no fold learns from what came later (Bergmeir & Benitez, Information Sciences 2012). The first block
    then is judged by none.

    Raises:
        DataError: fewer units, or fewer different times, than folds.
    """
    units = units_of(rows, schema, config.keep_duplicates_together)
    if schema.time is not None:
        block = cut_in_time(units, times(rows, schema, schema.time), np.full(count + 1, 1.0 / (count + 1)))
        places = np.arange(1, count + 1)[:, None]
        return Folds(block < places, block == places, f"{count} blocks in time, each judged by what came before it")
    if units.max() + 1 < count:
        raise DataError(
            f"{count} folds need at least as many rows or groups that differ",
            f"there are {units.max() + 1}",
            f"Take fewer folds with ensemble.folds={max(2, int(units.max()) + 1)}.",
        )
    shares = np.full(count, 1.0 / count)
    if schema.is_multilabel and config.stratify:
        fold = cut_by_labels(units, rows.target, shares, _rng(seed))
    else:
        fold = cut_at_random(units, _strata(rows, units, schema, config, count), shares, _rng(seed))
    places = np.arange(count)[:, None]
    how = "within strata of the target" if config.stratify else "at random"
    return Folds(fold != places, fold == places, f"{count} folds dealt {how}, groups and equal rows whole")


def backtest(rows: Rows, schema: Schema, count: int) -> Folds:
    """Windows of a forecast in blocks of time: each fold learns from those that were over before its block begins.

    A window is over with the last step that it forecasts, so that no step is learned from that a block is judged by; it
    is judged by the blocks of the later half of the origins (Tashman, International J. of Forecasting 2000).

    Raises:
        DataError: there are too few origins, or no window is over before the first block.
    """
    windowing = schema.windowing
    assert windowing is not None
    steps, _ = windowing.clock.steps(times(rows, schema, windowing.origin))
    origins = np.unique(steps)
    later = origins[len(origins) // 2 :]
    if len(later) >= count:
        starts = later[np.arange(count) * len(later) // count][:, None]
        ends = np.append(starts[1:, 0], later[-1] + 1)[:, None]
        learns = steps + windowing.horizon <= starts
        if learns[0].any():
            policy = f"{count} blocks in time, each judged by what was over before it"
            return Folds(learns, (steps >= starts) & (steps < ends), policy)
    raise DataError(
        f"a backtest of {count} blocks needs windows that are over before the later half of the origins",
        f"there are {len(origins)} origins, and a window forecasts {windowing.horizon} steps",
        "Give longer series, or a shorter horizon.",
    )


def _strata(rows: Rows, units: np.ndarray, schema: Schema, config: SplitConfig, count: int) -> np.ndarray:
    if not config.stratify:
        return np.zeros(units.max() + 1, dtype=np.int64)
    if not schema.is_classification:
        return target_bins(rows.target, units)
    return pool_small(rarest_class(rows.target, units)[0], count)


def _rng(seed: int) -> np.random.Generator:
    """A generator apart from the one that cut the parts with the same seed."""
    return np.random.default_rng([seed, 1])
