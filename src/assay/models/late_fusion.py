"""What networks of series and of texts have in common: one vector a row, beside which the rest of the row stands."""

from __future__ import annotations

import torch
from torch import Tensor

from assay.data.encoding.encode import Layout
from assay.models.blocks import Generators, Inputs, MemberEmbedding, MemberLinear
from assay.models.network import Dropout, Network

_LONGEST_EMBEDDING = 8


class LateFusion(Network):
    """Base: a last linear layer on the vector of a row's series or texts and on the rest of the row.

    Numbers, extras and vectors of categories stand beside the vector, so that a row's table and what else it has are
    joined late. The head starts at the prior.
    """

    def __init__(
        self, members: int, layout: Layout, outputs: int, width: int, dropout: float = 0.0, *, extras: int | None = None
    ) -> None:
        """`width`: length of the vector; `extras`: how many of them stand beside it, the first; None takes all."""
        super().__init__(members)
        length = min(_LONGEST_EMBEDDING, max(layout.vocabularies, default=1))
        self.embedding = MemberEmbedding(members, layout.vocabularies, length) if layout.vocabularies else None
        self.extras = layout.extras if extras is None else extras
        beside = layout.numbers + self.extras + length * len(layout.vocabularies)
        self.dropout = Dropout(dropout, self.noise)
        # Nothing is joined where there is nothing: an exporter leaves columns without columns in double precision.
        self.has_numbers = layout.numbers + self.extras > 0
        self.head = MemberLinear(members, beside + width, outputs)

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def join(self, vector: Tensor, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """The outputs (M, n, outputs) of vectors (M, n, width) and the rest of each row."""
        vector = self.dropout(vector)
        own = vector if self.embedding is None else torch.cat([self.embedding(codes), vector], dim=2)
        shared = torch.cat([numbers, extras[:, : self.extras]], dim=1) if self.has_numbers else None
        out: Tensor = self.head(own if shared is None else Inputs(shared, own))
        return out
