"""The state of one fit: everything that changes while a network is trained, and how it is saved and taken up again."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from assay._memory import keep_freed_memory
from assay.data.encoding.batches import Batch, Source, epoch_seed
from assay.errors import DivergenceError
from assay.models.network import Network
from assay.train.balance import ClassLoss, resampled
from assay.train.batch_size import rows_a_step
from assay.train.budget import Budget
from assay.train.changes import Policy, changed
from assay.train.config import TrainConfig
from assay.train.device import choose_precision, peak_memory_mb
from assay.train.fair_loss import group_loss_of
from assay.train.judging import Judge, outputs_of
from assay.train.lightning import OwnSteps
from assay.train.losses import average_score, member_losses
from assay.train.members import Kept, Member
from assay.train.optimise.average import Averaged
from assay.train.optimise.clip import GradientGuard
from assay.train.optimise.flat import Flat
from assay.train.optimise.optimisers import Each, OnMatrix, build_optimiser, each_of
from assay.train.optimise.schedule import Plateau, factor, flat_cosine
from assay.train.pace import Pace, TurnPace, Turns
from assay.train.state import Checkpoints, Progress, copy_into, random_state, restore_random_state, seed_all
from assay.train.threads import Threads, allowed_cores
from assay.train.watch import Epoch, Watch

#: Takes the outputs of a validation, (M * heads, n, outputs), its rows, their losses and what they are judged by, (M,)
#: each, the lower the better, infinite where it is not finite. Who hears says which epochs are kept, by `keep`.
Hear = Callable[[Tensor, Batch, Tensor, Tensor], None]
#: A seed of its own for what mixes rows.
_MIXING = 7_919
#: Seconds between two looks of a watch at the steps.
_TOLD_EVERY = 0.5


class Training:
    """What a fit works on; `loop.py` says in which order."""

    def __init__(
        self,
        network: Network,
        train: Source,
        valid: Source,
        config: TrainConfig,
        members: Sequence[Member],
        seed: int,
        budget: Budget,
        checkpoints: Checkpoints | None,
        own: OwnSteps | None = None,
        policy: Policy | None = None,
        hear: Hear | None = None,
        turns: Turns | None = None,
        threads: Threads | None = None,
    ) -> None:
        keep_freed_memory()
        self.network, self.config = network, config
        self.train = train = resampled(train, config.balance) if own is None else train
        self.members, self.seed, self.budget, self.checkpoints = tuple(members), seed, budget, checkpoints
        self.device, self.threads = next(network.parameters()).device, threads
        self.precision = choose_precision(config.precision, self.device)
        self.flat = Flat(network, len(members))
        factors = network.factors()
        rates, decays = [m.lr for m in members], [m.weight_decay for m in members]
        self.batch = rows_a_step(config, train, network)
        self.rows_a_step = self.batch * config.accumulate
        decayed = self.flat.row(lambda name, _: factors.get(name, (1.0, 0.0))[1])
        own_options = [m.own or config for m in members]
        self.guard = GradientGuard(self.flat, config, decayed, [each.clip_norm for each in own_options])
        self.averaged = Averaged(self.flat, config)
        self.kept = Kept(network, self.flat, [m.patience for m in members])
        self.plateau = Plateau(config)
        self.steps_per_epoch = -(-len(train) // self.rows_a_step)
        paced = (budget, self.steps_per_epoch * config.epochs, self.steps_per_epoch)
        self.pace = Pace(*paced) if turns is None else TurnPace(*paced, turns)
        smoothing = [m.label_smoothing for m in members]
        self._smoothing = torch.tensor(smoothing, device=self.device) if any(smoothing) else None
        self._class_loss = ClassLoss.of(own_options, train, self.device) if own is None else None
        self.groups = group_loss_of(config, [o.fairness_weight for o in own_options], train, valid, network.heads)
        self.judge = Judge(network, valid, config, self.precision, self.groups)
        self.mixing = torch.Generator()
        self.history: list[Epoch] = []
        self.step = self.place = 0
        self.stopped = ""
        self._before, self._began, self.own, self.policy, self.hear = 0.0, budget.clock(), own, policy, hear
        self._end_is_saved, self._told = False, self._began
        brought = None if own is None else own.attach(self)
        self.optimiser = brought or build_optimiser(self.flat, config, factors, rates, decays, own_options)

    # How a fit begins ------------------------------------------------------------------------------------------------

    def begin(self, trial: Callable[[], object]) -> None:
        """Choose the threads and go on from a checkpoint where there is one; `trial` does the work of a step."""
        self.network.set_dropout([m.dropout for m in self.members])
        self._seed_epoch()
        saved = None if self.checkpoints is None else self.checkpoints.latest()
        if saved is not None:
            self._restore(saved.progress, dict(saved.tensors))
        elif self.threads is not None and self.threads.begin(trial):
            self._seed_epoch()  # the trial drew dropout masks
            if self.groups is not None:
                self.groups.begin()  # the trial was counted
        self._opened = saved is not None and self.place > 0
        if saved is None and self.network.starts_fitted:
            self._judge_start()
        self.pace.begin()

    def _judge_start(self) -> None:
        """Make the weights before any training those of epoch 0, which the epochs to come have to be better than."""
        outputs, rows = self.judge.outputs()
        losses = self.judge.losses(outputs, rows)
        if bool(losses.isfinite().all()):
            self._told_of(outputs, rows, losses, self.judge.judged(outputs, rows, losses), 0)

    def _told_of(self, outputs: Tensor, rows: Batch, losses: Tensor, judged: Tensor, number: int) -> bool:
        """Keep what is the best so far, or leave that to who hears; whether any was."""
        if self.hear is None:
            return self.kept.look(judged, number)
        self.hear(outputs, rows, losses, judged)
        return False

    def keep(self, places: Sequence[int], number: int) -> None:
        """Keep the weights of these members as the epoch of this number, the last one, has them."""
        with self.averaged.in_place():
            self.kept.keep(places, number)

    def _seed_epoch(self) -> None:
        """Every random choice of an epoch follows from the seed and its number."""
        epoch = len(self.history)
        seed_all(epoch_seed(self.seed, epoch))
        self.mixing.manual_seed(epoch_seed(self.seed + _MIXING, epoch))
        self.network.noise.seed([epoch_seed(m.seed, epoch) for m in self.members])

    # An epoch --------------------------------------------------------------------------------------------------------

    @property
    def epochs_planned(self) -> int:
        """Epochs until the horizon."""
        return -(-self.pace.horizon // self.steps_per_epoch)

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume included."""
        return self._before + self.budget.clock() - self._began

    def open_epoch(self) -> None:
        """Make ready for the steps of an epoch, or for the rest of the one a checkpoint was written in."""
        if not self._opened:
            self._seed_epoch()
            self.place = 0
            size = self.steps_per_epoch
            self._losses, self._norms = (torch.zeros(size, device=self.device) for _ in range(2))
            self._each = torch.zeros((2, len(self.members)), device=self.device)
            self._rate = self._update_ratio = 0.0
        if self.own is not None and not self._opened:
            self.own.log.clear()  # what a trial logged
        self._opened = False
        self._epoch_began, self._first_place = self.budget.clock(), self.place
        self.network.train()

    def batches(self) -> Iterator[Batch]:
        """The rows of each step that is left in this epoch, changed as the policy says."""
        epoch = len(self.history)
        for place, rows in enumerate(self.train.epoch(self.seed, epoch, self.rows_a_step, self.place), self.place):
            yield rows if self.policy is None else changed(rows, self.policy, self.seed, epoch, place)

    def parts(self, rows: Batch) -> Iterator[tuple[Batch, float]]:
        """The rows in parts of `batch`, each with its share of them, for gradients that are added up."""
        if len(rows) <= self.batch:
            yield rows, 1.0
            return
        for start in range(0, len(rows), self.batch):
            part = rows[start : start + self.batch]
            yield part, len(part) / len(rows)

    @property
    def is_last_of_epoch(self) -> bool:
        """Whether the step to come ends the epoch, as far as is known."""
        return self.place + 1 == self.steps_per_epoch or self.step + 1 == self.pace.horizon

    def outputs(self, rows: Batch) -> Tensor:
        """Outputs of all members, (M * heads, n, outputs), float32."""
        return outputs_of(self.network, rows.inputs)

    def losses(self, rows: Batch) -> Tensor:
        """Training loss of each member, (M,)."""
        return self.losses_of(self.outputs(rows), rows) if self.own is None else self.own.losses(rows, self.place)

    def losses_of(self, outputs: Tensor, rows: Batch) -> Tensor:
        """Training loss of each member, (M,), from outputs."""
        if self.groups is not None:
            losses = self.groups.losses(outputs, rows, self._smoothing)
        elif self._class_loss is not None:
            losses = self._class_loss(outputs, rows, self._smoothing, self.network.heads)
        else:
            losses = member_losses(outputs, rows, self._smoothing, self.network.heads)
        penalty = self.network.penalty()
        return losses if penalty is None else losses + penalty

    def rates(self) -> tuple[Each, float]:
        """Factors of the learning rate and of what eases off, for the step to come."""
        if self.own is not None and self.own.optimises:
            return self.own.rate / max(m.lr for m in self.members), 1.0
        ease = flat_cosine(self.step / max(self.pace.horizon, 1)) if self.config.easing == "flat_cosine" else 1.0
        self.network.noise.strength = ease
        schedules = {id(each): each for each in (m.own or self.config for m in self.members)}
        found = {name: factor(self.step, self.pace.horizon, each) for name, each in schedules.items()}
        rate = each_of([found[id(m.own or self.config)] for m in self.members])
        return rate * self.plateau.factor, ease

    def precision_off(self) -> None:
        """Undo the scale of the loss in the gathered gradient."""
        if self.precision.scales:
            self.flat.gradient.div_(self.precision.scale)

    def note_step(self, losses: Tensor, norms: Tensor, rate: Each, before: Tensor | None) -> None:
        """Take note of a step without reading it; `before` holds the weights it began with, once an epoch."""
        finite = losses.isfinite() & norms.isfinite()
        told = finite | ~finite.any()  # members without a finite gradient are not spoken of while there are others
        # By assignment, which takes the loss of a user's module in whatever type it comes.
        self._losses[self.place] = torch.where(told, losses, 0.0).sum() / told.sum()
        self._norms[self.place] = torch.where(told, norms, -torch.inf).max()
        if self.hear is not None:
            self._each += torch.stack([torch.where(finite, losses, 0.0), finite.float()])
        self._rate = float(rate.max()) if isinstance(rate, Tensor) else rate
        if self.precision.scales:
            self.precision.after_step(finite.all())
        if before is not None:
            moved = torch.linalg.vector_norm(self.flat.weights - before, dim=1)
            self._update_ratio = float((moved / torch.linalg.vector_norm(before, dim=1).clamp_min(1e-12)).mean())
        self.step += 1
        self.place += 1
        if self.guard.gave_up:
            self._raise_divergence()

    def tell_steps(self, watch: Watch) -> None:
        """Tell the watch how far it is, now and then."""
        now = self.budget.clock()
        if now - self._told >= _TOLD_EVERY:
            self._told = now
            watch.steps(self.step, self.pace.horizon)

    def close_epoch(self) -> Epoch:
        """Validate, keep what is best, and tell of the epoch."""
        trained = self.budget.clock() - self._epoch_began
        steps = self.place - self._first_place
        number = len(self.history) + 1
        improved, loss, score = self._validate(number)
        self.plateau.look(float(loss))
        self.history.append(self._record(number, loss, score, steps * self.rows_a_step / max(trained, 1e-9)))
        self.place = 0
        self._decide_end(improved)
        return self.history[-1]

    def _record(self, number: int, loss: float, score: float, rows_per_second: float) -> Epoch:
        losses, norms = self._losses[: self.place], self._norms[: self.place]
        finite = losses.isfinite() & norms.isfinite()
        losses, norms = (losses[finite], norms[finite]) if bool(finite.any()) else (losses, norms)
        return Epoch(
            epoch=number,
            step=self.step,
            seconds=self.seconds,
            train_loss=float(losses.mean()),
            valid_loss=loss,
            valid_score=score if math.isfinite(score) else None,
            score_name=self.judge.score_name,
            learning_rate=self._rate * max(m.lr for m in self.members),
            gradient_norm=float(norms.median()),
            update_ratio=self._update_ratio,
            rows_per_second=rows_per_second,
            memory_mb=peak_memory_mb(),
            skipped=int(self.guard.skipped.sum()),
            logged={} if self.own is None else self.own.close_epoch(loss),
        )

    def _decide_end(self, improved: bool) -> None:
        if self.step >= self.pace.horizon:
            self.stopped = "the time budget was used up" if self.pace.is_limited else "all epochs were run"
        elif bool(self.kept.stopped.all()) and not improved:
            patience = max(m.patience for m in self.members)
            self.stopped = f"the validation loss had not improved for {patience} epochs"

    def own_losses(self) -> list[float]:
        """The mean training loss of each member in the last epoch, of the steps where it was finite."""
        found: list[float] = (self._each[0] / self._each[1].clamp_min(1.0)).tolist()
        return found

    def numbers_of(self, place: int) -> dict[str, Tensor]:
        """What a member has learned, as it is kept: parameters and running statistics by name, (1, ...)."""
        kept, named = self.kept, zip(self.flat.named, self.flat.columns, strict=True)
        found = {name: kept.weights[place, columns].view(1, *p.shape[1:]) for (name, p), columns in named}
        found |= {name: tensor[place : place + 1] for name, tensor in kept.kept_statistics.items()}
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in found.items()}

    def narrow(self, places: Sequence[int]) -> None:
        """Go on with the members at these places alone: what the others cost is saved from here on.

        Each goes on to the weights that it would have had in their company. The optimiser must be ours.
        """
        assert isinstance(self.optimiser, OnMatrix)
        index = torch.tensor(places, device=self.device)
        self.network.cut(places)
        self.flat.narrow(index)
        self.optimiser.narrow(index)
        self.guard.narrow(index)
        self.averaged.narrow(index)
        self.kept.narrow(self.network, index)
        self.members = tuple(self.members[place] for place in places)
        self._smoothing = None if self._smoothing is None else self._smoothing[index]
        self._class_loss = None if self._class_loss is None else self._class_loss.narrow(index)
        if self.groups is not None:
            self.groups.narrow(index)
        self.train, self.judge.valid = (
            rows if rows.weight is None or rows.weight.ndim == 1 else rows.weighing(rows.weight[index])
            for rows in (self.train, self.judge.valid)
        )

    def _validate(self, number: int) -> tuple[bool, float, float]:
        """Look at the members at the end of an epoch and keep what is best.

        Returns:
            Whether any is the best so far; the mean validation loss; accuracy or R2 of the members together.

        Raises:
            DivergenceError: no member has a finite loss.
        """
        began = self.budget.clock()
        self.averaged.after_epoch(self.step / max(self.pace.horizon, 1))
        with self.averaged.in_place():
            return self._look(number, began)

    def _look(self, number: int, began: float) -> tuple[bool, float, float]:
        outputs, rows = self.judge.outputs()
        losses = self.judge.losses(outputs, rows)
        finite = losses.isfinite()
        if not bool(finite.any()):
            self._raise_divergence(float(losses[0]))
        judged = self.judge.judged(outputs, rows, losses)
        score = (
            average_score(outputs[finite.repeat_interleave(self.network.heads)], rows)
            if bool(finite.all())
            else math.nan
        )
        self.pace.after_validation(self.step, self.budget.clock() - began)
        improved = self._told_of(outputs, rows, losses, torch.where(finite, judged, torch.inf), number)
        return improved, float(losses[finite].mean()), score

    def _raise_divergence(self, judged: float = 0.0) -> None:
        """Say at which step and rate the numbers were lost; `judged` is the validation loss.

        Raises:
            DivergenceError: always.
        """
        losses, norms = self._losses[: self.place], self._norms[: self.place]
        bad = (~(losses.isfinite() & norms.isfinite())).nonzero()
        place = int(bad[0]) if len(bad) else self.place - 1
        first = self.step - self.place + place + 1
        before = f"{float(norms[place - 1]):.3g}" if place else "not known"
        skipped = int(self.guard.skipped.max())
        rate = self._rate * max(m.lr for m in self.members)
        since = "from the first step on" if first == 1 else f"first at step {first}"
        came = f"{since} the loss was {float(losses[place]):.4g}"
        if not len(bad):
            came = f"after step {self.step} the validation loss was {judged:.4g}, with the last training loss finite,"
        raise DivergenceError(
            "training must keep finite numbers",
            f"{came} and the gradient norm {float(norms[place]):.4g} "
            f"(one step before: {before}) at a learning rate of {rate:.3g}; {skipped} steps were skipped in all",
            f"Lower the learning rate, for example train.lr={self.config.lr / 10:.1g}, or clip harder with "
            "train.clip_norm=0.5; check the data for extreme values with `assay audit`.",
        )

    # How a fit ends --------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C: keep the best weights so far; before the first epoch ended, the weights as they stand.

        Raises:
            KeyboardInterrupt: no step was done, there is nothing to keep.
        """
        if not self.step:
            raise KeyboardInterrupt
        self.stopped = "it was interrupted"
        if not self.history:
            self._validate(0)

    def finish(self) -> list[int]:
        """Put the best weights back; the places of members that never had any and are now copies of the best."""
        lost = self.kept.put_back()
        self.flat.release()
        self.network.noise.strength = 1.0
        self.network.eval()
        return lost

    # Checkpoints -----------------------------------------------------------------------------------------------------

    def look_after_checkpoints(self, asked_to_end: bool) -> None:
        """Write a checkpoint when it is time, or when the run is about to end."""
        if self.checkpoints is not None and (asked_to_end or self.checkpoints.is_due()):
            self._save(self.checkpoints)

    def save_end(self) -> None:
        """Write a last checkpoint, so that a run of several networks is not trained again from here."""
        if self.checkpoints is not None and self.history and not self._end_is_saved:
            self._save(self.checkpoints)

    def _save(self, checkpoints: Checkpoints) -> None:
        python, generators = random_state()
        progress = Progress(
            step=self.step,
            epoch=len(self.history),
            place=self.place,
            horizon=self.pace.horizon,
            seconds=self.seconds,
            used=self.budget.used,
            counters=self._counters(),
            history=tuple(record.model_dump_json() for record in self.history),
            stopped=self.stopped,
            python_random=python,
            threads=torch.get_num_threads(),
        )
        checkpoints.save(progress, self._tensors() | generators)

    def _counters(self) -> dict[str, float]:
        return {
            "optimiser": self.optimiser.steps,
            "averaged": self.averaged.seen,
            "plateau.factor": self.plateau.factor,
            "plateau.best": min(self.plateau.best, sys.float_info.max),
            "plateau.waited": self.plateau.waited,
            "rate": self._rate,
            "update_ratio": self._update_ratio,
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor that changes, by name."""
        named = self._places() | {"losses": self._losses, "norms": self._norms}
        named |= {f"optimiser.{name}": tensor for name, tensor in self.optimiser.state().items()}
        named |= {"noise": self.network.noise.state(), "mixing": self.mixing.get_state()}
        return named | {"scale": self.precision.scale}

    def _restore(self, progress: Progress, tensors: dict[str, Tensor]) -> None:
        """Take up a checkpoint."""
        copy_into(self._places(), tensors)
        self._losses, self._norms = (tensors.pop(name).to(self.device) for name in ("losses", "norms"))
        self.network.noise.restore(tensors.pop("noise"))
        self.mixing.set_state(tensors.pop("mixing"))
        self.precision.scale = tensors.pop("scale").to(self.device)
        slots = {
            name.removeprefix("optimiser."): tensors.pop(name)
            for name in list(tensors)
            if name.startswith("optimiser.")
        }
        self.optimiser.restore(slots, int(progress.counters["optimiser"]))
        restore_random_state(progress.python_random, tensors)
        self.averaged.seen = int(progress.counters["averaged"])
        factor, waited, best = (progress.counters[f"plateau.{name}"] for name in ("factor", "waited", "best"))
        self.plateau.factor, self.plateau.waited = factor, int(waited)
        self.plateau.best = math.inf if best == sys.float_info.max else best
        self._rate, self._update_ratio = progress.counters["rate"], progress.counters["update_ratio"]
        self.history = [Epoch.model_validate_json(text) for text in progress.history]
        self.step, self.place, self.stopped = progress.step, progress.place, progress.stopped
        self._end_is_saved = bool(progress.stopped)
        self._before = progress.seconds
        self.pace.resume(progress.step, progress.horizon)
        if self.threads is None:
            torch.set_num_threads(min(progress.threads, allowed_cores()))
        else:
            self.threads.go_on(progress.threads)

    def _places(self) -> dict[str, Tensor]:
        """The tensors a checkpoint is copied into."""
        named = {f"parameter.{name}": p.detach() for name, p in self.flat.named}
        named |= {f"statistic.{name}": tensor for name, tensor in self.kept.statistics.items()}
        named |= {f"kept.{name}": tensor for name, tensor in self.kept.state().items()}
        named |= {f"averaged.{name}": tensor for name, tensor in self.averaged.state().items()}
        if self.groups is not None:
            named |= {f"groups.{name}": tensor for name, tensor in self.groups.state().items()}
        return named | {"guard.clipped": self.guard.clipped, "guard.skipped": self.guard.skipped}
