"""Random changes of the words of training texts, a batch at once; never for rows that are predicted or scored.

Shape legend: n rows, L words of a row. Words are ids of `data/texts/words.py`, int32 (n, L), those of a row first and
zeros after them; so they are when they come back.

Wei & Zou, EDA: Easy Data Augmentation Techniques, EMNLP 2019, have synonyms, insertion, swaps and deletion; Iyyer et
al., Deep Unordered Composition, ACL 2015, word dropout; Belinkov & Bisk, Noise Breaks Neural Machine Translation, ICLR
2018, typos; Joshi et al., SpanBERT, TACL 2020, hidden spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from assay.data.texts.words import BORDER, FIRST_END, FIRST_WORD, MASK, PADDING
from assay.models.config import AugmentText
from assay.records import Record


class TextPolicy(Record):
    """Which changes training texts undergo: shares of words, drawn anew for each batch; by default none."""

    synonyms: float = Field(0.0, ge=0.0, le=1.0, description="Share of words that a synonym takes the place of.")
    letters: float = Field(0.0, ge=0.0, le=1.0, description="Share of words that lose a letter, as by a typist.")
    insert: float = Field(0.0, ge=0.0, le=1.0, description="Words copied to another place of the row, as a share.")
    swap: float = Field(0.0, ge=0.0, le=1.0, description="Share of words that change places with another of the row.")
    delete: float = Field(0.0, ge=0.0, lt=1.0, description="Share of words left out.")
    hide: float = Field(0.0, ge=0.0, lt=1.0, description="Share of words hidden: they become the unknown word.")
    spans: float = Field(0.0, ge=0.0, lt=1.0, description="Share of a row that one hidden span of words takes.")
    sentences: float = Field(0.0, ge=0.0, le=1.0, description="Share of rows whose sentences change their order.")

    @property
    def is_idle(self) -> bool:
        """Whether nothing is changed."""
        return not any(self.model_dump().values())


def named_text_policy(name: AugmentText) -> TextPolicy:
    """The policy of a name; `auto` is `none`, for on the sets tried light changes gained nothing (RESULTS.md)."""
    match name:
        case "none" | "auto":
            return TextPolicy()
        case "synonyms":
            return TextPolicy(synonyms=0.1, hide=0.05)
        case "typos":
            return TextPolicy(letters=0.15)
        case "full":
            return TextPolicy(
                synonyms=0.1, letters=0.05, insert=0.05, swap=0.05, delete=0.1, hide=0.05, spans=0.1, sentences=0.5
            )
    return TextPolicy(swap=0.05, delete=0.1, hide=0.1)


_TOLD = {
    "synonyms": "replaced by synonyms", "letters": "short of a letter", "insert": "repeated elsewhere",
    "swap": "swapped", "delete": "left out",
    "hide": "hidden", "spans": "hidden in spans", "sentences": "shuffled by sentences",
}  # fmt: skip


class Substitutes(NamedTuple):
    """Words to take the place of others, see `replace`; None where there are none.

    synonyms: those that mean the same. typos: the same ones short of a letter.
    """

    synonyms: Tensor | None = None
    typos: Tensor | None = None


NO_WORDS = Substitutes()


@dataclass(frozen=True)
class TextChanges:
    """A policy, and the words that it puts in the place of others."""

    policy: TextPolicy
    words: Substitutes = NO_WORDS

    def told(self) -> str:
        """What is done, in words."""
        shares = self.policy.model_dump()
        return "of words: " + ", ".join(f"{shares[name]:.0%} {what}" for name, what in _TOLD.items() if shares[name])


def change(words: Tensor, changes: TextChanges, generator: torch.Generator) -> Tensor:
    """The words as `changes` has them, sentences first and what hides words last; columns without any are cut."""
    policy, others = changes.policy, changes.words
    most = int((words != PADDING).any(0).sum())
    words = words[:, : max(most + most // 8, 1)]  # with room for what is put in
    if policy.sentences:
        words = shuffle_sentences(words, policy.sentences, generator)
    if policy.synonyms and others.synonyms is not None:
        words = replace(words, others.synonyms, policy.synonyms, generator)
    if policy.letters and others.typos is not None:
        words = replace(words, others.typos, policy.letters, generator)
    if policy.swap:
        words = swap(words, policy.swap, generator)
    if policy.insert:
        words = insert(words, policy.insert, generator)
    if policy.delete:
        words = delete(words, policy.delete, generator)
    if policy.hide:
        words = hide(words, policy.hide, generator)
    if policy.spans:
        words = hide_span(words, policy.spans, generator)
    return words


def shuffle_sentences(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put the sentences of a `share` of the rows in another order; rows of several columns stay as they are.

    A sentence goes up to its last sign of an end, `..` and `?!` included.
    """
    ends = (words >= FIRST_END) & (words < FIRST_WORD)
    closes = ends.clone()
    closes[:, :-1] &= ~ends[:, 1:]
    sentence = closes.long().cumsum(1) - closes.long()
    keys = torch.rand(words.shape, generator=generator)  # of sentence s of a row: place s
    chosen = torch.rand(len(words), 1, generator=generator) < share
    chosen &= ~(words == BORDER).any(1, keepdim=True)
    keys = torch.where(chosen, keys.gather(1, sentence), 0.0)
    keys = torch.where(words == PADDING, 2.0, keys)
    return words.gather(1, keys.argsort(dim=1, stable=True))


def replace(words: Tensor, others: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put another word in the place of a `share` of the words that have any: a synonym, or what a typist makes of them.

    others: of each bucket, ids of these words, int32 (buckets, k), zeros after the last.
    """
    own = others[words.long()]  # (n, L, k)
    count = (own != PADDING).sum(2)
    drawn = (torch.rand(words.shape, generator=generator) * count).long().clamp(max=own.shape[2] - 1)
    other = own.gather(2, drawn.unsqueeze(2)).squeeze(2)
    chosen = (torch.rand(words.shape, generator=generator) < share) & (count > 0)
    return torch.where(chosen, other, words)


def swap(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Let a `share` of the words change places among themselves, within their row and their column."""
    chosen = (torch.rand(words.shape, generator=generator) < share) & _is_word(words)
    column = (words == BORDER).long().cumsum(1)
    place = torch.arange(words.shape[1]).expand_as(words)
    # Within a column, the places of what was chosen and the same in a drawn order; all else keeps its place.
    drawn = torch.rand(words.shape, generator=generator)
    apart = torch.where(chosen, column, words.shape[1] + place)
    to = (apart * 2.0).argsort(dim=1, stable=True)
    source = (apart * 2.0 + drawn).argsort(dim=1, stable=True)
    return torch.empty_like(words).scatter_(1, to, words.gather(1, source))


def insert(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put words of the row into it once more, before a `share` of its words; what no longer fits is lost."""
    rows, places = words.shape
    length = (words != PADDING).sum(1, keepdim=True)
    chosen = (torch.rand(words.shape, generator=generator) < share) & _is_word(words)
    drawn = (torch.rand(words.shape, generator=generator) * length).long().clamp(max=places - 1)
    extra = words.gather(1, drawn)
    extra = torch.where(chosen & _is_word(extra), extra, PADDING)
    # Beside every word a place before it, empty where nothing is put in.
    both = torch.stack([extra, words], dim=2).view(rows, 2 * places)
    return _closed(both)[:, :places]


def delete(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Leave out a `share` of the words; of the words of a row one stays at least."""
    chosen = (torch.rand(words.shape, generator=generator) < share) & _is_word(words)
    keeps_any = (~chosen & _is_word(words)).any(1, keepdim=True)
    return _closed(torch.where(chosen & keeps_any, PADDING, words))


def hide(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Make a `share` of the words the one that stands for all that are not known."""
    chosen = (torch.rand(words.shape, generator=generator) < share) & _is_word(words)
    return torch.where(chosen, MASK, words)


def hide_span(words: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Hide one span of words of each row, of this share of it, at a random place; rows too short for it have none."""
    length = (words != PADDING).sum(1, keepdim=True)
    long = (share * length).floor()
    start = (torch.rand(len(words), 1, generator=generator) * (length - long + 1)).floor()
    place = torch.arange(words.shape[1])
    return torch.where((place >= start) & (place < start + long) & _is_word(words), MASK, words)


def _is_word(words: Tensor) -> Tensor:
    """Where there are words: no ends of sentences, borders or places after the last."""
    return words >= FIRST_WORD


def _closed(words: Tensor) -> Tensor:
    """The words of each row moved together, zeros after them."""
    return words.gather(1, (words == PADDING).long().argsort(dim=1, stable=True))
