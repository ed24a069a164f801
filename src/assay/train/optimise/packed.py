"""The state of an optimiser or a schedule of others as tensors, so that a checkpoint holds it without pickle.

`state_dict` gives nested dicts and lists of numbers and tensors. Tensors are kept as they are; the rest becomes JSON in
which each container says what it is, because JSON alone would turn numbers that are keys into words.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import ConfigError

_PLAIN = (bool, int, float, str, type(None))
_JSON = "json"


def pack(state: object) -> dict[str, Tensor]:
    """The state as named tensors.

    Raises:
        ConfigError: there is something in it that is neither a number, a word, a tensor nor a container of these.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_tagged(state, tensors, "it"))
    return tensors | {_JSON: torch.from_numpy(np.frombuffer(text.encode(), np.uint8).copy())}


def unpack(tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """The state that `pack` was given."""
    return _plain(json.loads(tensors[_JSON].cpu().numpy().tobytes()), tensors)


def _tagged(value: object, tensors: dict[str, Tensor], where: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        name = f"tensor-{len(tensors)}"
        tensors[name] = value.detach().clone()
        return ["tensor", name]
    if isinstance(value, Mapping):
        kind = "counter" if isinstance(value, Counter) else "dict"
        pairs = [[_tagged(k, tensors, where), _tagged(v, tensors, f"{where}[{k!r}]")] for k, v in value.items()]
        return [kind, *pairs]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, *(_tagged(v, tensors, f"{where}[{place}]") for place, v in enumerate(value))]
    raise ConfigError(
        "the state of an optimiser or a schedule must be of numbers, words and tensors to be kept in a checkpoint",
        f"{where} is a {type(value).__name__}",
        "Use an optimiser and a schedule whose state_dict holds only these.",
    )


def _plain(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    if not isinstance(value, list):
        return value
    kind, *inner = value
    if kind == "tensor":
        return tensors[inner[0]]
    if kind in ("dict", "counter"):
        pairs = {_plain(k, tensors): _plain(v, tensors) for k, v in inner}
        return Counter(pairs) if kind == "counter" else pairs
    made = [_plain(each, tensors) for each in inner]
    return made if kind == "list" else tuple(made)
