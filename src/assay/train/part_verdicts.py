"""What the ledger is told of the training of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.ledger import Ledger, Outcome
from assay.train.budget import Budget
from assay.train.loop import Trained
from assay.train.part import Part
from assay.train.rate_curve import FAR, RateCurve

#: Validation loss / training loss from which overfitting is warned of.
_OVERFIT_RATIO = 1.25
#: Names of parameters that a verdict lists.
_MOST_NAMES = 8


def write_verdicts(ledger: Ledger, part: Part, numbers: int, first_loss: float, seed: int) -> None:
    """What the training of a network did, practice by practice; `numbers` counts the number columns it sees."""
    trained, applied, model, config = part.trained, Outcome.APPLIED, part.model, part.train
    last = trained.epochs[-1] if trained.epochs else None
    ledger.record("train.seeded", applied, f"every random choice follows from seed {seed}", value=seed)
    reason = f"the first validation loss, {first_loss:.4f}, is that of the training prior"
    ledger.record("model.prior-bias", applied, reason, value=first_loss)
    single = "one network; model.members=4 trains four and averages them"
    averaged = f"{part.members} networks with seeds {seed} to {seed + part.members - 1}, averaged"
    outcome = applied if part.members > 1 else Outcome.SKIPPED
    ledger.record("model.members", outcome, averaged if part.members > 1 else single, value=part.members)
    reason = f"AdamW with decay {config.weight_decay:g} on weights, none on biases and norms"
    ledger.record("train.adamw", applied, reason, value=config.weight_decay)
    reason = (
        f"cosine to zero over {trained.horizon:,} steps from {config.lr:g}, warm-up over {config.warmup:.0%} of them"
    )
    ledger.record("train.schedule", applied, reason, value=config.lr)
    if config.clip_norm:
        reason = f"norm at most {config.clip_norm:g}; {trained.clipped:.1%} of {trained.steps:,} steps were clipped"
        ledger.record("train.clipping", applied, reason, value=trained.clipped)
    else:
        ledger.record("train.clipping", Outcome.SKIPPED, "switched off with train.clip_norm=0")
    reason = f"patience {config.patience} epochs; training ended after {len(trained.epochs)} because {trained.stopped}"
    ledger.record("train.early-stopping", applied, reason, value=len(trained.epochs))
    reason = f"weights of epoch {trained.best_epoch} of {len(trained.epochs)} (each member its own best)"
    ledger.record("train.best-weights", applied, reason, value=trained.best_epoch)
    held = model.dropout or config.weight_decay or config.l1
    reason = f"dropout {model.dropout:g}, weight decay {config.weight_decay:g}, L1 {config.l1:g}"
    ledger.record("train.regularisation", applied if held else Outcome.SKIPPED, reason, value=model.dropout)
    reason = f"all {trained.steps:,} steps had a finite loss and gradient"
    ledger.record("train.finite", Outcome.PASSED, reason, value=trained.steps)
    if model.number_bins and numbers:
        reason = f"{numbers} numbers widened to at most {model.number_bins} quantile bins each"
        ledger.record("encode.numeric-embeddings", applied, reason, value=model.number_bins)
    elif numbers:
        ledger.record("encode.numeric-embeddings", Outcome.SKIPPED, "switched off with model.number_bins=0")
    if last is not None and last.train_loss > 0:
        _write_gap(ledger, last.valid_loss / last.train_loss)
    _write_unused(ledger, trained.unused)


def _write_unused(ledger: Ledger, unused: Sequence[str]) -> None:
    if not unused:
        ledger.record("model.unused-parameters", Outcome.PASSED, "all had a gradient in the first step", value=0)
        return
    shown = ", ".join(unused[:_MOST_NAMES]) + (", ..." if len(unused) > _MOST_NAMES else "")
    reason = f"{len(unused)} had no gradient in the first step and did not learn from it: {shown}"
    ledger.record("model.unused-parameters", Outcome.WARNED, reason, value=len(unused))


def _write_gap(ledger: Ledger, ratio: float) -> None:
    reason = f"in the last epoch the validation loss was {ratio:.2f} times the training loss"
    if ratio > _OVERFIT_RATIO:
        advice = "; more dropout or weight decay may help (the best epoch's weights were kept)"
        ledger.record("train.overfitting", Outcome.WARNED, reason + advice, value=ratio)
    else:
        ledger.record("train.overfitting", Outcome.PASSED, reason, value=ratio)


def write_budget(ledger: Ledger, trained: Trained, budget: Budget) -> None:
    """Whether the time allowed was kept, and what it cost."""
    if math.isinf(budget.seconds):
        ledger.record("train.budget", Outcome.NOT_APPLICABLE, "no time budget was given", value=trained.seconds)
    elif trained.limited_by_budget:
        reason = (
            f"the schedule was shortened to {trained.horizon:,} steps to fit the time left; such a run depends on the "
            "machine's speed and is repeated exactly only with the same number of steps"
        )
        ledger.record("train.budget", Outcome.APPLIED, reason, value=trained.seconds)
    else:
        reason = f"training took {trained.seconds:.1f} s and did not need to be shortened"
        ledger.record("train.budget", Outcome.PASSED, reason, value=trained.seconds)


def write_rates(ledger: Ledger, parts: Sequence[Part]) -> None:
    """What the range tests suggest beside the rates used; a warning where they are far apart."""
    asked = [part.rates for part in parts if part.rates is not None]
    if not asked:
        reason = "not asked for; train.lr_find=true tests rates on a copy of each network before it is trained"
        ledger.record("train.lr-find", Outcome.SKIPPED, reason)
        return
    tested = [rates for rates in asked if rates.rates]
    told = "; ".join(_told(rates) for rates in asked)
    if not tested:
        ledger.record("train.lr-find", Outcome.SKIPPED, told)
        return
    suggestion = tested[0].suggestion
    doubtful = any(rates.is_far or rates.suggestion is None for rates in tested)
    if any(rates.is_far for rates in tested):
        told += "; where they are far apart, train with both and compare the runs"
    ledger.record("train.lr-find", Outcome.WARNED if doubtful else Outcome.PASSED, told, value=suggestion)


def _told(rates: RateCurve) -> str:
    if not rates.rates:
        return f"{rates.network}: not tested, {rates.ended}"
    if rates.suggestion is None:
        return f"{rates.network}: the loss fell at no rate ({rates.ended}), {rates.used:.2g} was used"
    apart = f" (more than a factor of {FAR:g} apart)" if rates.is_far else ""
    return f"{rates.network}: a range test suggests train.lr={rates.suggestion:.2g}, {rates.used:.2g} was used{apart}"
