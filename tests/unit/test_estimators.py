"""AssayClassifier and AssayRegressor: what scikit-learn's own checks do not ask."""

import subprocess
import sys
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from assay import AssayClassifier, AssayRegressor
from assay.bundle.load import UnreadCellsWarning
from assay.data.schema import Kind
from assay.errors import ConfigError, DataError
from assay.estimators import LeftOutColumnsWarning
from assay.ledger import Outcome

QUICK = {"epochs": 10, "width": 32, "layers": 1, "number_bins": 8, "learning_rate": 1e-2, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def mixed():
    """120 rows of words, numbers, booleans and dates, some missing; the class follows from colour and size."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], 120)
    size = rng.normal(size=120)
    frame = pd.DataFrame(
        {
            "colour": colour,
            "size": np.where(rng.random(120) < 0.1, np.nan, size),
            "new": rng.random(120) < 0.5,
            "day": pd.date_range("2024-01-01", periods=120, freq="7D"),
        }
    )
    frame.loc[rng.choice(120, 8, replace=False), "colour"] = None
    return frame, np.where((colour == "red") | (size > 1.0), "buy", "leave")


# With scikit-learn's tools


def test_cross_validation(iris):
    scores = cross_val_score(AssayClassifier(**QUICK), *iris, cv=3)
    assert scores.shape == (3,)
    assert scores.min() >= 0.9


def test_a_grid_search_over_the_width(iris):
    search = GridSearchCV(AssayClassifier(**QUICK), {"width": np.array([4, 32])}, cv=2).fit(*iris)
    assert search.best_params_["width"] in (4, 32)
    assert search.best_score_ >= 0.9
    (network,) = search.best_estimator_.model_.ensemble.networks
    assert network.hidden[0].linear.weight.shape[2] == search.best_params_["width"]


def test_a_pipeline_with_a_scaler(iris):
    X, y = iris
    plain = AssayClassifier(**QUICK).fit(X, y)
    scaled = make_pipeline(StandardScaler(), AssayClassifier(**QUICK)).fit(X, y)
    assert scaled.score(X, y) >= 0.95
    # The estimator scales by itself, so a scaler before it changes rounding only.
    assert (plain.predict(X) == scaled.predict(X)).mean() >= 0.98


def test_a_clone_is_unfitted_and_a_copy_answers_alike(iris):
    X, y = iris
    fitted = AssayClassifier(**QUICK, members=2, activation="tanh").fit(X, y)
    assert not hasattr(clone(fitted), "classes_")
    assert clone(fitted).get_params() == fitted.get_params()
    np.testing.assert_array_equal(deepcopy(fitted).predict_proba(X), fitted.predict_proba(X))


# Frames


def test_a_frame_of_words_numbers_booleans_and_dates(mixed):
    frame, y = mixed
    model = AssayClassifier(**QUICK | {"epochs": 30}).fit(frame, y)
    kinds = {column.name: column.kind for column in model.schema_.columns if column.name != model.schema_.target}
    assert kinds == {"colour": Kind.CATEGORY, "size": Kind.NUMBER, "new": Kind.BOOLEAN, "day": Kind.DATETIME}
    assert list(model.feature_names_in_) == list(frame.columns)
    assert model.n_features_in_ == 4
    assert model.score(frame, y) >= 0.9
    unseen = frame.head(3).assign(colour=["violet", None, "red"])
    assert np.isfinite(model.predict_proba(unseen)).all()


def test_polars_and_pandas_frames_are_one(mixed):
    frame, y = mixed
    same = pl.from_pandas(frame)
    ours, theirs = (AssayClassifier(**QUICK).fit(data, y) for data in (frame, same))
    np.testing.assert_array_equal(ours.predict_proba(frame), theirs.predict_proba(same))


def test_a_frame_of_numbers_is_as_its_array(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    from_frame, from_array = AssayClassifier(**QUICK).fit(frame, y), AssayClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(from_frame.predict_proba(frame), from_array.predict_proba(X))


def test_the_index_of_a_frame_is_no_feature(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"), index=pd.Index(np.arange(150) * 7, name="patient"))
    model = AssayClassifier(**QUICK).fit(frame, y)
    assert [item.name for item in model.model_.encoder.inputs] == list("abcd")


def test_numbers_are_never_ids_or_left_out(iris):
    X, y = iris
    frame = pd.DataFrame({"id": np.arange(150), "same": 1.0, "petal": X[:, 3]})
    model = AssayClassifier(**QUICK).fit(frame, y)
    assert [item.name for item in model.model_.encoder.inputs] == ["id", "same", "petal"]


def test_a_column_of_names_is_left_out_and_it_is_said(mixed):
    frame, y = mixed
    named = frame.assign(name=[f"n{at:03}" for at in range(len(frame))], kind="x")
    with pytest.warns(LeftOutColumnsWarning) as caught:
        model = AssayClassifier(**QUICK).fit(named, y)
    assert [str(warning.message).partition(" is ")[0] for warning in caught] == [
        "1 column(s) left out: 'name'",
        "1 column(s) left out: 'kind'",
    ]
    assert caught[0].filename == __file__
    assert model.ledger_["audit.id-columns"].value == 1
    assert model.ledger_["audit.constant-columns"].value == 1
    assert model.n_features_in_ == 6
    with pytest.raises(DataError, match="at least one column must be usable"):
        AssayClassifier(**QUICK).fit(named[["kind"]], y)


def test_words_in_a_column_of_numbers_are_refused(mixed):
    frame, y = mixed
    model = AssayClassifier(**QUICK).fit(frame, y)
    spelled = frame.assign(size=frame["size"].map(lambda number: "NA" if number != number else repr(number)))
    np.testing.assert_array_equal(model.predict_proba(spelled), model.predict_proba(frame))
    with pytest.raises(DataError, match="column 'size' must hold number cells, as in training, but 2 of 120 cells"):
        model.predict(spelled.assign(size=["big", "small", *spelled["size"][2:]]))


def test_unreadable_cells_of_numbers_in_words_warn(mixed):
    frame, y = mixed
    spelled = frame[["colour"]].assign(price=[f"{at},{at % 10}00.5" for at in range(1, 121)])
    model = AssayClassifier(**QUICK).fit(spelled, y)
    assert model.schema_["price"].kind is Kind.NUMBER
    with pytest.warns(UnreadCellsWarning, match="'price': 1 of 120 cells"):
        model.predict(spelled.assign(price=["cheap", *spelled["price"][1:]]))


def test_infinity_is_refused(iris, mixed):
    with pytest.raises(ValueError, match="contains infinity"):
        AssayClassifier(**QUICK).fit(np.where(iris[0] > 7, np.inf, iris[0]), iris[1])
    frame, y = mixed
    with pytest.raises(DataError, match="column 'size' holds infinity"):
        AssayClassifier(**QUICK).fit(frame.assign(size=np.inf), y)


def test_the_length_of_a_frame_and_its_labels_must_agree(mixed):
    frame, y = mixed
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AssayClassifier(**QUICK).fit(frame, y[:-1])
    with pytest.raises(DataError, match="one sample"):
        AssayClassifier(**QUICK).fit(frame.head(1), y[:1])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        AssayClassifier(**QUICK).fit(frame, np.where(y == "buy", np.nan, 1.0))


# Labels


@pytest.mark.parametrize(
    "labels",
    [np.array(["no", "yes"]), np.array([7, 30]), np.array([-1.0, 1.0]), np.array([False, True])],
    ids=["words", "integers", "floats", "booleans"],
)
def test_classes_keep_their_type(iris, labels):
    X, y = iris[0][:100], iris[1][:100]
    model = AssayClassifier(**QUICK).fit(X, labels[y])
    np.testing.assert_array_equal(model.classes_, labels)
    assert model.predict(X).dtype == labels.dtype
    np.testing.assert_array_equal(model.predict(X), labels[y])
    np.testing.assert_array_equal(model.predict_proba(X), AssayClassifier(**QUICK).fit(X, y).predict_proba(X))


def test_one_class_and_several_targets_are_refused(iris):
    X, y = iris
    with pytest.raises(DataError, match="at least two classes, but there is one class: 'a' in all 150 rows"):
        AssayClassifier(**QUICK).fit(X, ["a"] * 150)
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape \(150, 2\) instead"):
        AssayRegressor(**QUICK).fit(X, np.column_stack([y, y]))
    with pytest.raises(DataError, match="several target columns must each hold 0 and 1"):
        AssayClassifier(**QUICK).fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("odd", [None, 7])
def test_words_mixed_with_other_labels_are_refused(iris, odd):
    labels = np.array(["a", odd, "b"] * 50, dtype=object)
    with pytest.raises(DataError, match=f"must all be of one type, but 50 of 150 are not words, such as {odd}"):
        AssayClassifier(**QUICK).fit(iris[0], labels)


def test_few_validation_rows_do_not_make_it_too_sure():
    """Wine is nearly separable: with no error on 24 validation rows, plain temperature scaling ends at a loss of 2."""
    X, y = load_wine(return_X_y=True)
    model = AssayClassifier(random_state=0)
    losses = -cross_val_score(model, X, y, cv=3, scoring="neg_log_loss")
    assert losses.mean() < 0.4


def test_a_class_with_one_row_is_trained_on_and_it_is_said(iris):
    X, y = iris[0][:101], iris[1][:101]
    model = AssayClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    verdict = model.ledger_["split.three-parts"]
    assert verdict.outcome is Outcome.WARNED
    assert verdict.reason == "a class has a single row: validation is on the 101 training rows themselves"
    assert model.ledger_["evaluate.calibration"].outcome is Outcome.SKIPPED
    assert set(model.model_.head.temperatures) == {1.0}


def test_rows_are_held_out_in_proportion(iris):
    model = AssayClassifier(**QUICK).fit(*iris)
    # 149 of iris' rows differ; of 50 rows a class a fifth is ten.
    assert model.ledger_["split.three-parts"].value == 30
    assert model.ledger_["evaluate.calibration"].value == model.model_.head.temperatures[0] != 1.0


def test_constant_features_give_the_shares_of_the_classes():
    y = np.repeat(["a", "b"], [150, 50])
    model = AssayClassifier(**QUICK).fit(np.ones((200, 2)), y)
    assert model.ledger_["split.three-parts"].outcome is Outcome.WARNED
    np.testing.assert_allclose(model.predict_proba([[1.0, 1.0]]), [[0.75, 0.25]], atol=0.01)


# Weights


def test_equal_weights_are_none(iris):
    X, y = iris
    plain = AssayClassifier(**QUICK).fit(X, y).predict_proba(X)
    for weight in (1.0, 2.5, np.full(150, 3)):
        np.testing.assert_array_equal(AssayClassifier(**QUICK).fit(X, y, sample_weight=weight).predict_proba(X), plain)


def test_whole_weights_are_counts(iris):
    X, y = iris
    counts = np.arange(150) % 4
    order = np.random.default_rng(0).permutation(counts.sum())
    weighted = AssayClassifier(**QUICK).fit(X, y, sample_weight=counts)
    repeated = AssayClassifier(**QUICK).fit(X.repeat(counts, axis=0)[order], y.repeat(counts)[order])
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


def test_fractional_weights_weigh(iris):
    X, y = iris
    heavy = AssayClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 1, 5.5, 0.5))
    light = AssayClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 1, 0.5, 5.5))
    assert heavy.predict_proba(X)[:, 1].mean() > light.predict_proba(X)[:, 1].mean() + 0.02
    absent = AssayClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 2, 0.0, 0.5 + y))
    np.testing.assert_array_equal(absent.classes_, [0, 1])


def test_bad_weights_are_refused(iris):
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        AssayRegressor(**QUICK).fit(*iris, sample_weight=np.linspace(-1, 1, 150))
    with pytest.raises(ValueError, match="at least one non-zero number"):
        AssayRegressor(**QUICK).fit(*iris, sample_weight=np.zeros(150))


# Regression


@pytest.fixture(scope="module")
def amounts():
    X, y = make_regression(200, 4, noise=1.0, random_state=0)
    return X, 1000.0 + y


@pytest.mark.parametrize("dtype", [np.float32, np.int64, object])
def test_amounts_of_any_type(amounts, dtype):
    X, y = amounts
    y = y.round()
    model = AssayRegressor(**QUICK | {"epochs": 30}).fit(X, y.astype(dtype))
    answers = model.predict(X)
    assert answers.dtype == np.float64
    assert answers.shape == (200,)
    assert model.score(X, y) >= 0.9
    np.testing.assert_array_equal(AssayRegressor(**QUICK | {"epochs": 30}).fit(X, y).predict(X), answers)


def test_a_constant_amount_is_learned():
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.testing.assert_allclose(AssayRegressor(**QUICK).fit(X, np.full(40, 1.7e9)).predict(X), 1.7e9, rtol=1e-9)


def test_amounts_of_fractional_weight(amounts):
    X, y = amounts
    above = y > np.median(y)
    blank = np.zeros_like(X)
    model = AssayRegressor(**QUICK | {"epochs": 30}).fit(blank, y, sample_weight=np.where(above, 3.5, 0.5))
    expected = np.average(y, weights=np.where(above, 3.5, 0.5))
    assert abs(model.predict(blank[:1])[0] - expected) < 0.1 * y.std()


# Chance


def test_the_seed_rules_and_nothing_else(iris):
    X, y = iris
    options = QUICK | {"dropout": 0.5}
    first = AssayClassifier(**options).fit(X, y).predict_proba(X)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = AssayClassifier(**options).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)
    order = np.random.default_rng(1).permutation(150)
    np.testing.assert_array_equal(AssayClassifier(**options).fit(X[order], y[order]).predict_proba(X), first)
    other = AssayClassifier(**options | {"random_state": 1}).fit(X, y).predict_proba(X)
    assert np.abs(other - first).max() > 1e-3


def test_a_random_state_goes_on(iris):
    X, y = iris
    source = np.random.RandomState(3)
    model = AssayClassifier(**QUICK | {"random_state": source})
    first, second = model.fit(X, y).predict_proba(X), model.fit(X, y).predict_proba(X)
    assert np.abs(first - second).max() > 1e-3
    repeat = AssayClassifier(**QUICK | {"random_state": np.random.RandomState(3)}).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, repeat)


@pytest.fixture(scope="module")
def fitted(iris):
    return AssayClassifier(**QUICK | {"members": 2}).fit(*iris)


@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, 149), min_size=1, max_size=40))
def test_an_answer_does_not_depend_on_the_other_rows(fitted, iris, rows):
    whole = fitted.predict_proba(iris[0])
    some = fitted.predict_proba(iris[0][rows])
    np.testing.assert_allclose(some, whole[rows], rtol=0, atol=1e-13)
    np.testing.assert_allclose(some.sum(axis=1), 1.0, rtol=0, atol=1e-12)


# Options and circumstances


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        (
            "width",
            2,
            "width should be greater than or equal to 4, but it is 2. Units of each hidden layer, or length of "
            "a token. Default: 128.",
        ),
        ("learning_rate", 0.0, "learning_rate should be greater than 0, but it is 0.0. Highest learning rate."),
        ("batch_size", "big", "batch_size should be a valid integer"),
        ("activation", "relo", "activation should be 'relu', 'gelu'"),
        ("validation_fraction", 1.0, "validation_fraction should be less than 1, but it is 1.0. Share of the rows"),
        ("budget", "soon", "a budget must be a time above 0, but 'soon' was given"),
    ],
)
def test_an_option_out_of_range(iris, option, value, told):
    with pytest.raises(ConfigError) as caught:
        AssayClassifier(**QUICK | {option: value}).fit(*iris)
    assert str(caught.value).startswith(told)


def test_the_options_reach_the_network(iris):
    model = AssayClassifier(epochs=3, width=8, layers=3, members=2, number_bins=0, batch_size=60, random_state=0)
    model.fit(*iris)
    assert model.n_iter_ == 3
    assert model.model_.trained.steps == 3 * 2  # 120 training rows, 60 a step
    assert model.model_.members == 2
    assert [tuple(layer.linear.weight.shape) for layer in model.model_.ensemble.networks[0].hidden] == [
        (2, 4, 8),
        (2, 8, 8),
        (2, 8, 8),
    ]
    assert AssayClassifier(**QUICK).fit(*iris).model_.trained.steps == 10 * 8  # "auto": steps of an eighth


def test_an_interrupt_keeps_what_was_learned(iris, monkeypatch):
    calls = []

    def interrupted(self, record, of):
        calls.append(record.epoch)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("assay.estimators.Unwatched.epoch", interrupted)
    with pytest.warns(UserWarning, match="training was interrupted"):
        model = AssayClassifier(**QUICK).fit(*iris)
    assert model.n_iter_ == 3
    assert model.score(*iris) > 0.6


def test_a_fit_warns_of_nothing_by_itself(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AssayClassifier(**QUICK).fit(*iris)


@pytest.mark.parametrize("package", ["sklearn", "torch"])
def test_a_missing_package_is_named_with_its_extra(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from assay import AssayError\n"
        "try:\n    from assay import AssayClassifier\n"
        "except AssayError as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"MissingExtraError a scikit-learn estimator of assay needs the package {package!r}")
    assert "pip install 'assay[train]'" in done.stdout


def test_an_indicator_matrix_is_learned_and_given_back(iris):
    X, y = iris
    rng = np.random.default_rng(0)
    target = np.column_stack([y == 1, X[:, 0] > 6, rng.random(150) < 0.05]).astype(np.int64)
    model = AssayClassifier(**{**QUICK, "epochs": 30}).fit(X, target)
    stated, chosen = model.predict_proba(X), model.predict(X)
    assert model.classes_.tolist() == [0, 1, 2]
    assert stated.shape == chosen.shape == (150, 3)
    assert chosen.dtype == target.dtype
    assert (chosen == (stated >= np.array(model.model_.head.thresholds))).all()
    assert (chosen[:, :2] == target[:, :2]).mean() > 0.9
    assert model.ledger_["evaluate.thresholds"].outcome in (Outcome.APPLIED, Outcome.WARNED)
    frame = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_allclose(
        AssayClassifier(**{**QUICK, "epochs": 30}).fit(frame, target).predict_proba(frame), stated
    )


def test_without_rows_held_out_labels_are_given_from_one_half_and_it_is_said():
    X = np.arange(12.0)[:, None]
    target = np.column_stack([X[:, 0] > 5, X[:, 0] % 2 == 0]).astype(int)
    model = AssayClassifier(**QUICK).fit(X, target)
    assert model.model_.head.thresholds == (0.5, 0.5)
    assert "from one half on" in model.ledger_["evaluate.thresholds"].reason
