"""Synonyms of the words of training texts, from the files of WordNet (Miller, CACM 1995). NumPy only.

A word stands for its first sense in the part of speech in which WordNet's own texts use it in the most senses, and its
synonyms are the other single words of that sense; Wei & Zou, EDA, EMNLP 2019, leave out stop words, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.data.texts.grams import normalised
from assay.data.texts.words import substitutes
from assay.errors import ConfigError

#: Where Debian's package wordnet-base puts the files.
USUAL = Path("/usr/share/wordnet")
#: Parts of speech as the files are called; of two with as many senses the first is taken.
_PARTS = ("noun", "verb", "adj", "adv")
#: Synonyms of a word at most.
_MOST = 4
_SMALL_WORDS = (
    "a an the and or but if then than that this these those i you he she it we they me him her us them my your his its "
    "our their is are was were be been being am do does did have has had will would can could may might must shall "
    "should not no nor of in on at by for with about against between into through during before after above below to "
    "from up down out off over under again further once here there when where why how all any both each few more most "
    "other some such only own same so too very s t just don now who what which whom as"
)
_STOP_WORDS = frozenset(_SMALL_WORDS.split())


@dataclass(frozen=True)
class Synonyms:
    """table: of each bucket of words, the ids of its synonyms, int32 (BUCKETS, k); words: how many have any."""

    table: NDArray[np.int32]
    words: int


def wordnet_folder(name: str) -> Path | None:
    """The folder of WordNet's files that `name` says; with `auto` the usual one, or None where there is none.

    Raises:
        ConfigError: a folder was named that lacks one of the files.
    """
    folder = USUAL if name == "auto" else Path(name)
    lacking = [file for part in _PARTS for file in (f"index.{part}", f"data.{part}") if not (folder / file).is_file()]
    if not lacking:
        return folder
    if name == "auto":
        return None
    raise ConfigError(
        "model.wordnet must be the folder of WordNet's files",
        f"{name!r} has no {lacking[0]}",
        "On Debian apt-get install wordnet-base puts them into /usr/share/wordnet.",
    )


def synonyms_of(texts: Iterable[str], folder: Path) -> Synonyms:
    """The synonyms of the words of `texts` that are words of `texts` themselves.

    Raises:
        ConfigError: the files are not as WordNet writes them.
    """
    vocabulary = {word for text in texts for word in normalised(text).split()} - _STOP_WORDS
    senses = _first_senses(vocabulary, folder)
    found: dict[str, list[str]] = {}
    for part in _PARTS:
        wanted = {word: offset for word, (own, offset) in senses.items() if own == part}
        members = _members(folder / f"data.{part}", set(wanted.values()))
        for word, offset in wanted.items():
            found[word] = [other for other in members[offset] if other != word and other in vocabulary][:_MOST]
    found = {word: others for word, others in sorted(found.items()) if others}
    return Synonyms(substitutes(found), len(found))


def _first_senses(vocabulary: set[str], folder: Path) -> dict[str, tuple[str, str]]:
    """The part of speech and the place in its file of the first sense of each word that WordNet has."""
    best: dict[str, int] = {}
    senses: dict[str, tuple[str, str]] = {}
    for part in _PARTS:
        for line in _lines(folder / f"index.{part}"):
            word = line[0]
            if word not in vocabulary:
                continue
            # wndb(5WN): lemma pos synsets pointers [symbols] senses tagged offsets
            tagged = 4 + int(line[3]) + 1
            if int(line[tagged]) > best.get(word, -1):
                best[word] = int(line[tagged])
                senses[word] = part, line[tagged + 1]
    return senses


def _members(path: Path, offsets: set[str]) -> dict[str, list[str]]:
    """The single words of the senses at these places of a file."""
    found = {}
    for line in _lines(path):
        if line[0] in offsets:
            words = [line[4 + 2 * place].partition("(")[0].casefold() for place in range(int(line[3], 16))]
            found[line[0]] = [word for word in dict.fromkeys(words) if "_" not in word]
    return found


def _lines(path: Path) -> Iterable[list[str]]:
    """The lines of a file as words, without its licence, whose lines begin with blanks."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith(" "):
                yield line.split()
