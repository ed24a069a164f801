"""One histogram gradient booster of scikit-learn, grown some rounds at a time, and its trees as tensors.

What it learns from is what networks are given. Trees are read out of scikit-learn's own arrays, for which there is no
public way; the parity tests hold each version to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay._imports import require
from assay.data.encoding.encode import Encoded, Layout
from assay.models.trees import Forest

#: Codes a column that scikit-learn's boosting takes as categories.
MOST_CODES = 255
#: Rounds without a lower validation loss after which a booster is done, as for the baseline.
PATIENCE = 20
MOST_LEAVES, DEEPEST = 31, 8

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """The order in which a booster is given the columns of (numbers, extras, codes): categories first.

    order: places in that matrix. sizes: codes of each of the leading columns that are taken as categories.
    """

    order: NDArray[np.int64]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout) -> Columns:
        """Category columns with few enough codes are sets of codes, the others are ordered by their code."""
        first = layout.numbers + layout.extras
        narrow = [place for place, size in enumerate(layout.vocabularies) if size <= MOST_CODES]
        wide = [place for place, size in enumerate(layout.vocabularies) if size > MOST_CODES]
        order = [*(first + place for place in narrow), *range(first), *(first + place for place in wide)]
        return cls(np.array(order, np.int64), tuple(layout.vocabularies[place] for place in narrow))

    def matrix(self, inputs: Encoded) -> NDArray[np.float32]:
        """The inputs as a booster takes them, (n, columns)."""
        whole = torch.cat([inputs.numbers, inputs.extras, inputs.codes.float()], 1)
        return np.asarray(whole.numpy()[:, self.order])


@dataclass(frozen=True)
class Learned:
    """Rows of a booster: matrix (n, columns), targets (n,), and weights (n,) or None."""

    matrix: NDArray[np.float32]
    target: NDArray[Any]
    weight: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.target)

    def at(self, rows: NDArray[Any]) -> Learned:
        """Some of the rows."""
        return Learned(self.matrix[rows], self.target[rows], None if self.weight is None else self.weight[rows])


class NothingToLearnError(Exception):
    """A booster cannot be fitted to these rows; the message says why. Caught where boosters are made."""


class Booster:
    """Boosted trees that are judged on rows of their own after every round.

    rounds: grown so far. valid_losses, train_losses: after 0, 1, ... rounds, in nats or squared deviations.
    done: whether more rounds would not help, or are not allowed.

    Raises:
        NothingToLearnError: there are too few rows or classes.
    """

    def __init__(self, train: Learned, valid: Learned, columns: Columns, *, rate: float, most: int, seed: int) -> None:
        ensemble = require("sklearn.ensemble", "ensemble.trees")
        self.columns, self.most = columns, most
        self._classifies = np.issubdtype(train.target.dtype, np.integer)
        if self._classifies:
            seen = np.unique(train.target)
            if len(seen) < 2:
                raise NothingToLearnError("its training rows are of one class")
            valid = valid.at(np.isin(valid.target, seen))  # of a class never seen no booster can say how likely it is
        if not len(train) or not len(valid):
            raise NothingToLearnError("there are no rows to learn from or to judge by")
        leading = range(len(columns.sizes))
        self._known = [np.unique(train.matrix[:, place]).astype(np.int64) for place in leading]
        self._train, self._valid = self._counted(train), self._counted(valid)
        family = ensemble.HistGradientBoostingClassifier if self._classifies else ensemble.HistGradientBoostingRegressor
        self._model = family(
            learning_rate=rate, max_leaf_nodes=MOST_LEAVES, max_depth=DEEPEST, warm_start=True, early_stopping=True,
            n_iter_no_change=PATIENCE, random_state=seed,
            categorical_features=np.arange(train.matrix.shape[1]) < len(columns.sizes),
        )  # fmt: skip
        self.rounds, self.done = 0, False
        self.valid_losses: Floats = np.empty(0)
        self.train_losses: Floats = np.empty(0)

    def _counted(self, rows: Learned) -> Learned:
        """Codes counted from 0 over those that training rows have, as scikit-learn will; -1 for the others."""
        matrix = rows.matrix.copy()
        for place, known in enumerate(self._known):
            codes = matrix[:, place].astype(np.int64)
            found = np.searchsorted(known, codes).clip(max=len(known) - 1)
            matrix[:, place] = np.where(known[found] == codes, found, -1)
        return Learned(matrix, rows.target, rows.weight)

    def grow(self, rounds: int) -> None:
        """Grow at most so many rounds more; the trees do not depend on how the rounds are cut."""
        train, valid = self._train, self._valid
        self._model.max_iter = min(self.rounds + rounds, self.most)
        self._model.fit(
            train.matrix, train.target, sample_weight=train.weight,
            X_val=valid.matrix, y_val=valid.target, sample_weight_val=valid.weight,
        )  # fmt: skip
        self.rounds = int(self._model.n_iter_)
        self.done = self.rounds < self._model.max_iter or self.rounds >= self.most
        # scikit-learn's loss of values is half the square.
        factor = -1.0 if self._classifies else -2.0
        self.valid_losses = factor * np.asarray(self._model.validation_score_, np.float64)
        self.train_losses = factor * np.asarray(self._model.train_score_, np.float64)

    @property
    def best(self) -> int:
        """Rounds up to the lowest validation loss, one at least."""
        return max(1, int(np.argmin(self.valid_losses[: self.rounds + 1])))

    def forest(self, prior: NDArray[np.float64]) -> Forest:
        """The trees up to the best round; classes without a training row stand where `prior`, (outputs,), has them."""
        baseline = np.asarray(self._model._baseline_prediction, np.float64).ravel()
        columns, start = np.arange(len(baseline)), baseline
        if self._classifies:
            classes = self._model.classes_
            columns = classes if len(baseline) > 1 else classes[1:]
            start = prior.astype(np.float64).copy()
            start[classes] = baseline if len(baseline) > 1 else np.array([0.0, baseline[0]])
            common = classes[np.argmax(prior[classes])]
            unseen = np.setdiff1d(np.arange(len(prior)), classes)
            start[unseen] = start[common] + prior[unseen] - prior[common]
        return plant(self._model._predictors[: self.best], self.columns, self._known, columns, start)


def plant(
    rounds: Sequence[Sequence[Any]],
    columns: Columns,
    known: Sequence[NDArray[np.int64]],
    outputs: NDArray[Any],
    start: Floats,
) -> Forest:
    """The trees of scikit-learn as a forest.

    Args:
        rounds: predictors of each round.
        columns: what the booster was given.
        known: codes of each category column that it knows, in order.
        outputs: the output each tree of a round adds to.
        start: outputs before the first round.
    """
    trees = [tree for each in rounds for tree in each]
    sizes = [len(tree.nodes) for tree in trees]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    sets = _Sets(columns, known)
    pieces = [_planted(tree, base, columns, sets) for tree, base in zip(trees, first, strict=False)]
    feature, threshold, left, value, offset = (
        torch.from_numpy(np.concatenate(part)) for part in zip(*pieces, strict=True)
    )
    return Forest(
        feature=feature,
        threshold=threshold,
        left=left,
        value=value,
        offset=offset,
        right=torch.from_numpy(np.concatenate(sets.right)),
        roots=torch.from_numpy(first[:-1].reshape(len(rounds), -1).copy()),
        columns=torch.from_numpy(np.asarray(outputs, np.int64)),
        start=torch.from_numpy(start),
        depth=torch.tensor(max(int(tree.nodes["depth"].max()) for tree in trees)),
    )


def _planted(tree: Any, base: np.int64, columns: Columns, sets: _Sets) -> tuple[NDArray[Any], ...]:  # noqa: ANN401
    """Feature, threshold, left, value and offset of the nodes of a tree, siblings side by side from `base` on."""
    nodes = tree.nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    places = np.zeros(len(nodes), np.int64)
    places[nodes["left"][inner]] = 1 + 2 * np.arange(len(inner))
    places[nodes["right"][inner]] = 2 + 2 * np.arange(len(inner))
    at = places[inner]
    feature, offset = np.zeros(len(nodes), np.int64), np.full(len(nodes), -1, np.int64)
    feature[at] = columns.order[nodes["feature_idx"][inner]]
    threshold = np.full(len(nodes), np.inf, np.float32)
    threshold[at] = np.where(nodes["is_categorical"][inner], np.inf, _rounded_down(nodes["num_threshold"][inner]))
    left = base + np.arange(len(nodes))
    left[at] = base + 1 + 2 * np.arange(len(inner))
    value = np.zeros(len(nodes))
    value[places] = np.where(nodes["is_leaf"], nodes["value"], 0.0)
    for node in inner[nodes["is_categorical"][inner] != 0]:
        offset[places[node]] = sets.add(nodes[node], tree.raw_left_cat_bitsets)
    return feature, threshold, left, value, offset


def _rounded_down(thresholds: Floats) -> NDArray[np.float32]:
    """The largest float32 not above each: a float32 is above the one if and only if it is above the other."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)


class _Sets:
    """The codes that go right at each node that asks for a category, one set after another."""

    def __init__(self, columns: Columns, known: Sequence[NDArray[np.int64]]) -> None:
        self.right: list[NDArray[np.bool_]] = [np.zeros(1, np.bool_)]
        self._columns, self._known, self._length = columns, known, 1

    def add(self, node: Any, bitsets: NDArray[np.uint32]) -> int:  # noqa: ANN401
        """Where the set of a node begins; codes the booster does not know go where missing values would."""
        column = int(node["feature_idx"])
        known = self._known[column]
        right = np.full(self._columns.sizes[column], not node["missing_go_to_left"], np.bool_)
        bits = np.unpackbits(bitsets[int(node["bitset_idx"])].astype("<u4").view(np.uint8), bitorder="little")
        right[known] = bits[: len(known)] == 0
        self.right.append(right)
        self._length += len(right)
        return self._length - len(right)
