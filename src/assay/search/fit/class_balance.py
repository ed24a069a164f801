"""What is done for rare classes in training: what the options say, or what folds of the training rows gain by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from assay.data.config import SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.errors import BudgetError
from assay.ledger import Outcome
from assay.models.config import FORECASTING, PICTURES, SERIES, TEXTS, ModelConfig
from assay.search.fit.fitting import Fitting
from assay.search.planning.jobs import Job, Plan
from assay.search.study.objective import TableObjective, folds_for
from assay.search.study.trial import Outcome as TrialOutcome
from assay.search.study.trial import Trial
from assay.train.budget import Budget
from assay.train.config import ON_GROUPS, BalanceName, TrainConfig
from assay.train.watch import Watch

PRACTICE = "train.class-balance"
#: Rows of the smallest class a row of the largest below which a class is rare.
_RARE = 0.1
#: What is tried, the first of which is nothing, and how each is called.
_TRIED: tuple[BalanceName, ...] = ("none", "weights", "effective", "focal")
_CALLED = {
    "none": "no balance", "weights": "weights of classes", "effective": "weights of the classes' effective numbers",
    "focal": "a focal loss", "sample": "as many rows of each class", "oversample": "repeated rows of rare classes",
    "undersample": "fewer rows of frequent classes", "smote": "rows made between neighbours of a class",
    "borderline": "rows made at the border of a class",
}  # fmt: skip
#: Rows that it is tried on at most, passes over them, the share of the time, and seconds that are too few.
_ROWS, _PASSES, _SHARE, _TOO_FEW = 20_000, 40, 0.1, 3.0
_FEWEST_FOLDS = 3
#: Rows of the smallest class without which a precision-recall curve on folds says nothing.
_FEWEST = 15


@dataclass(frozen=True)
class Trials:
    """What was found by trying: names and their means, and what the best gains over nothing, with its error."""

    means: dict[BalanceName, float]
    best: BalanceName
    gain: float
    error: float
    folds: int
    metric: str

    @property
    def chosen(self) -> BalanceName:
        """What is worth it: the best, where it gains more than the error of the gain."""
        return self.best if self.gain > self.error else "none"


def with_balance(
    planned: Plan, fitting: Fitting, encoder: Encoder, split: Split, dealing: SplitConfig, *, is_settled: bool = False
) -> Plan:
    """The plan whose networks balance the classes as the options say, or as trials on training rows gain by.

    is_settled: whether its networks are to be such as others were, with which they are combined.
    """
    schema, train, ledger, checkpoints = fitting.schema, fitting.train, fitting.ledger, fitting.checkpoints
    if not schema.is_classification:
        return planned
    if train.balance != "auto":
        outcome = Outcome.SKIPPED if train.balance == "none" else Outcome.APPLIED
        ledger.record(PRACTICE, outcome, f"{_CALLED[train.balance]}, as the options say")
        return planned
    reason = _why_not(planned, split, schema, fitting.budget)
    if train.fairness in ON_GROUPS:
        reason = f"train.fairness={train.fairness} has a loss of its own"
    if is_settled:
        reason = "the networks of a search balance classes as their settings say"
    if reason:
        ledger.record(PRACTICE, Outcome.SKIPPED, reason)
        return planned
    remembered = None if checkpoints is None else checkpoints.remembered("balance")
    if remembered is not None:
        chosen = _TRIED[int(remembered)]
        ledger.record(PRACTICE, _outcome(chosen), f"{_CALLED[chosen]}, as was found before the run was ended")
        return _balanced(planned, chosen)
    try:
        found = _tried(encoder, split, schema, dealing, fitting.seed, fitting.budget.part(_SHARE), fitting.watch)
    except BudgetError:
        ledger.record(PRACTICE, Outcome.SKIPPED, "there was no time to try it; train.balance=weights asks for it")
        return planned
    if checkpoints is not None:
        checkpoints.kept("balance", float(_TRIED.index(found.chosen)))
    ledger.record(PRACTICE, _outcome(found.chosen), told(found), value=found.gain)
    return _balanced(planned, found.chosen)


def _outcome(chosen: BalanceName) -> Outcome:
    return Outcome.SKIPPED if chosen == "none" else Outcome.APPLIED


def _balanced(planned: Plan, chosen: BalanceName) -> Plan:
    return replace(planned, jobs=tuple(_with(job, chosen) for job in planned.jobs))


def _with(job: Job, chosen: BalanceName) -> Job:
    return replace(job, train=job.train.model_copy(update={"balance": chosen}))


def _why_not(planned: Plan, split: Split, schema: Schema, budget: Budget) -> str:
    """Why nothing is tried; empty where it is."""
    counts = np.bincount(split.train.target, minlength=len(schema.classes))
    there = counts[counts > 0]
    ratio = there.min() / there.max()
    if ratio >= _RARE:
        return f"no class is rare: the smallest has {ratio:.2g} rows for each of the largest"
    if there.min() < _FEWEST:
        return f"the smallest class has {there.min():,} rows, too few to try what helps it; train.balance asks for it"
    if any(job.model.name in (*PICTURES, *SERIES, *TEXTS, *FORECASTING) for job in planned.jobs) or not planned.jobs:
        return "it is tried on numbers and categories only; train.balance=weights asks for it"
    if budget.left * _SHARE < _TOO_FEW:
        return "there was no time to try it; train.balance=weights asks for it"
    return ""


def _tried(
    encoder: Encoder, split: Split, schema: Schema, dealing: SplitConfig, seed: int, budget: Budget, watch: Watch
) -> Trials:
    """All of `_TRIED` as members of one network on folds of the training rows.

    Raises:
        BudgetError: no time was left, or no trial ended.
    """
    rows = (_few(split.train, seed), _few(split.valid, seed))
    folds = max(folds_for(sum(map(len, rows)), schema), _FEWEST_FOLDS) if schema.time is None else 1
    metric = "auprc" if len(schema.classes) == 2 else "auprc_macro"
    train = TrainConfig(epochs=_PASSES)
    trials = [Trial(place, {"train.balance": name}, seed) for place, name in enumerate(_TRIED)]
    with TemporaryDirectory() as folder:
        objective = TableObjective.open(
            encoder, rows, schema, ModelConfig(name="mlp"), train, dealing, folds, metric, seed, Path(folder)
        )
        outcomes: list[TrialOutcome] = []
        for group in objective.groups(trials):
            outcomes += objective.judge(group, None, budget, watch)
    return summed_up({_TRIED[each.number]: each.folds for each in outcomes if each.state == "complete"}, metric)


def _few(rows: Rows, seed: int) -> Rows:
    some = sample_of(len(rows), _ROWS, seed)
    return rows if some is None else rows.at(some)


def summed_up(scores: dict[BalanceName, Sequence[float]], metric: str) -> Trials:
    """The best of what was tried, by the mean over folds, and its gain over nothing with the error of that.

    Scores of folds share most of their training rows, so the error is that of Nadeau & Bengio (Machine Learning 2003):
    the variance over k folds times 1/k + 1/(k - 1). Of a single part no error is known, and nothing is chosen.

    Raises:
        BudgetError: training without a balance did not end.
    """
    if "none" not in scores:
        raise BudgetError("a trial must end", "none did in its share of the time", "Give more time with --budget.")
    means = {name: float(np.mean(each)) for name, each in scores.items()}
    best = max(means, key=lambda name: (means[name], -_TRIED.index(name)))
    apart = np.subtract(scores[best], scores["none"])
    folds = len(apart)
    error = math.inf if folds < 2 else float(np.sqrt(apart.var(ddof=1) * (1 / folds + 1 / (folds - 1))))
    return Trials(means, best, means[best] - means["none"], error, folds, metric)


def told(found: Trials) -> str:
    """What was tried and what came of it, in words."""
    others = ", ".join(f"{_CALLED[name]} {mean:.4f}" for name, mean in found.means.items() if name != "none")
    tried = f"mean AUPRC of {found.folds} folds without {found.means['none']:.4f}, with {others}"
    if found.best == "none":
        return f"classes are not balanced: {tried}, of which none gains"
    if found.chosen == "none":
        return f"classes are not balanced: {tried}; a gain of {found.gain:.4f}, within its error of {found.error:.4f}"
    return f"{_CALLED[found.best]}: {tried}; a gain of {found.gain:.4f} ± {found.error:.4f}"
