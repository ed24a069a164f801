"""What can be asked of a model's answers that were kept, without training: other weights, fewer parts, no temperature.

Weights and temperatures are fitted anew on four fifths of the rows and judged by the rest, five times over, with a
practice and without it: what is fitted to a row does not judge by it.

Letters: n rows, K classes or labels, M candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_category
from assay.data.rows import joined
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.kept import MOST_NUMBERS, Floats, Judged
from assay.evaluate.multilabel.calibration import fit_label_temperature, mixed_labels
from assay.search.ensemble.combine import greedy_shares, mixture_loss
from assay.switches import Switch
from assay.train.model import Model

#: Rows that judge of which answers are kept, and parts that they are dealt to.
_MOST_ROWS, _PARTS = 20_000, 5
#: Places of the rows that are fitted to, (m,), to the shares of all candidates, (M,).
_Fit = Callable[[NDArray[np.int64]], Floats]


@dataclass(frozen=True)
class Pair:
    """Answers with a practice, (n, K) or (n,), and without it, of which there may be several that are alike in rank."""

    with_it: Floats
    without: tuple[Floats, ...]


def judged_of(model: Model, split: Split, schema: Schema) -> Judged | None:
    """What is kept of the rows that the model was weighted by; of very many a sample. None where it kept no choice."""
    choice, seen = model.choice, model.validation
    if choice is None or schema.windowing is not None or len(choice.target) != len(seen.target):
        return None
    own = np.arange(len(choice.target)) if choice.weight is None else np.flatnonzero(choice.weight > 0.0)
    most = min(_MOST_ROWS, max(MOST_NUMBERS // max(choice.answers[:, :1].size, 1), 1))
    if len(own) > most:
        own = np.sort(np.random.default_rng(0).choice(own, most, replace=False))
    groups = None
    if schema.group is not None:
        rows = split.valid if len(split.valid) == len(seen.target) else joined(split.train, split.valid)
        names = np.asarray(as_category(rows.column(schema.group)).fill_null("").to_numpy())[own]
        groups = np.unique(names, return_inverse=True)[1]
    logits = None if seen.temperatures is None else np.asarray(seen.outputs[:, own], np.float32)
    return Judged(
        choice.target[own], None if choice.weight is None else choice.weight[own],
        np.asarray(choice.answers[:, own], np.float32), tuple(choice.parts[at].name for at in choice.owner), logits,
        np.asarray(seen.shares, np.float64), groups,
    )  # fmt: skip


def without(judged: Judged, switch: Switch, seed: int) -> Pair | str:
    """The answers with a practice and without it, or why there are none in words."""
    if switch.recomputed == "without calibration":
        return _without_calibration(judged, seed)
    if switch.recomputed == "one member":
        return _one_member(judged)
    own = np.array([part == switch.part for part in judged.parts])
    if switch.recomputed == "one candidate":
        if len(judged.parts) < 2:
            return "the model was weighted from one candidate alone"
        return Pair(_weighted(judged, _greedy(judged), seed), (_weighted(judged, _best(judged), seed),))
    if not own.any():
        return f"there is no {switch.part} among what the model was weighted from"
    if own.all():
        return f"nothing but {switch.part} is in the model"
    return Pair(_weighted(judged, _greedy(judged), seed), (_weighted(judged, _greedy(judged, ~own), seed),))


def _greedy(judged: Judged, able: NDArray[np.bool_] | None = None) -> _Fit:
    """Greedy shares of the candidates that may be taken."""
    places = np.arange(len(judged.parts)) if able is None else np.flatnonzero(able)

    def fit(rows: NDArray[np.int64]) -> Floats:
        shares = np.zeros(len(judged.parts))
        shares[places] = greedy_shares(
            [judged.answers[place][rows].astype(np.float64) for place in places], judged.truth[rows],
            _at(judged.weight, rows),
        )  # fmt: skip
        return shares

    return fit


def _best(judged: Judged) -> _Fit:
    """All of the answer for the candidate with the least loss."""

    def fit(rows: NDArray[np.int64]) -> Floats:
        losses = [
            mixture_loss(each[rows].astype(np.float64), judged.truth[rows], _at(judged.weight, rows))
            for each in judged.answers
        ]
        return np.asarray(np.eye(len(losses))[int(np.argmin(losses))], np.float64)

    return fit


def _weighted(judged: Judged, fit: _Fit, seed: int) -> Floats:
    """The mixture of each row by the shares that the other parts gave."""
    mixed = np.empty(judged.answers.shape[1:])
    for inside, outside in _parts(judged, seed):
        mixed[outside] = np.tensordot(fit(inside), judged.answers[:, outside].astype(np.float64), axes=1)
    return mixed


def _one_member(judged: Judged) -> Pair | str:
    """The mean of the candidates of the part that has most of them, against each of them alone."""
    names, counts = np.unique(np.array(judged.parts), return_counts=True)
    name = str(names[int(counts.argmax())])
    own = np.flatnonzero(np.array(judged.parts) == name)
    if len(own) < 2:
        return "there is one candidate of each network, so there is no mean of members"
    answers = judged.answers[own].astype(np.float64)
    return Pair(answers.mean(axis=0), tuple(answers))


def _without_calibration(judged: Judged, seed: int) -> Pair | str:
    if judged.logits is None:
        return "the run has no probabilities"
    shares, of_labels = [float(each) for each in judged.shares], judged.truth.ndim > 1

    def mixed(logits: NDArray[np.float32], temperature: float) -> Floats:
        heat = [temperature] * len(logits)
        return mixed_labels(logits, heat, shares) if of_labels else mixed_probabilities(logits, heat, shares)

    plain = mixed(judged.logits, 1.0)
    warm = np.empty_like(plain)
    for inside, outside in _parts(judged, seed):
        fitted = fit_label_temperature if of_labels else fit_temperature
        temperature = fitted(judged.logits[:, inside], judged.truth[inside], _at(judged.weight, inside), shares)
        warm[outside] = mixed(judged.logits[:, outside], temperature)
    return Pair(warm, (plain,))


def _parts(judged: Judged, seed: int) -> Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places that are fitted to and places that are judged, for each part; classes evenly dealt, groups whole.

    Of labels rows with as many of them are dealt evenly.
    """
    rng, rows = np.random.default_rng(seed), len(judged.truth)
    if judged.groups is not None:
        names, place = np.unique(judged.groups, return_inverse=True)
        part = rng.permutation(len(names))[place] % _PARTS
    else:
        order = rng.permutation(rows)
        rank = judged.truth if judged.truth.ndim == 1 else judged.truth.sum(axis=1)
        order = order[np.argsort(rank[order], kind="stable")]
        part = np.empty(rows, np.int64)
        part[order] = np.arange(rows) % _PARTS
    found = [(np.flatnonzero(part != at), np.flatnonzero(part == at)) for at in range(_PARTS)]
    return [(inside, outside) for inside, outside in found if len(inside) and len(outside)]


def _at(weight: Floats | None, rows: NDArray[np.int64]) -> Floats | None:
    return None if weight is None else weight[rows]
