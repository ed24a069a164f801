"""A pretrained text encoder whose last layers are trained further, the others being computed once for each window.

Shape legend: n rows, w windows of a text, t tokens of a window, m windows of all texts, W width of the encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Layout
from assay.data.texts.frozen import TextFeatures
from assay.models.blocks import MemberEmbedding, MemberLinear
from assay.models.linear_head import LinearHead
from assay.models.network import Network
from assay.models.text_encoder import TextEncoder, mean_of_tokens, through

#: A layer learns this much slower than the one above it, and the head this much faster than the last layer.
_LAYER_DECAY, _HEAD_FASTER = 0.8, 10.0
#: Windows of like length that are computed together, with gradients and without; longest vector of a category.
_TOGETHER, _TOGETHER_FROZEN, _LONGEST_EMBEDDING = 8, 64, 8


class SplitEncoder(nn.Module):
    """An encoder that remembers the states below its last layers: windows (n, w, t) to (n, W), as the encoder itself.

    What is below `cut` never changes, so that it is computed once for each window, within `room` bytes.
    """

    def __init__(self, encoder: TextEncoder, cut: int, room: int) -> None:
        super().__init__()
        self.encoder, self.cut = encoder, cut
        self._left = room
        self._known: dict[bytes, NDArray[np.float32]] = {}

    @property
    def width(self) -> int:
        """Length of a sentence's vector."""
        return self.encoder.width

    @property
    def upper(self) -> Sequence[nn.Module]:
        """The layers from `cut` on."""
        return list(self.encoder.layers)[self.cut :]

    def forward(self, ids: Tensor) -> Tensor:
        """Encode; see the class for shapes."""
        windows = rearrange(ids, "n w t -> (n w) t")
        return mean_of_tokens(through(self.upper, self.lower(windows), windows), ids)

    def lower(self, ids: Tensor) -> Tensor:
        """States below the last layers, (m, t, W), of windows (m, t); without gradients."""
        if torch.compiler.is_exporting():
            return self._computed(ids)
        rows = ids.cpu().numpy()
        keys = [row[row > 0].tobytes() for row in rows]
        states = torch.zeros(*ids.shape, self.width)
        new = [place for place, key in enumerate(keys) if key not in self._known]
        if new:
            longest = max(1, int((rows[new] > 0).sum(1).max()))
            with torch.no_grad():
                states[new, :longest] = self._computed(ids[new, :longest]).cpu()
            self._remember(keys, states, new)
        for place in set(range(len(keys))).difference(new):
            known = self._known[keys[place]]
            states[place, : len(known)] = torch.from_numpy(known)
        return states.to(ids.device)

    def _computed(self, ids: Tensor) -> Tensor:
        return through(list(self.encoder.layers)[: self.cut], self.encoder.embedded(ids), ids)

    def _remember(self, keys: Sequence[bytes], states: Tensor, new: Iterable[int]) -> None:
        for place in new:
            tokens = len(keys[place]) // 4
            size = 4 * tokens * self.width
            if size <= self._left and keys[place] not in self._known:
                self._known[keys[place]] = states[place, :tokens].numpy().copy()
                self._left -= size


class TunedText(Network):
    """One network: the last layers of a text encoder, trained further, and a linear head that sees the rest of the row.

    The head also takes numbers, extras and vectors of categories, but for what the untouched encoder says of the texts,
    which are the last of the extras.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, base: SplitEncoder, features: TextFeatures, layout: Layout, outputs: int) -> None:
        """`features`: of the encoder as it was, whose scales the tuned vectors are taken by."""
        super().__init__(1)
        self.base = base.requires_grad_(False)
        self.upper = nn.ModuleList(copy.deepcopy(layer) for layer in base.upper).requires_grad_(True)
        self.register_buffer("center", features.center)
        self.register_buffer("scale", features.scale)
        self.plain = layout.extras - features.width
        length = min(_LONGEST_EMBEDDING, max(layout.vocabularies, default=1))
        self.embedding = MemberEmbedding(1, layout.vocabularies, length) if layout.vocabularies else None
        self.head = MemberLinear(1, layout.numbers + layout.extras + length * len(layout.vocabularies), outputs)
        self.reads = layout.places("windows")
        self.rows_at_once = _TOGETHER_FROZEN

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Start at the prior, with the encoder's own layers."""
        super().initialise(generators, prior)
        self.head.start(prior)

    def start_from(self, head: LinearHead) -> None:
        """Start from a linear model of numbers and all extras, fitted to the encoder as it was.

        A head that is random would first undo what the encoder knows (Kumar et al., Fine-Tuning can Distort Pretrained
        Features, ICLR 2022).
        """
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[0, : len(head.weight)] = head.weight
            self.head.bias[0, 0] = head.bias

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """Discriminative rates (Howard & Ruder, ULMFiT, ACL 2018, 3.2): lower layers learn slower, the head faster."""
        depth = len(self.upper)
        rates = {"upper." + str(place): _LAYER_DECAY ** (depth - 1 - place) for place in range(depth)}
        found = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                layer = rates.get(".".join(name.split(".")[:2]))
                found[name] = (layer, 0.0) if layer is not None else (_HEAD_FASTER, float(name.endswith("weight")))
        return found

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media are the windows (n, w, t) of each text column."""
        vectors = torch.stack([self._vectors(ids) for ids in media], 1)
        features = ((vectors - self.center) * self.scale).flatten(1)
        rows = torch.cat([numbers, extras[:, : self.plain], features], 1).unsqueeze(0)
        if self.embedding is not None:
            rows = torch.cat([rows, self.embedding(codes)], 2)
        out: Tensor = self.head(rows)
        return out

    def _vectors(self, ids: Tensor) -> Tensor:
        """Vectors of texts, (n, W), of windows (n, w, t)."""
        windows = rearrange(ids, "n w t -> (n w) t")
        if torch.compiler.is_exporting():
            return mean_of_tokens(through(self.upper, self.base.lower(windows), windows), ids)
        # Windows of like length together: of a random batch half the places are empty otherwise.
        lengths = (windows > 0).sum(1)
        sums = torch.zeros(len(windows), self.base.width, device=ids.device)
        for some in self._alike(lengths):
            own = windows[some, : int(lengths[some].max())]
            states = through(self.upper, self.base.lower(own), own)
            sums = sums.index_copy(0, some, (states * (own > 0).unsqueeze(2)).sum(1))
        texts = sums.view(len(ids), -1, self.base.width).sum(1)
        return functional.normalize(texts / (ids > 0).sum((1, 2)).clamp_min(1).unsqueeze(1), dim=1)

    def _alike(self, lengths: Tensor) -> Iterator[Tensor]:
        """Places of windows that have tokens, in groups of like length."""
        order = lengths.argsort(stable=True)
        there = order[lengths[order] > 0]
        yield from there.split(_TOGETHER if torch.is_grad_enabled() else _TOGETHER_FROZEN)
