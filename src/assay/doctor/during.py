"""Rules about the steps of a training, watched while the user's own code takes a few hundred of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from assay.doctor import run_statistics as of
from assay.doctor.case import Case, Check, Measured
from assay.doctor.model_statistics import has_modes
from assay.doctor.training import one_step, train_loss
from assay.doctor.watching import modes, without_dropout

_USUAL = "no step of your own was given"
#: Steps of the trainings that rates are compared by, and the share of the time that they may take together.
_PAIRED, _PAIR_SHARE = 100, 0.35


def _completes(case: Case) -> Measured:
    error = case.trace.error
    return float(bool(error)), error or f"{case.trace.steps} steps were done"


def _finite(case: Case) -> Measured:
    return case.trace.lost, f"{case.trace.lost} losses or gradients of {case.trace.steps} steps were not finite"


def _no_step(case: Case) -> Measured:
    if case.subject.step is None:
        return _USUAL
    before = [p.detach().clone() for p in case.model.parameters()]
    for raw in _first(case, 2):
        one_step(case.subject, raw)
    moved = sum(float((p.detach() - b).norm()) for p, b in zip(case.model.parameters(), before, strict=True))
    value = moved / max(sum(float(b.norm()) for b in before), 1e-12)
    return value, f"two steps moved the parameters by {value:.2g} of their size"


def _zero_grad(case: Case) -> Measured:
    if case.subject.step is None:
        return _USUAL
    assert case.subject.optimiser is not None
    raw = next(_first(case, 1))
    for group in case.subject.optimiser.param_groups:
        group["lr"] = torch.zeros_like(group["lr"]) if isinstance(group["lr"], Tensor) else 0.0
    norms: list[float] = []

    def ahead(optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:  # noqa: ANN401  # torch's form of a hook
        given = [p.grad.norm() for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        norms.append(float(torch.stack(given).norm()) if given else 0.0)

    hook = case.subject.optimiser.register_step_pre_hook(ahead)
    try:
        with without_dropout(case.model):
            for _ in range(3):
                one_step(case.subject, raw)
    finally:
        hook.remove()
    if len(norms) < 3 or norms[0] <= 0:
        return "the optimiser does not step every time"
    value = norms[2] / norms[0]
    return value, f"the gradient of one batch, taken three times, became {value:.2f} times as long"


def _train_mode(case: Case) -> Measured:
    if case.subject.step is None or not has_modes(case.model):
        return _USUAL if case.subject.step is None else "the model is the same in both modes"
    with modes(case.model) as seen:
        if case.subject.evaluate is not None:
            case.model.train()
            case.subject.evaluate()
            seen.clear()
        for raw in _first(case, 2):
            one_step(case.subject, raw)
    value = sum(not training for training in seen) / max(len(seen), 1)
    return value, f"{value:.0%} of the forward passes of a step were in eval mode"


def _evaluation_mode(case: Case) -> Measured:
    if case.subject.evaluate is None or not has_modes(case.model):
        return "no evaluation was given" if case.subject.evaluate is None else "the model is the same in both modes"
    case.model.train()
    with modes(case.model) as seen:
        case.subject.evaluate()
    value = sum(seen) / max(len(seen), 1)
    return value, f"{value:.0%} of {len(seen)} forward passes of the evaluation were in train mode"


def _evaluation_learns(case: Case) -> Measured:
    if case.subject.evaluate is None:
        return "no evaluation was given"
    case.model.train()
    tensors = [*case.model.parameters(), *case.model.buffers()]
    before = [each.detach().clone() for each in tensors]
    case.subject.evaluate()
    value = sum(not torch.equal(a.detach(), b) for a, b in zip(tensors, before, strict=True))
    return value, f"{value} of {len(tensors)} parameters and statistics changed while evaluating"


def _rates(case: Case) -> dict[float, float]:
    """Training loss after a hundred steps from the same start, by the factor of the rate; kept for both rules."""
    if not case.rates:
        steps = min(_PAIRED, case.trace.steps)
        until = case.budget.part(_PAIR_SHARE)
        case.snapshot.restore()
        case.rates[0.0] = train_loss(case.subject, case.train)
        for factor in (1.0, 0.1, 10.0):
            case.snapshot.restore()
            with _scaled(case, factor):
                for raw in _first(case, steps):
                    one_step(case.subject, raw)
                    if until.left <= 0:
                        break
                case.rates[factor] = train_loss(case.subject, case.train)
            if until.left <= 0:
                break
    return case.rates


@contextmanager
def _scaled(case: Case, factor: float) -> Iterator[None]:
    """The optimiser's rates times a factor."""
    assert case.subject.optimiser is not None
    for group in case.subject.optimiser.param_groups:
        group["lr"] = group["lr"] * factor
    yield


def _rate_high(case: Case) -> Measured:
    found = _asked_rates(case)
    if isinstance(found, str):
        return found
    first, ours, less = found[0.0], found[1.0], found[0.1]
    if not math.isfinite(ours):
        return math.inf, "the loss is not finite at this rate"
    value = (ours - less) / max(abs(first), 1e-12)
    return value, f"after as many steps the loss is {ours:.3g}, at a tenth of the rate {less:.3g} (first {first:.3g})"


def _rate_low(case: Case) -> Measured:
    found = _asked_rates(case)
    if isinstance(found, str):
        return found
    first, ours, more = found[0.0], found[1.0], found[10.0]
    fall = first - more
    if not math.isfinite(more) or not math.isfinite(ours) or fall <= 0.05 * abs(first):
        return "ten times the rate does not teach it either"
    value = max((first - ours) / fall, 0.0)
    return value, f"after as many steps the loss is {ours:.3g}, at ten times the rate {more:.3g} (first {first:.3g})"


def _asked_rates(case: Case) -> dict[float, float] | str:
    if not case.brought_optimiser:
        return "no optimiser was given"
    if case.trace.error:
        return "training stops with an error"
    found = _rates(case)
    return found if len(found) == 4 else "there was no time for other rates"


def _spikes(case: Case) -> Measured:
    if case.trace.steps < 30:
        return "there were too few steps"
    value = of.jump([n for n in case.trace.norms if math.isfinite(n)])
    return value, f"the largest jump of the gradient was to {value:.1f} times its usual size"


def _vanishing(case: Case) -> Measured:
    steps = case.trace.gradients[:30]
    if not steps or len(steps[0]) < 3:
        return "there are fewer than three layers"
    sizes = np.median(np.asarray(steps), axis=0)
    value = of.ratio_log10(sizes[np.isfinite(sizes)].tolist())
    return value, f"relative gradients of the layers differ by a factor of 10^{value:.1f}"


def _dead_units(case: Case) -> Measured:
    if case.trace.dead is None:
        return "there is no layer with ReLU"
    return case.trace.dead, f"{case.trace.dead:.0%} of the units of a layer are zero for every row"


def _saturation(case: Case) -> Measured:
    if case.trace.saturated is None:
        return "there is no hidden layer with tanh or sigmoid"
    return case.trace.saturated, f"{case.trace.saturated:.0%} of the activations of a layer are at an end"


def _update_ratio(case: Case) -> Measured:
    if not case.brought_optimiser or not case.trace.ratios:
        return "no optimiser was given" if case.trace.ratios else "no layer took a step"
    ratio = float(np.median(case.trace.ratios))
    value = abs(math.log10(max(ratio, 1e-12) / 1e-3))
    return value, f"a step moves the weights by {ratio:.2g} of their size"


def _not_learning(case: Case) -> Measured:
    if case.trace.error or case.trace.steps < _PAIRED:
        return "training did not go on long enough"
    value = case.trace.train[-1] / case.trace.train[0] if case.trace.train[0] > 0 else 1.0
    return value, f"the training loss went from {case.trace.train[0]:.4g} to {case.trace.train[-1]:.4g}"


def _not_repeatable(case: Case) -> Measured:
    ends = []
    for _ in range(2):
        case.snapshot.restore()
        for raw in _first(case, 5):
            one_step(case.subject, raw)
        ends.append([p.detach().clone() for p in case.model.parameters()])
    gaps = [float((a - b).norm() / a.norm().clamp_min(1e-12)) for a, b in zip(*ends, strict=True)]
    value = max(gaps, default=0.0)
    return value, f"five steps with the same seed ended {value:.2g} of the weights' size apart"


def _always_clipped(case: Case) -> Measured:
    norms = np.asarray([n for n in case.trace.norms[10:] if math.isfinite(n)])
    if case.subject.step is None or len(norms) < 20:
        return _USUAL if case.subject.step is None else "there were too few steps"
    value = float(norms.std() / max(norms.mean(), 1e-12))
    return value, f"the gradient's norm is {norms.mean():.3g} with a spread of {value:.2g} of it"


def _first(case: Case, count: int) -> Iterator[Any]:
    """The first batches of the loader, as it yields them, epoch after epoch."""
    given = 0
    while given < count:
        before = given
        for raw in case.subject.train:
            yield raw
            given += 1
            if given >= count:
                return
        if given == before:
            return


CHECKS: MappingProxyType[str, Check] = MappingProxyType(
    {
        "run.completes": _completes, "run.finite": _finite, "run.no-step": _no_step, "run.zero-grad": _zero_grad,
        "run.train-mode": _train_mode, "run.evaluation-mode": _evaluation_mode,
        "run.evaluation-learns": _evaluation_learns, "run.rate-high": _rate_high, "run.rate-low": _rate_low,
        "run.spikes": _spikes, "run.vanishing": _vanishing, "run.dead-units": _dead_units,
        "run.saturation": _saturation, "run.update-ratio": _update_ratio, "run.not-learning": _not_learning,
        "run.not-repeatable": _not_repeatable, "run.always-clipped": _always_clipped,
    }
)  # fmt: skip
