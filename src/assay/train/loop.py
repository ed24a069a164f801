"""The training loop: fit -> epoch -> step.

Tensors stay on the device, rows are shuffled once an epoch and then sliced, and on an accelerator nothing waits for a
number inside a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import torch
from torch import Tensor

from assay.data.encoding.batches import BLOCK_ROWS, Batch, Source
from assay.data.encoding.encode import Encoded
from assay.errors import BudgetError, TerminatedError
from assay.models.ensemble import Ensemble
from assay.models.network import Network
from assay.train.augment.mixing import mixed
from assay.train.budget import Budget
from assay.train.changes import Policy
from assay.train.config import TrainConfig
from assay.train.lightning import OwnSteps
from assay.train.members import Member
from assay.train.optimise.optimisers import Each
from assay.train.preempt import Termination, termination_noted
from assay.train.state import Checkpoints, isolated_randomness
from assay.train.threads import threads_for
from assay.train.training import Training
from assay.train.watch import Epoch, Watch


@dataclass(frozen=True)
class Trained:
    """What a fit ends with; the network holds the best weights of each member.

    best_epochs: the epoch each member's weights are from.
    lost: members that never had finite numbers, now copies of the best.
    clipped: share of the members' steps whose gradient was clipped.
    skipped: members' steps without a finite gradient.
    unused: names of the parameters that the first step gave no gradient.
    """

    epochs: tuple[Epoch, ...]
    best_epochs: tuple[int, ...]
    best_losses: tuple[float, ...]
    lost: tuple[int, ...]
    steps: int
    horizon: int
    batch: int
    threads: int
    precision: str
    seconds: float
    stopped: str
    clipped: float
    skipped: int
    interrupted: bool
    limited_by_budget: bool
    unused: tuple[str, ...] = ()

    @property
    def best_epoch(self) -> int:
        """The latest epoch that a member's weights are from."""
        return max(self.best_epochs)


def fit(
    network: Network,
    train: Source,
    valid: Source,
    config: TrainConfig,
    members: Sequence[Member],
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None = None,
    own: OwnSteps | None = None,
    policy: Policy | None = None,
) -> Trained:
    """Train `network` in place until the epochs, the patience or the budget end, and keep each member's best weights.

    A training that goes on from a checkpoint first tells the watch of the epochs before, so that it sees them all.

    Args:
        network: `len(members)` networks.
        train, valid: rows on the device of the network; a weight (M, n) gives each member rows of its own.
        config: what the members share.
        members: what each is trained with.
        seed: of the order of the rows.
        budget: the seconds left for this.
        watch: told of every epoch.
        checkpoints: where to go on from and to write to.
        own: the loss and the optimiser of the network itself, where it brings them.
        policy: how the pictures, series or texts of a step are changed.

    Raises:
        DivergenceError: too many steps had no finite loss or gradient.
        BudgetError: no time is left for a first step.
        CheckpointError: the checkpoint there cannot be used.
        TerminatedError: SIGTERM came; a checkpoint was written.
        KeyboardInterrupt: interrupted before the first step.
    """
    check_time(budget, checkpoints)
    interrupted = False
    with isolated_randomness(), termination_noted() as termination:
        threads = None if own is not None else threads_for(config, network)
        run = Training(network, train, valid, config, members, seed, budget, checkpoints, own, policy, threads=threads)
        run.begin(lambda: trial_step(run))
        try:
            for record in run.history:
                watch.epoch(record, run.epochs_planned)
            while not run.stopped:
                watch.epoch(epoch(run, watch, termination), run.epochs_planned)
            run.save_end()
            if termination.asked:  # in the last validation
                raise _terminated(run)
        except KeyboardInterrupt:
            run.interrupt()
            interrupted = True
        return _finish(run, interrupted)


def epoch(run: Training, watch: Watch, termination: Termination) -> Epoch:
    """Train one pass (or until the horizon), validate, and remember the best."""
    run.open_epoch()
    for rows in run.batches():
        began = perf_counter()
        step(run, rows)
        if run.threads is not None:
            run.threads.after_step(perf_counter() - began)
        run.pace.after_step(run.step)
        run.look_after_checkpoints(termination.asked)
        run.tell_steps(watch)
        if termination.asked:
            raise _terminated(run)
        if run.step >= run.pace.horizon:
            break
    return run.close_epoch()


def step(run: Training, rows: Batch) -> None:
    """One update of every member; what it shows is noted and not read."""
    rate, ease = run.rates()
    before = run.flat.weights.clone() if run.is_last_of_epoch else None
    losses, norms = update(run, rows, rate, ease)
    run.note_step(losses, norms, rate, before)


def update(run: Training, rows: Batch, rate: Each, ease: float) -> tuple[Tensor, Tensor]:
    """Step every member with its rate times `rate` and its decay times `ease`.

    Returns:
        The losses before the step and the norms of the gradient before clipping, (M,) each.
    """
    losses = backward(run, rows)
    run.flat.gather()
    run.precision_off()
    norms, may_step = run.guard(losses)
    if may_step:
        run.optimiser.step(rate, ease)
        run.averaged.after_step()
    return losses, norms


def backward(run: Training, rows: Batch) -> Tensor:
    """Gradients of the members' summed losses over the rows, in parts of `config.batch`; the losses (M,), detached."""
    total: Tensor | None = None
    for part, share in run.parts(rows):
        with run.precision.autocast():
            losses = _mixed_losses(run, part) if run.config.mixes else run.losses(part)
        scaled = losses if share == 1.0 else losses * share
        (scaled.sum() * run.precision.scale if run.precision.scales else scaled.sum()).backward()
        total = scaled.detach() if total is None else total + scaled.detach()
    assert total is not None
    return total


def _mixed_losses(run: Training, rows: Batch) -> Tensor:
    first, second, share = mixed(rows, run.config.mixup, run.mixing, cutmix=run.config.cutmix)
    outputs = run.outputs(first)
    return run.losses_of(outputs, first) * share + run.losses_of(outputs, second) * (1.0 - share)


def trial_step(run: Training) -> None:
    """The work of a step without a step, to time it: nothing that is trained with is changed."""
    rows = next(iter(run.train.blocks(run.rows_a_step)))
    run.network.train()
    statistics = {name: tensor.clone() for name, tensor in run.kept.statistics.items()}
    backward(run, rows)
    run.flat.gather()
    for name, tensor in run.kept.statistics.items():
        tensor.copy_(statistics[name])


def check_time(budget: Budget, checkpoints: Checkpoints | None = None) -> None:
    """Refuse to begin without time; what goes on from a checkpoint has weights to end with.

    Raises:
        BudgetError: none is left.
    """
    if budget.left <= 0 and (checkpoints is None or checkpoints.newest is None):
        raise BudgetError(
            "the budget must leave time to train",
            f"{budget.used:.0f} s had passed before the first step, and what follows training needs the rest",
            "Give more time with --budget, or fewer baselines with evaluate.baselines=majority.",
        )


def _terminated(run: Training) -> KeyboardInterrupt | TerminatedError:
    """What ends a run on SIGTERM: a checkpoint if there is a place for one, else what Ctrl-C does."""
    if run.checkpoints is None:
        return KeyboardInterrupt()
    newest = run.checkpoints.newest
    done = "No checkpoint could be written, so it must be begun anew."
    return TerminatedError(
        "a run must be left to end by itself",
        f"it was asked to end (SIGTERM) after {run.step:,} steps",
        done if newest is None else f"The checkpoint of step {newest:,} holds what was done.",
    )


def _finish(run: Training, interrupted: bool) -> Trained:
    lost = run.finish()
    return Trained(
        epochs=tuple(run.history),
        best_epochs=tuple(run.kept.epochs.tolist()),
        best_losses=tuple(run.kept.best.tolist()),
        lost=tuple(lost),
        steps=run.step,
        horizon=run.pace.horizon,
        batch=run.rows_a_step,
        threads=torch.get_num_threads(),
        precision=run.precision.name,
        seconds=run.seconds,
        stopped=run.stopped,
        clipped=float(run.guard.clipped) / max(run.step, 1),
        skipped=int(run.guard.skipped.sum()),
        interrupted=interrupted,
        limited_by_budget=run.pace.is_limited,
        unused=tuple(run.flat.unused()),
    )


def predict(network: Network | Ensemble, inputs: Encoded, rows: int = BLOCK_ROWS) -> Tensor:
    """Outputs of all members for all rows, (M * heads, n, outputs), in blocks, without gradients, on the host."""
    was_training = network.training
    network.eval()
    device = next(chain(network.parameters(), network.buffers())).device  # trees have no parameters
    inputs = inputs.reading(network.reads)
    rows = min(rows, network.rows_at_once)
    with torch.inference_mode():
        blocks = [_outputs(network, inputs[i : i + rows].to(device)) for i in range(0, max(len(inputs), 1), rows)]
    network.train(was_training)
    return torch.cat(blocks, dim=1)


def _outputs(network: Callable[..., Tensor], block: Encoded) -> Tensor:
    return network(block.numbers, block.extras, block.codes, *block.media).cpu()
