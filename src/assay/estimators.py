"""scikit-learn estimators: the network of `assay.fit` behind fit and predict, for pipelines and searches.

They train as a run does (encoding learned on training rows, validation rows for early stopping and temperature) but
stop there: no test rows, baselines, report or bundle, because whoever calls `cross_val_score` does the judging.
"""
# ruff: noqa: E402  # the packages are asked for first, so that the error names the extra

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, Literal, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require

for _package in ("torch", "sklearn"):
    require(_package, "a scikit-learn estimator of assay")

from pydantic import Field, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from assay.compose.run_config import parse_budget
from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoded, Encoder
from assay.data.rows import Rows
from assay.data.schema import Kind, Schema
from assay.errors import ConfigError, DataError
from assay.estimator_rows import (
    check_cells,
    check_labels,
    in_order,
    is_frame,
    is_matrix,
    numbered,
    parts_of,
    polars_of,
    schema_of,
    weighted,
)
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.multilabel.calibration import calibrate_labels, label_answers
from assay.ledger import Ledger, Outcome
from assay.models.config import Activation, ModelConfig
from assay.records import Record
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import predict
from assay.train.model import Model, train_model
from assay.train.threads import using_threads
from assay.train.watch import Unwatched

Floats = NDArray[np.float64]
Options = TypeVar("Options", bound=Record)

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
        several = isinstance(self, ClassifierMixin) and is_matrix(y)
        if not is_frame(X):
            X, y = validate_data(
                self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2,
                y_numeric=isinstance(self, RegressorMixin), multi_output=several,
            )  # fmt: skip
            return numbered(X), y
        validate_data(self, X, y, skip_check_array=True)
        y = np.asarray(y) if several else column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y", estimator_name=type(self).__name__)
        frame = polars_of(X, fewest=2)
        check_consistent_length(frame.height * [0], y)
        return frame, y

    def _rows(self, X: Any) -> pl.DataFrame:  # noqa: ANN401
        """Rows to answer, their columns named as in training."""
        check_is_fitted(self)
        if is_frame(X):
            validate_data(self, X, reset=False, skip_check_array=True)
            frame = polars_of(X, fewest=1)
        else:
            frame = numbered(validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))
        frame.columns = [column.name for column in self.schema_.columns if column.name != self.schema_.target]
        check_cells(frame, self.model_.encoder.inputs, self.schema_)
        return frame

    def _train(
        self,
        frame: pl.DataFrame,
        target: NDArray[Any],
        weight: Floats | None,
        classes: tuple[str, ...],
        *,
        several: bool = False,
    ) -> None:
        """Train on all rows with a weight, and keep the model with what was found on the way.

        several: whether a row may have any number of the classes.
        """
        ledger, schema = Ledger(), schema_of(frame, classes, several=several)
        seed = int(check_random_state(self.random_state).randint(_SEEDS))
        given = self.get_params(deep=False)
        fraction = _checked(_HoldOut, given).validation_fraction
        train, valid = parts_of(in_order(frame, target, weight), schema, fraction, seed, ledger)
        if given["batch_size"] == "auto":
            given["batch_size"] = min(_LARGEST_BATCH, max(_SMALLEST_BATCH, len(train) // _STEPS_AN_EPOCH))
        given["name"] = "mlp"
        given["patience"] = min(given["patience"], given["epochs"])
        network, training = _checked(ModelConfig, given), _checked(TrainConfig, given)
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
        self.model_, self.schema_, self.ledger_ = model, schema, ledger.close()
        # In double precision an answer does not depend on which other rows are asked about at the same time.
        self._network = deepcopy(model.ensemble).double()
        self.n_iter_ = len(model.trained.epochs)

    def _outputs(self, frame: pl.DataFrame) -> Floats:
        """Raw outputs of every member, (members, n, outputs)."""
        with using_threads(0):
            encoded = self.model_.encoder.encode(frame)
            inputs = Encoded(encoded.numbers.double(), encoded.extras.double(), encoded.codes)
            found: Floats = predict(self._network, inputs).numpy()
        return found


class AssayClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A calibrated neural network for classes, or for labels of which a row has any number.

    Labels come as an indicator matrix: `y` of 0 and 1, (n, labels). Each is then given from a probability on that the
    rows held out choose for it, so that its F1 on them is highest, and not from one half.

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
        classes_: the labels as they were given, sorted, (classes,); of an indicator matrix the numbers of its columns.
        n_features_in_, feature_names_in_: columns of `X` in fit, and their names where it had some.
        n_iter_: epochs trained.
        model_: the trained network with its encoder.
        schema_: the kind of every column, with the reason in words.
        ledger_: the verdict on every practice.
    """

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: ANN401
        """Train on rows `X` (n, columns) with labels `y` (n,) or (n, labels) and weights (n,) of at least 0.

        Raises:
            ValueError: the rows, labels, weights or options cannot be used.
            DivergenceError: the numbers are no longer finite.
            BudgetError: the budget leaves no time to train.
        """
        frame, y = self._examples(X, y)
        check_labels(y)
        frame, y, weight = weighted(frame, y, sample_weight)
        if y.ndim == 2:
            self.classes_ = np.arange(y.shape[1])
            self._given_as = y.dtype
            names = tuple(map(str, self.classes_))
            self._train(frame, (y > 0).astype(np.int8), weight, names, several=True)
            return self
        labels = LabelEncoder()
        target = labels.fit_transform(y)
        if len(labels.classes_) < 2:
            raise DataError(
                "a classifier learns from at least two classes",
                f"there is one class: {labels.classes_.tolist()[0]!r} in all {len(y)} rows with a weight",
                "Give rows of another class.",
            )
        self.classes_ = labels.classes_
        self._train(frame, target.astype(np.int64), weight, tuple(map(str, labels.classes_)))
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: ANN401
        """The probability of each class or label in the order of `classes_`, float64 (n, classes)."""
        frame = self._rows(X)
        head = self.model_.head
        if head.has_labels:
            return label_answers(self.model_, self._outputs(frame))
        assert head.temperatures is not None
        return mixed_probabilities(self._outputs(frame), head.temperatures, head.shares)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401
        """The likeliest class of each row, (n,), in the type of the training labels; or its labels, (n, labels)."""
        stated, thresholds = self.predict_proba(X), self.model_.head.thresholds
        if thresholds is not None:  # of labels; a class is the likeliest, as scikit-learn has it
            return np.asarray((stated >= np.array(thresholds)).astype(self._given_as))
        chosen: NDArray[Any] = stated.argmax(axis=1)
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
        frame, y, weight = weighted(frame, np.asarray(y, np.float64), sample_weight)
        self._train(frame, y, weight, ())
        return self

    def predict(self, X: Any) -> Floats:  # noqa: ANN401
        """The value of each row in the target's units, float64 (n,)."""
        frame = self._rows(X)
        standardised = np.average(self._outputs(frame)[:, :, 0], axis=0, weights=self.model_.head.shares)
        return standardised * self.model_.head.deviation + self.model_.head.mean


# Options


class _HoldOut(Record):
    validation_fraction: float = Field(0.2, gt=0.0, lt=1.0, description="Share of the rows held out.")


#: Options that have another name in the records of the stages.
_ELSEWHERE = {"lr": "learning_rate", "batch": "batch_size"}


def _checked(record: type[Options], given: dict[str, Any]) -> Options:
    """The options of a stage out of those of the estimator.

    Raises:
        ConfigError: an option is out of range or of another type.
    """
    named = {field: _ELSEWHERE.get(field, field) for field in record.model_fields}
    try:
        return record.model_validate({field: given[name] for field, name in named.items() if name in given})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        described = record.model_fields[field]
        raise ConfigError(
            first["msg"].replace("Input", named[field]),
            f"it is {first['input']!r}",
            f"{described.description} Default: {described.default!r}.",
        ) from None


def _note_left_out(schema: Schema, ledger: Ledger) -> None:
    """Columns that no network takes: a warning, and a verdict in the ledger."""
    for kind, practice in ((Kind.ID, "audit.id-columns"), (Kind.CONSTANT, "audit.constant-columns")):
        left = [column for column in schema.columns if column.kind is kind]
        if left:
            shown = "; ".join(f"{column.name!r} is {column.reason}" for column in left[:5])
            ledger.record(practice, Outcome.APPLIED, f"{len(left)} columns left out: {shown}", value=len(left))
            warnings.warn(f"{len(left)} column(s) left out: {shown}", LeftOutColumnsWarning, stacklevel=4)


def _calibrated(model: Model, valid: Rows, *, apart: bool, ledger: Ledger) -> Model:
    """The model with the temperature that suits the validation rows, where these are not the training rows."""
    practice = "evaluate.calibration"
    if not model.head.is_classifier:
        ledger.record(practice, Outcome.NOT_APPLICABLE, "a regression has no probabilities")
        return model
    if model.head.has_labels:
        return _with_thresholds(model, valid, apart=apart, ledger=ledger)
    if not apart:
        ledger.record(practice, Outcome.SKIPPED, "no rows are held out, and on training rows it would be too sure")
        return model
    seen = model.validation
    temperature = fit_temperature(seen.outputs, seen.target, seen.weight)
    reason = f"temperature {temperature:.2f} from {len(valid):,} validation rows"
    ledger.record(practice, Outcome.APPLIED, reason, value=temperature)
    return model.hotter(temperature)


def _with_thresholds(model: Model, valid: Rows, *, apart: bool, ledger: Ledger) -> Model:
    """The model with temperatures and thresholds of its labels, where validation rows are not the training rows."""
    if not apart:
        reason = "no rows are held out, and on training rows it would be too sure"
        ledger.record("evaluate.calibration", Outcome.SKIPPED, reason)
        reason = "no rows are held out that could choose them: every label is given from one half on"
        ledger.record("evaluate.thresholds", Outcome.SKIPPED, reason, value=0.5)
        return model
    names = tuple(map(str, range(valid.target.shape[1])))
    found = calibrate_labels(model, names, EvaluateConfig(calibrate="temperature"), ledger)
    assert found.head.temperatures is not None
    reason = f"temperature {found.head.temperatures[0]:.2f} from {len(valid):,} validation rows, and a factor a label"
    ledger.record("evaluate.calibration", Outcome.APPLIED, reason, value=found.head.temperatures[0])
    return found
