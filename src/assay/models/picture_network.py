"""What networks of pictures have in common: the columns beside the picture, and the views that are averaged.

Shape legend: M members, n rows, C channels, H height, W width, F features, N numbers, X extras, c category columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.encode import Layout
from assay.models.blocks import MemberEmbedding, MemberLinear
from assay.models.network import Network


class PictureNetwork(Network):
    """A network of one picture a row; numbers, extras and vectors of categories join the picture's features.

    Once it is trained, its answer is the mean over views of the picture: test-time augmentation, inside the network and
    so inside the file. Training, and choosing the epoch, go without.

    mirror: whether the mirror image is one of the views. shift: pixels by which two further views are moved along the
    diagonal, as in airbench (Jordan, arXiv 2404.00498, 3.7), where they count as much as the unmoved; 0 for none.

    Shapes:
        numbers (n, N) float32, extras (n, X) float32, codes (n, c) int64, media[0] (n, C, H, W) uint8 (or float of
        0 to 255, as mixing gives them). Returns (M, n, outputs).
    """

    mirror: bool = False
    shift: int = 0

    @property
    def views(self) -> int:
        """Pictures that are looked at for one answer."""
        return (2 if self.mirror else 1) * (3 if self.shift else 1)

    def set_head(self, layout: Layout, features: int, outputs: int, embedding: int) -> None:
        """Make the parts behind the picture's features; `embedding` is the longest vector of a category."""
        vocabularies = layout.vocabularies
        length = min(embedding, max(vocabularies, default=1))
        self.embedding = MemberEmbedding(self.members, vocabularies, length) if vocabularies else None
        beside = layout.numbers + layout.extras + length * len(vocabularies)
        # Nothing is joined where there is nothing: an exporter leaves columns without columns in double precision.
        self.has_numbers = layout.numbers + layout.extras > 0
        self.head = MemberLinear(self.members, features + beside, outputs)

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def pooled(self, pictures: Tensor) -> Tensor:
        """The features of pictures, (M, n, F)."""
        raise NotImplementedError

    def look(self, *, mirror: bool, shift: int) -> None:
        """Answer from these views from now on; as many rows fit into a call as pictures did."""
        pictures = self.rows_at_once * self.views
        self.mirror, self.shift = mirror, shift
        self.rows_at_once = max(1, pictures // self.views)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        pictures = media[0]
        parts = [self.pooled(pictures) if self.training or self.views == 1 else self._over_views(pictures)]
        if self.has_numbers:
            parts.append(torch.cat([numbers, extras], dim=1).unsqueeze(0).expand(self.members, -1, -1))
        if self.embedding is not None:
            parts.append(self.embedding(codes))
        out: Tensor = self.head(torch.cat(parts, dim=2))
        return out

    def _over_views(self, pictures: Tensor) -> Tensor:
        """The mean features of the views, (M, n, F): what is behind them is linear, so it is the mean answer as well.

        All views go through the network as one batch, so that it stands in the file once.
        """
        views = [pictures]
        if self.shift:
            padded = functional.pad(pictures.float(), (self.shift,) * 4, mode="reflect")
            height, width = pictures.shape[2:]
            moved = [padded[:, :, at : at + height, at : at + width] for at in (0, 2 * self.shift)]
            views = [pictures.float(), *moved]
        # The picture as it stands counts as much as both that are moved.
        shares = [0.5, 0.25, 0.25] if self.shift else [1.0]
        if self.mirror:
            views, shares = [*views, *(view.flip(3) for view in views)], [share / 2 for share in [*shares, *shares]]
        found = self.pooled(torch.cat(views))
        apart = found.view(self.members, len(views), pictures.shape[0], found.shape[2])
        return (apart * torch.tensor(shares, device=apart.device).view(1, -1, 1, 1)).sum(1)
