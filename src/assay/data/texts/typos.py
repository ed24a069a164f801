"""Words of training texts as a typist may have them: a letter is missing (character dropout)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from assay.data.texts.grams import normalised
from assay.data.texts.words import substitutes

#: Letters of a word that may go missing, the first aside, and those that a word must have for that.
_MOST, SHORTEST = 4, 4


def typos_of(texts: Iterable[str]) -> tuple[NDArray[np.int32], int]:
    """A table of the words of `texts` with a letter left out, see `words.substitutes`; and how many words have any."""
    vocabulary = sorted({word for text in texts for word in normalised(text).split() if len(word) >= SHORTEST})
    found = {word: shorter(word) for word in vocabulary if word.isalpha()}
    return substitutes(found), len(found)


def shorter(word: str) -> list[str]:
    """The word without one letter, at a few places that are evenly spread."""
    places = np.linspace(1, len(word) - 1, min(_MOST, len(word) - 1)).round().astype(int)
    return list(dict.fromkeys(word[:place] + word[place + 1 :] for place in places))
