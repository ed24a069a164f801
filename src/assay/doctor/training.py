"""A short training as the user does it, and what is seen on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from assay.doctor.model_statistics import layers
from assay.doctor.rows_statistics import Floats
from assay.doctor.sample import Sample
from assay.doctor.subject import Batch, Subject, answers, device_of, taken_apart
from assay.doctor.watching import Activations, without_dropout
from assay.train.budget import Budget

#: Times the losses are looked at, rows that each look asks, and rows whose own losses are taken at the end.
_LOOKS, _LOOKED, _JUDGED = 12, 256, 400
#: What a user's code raises where rows, model and loss do not fit together.
FAULTS = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AssertionError)


@dataclass(frozen=True)
class Judged:
    """Rows of one part as the trained model, in eval mode, answers them.

    outputs: (n, ...). targets: (n, ...). losses: of each row, (n,).
    """

    outputs: Tensor
    targets: Tensor
    losses: Floats


@dataclass
class Trace:
    """What a short training showed, step by step and look by look.

    norms: of the gradient as the optimiser got it. gradients: of each layer, its norm over its weights' norm, a list a
    step. ratios: median over the layers of the step's size over the weights'. train, valid: mean losses of the same
    rows in eval mode at each look; errors: standard errors of `valid`. error: what the training stopped with.
    """

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    gradients: list[list[float]] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    dead: float | None = None
    saturated: float | None = None
    train_rows: Judged | None = None
    valid_rows: Judged | None = None
    batch_loss: float | None = None
    epochs: float = 0.0
    error: str = ""

    @property
    def steps(self) -> int:
        """Steps that were done."""
        return len(self.losses)

    @property
    def lost(self) -> int:
        """Steps whose loss or gradient was not finite."""
        return sum(not math.isfinite(loss) for loss in self.losses) + sum(not math.isfinite(n) for n in self.norms)


def one_step(subject: Subject, raw: Any) -> float:  # noqa: ANN401  # whatever the loader yields
    """One training step of the user's, or the usual one; the loss before it."""
    if subject.step is None:
        assert subject.optimiser is not None
        batch = taken_apart(raw, device_of(subject.model))
        subject.model.train()
        subject.optimiser.zero_grad()
        loss = subject.loss(answers(subject.model, batch), batch.targets)
        loss.backward()
        subject.optimiser.step()
        return float(loss.detach())
    told = subject.step(raw)
    if isinstance(told, Tensor) and told.numel() == 1:
        return float(told.detach())
    return told if isinstance(told, float) else math.nan


def train(
    subject: Subject,
    rows: Sample,
    valid: Sample | None,
    *,
    steps: int,
    budget: Budget,
) -> Trace:
    """Train for at most `steps`, with a look at the losses now and then, and judge the rows at the end.

    An error of the user's code ends it and is told in the trace.
    """
    trace = Trace()
    every = max(steps // _LOOKS, 1)
    try:
        with _observed(subject, trace):
            for number, raw in enumerate(_endless(subject)):
                if number >= steps or budget.left <= 0:
                    break
                if number % every == 0:
                    _look(subject, rows, valid, trace)
                trace.losses.append(one_step(subject, raw))
                if not math.isfinite(trace.losses[-1]) and subject.step is None:
                    break
        trace.epochs = trace.steps / max(len(rows.sizes), 1)
        _look(subject, rows, valid, trace)
        _finish(subject, rows, valid, trace)
    except FAULTS as error:
        trace.error = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
    if all(math.isnan(loss) for loss in trace.losses):  # the user's step does not tell; the looks do
        trace.losses = list(trace.train)
    return trace


def _endless(subject: Subject) -> Iterator[Any]:
    while True:
        empty = True
        for raw in subject.train:
            empty = False
            yield raw
        if empty:
            return


@contextmanager
def _observed(subject: Subject, trace: Trace) -> Iterator[None]:
    """Take note of gradients and steps whenever the optimiser steps."""
    assert subject.optimiser is not None
    weights = [module.weight for _, module in layers(subject.model)]
    held = [w for w in weights if isinstance(w, Tensor) and w.requires_grad]
    every = [p for group in subject.optimiser.param_groups for p in group["params"]]
    before: list[Tensor] = []

    def ahead(_optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:  # noqa: ANN401  # torch's form of a hook
        norms = torch._foreach_norm([p.grad for p in every if p.grad is not None])
        trace.norms.append(float(torch.stack(norms).square().sum().sqrt()) if norms else 0.0)
        sizes = [float(w.detach().norm()) for w in held]
        shares = [
            0.0 if w.grad is None else float(w.grad.norm()) / max(s, 1e-12) for w, s in zip(held, sizes, strict=True)
        ]
        trace.gradients.append(shares)
        before[:] = [w.detach().clone() for w in held]

    def behind(_optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:  # noqa: ANN401
        moved = [
            float((w.detach() - b).norm()) / max(float(b.norm()), 1e-12) for w, b in zip(held, before, strict=True)
        ]
        if moved:
            trace.ratios.append(float(np.median(moved)))

    hooks = (
        subject.optimiser.register_step_pre_hook(ahead),
        subject.optimiser.register_step_post_hook(behind),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluating(subject: Subject) -> Iterator[None]:
    """Eval mode and no gradients; the modes of before, and the random numbers, afterwards."""
    modes = [(module, module.training) for module in subject.model.modules()]
    random = torch.get_rng_state()
    subject.model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_rng_state(random)
        for module, mode in modes:
            module.training = mode


def _look(subject: Subject, rows: Sample, valid: Sample | None, trace: Trace) -> None:
    """Mean losses of the same rows each time; the standard error is of chunks of 32 rows."""
    with evaluating(subject):
        parts = _losses(subject, rows.kept, _LOOKED)
        trace.train.append(float(np.mean(parts)))
        if valid is not None:
            parts = _losses(subject, valid.kept, _LOOKED)
            trace.valid.append(float(np.mean(parts)))
            trace.errors.append(float(np.std(parts, ddof=1) / math.sqrt(len(parts))) if len(parts) > 1 else math.inf)


def _losses(subject: Subject, kept: tuple[Batch, ...], most: int) -> list[float]:
    losses: list[float] = []
    for batch in kept:
        for start in range(0, len(batch), 32):
            part = batch.rows(slice(start, start + 32))
            if len(losses) * 32 < most and (len(part) >= 16 or not losses):
                losses.append(float(subject.loss(answers(subject.model, part), part.targets)))
    return losses


def train_loss(subject: Subject, rows: Sample) -> float:
    """Mean loss of the first training rows in eval mode."""
    with evaluating(subject):
        return float(np.mean(_losses(subject, rows.kept, _LOOKED)))


def _finish(subject: Subject, rows: Sample, valid: Sample | None, trace: Trace) -> None:
    """What the trained model is like."""
    with evaluating(subject):
        trace.train_rows = _judge(subject, rows.kept)
        trace.valid_rows = None if valid is None else _judge(subject, valid.kept)
        seen = Activations()
        with seen:
            batch = (rows if valid is None else valid).kept[0]
            outputs = answers(subject.model, batch)
        trace.dead, trace.saturated = seen.dead(outputs), seen.saturated(outputs)
    random = torch.get_rng_state()
    subject.model.train()
    with torch.no_grad(), without_dropout(subject.model):
        batches = [batch for batch in rows.kept if len(batch) > 1][:8]
        losses = [float(subject.loss(answers(subject.model, batch), batch.targets)) for batch in batches]
    torch.set_rng_state(random)
    trace.batch_loss = float(np.mean(losses)) if losses else None


def _judge(subject: Subject, kept: tuple[Batch, ...]) -> Judged:
    outputs, targets, losses, rows = [], [], [], 0
    for batch in kept:
        if rows >= _JUDGED:
            break
        given = answers(subject.model, batch)
        outputs.append(given)
        targets.append(batch.targets)
        losses += [float(subject.loss(given[i : i + 1], batch.targets[i : i + 1])) for i in range(len(batch))]
        rows += len(batch)
    return Judged(torch.cat(outputs), torch.cat(targets), np.asarray(losses, np.float64))
