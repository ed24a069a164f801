"""What the ledger is told of the training of a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from assay.data.findings import count_of
from assay.ledger import Ledger, Outcome
from assay.train.budget import Budget
from assay.train.config import Select
from assay.train.loop import Trained
from assay.train.part import Part
from assay.train.rate_curve import FAR, RateCurve

#: What the epoch is chosen by, in words.
_SELECTED_BY: Mapping[Select, str] = {
    "loss": "validation loss", "metric": "error rate on validation rows",
    "refinement": "validation loss at the temperature that suits the rows",
}  # fmt: skip
#: Names of parameters that a verdict lists.
_MOST_NAMES = 8


def write_verdicts(ledger: Ledger, part: Part, numbers: int, first_loss: float, seed: int) -> None:
    """What the training of a network did, practice by practice; `numbers` counts the number columns it sees."""
    _write_start(ledger, part, first_loss, seed)
    _write_steps(ledger, part)
    _write_stability(ledger, part)
    _write_regularisation(ledger, part)
    _write_selection(ledger, part)
    if numbers:
        _write_numbers(ledger, part, numbers)
    _write_unused(ledger, part.trained.unused)


def _write_start(ledger: Ledger, part: Part, first_loss: float, seed: int) -> None:
    ledger.record("train.seeded", Outcome.APPLIED, f"every random choice follows from seed {seed}", value=seed)
    where = "the prior of the training rows" if part.model.prior_bias else "zero, as model.prior_bias=false asked"
    reason = f"outputs start at {where}, or around it; the first validation loss is {first_loss:.4f}"
    ledger.record("model.prior-bias", _done(part.model.prior_bias), reason, value=first_loss)
    if part.members > 1:
        first = seed if part.seed is None else part.seed
        where = f" as {part.origin}" if part.origin else ""
        reason = f"{part.members} networks with seeds {first} to {first + part.members - 1}, trained at once{where}"
        ledger.record("model.members", Outcome.APPLIED, reason, value=part.members)
    else:
        reason = "one network; model.members=4 trains four at once"
        ledger.record("model.members", Outcome.SKIPPED, reason, value=1)


def _write_steps(ledger: Ledger, part: Part) -> None:
    """Optimiser, schedule, batch, threads."""
    trained, config = part.trained, part.train
    if config.decay:
        reason = f"{config.optimiser} with decay {config.decay:g} on weights, none on biases and norms"
        ledger.record("train.adamw", Outcome.APPLIED, reason, value=config.decay)
    else:
        reason = f"{config.optimiser} without decoupled weight decay"
        ledger.record("train.adamw", Outcome.SKIPPED, reason, value=0.0)
    warm = f"after a warm-up over {config.warmup:.0%} of them" if config.warmup else "without a warm-up"
    reason = f"{config.schedule} over {trained.horizon:,} steps from {config.lr:g}, {warm}"
    is_constant = config.schedule == "constant" and not config.warmup
    ledger.record("train.schedule", Outcome.SKIPPED if is_constant else Outcome.APPLIED, reason, value=config.lr)
    chosen = {"auto": "chosen by rows and free memory, the rate scaled with it", "full": "all there are"}
    reason = f"{trained.batch:,} rows a step, {chosen.get(str(config.batch), 'as the recipe or the user says')}"
    ledger.record("train.batch-size", Outcome.APPLIED, reason, value=trained.batch)
    how = "as train.threads says" if config.threads else "one was timed against all that may be used"
    told = f"{trained.threads} CPU {'thread' if trained.threads == 1 else 'threads'}, {how}"
    ledger.record("train.threads", Outcome.APPLIED, told, value=trained.threads)


def _write_stability(ledger: Ledger, part: Part) -> None:
    """Clipping, arithmetic, steps without finite numbers."""
    trained, config = part.trained, part.train
    limits = {"the norm": config.clip_norm, "each number": config.clip_value, "each unit's share": config.clip_adaptive}
    held = ", ".join(f"{what} at most {limit:g}" for what, limit in limits.items() if limit)
    if held:
        reason = f"{held}; {trained.clipped:.1%} of {trained.steps:,} steps were clipped"
        ledger.record("train.clipping", Outcome.APPLIED, reason, value=trained.clipped)
    else:
        reason = "the recipe or the user switched it off; train.clip_norm=1 clips the norm"
        ledger.record("train.clipping", Outcome.SKIPPED, reason)
    if trained.precision == "float32":
        reason = "float32 throughout: asked for, or no 16-bit type is faster on this machine"
        ledger.record("train.precision", Outcome.SKIPPED, reason)
    else:
        ledger.record("train.precision", Outcome.APPLIED, f"products in {trained.precision}, weights in float32")
    if trained.skipped:
        reason = f"{count_of(trained.skipped, 'step')} of members without a finite loss or gradient left out"
        ledger.record("train.finite", Outcome.WARNED, reason, value=trained.skipped)
    else:
        reason = f"all {trained.steps:,} steps had a finite loss and gradient"
        ledger.record("train.finite", Outcome.PASSED, reason, value=trained.steps)


def _write_regularisation(ledger: Ledger, part: Part) -> None:
    model, config = part.model, part.train
    reason = f"dropout {model.dropout:g}, weight decay {config.decay:g}, L2 {config.l2:g}, L1 {config.l1:g}"
    held = model.dropout or config.decay or config.l1 or config.l2
    ledger.record("train.regularisation", _done(held), reason, value=model.dropout)
    reason = f"labels smoothed by {config.label_smoothing:g}, and the answer is calibrated afterwards"
    off = "train.label_smoothing=0.1 softens the targets of classes"
    ledger.record(
        "train.label-smoothing", _done(config.label_smoothing), reason if config.label_smoothing else off,
        value=config.label_smoothing,
    )  # fmt: skip
    ways = [f"rows are mixed with alpha {config.mixup:g}"] if config.mixup else []
    ways += [f"pieces of pictures are exchanged with alpha {config.cutmix:g}"] if config.cutmix else []
    reason = ", or ".join(ways) or "train.mixup=0.2 mixes rows"
    ledger.record("train.mixup", _done(config.mixes), reason, value=config.mixup or config.cutmix)
    reason = "train.ema=0.999 or train.swa=0.25 averages weights over steps"
    if config.ema:
        reason = f"a running mean of the weights with decay {config.ema:g} is what was tested and kept"
    elif config.swa:
        reason = f"the mean of the weights over the last {config.swa:.0%} of the training"
    ledger.record("train.averaging", _done(config.ema or config.swa), reason, value=config.ema or config.swa)


def _done(amount: float) -> Outcome:
    return Outcome.APPLIED if amount else Outcome.SKIPPED


def _write_selection(ledger: Ledger, part: Part) -> None:
    """When it stopped, and which weights were kept."""
    trained, config = part.trained, part.train
    reason = f"patience {config.patience} epochs; training ended after {len(trained.epochs)} because {trained.stopped}"
    ledger.record("train.early-stopping", Outcome.APPLIED, reason, value=len(trained.epochs))
    by = _SELECTED_BY[config.select]
    which = f"weights of epoch {trained.best_epoch} of {len(trained.epochs)}"
    if trained.epochs and not trained.best_epoch:
        which = f"the fitted weights it started with: none of {len(trained.epochs)} epochs was better"
    reason = f"{which} by {by} (each member its own best)"
    ledger.record("train.best-weights", Outcome.APPLIED, reason, value=trained.best_epoch)


def _write_numbers(ledger: Ledger, part: Part, numbers: int) -> None:
    """How the network widens its number columns."""
    practice, model = "encode.numeric-embeddings", part.model
    waves = f"{numbers} numbers as {model.frequencies} waves each, of scales {model.frequency_scale:g}"
    if model.frequency_spread > 1.0:
        waves += f" to {model.frequency_scale * model.frequency_spread:g}"
    if model.numbers in ("pbld", "periodic"):
        ledger.record(practice, Outcome.APPLIED, f"{waves} ({model.numbers})", value=model.frequencies)
    elif model.numbers == "plain":
        ledger.record(practice, Outcome.SKIPPED, f"{numbers} numbers go into {model.name} as they are", value=0)
    elif model.number_bins:
        reason = f"{numbers} numbers widened to at most {model.number_bins} quantile bins each ({model.numbers})"
        ledger.record(practice, Outcome.APPLIED, reason, value=model.number_bins)
    else:
        ledger.record(practice, Outcome.SKIPPED, "switched off with model.number_bins=0")


def _write_unused(ledger: Ledger, unused: Sequence[str]) -> None:
    if not unused:
        ledger.record("model.unused-parameters", Outcome.PASSED, "all had a gradient in the first step", value=0)
        return
    shown = ", ".join(unused[:_MOST_NAMES]) + (", ..." if len(unused) > _MOST_NAMES else "")
    reason = f"{len(unused)} had no gradient in the first step and did not learn from it: {shown}"
    ledger.record("model.unused-parameters", Outcome.WARNED, reason, value=len(unused))


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
