"""Texts as windows of token ids, as a text encoder takes them. No torch: a server that answers rows reads texts so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.errors import ConfigError

#: Windows of a text at most; what lies between those that are read is counted and not read.
MOST_WINDOWS = 32
#: Characters of a text that are split into tokens at most, so that a megabyte in a cell does not hold up the others.
_CHARACTERS = 64_000
#: Texts that are split at once.
_TEXTS = 1024


@dataclass(frozen=True)
class Windows:
    """The windows of some texts.

    ids: token id + 1, and 0 where there is none, int32 (n, most windows, most tokens of a window).
    cut: texts that have more windows than are read.
    """

    ids: NDArray[np.int32]
    cut: int


class Tokenizer:
    """Splits texts into tokens as `tokenizer.json` says (the format of the package tokenizers).

    Attributes:
        path: the file. text: what is in it.
        first, last: ids of the tokens that stand before and after every window.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: it cannot be read, or does not put one token before a text and one after it.
            MissingExtraError: the package tokenizers is not installed.
        """
        tokenizers = require("tokenizers", "a model that reads texts with a text encoder")
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
            self._splitter = tokenizers.Tokenizer.from_str(self.text)
        except Exception as error:  # noqa: BLE001  # the package raises Exception itself
            raise ConfigError(
                f"{path.name} must be a tokenizer as the package tokenizers writes it",
                f"it cannot be read: {error}",
                "Give the folder of a text encoder with its tokenizer.json.",
            ) from None
        self._splitter.no_padding()
        self._splitter.no_truncation()
        around = self._splitter.encode("").ids
        if len(around) != 2:
            raise ConfigError(
                "a text encoder's tokenizer must put one token before a text and one after it",
                f"that of {str(path)!r} puts {len(around)} around an empty text",
                "Take another text encoder, such as one of BERT's kind.",
            )
        self.first, self.last = around

    def windows(self, texts: Sequence[str], size: int, most: int = MOST_WINDOWS) -> Windows:
        """The texts in windows of at most `size` tokens, those at both ends among them; an empty text has one window.

        Of a text that needs more than `most` windows the beginning and the end are read, which say the
        most in documents (Sun et al., How to Fine-Tune BERT for Text Classification? 2019, section 5.3.1).

        Windows follow each other without overlap, as even as they can be: a text of a few tokens more than one window
        would else have a second one of a few tokens, which counts as much as the first in many encoders.
        """
        inner = size - 2
        made: list[list[list[int]]] = []
        cut = 0
        for start in range(0, len(texts), _TEXTS):
            some = [text[:_CHARACTERS] for text in texts[start : start + _TEXTS]]
            cut += sum(len(text) > _CHARACTERS for text in texts[start : start + _TEXTS])
            for text, found in zip(some, self._splitter.encode_batch_fast(some, add_special_tokens=False), strict=True):
                ids = found.ids
                pieces = _evenly(ids, inner) if len(ids) <= inner * most else _both_ends(ids, inner, most)
                cut += len(ids) > inner * most and len(text) < _CHARACTERS
                made.append([[self.first, *piece, self.last] for piece in pieces])
        shape = (len(made), max(map(len, made), default=1), max((len(w) for ws in made for w in ws), default=2))
        array = np.zeros(shape, np.int32)
        for row, windows in enumerate(made):
            for place, window in enumerate(windows):
                array[row, place, : len(window)] = window
                array[row, place, : len(window)] += 1
        return Windows(array, cut)


def _evenly(ids: list[int], most: int) -> list[list[int]]:
    count = max(1, -(-len(ids) // most))
    edges = [round(part * len(ids) / count) for part in range(count + 1)]
    return [ids[start:stop] for start, stop in pairwise(edges)]


def _both_ends(ids: list[int], inner: int, most: int) -> list[list[int]]:
    """`most` full windows: the larger half of them from the beginning, the rest from the end."""
    head = inner * (most - most // 2)
    kept = ids[:head] + ids[len(ids) - inner * (most // 2) :]
    return [kept[start : start + inner] for start in range(0, inner * most, inner)]


def joined(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Windows of several blocks of rows under each other."""
    sizes = [max(part.shape[axis] for part in parts) for axis in (1, 2)]
    return np.concatenate([np.pad(p, ((0, 0), (0, sizes[0] - p.shape[1]), (0, sizes[1] - p.shape[2]))) for p in parts])
