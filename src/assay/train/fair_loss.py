"""Losses that look at the sensitive groups of rows: the worst group's, and a penalty on gaps between groups.

Both keep sums over past steps, for a batch has few rows of a small group; these travel in checkpoints.

Shape legend: M members, k heads of a member, n rows, C classes, G groups of rows, S sub-groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.batches import Batch, Source
from assay.errors import ConfigError
from assay.train.config import ON_GROUPS, TrainConfig
from assay.train.losses import member_losses, row_losses

#: Step of the weights of groups (Sagawa et al. 2020, appendix C), and of the running sums of the penalty.
_STEP, _MEMORY = 0.01, 0.95
#: Validation rows of a group below which its loss does not judge an epoch.
_LEAST_JUDGED = 10
#: Added under the root of the penalty, so that it is smooth where there is no gap.
_SMOOTH = 1e-6


class GroupLoss(Protocol):
    """A training loss that knows the groups of rows, and what an epoch is judged by under it."""

    def begin(self) -> None:
        """Forget all steps."""

    def losses(self, outputs: Tensor, rows: Batch, smoothing: Tensor | None) -> Tensor:
        """The loss of each member (M,) for outputs (M * k, n, C); the step is remembered."""

    def judged(self, outputs: Tensor, rows: Batch) -> Tensor:
        """What the epoch of each member is judged by, (M,), lower is better."""

    def narrow(self, index: Tensor) -> None:
        """Go on with these members alone."""

    def state(self) -> dict[str, Tensor]:
        """The tensors to save, which are copied into to go on."""


def group_loss_of(
    config: TrainConfig, weights: Sequence[float], train: Source, valid: Source, heads: int
) -> GroupLoss | None:
    """The loss that the options ask for, or None where they ask for none that knows groups.

    Args:
        config: names it.
        weights: `train.fairness_weight` of each member, M of them.
        train, valid: the training rows and those that judge epochs, which may have groups or classes of their own.
        heads: k.

    Raises:
        ConfigError: the rows do not come with their groups.
    """
    if config.fairness not in ON_GROUPS:
        return None
    first = next(iter(train.blocks(1)))
    if first.groups is None:
        raise ConfigError(
            f"train.fairness={config.fairness} needs the sensitive group of every row",
            "the rows of this training come without",
            "Name sensitive columns with --sensitive and train with `assay fit`, or leave train.fairness out.",
        )
    every = [rows for source in (train, valid) for rows in source.blocks()]
    groups = 1 + max(int(rows.groups.max()) for rows in every if rows.groups is not None and len(rows))
    classes = 1 + max(int(rows.target.max()) for rows in every if len(rows)) if _has_classes(first) else 1
    own = torch.tensor(weights, device=first.target.device)
    if config.fairness == "group_dro":
        return GroupDRO(groups, classes, heads, _STEP * own)
    return OddsPenalty(groups, classes, heads, own)


def _has_classes(rows: Batch) -> bool:
    return rows.target.dtype == torch.int64


def _weights(rows: Batch, members: int) -> Tensor:
    """Row weights of each member, (M, n)."""
    if rows.weight is None:
        return torch.ones(members, len(rows), device=rows.target.device)
    return rows.weight.expand(members, -1)


def _by_cell(each: Tensor, cells: Tensor) -> Tensor:
    """Sums over rows, (M, n) by which cell they are in (n, S), in single precision: bfloat16 counts to 256 only."""
    with torch.autocast(each.device.type, enabled=False):
        return each.float() @ cells.float()


class GroupDRO:
    """The loss of the worst sub-group, found online (Sagawa et al., ICLR 2020, algorithm 1).

    Sub-groups are the groups of each class, or the groups of a regression. The weight of a sub-group grows with its
    loss: `w <- w * exp(step * loss)`, normalised; one without rows in a batch keeps its weight. An epoch is judged by
    the worst sub-group of the validation rows.
    """

    def __init__(self, groups: int, classes: int, heads: int, steps: Tensor) -> None:
        """`steps`: of the weights of groups, by member, (M,)."""
        self.classes, self.members, self.heads, self.steps = classes, len(steps), heads, steps
        self.shares = torch.empty(len(steps), groups * classes, device=steps.device)
        self.begin()

    def begin(self) -> None:
        """See `GroupLoss`."""
        self.shares.fill_(1.0 / self.shares.shape[1])

    def losses(self, outputs: Tensor, rows: Batch, smoothing: Tensor | None) -> Tensor:
        """See `GroupLoss`."""
        means, filled = self._means(outputs, rows, smoothing)
        with torch.no_grad():
            grown = torch.where(filled > 0, self.steps[:, None] * means, 0.0).exp()
            self.shares.mul_(grown).div_(self.shares.sum(1, keepdim=True))
        return (self.shares * means).sum(1)

    def judged(self, outputs: Tensor, rows: Batch) -> Tensor:
        """See `GroupLoss`."""
        means, filled = self._means(outputs, rows, None)
        worst = torch.where(filled >= _LEAST_JUDGED, means, -torch.inf).amax(1)
        return torch.where(worst.isfinite() | means.isnan().any(1), worst, means.amax(1))

    def _means(self, outputs: Tensor, rows: Batch, smoothing: Tensor | None) -> tuple[Tensor, Tensor]:
        """The mean loss of each sub-group, 0 without rows, and how many rows it has, (M, S) each."""
        assert rows.groups is not None
        each = row_losses(outputs, rows.target, None if smoothing is None else smoothing.repeat_interleave(self.heads))
        each = each.view(self.members, self.heads, -1).mean(1)
        code = rows.groups * self.classes + rows.target if self.classes > 1 else rows.groups
        own = functional.one_hot(code, self.shares.shape[1])
        weight = _weights(rows, self.members)
        below = _by_cell(weight, own)
        return _by_cell(each * weight, own) / below.clamp_min(1e-12), _by_cell(weight > 0, own)

    def narrow(self, index: Tensor) -> None:
        """See `GroupLoss`."""
        self.shares, self.steps, self.members = self.shares[index], self.steps[index], len(index)

    def state(self) -> dict[str, Tensor]:
        """See `GroupLoss`."""
        return {"shares": self.shares}


class OddsPenalty:
    """The mean loss and a penalty on how differently groups of one class are answered.

    Equalised odds (Hardt et al., NIPS 2016) asks that the answer be independent of the group given the class. The
    penalty is the root mean square, over classes and groups, of how far the mean probability that rows of a class get
    for it lies from that of all rows of the class: of two classes, gaps in TPR and FPR with probabilities in place of
    decisions. The gap itself comes from running sums, and only its slope from the batch: a root of noisy batch means
    would be biased towards groups of few rows (Wang, Fang & Liu, Stochastic Compositional Gradient Descent, 2017).
    """

    def __init__(self, groups: int, classes: int, heads: int, weights: Tensor) -> None:
        """`weights`: of the penalty beside the loss, by member, (M,)."""
        self.groups, self.classes, self.members, self.heads = groups, classes, len(weights), heads
        self.weights, shape = weights, (len(weights), groups * classes)
        self.sums, self.rows = (torch.empty(shape, device=weights.device) for _ in range(2))
        self.seen = torch.empty(1, device=weights.device)
        self.begin()

    def begin(self) -> None:
        """See `GroupLoss`."""
        for tensor in (self.sums, self.rows, self.seen):
            tensor.zero_()

    def losses(self, outputs: Tensor, rows: Batch, smoothing: Tensor | None) -> Tensor:
        """See `GroupLoss`."""
        above, below = self._totals(outputs, rows)
        with torch.no_grad():
            for running, new in ((self.sums, above.detach()), (self.rows, below)):
                running.lerp_(new, 1.0 - _MEMORY)
            self.seen.lerp_(torch.ones_like(self.seen), 1.0 - _MEMORY)
            slopes, size = self._gaps(self.sums, self.rows)
            usual = self.rows / self.seen  # weight of a group's rows in a batch, on average
        # The value of the running sums with the slope of the batch.
        moved = (slopes * above / usual.clamp_min(1e-12)).sum(1)
        return member_losses(outputs, rows, smoothing, self.heads) + self.weights * (size + moved - moved.detach())

    def judged(self, outputs: Tensor, rows: Batch) -> Tensor:
        """See `GroupLoss`."""
        _, size = self._gaps(*self._totals(outputs, rows))
        return member_losses(outputs, rows, heads=self.heads) + self.weights * size

    def _totals(self, outputs: Tensor, rows: Batch) -> tuple[Tensor, Tensor]:
        """Summed probability of their own class, and weight, of the rows of each group and class, (M, G * C) each."""
        assert rows.groups is not None
        shares = outputs.softmax(-1).view(self.members, self.heads, *outputs.shape[1:]).mean(1)
        own = shares.gather(2, rows.target.view(1, -1, 1).expand(self.members, -1, 1)).squeeze(2)
        cells = functional.one_hot(rows.groups * self.classes + rows.target, self.groups * self.classes)
        weight = _weights(rows, self.members)
        return _by_cell(own * weight, cells), _by_cell(weight, cells)

    def _gaps(self, sums: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The slope of the penalty by each mean, (M, G * C), and the penalty, (M,)."""
        shape = (self.members, self.groups, self.classes)
        above, below = sums.view(shape), rows.view(shape)
        filled = below > 0
        share = below / below.sum(1, keepdim=True).clamp_min(1e-12)
        means = above / below.clamp_min(1e-12)
        off = torch.where(filled, means - (share * means).sum(1, keepdim=True), 0.0)
        cells = filled.sum((1, 2), keepdim=True).clamp_min(1)
        size = (off.square().sum((1, 2), keepdim=True) / cells + _SMOOTH).sqrt()
        slopes = off / (cells * size)
        slopes = slopes - share * slopes.sum(1, keepdim=True)
        return slopes.flatten(1), size.view(-1)

    def narrow(self, index: Tensor) -> None:
        """See `GroupLoss`."""
        self.sums, self.rows, self.weights = self.sums[index], self.rows[index], self.weights[index]
        self.members = len(index)

    def state(self) -> dict[str, Tensor]:
        """See `GroupLoss`."""
        return {"sums": self.sums, "rows": self.rows, "seen": self.seen}
