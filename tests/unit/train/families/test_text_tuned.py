"""A text encoder is trained further from a fitted head, goes on from a checkpoint, and is the same again."""

import copy

import numpy as np
import polars as pl
import pytest
import torch

from assay.bundle.export import export
from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind
from assay.data.split.split import seal
from assay.errors import BudgetError
from assay.ledger import Ledger
from assay.models.answer import Head
from assay.models.ensemble import Ensemble
from assay.models.reading import inputs_of
from assay.search.config import EnsembleConfig
from assay.search.fit.texts import plan_texts
from assay.train.budget import Budget
from assay.train.examples import examples
from assay.train.families.text_tuned import tune_text
from assay.train.loop import predict
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched


@pytest.fixture(scope="module")
def found(reviews, small_encoder):
    schema = infer(read(reviews), Hints(target="verdict", kinds={"review": Kind.TEXT}))
    split = seal(read(reviews), schema, SplitConfig(), seed=0, ledger=Ledger())
    options = EncodeConfig(text_encoder=str(small_encoder), text_window=32)
    plan = plan_texts(
        split.train,
        0,
        schema,
        options,
        EnsembleConfig(tuned_layers=2),
        room=10**8,
        budget=Budget(None),
        ledger=Ledger(),
    )
    encoder = Encoder.fit(split.train, schema, plan.encode, Ledger(), frozen=plan.frozen, tunes=plan.tunes)
    return examples(encoder, split.train, split.valid, schema)


def tuned(found, **options):
    given = {"budget": Budget(None), "watch": Unwatched()} | options
    return tune_text(found, seed=0, threads=1, **given)


def error(outputs, found):
    return float((outputs[0].argmax(1) != found.valid.target).float().mean())


@pytest.fixture(scope="module")
def trained(found):
    return tuned(found)


def test_it_learns(found, trained):
    assert error(predict(trained.network, found.valid.inputs), found) < 0.4
    losses = [epoch.train_loss for epoch in trained.part.trained.epochs]
    assert losses[-1] < losses[0]
    assert trained.part.options["layers"] == 2


def test_it_is_the_same_again(found, trained):
    again = tuned(found).network.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in trained.network.state_dict().items())


def test_it_goes_on_from_a_checkpoint_to_the_same_weights(found, trained, tmp_path):
    class Ended(Unwatched):
        def epoch(self, record, of):
            if record.epoch == 2:
                raise RuntimeError("killed")

    def checkpoints():
        return Checkpoints(tmp_path, {"run": "same"}, 0.0)

    with pytest.raises(RuntimeError, match="killed"):
        tuned(found, checkpoints=checkpoints(), watch=Ended())
    on = tuned(found, checkpoints=checkpoints())
    assert len(on.part.trained.epochs) == len(trained.part.trained.epochs)
    for name, tensor in trained.network.state_dict().items():
        assert torch.equal(on.network.state_dict()[name], tensor), name


def test_without_time_it_says_so(found):
    with pytest.raises(BudgetError, match=r"ensemble\.tuned_layers=0"):
        tuned(found, budget=Budget(0.0))


def test_the_untouched_encoder_gives_the_vectors_of_before(found, trained):
    frozen = found.encoder.frozen
    ids = frozen.tokenizer.windows(["The film is good!"], 32).ids
    np.testing.assert_allclose(
        frozen.encoder(torch.from_numpy(ids)).numpy(), frozen.encoder.encoder(torch.from_numpy(ids)).numpy(), atol=1e-6
    )


def test_the_bundle_answers_as_it_does(found, trained, reviews, tmp_path):
    schema = infer(read(reviews), Hints(target="verdict", kinds={"review": Kind.TEXT}))
    network = copy.deepcopy(trained.network)
    with torch.no_grad():
        network.head.weight *= 0.01  # this encoder's vectors are so alike that the head is made of large numbers
    head = Head((1.0,), (1.0,))
    probe = reviews.head(30).with_columns(review=pl.Series(["", "good " * 90, *reviews["review"].head(28)]))
    parity, _ = export(found.encoder, Ensemble([network]), head, schema, probe, tmp_path)
    assert parity.rows == 33
    (review,) = (item for item in inputs_of(found.encoder, Ensemble([trained.network])) if item.name == "review")
    assert (review.window, review.grams) == (32, 0)  # nothing here reads n-grams
