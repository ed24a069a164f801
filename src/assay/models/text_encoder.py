"""A pretrained encoder of sentences: windows of token ids to one vector a text. No I/O: `weights.py` opens files.

The architecture is BERT (Devlin et al., NAACL 2019) with the mean of the tokens' last states as the sentence's vector,
brought to length one (Reimers & Gurevych, Sentence-BERT, EMNLP 2019). A text of several windows has the mean over the
tokens of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class BertSizes:
    """Sizes of an encoder, as `config.json` of Hugging Face's format has them."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    positions: int
    epsilon: float = 1e-12


class TextEncoder(nn.Module):
    """Windows of tokens to sentence vectors.

    Shapes: ids (n, windows, tokens) int32 or int64, token id + 1 and 0 where there is none; returns (n, width) float32.
    """

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.words = nn.Embedding(sizes.vocabulary, sizes.width)
        self.positions = nn.Embedding(sizes.positions, sizes.width)
        self.kind = nn.Parameter(torch.zeros(sizes.width))
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))

    @property
    def width(self) -> int:
        """Length of a sentence's vector."""
        return self.sizes.width

    def forward(self, ids: Tensor) -> Tensor:
        """Encode; see the class for shapes."""
        return mean_of_tokens(self.states(rearrange(ids, "n w t -> (n w) t")), ids)

    def states(self, ids: Tensor) -> Tensor:
        """The last state of every token, (m, tokens, width), of m windows (m, tokens)."""
        return through(self.layers, self.embedded(ids), ids)

    def embedded(self, ids: Tensor) -> Tensor:
        """What the first layer is given, (m, tokens, width)."""
        words = self.words((ids.long() - 1).clamp_min(0))
        places = self.positions.weight[: ids.shape[1]]
        states: Tensor = self.norm(words + places + self.kind)
        return states


def through(layers: Iterable[nn.Module], states: Tensor, ids: Tensor) -> Tensor:
    """The states of the tokens of windows (m, tokens) behind some layers, (m, tokens, width)."""
    # Finite, so that a window without any token gives numbers, which count nothing.
    unseen = (ids > 0).logical_not().to(states.dtype)[:, None, None, :] * -1e4
    for layer in layers:
        states = layer(states, unseen)
    return states


def mean_of_tokens(states: Tensor, ids: Tensor) -> Tensor:
    """The sentence's vector, (n, width), of last states (n * windows, tokens, width) and ids (n, windows, tokens)."""
    weight = (ids > 0).to(states.dtype).view(ids.shape[0], -1, 1)
    tokens = states.view(ids.shape[0], -1, states.shape[-1])  # all windows of a text behind each other
    return functional.normalize((tokens * weight).sum(1) / weight.sum(1).clamp_min(1.0), dim=1)


class Layer(nn.Module):
    """Attention and a feed-forward network, each with a sum and a norm behind it (post-norm)."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.mixing = nn.Linear(sizes.width, 3 * sizes.width)
        self.gathered = nn.Linear(sizes.width, sizes.width)
        self.first_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.wide = nn.Linear(sizes.width, sizes.inner)
        self.narrow = nn.Linear(sizes.inner, sizes.width)
        self.second_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)

    def forward(self, states: Tensor, unseen: Tensor) -> Tensor:
        """States (m, t, width), and what is added to attention, (m, 1, 1, t)."""
        query, key, value = rearrange(self.mixing(states), "m t (part h d) -> part m h t d", part=3, h=self.heads)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=unseen)
        states = self.first_norm(states + self.gathered(rearrange(found, "m h t d -> m t (h d)")))
        out: Tensor = self.second_norm(states + self.narrow(functional.gelu(self.wide(states))))
        return out


def bert_from(tensors: Mapping[str, Tensor], sizes: BertSizes) -> TextEncoder:
    """An encoder with the weights of a BERT in Hugging Face's format, in float32.

    Raises:
        KeyError: a tensor is missing.
        RuntimeError: one has another shape.
    """
    encoder = TextEncoder(sizes)
    own = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "positions.weight": tensors["embeddings.position_embeddings.weight"],
        "kind": tensors["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    pairs = {
        "gathered": "attention.output.dense",
        "first_norm": "attention.output.LayerNorm",
        "wide": "intermediate.dense",
        "narrow": "output.dense",
        "second_norm": "output.LayerNorm",
    }
    for place in range(sizes.layers):
        theirs = f"encoder.layer.{place}."
        for part in ("weight", "bias"):
            mixed = [tensors[f"{theirs}attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            own[f"layers.{place}.mixing.{part}"] = torch.cat(mixed)
            for ours, other in pairs.items():
                own[f"layers.{place}.{ours}.{part}"] = tensors[f"{theirs}{other}.{part}"]
    encoder.load_state_dict({name: tensor.float() for name, tensor in own.items()})
    return encoder.eval().requires_grad_(False)
