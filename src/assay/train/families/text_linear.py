"""A linear model of TF-IDF n-grams as a member of the ensemble, on the networks' rows and folds.

It is the strongest cheap model of texts (Wang & Manning, Baselines and Bigrams, ACL 2012). Numbers and categories of a
row stand beside its n-grams. The penalty is chosen by the rows that judge.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.data.encoding.batches import Batch, Resident
from assay.data.texts.tfidf import Lexicon, idf_of
from assay.errors import BudgetError
from assay.models.bag import BagOfNgrams, LinearText, RowColumns
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.device import peak_memory_mb
from assay.train.examples import Examples
from assay.train.families.closed_head import counted, loss_of
from assay.train.loop import Trained
from assay.train.losses import score_name
from assay.train.model import TrainedNetwork
from assay.train.part import Part, Setting
from assay.train.state import Checkpoints, Progress
from assay.train.threads import free_cores
from assay.train.watch import Epoch, Watch

#: The part's name.
TEXT_LINEAR = "text linear"
#: Inverse penalties of a logistic regression, and penalties of a ridge, from the strongest penalty on; the search ends
#: when one is worse than the one before.
_INVERSE_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
_PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
_MOST_ROUNDS = 200
#: Rows whose categories are zeros and ones at once, before they are made sparse.
_ROWS_AT_ONCE = 4096

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Fold:
    """What one member learns from and is judged on: matrices (SciPy, sparse), targets, weights.

    The columns of a matrix are TF-IDF of the known n-grams, and then those of `RowColumns`.
    """

    train: Any
    target: NDArray[Any]
    weight: Floats | None
    valid: Any
    judged: NDArray[Any]
    judged_weight: Floats
    idf: Floats


@dataclass(frozen=True)
class _Fitted:
    """Weights (columns, outputs) and bias (outputs,) of a member, its loss on the rows that judge it and on its own."""

    weights: Floats
    bias: Floats
    loss: float
    train_loss: float


def train_text_linear(
    found: Examples,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    threads: int = 0,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """A linear model of each fold, or one, whose penalty has the lowest loss on the rows that judge.

    Args:
        found: rows in memory, with the bags of at least one text column.
        threads: of the processor; 0 for as many as are free.

    Raises:
        BudgetError: there is no time for a first one, or there is nothing to learn; `came` says which.
        KeyboardInterrupt: interrupted.
    """
    kept = None if checkpoints is None else checkpoints.latest()
    if kept is not None:
        for text in kept.progress.history:
            watch.epoch(Epoch.model_validate_json(text), len(kept.progress.history))
        return _part(kept.progress, kept.tensors, found, len(found.train))
    threads = threads or free_cores()
    if budget.left <= 0:
        raise _no_time(budget)
    control = require("threadpoolctl", "a linear model of texts")
    with control.threadpool_limits(limits=threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", require("sklearn.exceptions", "a linear model of texts").ConvergenceWarning)
        run = _Search(found, seed, budget, watch, threads)
        run.search()
    progress, tensors = run.progress(), run.tensors()
    if checkpoints is not None:
        checkpoints.save(progress, tensors)
    return _part(progress, tensors, found, len(found.train))


class _Search:
    """The penalties, from the strongest on, each fitted to all folds."""

    def __init__(self, found: Examples, seed: int, budget: Budget, watch: Watch, threads: int) -> None:
        self.found, self.budget, self.watch, self.threads = found, budget, watch, threads
        self._began = budget.clock()
        self.reads = found.places("grams")
        folds = max(found.folds, 1)
        train, valid = found.on(torch.device("cpu"), 1, [seed + fold for fold in range(folds)], self.reads)
        assert isinstance(train, Resident)
        assert isinstance(valid, Resident)
        self.buckets = found.encoder.layout.media[self.reads[0]].items[0].grams
        self.lexicon = Lexicon.of(_bags(train.rows), self.buckets)
        self.columns = RowColumns(found.encoder.layout)
        if not self.lexicon.known:
            raise BudgetError(
                "a linear model of texts needs words that stand in two texts", "there are none", "Leave it out."
            )
        self.folds = self._folds(train.rows, valid.rows, folds)
        self.history: list[Epoch] = []
        self.best: list[_Fitted] = []
        self.best_penalty, self.stopped = 0.0, ""

    def _folds(self, train: Batch, valid: Batch, count: int) -> list[_Fold]:
        sparse = require("scipy.sparse", "a linear model of texts")
        learned, judged = (self.lexicon.counted(_bags(rows)) for rows in (train, valid))
        beside, beside_judged = (_beside(rows, self.columns) for rows in (train, valid))
        folds = []
        for fold in range(count):
            own, weight = counted(train.weight, fold, len(train))
            other, judged_weight = counted(valid.weight, fold, len(valid))
            target = train.target.numpy()[own]
            if self.found.classifies and len(np.unique(target)) < 2:
                raise BudgetError(
                    "a linear model of texts needs rows of two classes in every fold", "one has one", "Leave it out."
                )
            idf = idf_of(learned[own])
            matrices = [
                sparse.hstack([self.lexicon.weighed(counts[rows], idf), columns[rows]], format="csr")
                for counts, columns, rows in ((learned, beside, own), (judged, beside_judged, other))
            ]
            judges = valid.target.numpy()[other]
            folds.append(_Fold(matrices[0], target, _unless_alike(weight), matrices[1], judges, judged_weight, idf))
        return folds

    def search(self) -> None:
        """Fit until a penalty is worse than the one before, or the time is up."""
        for place, penalty in enumerate(self.penalties):
            needed = 2.0 * (self.history[-1].seconds - (self.history[-2].seconds if place > 1 else 0.0)) if place else 0
            if place and self.budget.left < needed:
                self.stopped = "the time budget was used up"
                break
            fitted = [self._fit(fold, penalty) for fold in self.folds]
            loss = float(np.mean([each.loss for each in fitted]))
            self._tell(place, loss, float(np.mean([each.train_loss for each in fitted])))
            if self.best and loss >= np.mean([each.loss for each in self.best]):
                self.stopped = "a weaker penalty was worse"
                break
            self.best, self.best_penalty = fitted, penalty
        self.stopped = self.stopped or "all penalties were tried"

    def _fit(self, fold: _Fold, penalty: float) -> _Fitted:
        linear = require("sklearn.linear_model", "a linear model of texts")
        prior = self.found.prior.double().numpy()
        if self.found.has_labels:
            weights, bias = self._fit_labels(fold, penalty, prior)
        elif not self.found.classifies:
            model = linear.Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4)
            model.fit(fold.train, fold.target.astype(np.float64), sample_weight=fold.weight)
            weights, bias = model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_)
        else:
            model = linear.LogisticRegression(C=penalty, max_iter=_MOST_ROUNDS, tol=1e-3)
            model.fit(fold.train, fold.target, sample_weight=fold.weight)
            weights, bias = _of_all_classes(model, prior)
        losses = [
            loss_of(matrix @ weights + bias, target, weight)
            for matrix, target, weight in (
                (fold.valid, fold.judged, fold.judged_weight), (fold.train, fold.target, fold.weight)
            )
        ]  # fmt: skip
        return _Fitted(weights, bias, *losses)

    def _fit_labels(self, fold: _Fold, penalty: float, prior: Floats) -> tuple[Floats, Floats]:
        """A logistic regression of each label; one that all rows have, or none, stands where the prior has it.

        Raises:
            BudgetError: the time is up before the first penalty was tried on all labels.
        """
        linear = require("sklearn.linear_model", "a linear model of texts")
        weights, bias = np.zeros((fold.train.shape[1], len(prior))), prior.copy()
        for label, target in enumerate(fold.target.T):
            if len(np.unique(target)) < 2:
                continue
            if not self.best and self.budget.left <= 0:
                raise _no_time(self.budget)
            model = linear.LogisticRegression(C=penalty, max_iter=_MOST_ROUNDS, tol=1e-3)
            model.fit(fold.train, target, sample_weight=fold.weight)
            weights[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        return weights, bias

    @property
    def penalties(self) -> tuple[float, ...]:
        """What is tried, from the strongest penalty on."""
        return _PENALTIES if self.found.targets.is_floating_point() else _INVERSE_PENALTIES

    def _tell(self, place: int, loss: float, train_loss: float) -> None:
        record = Epoch(
            epoch=place + 1,
            step=place + 1,
            seconds=self.budget.clock() - self._began,
            train_loss=train_loss,
            valid_loss=loss,
            valid_score=None,
            score_name=score_name(self.found.targets),
            learning_rate=self.penalties[place],
            gradient_norm=0.0,
            memory_mb=peak_memory_mb(),
        )
        self.history.append(record)
        self.watch.epoch(record, len(self.penalties))

    def progress(self) -> Progress:
        """How it went, as a checkpoint says it."""
        prior = self.found.prior.double().numpy()
        first = [loss_of(np.tile(prior, (len(f.judged), 1)), f.judged, f.judged_weight) for f in self.folds]
        return Progress(
            step=len(self.history),
            epoch=len(self.history),
            place=0,
            horizon=len(self.history),
            seconds=self.budget.clock() - self._began,
            used=self.budget.used,
            counters={"first_loss": float(np.mean(first)), "penalty": self.best_penalty, "threads": self.threads},
            history=tuple(record.model_dump_json() for record in self.history),
            stopped=self.stopped,
            python_random="",
            threads=self.threads,
        )

    def tensors(self) -> dict[str, Tensor]:
        """What was fitted, by name."""
        named = {"slots": torch.from_numpy(self.lexicon.slots)}
        for place, (fold, fitted) in enumerate(zip(self.folds, self.best, strict=True)):
            known, beside = np.split(fitted.weights, [self.lexicon.known])
            member = LinearText(_led(fold.idf), _led(known), _single(fitted.bias), _single(beside))
            named |= {f"{place}.{name}": tensor for name, tensor in member.tensors().items()}
        return named | {"losses": torch.tensor([each.loss for each in self.best], dtype=torch.float64)}


def _part(progress: Progress, tensors: Mapping[str, Tensor], found: Examples, rows: int) -> TrainedNetwork:
    reads = found.places("grams")
    buckets = found.encoder.layout.media[reads[0]].items[0].grams
    slots, losses = tensors["slots"], tensors["losses"].tolist()
    every = [
        LinearText(**{field.name: tensors[f"{place}.{field.name}"] for field in fields(LinearText)})
        for place in range(len(losses))
    ]

    def make(members: Sequence[int]) -> Network:
        return BagOfNgrams(slots, [every[member] for member in members], reads, buckets, found.encoder.layout)

    network = make(range(len(every)))
    epochs = tuple(Epoch.model_validate_json(text) for text in progress.history)
    penalty = progress.counters["penalty"]
    best = 1 + int(np.argmin([record.valid_loss for record in epochs]))
    trained = Trained(
        epochs=epochs, best_epochs=(best,) * len(every), best_losses=tuple(losses), lost=(), steps=progress.step,
        horizon=progress.horizon, batch=rows, threads=progress.threads, precision="float64", seconds=progress.seconds,
        stopped=progress.stopped, clipped=0.0, skipped=0, interrupted=False,
        limited_by_budget=progress.stopped == "the time budget was used up",
    )  # fmt: skip
    is_ridge = found.targets.is_floating_point()
    solver = "logistic regression of each label" if found.has_labels else "logistic regression"
    options: dict[str, Setting] = {
        "n-grams": int(slots.max()),
        "alpha" if is_ridge else "C": penalty,
        "solver": "ridge" if is_ridge else solver,
    }
    part = Part(
        TEXT_LINEAR, ModelConfig(), TrainConfig(), trained, len(every), network.parameter_count, is_network=False,
        options=options,
    )  # fmt: skip
    return TrainedNetwork(network.eval(), part, progress.counters["first_loss"], make)


# Matrices -----------------------------------------------------------------------------------------------------------


def _bags(rows: Batch) -> list[NDArray[np.int32]]:
    return [bags.numpy() for bags in rows.inputs.media]


def _beside(rows: Batch, columns: RowColumns) -> Any:  # noqa: ANN401  # a SciPy matrix
    """What rows have beside their texts, sparse (n, columns)."""
    sparse = require("scipy.sparse", "a linear model of texts")
    if not columns.outputs:
        return sparse.csr_matrix((len(rows), 0), dtype=np.float64)
    given = (rows.inputs.numbers, rows.inputs.extras, rows.inputs.codes)
    blocks = zip(*(each.split(_ROWS_AT_ONCE) for each in given), strict=True)
    return sparse.vstack([sparse.csr_matrix(columns(*block).double().numpy()) for block in blocks], format="csr")


def _unless_alike(weight: Floats) -> Floats | None:
    """Weights that are all alike are none, so that folds of other sizes have the same penalty."""
    return None if not len(weight) or bool((weight == weight[0]).all()) else weight


def _of_all_classes(model: Any, prior: Floats) -> tuple[Floats, Floats]:  # noqa: ANN401
    """Weights and bias for every class; one without a training row stands where the prior has it."""
    classes = model.classes_
    weights, bias = np.zeros((model.coef_.shape[1], len(prior))), np.zeros(len(prior))
    if len(classes) == 2:  # scikit-learn gives the difference of the two
        weights[:, classes[1]], bias[classes[1]] = model.coef_[0], model.intercept_[0]
    else:
        weights[:, classes], bias[classes] = model.coef_.T, model.intercept_
    common = classes[np.argmax(prior[classes])]
    unseen = np.setdiff1d(np.arange(len(prior)), classes)
    bias[unseen] = bias[common] + prior[unseen] - prior[common]
    return weights, bias


def _led(known: Floats) -> Tensor:
    """With a row of zeros before it, for unknown n-grams."""
    return _single(np.concatenate([np.zeros((1, *known.shape[1:])), known]))


def _single(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _no_time(budget: Budget) -> BudgetError:
    return BudgetError(
        "the budget must leave time for a linear model of texts",
        f"{budget.used:.0f} s had passed before it was begun",
        "Give more time with --budget.",
    )
