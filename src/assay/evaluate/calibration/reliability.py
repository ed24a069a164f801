"""Is a calibration error more than chance gives a calibrated model on as many rows? Tests against resampled outcomes.

A calibrated model has an expected calibration error above zero, and far above it on few rows, so no fixed threshold
tells the two apart: outcomes are drawn from the stated probabilities, and the errors of these draws are what a
calibrated model has (consistency resampling: Broecker & Smith, Weather and Forecasting 2007; Vaicenavicius et al.,
Evaluating model calibration, AISTATS 2019). The smooth error has no bins: Blasiok & Nakkiran, Smooth ECE (ICLR 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.evaluate.calibration.record import NullTest
from assay.evaluate.metrics import ECE_BINS, Floats, calibration_bins, confidence_and_hits, ratio
from assay.ledger import Ledger, Outcome

#: Draws of outcomes, fewer of weighted rows, of which each is drawn by itself.
DRAWS, FEWEST_DRAWS = 499, 199
_ROW_DRAWS = 2e7
#: Cells that [0, 1] is cut into, a multiple of the bins, and steps of the search for the width of the kernel.
_CELLS, _STEPS = 32 * ECE_BINS, 12
_NARROWEST = 1e-4
_PRACTICE = "evaluate.reliability"


def smooth_ece(truth: NDArray[Any], probabilities: Floats, weight: Floats | None = None) -> float:
    """The smooth calibration error of probabilities (n, K): of the positive class of two, else of the likeliest class.

    It is the width at which the mean size of residuals, smoothed by a reflected Gaussian kernel of that width, equals
    the width itself (Blasiok & Nakkiran 2023, section 3). NaN without rows.
    """
    stated, hits = confidence_and_hits(np.asarray(truth, np.int64), np.asarray(probabilities, np.float64))
    share = np.ones(len(stated)) if weight is None else np.asarray(weight, np.float64)
    if not share.sum() > 0:
        return float("nan")
    return float(_smooth(_in_cells(stated, share * (hits - stated) / share.sum())[None])[0])


def _places(stated: Floats) -> NDArray[np.int64]:
    return np.clip((stated * _CELLS).astype(np.int64), 0, _CELLS - 1)


def _in_cells(stated: Floats, values: Floats) -> Floats:
    return np.asarray(np.bincount(_places(stated), values, _CELLS), np.float64)


def _smooth(residuals: Floats) -> Floats:
    """Smooth calibration errors (b,) of residuals by cell (b, cells), whose weights add up to 1.

    The reflected Gaussian is the heat kernel of [0, 1], so a cosine transform has it as a factor of each wave.
    """
    fft = require("scipy.fft", "the smooth calibration error")
    waves = fft.dct(residuals, type=2, axis=1)
    decay = (np.pi * np.arange(residuals.shape[1])) ** 2 / 2
    low, high = np.full(len(residuals), np.log(_NARROWEST)), np.zeros(len(residuals))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        width = np.exp(middle)
        smoothed = fft.idct(waves * np.exp(-decay * width[:, None] ** 2), type=2, axis=1)
        is_larger = np.abs(smoothed).sum(axis=1) > width
        low, high = np.where(is_larger, middle, low), np.where(is_larger, high, middle)
    return np.asarray(np.exp((low + high) / 2), np.float64)


def _binned(residuals: Floats) -> Floats:
    """Expected calibration errors (b,) of residuals by cell, (b, cells)."""
    inside = residuals.reshape(len(residuals), ECE_BINS, -1).sum(axis=2)
    return np.asarray(np.abs(inside).sum(axis=1), np.float64)


def null_tests(
    truth: NDArray[Any],
    probabilities: Floats,
    weight: Floats | None = None,
    *,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[NullTest, ...]:
    """ECE and smooth ECE beside those of calibrated models; nothing without rows.

    Args:
        truth: class positions, (n,).
        probabilities: (n, K).
        weight: row weights, (n,).
        confidence: 1 less the rate of false alarms.
        draws: of outcomes; fewer where weighted rows are many.
        seed: the same seed gives the same draws.
    """
    stated, hits = confidence_and_hits(np.asarray(truth, np.int64), np.asarray(probabilities, np.float64))
    total = float(len(stated)) if weight is None else float(np.sum(weight))
    if not total > 0:
        return ()
    share = np.full(len(stated), 1.0 / total) if weight is None else np.asarray(weight, np.float64) / total
    seen = _in_cells(stated, share * (hits - stated))[None]
    rng = np.random.default_rng(seed)
    null = _unweighted(stated, draws, rng) if weight is None else _weighted(stated, share, draws, rng)
    bins = np.bincount(calibration_bins(stated), share * (hits - stated), ECE_BINS)
    found = (
        ("ece", "ECE", float(np.abs(bins).sum()), _binned(null)),
        ("smooth_ece", "Smooth ECE", float(_smooth(seen)[0]), _smooth(null)),
    )
    return tuple(
        NullTest(
            name=name, label=label, value=value, null=float(np.quantile(drawn, confidence)),
            null_mean=float(drawn.mean()), p_value=float((1 + (drawn >= value).sum()) / (1 + len(drawn))),
            confidence=confidence, draws=len(drawn), rows=len(stated),
        )
        for name, label, value, drawn in found
    )  # fmt: skip


def _unweighted(stated: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Residuals of drawn outcomes by cell, (draws, cells).

    The rows of a cell state nearly the same, so their outcomes are one binomial number of their mean.
    """
    places = _places(stated)
    rows, sums = np.bincount(places, minlength=_CELLS), _in_cells(stated, stated)
    mean = np.clip(np.nan_to_num(ratio(sums, rows.astype(np.float64))), 0.0, 1.0)
    return np.asarray((rng.binomial(rows, mean, (draws, _CELLS)) - sums) / len(stated), np.float64)


def _weighted(stated: Floats, share: Floats, draws: int, rng: np.random.Generator) -> Floats:
    taken = int(min(draws, max(FEWEST_DRAWS, _ROW_DRAWS / len(stated))))
    return np.stack(
        [_in_cells(stated, share * ((rng.random(len(stated)) < stated) - stated)) for _ in range(taken)]
    )  # fmt: skip


def in_words(tests: Sequence[NullTest]) -> str:
    """`cannot be told from a calibrated model: ...` or `is miscalibrated by ...`; the smooth error decides."""
    if not tests:
        return "calibration was not tested"
    smooth = next((test for test in tests if test.name == "smooth_ece"), tests[-1])
    told = "; ".join(
        f"{test.label} {test.value:.4f}, of {test.confidence:.0%} of calibrated models with as many rows at most "
        f"{test.null:.4f}, p = {test.p_value:.2g}"
        for test in tests
    )
    if smooth.is_miscalibrated:
        return f"is miscalibrated by {smooth.value:.3f} ({told})"
    return f"cannot be told from a calibrated model on {smooth.rows:,} rows ({told})"


def note_reliability(tests: Sequence[NullTest], ledger: Ledger) -> None:
    """Write the verdict on `evaluate.reliability`."""
    if not tests:
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, "there are no rows to test on")
        return
    smooth = next(test for test in tests if test.name == "smooth_ece")
    outcome = Outcome.WARNED if smooth.is_miscalibrated else Outcome.PASSED
    ledger.record(_PRACTICE, outcome, f"the model {in_words(tests)}", value=smooth.p_value)
