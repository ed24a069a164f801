"""The rules that every fit is held against: what a training shows anyhow, with the same limits as elsewhere."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from assay.doctor.rules import RULES
from assay.doctor.watching import Activations
from assay.ledger import Ledger, Outcome
from assay.train.loop import predict
from assay.train.model import Model, Validation
from assay.train.part import Part

#: Rows that are looked at for dead units.
_ROWS = 256


def write_training(ledger: Ledger, model: Model, rows: pl.DataFrame | None) -> None:
    """Verdicts on the network with the largest share; none where only trees and linear models have one.

    Args:
        ledger: written to.
        model: as trained.
        rows: raw validation rows to look for dead units with; None where reading them would take long.
    """
    networks = [part for part in model.parts if part.is_network]
    if not networks:
        return
    leading = max(networks, key=lambda part: part.share)
    _write_gap(ledger, leading)
    _write_learning(ledger, leading, model.validation)
    _write_steps(ledger, leading)
    if rows is not None:
        _write_dead(ledger, model, rows.head(_ROWS))


def _judge(ledger: Ledger, practice: str, rule: str, value: float, told: str) -> None:
    fired = RULES[rule].fires(value)
    outcome = Outcome.WARNED if fired else Outcome.PASSED
    ledger.record(practice, outcome, f"{told}; {_advice(rule)}" if fired else told, value=value)


def _advice(rule: str) -> str:
    fix = RULES[rule].fix.rstrip(".")
    return fix[:1].lower() + fix[1:]


def _write_gap(ledger: Ledger, part: Part) -> None:
    epochs = part.trained.epochs
    if epochs and epochs[-1].train_loss > 0:
        value = epochs[-1].valid_loss / epochs[-1].train_loss
        told = f"in the last epoch the validation loss was {value:.2f} times the training loss"
        _judge(ledger, "train.overfitting", "after.gap", value, told)


def _write_learning(ledger: Ledger, part: Part, seen: Validation) -> None:
    constant = constant_loss(seen)
    if constant is None or constant <= 0:
        return
    best = min(part.trained.best_losses)
    told = f"the best validation loss is {best:.4f}, that of a constant answer {constant:.4f}"
    _judge(ledger, "train.learns", "run.not-learning", best / constant, told)


def constant_loss(seen: Validation) -> float | None:
    """Loss of validation rows for the answer that is best for all of them: in nats, or squared deviations.

    None for forecasts, whose loss has other units.
    """
    if seen.target.ndim != 1:
        return None
    if seen.temperatures is None:
        return 1.0  # networks are trained on standardised values
    weight = np.ones(len(seen.target)) if seen.weight is None else seen.weight
    share = np.bincount(seen.target.astype(np.int64), weights=weight)
    share = share[share > 0] / share.sum()
    return float(-(share * np.log(share)).sum())


def _write_steps(ledger: Ledger, part: Part) -> None:
    ratios = [each.update_ratio for each in part.trained.epochs if each.update_ratio]
    if ratios:
        ratio = float(np.median(ratios))
        told = f"the last step of an epoch moved the weights by {ratio:.2g} of their size, as a median"
        _judge(ledger, "train.update-ratio", "run.update-ratio", abs(math.log10(ratio / 1e-3)), told)


def _write_dead(ledger: Ledger, model: Model, rows: pl.DataFrame) -> None:
    encoded = model.encoder.encode(rows)
    seen = Activations()
    with seen:
        predict(model.ensemble, encoded)
    layers = [each for each in seen.zeroing if each.ndim == 3 and each.shape[1] == len(rows)]  # (members, rows, units)
    if not layers:
        ledger.record("train.dead-units", Outcome.NOT_APPLICABLE, "no layer of units with ReLU")
        return
    share = max(float((each == 0).all(dim=1).float().mean()) for each in layers)
    told = f"{share:.1%} of a layer's units are zero for each of {len(rows)} validation rows"
    _judge(ledger, "train.dead-units", "run.dead-units", share, told)
