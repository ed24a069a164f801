"""Settings of a study that are combined: shares of their answers, where rows left out show that it pays.

Every completed trial has answers for rows that it had not learned from. The best are weighted greedily (`combine.py`;
Caruana et al., ICML 2004). Whether that is better than the best setting alone is judged as the choice of the best is
(`evaluate/selection.py`; Tsamardinos et al. 2018): on each bootstrap draw of the rows both choices are made anew, and
scored on the rows that the draw left out.

Letters: n rows, m of them drawn from, b draws, M settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.evaluate.metrics import Metric
from assay.evaluate.multilabel.metrics import scorer_for
from assay.evaluate.selection import draws
from assay.records import Record
from assay.search.ensemble.combine import ROUNDS, guarded_shares
from assay.search.study.answered import answers_of
from assay.search.study.space import FAMILY
from assay.search.study.store import Tried

Floats = NDArray[np.float64]

#: Settings that are weighted at most, and the best of each family among them: what errs otherwise is worth most.
CANDIDATES, _OF_A_FAMILY = 16, 3
#: Steps of the weighting where settings are trained anew in the end, no more of them, and where they need not be.
_FEW_STEPS = 4
#: Draws of the rows, and rows that are drawn from at most.
_DRAWS, _ROWS = 60, 4_000
#: How much less the mean of draws varies than one draw, whose left-out rows are 0.37 of all.
_NARROWER = float(np.sqrt(np.exp(-1.0) / (1.0 - np.exp(-1.0))))
#: Rows that draws need for what they say to mean anything.
_FEWEST = 50


class Mixture(Record):
    """Trials whose answers are weighted as one model's, and whether that is better than the best alone.

    shares: of the trials of these `numbers`, the largest first. score: of the mixture on all rows that judge.
    gain: in the metric on rows that draws left out, more is better whatever the metric; error: its standard error.
    is_taken: whether the settings are parts of one model. why: in words.
    """

    numbers: tuple[int, ...]
    shares: tuple[float, ...]
    score: float
    gain: float
    error: float
    is_taken: bool
    why: str


def candidates(ranked: Sequence[Tried]) -> list[int]:
    """The numbers of the trials that are weighted: the best, and the best of each family; the best first.

    ranked: completed trials, the best first.
    """
    families: dict[object, list[int]] = {}
    for each in ranked:
        families.setdefault(each.trial.options.get(FAMILY), []).append(each.number)
    chosen = {number for own in families.values() for number in own[:_OF_A_FAMILY]}
    for each in ranked:
        if len(chosen) >= CANDIDATES:
            break
        chosen.add(each.number)
    return [each.number for each in ranked if each.number in chosen]


def mixture_of(
    folder: Path,
    numbers: Sequence[int],
    task: Task,
    measure: Metric,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    trained_anew: bool = True,
) -> Mixture | None:
    """The weights of trials by what they answered; None where there are fewer than two, or too few rows.

    Args:
        folder: of the answers. numbers: of the trials, the best first.
        measure: the metric of the study.
        trained_anew: whether the settings must be trained in the end; there are few of them then.
        groups: rows of one group are drawn together, (n,).
        seed: of the draws.

    Raises:
        BundleError: a file is missing or damaged.
    """
    found = answers_of(folder, numbers)
    able = np.flatnonzero(found.rows.fold >= 0)
    if len(numbers) < 2 or len(able) < _FEWEST:
        return None
    rng = np.random.default_rng(seed)
    rows = able if len(able) <= _ROWS else np.sort(rng.choice(able, _ROWS, replace=False))
    truth = found.rows.truth
    weight = None if found.rows.weight is None else np.asarray(found.rows.weight, np.float64)
    answers = [np.asarray(found.predictions[number], np.float64) for number in numbers]
    own = None if groups is None else groups[rows]
    strata = np.asarray(truth[rows], np.int64) if task in (Task.BINARY, Task.MULTICLASS) and own is None else None
    drawn = np.concatenate(list(draws(len(rows), _DRAWS, seed, groups=own, strata=strata)))
    counts = np.zeros(len(truth)) if weight is None else weight.copy()
    counts[able] = 1.0 if weight is None else weight[able]
    rounds = _FEW_STEPS if trained_anew else ROUNDS
    weighting = guarded_shares(answers, truth, counts, draws=drawn, rows=rows, rounds=rounds)
    taken = np.ones(len(rows)) if weight is None else weight[rows]
    gain, error = _gain([each[rows] for each in answers], truth[rows], taken, drawn, weighting.drawn, task, measure)
    mixed = np.tensordot(weighting.shares, np.stack(answers), axes=1)
    score = _score(task, truth[able], mixed[able], None if weight is None else weight[able], measure)
    order = [int(at) for at in np.argsort(-weighting.shares, kind="stable") if weighting.shares[at] > 0.0]
    is_taken = len(order) > 1 and np.isfinite(gain) and gain > error
    return Mixture(
        numbers=tuple(numbers[at] for at in order), shares=tuple(float(weighting.shares[at]) for at in order),
        score=score, gain=gain, error=error, is_taken=bool(is_taken), why=_why(len(order), gain, error, measure),
    )  # fmt: skip


def as_judged(mixture: Mixture) -> Mixture:
    """The mixture where its networks need not be trained anew: taken if it gained anything at all."""
    if mixture.is_taken or len(mixture.numbers) < 2 or not mixture.gain > 0.0:
        return mixture
    why = f"{mixture.why}, but the networks are there and cost no training"
    return mixture.model_copy(update={"is_taken": True, "why": why})


def _gain(
    answers: Sequence[Floats], truth: NDArray[Any], weight: Floats, drawn: Floats, shares: Floats, task: Task,
    measure: Metric,
) -> tuple[float, float]:  # fmt: skip
    """What mixtures gain over the best alone on rows that their draws left out, and its standard error.

    Args:
        answers: of each setting for the rows that are drawn from, (m, ...).
        drawn: how often each draw has each row, (b, m). shares: that each draw gave, (b, M).
    """
    sign = 1.0 if measure.higher_is_better else -1.0
    inside, outside = drawn * weight, (drawn == 0.0) * weight
    scorers = [scorer_for(task, truth, each) for each in answers]
    chosen_by = sign * np.stack([scorer(inside, (measure.id,))[measure.id] for scorer in scorers])
    alone = sign * np.stack([scorer(outside, (measure.id,))[measure.id] for scorer in scorers])
    best = np.where(np.isnan(chosen_by), -np.inf, chosen_by).argmax(0)
    stacked = np.stack(answers)
    gains = []
    for place in range(len(drawn)):
        mixed = np.tensordot(shares[place], stacked, axes=1)
        together = sign * _score(task, truth, mixed, outside[place], measure)
        gains.append(together - alone[best[place], place])
    known = np.array([each for each in gains if np.isfinite(each)])
    if len(known) < 2:
        return float("nan"), float("nan")
    return float(known.mean()), float(known.std(ddof=1) * _NARROWER)


def _score(task: Task, truth: NDArray[Any], answer: Floats, weight: Floats | None, measure: Metric) -> float:
    return scorer_for(task, truth, answer).values(weight, only=(measure.id,))[measure.id]


def _why(parts: int, gain: float, error: float, measure: Metric) -> str:
    if parts < 2:
        return "the weights gave the best setting the whole answer"
    if not np.isfinite(gain):
        return f"{measure.label} is not defined on the rows that draws left out"
    found = f"on rows that draws left out {parts} settings together gain {gain:+.4f} {measure.label} +- {error:.4f}"
    return found if gain > error else f"{found}, which is no more than chance gives"


def in_words(mixture: Mixture) -> str:
    """Which trials are parts of the model, or why the best stands alone."""
    if not mixture.is_taken:
        return f"the best setting stands alone: {mixture.why}"
    parts = ", ".join(f"{n} ({share:.0%})" for n, share in zip(mixture.numbers, mixture.shares, strict=True))
    return f"trials {parts} are parts of one model: {mixture.why}"
