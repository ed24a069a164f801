"""Members: networks of one architecture trained as one batch, each with its own seed, settings, rows and end.

What members share is the size of a batch, the order of the rows and the shape of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assay.models.network import Network
from assay.train.config import TrainConfig
from assay.train.optimise.flat import Flat


@dataclass(frozen=True)
class Member:
    """What one member is trained with.

    own: options of which its schedule, its limit of the gradient and its betas are taken; None for those of all.
    """

    seed: int
    lr: float
    weight_decay: float
    dropout: float
    label_smoothing: float
    patience: int
    own: TrainConfig | None = None


def alike(count: int, config: TrainConfig, *, dropout: float, seed: int) -> tuple[Member, ...]:
    """`count` members that differ in their seed only, from `seed` on (Lakshminarayanan et al., NeurIPS 2017)."""
    return tuple(
        Member(seed + place, config.lr, config.decay, dropout, config.label_smoothing, config.patience)
        for place in range(count)
    )


#: Factors of the learning rate and of the dropout share that varied members take in turn.
_VARIATIONS = ((1.0, 1.0), (0.5, 0.0), (1.5, 1.5), (1.0, 0.5), (0.7, 2.0), (2.0, 1.0), (0.7, 0.5), (1.5, 0.0))
_MOST_DROPOUT = 0.5


def varied(count: int, alike_each: int, config: TrainConfig, *, dropout: float, seed: int) -> tuple[Member, ...]:
    """Members that differ in learning rate and dropout as well: the first has the settings asked for.

    `alike_each` neighbours have the same settings: the folds of one variant.

    Wenzel et al., Hyperparameter Ensembles for Robustness and Uncertainty Quantification (NeurIPS 2020): such members
    disagree more, and the weights drop those that a setting does not suit.
    """
    members = alike(count, config, dropout=dropout, seed=seed)
    factors = [_VARIATIONS[place // alike_each % len(_VARIATIONS)] for place in range(count)]
    return tuple(
        replace(member, lr=member.lr * rate, dropout=min(member.dropout * share, _MOST_DROPOUT))
        for member, (rate, share) in zip(members, factors, strict=True)
    )


def bootstrap_weights(rows: int, seeds: Sequence[int]) -> Tensor:
    """Poisson(1) row weights of a bag for each seed, (M, n): online bagging (Oza & Russell, AISTATS 2001)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.poisson(torch.ones(rows), generator=generator) for generator in generators])


def weighted(rows: Tensor | None, members: Tensor) -> Tensor:
    """Row weights (n,) or None times the members' own, (M, n)."""
    return members if rows is None else members * rows


class Kept:
    """Each member's weights from its own best validation epoch, and whether it has stopped."""

    def __init__(self, network: Network, flat: Flat, patience: Sequence[int]) -> None:
        self.flat = flat
        self.statistics = network.statistics()
        self.patience = torch.tensor(patience)
        self.best = torch.full((flat.members,), torch.inf)
        self.epochs = torch.zeros(flat.members, dtype=torch.int64)
        self.stopped = torch.zeros(flat.members, dtype=torch.bool)
        self.weights = flat.weights.clone()
        self.kept_statistics = {name: tensor.clone() for name, tensor in self.statistics.items()}

    @property
    def epoch(self) -> int:
        """The latest epoch that a member's weights are from; 0 before the first."""
        return int(self.epochs.max())

    def look(self, judged: Tensor, epoch: int) -> bool:
        """Keep the weights of members whose judgement (M,), lower is better, is the best so far; whether any did.

        A member that has waited its patience out stops: its weights stay as they were kept. So does one whose judgement
        is not a number.
        """
        judged = judged.detach().cpu()
        better = (judged < self.best) & ~self.stopped
        if bool(better.any()):
            self._keep(better)
            self.best = torch.where(better, judged, self.best)
            self.epochs[better] = epoch
        self.stopped |= (epoch - self.epochs >= self.patience) | ~judged.isfinite()
        return bool(better.any())

    def keep(self, places: Sequence[int], epoch: int) -> None:
        """Keep the weights of these members as they are, whatever was judged."""
        which = torch.zeros(self.flat.members, dtype=torch.bool)
        which[list(places)] = True
        self._keep(which)
        self.epochs[which] = epoch

    def narrow(self, network: Network, index: Tensor) -> None:
        """Keep these members alone, as the network and `flat` have before this."""
        self.statistics = network.statistics()
        self.weights = self.weights[index]
        if self.kept_statistics:
            self.kept_statistics = {name: tensor[index] for name, tensor in self.kept_statistics.items()}
        index = index.cpu()
        self.patience, self.best, self.epochs = self.patience[index], self.best[index], self.epochs[index]
        self.stopped = self.stopped[index]

    def _keep(self, which: Tensor) -> None:
        members = which.to(self.weights.device)
        self.weights[members] = self.flat.weights[members]
        for name, tensor in self.statistics.items():
            kept = self.kept_statistics[name]
            if self.flat.members == 1:
                kept.copy_(tensor)
            else:
                kept[members] = tensor[members]

    def put_back(self) -> list[int]:
        """Give the network the kept weights; members that never had finite ones become copies of the best.

        Returns:
            The places of those members.
        """
        self.flat.weights.copy_(self.weights)
        for name, tensor in self.statistics.items():
            tensor.copy_(self.kept_statistics[name])
        lost = [place for place in range(self.flat.members) if not bool(self.best[place].isfinite())]
        source = int(self.best.argmin())
        for place in lost:
            self.flat.weights[place] = self.flat.weights[source]
            for tensor in self.statistics.values():
                tensor[place] = tensor[source]
        return lost

    def state(self) -> dict[str, Tensor]:
        """The tensors to save."""
        own = {"best": self.best, "epochs": self.epochs, "stopped": self.stopped, "weights": self.weights}
        return own | {f"statistics.{name}": tensor for name, tensor in self.kept_statistics.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
