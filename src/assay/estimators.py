"""scikit-learn estimators: the network of `assay.fit` behind fit and predict, for pipelines and searches.

They train as a run does (encoding learned on training rows, validation rows for early stopping and temperature) but
stop there: no test rows, baselines, report or bundle, because whoever calls `cross_val_score` does the judging.
"""
# ruff: noqa: E402  # the packages are asked for first, so that the error names the extra

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require

for _package in ("sklearn", "scipy", "torch"):
    require(_package, "a scikit-learn estimator of assay")

from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from assay.compose.run_config import parse_budget
from assay.data.columns import row_groups
from assay.data.config import EncodeConfig, SplitConfig
from assay.data.deal import cut_at_random, rarest_class, target_bins
from assay.data.encode import Encoded, Encoder
from assay.data.frames import from_object, tidy
from assay.data.kinds import distinct_counts, infer_column
from assay.data.rows import Rows, take
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError, DataError
from assay.evaluate.calibrate import apply_temperature, fit_temperature
from assay.ledger import Ledger, Outcome
from assay.models.config import Activation, ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import using_threads
from assay.train.loop import predict
from assay.train.model import Model, train_model
from assay.train.watch import Unwatched

Floats = NDArray[np.float64]

#: Fewer different rows than this are all trained on; none is held out for validation.
FEWEST_TO_HOLD_OUT = 20
#: Whole weights are counts of rows as long as these are at most so many times the rows given.
_MOST_REPEATS = 10
#: Steps an epoch should have, and the rows a step takes at least and at most, where `batch_size` is "auto".
_STEPS_AN_EPOCH, _SMALLEST_BATCH, _LARGEST_BATCH = 8, 8, 256
_SEEDS = 2**31 - 1


class LeftOutColumnsWarning(UserWarning):
    """Columns of a frame that no network can use, such as ids and constant words, were left out."""


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: their options, and the way from a frame and a target to a trained network."""

    def __init__(
        self,
        *,
        epochs: int = 30,
        width: int = 128,
        layers: int = 2,
        activation: Activation = "relu",
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        batch_size: int | Literal["auto"] = "auto",
        weight_decay: float = 1e-2,
        members: int = 1,
        number_bins: int = 48,
        validation_fraction: float = 0.2,
        patience: int = 10,
        budget: float | str | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.epochs = epochs
        self.width = width
        self.layers = layers
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.members = members
        self.number_bins = number_bins
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.budget = budget
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _examples(self, X: Any, y: Any) -> tuple[pl.DataFrame, NDArray[Any]]:  # noqa: ANN401
        """The rows and their targets, both checked as scikit-learn does."""
        if not _is_frame(X):
            X, y = validate_data(
                self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2,
                y_numeric=isinstance(self, RegressorMixin),
            )  # fmt: skip
            return _numbered(X), y
        validate_data(self, X, y, skip_check_array=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y", estimator_name=type(self).__name__)
        frame = _polars(X, fewest=2)
        check_consistent_length(frame.height * [0], y)
        return frame, y

    def _rows(self, X: Any) -> pl.DataFrame:  # noqa: ANN401
        """Rows to answer, their columns named as in training."""
        check_is_fitted(self)
        if _is_frame(X):
            validate_data(self, X, reset=False, skip_check_array=True)
            frame = _polars(X, fewest=1)
        else:
            frame = _numbered(validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))
        frame.columns = [column.name for column in self.schema_.columns]
        _check_cells(frame, self.schema_)
        return frame

    def _train(self, frame: pl.DataFrame, target: NDArray[Any], weight: Floats | None, classes: tuple[str, ...]) -> None:
        """Train on all rows with a weight, and keep the model with what was found on the way."""
        ledger, schema = Ledger(), _schema(frame, classes)
        seed = int(check_random_state(self.random_state).randint(_SEEDS))
        whole = _in_order(frame, target, weight)
        fraction = _checked(SplitConfig, {"validation_fraction": "valid"}, self, test=0.0).valid
        train, valid = _parts(whole, schema, fraction, seed, ledger)
        network = _checked(ModelConfig, {name: name for name in _NETWORK}, self)
        training = _checked(TrainConfig, _TRAINING, self, batch=self._batch(len(train)))
        _note_left_out(schema, ledger)
        with using_threads(training.threads):
            encoder = Encoder.fit(train, schema, EncodeConfig(), ledger)
            model = train_model(
                encoder, train, valid, schema, network, training, seed=seed,
                budget=Budget(parse_budget(self.budget)), watch=Unwatched(), ledger=ledger,
            )  # fmt: skip
            model = _calibrated(model, valid, apart=valid is not train, ledger=ledger)
        if model.trained.interrupted:
            warnings.warn("training was interrupted; the best weights so far are kept", stacklevel=3)
        # Answers in double precision do not depend on which other rows are asked about at the same time.
        model.network.double()
        self.model_, self.schema_, self.ledger_ = model, schema, ledger.close()
        self.n_iter_ = len(model.trained.epochs)

    def _batch(self, rows: int) -> Any:  # noqa: ANN401  # whatever the caller set; checked with the others
        if isinstance(self.batch_size, str) and self.batch_size == "auto":
            return min(_LARGEST_BATCH, max(_SMALLEST_BATCH, rows // _STEPS_AN_EPOCH))
        return self.batch_size

    def _outputs(self, frame: pl.DataFrame) -> Floats:
        """Raw outputs of every member, (members, n, outputs)."""
        with using_threads(0):
            encoded = self.model_.encoder.encode(frame)
            inputs = Encoded(encoded.numbers.double(), encoded.extras.double(), encoded.codes)
            found: Floats = predict(self.model_.network, inputs).numpy()
        return found


class AssayClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A calibrated neural network for classes.

    `X` is a NumPy array of numbers (NaN is a missing value), or a pandas or Polars frame whose columns may also hold
    words, booleans and dates. Numbers are always taken as numbers; the kind of other columns is inferred, and ids and
    columns with one value are left out with a warning. Sparse input is refused.

    A share of the rows, chosen with the classes in proportion and equal rows kept together, is held out for early
    stopping and for the temperature of the probabilities. Where fewer than 20 rows differ, or a class has a single
    row, all rows are trained on, validation is on these same rows, and probabilities are not calibrated; `ledger_`
    says which was done.

    The order of the training rows does not matter. A row of weight 0 is as if absent, and whole weights are counts: a
    weight of 3 is the same as the row three times (up to ten times the rows in all; beyond that, and where weights
    are fractions, they weigh the loss).

    Args:
        epochs: most passes over the training rows.
        width: units of each hidden layer.
        layers: hidden layers.
        activation: relu, gelu, silu, mish, selu, tanh or leaky_relu.
        dropout: share of hidden units dropped while training.
        learning_rate: highest learning rate of the schedule.
        batch_size: rows a step; "auto" takes 256, or an eighth of fewer than 2,048 training rows.
        weight_decay: decoupled weight decay; biases are exempt.
        members: networks with own seeds that are trained at once and averaged.
        number_bins: piecewise-linear bins a number is widened to; 0 leaves numbers as they are.
        validation_fraction: share of the rows held out.
        patience: epochs without a better validation loss before training stops.
        budget: most seconds of training, or `60s`, `10m`; a schedule shortened by it depends on the machine's speed.
        random_state: every random choice follows from it; None draws from NumPy's global state.

    Attributes:
        classes_: the labels as they were given, sorted, (classes,).
        n_features_in_, feature_names_in_: columns of `X` in fit, and their names where it had some.
        n_iter_: epochs trained.
        model_: the trained network with its encoder.
        schema_: the kind of every column, with the reason in words.
        ledger_: the verdict on every practice.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: ANN401
        """Train on rows `X` (n, columns) with labels `y` (n,) and weights (n,) of at least 0.

        Raises:
            ValueError: the rows, labels, weights or options cannot be used.
            DivergenceError: the numbers are no longer finite.
            BudgetError: the budget leaves no time to train.
        """
        frame, y = self._examples(X, y)
        check_classification_targets(y)
        weight = _weights(sample_weight, frame)
        if weight is not None:
            present = np.flatnonzero(weight > 0)
            frame, y, weight = frame[present], y[present], weight[present]
        labels = LabelEncoder()
        target = labels.fit_transform(y)
        if len(labels.classes_) < 2:
            raise DataError(
                "a classifier learns from at least two classes",
                f"there is one class: {labels.classes_[0]!r} in all {len(y)} rows with a weight",
                "Give rows of another class.",
            )
        self.classes_ = labels.classes_
        self._train(frame, target.astype(np.int64), weight, tuple(map(str, labels.classes_)))
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: ANN401
        """The probability of each class in the order of `classes_`, float64 (n, classes)."""
        frame = self._rows(X)
        assert self.model_.head.temperature is not None
        return apply_temperature(self._outputs(frame), self.model_.head.temperature)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401
        """The likeliest class of each row, (n,), in the type of the training labels."""
        chosen: NDArray[Any] = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])


class AssayRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A neural network for amounts: the mean of the target, learned by squared error on the standardised target.

    Takes the same rows, options and weights as `AssayClassifier` and has the same attributes but for `classes_`. The
    rows held out keep the target's deciles in proportion.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: ANN401
        """Train on rows `X` (n, columns) with values `y` (n,) and weights (n,) of at least 0.

        Raises:
            ValueError: the rows, values, weights or options cannot be used.
            DivergenceError: the numbers are no longer finite.
            BudgetError: the budget leaves no time to train.
        """
        frame, y = self._examples(X, y)
        self._train(frame, np.asarray(y, np.float64), _weights(sample_weight, frame), ())
        return self

    def predict(self, X: Any) -> Floats:  # noqa: ANN401
        """The value of each row in the target's units, float64 (n,)."""
        frame = self._rows(X)
        standardised: Floats = self._outputs(frame).mean(axis=0)[:, 0]
        return standardised * self.model_.head.deviation + self.model_.head.mean


# Options

_NETWORK = ("layers", "width", "activation", "dropout", "number_bins", "members")
#: Names of the options here, and in the record of the training loop.
_TRAINING = {
    "epochs": "epochs",
    "batch_size": "batch",
    "learning_rate": "lr",
    "weight_decay": "weight_decay",
    "patience": "patience",
}
