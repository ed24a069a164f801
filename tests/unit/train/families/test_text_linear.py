"""The linear model of texts: scikit-learn's answers from tensors, folds as members, and what it does without words."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from assay.data.config import DataConfig, EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.labelled import find_labels
from assay.data.reading.read import read
from assay.data.rows import joined
from assay.data.schema import Hints, Kind
from assay.data.split.folds import deal_folds
from assay.data.split.split import seal
from assay.errors import BudgetError
from assay.ledger import Ledger
from assay.models.bag import BagOfNgrams
from assay.train.budget import Budget
from assay.train.examples import examples, folded
from assay.train.families.text_linear import _bags, _of_all_classes, _Search, train_text_linear
from assay.train.loop import predict
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched

BUCKETS = 1 << 16


def found_of(frame, target, *, folds=0, kinds=None):
    table = read(frame)
    schema = infer(table, Hints(target=target, kinds=kinds or {}))
    split = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder = Encoder.fit(split.train, schema, EncodeConfig(text_grams=BUCKETS), Ledger())
    if not folds:
        return examples(encoder, split.train, split.valid, schema)
    rows = joined(split.train, split.valid)
    return folded(encoder, rows, schema, deal_folds(rows, schema, SplitConfig(), folds, 0))


def searched(found, budget=None):
    search = _Search(found, 0, Budget(budget), Unwatched(), 1)
    search.search()
    return search


def trained(found, **options):
    return train_text_linear(found, seed=0, budget=Budget(None), watch=Unwatched(), threads=1, **options)


@pytest.mark.parametrize("target", ["verdict", "stars"])
@pytest.mark.parametrize("folds", [0, 3])
def test_the_network_answers_as_the_models_that_were_fitted(reviews, target, folds):
    frame = reviews.drop("stars" if target == "verdict" else "verdict")
    found = found_of(frame, target, folds=folds, kinds={"review": Kind.TEXT})
    search = searched(found)
    network = trained(found).network
    assert network.members == max(folds, 1)
    answers = predict(network, found.valid.inputs).numpy()
    raw = search.lexicon.counted(_bags(found.valid))
    for fold, (own, fitted) in enumerate(zip(search.folds, search.best, strict=True)):
        matrix = search.lexicon.weighed(raw, own.idf)
        np.testing.assert_allclose(answers[fold], matrix @ fitted.weights + fitted.bias, atol=1e-4)


def test_it_tells_good_from_bad_and_says_how(reviews):
    one = trained(found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT}))
    part = one.part
    assert (part.name, part.is_network, part.members) == ("text linear", False, 1)
    assert part.options["solver"] == "logistic regression"
    assert part.options["C"] in (1.0, 3.0, 10.0, 30.0, 100.0)
    assert part.parameters == one.network.parameter_count > part.options["n-grams"]
    assert min(part.trained.best_losses) < 0.3 * one.first_loss
    assert part.trained.best_losses[0] == min(epoch.valid_loss for epoch in part.trained.epochs)


def test_two_text_columns_have_words_of_their_own(reviews):
    swapped = reviews.drop("stars").with_columns(pl.lit("good great fine bad poor dull").alias("other"))
    swapped = swapped.with_columns(pl.Series("other", [f"{text} {i % 7}" for i, text in enumerate(swapped["other"])]))
    found = found_of(swapped, "verdict", kinds={"review": Kind.TEXT, "other": Kind.TEXT})
    network = trained(found).network
    assert network.reads == (0, 1)
    one, two = found.valid.inputs, found.valid.inputs
    two = type(one)(one.numbers, one.extras, one.codes, one.media[::-1])
    assert (predict(network, one) - predict(network, two)).abs().max() > 0.1


@pytest.mark.parametrize("target", ["verdict", "stars"])
def test_numbers_and_categories_stand_beside_the_words(reviews, target):
    frame = reviews.drop("stars" if target == "verdict" else "verdict")
    rng = np.random.default_rng(0)
    beside = frame.with_columns(
        pl.Series("length", rng.normal(size=len(frame))), pl.Series("place", rng.choice(["x", "y", None], len(frame)))
    )
    found = found_of(beside, target, folds=3, kinds={"review": Kind.TEXT, "place": Kind.CATEGORY})
    search = searched(found)
    network = trained(found).network
    known = search.lexicon.known
    assert network.columns.outputs == network.beside.shape[1] > 3
    answers = predict(network, found.valid.inputs).numpy()
    raw = search.lexicon.counted(_bags(found.valid))
    inputs = found.valid.inputs
    columns = network.columns(inputs.numbers, inputs.extras, inputs.codes).double().numpy()
    for fold, (own, fitted) in enumerate(zip(search.folds, search.best, strict=True)):
        texts = search.lexicon.weighed(raw, own.idf) @ fitted.weights[:known]
        np.testing.assert_allclose(answers[fold], texts + columns @ fitted.weights[known:] + fitted.bias, atol=1e-4)


def test_what_the_words_do_not_say_a_number_says():
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=400)
    words = rng.choice(["red fox", "old dog", "big cat"], 400)
    frame = pl.DataFrame({"t": words, "x": numbers, "y": np.where(numbers > 0, "up", "down")})
    part = trained(found_of(frame, "y", kinds={"t": Kind.TEXT, "x": Kind.NUMBER})).part
    assert part.trained.best_losses[0] < 0.2 < math.log(2) * 0.9


def test_a_class_without_training_rows_stands_where_the_prior_has_it():
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0, 2, 2, 0])
    prior = np.log([0.5, 0.1, 0.4])
    weights, bias = _of_all_classes(model, prior)
    np.testing.assert_allclose(weights, np.stack([np.zeros(2), np.zeros(2), model.coef_[0]], 1))
    np.testing.assert_allclose(bias, [0.0, np.log(0.1 / 0.5), model.intercept_[0]])


def test_exported_and_in_blocks_it_gives_the_same(reviews):
    found = found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT})
    network = trained(found).network
    rows = found.valid.inputs
    whole = network(rows.numbers, rows.extras, rows.codes, *rows.media)
    single = [network(r.numbers, r.extras, r.codes, *r.media) for r in (rows[i : i + 1] for i in range(len(rows)))]
    torch.testing.assert_close(torch.cat(single, 1), whole, atol=1e-5, rtol=0)


def test_unknown_words_and_empty_texts_give_the_bias(reviews):
    found = found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT})
    network = trained(found).network
    assert isinstance(network, BagOfNgrams)
    empty = torch.zeros((2, 3), dtype=torch.int32)
    answers = network(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.int32), empty)
    torch.testing.assert_close(answers, network.bias.expand(1, 2, 2))


def test_without_a_word_that_stands_twice_there_is_nothing_to_learn():
    letters = [chr(0x4E00 + i) for i in range(40)]
    frame = pl.DataFrame({"t": letters, "y": ["a", "b"] * 20})
    with pytest.raises(BudgetError, match="there are none"):
        trained(found_of(frame, "y", kinds={"t": Kind.TEXT}))


def test_no_time_is_said_before_anything_is_fitted(reviews):
    found = found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT})
    with pytest.raises(BudgetError, match="before it was begun"):
        train_text_linear(found, seed=0, budget=Budget(-1.0), watch=Unwatched())


def test_a_time_that_runs_out_keeps_the_best_penalty_so_far(reviews):
    class Clock:
        now = 0.0

        def __call__(self):
            self.now += 1.0
            return self.now

    found = found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT})
    search = _Search(found, 0, Budget(3.5, started=0.0, clock=Clock()), Unwatched(), 1)
    search.search()
    assert search.stopped == "the time budget was used up"
    assert len(search.history) == 1
    assert search.best_penalty == 1.0


def test_it_is_kept_in_a_checkpoint_and_not_fitted_again(reviews, tmp_path):
    found = found_of(reviews.drop("stars"), "verdict", kinds={"review": Kind.TEXT})
    checkpoints = Checkpoints(tmp_path, {"made": "for this test"}, math.inf)
    first = trained(found, checkpoints=checkpoints)
    seen = []

    class Watcher(Unwatched):
        def epoch(self, record, of):
            seen.append(record)

    again = train_text_linear(
        found,
        seed=0,
        budget=Budget(-1.0),
        watch=Watcher(),
        checkpoints=Checkpoints(tmp_path, {"made": "for this test"}, math.inf),
    )
    assert seen == list(first.part.trained.epochs)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name
    assert again.part.options == first.part.options


def test_labels_have_a_logistic_regression_each(reviews):
    labels = reviews.select(
        "review",
        topics=pl.concat_list(
            pl.when(pl.col("review").str.contains(word)).then(pl.lit(word)) for word in ("film", "not", "fine")
        ).list.drop_nulls(),
    )
    table = read(labels)
    hints = Hints(target="topics", kinds={"review": Kind.TEXT})
    schema = infer(table, hints, find_labels(table, hints, DataConfig()).labelling)
    split = seal(table, schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder = Encoder.fit(split.train, schema, EncodeConfig(text_grams=BUCKETS), Ledger())
    found = examples(encoder, split.train, split.valid, schema)
    search = searched(found)
    network = trained(found).network
    (fold,) = search.folds
    answers = predict(network, found.valid.inputs)[0].numpy()
    for label in range(3):
        model = LogisticRegression(C=search.best_penalty, max_iter=200, tol=1e-3).fit(fold.train, fold.target[:, label])
        np.testing.assert_allclose(answers[:, label], model.decision_function(fold.valid), atol=1e-4)
    assert ((answers > 0) == split.valid.target).mean() > 0.95
