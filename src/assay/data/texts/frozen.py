"""Features of texts from an encoder that is not trained here: computed once for each different text, and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.data.texts.tokens import MOST_WINDOWS, Tokenizer

#: Tokens that are encoded at once: enough to keep the processor busy, few enough to stay near it.
_TOKENS = 4096
#: Bytes of vectors that are kept for texts that come again.
_KEPT = 512 << 20

Tell = Callable[[int, int], None]


class FrozenText:
    """A text encoder with its tokenizer and the vectors it has given.

    Attributes:
        encoder: the module, which is not trained. tokenizer: how texts become its tokens.
        window: tokens of a window. most: windows of a text. threads: of the processor, while it reads.
    """

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        tokenizer: Tokenizer,
        *,
        window: int,
        threads: int,
        most: int = MOST_WINDOWS,
    ) -> None:
        self.encoder, self.width, self.tokenizer = encoder, width, tokenizer
        self.window, self.most, self.threads = window, most, threads
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def windows(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The windows of texts, (n, w, t); see `tokens.Windows`."""
        return self.tokenizer.windows(texts, self.window, self.most).ids

    def vectors(self, ids: NDArray[np.int32], tell: Tell | None = None) -> NDArray[np.float32]:
        """The vector of each text, (n, width), from its windows (n, w, t).

        Args:
            ids: see `tokens.Windows`.
            tell: told of how many texts are done, of how many.
        """
        keys = [_key(row) for row in ids]
        new = list({key: place for place, key in enumerate(keys) if key not in self._known}.values())
        made: dict[bytes, NDArray[np.float32]] = {}
        done, threads = len(ids) - len(new), torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            for some in _batches(ids, np.array(new, np.int64)):
                with torch.inference_mode():
                    found = self.encoder(torch.from_numpy(_trimmed(ids[some]))).numpy()
                made |= {keys[place]: vector for place, vector in zip(some.tolist(), found, strict=True)}
                done += len(some)
                if tell is not None:
                    tell(done, len(ids))
        finally:
            torch.set_num_threads(threads)
        answer = np.empty((len(ids), self.width), np.float32)
        for place, key in enumerate(keys):
            answer[place] = made[key] if key in made else self._known[key]
        room = max(_KEPT // (4 * self.width) - len(self._known), 0)
        self._known |= {key: vector.copy() for key, vector in list(made.items())[:room]}
        return answer


def _key(row: NDArray[np.int32]) -> bytes:
    """The same for the same windows, whatever zeros follow them."""
    return hashlib.blake2b(
        b"|".join(window[window > 0].tobytes() for window in row if window[0]), digest_size=16
    ).digest()


def _batches(ids: NDArray[np.int32], places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The places of texts of like length, as many as make up a batch of tokens."""
    if not len(places):
        return []
    windows = (ids[places, :, 0] > 0).sum(1)
    longest = (ids[places] > 0).sum(2).max(1)
    order = np.lexsort([longest, windows])
    batches, start = [], 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * windows[order[stop]] * longest[order[stop]] <= _TOKENS:
            stop += 1
        batches.append(places[order[start:stop]])
        start = stop
    return batches


def _trimmed(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Without the windows and the places that no text of these fills."""
    windows = max(int((ids[:, :, 0] > 0).sum(1).max()), 1)
    tokens = max(int((ids > 0).sum(2).max()), 1)
    return np.ascontiguousarray(ids[:, :windows, :tokens])


class TextFeatures(nn.Module):
    """The vectors of text columns, each column's scaled by what its training rows showed.

    Shapes: windows (n, w, t) of each column; returns (n, columns * width) float32.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, encoder: nn.Module, center: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """`center` and `scale`: of each column, (columns, width): a vector becomes (vector - center) * scale."""
        super().__init__()
        self.encoder = encoder
        self.register_buffer("center", torch.from_numpy(center))
        self.register_buffer("scale", torch.from_numpy(scale))

    @property
    def width(self) -> int:
        """Features of all columns together."""
        return self.center.numel()

    def forward(self, windows: tuple[Tensor, ...]) -> Tensor:
        """Encode; see the class."""
        return self.scaled(torch.stack([self.encoder(ids) for ids in windows], 1))

    def scaled(self, vectors: Tensor) -> Tensor:
        """Vectors (n, columns, width) as features."""
        return ((vectors - self.center) * self.scale).flatten(1)
