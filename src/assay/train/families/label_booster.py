"""Boosted trees of labels that do not exclude each other: a booster for each label, side by side, and one forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.models.trees import Forest
from assay.train.families.booster import Booster, Columns, Learned, NothingToLearnError

Floats = NDArray[np.float64]


class LabelBooster:
    """Boosters of labels on the same rows; to the outside they are one `Booster` whose losses are means over labels.

    A label that all training rows have, or none, or that no booster can be fitted to, stands where the prior has it.
    Each label ends with the rounds of its own lowest validation loss.

    Args:
        check: called before the first rounds of each label; it may raise.

    Raises:
        NothingToLearnError: there is no label that anything can be learned of.
    """

    def __init__(
        self,
        train: Learned,
        valid: Learned,
        columns: Columns,
        *,
        rate: float,
        most: int,
        seed: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self.labels = train.target.shape[1]
        self._boosters: dict[int, Booster] = {}
        for label in range(self.labels):
            own, other = _of_label(train, label), _of_label(valid, label)
            try:
                self._boosters[label] = Booster(own, other, columns, rate=rate, most=most, seed=seed)
            except NothingToLearnError:
                continue
        if not self._boosters:
            raise NothingToLearnError("no label varies in its training rows")

    @property
    def rounds(self) -> int:
        """Rounds grown so far, of the label that has most."""
        return max(booster.rounds for booster in self._boosters.values())

    @property
    def done(self) -> bool:
        """Whether no label gains by more rounds, or may have more."""
        return all(booster.done for booster in self._boosters.values())

    @property
    def valid_losses(self) -> Floats:
        """Mean over the labels of the lowest validation loss up to each round."""
        return self._mean([np.minimum.accumulate(each.valid_losses) for each in self._boosters.values()])

    @property
    def train_losses(self) -> Floats:
        """Mean over the labels of the training loss after each round."""
        return self._mean([each.train_losses for each in self._boosters.values()])

    @property
    def best(self) -> int:
        """Rounds from which on no label is better, one at least."""
        return max(booster.best for booster in self._boosters.values())

    def _mean(self, losses: Sequence[Floats]) -> Floats:
        """The mean of curves of different lengths, each going on as it ended."""
        length = max(len(each) for each in losses)
        return np.asarray(np.mean([np.pad(each, (0, length - len(each)), mode="edge") for each in losses], axis=0))

    def grow(self, rounds: int) -> None:
        """Grow at most so many rounds more of each label that is not done."""
        for booster in self._boosters.values():
            if not booster.rounds:
                self._check()
            if not booster.done:
                booster.grow(rounds)

    def forest(self, prior: Floats) -> Forest:
        """The trees of all labels up to their best rounds; other labels stand where `prior`, (labels,), has them."""
        forests = {label: booster.forest(np.zeros(2)) for label, booster in self._boosters.items()}
        return joined_forest(forests, prior)


def _of_label(rows: Learned, label: int) -> Learned:
    return Learned(rows.matrix, rows.target[:, label].astype(np.int64), rows.weight)


@dataclass
class _Nodes:
    """Nodes of trees one after another, as they are put together."""

    feature: list[Tensor] = field(default_factory=list)
    threshold: list[Tensor] = field(default_factory=list)
    left: list[Tensor] = field(default_factory=list)
    value: list[Tensor] = field(default_factory=list)
    offset: list[Tensor] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    count: int = 0

    def add(self, forest: Forest, first: int, end: int, sets: int) -> None:
        """The tree of these nodes of a forest, whose sets begin so much later."""
        part = slice(first, end)
        self.roots.append(self.count)
        self.feature.append(forest.feature[part])
        self.threshold.append(forest.threshold[part])
        self.left.append(forest.left[part] + (self.count - first))
        self.value.append(forest.value[part])
        self.offset.append(torch.where(forest.offset[part] >= 0, forest.offset[part] + sets, -1))
        self.count += end - first

    def add_nothing(self, like: Forest) -> None:
        """A tree that adds nothing, where a label has fewer rounds than others: a leaf of 0."""
        self.roots.append(self.count)
        self.feature.append(like.feature.new_zeros(1))
        self.threshold.append(like.threshold.new_full((1,), torch.inf))
        self.left.append(like.left.new_full((1,), self.count))
        self.value.append(like.value.new_zeros(1))
        self.offset.append(like.offset.new_full((1,), -1))
        self.count += 1


def joined_forest(forests: dict[int, Forest], prior: Floats) -> Forest:
    """Forests of two classes, one a label, as one forest whose outputs are the logits of the labels.

    Args:
        forests: by label, each with one tree a round and two outputs, of which the second is that a row has the label.
        prior: logits of all labels, (labels,), which labels without a forest keep.
    """
    first = next(iter(forests.values()))
    ends = {label: [*each.roots[1:, 0].tolist(), len(each.left)] for label, each in forests.items()}
    sets: dict[int, int] = {}
    rights: list[Tensor] = []
    for label, each in forests.items():  # the first entry of `right` is no code's, and one of them is enough
        sets[label] = sum(map(len, rights)) - (1 if rights else 0)
        rights.append(each.right[bool(rights) :])
    nodes = _Nodes()
    for place in range(max(each.rounds for each in forests.values())):
        for label, each in forests.items():
            if place < each.rounds:
                nodes.add(each, int(each.roots[place, 0]), ends[label][place], sets[label])
            else:
                nodes.add_nothing(first)
    start = torch.from_numpy(prior.astype(np.float64).copy())
    for label, each in forests.items():
        start[label] = each.start[1] - each.start[0]
    return Forest(
        feature=torch.cat(nodes.feature),
        threshold=torch.cat(nodes.threshold),
        left=torch.cat(nodes.left),
        value=torch.cat(nodes.value),
        offset=torch.cat(nodes.offset),
        right=torch.cat(rights),
        roots=torch.tensor(nodes.roots).view(-1, len(forests)),
        columns=torch.tensor(list(forests)),
        start=start,
        depth=torch.stack([each.depth for each in forests.values()]).max(),
    )
