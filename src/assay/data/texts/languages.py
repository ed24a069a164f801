"""Which script a text is written in, and which of a few languages: by blocks of Unicode and by common small words.

A sign for data that mix languages, not a detector for use: most languages are not told apart. NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.data.texts.grams import word_hashes

#: Characters of a text that are looked at.
_CHARACTERS = 400
#: First sign of a block of Unicode (16.0) and its script; empty names are of no script in particular.
_BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, ""), (0x0041, "Latin"), (0x005B, ""), (0x0061, "Latin"), (0x007B, ""), (0x00C0, "Latin"), (0x0250, ""),
    (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"), (0x0600, "Arabic"),
    (0x0700, ""), (0x0900, "Devanagari"), (0x0980, "Bengali"), (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"),
    (0x0B00, ""), (0x0B80, "Tamil"), (0x0C00, "Telugu"), (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, ""),
    (0x0E00, "Thai"), (0x0E80, ""), (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "Ethiopic"), (0x1380, ""),
    (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""), (0x3040, "Japanese"), (0x3100, ""), (0x3400, "Chinese"),
    (0xA000, ""), (0xAC00, "Hangul"), (0xD7B0, ""), (0x20000, "Chinese"), (0x32000, ""),
)  # fmt: skip
_STARTS = np.array([start for start, _ in _BLOCKS])
SCRIPTS = ("", *dict.fromkeys(name for _, name in _BLOCKS if name))
_SCRIPT_OF = np.array([SCRIPTS.index(name) for _, name in _BLOCKS])

#: Small words that are frequent in one of these languages and no words of the others.
_SMALL_WORDS = {
    "English": "the and of to is that it was for with this you are have not be but what who how which from they",
    "German": "der und das ist nicht ein eine mit sich auf für dem auch wie wird sind ich wir einen zum",
    "French": "les et des est une dans pour qui pas sur avec plus vous nous sont être cette mais ils aux",
    "Spanish": "el los las y por para es pero más muy como esta su fue todo porque son este hasta cuando",
    "Italian": "di che è sono della gli anche più questo alla nel dei delle molto perché ma alle degli",
    "Portuguese": "não uma os um em da foi ao são pelo muito também isso você ele dos ela seu quando mas",
    "Dutch": "het een van niet zijn dat voor aan ook maar bij naar nog wel heeft wordt deze ik",
}
LANGUAGES = ("", *_SMALL_WORDS, *(script for script in SCRIPTS if script not in ("", "Latin")))
#: Small words that a text must have of its language, and how many times as many as of any other.
_LEAST, _CLEARER = 2, 2.0


def languages(texts: Sequence[str]) -> NDArray[np.int64]:
    """The language of each text as a place in `LANGUAGES`, (n,); 0 where it cannot be told.

    For what is not written in Latin letters it is the script.
    """
    shortened = [text[:_CHARACTERS] for text in texts]
    script = _scripts(shortened)
    counts = np.zeros((len(texts), len(_SMALL_WORDS)))
    for rows, hashes in word_hashes(shortened):
        place = np.searchsorted(_HASHES, hashes).clip(max=len(_HASHES) - 1)
        known = _HASHES[place] == hashes
        np.add.at(counts, (rows[known], _LANGUAGE_OF[place[known]]), 1.0)
    best = counts.argmax(1)
    ordered = np.sort(counts, 1)
    clear = (ordered[:, -1] >= _LEAST) & (ordered[:, -1] >= _CLEARER * ordered[:, -2])
    of_script = np.array([LANGUAGES.index(name) if name in LANGUAGES else 0 for name in SCRIPTS])[script]
    return np.where(SCRIPTS.index("Latin") == script, np.where(clear, best + 1, 0), of_script)


def _scripts(texts: Sequence[str]) -> NDArray[np.int64]:
    """The script that most letters of a text are of, as a place in `SCRIPTS`, (n,); 0 where it has no letters."""
    signs = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), np.uint32)
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    found = _SCRIPT_OF[np.searchsorted(_STARTS, signs, "right") - 1]
    counts = np.bincount(rows * len(SCRIPTS) + found, minlength=len(texts) * len(SCRIPTS)).reshape(len(texts), -1)
    counts[:, 0] = 0
    return np.asarray(counts.argmax(1))


def _profiles() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes of the small words in their order, and the language of each."""
    rows, hashes = (np.concatenate(part) for part in zip(*word_hashes(list(_SMALL_WORDS.values())), strict=True))
    order = np.argsort(hashes)
    return hashes[order], rows[order]


_HASHES, _LANGUAGE_OF = _profiles()
