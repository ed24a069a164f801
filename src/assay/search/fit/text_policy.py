"""What is done to training texts that are read word by word, and what the ledger is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from assay.data.columns import as_text
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.texts.synonyms import Synonyms, synonyms_of, wordnet_folder
from assay.data.texts.typos import typos_of
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.models.config import TEXTS, ModelConfig
from assay.search.planning.jobs import Plan
from assay.train.augment.texts import NO_WORDS, Substitutes, TextChanges, named_text_policy

_PRACTICE = "train.text-augmentation"


def text_substitutes(encoder: Encoder, train: Rows, planned: Plan, ledger: Ledger) -> Substitutes:
    """The words that changed texts of the plan's networks want, and the verdict on the changes of training texts.

    Raises:
        ConfigError: synonyms were asked for by name and there is no WordNet.
    """
    models = [job.model for job in planned.jobs if job.model.name in TEXTS]
    if not models:
        return NO_WORDS
    policy = named_text_policy(models[0].augment_text)
    if policy.is_idle:
        reason = (
            "training texts stay as they are: light changes gained nothing on two sets tried; model.augment_text=light"
        )
        ledger.record(_PRACTICE, Outcome.SKIPPED, f"{reason} makes them")
        return NO_WORDS
    synonyms = _synonyms(encoder, train, models[0]) if policy.synonyms else None
    typos = typos_of(_texts(encoder, train)) if policy.letters else None
    told = TextChanges(policy if synonyms else policy.model_copy(update={"synonyms": 0.0})).told()
    if synonyms is not None:
        told += f"; {synonyms.words:,} words of the training texts have synonyms in WordNet"
    elif policy.synonyms:
        told += "; no synonyms, for there is no WordNet"
    if typos is not None:
        told += f"; {typos[1]:,} words may lose a letter"
    value = None if synonyms is None and not policy.synonyms else 0 if synonyms is None else synonyms.words
    ledger.record(_PRACTICE, Outcome.APPLIED, told, value=value)
    return Substitutes(
        None if synonyms is None else torch.from_numpy(synonyms.table),
        None if typos is None else torch.from_numpy(typos[0]),
    )


def _synonyms(encoder: Encoder, train: Rows, model: ModelConfig) -> Synonyms | None:
    """The synonyms of the words of training texts, or None where there is no WordNet.

    Raises:
        ConfigError: they were asked for by name.
    """
    folder = wordnet_folder(model.wordnet)
    if folder is not None:
        return synonyms_of(_texts(encoder, train), folder)
    if model.augment_text == "synonyms":
        raise ConfigError(
            "synonyms need the files of WordNet",
            "there are none at the usual place, /usr/share/wordnet",
            "Install them (on Debian apt-get install wordnet-base), or name their folder with model.wordnet.",
        )
    return None


def _texts(encoder: Encoder, train: Rows) -> Iterator[str]:
    (place,) = encoder.layout.places("words")
    return (text for item in encoder.layout.media[place].items for text in as_text(train.column(item.name)))
