"""The models the network has to beat: class shares or the mean, a linear model, gradient-boosted trees."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.schema import Schema, Task
from assay.data.steps import SUMMARY
from assay.data.texts.tfidf import Lexicon, idf_of
from assay.evaluate.baseline_cells import TEXT_BUCKETS, BaselineTask, Cells, NothingToLearnError
from assay.evaluate.metrics import Floats, Ints

LINEAR_CATEGORIES = 100
#: Above this many cells the linear model works on a sparse matrix.
DENSE_CELLS = 20_000_000
MOST_ROUNDS = 1000
PATIENCE = 20
#: Training rows below which none are held out to choose the number of rounds, and the rounds then taken.
HELD_OUT_FROM, FEW_ROUNDS = 200, 50

# The trivial model --------------------------------------------------------------------------------------------------

Fitted = tuple[str, Callable[[pl.DataFrame], Floats]]


def fit_trivial(task: BaselineTask, schema: Schema) -> Fitted:
    """The mean, or the share of each class, whatever the row."""
    if schema.task is Task.REGRESSION:
        mean = np.average(task.target, weights=task.weight)
        return "the mean of the target", lambda frame: np.full(len(frame), mean)
    counts = np.bincount(task.target, task.weight, task.classes)
    shares = counts / counts.sum()
    return "the share of each class, whatever the row", lambda frame: np.tile(shares, (len(frame), 1))


# The linear model ---------------------------------------------------------------------------------------------------


class Design:
    """Cells as the columns of a linear model: z-scores, medians and flags for missing, one-hot codes, TF-IDF."""

    def __init__(self, cells: Cells, kept: list[int]) -> None:
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

    def __call__(self, cells: Cells) -> Any:  # noqa: ANN401  # an array, or a SciPy sparse matrix
        """The matrix of some rows, (n, width)."""
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

    def _weighed(self, cells: Cells) -> list[Any]:
        """TF-IDF of the n-grams that the training texts know."""
        if self._lexicon is None:
            return []
        return [self._lexicon.weighed(self._lexicon.counted(cells.bags), self._idf)]


def fit_linear(task: BaselineTask, schema: Schema) -> Fitted:
    """A ridge regression, or a logistic one.

    Raises:
        NothingToLearnError: no column can be used, or the rows are of one class.
    """
    design = Design(task.cells, task.reader.kept)
    if not design.width:
        raise NothingToLearnError("no column it can use")
    matrix = design(task.cells)
    notes = notes_on(task, "TF-IDF of words and letters" if task.cells.texts else "")
    if schema.task is Task.REGRESSION:
        told, values = _fit_ridge(matrix, task)
        return f"{told}{notes}", lambda frame: values(design(task.reader.read(frame)))
    if task.kinds_of_target < 2:
        raise NothingToLearnError("its training rows are of one class")
    model, converged = fit_logistic(matrix, task)
    told = "logistic regression" + ("" if converged else ", stopped by the time limit")

    def answer(frame: pl.DataFrame) -> Floats:
        return spread_out(model.predict_proba(design(task.reader.read(frame))), model.classes_, task.classes)

    return f"{told}{notes}", answer


def _fit_ridge(matrix: Any, task: BaselineTask) -> tuple[str, Callable[[Any], Floats]]:  # noqa: ANN401
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


def fit_logistic(matrix: Any, task: BaselineTask) -> tuple[Any, bool]:  # noqa: ANN401
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


def spread_out(probabilities: Floats, known: Ints, classes: int) -> Floats:
    """Probabilities (n, K) of all classes, 0 for those the model never saw."""
    spread = np.zeros((len(probabilities), classes))
    spread[:, known] = probabilities
    return spread


def notes_on(task: BaselineTask, texts: str) -> str:
    """What is to be known of the columns, with commas before it; `texts` says what became of texts."""
    notes = [texts] if texts else []
    if task.reader.series:
        notes.append(f"each series as {len(SUMMARY)} numbers (mean, slope, ...)")
    if task.reader.without_time:
        notes.append("without the time column")
    return "".join(f", {note}" for note in notes)


# Boosted trees ------------------------------------------------------------------------------------------------------


def tree_matrix(cells: Cells) -> Floats:
    """Numbers and category codes side by side, missing as NaN, which the trees take as it is."""
    return np.concatenate([cells.values, np.where(cells.codes < 0, np.nan, cells.codes)], axis=1)


def fit_trees(task: BaselineTask, schema: Schema) -> Fitted:
    """Histogram gradient boosting, with the rounds that held-out training rows choose.

    Raises:
        NothingToLearnError: no column can be used, or the rows are of one class.
    """
    if schema.is_classification and task.kinds_of_target < 2:
        raise NothingToLearnError("its training rows are of one class")
    matrix = tree_matrix(task.cells)
    held = held_out(task.target, schema.is_classification, task.seed)
    usable = usable_columns(matrix[~held])
    if not usable.any():
        raise NothingToLearnError("no column it can use")
    categorical = (np.arange(matrix.shape[1]) >= task.cells.values.shape[1])[usable]
    model = new_booster(task, categorical, classify=schema.is_classification, early=bool(held.any()))
    in_time = boost(model, matrix[:, usable], task, held)
    best = best_round(model) if held.any() else int(model.n_iter_)
    chosen = "chosen on held-out training rows" if held.any() else "too few rows to choose the number"
    told = f"histogram gradient boosting, {best} rounds ({chosen}{'' if in_time else ', stopped by the time limit'})"
    notes = notes_on(task, "without the text columns" if task.cells.texts else "")

    def answer(frame: pl.DataFrame) -> Floats:
        rows = tree_matrix(task.reader.read(frame))[:, usable]
        if schema.task is Task.REGRESSION:
            return np.asarray(at_round(model.staged_predict(rows), best), np.float64)
        return spread_out(at_round(model.staged_predict_proba(rows), best), model.classes_, task.classes)

    return f"{told}{notes}", answer


def usable_columns(matrix: Floats) -> NDArray[np.bool_]:
    """The columns with enough known cells that scikit-learn's binning, which looks at 200,000 rows, meets one."""
    return np.asarray((~np.isnan(matrix)).sum(axis=0) >= max(1, len(matrix) // 10_000), np.bool_)


def new_booster(task: BaselineTask, categorical: NDArray[np.bool_], *, classify: bool, early: bool) -> Any:  # noqa: ANN401
    """Trees that are yet to be grown; with `early`, one round at first."""
    ensemble = require("sklearn.ensemble", "the tree baseline")
    family = ensemble.HistGradientBoostingClassifier if classify else ensemble.HistGradientBoostingRegressor
    return family(
        max_iter=1 if early else FEW_ROUNDS,
        warm_start=True,
        early_stopping=early,
        n_iter_no_change=PATIENCE,
        categorical_features=categorical,
        random_state=task.seed,
    )


def held_out(target: NDArray[Any], classify: bool, seed: int) -> NDArray[np.bool_]:
    """A tenth of the rows (of each class, rounded down, so that no class is held out whole); none of a small table."""
    held = np.zeros(len(target), bool)
    if len(target) < HELD_OUT_FROM:
        return held
    order = np.random.default_rng(seed).permutation(len(target))
    for value in np.unique(target) if classify else [None]:
        rows = order if value is None else order[target[order] == value]
        held[rows[: len(rows) // 10]] = True
    return held


def boost(model: Any, matrix: Floats, task: BaselineTask, held: NDArray[np.bool_]) -> bool:  # noqa: ANN401
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


def best_round(model: Any) -> int:  # noqa: ANN401
    """The round with the lowest held-out loss: a class with a single row can make later ones diverge."""
    return max(1, int(np.argmax(model.validation_score_)))


def at_round(stages: Any, best: int) -> Floats:  # noqa: ANN401
    """What the model said after `best` rounds."""
    return np.asarray(next(islice(stages, best - 1, None)), np.float64)
