"""What is done to training texts is told, and brings the words that it takes along."""

import pytest
import torch

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind
from assay.data.split.split import seal
from assay.data.texts.words import ids_of
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.search.fit.text_policy import text_substitutes
from assay.search.planning.jobs import Job, Plan
from assay.train.augment.texts import NO_WORDS
from assay.train.config import TrainConfig


@pytest.fixture(scope="module")
def encoded(reviews):
    table = read(reviews)
    schema = infer(table, Hints(target="verdict", kinds={"review": Kind.TEXT}))
    train = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger()).train
    return Encoder.fit(train, schema, EncodeConfig(text_grams=0), Ledger(), words=True), train


def wanted(encoded, name, **model):
    ledger = Ledger()
    job = Job(name, ModelConfig(name=name, **model), TrainConfig())
    return text_substitutes(*encoded, Plan((job,), 1, "said"), ledger), ledger


def test_typos_bring_the_training_words_short_of_a_letter(encoded):
    found, ledger = wanted(encoded, "text_cnn", augment_text="typos")
    assert found.synonyms is None
    (film,) = ids_of(["film"])
    assert set(found.typos[int(film)].tolist()) - {0} == set(ids_of(["flm", "fim", "fil"]).tolist())
    assert found.typos.dtype == torch.int32
    verdict = ledger["train.text-augmentation"]
    assert verdict.outcome is Outcome.APPLIED
    assert verdict.reason.startswith("of words: 15% short of a letter; ")
    assert verdict.reason.endswith(" words may lose a letter")


def test_other_networks_and_unchanged_texts_want_no_words(encoded):
    assert wanted(encoded, "mlp")[0] == NO_WORDS
    found, ledger = wanted(encoded, "text_cnn")
    assert found == NO_WORDS
    assert ledger["train.text-augmentation"].outcome is Outcome.SKIPPED
    assert wanted(encoded, "text_gru", augment_text="light")[0] == NO_WORDS
