"""Networks that read texts word by word: (numbers, extras, codes, words) of n rows to outputs (M, n, outputs).

Shape legend: M members, n rows, L words of a row, E length of a word's vector, F maps, d length of a token.

Words are ids of `data/texts/words.py`. Those that several training rows have get a vector each; all others share one
with words that are hidden while training. Places after a row's last word change none of its answers. As in
`series.py`, members are convolved, and recurrent units run, one after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Encoded, Layout
from assay.data.texts.words import BUCKETS, FIRST_WORD, MASK, PADDING
from assay.models.blocks import Generators, MemberLayerNorm
from assay.models.config import ModelConfig
from assay.models.ft_transformer import Block
from assay.models.late_fusion import LateFusion
from assay.models.network import MemberModule, rows_within
from assay.models.series import Convolution, Recurrent

#: Training rows that must have a word for it to be known.
LEAST_ROWS = 2
#: Numbers of one layer's maps, all members together, that are looked at at once without gradients; 2^24 are 64 MB.
_NUMBERS_AT_ONCE = 1 << 24


def known_words(ids: Tensor) -> Tensor:
    """The place of each bucket among the known words, int32 (buckets,): `MASK` where it is not one of them.

    Ids that are no words keep their place.

    ids: of training rows, (n, L).
    """
    ordered = ids.sort(1).values
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rows = torch.bincount(ordered[is_first].long(), minlength=BUCKETS)
    known = rows[FIRST_WORD:] >= LEAST_ROWS
    slots = torch.where(known, known.cumsum(0) + FIRST_WORD - 1, MASK)
    return torch.cat([torch.arange(FIRST_WORD), slots]).int()


class WordVectors(MemberModule):
    """A vector of each known word: ids (n, L) to (M, n, L, E), and where there is a word, float32 (n, L).

    Where there is none, the vector is zero.
    """

    slots: Tensor
    offsets: Tensor

    def __init__(self, members: int, slots: Tensor, length: int) -> None:
        """`slots`: see `known_words`."""
        super().__init__()
        count = int(slots.max()) + 1
        self.register_buffer("slots", slots)
        self.register_buffer("offsets", torch.arange(members, dtype=torch.int64).view(-1, 1, 1) * count)
        self.table = nn.Parameter(torch.empty(members, count, length))

    def reset(self, generators: Generators) -> None:
        """Normal vectors of unit expected length, each member from its own generator."""
        for table, generator in zip(self.table.data, generators, strict=True):
            nn.init.normal_(table, std=1.0 / math.sqrt(table.shape[1]), generator=generator)

    def cut(self, members: int) -> None:
        """The rows of the first tables are those of any."""
        self.offsets = self.offsets[:members]

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Compute; see the class for shapes."""
        there = (ids != PADDING).float()
        places = self.slots[ids.long()].long().unsqueeze(0) + self.offsets
        return functional.embedding(places, self.table.flatten(0, 1)) * there.unsqueeze(2), there


class TextNetwork(LateFusion):
    """Base: vectors of words, one vector of them, and a last linear layer that also sees the rest of the row.

    A subclass says what `read` makes of the words. What the extras say of texts is left to other networks.
    """

    def __init__(
        self, members: int, slots: Tensor, layout: Layout, outputs: int, config: ModelConfig, width: int, most: int
    ) -> None:
        """`slots`: see `known_words`; `width`: length of the vector that `read` returns; `most`: words of a row."""
        super().__init__(members, layout, outputs, width, config.dropout, extras=layout.extras - layout.texts)
        self.words = WordVectors(members, slots, config.embedding)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, members * max(width, config.embedding) * most, most=1024)

    def read(self, vectors: Tensor, there: Tensor) -> Tensor:
        """The vector of each row, (M, n, width), of its words' vectors (M, n, L, E) and of where they are, (n, L)."""
        raise NotImplementedError

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media[0] are the words, (n, L) int32, those of a row first."""
        return self.join(self.read(*self.words(_trimmed(media[0]))), numbers, extras, codes)


def _trimmed(ids: Tensor) -> Tensor:
    """Without the places that no row of these fills; one at least stays."""
    if torch.compiler.is_exporting():
        return ids
    return ids[:, : max(int((ids != PADDING).any(0).sum()), 1)]


class TextCnn(TextNetwork):
    """Convolutions of several widths side by side, and the largest of each map (Kim, EMNLP 2014, section 2).

    widths: words that a convolution sees.
    """

    def __init__(
        self, members: int, slots: Tensor, layout: Layout, outputs: int, config: ModelConfig, most: int,
        widths: tuple[int, ...] = (3, 4, 5),
    ) -> None:  # fmt: skip
        super().__init__(members, slots, layout, outputs, config, len(widths) * config.width, most)
        self.convolutions = nn.ModuleList(Filters(members, config.embedding, config.width, width) for width in widths)

    def read(self, vectors: Tensor, there: Tensor) -> Tensor:
        """See the base."""
        maps = vectors.transpose(2, 3)
        # Maps are not below zero, so that zeros after the last word are never the largest alone.
        return torch.cat([(each(maps) * there.unsqueeze(1)).amax(3) for each in self.convolutions], dim=2)


class Filters(nn.Module):
    """A convolution, a shift of each map, ReLU: (M, n, E, L) to (M, n, F, L)."""

    def __init__(self, members: int, inputs: int, maps: int, width: int) -> None:
        super().__init__()
        self.convolution = Convolution(members, inputs, maps, width)
        self.shift = Shift(members, maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return functional.relu(self.shift(self.convolution(maps)))


class Shift(MemberModule):
    """A number added to each map: (M, n, F, L) to the same."""

    def __init__(self, members: int, maps: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(members, 1, maps, 1))

    def reset(self, generators: Generators) -> None:
        """Nothing is added at first; `generators` are not drawn from."""
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return maps + self.bias


class RecurrentText(TextNetwork):
    """Base: gated units read the words forwards and backwards; the mean and the largest of their states.

    Steps after a row's last word are computed and not used, which is what packing gives (Schuster & Paliwal,
    Bidirectional recurrent neural networks, 1997). Gradients through many steps explode: train with clipping.
    """

    kind: Literal["gru", "lstm"]

    def __init__(
        self, members: int, slots: Tensor, layout: Layout, outputs: int, config: ModelConfig, most: int
    ) -> None:
        super().__init__(members, slots, layout, outputs, config, 4 * config.width, most)
        self.forwards = Recurrent(members, config.embedding, config.width, config.layers, self.kind)
        self.backwards = Recurrent(members, config.embedding, config.width, config.layers, self.kind)

    def factors(self) -> dict[str, tuple[float, float]]:
        """As ever: matrices decay, vectors do not."""
        return {name: (1.0, float("weight" in name or "table" in name)) for name, _ in self.named_parameters()}

    def read(self, vectors: Tensor, there: Tensor) -> Tensor:
        """See the base."""
        last = there.sum(1, keepdim=True).long() - 1  # (n, 1)
        turned = (last - torch.arange(there.shape[1], device=there.device)).clamp(min=0)
        turned = turned.view(1, *turned.shape, 1).expand_as(vectors)
        # Words in the opposite order, from a row's last word on: pooling does not ask for the order of states.
        states = torch.cat([self.forwards(vectors), self.backwards(vectors.gather(2, turned))], dim=3)
        return torch.cat([_mean(states, there), _largest(states, there)], dim=2)


def _mean(states: Tensor, there: Tensor) -> Tensor:
    """Of states (M, n, L, W) where there are words (n, L): (M, n, W); zero of no words."""
    summed: Tensor = (states * there.unsqueeze(2)).sum(2)
    return summed / there.sum(1, keepdim=True).clamp(min=1.0)


def _largest(states: Tensor, there: Tensor) -> Tensor:
    """Of states between -1 and 1 (M, n, L, W) where there are words (n, L): (M, n, W); -1 of no words."""
    return torch.where(there.unsqueeze(2) > 0, states, -1.0).amax(2)


class TextGru(RecurrentText):
    """Gated recurrent units, see `Recurrent`."""

    kind = "gru"


class TextLstm(RecurrentText):
    """Long short-term memory, see `Recurrent`."""

    kind = "lstm"


class TextTransformer(TextNetwork):
    """Attention among the words of a row, and the mean of what comes out (Vaswani et al., NeurIPS 2017).

    Places are told by waves (the same, section 3.5), and the norm stands before each part (Xiong et al., On layer
    normalization in the transformer architecture, ICML 2020). Blocks are those of `FtTransformer`.
    """

    waves: Tensor

    def __init__(
        self, members: int, slots: Tensor, layout: Layout, outputs: int, config: ModelConfig, most: int
    ) -> None:
        if config.width % config.attention_heads:
            raise ValueError(f"{config.attention_heads} attention heads must divide the width {config.width}")
        config = config.model_copy(update={"embedding": config.width})
        super().__init__(members, slots, layout, outputs, config, config.width, most)
        self.register_buffer("waves", waves(most, config.width))
        self.blocks = nn.ModuleList(Block(config, self.noise, is_first=False) for _ in range(config.layers))
        self.norm = MemberLayerNorm(members, config.width)

    def factors(self) -> dict[str, tuple[float, float]]:
        """As ever, but vectors of words do not decay, as those of tables in `FtTransformer`."""
        return {name: (1.0, float(name.endswith("weight"))) for name, _ in self.named_parameters()}

    def read(self, vectors: Tensor, there: Tensor) -> Tensor:
        """See the base."""
        words = there > 0
        # A row without words attends to its first place, which is then not counted: of nothing there is no softmax.
        attended = torch.cat([torch.ones_like(words[:, :1]), words[:, 1:]], dim=1)
        tokens = vectors + self.waves[: vectors.shape[2]]
        for block in self.blocks:
            tokens = block(tokens, None, attended)
        normal = self.norm(tokens.flatten(1, 2)).view(tokens.shape)
        return _mean(normal, there)


def waves(places: int, length: int) -> Tensor:
    """Sines and cosines of each place, (places, length), of the deviation that vectors of words start with."""
    rates = torch.exp(torch.arange(0, length, 2, dtype=torch.float64) * (-math.log(10_000.0) / length))
    turns = torch.arange(places, dtype=torch.float64).unsqueeze(1) * rates
    made = torch.stack([turns.sin(), turns.cos()], dim=2).flatten(1)[:, :length]
    return (made / math.sqrt(length)).float()


#: Networks of texts by name.
TEXT_NETWORKS: dict[str, Callable[[int, Tensor, Layout, int, ModelConfig, int], TextNetwork]] = {
    "text_cnn": TextCnn,
    "text_gru": TextGru,
    "text_lstm": TextLstm,
    "text_transformer": TextTransformer,
}


def build_text(config: ModelConfig, layout: Layout, outputs: int, members: int, rows: Encoded | None) -> TextNetwork:
    """The network of texts that `config` names; it knows the words of the training `rows`.

    Raises:
        ValueError: there are no rows, or their words were not read.
    """
    places = layout.places("words")
    if rows is None or not places or not len(rows):
        raise ValueError(f"{config.name} needs training rows whose texts are read word by word")
    view = layout.media[places[0]]
    most = sum(item.words for item in view.items) + len(view.items) - 1
    network = TEXT_NETWORKS[config.name](members, known_words(rows.media[places[0]]), layout, outputs, config, most)
    network.reads = places
    return network
