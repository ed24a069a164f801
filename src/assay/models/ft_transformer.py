"""The FT-Transformer: (numbers, extras, codes) of n rows to outputs (M, n, outputs).

Shape legend: M members, n rows, T tokens of a row, d length of a token, h heads of attention, e length within a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Layout
from assay.models.blocks import (
    ACTIVATIONS,
    DefaultLinear,
    Generators,
    MemberEmbedding,
    MemberLayerNorm,
    MemberLinear,
    draw_uniform,
    first_columns,
)
from assay.models.config import ModelConfig
from assay.models.network import Dropout, MemberModule, Network, Noise, rows_within
from assay.models.numbers import LinearVectors, build_vectors

#: Extra inputs that get a token each; more of them (a text's buckets) share one.
_MOST_EXTRA_TOKENS = 32
#: Attention drops twice the share that the feed-forward part drops, as in the authors' default of three blocks.
_ATTENTION_FACTOR = 2.0
#: Numbers of the tokens of all members that are looked at at once without gradients; 2^25 are 128 MB.
_NUMBERS_AT_ONCE = 1 << 25


class Tokens(MemberModule):
    """A token for the answer, for each number, extra and category: (M, n, T, d), the answer's first.

    Gorishniy et al. 2021 (see `FtTransformer`), figure 2a. Numbers may be widened to vectors instead of being scaled;
    more than 32 extras, which the paper does not have, share one token.
    """

    def __init__(self, members: int, layout: Layout, training_numbers: Tensor, config: ModelConfig) -> None:
        super().__init__()
        self.length = length = config.width
        residual = config.model_copy(update={"numbers": "piecewise_residual"})
        widened = residual if config.numbers == "piecewise" else config
        plain = LinearVectors(members, layout.numbers, length) if layout.numbers else None
        self.numbers = build_vectors(members, training_numbers, widened, length) or plain
        self.keeps_numbers = config.numbers == "pbld"
        self.taken = layout.extras
        self.is_split = layout.extras <= _MOST_EXTRA_TOKENS
        self.extras = LinearVectors(members, layout.extras, length) if layout.extras and self.is_split else None
        self.together = None if self.is_split else DefaultLinear(members, layout.extras, length)
        self.categories, self.bias = None, None
        if layout.vocabularies:
            deviation = 1.0 / math.sqrt(3 * length)
            self.categories = MemberEmbedding(members, layout.vocabularies, length, deviation)
            self.bias = nn.Parameter(torch.empty(members, 1, len(layout.vocabularies) * length))
        self.answer = nn.Parameter(torch.empty(members, 1, length))
        extra_tokens = layout.extras if self.is_split else 1
        self.count = 1 + layout.numbers + extra_tokens + len(layout.vocabularies)

    def reset(self, generators: Generators) -> None:
        """The answer's token and the biases of categories as the authors' package; the rest are modules."""
        draw_uniform(self.answer, self.length, generators)
        if self.bias is not None:
            draw_uniform(self.bias, self.length, generators)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        rows = numbers.shape[0]  # len() would fix the number of rows in an export
        extras = first_columns(extras, self.taken)
        parts = [self.answer.expand(-1, rows, -1)]
        if self.numbers is not None:
            parts.append(self._number_tokens(self.numbers(numbers), numbers))
        if self.extras is not None:
            parts.append(self.extras(extras))
        if self.together is not None:
            parts.append(self.together(extras.expand(len(self.answer), -1, -1)))
        if self.categories is not None and self.bias is not None:
            parts.append(self.categories(codes) + self.bias)
        tokens: Tensor = rearrange(torch.cat(parts, dim=2), "m n (t d) -> m n t d", d=self.length)
        return tokens

    def _number_tokens(self, vectors: Tensor, numbers: Tensor) -> Tensor:
        if not self.keeps_numbers:
            return vectors
        each = rearrange(vectors, "m n (t d) -> m n t d", d=self.length - 1)
        beside = numbers.expand(len(vectors), -1, -1).unsqueeze(3)
        return torch.cat([each, beside], dim=3).flatten(2)


class Attention(nn.Module):
    """Multi-head self-attention of the tokens of a row (Vaswani et al., NeurIPS 2017): (M, n, T, d) to (M, n, t, d).

    Only the first `queries` tokens ask, where it is given: what the others would answer is not used after the last
    block.
    """

    def __init__(self, config: ModelConfig, noise: Noise) -> None:
        super().__init__()
        members, length = len(noise), config.width
        self.heads = config.attention_heads
        self.query = DefaultLinear(members, length, length, zero_bias=True)
        self.key_value = DefaultLinear(members, length, 2 * length, zero_bias=True)
        self.mix = DefaultLinear(members, length, length, zero_bias=True)
        self.dropout = Dropout(config.dropout, noise, _ATTENTION_FACTOR)

    def forward(self, tokens: Tensor, queries: int | None = None, there: Tensor | None = None) -> Tensor:
        """Compute; see the class for shapes. `there`: bool (n, T), tokens that are attended to; None is all."""
        members, heads = len(tokens), self.heads
        asking = tokens if queries is None else tokens[:, :, :queries]
        query = self.query(rearrange(asking, "m n t d -> m (n t) d"))
        query = rearrange(query, "m (n t) (h e) -> (m n) h t e", t=asking.shape[2], h=heads)
        both = self.key_value(rearrange(tokens, "m n t d -> m (n t) d"))
        key, value = rearrange(both, "m (n t) (two h e) -> two (m n) h t e", t=tokens.shape[2], two=2, h=heads)
        mask = None if there is None else repeat(there, "n t -> (m n) 1 1 t", m=members)
        found = rearrange(self._attend(query, key, value, mask), "(m n) h t e -> m (n t) (h e)", m=members)
        mixed: Tensor = rearrange(self.mix(found), "m (n t) d -> m n t d", t=asking.shape[2])
        return mixed

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        if self.dropout.is_idle:
            return functional.scaled_dot_product_attention(query, key, value, mask)
        scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        dropped: Tensor = self.dropout(scores.softmax(-1))
        return dropped @ value


class Block(nn.Module):
    """tokens + attention(norm(tokens)), then + feed-forward(norm(tokens)), gated: (M, n, T, d) to (M, n, t, d).

    The first block has no norm before its attention: with it, the paper found training worse (section 3.3, PreNorm).
    """

    def __init__(self, config: ModelConfig, noise: Noise, *, is_first: bool) -> None:
        super().__init__()
        members, length = len(noise), config.width
        inner = max(int(length * config.expansion), 1)
        self.norm = None if is_first else MemberLayerNorm(members, length)
        self.attention = Attention(config, noise)
        self.inner_norm = MemberLayerNorm(members, length)
        self.widen = DefaultLinear(members, length, 2 * inner)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout, noise)
        self.narrow = DefaultLinear(members, inner, length)

    def forward(self, tokens: Tensor, queries: int | None = None, there: Tensor | None = None) -> Tensor:
        """Compute; see the class for shapes, and `Attention` for `there`."""
        normal = tokens if self.norm is None else _over_tokens(self.norm, tokens)
        kept = tokens if queries is None else tokens[:, :, :queries]
        kept = kept + self.attention(normal, queries, there)
        rows = kept.flatten(1, 2)
        value, gate = self.widen(self.inner_norm(rows)).chunk(2, dim=2)
        rows = torch.add(rows, self.narrow(self.dropout(value * self.activation(gate))))
        return rows.view(kept.shape)


def _over_tokens(norm: nn.Module, tokens: Tensor) -> Tensor:
    normal: Tensor = norm(tokens.flatten(1, 2))
    return normal.view(tokens.shape)


class FtTransformer(Network):
    """Tokens of all inputs, blocks of attention, and a head on the answer's token.

    Gorishniy, Rubachev, Khrulkov & Babenko, Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, section
    3.3. The feed-forward part is gated (ReGLU, or the like with another activation). The head's weights start at zero
    instead of at random, so that the first loss is the prior's.
    """

    def __init__(
        self, members: int, layout: Layout, training_numbers: Tensor, outputs: int, config: ModelConfig
    ) -> None:
        super().__init__(members)
        if config.width % config.attention_heads:
            raise ValueError(f"{config.attention_heads} attention heads must divide the width {config.width}")
        self.tokens = Tokens(members, layout, training_numbers, config)
        self.blocks = nn.ModuleList(Block(config, self.noise, is_first=not i) for i in range(config.layers))
        self.norm = MemberLayerNorm(members, config.width)
        self.head = MemberLinear(members, config.width, outputs)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, members * self.tokens.count * config.width, least=64)

    def initialise(self, generators: Generators, prior: Tensor) -> None:
        """Draw the weights; the head starts at the prior."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """As ever, but tokens do not decay (the same paper, section 4.2 and the authors' code)."""
        return {
            name: (rate, 0.0 if name.startswith("tokens.") else decay)
            for name, (rate, decay) in super().factors().items()
        }

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        tokens = self.tokens(numbers, extras, codes)
        for place, block in enumerate(self.blocks, start=1):
            tokens = block(tokens, 1 if place == len(self.blocks) else None)
        out: Tensor = self.head(functional.relu(self.norm(tokens[:, :, 0])))
        return out
