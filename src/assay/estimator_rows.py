"""What estimators are given: arrays, frames and weights to checked rows, their schema, and the rows held out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from assay.bundle.load import UnreadCellsWarning
from assay.data.columns import missing_counts, row_groups
from assay.data.inputs import Input, feed, is_numeric
from assay.data.kinds import distinct_counts, infer_column
from assay.data.reading.frames import from_object, tidy
from assay.data.rows import Rows, take
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.deal import cut_at_random, rarest_class, target_bins
from assay.data.split.deal_labels import cut_by_labels, set_codes
from assay.errors import DataError
from assay.ledger import Ledger, Outcome

Floats = NDArray[np.float64]

#: Fewer different rows than this are all trained on; none is held out for validation.
FEWEST_TO_HOLD_OUT = 20
#: Whole weights are counts of rows as long as these are at most so many times the rows given.
_MOST_REPEATS = 10


def is_frame(X: Any) -> bool:  # noqa: ANN401
    """Whether `X` is a frame of Polars or pandas."""
    return isinstance(X, pl.DataFrame) or (
        type(X).__module__.partition(".")[0] == "pandas" and type(X).__name__ == "DataFrame"
    )


def numbered(X: Floats) -> pl.DataFrame:
    """An array as a frame with the columns x0, x1, ..."""
    return pl.DataFrame({f"x{at}": X[:, at] for at in range(X.shape[1])})


def polars_of(X: Any, fewest: int) -> pl.DataFrame:  # noqa: ANN401
    """A frame of Polars or pandas (without its index) as a Polars frame of plain types.

    Raises:
        DataError: there are too few rows, or a cell is infinite.
    """
    frame = tidy(from_object(X if isinstance(X, pl.DataFrame) else X.reset_index(drop=True), [])[0], [])
    if frame.height < fewest:
        raise DataError(
            f"at least {fewest} row{'s are' if fewest > 1 else ' is'} required",
            f"there {'is one sample' if frame.height else 'are 0 samples'}",
            "Give more rows.",
        )
    infinite = [series.name for series in frame if series.dtype.is_float() and series.is_infinite().any()]
    if infinite:
        raise DataError(
            "numbers must be finite or missing",
            f"column {infinite[0]!r} holds infinity (inf)",
            "Replace it, for example by a missing value.",
        )
    return frame


def check_cells(frame: pl.DataFrame, inputs: tuple[Input, ...], schema: Schema) -> None:
    """Words where training had numbers, booleans or dates must be readable as such.

    Raises:
        DataError: some are not, and the column was no column of words in training; else there is a warning.
    """
    numeric = tuple(item for item in inputs if is_numeric(item))
    wordy = tuple(item for item in numeric if frame.schema[item.name] == pl.String)
    for name, read in feed(frame, wordy).items():
        series, kind = frame.get_column(name), schema[name].kind
        missing = series.null_count() + sum(missing_counts(series, numeric=kind is not Kind.BOOLEAN).values())
        unread = int(np.isnan(read).sum()) - missing
        if unread > 0 and schema[name].dtype != "String":
            raise DataError(
                f"column {name!r} must hold {kind.value} cells, as in training",
                f"{unread} of {len(series)} cells hold words",
                "Check that the columns are not mixed up; leave cells empty where the value is missing.",
            )
        if unread > 0:
            told = f"column {name!r}: {unread} of {len(series)} cells are not of kind {kind.value} and count as missing"
            warnings.warn(told, UnreadCellsWarning, stacklevel=4)


def is_matrix(y: Any) -> bool:  # noqa: ANN401
    """Whether targets have several columns."""
    shape = getattr(y, "shape", None)
    if shape is None:
        first = y[0] if isinstance(y, list | tuple) and len(y) else None
        return isinstance(first, list | tuple | np.ndarray) and len(first) > 1
    return len(shape) == 2 and shape[1] > 1


def check_labels(y: NDArray[Any]) -> None:
    """Refuse amounts, and words mixed with anything else.

    Raises:
        ValueError: these are no classes.
    """
    if y.dtype == object and isinstance(y[0], str):
        odd = [label for label in y if not isinstance(label, str)]
        if odd:
            raise DataError(
                "labels must all be of one type",
                f"{len(odd)} of {len(y)} {'is not a word' if len(odd) == 1 else 'are not words'}, such as {odd[0]!r}",
                "Write all of them as words, and leave out rows without a label.",
            )
    check_classification_targets(y)
    if y.ndim == 2 and not np.isin(y, (0, 1)).all():
        raise DataError(
            "several target columns must each hold 0 and 1, whether a row has the label",
            f"they hold {np.setdiff1d(y, (0, 1))[0]!r}",
            "Give an indicator matrix, or one column of classes.",
        )


def weighted(
    frame: pl.DataFrame,
    target: NDArray[Any],
    sample_weight: Any,  # noqa: ANN401
) -> tuple[pl.DataFrame, NDArray[Any], Floats | None]:
    """The rows with a weight above 0, repeated where weights are counts; weights that are all equal say nothing."""
    if sample_weight is None:
        return frame, target, None
    weight: Floats = _check_sample_weight(sample_weight, frame, dtype=np.float64, ensure_non_negative=True)
    if (weight == weight[0]).all():
        return frame, target, None
    if (weight == np.trunc(weight)).all() and weight.sum() <= _MOST_REPEATS * len(weight):
        rows = np.repeat(np.arange(len(weight)), weight.astype(np.int64))
        return frame[rows], target[rows], None
    rows = np.flatnonzero(weight)
    return frame[rows], target[rows], weight[rows]


def schema_of(frame: pl.DataFrame, classes: tuple[str, ...], *, several: bool = False) -> Schema:
    """Numbers and booleans are taken as such; the kind of words and dates is inferred.

    Raises:
        DataError: no column can be used.
    """
    distinct = distinct_counts(frame)
    columns = tuple(_column(series, distinct[series.name]) for series in frame)
    target = "target"
    while target in frame.columns:
        target += "_"
    task = Task.REGRESSION if not classes else Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    task = Task.MULTILABEL if several else task
    kind = Kind.CATEGORY if classes else Kind.NUMBER
    given = Column(name=target, kind=kind, dtype="", reason="what fit was given as y", distinct=len(classes))
    schema = Schema(
        columns=(*columns, given), target=target, task=task, task_reason="as the estimator says", classes=classes
    )
    if not schema.features:
        reasons = "; ".join(f"{column.name!r} is {column.reason}" for column in columns[:4])
        raise DataError(
            "at least one column must be usable to predict from",
            f"all of them are constant words or ids ({reasons})",
            "Give more columns.",
        )
    return schema


def _column(series: pl.Series, distinct: int) -> Column:
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        return infer_column(series, distinct, None, None)
    kind = Kind.BOOLEAN if series.dtype == pl.Boolean else Kind.NUMBER
    missing = series.null_count() + (int(series.is_nan().sum() or 0) if series.dtype.is_float() else 0)
    reason = f"{kind.value} because of its type"
    return Column(
        name=series.name, kind=kind, dtype=str(series.dtype), reason=reason, distinct=distinct, missing=missing
    )


def in_order(frame: pl.DataFrame, target: NDArray[Any], weight: Floats | None) -> Rows:
    """The rows in the order of their cells, so that training does not depend on the order they came in."""
    targets = target.T if target.ndim == 2 else [target]
    keys = [*frame, *map(pl.Series, targets), *([] if weight is None else [pl.Series(weight)])]
    named = pl.DataFrame([series.alias(str(at)) for at, series in enumerate(keys)])
    order = named.select(pl.arg_sort_by(named.columns)).to_series().to_numpy()
    return Rows("train", frame[order], target[order], None if weight is None else weight[order], order.astype(np.int64))


def parts_of(whole: Rows, schema: Schema, fraction: float, seed: int, ledger: Ledger) -> tuple[Rows, Rows]:
    """Training and validation rows; the same rows twice where too few differ to hold some out."""
    names = [column.name for column in schema.features]
    codes = set_codes(whole.target) if schema.is_multilabel else whole.target
    units = row_groups(whole.frame.select(names), pl.Series(codes))
    different = int(units.max()) + 1
    strata = rarest_class(codes, units)[0] if schema.has_probabilities else target_bins(whole.target, units)
    ledger.record("split.sealed-test", Outcome.NOT_APPLICABLE, "an estimator holds no test rows: its caller judges it")
    lonely = schema.is_classification and bool((np.bincount(strata) < 2).any())
    if different < FEWEST_TO_HOLD_OUT or lonely:
        cause = "a class has a single row" if lonely else f"only {different} rows differ"
        reason = f"{cause}: validation is on the {len(whole):,} training rows themselves"
        ledger.record("split.three-parts", Outcome.WARNED, reason, value=len(whole))
        return whole, whole
    shares, rng = np.array([1.0 - fraction, fraction]), np.random.default_rng(seed)
    if schema.is_multilabel:
        held = cut_by_labels(units, whole.target, shares, rng) == 1
    else:
        held = cut_at_random(units, strata, shares, rng) == 1
    train, valid = take(whole, ~held, "train"), take(whole, held, "valid")
    reason = f"{len(train):,} training and {len(valid):,} validation rows; the test rows are the caller's"
    ledger.record("split.three-parts", Outcome.APPLIED, reason, value=len(valid))
    return train, valid
