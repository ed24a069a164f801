"""A linear model of sparse bags of n-grams, as a network: fitted elsewhere, it stands here as plain tensors.

Counts become weights by TF-IDF as in `data/texts/tfidf.py`. What else a row has stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.models.blocks import OneHot, first_columns
from assay.models.network import Network

#: Numbers that one gather of weights may make; more rows than that are answered in blocks.
_GATHERED = 1 << 24


@dataclass(frozen=True)
class LinearText:
    """A member: idf (known + 1,), weights (known + 1, outputs), bias (outputs,), weights of `RowColumns`, float32.

    Row 0 of idf and weights is of unknown n-grams, and zero. beside: (columns, outputs).
    """

    idf: Tensor
    weights: Tensor
    bias: Tensor
    beside: Tensor

    def tensors(self) -> Mapping[str, Tensor]:
        """The fields by name, from which `LinearText` is made again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class RowColumns(nn.Module):
    """What a row has beside its texts: numbers (n, N), extras (n, X) and codes (n, C) to (n, `outputs`) float32.

    Numbers, extras that are not of texts, and categories as one-hot; nothing is learned.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        plain = layout.without_texts()
        self.extras = plain.extras
        self.one_hot = OneHot(plain.vocabularies, signed=False)
        self.outputs = plain.numbers + plain.extras + self.one_hot.outputs

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class."""
        parts = [numbers, first_columns(extras, self.extras), self.one_hot(codes)]
        return torch.cat([part for part in parts if part.shape[1]], 1).float()


class BagOfNgrams(Network):
    """One linear model a member; nothing in it is a parameter, for it is fitted by another method than descent.

    Shapes: as every network; it reads the bags (n, k) int32 of the text columns, bucket + buckets * count.
    """

    slots: Tensor
    idf: Tensor
    weights: Tensor
    bias: Tensor
    beside: Tensor

    def __init__(
        self, slots: Tensor, members: Sequence[LinearText], reads: Sequence[int], buckets: int, layout: Layout
    ) -> None:
        """`slots`: see `tfidf.Lexicon`; `reads`: places of the bags among the media, each with so many `buckets`."""
        super().__init__(len(members))
        self.reads, self.buckets = tuple(reads), buckets
        self.columns = RowColumns(layout)
        self.register_buffer("slots", slots)
        # N-grams lead, so that one gather brings the weights of all members.
        self.register_buffer("idf", torch.stack([member.idf for member in members], 1))
        self.register_buffer("weights", torch.stack([member.weights for member in members], 1))
        self.register_buffer("bias", torch.stack([member.bias for member in members]).unsqueeze(1))
        self.register_buffer("beside", torch.stack([member.beside for member in members]))

    @property
    def parameter_count(self) -> int:
        """Learned numbers, all members together."""
        return self.idf[1:].numel() + self.weights[1:].numel() + self.bias.numel() + self.beside.numel()

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute; see the class."""
        texts = self._texts(media)
        if not self.columns.outputs:
            return texts
        beside: Tensor = self.columns(numbers, extras, codes) @ self.beside
        return texts + beside

    def _texts(self, media: tuple[Tensor, ...]) -> Tensor:
        if torch.compiler.is_exporting():
            return self._answer(media)
        rows = max(1, _GATHERED // max(self.weights[0].numel() * max(bags.shape[1] for bags in media), 1))
        blocks = zip(*(bags.split(rows) for bags in media), strict=True)
        return torch.cat([self._answer(block) for block in blocks], 1)

    def _answer(self, media: tuple[Tensor, ...]) -> Tensor:
        added = [part for place, bags in enumerate(media) for part in self._column(bags.long(), place * self.buckets)]
        answer: Tensor = sum(added[1:], added[0]) + self.bias
        return answer

    def _column(self, bags: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """What the words and what the letters of a column add, (M, n, outputs) each."""
        bucket, count = bags % self.buckets, bags // self.buckets
        slot = self.slots[bucket + first].long() * (count > 0)
        often = (1.0 + count.clamp_min(1).float().log()).unsqueeze(2)
        is_letters = (bucket >= self.buckets // 2).long()
        return self._weighed(slot * (1 - is_letters), often), self._weighed(slot * is_letters, often)

    def _weighed(self, slot: Tensor, often: Tensor) -> Tensor:
        """What the n-grams at `slot` (n, k) add, together of length one; slot 0 is of none."""
        weight = often * self.idf[slot]  # (n, k, M)
        weight = weight / weight.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        return torch.einsum("nkm,nkmo->mno", weight, self.weights[slot])
