"""The families of text encoders in Hugging Face's format, and a `TextEncoder` from the tensors of one.

All of them are BERT (Devlin et al., NAACL 2019) but for names and positions: RoBERTa (Liu et al., 2019) counts these
from behind the padding's, DistilBERT (Sanh et al., 2019) has no kinds of tokens, and MPNet (Song et al., NeurIPS 2020)
adds to attention what the distance of two tokens says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from assay.models.text_encoder import EncoderSizes, TextEncoder

#: The distance from which on all tokens are equally far, in MPNet.
_FURTHEST: Final = 128
_BERT_SIZES: Final = MappingProxyType(
    {"vocabulary": "vocab_size", "width": "hidden_size", "inner": "intermediate_size", "layers": "num_hidden_layers",
     "heads": "num_attention_heads", "positions": "max_position_embeddings"}
)  # fmt: skip
_BERT_PARTS: Final = MappingProxyType(
    {"gathered": "attention.output.dense", "first_norm": "attention.output.LayerNorm", "wide": "intermediate.dense",
     "narrow": "output.dense", "second_norm": "output.LayerNorm"}
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """How an architecture names its sizes and tensors.

    prefix: before all names where the encoder was saved as a part of a larger model. sizes: keys of `config.json`.
    layer: before the names of a layer. mixed: of queries, keys and values. parts: the others, by our names.
    activation: key of `config.json`. is_offset: whether positions are counted from behind the padding's. has_kinds:
    whether tokens have kinds. is_relative: whether distances of tokens count.
    """

    prefix: str
    sizes: Mapping[str, str] = field(default_factory=lambda: _BERT_SIZES)
    layer: str = "encoder.layer.{}."
    mixed: tuple[str, str, str] = ("attention.self.query", "attention.self.key", "attention.self.value")
    parts: Mapping[str, str] = field(default_factory=lambda: _BERT_PARTS)
    activation: str = "hidden_act"
    is_offset: bool = False
    has_kinds: bool = True
    is_relative: bool = False


_ROBERTA: Final = Family("roberta.", is_offset=True)
FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "bert": Family("bert."),
        "roberta": _ROBERTA,
        "xlm-roberta": _ROBERTA,
        "camembert": _ROBERTA,
        "distilbert": Family(
            "distilbert.",
            sizes={"vocabulary": "vocab_size", "width": "dim", "inner": "hidden_dim", "layers": "n_layers",
                   "heads": "n_heads", "positions": "max_position_embeddings"},
            layer="transformer.layer.{}.",
            mixed=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            parts={"gathered": "attention.out_lin", "first_norm": "sa_layer_norm", "wide": "ffn.lin1",
                   "narrow": "ffn.lin2", "second_norm": "output_layer_norm"},
            activation="activation",
            has_kinds=False,
        ),
        "mpnet": replace(
            _ROBERTA,
            prefix="mpnet.",
            mixed=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
            parts={**_BERT_PARTS, "gathered": "attention.attn.o", "first_norm": "attention.LayerNorm"},
            has_kinds=False,
            is_relative=True,
        ),
    }
)  # fmt: skip


def sizes_of(config: Mapping[str, Any], family: Family) -> EncoderSizes:
    """The sizes in `config.json`.

    Raises:
        KeyError: one is missing.
        TypeError, ValueError: one is no number.
    """
    found = {ours: int(config[theirs]) for ours, theirs in family.sizes.items()}
    if family.is_offset:
        found["positions"] -= _first_position(config)
    return EncoderSizes(
        **found,
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        activation=str(config.get(family.activation, "gelu")),
        is_relative=family.is_relative,
    )


def _first_position(config: Mapping[str, Any]) -> int:
    return int(config.get("pad_token_id", 1)) + 1


def encoder_from(tensors: Mapping[str, Tensor], config: Mapping[str, Any], family: Family) -> TextEncoder:
    """An encoder with the weights of a model in Hugging Face's format, in float32.

    Raises:
        KeyError: a tensor, or a size, is missing.
        TypeError, ValueError: a size is no number.
        RuntimeError: a tensor has another shape.
    """
    sizes = sizes_of(config, family)
    plain = {_plain(name, family.prefix): tensor for name, tensor in tensors.items()}
    first = _first_position(config) if family.is_offset else 0
    own = {
        "words.weight": plain["embeddings.word_embeddings.weight"],
        "positions.weight": plain["embeddings.position_embeddings.weight"][first:],
        "kind": plain["embeddings.token_type_embeddings.weight"][0] if family.has_kinds else torch.zeros(sizes.width),
        "norm.weight": plain["embeddings.LayerNorm.weight"],
        "norm.bias": plain["embeddings.LayerNorm.bias"],
    }
    for place in range(sizes.layers):
        theirs = family.layer.format(place)
        for part in ("weight", "bias"):
            own[f"layers.{place}.mixing.{part}"] = torch.cat([plain[f"{theirs}{name}.{part}"] for name in family.mixed])
            for ours, other in family.parts.items():
                own[f"layers.{place}.{ours}.{part}"] = plain[f"{theirs}{other}.{part}"]
    if family.is_relative:
        nearness = _nearness(plain["encoder.relative_attention_bias.weight"], sizes.positions)
        own |= {f"layers.{place}.nearness": nearness for place in range(sizes.layers)}
    encoder = TextEncoder(sizes)
    encoder.load_state_dict({name: tensor.float() for name, tensor in own.items()})
    return encoder.eval().requires_grad_(False)


def _plain(name: str, prefix: str) -> str:
    """The name without what stands before it in a larger model; norms of early BERTs have a gamma and a beta."""
    found = name.removeprefix(prefix)
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if found.endswith(f"LayerNorm{old}"):
            return found.removesuffix(old) + new
    return found


def _nearness(buckets: Tensor, positions: int) -> Tensor:
    """What each distance of two tokens adds to attention, (heads, 2 * positions - 1), of (buckets, heads).

    Near distances have a bucket of their own, further ones share buckets of growing size, on each side half of them
    (Raffel et al., T5, JMLR 2020, section 2.1).
    """
    distance = torch.arange(1 - positions, positions)
    half = len(buckets) // 2
    exact = half // 2
    size = distance.abs()
    growth = torch.log(size.clamp(min=1).float() / exact) / math.log(_FURTHEST / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    place = torch.where(size < exact, size, far) + half * (distance > 0)
    return buckets[place].T.contiguous()
