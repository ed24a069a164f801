"""What is done to training texts that are read word by word, and what the ledger is told of it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from assay.data.columns import as_text
from assay.data.encode import Encoder
from assay.data.rows import Rows
from assay.data.synonyms import Synonyms, synonyms_of, wordnet_folder
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.models.config import TEXTS
from assay.search.plan import Plan
from assay.train.augment_texts import TextChanges, named_text_policy


def text_synonyms(encoder: Encoder, train: Rows, planned: Plan, ledger: Ledger) -> Tensor | None:
    """The synonyms that networks of the plan want, and the verdict on the changes of training texts.

    Raises:
        ConfigError: synonyms were asked for by name and there is no WordNet.
    """
    models = [job.model for job in planned.jobs if job.model.name in TEXTS]
    if not models:
        return None
    practice, model = "train.text-augmentation", models[0]
    policy = named_text_policy(model.augment_text)
    if policy.is_idle:
        reason = (
            "training texts stay as they are: light changes gained nothing on two sets tried; model.augment_text=light"
        )
        ledger.record(practice, Outcome.SKIPPED, f"{reason} makes them")
        return None
    if not policy.synonyms:
        ledger.record(practice, Outcome.APPLIED, TextChanges(policy).told())
        return None
    folder = wordnet_folder(model.wordnet)
    if folder is None:
        if model.augment_text == "synonyms":
            raise ConfigError(
                "synonyms need the files of WordNet",
                "there are none at the usual place, /usr/share/wordnet",
                "Install them (on Debian apt-get install wordnet-base), or name their folder with model.wordnet.",
            )
        reason = (
            f"{TextChanges(policy.model_copy(update={'synonyms': 0.0})).told()}; no synonyms, for there is no WordNet"
        )
        ledger.record(practice, Outcome.APPLIED, reason, value=0)
        return None
    found = _synonyms(encoder, train, folder)
    reason = f"{TextChanges(policy).told()}; {found.words:,} words of the training texts have synonyms in WordNet"
    ledger.record(practice, Outcome.APPLIED, reason, value=found.words)
    return torch.from_numpy(found.table)


def _synonyms(encoder: Encoder, train: Rows, folder: Path) -> Synonyms:
    (place,) = encoder.layout.places("words")
    texts = (text for item in encoder.layout.media[place].items for text in as_text(train.column(item.name)))
    return synonyms_of(texts, folder)
