"""Rows at the border of their class, from which alone rows are made: Borderline-SMOTE (Han, Wang & Mao, ICIC 2005).

A row is in danger where at least half of its nearest rows, but not all, are of other classes (section 3); one among
others alone is taken for noise. Each member judges by the rows that it learns from: what a fold judges has no say in
where the rows are made that its members learn from.

Shape legend: M members, n rows, b rows of the classes that get more, K rows near each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from assay.train.near import nearest

#: Rows by which danger is told (the paper's m), and those nearest that are kept, for a member learns from some only.
_TOLD_BY, _NEAR = 10, 40
#: Rows of a class that are looked at, rows of all classes that are near them, and rows whose distances are had at once.
_OF_CLASS, _OF_ALL, _AT_ONCE = 10_000, 20_000, 512


@dataclass(frozen=True)
class Border:
    """What tells which rows are at the border of their class.

    places: of rows of the classes that get more, int64 (b,). near: the nearest others of all classes, the nearest
    first, int64 (b, K). foreign: whether these are of another class, bool (b, K).
    """

    places: Tensor
    near: Tensor
    foreign: Tensor

    @classmethod
    def of(cls, numbers: Tensor, target: Tensor, draws: Tensor) -> Border:
        """Look for the rows near those of each class that is drawn more often than it is there.

        Args:
            numbers: of the rows, float32 (n, d). target: their classes, int64 (n,). draws: rows of each class in an
                epoch, (C,).
        """
        counts = torch.bincount(target, minlength=len(draws))
        grown = [(target == at).nonzero().flatten() for at in (draws > counts).nonzero().flatten().tolist()]
        places = torch.cat([_some(own, _OF_CLASS) for own in grown]) if grown else torch.arange(0)
        among = _some(torch.arange(len(target)), _OF_ALL)
        most = min(_NEAR, len(among) - 1)
        near = [nearest(numbers, some, among, most) for some in places.split(_AT_ONCE)]
        found = torch.cat(near) if near else torch.empty((0, most), dtype=torch.int64)
        return cls(places, found, target[found] != target[places].unsqueeze(1))

    def counts(self, target: Tensor, weight: Tensor | None) -> Tensor:
        """What a copy of each row counts for each member: 0 away from its border, else alike, float32 (M, n).

        Copies are of the rows that are at the border for any member. What all of them together count for a member is
        what copies of all rows of the class would. A class without a row at its border has copies of all that were
        looked at.

        Args:
            target: classes of all rows, (n,). weight: of the rows, (n,), or (M, n) for each member its own, or None.
        """
        weight = torch.ones(1, len(target)) if weight is None else weight.float().reshape(-1, len(target))
        danger = self._danger(weight > 0.0)
        found, classes = torch.zeros_like(weight), target[self.places]
        for name in classes.unique().tolist():
            ours = classes == name
            own, places = danger[:, ours], self.places[ours]
            own = own | ~own.any(1, keepdim=True)
            drawn = own.any(0)
            counted = own[:, drawn] * weight[:, places[drawn]]
            whole, theirs = weight[:, target == name].mean(1), counted.mean(1)
            factor = torch.where(theirs > 0.0, whole / theirs.clamp_min(1e-12), 1.0)
            found[:, places] = own * factor.unsqueeze(1)
        return found

    def _danger(self, learns: Tensor) -> Tensor:
        """Whether rows are in danger by the rows that each member learns from, (M, b), of `learns` (M, n)."""
        found = []
        for own in learns:
            seen = own[self.near]
            seen &= seen.cumsum(1) <= _TOLD_BY
            foreign, near = (seen & self.foreign).sum(1), seen.sum(1)
            found.append(own[self.places] & (2 * foreign >= near) & (foreign < near))
        return torch.stack(found)


def _some(places: Tensor, most: int) -> Tensor:
    """So many of the places at most, evenly apart."""
    return places[torch.linspace(0, len(places) - 1, min(len(places), most), dtype=torch.float64).long()]
