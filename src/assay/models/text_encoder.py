"""A pretrained encoder of sentences: windows of token ids to one vector a text. No I/O: `weights.py` opens files.

The architecture is BERT (Devlin et al., NAACL 2019) or one of its kin (`text_families.py`), with the mean of the last
states of the tokens as the sentence's vector, brought to length one (Reimers & Gurevych, Sentence-BERT, EMNLP 2019). A
text of several windows has the mean over the tokens of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

#: Activations by their names in Hugging Face's format.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "gelu": functional.gelu,
        "gelu_new": partial(functional.gelu, approximate="tanh"),
        "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
        "relu": functional.relu,
    }
)


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes of an encoder.

    positions: tokens that it can place. activation: `gelu`, its approximation by tanh, or `relu`, as Hugging Face calls
    them. is_relative: whether attention counts the distance of two tokens (MPNet).
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    positions: int
    epsilon: float = 1e-12
    activation: str = "gelu"
    is_relative: bool = False


class TextEncoder(nn.Module):
    """Windows of tokens to sentence vectors.

    Shapes: ids (n, windows, tokens) int32 or int64, token id + 1 and 0 where there is none; returns (n, width) float32.
    """

    def __init__(self, sizes: EncoderSizes) -> None:
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

    nearness: Tensor

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.heads, self.activation, self.is_relative = sizes.heads, ACTIVATIONS[sizes.activation], sizes.is_relative
        self.mixing = nn.Linear(sizes.width, 3 * sizes.width)
        self.gathered = nn.Linear(sizes.width, sizes.width)
        self.first_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.wide = nn.Linear(sizes.width, sizes.inner)
        self.narrow = nn.Linear(sizes.inner, sizes.width)
        self.second_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        if sizes.is_relative:
            self.register_buffer("nearness", torch.zeros(sizes.heads, 2 * sizes.positions - 1))

    def forward(self, states: Tensor, unseen: Tensor) -> Tensor:
        """States (m, t, width), and what is added to attention, (m, 1, 1, t)."""
        query, key, value = rearrange(self.mixing(states), "m t (part h d) -> part m h t d", part=3, h=self.heads)
        added = unseen + self._near(states.shape[1]) if self.is_relative else unseen
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=added)
        states = self.first_norm(states + self.gathered(rearrange(found, "m h t d -> m t (h d)")))
        out: Tensor = self.second_norm(states + self.narrow(self.activation(self.wide(states))))
        return out

    def _near(self, tokens: int) -> Tensor:
        """What the distance from each token to each other adds to attention, (heads, t, t)."""
        place = torch.arange(tokens, device=self.nearness.device)
        distance = place[None, :] - place[:, None]
        return self.nearness[:, distance + self.nearness.shape[1] // 2]
