"""All inputs of a row as the columns of a network's first layer.

Shape legend: M members, n rows, N numbers, X extras, C category columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.data.inputs import FIRST_KNOWN
from assay.models.blocks import Inputs, MemberEmbedding, OneHot, first_columns
from assay.models.config import ModelConfig
from assay.models.numbers import PiecewiseLinear, build_vectors


class Features(nn.Module):
    """Numbers (widened), extras and categories side by side: numbers (n, N), extras (n, X), codes (n, C) to `Inputs`.

    Columns, in this order: numbers; their bins; extras, the first that the layout has; categories as one-hot; vectors
    of numbers; vectors of categories.

    most_one_hot: known categories up to which a column is one-hot instead of a vector.
    signed: whether one-hot columns of two categories become one column of 1 and -1.
    deviation: of the initial vectors of categories.
    width: how many columns there are; `chunks`: sizes of the runs of columns that belong together; `missing`: places of
        the one-hot columns of missing categories.
    """

    narrow: Tensor
    wide: Tensor

    def __init__(
        self,
        members: int,
        layout: Layout,
        training_numbers: Tensor,
        config: ModelConfig,
        *,
        most_one_hot: int = 0,
        signed: bool = False,
        deviation: float | None = None,
    ) -> None:
        super().__init__()
        is_narrow = [size - FIRST_KNOWN <= most_one_hot for size in layout.vocabularies]
        narrow, wide = (
            tuple(size for size, one in zip(layout.vocabularies, is_narrow, strict=True) if one is wanted)
            for wanted in (True, False)
        )
        length = min(config.embedding, max(wide, default=1))
        has_bins = config.numbers == "piecewise" and config.number_bins and layout.numbers
        self.bins = PiecewiseLinear(training_numbers, config.number_bins) if has_bins else None
        self.vectors = build_vectors(members, training_numbers, config)
        self.keeps_numbers = self.vectors is None or config.numbers == "pbld"
        self.one_hot = OneHot(narrow, signed=signed) if narrow else None
        self.embedding = MemberEmbedding(members, wide, length, deviation) if wide else None
        self.register_buffer("narrow", torch.tensor([i for i, one in enumerate(is_narrow) if one], dtype=torch.int64))
        self.register_buffer("wide", torch.tensor([i for i, one in enumerate(is_narrow) if not one], dtype=torch.int64))
        before = ([1] * layout.numbers if self.keeps_numbers else []) + (self.bins.sizes if self.bins else [])
        before += [1] * layout.extras
        self.extras = layout.extras
        own = [self.vectors.length] * layout.numbers if self.vectors else []
        self.chunks = before + (self.one_hot.sizes if self.one_hot else []) + own + [length] * len(wide)
        self.width = sum(self.chunks)
        self.missing = [sum(before) + place for place in (self.one_hot.missing if self.one_hot else [])]

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Inputs:
        """Compute; see the class for shapes."""
        extras = first_columns(extras, self.extras)
        shared, own = [extras] if self.extras else [], []
        if self.bins is not None:
            shared.insert(0, self.bins(numbers))
        if self.keeps_numbers:
            shared.insert(0, numbers)
        if self.one_hot is not None:
            shared.append(self.one_hot(codes if self.embedding is None else codes.index_select(1, self.narrow)))
        if self.vectors is not None:
            own.append(self.vectors(numbers))
        if self.embedding is not None:
            own.append(self.embedding(codes if self.one_hot is None else codes.index_select(1, self.wide)))
        together = own[0] if len(own) == 1 else (torch.cat(own, dim=2) if own else None)
        if not shared:
            shared.append(extras)
        return Inputs(shared[0] if len(shared) == 1 else torch.cat(shared, dim=1), together)
