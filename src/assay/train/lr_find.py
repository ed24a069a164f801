"""The learning-rate range test (Smith, Cyclical Learning Rates, WACV 2017, section 3.3; Gugger, 2018).

A network takes steps whose rate grows exponentially from far too small to far too large, and its loss tells which rates
teach it. The steps are those of the training loop, with its batches, clipping and dropout; what is stepped is a copy
that is thrown away, so that a run with a test ends with the bits of one without. What is read off the curve is in
`rate_curve.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch

from assay.data.encoding.batches import Batch, Source
from assay.errors import BundleError
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import trial_step, update
from assay.train.members import Member
from assay.train.rate_curve import (
    ALL_STEPS,
    DIVERGED,
    FEWEST_STEPS,
    NO_TIME,
    NOT_FINITE,
    STEPS,
    TIME_UP,
    RateCurve,
    Running,
    Sweep,
    Walk,
    curve,
    sweep_for,
)
from assay.train.state import Checkpoints, isolated_randomness, unheard
from assay.train.threads import using_threads
from assay.train.training import Training

#: Share of a network's time that a test before its training may take.
_SHARE = 0.05
#: What a step costs beside the work that is timed.
_MORE = 1.3
#: Seconds from which the user is told how long a test takes.
_LONG = 10.0


def range_test(
    name: str,
    network: Network,
    train: Source,
    valid: Source,
    config: TrainConfig,
    members: Sequence[Member],
    sweep: Sweep,
    *,
    seed: int,
    scale: float = 1.0,
    seconds: float = math.inf,
    tell: Callable[[str], None] = unheard,
) -> RateCurve:
    """Walk the rates of `sweep` with `network`, which is of no use afterwards.

    Args:
        name: of the network.
        network: `len(members)` fresh networks on the device of the rows.
        train, valid: rows, as for a fit; nothing is learned from the rows of `valid`, nor judged on them.
        config: of the run; its rate is the one beside which the suggestion stands.
        members: of the run; all take the same rate, and what is smoothed is the mean of their losses.
        sweep: the rates, as `train.lr` counts them.
        seed: of the order of the rows.
        scale: what `config.lr` was multiplied by for the batch, and what every rate is.
        seconds: what the test may take; fewer steps over the same rates where it is short, none at all below 24.
        tell: told how long it takes, where that is long.
    """
    began = time.monotonic()
    with isolated_randomness(), using_threads(config.threads or torch.get_num_threads()):
        alike = [replace(member, lr=scale) for member in members]
        run = Training(network, train, valid, config, alike, seed, Budget(None), None)
        run.begin(lambda: trial_step(run))
        steps = _affordable(run, sweep.steps, began + seconds, tell, name)
        walk = Walk((), (), NO_TIME)
        if steps >= FEWEST_STEPS:
            walk = _walk(run, replace(sweep, steps=steps), began + seconds)
    passed = time.monotonic() - began
    return curve(name, walk, steps=max(steps, 1), used=config.lr / scale, scale=scale, seconds=passed)


def _affordable(run: Training, steps: int, until: float, tell: Callable[[str], None], name: str) -> int:
    """As many of the steps as there is time for, by the cost of one that is tried and not taken."""
    trial_step(run)  # the first one takes longer
    begun = time.monotonic()
    trial_step(run)
    a_step = _MORE * max(time.monotonic() - begun, 1e-6)
    if math.isfinite(until):
        steps = min(steps, int((until - time.monotonic()) / a_step))
    if steps * a_step > _LONG:
        tell(f"the range test of {name} takes {steps} steps, about {steps * a_step:.0f} s")
    return steps


def _walk(run: Training, sweep: Sweep, until: float) -> Walk:
    losses: list[float] = []
    running, rates = Running(sweep.steps), sweep.rates
    for rate, rows in zip(rates, _batches(run), strict=False):
        found, norms = update(run, rows, rate, 1.0)
        loss, is_finite = float(found.mean()), bool((found.isfinite() & norms.isfinite()).all())
        if run.precision.scales:  # a gradient beyond its range only asks for a smaller scale
            run.precision.after_step(norms.isfinite().all())
            is_finite = math.isfinite(loss)
        if not is_finite:
            return Walk(rates[: len(losses)], tuple(losses), NOT_FINITE, rate)
        losses.append(loss)
        running.after(loss)
        if running.is_lost:
            return Walk(rates[: len(losses)], tuple(losses), DIVERGED, rate)
        if time.monotonic() > until:
            return Walk(rates[: len(losses)], tuple(losses), TIME_UP)
    return Walk(rates, tuple(losses), ALL_STEPS)


def _batches(run: Training) -> Iterator[Batch]:
    """The batches of one epoch after another; a short last one, whose loss says little, is passed over."""
    for epoch in count():
        for rows in run.train.epoch(run.seed, epoch, run.rows_a_step):
            if 2 * len(rows) >= run.rows_a_step:
                yield rows


def rates_before(
    name: str,
    make: Callable[[], Network],
    train: Source,
    valid: Source,
    config: TrainConfig,
    members: Sequence[Member],
    *,
    seed: int,
    scale: float,
    budget: Budget,
    checkpoints: Checkpoints | None,
    tell: Callable[[str], None],
) -> RateCurve:
    """The test of a network that is about to be trained, on another one that `make` makes, in a share of its time.

    The curve is put beside the checkpoints, and a run that goes on reads it there instead of testing again.
    """
    place = None if checkpoints is None else checkpoints.directory / "lr-find.json"
    found = None if place is None else _remembered(place)
    if found is not None:
        return found
    # The number of threads is found by the training itself, from where it would have been without a test.
    settled = config.model_copy(update={"threads": torch.get_num_threads()})
    seconds = math.inf if math.isinf(budget.left) else _SHARE * budget.left
    began = time.monotonic()
    sweep = sweep_for(config, config.lr / scale, STEPS, None, None)
    network = make()
    left = seconds - (time.monotonic() - began)
    found = range_test(
        name, network, train, valid, settled, members, sweep, seed=seed, scale=scale, seconds=left, tell=tell
    )
    tell(_said(found))
    if place is not None:
        _remember(place, found, tell)
    return found


def _said(found: RateCurve) -> str:
    """What the test found, in a sentence."""
    if not found.rates:
        return f"{found.network}: no range test, for {found.ended}"
    if found.suggestion is None:
        return f"{found.network}: the range test suggests no rate, for the loss fell at none ({found.ended})"
    return f"{found.network}: the range test suggests train.lr={found.suggestion:.2g}; {found.used:.2g} is used"


def _remembered(place: Path) -> RateCurve | None:
    """The curve in a file; None where there is none, or none that can be read: it is found again."""
    try:
        return RateCurve.read(place)
    except BundleError:
        return None


def _remember(place: Path, found: RateCurve, tell: Callable[[str], None]) -> None:
    partial = place.with_suffix(".partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(found.to_json(), encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        tell(f"the range test could not be kept for a run that goes on ({error.strerror}: {place})")
