"""What synthetic rows give away: copies, nearness to the rows learned from, and whether a row was learned from.

Sources: Platzer & Reutterer, Holdout-Based Empirical Assessment of Mixed-Type Synthetic Data (Frontiers in Big Data
2021), section 2.3: nearness to rows learned from beside nearness to as many held-back rows; Chen et al., GAN-Leaks (ACM
CCS 2020), section 5: the distance to the nearest synthetic row tells members; Lopez-Paz & Oquab, Revisiting Classifier
Two-Sample Tests (ICLR 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from assay._imports import require
from assay.data.columns import hashes_with
from assay.data.rows import sample_of
from assay.evaluate.intervals import delong, wilson
from assay.evaluate.record import Estimate
from assay.synth.block import Block, stacked
from assay.synth.distance import Distance
from assay.synth.record import Closeness, Detection, Membership

#: Rows whose nearest ones are looked for, and rows that they are looked for among.
QUERIES, REFERENCES = 2000, 20_000
#: Rows of each kind that the detector sees, and the folds in which it is judged.
_DETECTED, _FOLDS = 10_000, 3
_CONFIDENCE = 0.95
#: Codes that scikit-learn's trees tell apart in a column.
_TREE_CODES = 253


# Copies -------------------------------------------------------------------------------------------------------------


class Copies:
    """Counts rows that equal one of the rows learned from in all columns given."""

    def __init__(self, learned: pl.DataFrame) -> None:
        floats = [name for name, dtype in learned.schema.items() if dtype.is_float()]
        self._learned = learned.with_columns(pl.col(floats).fill_nan(None)).unique()
        self._hashes = np.unique(_hashes(self._learned))

    def among(self, frame: pl.DataFrame) -> int:
        """How many rows of `frame` are copies: by their hashes first, and then by all their cells."""
        if not frame.width:
            return 0
        maybe = frame.filter(pl.Series(np.isin(_hashes(frame), self._hashes)))
        if not maybe.height:
            return 0
        return maybe.join(self._learned, on=maybe.columns, how="semi", nulls_equal=True).height


def _hashes(frame: pl.DataFrame) -> np.ndarray:
    return hashes_with(np.zeros(frame.height, np.uint64), frame.get_columns())


# Nearness -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sides:
    """What is compared: rows learned from and held-back ones (as many of either), and synthetic rows."""

    learned: Block
    held_back: Block
    synthetic: Block


@dataclass(frozen=True)
class Counted:
    """Copies among all rows written, and the share of held-back rows that equal a row learned from."""

    rows: int
    copies: int
    held_back: float


def closeness(sides: Sides, learned: Block, counted: Counted, seed: int) -> Closeness:
    """Distances to the closest record, of synthetic rows and of held-back ones.

    Args:
        sides: learned and held-back rows in equal numbers, and synthetic ones.
        learned: all rows learned from, whose deviations are the unit.
        counted: the copies.
        seed: of the rows that are looked at.
    """
    metric = Distance.of(learned)
    queries, controls = _some(sides.synthetic, QUERIES, seed), _some(sides.held_back, QUERIES, seed)
    real, others = _some(sides.learned, REFERENCES, seed), _some(sides.held_back, REFERENCES, seed)
    known = {"rows": counted.rows, "copies": counted.copies, "held_back_copies": counted.held_back}
    if not all(map(len, (queries, controls, real, others))):
        nothing = Estimate(value=None, method="not defined: no rows to compare")
        return Closeness.model_validate({**known, "closer": nothing, "compared": 0})
    near, far = (metric.nearest(queries, among)[0][:, 0] for among in (real, others))
    usual = metric.nearest(controls, real)[0][:, 0]
    share = float((near < far).mean() + (near == far).mean() / 2)
    low, high = wilson(share, len(queries), _CONFIDENCE)
    return Closeness.model_validate({
        **known, "median": float(np.median(near)), "held_back_median": float(np.median(usual)),
        "low": float(np.quantile(near, 0.05)), "held_back_low": float(np.quantile(usual, 0.05)),
        "closer": Estimate(value=share, low=low, high=high, method="Wilson"), "compared": len(queries),
    })  # fmt: skip


def membership(sides: Sides, learned: Block, seed: int) -> Membership:
    """How well the distance to the nearest synthetic row tells rows learned from and held-back rows apart."""
    members, others = _some(sides.learned, QUERIES, seed), _some(sides.held_back, QUERIES, seed)
    if not len(members) or not len(others) or not len(sides.synthetic):
        return Membership(auroc=Estimate(value=None, method="not defined: no rows to compare"), members=0, others=0)
    among = _some(sides.synthetic, REFERENCES, seed)
    near = Distance.of(learned).nearest(stacked([members, others]), among)[0][:, 0]
    positive = np.arange(len(near)) < len(members)
    return Membership(auroc=delong(positive, -near, _CONFIDENCE), members=len(members), others=len(others))


def _some(block: Block, most: int, seed: int) -> Block:
    places = sample_of(len(block), most, seed)
    return block if places is None else block.at(places)


# Detection ----------------------------------------------------------------------------------------------------------


def detection(real: Block, synthetic: Block, seed: int, threads: int = 1) -> Detection:
    """How well boosted trees tell as many real from synthetic rows, each judged by trees that did not see it."""
    count = min(len(real), len(synthetic), _DETECTED)
    if count < 2 * _FOLDS:
        return Detection(auroc=Estimate(value=None, method="not defined: too few rows"), rows=count)
    both = stacked([_some(real, count, seed), _some(synthetic, count, seed)])
    truth = np.repeat([0, 1], count)
    codes = np.minimum(both.codes, _TREE_CODES).astype(np.float64)
    matrix = np.concatenate([both.numbers, codes], axis=1)
    usable = np.array([len(np.unique(column[~np.isnan(column)])) > 0 for column in matrix.T], bool)
    matrix, coded = matrix[:, usable], (np.arange(matrix.shape[1]) >= both.numbers.shape[1])[usable]
    order = np.random.default_rng(seed).permutation(2 * count)
    fold = np.empty(2 * count, np.int64)
    fold[order] = np.arange(2 * count) % _FOLDS
    scores = np.empty(2 * count)
    with require("threadpoolctl", "the detection test").threadpool_limits(limits=threads):
        for each in range(_FOLDS):
            model = _trees(coded, seed).fit(matrix[fold != each], truth[fold != each])
            scores[fold == each] = model.predict_proba(matrix[fold == each])[:, 1]
    return Detection(auroc=delong(truth == 1, scores, _CONFIDENCE), rows=count)


def _trees(coded: np.ndarray, seed: int) -> Any:  # noqa: ANN401  # a classifier of scikit-learn
    ensemble = require("sklearn.ensemble", "the detection test")
    return ensemble.HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, early_stopping=False, categorical_features=coded, random_state=seed
    )
