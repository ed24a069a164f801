"""Temperature scaling on validation rows, the reliability diagram, and what the report says of calibration.

Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), sections 2 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.schema import Task
from assay.evaluate.calibration.record import CalibrationLoss, NullTest
from assay.evaluate.intervals import wilson
from assay.evaluate.metrics import ECE_BINS, Floats, Scorer, calibration_bins, confidence_and_hits
from assay.evaluate.record import Calibration, Estimate, ReliabilityBin
from assay.ledger import Ledger, Outcome

if TYPE_CHECKING:
    from assay.models.answer import Head
    from assay.models.calibration import CalibrationChoice

#: The temperatures searched.
COLDEST, HOTTEST = 0.05, 20.0


def mixed_probabilities(logits: NDArray[Any], temperatures: Sequence[float], shares: Sequence[float]) -> Floats:
    """Probabilities (n, classes): logits (A, n, classes) over their temperatures, softmax, weighted by shares."""
    scaled = np.asarray(logits, np.float64) / np.asarray(temperatures, np.float64)[:, None, None]
    scaled -= scaled.max(axis=2, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=2, keepdims=True)
    if len(scaled) == 1:  # a product would wake the threads of BLAS, which spin on for a tenth of a second
        return np.asarray(scaled[0] * shares[0], np.float64)
    return np.asarray(np.tensordot(np.asarray(shares, np.float64), scaled, axes=1), np.float64)


def apply_temperature(logits: NDArray[Any], temperature: float) -> Floats:
    """Probabilities (n, classes): softmax of logits (members, n, classes) / temperature, averaged over members."""
    members = len(logits)
    return mixed_probabilities(logits, [temperature] * members, [1.0 / members] * members)


def class_answers(head: Head, logits: NDArray[Any]) -> Floats:
    """Calibrated probabilities (n, classes) from the raw outputs of every member, (A, n, classes)."""
    assert head.temperatures is not None
    stated = mixed_probabilities(logits, head.temperatures, head.shares)
    return stated if head.calibration is None else head.calibration.apply(stated)


def fit_temperature(
    logits: NDArray[Any], target: NDArray[Any], weight: Floats | None = None, shares: Sequence[float] | None = None
) -> float:
    """The temperature that minimises the log loss of the averaged members on these rows.

    A row counts by 1 / (N + 2) as the likeliest other class, N being the rows of its class: few rows without an error
    would otherwise ask for boundless confidence (Platt, Probabilistic Outputs for Support Vector Machines, 1999,
    section 2.2). It is 1 when no temperature in [0.05, 20] lowers the loss, or when there are no rows.

    Args:
        logits: (members, n, classes), a column for each class (two for a binary task).
        target: class positions, (n,).
        weight: row weights, (n,).
        shares: weight of each member in the average; equal where not given.
    """
    if not len(target) or (weight is not None and not np.any(weight > 0)):
        return 1.0
    optimize = require("scipy.optimize", "temperature scaling")
    precise, rows = np.asarray(logits, np.float64), np.arange(len(target))
    relative = np.ones(len(target)) if weight is None else weight / weight.mean()
    members = len(precise)
    parts = [1.0 / members] * members if shares is None else shares
    rivals = mixed_probabilities(precise, [1.0] * members, parts)
    rivals[rows, target] = -1.0
    rival = rivals.argmax(axis=1)
    doubt = 1.0 / (np.bincount(target, weights=relative)[target] + 2.0)

    def loss(log_temperature: float) -> float:
        temperatures = [float(np.exp(log_temperature))] * members
        probabilities = np.maximum(mixed_probabilities(precise, temperatures, parts), np.finfo(float).tiny)
        surprise = -(1.0 - doubt) * np.log(probabilities[rows, target]) - doubt * np.log(probabilities[rows, rival])
        return float(np.average(surprise, weights=relative))

    best = optimize.minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(best.x)) if float(best.fun) < loss(0.0) else 1.0


def reliability_bins(
    truth: NDArray[Any],
    probabilities: Floats,
    weight: Floats | None = None,
    *,
    bins: int = ECE_BINS,
    confidence: float = 0.95,
) -> tuple[ReliabilityBin, ...]:
    """The bins of the reliability diagram that hold rows, from the least to the most confident.

    They are the equal-width bins the ECE is computed from: of the positive class's probability where there are two
    classes, else of the likeliest class's. The interval of the frequency is Wilson's; for weighted rows with Kish's
    effective number of rows.

    Args:
        truth: class positions, (n,).
        probabilities: (n, K).
        weight: row weights, (n,).
        bins: bins that [0, 1] is cut into.
        confidence: of the intervals.
    """
    stated, hits = confidence_and_hits(np.asarray(truth, np.int64), np.asarray(probabilities, np.float64))
    return binned(stated, hits, weight, bins=bins, confidence=confidence)


def binned(
    stated: Floats, hits: Floats, weight: Floats | None = None, *, bins: int = ECE_BINS, confidence: float = 0.95
) -> tuple[ReliabilityBin, ...]:
    """`reliability_bins` of stated probabilities (n,) and whether they came true (n,)."""
    place = calibration_bins(stated, bins)
    share = np.ones(len(stated)) if weight is None else np.asarray(weight, np.float64)
    made = []
    for k in range(bins):
        inside = place == k
        total = share[inside].sum()
        if not total > 0:
            continue
        frequency = min(1.0, float((share * hits)[inside].sum() / total))
        low, high = wilson(frequency, total**2 / float((share[inside] ** 2).sum()), confidence)
        method = "Wilson" if weight is None else "Wilson, effective rows"
        made.append(
            ReliabilityBin(
                confidence=float((share * stated)[inside].sum() / total),
                frequency=Estimate(value=frequency, low=low, high=high, method=method),
                rows=int(inside.sum()),
            )
        )
    return tuple(made)


def as_losses(choice: CalibrationChoice) -> tuple[CalibrationLoss, ...]:
    """The losses of the kinds that were compared, as records."""
    return tuple(CalibrationLoss(kind=one.kind, loss=one.loss, error=one.error) for one in choice.losses)


def describe_calibration(
    choice: CalibrationChoice,
    temperature: float,
    truth: NDArray[Any],
    before: Floats,
    after: Floats,
    weight: Floats | None,
    *,
    tests: Sequence[NullTest] = (),
    ledger: Ledger,
    confidence: float = 0.95,
) -> Calibration:
    """The record of the calibration, and its verdict in the ledger.

    Args:
        choice: the kind that was taken on the validation rows.
        temperature: the mean over the networks of the model.
        truth: class positions of the test rows, (n,).
        before: their probabilities at temperature 1, (n, K).
        after: their calibrated probabilities, (n, K).
        weight: row weights, (n,).
        tests: of the errors of `after` against those of calibrated models.
        ledger: where the verdict on `evaluate.calibration` is written.
        confidence: of the intervals of the bins.
    """
    task = Task.BINARY if after.shape[1] == 2 else Task.MULTICLASS
    plain, scaled = (Scorer(task, truth, p).values(weight, ("ece", "log_loss")) for p in (before, after))
    shown = f"temperature {temperature:.2f}" if choice.kind in ("none", "temperature") else choice.kind
    reason = (
        f"{shown}: {choice.reason}; on the test rows ECE {plain['ece']:.3f} -> {scaled['ece']:.3f}, log loss "
        f"{plain['log_loss']:.4f} -> {scaled['log_loss']:.4f}"
    )
    worse = scaled["log_loss"] > plain["log_loss"] * 1.01
    outcome = Outcome.WARNED if worse or choice.is_doubtful else Outcome.APPLIED
    reason += "; the test rows would have been better off without it" if worse else ""
    if "evaluate.calibration" not in ledger:
        ledger.record("evaluate.calibration", outcome, reason, value=temperature)
    return Calibration(
        temperature=temperature,
        ece_before=plain["ece"],
        ece_after=scaled["ece"],
        bins=reliability_bins(truth, after, weight, confidence=confidence),
        kind=choice.kind,
        reason=choice.reason,
        losses=as_losses(choice),
        tests=tuple(tests),
    )
