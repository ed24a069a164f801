"""The models the network has to beat: class shares or the mean, a linear model, gradient-boosted trees.

They read the cells with the functions the network's own inputs go through (`data/columns.py`), learn from training rows
only, and leave out the time column: a raw date lets trees cling to a time that test rows are past.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.columns import as_boolean, as_category, as_datetime, as_number, as_text
from assay.data.grams import hashed_grams
from assay.data.rows import Rows, sample_of
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.steps import SUMMARY, steps_of, summaries
from assay.data.tfidf import Lexicon, idf_of
from assay.evaluate.config import Baseline, EvaluateConfig
from assay.evaluate.metrics import Floats, Ints
from assay.ledger import Ledger, Outcome

#: scikit-learn's boosting takes 255 codes a column: these, one for the rest, and a missing value of its own.
TREE_CATEGORIES = 253
LINEAR_CATEGORIES = 100
TEXT_BUCKETS = 1 << 18
#: Rows x columns a baseline learns from at most, about 400 MB.
CELLS = 50_000_000
#: Above this many cells the linear model works on a sparse matrix.
DENSE_CELLS = 20_000_000
MOST_ROUNDS = 1000
PATIENCE = 20
#: Training rows below which none are held out to choose the number of rounds, and the rounds then taken.
HELD_OUT_FROM, FEW_ROUNDS = 200, 50
LINEAR_SHARE_OF_TIME = 0.3

_ORDER: tuple[Baseline, ...] = ("majority", "linear", "trees")


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline that has learned; `fit_seconds` is wall time."""

    name: str
    description: str
    fit_seconds: float
    answer: Callable[[pl.DataFrame], Floats]

    def predict(self, rows: Rows) -> Floats:
        """Probabilities (n, K) or values (n,) for `rows`, whose target is not looked at."""
        return np.concatenate([self.answer(block) for block in rows.blocks()])


@dataclass(frozen=True)
class _Task:
    """What every baseline learns from: cells, target and weight of the rows taken, and how long it may take."""

    reader: _Reader
    cells: _Cells
    target: NDArray[Any]
    weight: Floats | None
    classes: int
    seed: int
    deadline: float

    @property
    def kinds_of_target(self) -> int:
        return len(np.unique(self.target))


class _NothingToLearnError(Exception):
    """A baseline cannot be fitted to these rows; the message says why. Never leaves this file."""


def fit_baselines(
    train: Rows,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    seconds: float | None,
    threads: int,
    ledger: Ledger,
) -> tuple[FittedBaseline, ...]:
    """Fit the baselines of the config, from the simplest to the strongest, and write `evaluate.baselines`.

    Args:
        train: the training rows; what is held out to choose the number of boosting rounds is held out of these.
        schema: which columns to read and how.
        config: which baselines, and how many rows they learn from at most.
        seed: of the sample of rows and of the rows held out.
        seconds: wall time for all together; fitting stops early at it. None for as long as it takes.
        threads: CPU threads, 0 for all.
        ledger: where the verdict is written.
    """
    require("sklearn", "a baseline")
    begun = time.monotonic()
    taken = _sample(train, schema, config.baseline_rows, seed)
    fitted, missed = [], []
    with _limited(threads):
        frame = taken.frame
        reader = _Reader(frame, schema)
        task = _Task(reader, reader.read(frame), taken.target, taken.weight, len(schema.classes), seed, float("inf"))
        for kind in (k for k in _ORDER if k in config.baselines):
            share = LINEAR_SHARE_OF_TIME if kind == "linear" else 1.0
            deadline = float("inf") if seconds is None else begun + share * seconds
            if kind != "majority" and time.monotonic() >= deadline:
                missed.append(f"{_name(kind, schema)} (no time was left)")
                continue
            try:
                fitted.append(_timed(kind, replace(task, deadline=deadline), schema, train, threads))
            except _NothingToLearnError as reason:
                missed.append(f"{_name(kind, schema)} ({reason})")
    note_baselines(ledger, fitted, missed)
    return tuple(fitted)


def _timed(kind: Baseline, task: _Task, schema: Schema, train: Rows, threads: int) -> FittedBaseline:
    begun = time.monotonic()
    fit = {"majority": _fit_trivial, "linear": _fit_linear, "trees": _fit_trees}[kind]
    description, answer = fit(task, schema)

    def limited(frame: pl.DataFrame) -> Floats:
        with _limited(threads):
            return answer(frame)

    rows = f"{len(task.target):,} of {len(train):,}" if len(task.target) < len(train) else f"{len(train):,}"
    described = f"{description}; {rows} training rows"
    return FittedBaseline(_name(kind, schema), described, time.monotonic() - begun, limited)


def _name(kind: Baseline, schema: Schema) -> str:
    trivial = "majority class" if schema.is_classification else "mean value"
    return {"majority": trivial, "linear": "linear model", "trees": "boosted trees"}[kind]


def _limited(threads: int) -> Any:  # noqa: ANN401  # threadpoolctl has no types
    control = require("threadpoolctl", "a baseline")
    return control.threadpool_limits(limits=threads or None)


def _sample(train: Rows, schema: Schema, most: int, seed: int) -> Rows:
    """At most `most` of the training rows, fewer for wide tables, in their own order."""
    limit = min(most, max(1000, CELLS // max(len(schema.features), 1)))
    kept = sample_of(len(train), limit, seed)
    return train if kept is None else train.at(kept)


def note_baselines(ledger: Ledger, fitted: Sequence[FittedBaseline], missed: Sequence[str]) -> None:
    """The verdict on baselines that were fitted, and on those that were missed, with the reason."""
    names = ", ".join(f"{model.name} ({model.description})" for model in fitted)
    if missed:
        reason = f"not fitted: {', '.join(missed)}" + (f"; fitted: {names}" if names else "")
        ledger.record("evaluate.baselines", Outcome.WARNED, reason, value=len(fitted))
    elif fitted:
        ledger.record("evaluate.baselines", Outcome.APPLIED, names, value=len(fitted))
    else:
        ledger.record("evaluate.baselines", Outcome.SKIPPED, "no baseline was asked for", value=0)


# Cells --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cells:
    """The features of some rows.

    values: numbers, booleans, parts of dates and summaries of series, NaN where missing or infinite, (n, V).
    codes: categories by falling frequency in training, -1 for missing, (n, C); the number of kept categories stands for
        rare and unseen ones.
    texts: the text columns.
    """

    values: Floats
    codes: Ints
    texts: tuple[pl.Series, ...]

    @cached_property
    def bags(self) -> list[NDArray[np.int32]]:
        """The n-grams of each text column, see `grams.py`; hashed when first asked for."""
        return [hashed_grams(column.to_list(), TEXT_BUCKETS).packed for column in self.texts]


class _Reader:
    """Turns frames into cells; the vocabularies of categories come from the training frame."""

    def __init__(self, frame: pl.DataFrame, schema: Schema) -> None:
        used = [column for column in schema.features if column.name != schema.time]
        self.without_time = len(used) < len(schema.features)
        self._numeric = [c for c in used if c.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME)]
        self._texts = [c for c in used if c.kind is Kind.TEXT]
        self.series = [c.name for c in used if c.kind is Kind.SEQUENCE]
        self._words = {c.name: _vocabulary(frame[c.name]) for c in used if c.kind is Kind.CATEGORY}
        self.kept = [len(words) for words in self._words.values()]

    def read(self, frame: pl.DataFrame) -> _Cells:
        rows = len(frame)
        values = [part for column in self._numeric for part in _numbers(frame[column.name], column)]
        values += [part for name in self.series for part in summaries(steps_of(frame[name])).T]
        codes = [_codes(frame[name], words) for name, words in self._words.items()]
        return _Cells(
            np.stack(values, axis=1) if values else np.empty((rows, 0)),
            np.stack(codes, axis=1) if codes else np.empty((rows, 0), np.int64),
            tuple(as_text(frame[column.name]) for column in self._texts),
        )


def _numbers(series: pl.Series, column: Column) -> list[Floats]:
    if column.kind is Kind.BOOLEAN:
        return [as_boolean(series)]
    if column.kind is Kind.NUMBER:
        values = as_number(series, column.format)
        return [np.where(np.isfinite(values), values, np.nan)]
    seconds = as_datetime(series, column.format)
    known = np.isfinite(seconds)
    moments = pl.Series((np.where(known, seconds, 0) * 1e6).astype(np.int64)).cast(pl.Datetime("us"))
    parts = [moments.dt.month(), moments.dt.weekday(), moments.dt.hour()]
    return [np.where(known, part, np.nan) for part in (seconds, *(p.to_numpy().astype(np.float64) for p in parts))]


def _vocabulary(series: pl.Series) -> list[str]:
    """The most frequent categories, ties in the order of the alphabet."""
    counts = as_category(series).drop_nulls().alias("word").value_counts(name="rows")
    ranked: list[str] = counts.sort("rows", "word", descending=[True, False])["word"].head(TREE_CATEGORIES).to_list()
    return ranked


def _codes(series: pl.Series, words: list[str]) -> Ints:
    cells = as_category(series)
    if not words:
        return np.where(cells.is_null().to_numpy(), -1, 0)
    known = cells.replace_strict(words, list(range(len(words))), default=len(words), return_dtype=pl.Int64)
    return np.where(cells.is_null().to_numpy(), -1, known.fill_null(len(words)).to_numpy())


# The trivial model --------------------------------------------------------------------------------------------------

_Fitted = tuple[str, Callable[[pl.DataFrame], Floats]]


def _fit_trivial(task: _Task, schema: Schema) -> _Fitted:
    if schema.task is Task.REGRESSION:
        mean = np.average(task.target, weights=task.weight)
        return "the mean of the target", lambda frame: np.full(len(frame), mean)
    counts = np.bincount(task.target, task.weight, task.classes)
    shares = counts / counts.sum()
    return "the share of each class, whatever the row", lambda frame: np.tile(shares, (len(frame), 1))


# The linear model ---------------------------------------------------------------------------------------------------


class _Design:
    """Cells as the columns of a linear model: z-scores, medians and flags for missing, one-hot codes, TF-IDF."""

    def __init__(self, cells: _Cells, kept: list[int]) -> None:
        values = cells.values
        missing = np.isnan(values)
        self._flagged = missing.any(axis=0)
        self._median = np.array(
            [np.median(v[~gone]) if not gone.all() else 0.0 for v, gone in zip(values.T, missing.T, strict=True)]
        )
        filled = np.where(missing, self._median, values)
        # Scaled to 1 first, so that squares of huge numbers stay finite.
        self._unit = np.maximum(np.abs(filled).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
        self._mean = (filled / self._unit).mean(axis=0)
        spread = (filled / self._unit).std(axis=0)
        self._spread = np.where(spread > 1e-12, spread, np.inf)
        self._limits = [min(count, LINEAR_CATEGORIES) for count in kept]
        self._lexicon = Lexicon.of(cells.bags, TEXT_BUCKETS) if cells.texts else None
        self._idf = np.empty(0) if self._lexicon is None else idf_of(self._lexicon.counted(cells.bags))
        self.width = values.shape[1] + int(self._flagged.sum()) + sum(k + 2 for k in self._limits)
        self.width += 0 if self._lexicon is None else self._lexicon.known

    def __call__(self, cells: _Cells) -> Any:  # noqa: ANN401  # an array, or a SciPy sparse matrix
        sparse = require("scipy.sparse", "the linear baseline")
        missing = np.isnan(cells.values)
        scaled = (np.where(missing, self._median, cells.values) / self._unit - self._mean) / self._spread
        # A value a hundred deviations out is a slip of the pen; it may not decide the answer alone.
        numbers = np.concatenate([np.clip(scaled, -100, 100), missing[:, self._flagged]], axis=1)
        blocks = [numbers, self._one_hot(cells.codes), *self._weighed(cells)]
        if len(numbers) * self.width <= DENSE_CELLS and self._lexicon is None:
            return np.concatenate([numbers, blocks[1].toarray()], axis=1)
        return sparse.hstack([sparse.csr_matrix(block) for block in blocks], format="csr")

    def _one_hot(self, codes: Ints) -> Any:  # noqa: ANN401
        """A column for each kept category, one for the rest, one for missing."""
        sparse = require("scipy.sparse", "the linear baseline")
        rows, columns = codes.shape
        limits = np.array(self._limits, np.int64)
        slot = np.where(codes < 0, limits + 1, np.minimum(codes, limits))
        first = np.concatenate([[0], np.cumsum(limits + 2)]).astype(np.int64)
        indices = (slot + first[:-1]).ravel()
        pointers = np.arange(rows + 1) * columns
        return sparse.csr_matrix((np.ones(rows * columns), indices, pointers), shape=(rows, int(first[-1])))

    def _weighed(self, cells: _Cells) -> list[Any]:
        """TF-IDF of the n-grams that the training texts know."""
        if self._lexicon is None:
            return []
        return [self._lexicon.weighed(self._lexicon.counted(cells.bags), self._idf)]


def _fit_linear(task: _Task, schema: Schema) -> _Fitted:
    design = _Design(task.cells, task.reader.kept)
    if not design.width:
        raise _NothingToLearnError("no column it can use")
    matrix = design(task.cells)
    notes = _notes(task, "TF-IDF of words and letters" if task.cells.texts else "")
    if schema.task is Task.REGRESSION:
        told, values = _fit_ridge(matrix, task)
        return f"{told}{notes}", lambda frame: values(design(task.reader.read(frame)))
    if task.kinds_of_target < 2:
        raise _NothingToLearnError("its training rows are of one class")
    model, converged = _fit_logistic(matrix, task)
    told = "logistic regression" + ("" if converged else ", stopped by the time limit")

    def answer(frame: pl.DataFrame) -> Floats:
        return _spread_out(model.predict_proba(design(task.reader.read(frame))), model.classes_, task.classes)

    return f"{told}{notes}", answer


def _fit_ridge(matrix: Any, task: _Task) -> tuple[str, Callable[[Any], Floats]]:  # noqa: ANN401
    linear = require("sklearn.linear_model", "the linear baseline")
    centre = float(np.average(task.target, weights=task.weight))
    unit = float(np.abs(task.target - centre).max()) or 1.0
    scaled = (task.target - centre) / unit
    if isinstance(matrix, np.ndarray) and len(scaled) > 2:
        model = linear.RidgeCV(alphas=np.logspace(-2, 4, 7)).fit(matrix, scaled, sample_weight=task.weight)
        told = f"ridge regression, penalty {model.alpha_:g} by leave-one-out"
    else:
        model = linear.Ridge(alpha=1.0).fit(matrix, scaled, sample_weight=task.weight)
        told = "ridge regression, penalty 1"
    return told, lambda rows: np.asarray(model.predict(rows), np.float64) * unit + centre


def _fit_logistic(matrix: Any, task: _Task) -> tuple[Any, bool]:  # noqa: ANN401
    """A logistic regression, continued from where it stood until it converges or the deadline comes."""
    linear = require("sklearn.linear_model", "the linear baseline")
    slow = require("sklearn.exceptions", "the linear baseline").ConvergenceWarning
    model = linear.LogisticRegression(max_iter=20, warm_start=True)
    done = 0
    while True:
        begun = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", slow)  # an unfinished stretch is expected, and told by n_iter_
            model.fit(matrix, task.target, sample_weight=task.weight)
        now = time.monotonic()
        done += model.max_iter
        if int(model.n_iter_.max()) < model.max_iter:
            return model, True
        affordable = (task.deadline - now) / max((now - begun) / model.max_iter, 1e-9)
        if affordable < 5 or done >= 5000:
            return model, False
        model.max_iter = int(min(2 * done, affordable))


def _spread_out(probabilities: Floats, known: Ints, classes: int) -> Floats:
    """Probabilities (n, K) of all classes, 0 for those the model never saw."""
    spread = np.zeros((len(probabilities), classes))
    spread[:, known] = probabilities
    return spread


def _notes(task: _Task, texts: str) -> str:
    notes = [texts] if texts else []
    if task.reader.series:
        notes.append(f"each series as {len(SUMMARY)} numbers (mean, slope, ...)")
    if task.reader.without_time:
        notes.append("without the time column")
    return "".join(f", {note}" for note in notes)


# Boosted trees ------------------------------------------------------------------------------------------------------


def _tree_matrix(cells: _Cells) -> Floats:
    """Numbers and category codes side by side, missing as NaN, which the trees take as it is."""
    return np.concatenate([cells.values, np.where(cells.codes < 0, np.nan, cells.codes)], axis=1)


def _fit_trees(task: _Task, schema: Schema) -> _Fitted:
    if schema.is_classification and task.kinds_of_target < 2:
        raise _NothingToLearnError("its training rows are of one class")
    matrix = _tree_matrix(task.cells)
    held = _held_out(task.target, schema.is_classification, task.seed)
    usable = _usable(matrix[~held])
    if not usable.any():
        raise _NothingToLearnError("no column it can use")
    categorical = (np.arange(matrix.shape[1]) >= task.cells.values.shape[1])[usable]
    model = _new_booster(task, schema, categorical, early=bool(held.any()))
    in_time = _boost(model, matrix[:, usable], task, held)
    best = _best_round(model) if held.any() else int(model.n_iter_)
    chosen = "chosen on held-out training rows" if held.any() else "too few rows to choose the number"
    told = f"histogram gradient boosting, {best} rounds ({chosen}{'' if in_time else ', stopped by the time limit'})"
    notes = _notes(task, "without the text columns" if task.cells.texts else "")

    def answer(frame: pl.DataFrame) -> Floats:
        rows = _tree_matrix(task.reader.read(frame))[:, usable]
        if schema.task is Task.REGRESSION:
            return np.asarray(_at_round(model.staged_predict(rows), best), np.float64)
        return _spread_out(_at_round(model.staged_predict_proba(rows), best), model.classes_, task.classes)

    return f"{told}{notes}", answer


def _usable(matrix: Floats) -> NDArray[np.bool_]:
    """The columns with enough known cells that scikit-learn's binning, which looks at 200,000 rows, meets one."""
    return np.asarray((~np.isnan(matrix)).sum(axis=0) >= max(1, len(matrix) // 10_000), np.bool_)


def _new_booster(task: _Task, schema: Schema, categorical: NDArray[np.bool_], *, early: bool) -> Any:  # noqa: ANN401
    ensemble = require("sklearn.ensemble", "the tree baseline")
    classify = schema.is_classification
    family = ensemble.HistGradientBoostingClassifier if classify else ensemble.HistGradientBoostingRegressor
    return family(
        max_iter=1 if early else FEW_ROUNDS,
        warm_start=True,
        early_stopping=early,
        n_iter_no_change=PATIENCE,
        categorical_features=categorical,
        random_state=task.seed,
    )


def _held_out(target: NDArray[Any], classify: bool, seed: int) -> NDArray[np.bool_]:
    """A tenth of the rows (of each class, rounded down, so that no class is held out whole); none of a small table."""
    held = np.zeros(len(target), bool)
    if len(target) < HELD_OUT_FROM:
        return held
    order = np.random.default_rng(seed).permutation(len(target))
    for value in np.unique(target) if classify else [None]:
        rows = order if value is None else order[target[order] == value]
        held[rows[: len(rows) // 10]] = True
    return held


def _boost(model: Any, matrix: Floats, task: _Task, held: NDArray[np.bool_]) -> bool:  # noqa: ANN401
    """Boost in ever longer stretches until the held-out loss stops falling (True) or the deadline comes (False)."""
    weight = task.weight
    if not held.any():
        model.fit(matrix, task.target, sample_weight=weight)
        return True
    kept = ~held
    while True:
        begun, before = time.monotonic(), int(getattr(model, "n_iter_", 0))
        model.fit(
            matrix[kept],
            task.target[kept],
            sample_weight=None if weight is None else weight[kept],
            X_val=matrix[held],
            y_val=task.target[held],
            sample_weight_val=None if weight is None else weight[held],
        )
        now, done = time.monotonic(), int(model.n_iter_)
        if done < model.max_iter or done >= MOST_ROUNDS:
            return True
        affordable = (task.deadline - now) / max((now - begun) / (done - before), 1e-9)
        if affordable < 1:
            return False
        model.max_iter = int(min(MOST_ROUNDS, 4 * done, done + affordable))


def _best_round(model: Any) -> int:  # noqa: ANN401
    """The round with the lowest held-out loss: a class with a single row can make later ones diverge."""
    return max(1, int(np.argmax(model.validation_score_)))


def _at_round(stages: Any, best: int) -> Floats:  # noqa: ANN401
    """What the model said after `best` rounds."""
    return np.asarray(next(islice(stages, best - 1, None)), np.float64)
