"""Rare classes in training: weights of classes, a loss of hard rows, and other rows in an epoch.

Whatever gives classes other shares than they have would give other probabilities as well. So the loss is taken of the
outputs plus the logarithm of the factor that each class's share is changed by, and the outputs themselves stay log odds
of the classes as they are (prior correction: King & Zeng, Political Analysis 2001, section 4; Elkan, IJCAI 2001,
theorem 2). Validation, calibration and export need not know of it. What is left of a changed weight is what it is for:
which errors the steps are spent on.

Shape legend: M members, k heads of a member, n rows, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from assay.data.encoding.batches import BLOCK_ROWS, Batch, Resident, Source, epoch_seed
from assay.data.encoding.encode import Encoded
from assay.errors import ConfigError
from assay.train.border import Border
from assay.train.config import BalanceName, TrainConfig
from assay.train.losses import member_losses
from assay.train.near import nearest

#: What acts on the loss alone, in which members of one network may differ; and what gives an epoch other rows.
WEIGHTS: frozenset[BalanceName] = frozenset({"weights", "effective"})
SAMPLES: frozenset[BalanceName] = frozenset({"sample", "oversample", "undersample", "smote", "borderline"})
_MAKING: frozenset[BalanceName] = frozenset({"smote", "borderline"})
#: What the effective number of rows grows by less with each further one (Cui et al., CVPR 2019, section 4).
_BETA = 0.999
#: Nearest rows of the same class that a made row may lie towards (Chawla et al., SMOTE, JAIR 2002), and rows of a class
#: among which they are looked for.
_NEIGHBOURS, _LOOKED_AMONG, _AT_ONCE = 5, 5_000, 512
#: A seed of its own for what is drawn.
_DRAWING = 104_729


@dataclass(frozen=True)
class ClassLoss:
    """The training loss of each member, as its `balance` says.

    weight: of each class, (M, C), 1 for members that weigh none. shift: what outputs are raised by for the loss,
    (M, C). focus: exponents of the focal loss, (M,), or None.
    """

    weight: Tensor | None
    shift: Tensor | None
    focus: Tensor | None

    @classmethod
    def of(cls, options: Sequence[TrainConfig], train: Source, device: torch.device) -> ClassLoss | None:
        """The loss of members with these options; None where it is the plain one.

        Args:
            options: of each member.
            train: the rows that they learn from, `Resampled` or as they are; a weight (M, n) gives members own rows.
            device: of the outputs.
        """
        names = [each.balance for each in options]
        focus = [each.focal_gamma if each.balance == "focal" else 0.0 for each in options]
        focused = torch.tensor(focus, device=device) if any(focus) else None
        if isinstance(train, Resampled):
            shift = train.factors.log().to(device).expand(len(options), -1)
            return cls(None, shift, focused)
        if not WEIGHTS.intersection(names):
            return None if focused is None else cls(None, None, focused)
        counts = class_counts(train).expand(len(options), -1)
        weight = torch.stack([_class_weights(name, own) for name, own in zip(names, counts, strict=True)]).to(device)
        return cls(weight, weight.log(), focused)

    def __call__(self, outputs: Tensor, rows: Batch, smoothing: Tensor | None, heads: int) -> Tensor:
        """Losses (M,) of outputs (M * k, n, C)."""
        if self.shift is not None:
            shift = _wider(self.shift, outputs.shape[2])  # classes that no row was there of
            outputs = outputs + shift.repeat_interleave(heads, 0).unsqueeze(1)
        if self.weight is not None:
            own = self.weight[:, rows.target]
            rows = Batch(rows.inputs, rows.target, own if rows.weight is None else own * rows.weight)
        return member_losses(outputs, rows, smoothing, heads, self.focus)

    def narrow(self, index: Tensor) -> ClassLoss:
        """That of these members alone."""
        kept = (None if each is None else each[index] for each in (self.weight, self.shift, self.focus))
        return ClassLoss(*kept)


def class_counts(train: Source) -> Tensor:
    """How much of each class there is, float64 (1, C) or, with weights (M, n), of each member (M, C)."""
    found: Tensor | None = None
    for rows in train.blocks(BLOCK_ROWS):
        classes = int(rows.target.max()) + 1 if len(rows) else 1
        one_hot = torch.nn.functional.one_hot(rows.target, classes).double()
        weight = torch.ones(1, len(rows), dtype=torch.float64) if rows.weight is None else rows.weight.double()
        more = weight.reshape(-1, len(rows)).to(one_hot.device) @ one_hot
        found = more if found is None else _wider(found, classes) + _wider(more, found.shape[1])
    assert found is not None
    return found.cpu()


def _wider(counts: Tensor, classes: int) -> Tensor:
    return torch.nn.functional.pad(counts, (0, max(classes - counts.shape[1], 0)))


def _class_weights(name: BalanceName, counts: Tensor) -> Tensor:
    """Weights of classes, (C,) float32, that leave the mean weight of a row at 1; a class without rows keeps 1."""
    if name not in WEIGHTS:
        return torch.ones(len(counts))
    many = counts.clamp(min=1.0)
    raw = many.reciprocal() if name == "weights" else (1.0 - _BETA) / (1.0 - _BETA**many)
    raw = torch.where(counts > 0, raw * (counts.sum() / (raw * counts).sum()), 1.0)
    return raw.float()


@dataclass(frozen=True)
class Resampled:
    """Rows of which an epoch holds other shares of the classes; all else about them is as it was.

    rows: in memory, with classes for targets. draws: rows of each class in an epoch, int64 (C,). factors: what each
    class's share is multiplied by, (C,). neighbours: of each row, the nearest of its class, (n, k), where rows are
    made. border: what tells the rows that they are made of; None where these are all.
    """

    rows: Resident
    draws: Tensor
    factors: Tensor
    neighbours: Tensor | None = None
    border: Border | None = None

    def __len__(self) -> int:
        return int(self.draws.sum())

    @property
    def weight(self) -> Tensor | None:
        """See `Source`."""
        return self.rows.weight

    def weighing(self, weight: Tensor | None) -> Resampled:
        """See `Source`."""
        return replace(self, rows=self.rows.weighing(weight))

    def reading(self, places: Sequence[int]) -> Resampled:
        """See `Source`."""
        return replace(self, rows=self.rows.reading(places))

    def to(self, device: torch.device) -> Resampled:
        """See `Source`."""
        return replace(self, rows=self.rows.to(device))

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Batch]:
        """See `Source`."""
        return self.rows.blocks(rows)

    def epoch(self, seed: int, epoch: int, batch: int, start: int = 0) -> Iterator[Batch]:
        """See `Source`; what is drawn is a pure function of seed and epoch."""
        drawing = epoch_seed(seed + _DRAWING, epoch)
        order, is_copy = self._drawn(torch.Generator().manual_seed(drawing))
        for first in range(start * batch, len(order), batch):
            places = order[first : first + batch]
            rows = self.rows.rows[places]
            if self.neighbours is not None:
                generator = torch.Generator().manual_seed(drawing ^ (first + 1))
                rows = self._made(rows, places, is_copy[first : first + batch], generator)
            yield rows

    @cached_property
    def _counted(self) -> Tensor | None:
        """What a copy of each row counts for each member, (M, n); None where all do alike."""
        if self.border is None:
            return None
        weight = self.rows.weight
        return self.border.counts(self.rows.rows.target.cpu(), None if weight is None else weight.cpu())

    def _drawn(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Places of an epoch's rows in their order, and which of them are there a second time or more."""
        target = self.rows.rows.target.cpu()
        places, copies = [], []
        for name, wanted in enumerate(self.draws.tolist()):
            own = (target == name).nonzero().flatten()
            if len(own):
                able = own if self._counted is None else own[(self._counted[:, own] > 0.0).any(0)]
                drawn = _drawn_of(own, wanted, able, generator)
                places.append(drawn)
                copies.append(torch.arange(len(drawn)) >= len(own))
        order = torch.randperm(sum(map(len, places)), generator=generator)
        return torch.cat(places)[order], torch.cat(copies)[order]

    def _made(self, rows: Batch, places: Tensor, is_copy: Tensor, generator: torch.Generator) -> Batch:
        """The rows, of which copies are moved by a random share towards a neighbour."""
        assert self.neighbours is not None
        which = torch.randint(self.neighbours.shape[1], (len(places), 1), generator=generator)
        partner = self.neighbours[places].gather(1, which).flatten()
        share = torch.where(is_copy, torch.rand(len(places), generator=generator), 0.0).unsqueeze(1)
        takes_other = torch.rand(rows.inputs.codes.shape, generator=generator) < share
        device = rows.target.device
        share, takes_other = share.to(device), takes_other.to(device)
        own, other = rows.inputs, self.rows.rows[partner]
        inputs = Encoded(
            torch.lerp(own.numbers, other.inputs.numbers, share.to(own.numbers.dtype)),
            torch.lerp(own.extras, other.inputs.extras, share.to(own.extras.dtype)),
            torch.where(takes_other, other.inputs.codes, own.codes),
            own.media,
        )
        weight = rows.weight
        if weight is not None and other.weight is not None:
            # A member learns from a made row where it may learn from both of which it was made.
            weight = torch.where(is_copy.to(device), torch.minimum(weight, other.weight), weight)
        if weight is not None and self._counted is not None:
            counted = torch.where(is_copy, self._counted[:, places], 1.0).to(device)
            weight = weight * (counted if weight.ndim == 2 else counted[0])
        return Batch(inputs, rows.target, weight)


def _drawn_of(own: Tensor, wanted: int, copied: Tensor, generator: torch.Generator) -> Tensor:
    """So many of the rows of a class; where more than there are, each of them and copies of those in `copied`."""
    if wanted <= len(own):
        return _as_often(own, wanted, generator)
    return torch.cat([own, _as_often(copied, wanted - len(own), generator)])


def _as_often(own: Tensor, wanted: int, generator: torch.Generator) -> Tensor:
    """Each of the rows as often as goes into `wanted` wholly, and a draw without repeats for what is left."""
    whole, left = divmod(wanted, len(own))
    return torch.cat([own.repeat(whole), own[torch.randperm(len(own), generator=generator)[:left]]])


def resampled(train: Source, name: BalanceName) -> Source:
    """The rows with an epoch's classes balanced as `name` says; others than of `SAMPLES` leave them as they are.

    `sample` keeps the number of rows, `oversample` repeats rows until each class has as many as the largest,
    `undersample` draws from each as many as the smallest has, and `smote` puts rows between neighbours of a class in
    the place of repeats (Chawla et al. 2002; a category is taken from one of the two). `borderline` makes them of rows
    at the border of their class alone, see `border.py`.

    Raises:
        ConfigError: the rows are not in memory, or have no numbers between which rows could be made.
    """
    if name not in SAMPLES or isinstance(train, Resampled):
        return train
    if not isinstance(train, Resident):
        raise ConfigError(
            "rows must be in memory to be drawn by their class",
            f"train.balance={name} was given, and the training rows are in files",
            "Take train.balance=weights, or allow more with data.memory.",
        )
    counts = torch.bincount(train.rows.target.cpu())
    there = (counts > 0).double()
    largest, smallest = int(counts.max()), int(counts[counts > 0].min())
    each = {"sample": max(len(train) // int(there.sum()), 1), "undersample": smallest}.get(name, largest)
    draws = (there * each).long()
    factors = torch.where(counts > 0, draws / counts.clamp(min=1), 1.0).float()
    rows = Resampled(train, draws, factors)
    if name not in _MAKING:
        return rows
    rows = replace(rows, neighbours=_neighbours(train.rows, draws))
    if name == "smote":
        return rows
    numbers = train.rows.inputs.numbers.float().cpu()
    return replace(rows, border=Border.of(numbers, train.rows.target.cpu(), draws))


def _neighbours(rows: Batch, draws: Tensor) -> Tensor:
    """For each row that is drawn more often than it is there the nearest others of its class, int64 (n, k).

    Raises:
        ConfigError: the rows have no numbers.
    """
    numbers, target = rows.inputs.numbers.float().cpu(), rows.target.cpu()
    if not numbers.shape[1]:
        raise ConfigError(
            "rows can be made between others only where there are numbers", "the table has none",
            "Take train.balance=oversample or weights.",
        )  # fmt: skip
    found = torch.arange(len(numbers)).unsqueeze(1).repeat(1, _NEIGHBOURS)
    for name, wanted in enumerate(draws.tolist()):
        own = (target == name).nonzero().flatten()
        if len(own) < 2 or wanted <= len(own):
            continue
        among = own[torch.linspace(0, len(own) - 1, min(len(own), _LOOKED_AMONG)).long()]
        for some in own.split(_AT_ONCE):
            near = nearest(numbers, some, among, min(_NEIGHBOURS, len(among) - 1))
            found[some] = near[:, torch.arange(_NEIGHBOURS) % near.shape[1]]
    return found
