"""Whether a model is too simple, too free, or as good as its columns let it be: losses on training and on new rows.

Bias and variance (Geman, Bienenstock & Doursat, Neural Computation 1992) cannot be measured with one training set. What
can be measured is the loss on rows that were learned from, on rows that were not, and that of other models on the
latter; the verdict rests on these, and says by which number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.evaluate.assess import Output
from assay.evaluate.compare import TRIVIAL
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.estimate import Estimate
from assay.evaluate.inspection_record import Diagnosis
from assay.evaluate.intervals import quantile
from assay.evaluate.judged import Judged
from assay.evaluate.row_losses import absolute_or_log, loss_name
from assay.ledger import Ledger, Outcome

PRACTICE = "evaluate.bias-variance"
#: Rows of a part without which nothing is said.
_FEWEST = 50
#: Share of the gain on training rows that must hold on new ones.
_KEPT = 0.8
#: Share of the gain by which two models may differ and still count as equally good.
_LITTLE = 0.02
_LOOKS_AT_NOTHING = (*TRIVIAL, "label shares", "last season")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Losses:
    """Losses of rows: those learned from, those not learned from, test rows, and others' on the test rows."""

    train: Floats
    valid: Floats
    test: Floats
    trivial: Floats
    rival: Floats | None
    rival_name: str


def diagnose(
    learned: Judged | None,
    train: Rows,
    unseen: Judged,
    tested: Judged,
    outputs: Sequence[Output],
    config: EvaluateConfig,
    *,
    ledger: Ledger,
) -> Diagnosis | None:
    """The verdict on the model; None where too few rows can be answered.

    Args:
        learned: rows that it learned from, answered; None where that takes too long.
        train: all of them.
        unseen: rows that it did not learn from, answered.
        tested: the test rows, answered.
        outputs: of the models on the test rows, the network first.
    """
    if learned is None or min(len(learned), len(tested), len(unseen)) < _FEWEST:
        ledger.record(PRACTICE, Outcome.SKIPPED, f"fewer than {_FEWEST} training, validation or test rows are answered")
        return None
    losses = _losses(learned, train, unseen, tested, outputs)
    found = judge(losses, loss_name(tested.answers), config.confidence)
    bad = found.verdict in ("underfit", "overfit")
    ledger.record(PRACTICE, Outcome.WARNED if bad else Outcome.PASSED, found.words, value=found.gap.value)
    return found


def _losses(learned: Judged, train: Rows, unseen: Judged, tested: Judged, outputs: Sequence[Output]) -> _Losses:
    target = tested.rows.target
    others = {
        output.name: absolute_or_log(output.prediction, target)
        for output in outputs[1:]
        if output.name not in _LOOKS_AT_NOTHING
    }
    best = min(others, key=lambda name: float(others[name].mean()), default="")
    return _Losses(
        absolute_or_log(learned.answers, learned.rows.target), absolute_or_log(unseen.answers, unseen.rows.target),
        absolute_or_log(tested.answers, target), constant_losses(train.target, tested.answers, target),
        others.get(best), best,
    )  # fmt: skip


def constant_losses(learned: NDArray[np.generic], answers: Floats, target: NDArray[np.generic]) -> Floats:
    """Losses of the answer that looks at no column: shares of the classes or labels, or the median value.

    Args:
        learned: targets of the training rows.
        answers: of the model to the rows, which tell the task, (n, classes or labels) or (n,).
        target: of the rows.
    """
    if answers.ndim == 1:
        constant = np.full(len(target), float(np.median(np.asarray(learned, np.float64))))
        return absolute_or_log(constant, target)
    if target.ndim == 2:
        shares = (np.asarray(learned, np.float64).sum(0) + 1.0) / (len(learned) + 2.0)
    else:
        counts = np.bincount(np.asarray(learned, np.int64), minlength=answers.shape[1]) + 1.0
        shares = counts / counts.sum()
    return absolute_or_log(np.tile(shares, (len(target), 1)), target)


def judge(losses: _Losses, loss: str, confidence: float) -> Diagnosis:
    """The verdict that these losses bear, in words and with its numbers."""
    train, valid, test = (_mean(each, confidence) for each in (losses.train, losses.valid, losses.test))
    gap = _difference(losses.test, losses.train, confidence)
    trivial = float(losses.trivial.mean())
    rival = None if losses.rival is None else float(losses.rival.mean())
    assert train.value is not None
    assert test.value is not None
    learned = trivial - train.value
    kept = (trivial - test.value) / learned if learned > 0.0 else None
    verdict, words = _verdict(losses, train, gap, trivial, kept, confidence)
    return Diagnosis(
        verdict=verdict, words=words, loss=loss, rows=len(losses.train), train=train, valid=valid, test=test, gap=gap,
        trivial=trivial, rival=losses.rival_name, rival_loss=rival, kept=kept,
    )  # fmt: skip


def _verdict(
    losses: _Losses, train: Estimate, gap: Estimate, trivial: float, kept: float | None, confidence: float
) -> tuple[str, str]:
    assert train.value is not None
    test = float(losses.test.mean())
    seen = f"mean loss {train.value:.3g} on rows it learned from and {test:.3g} on test rows"
    rival = losses.rival
    if rival is not None and train.low is not None and float(rival.mean()) < train.low:
        return "underfit", (
            f"Underfit: the best baseline ({losses.rival_name}) has a lower loss on rows that it never saw "
            f"({rival.mean():.3g}) than the model on rows that it learned from ({train.value:.3g}). A larger network, "
            "more epochs or another learning rate may help."
        )
    if kept is not None and kept < _KEPT and gap.low is not None and gap.low > 0.0:
        return "overfit", (
            f"Overfit: of what the model gained on rows that it learned from, {max(kept, 0.0):.0%} holds on new ones "
            f"({seen}, {trivial:.3g} without looking at a column). More rows, dropout or weight decay may help."
        )
    if rival is not None and _same(losses.test, rival, trivial, confidence):
        return "noise ceiling", (
            f"Near what these columns allow: another kind of model ({losses.rival_name}) comes to the same loss "
            f"({rival.mean():.3g}; {seen}). Other columns or cleaner labels would help more than another network."
        )
    held = "" if kept is None else f"; {kept:.0%} of what was gained on the former holds on the latter"
    return "fine", f"Neither underfit nor overfit: {seen}{held}."


def _same(first: Floats, second: Floats, trivial: float, confidence: float) -> bool:
    """Whether the losses of two models on the same rows cannot be told apart, or differ by little of what they gain."""
    paired = first - second
    apart = abs(float(paired.mean()))
    by_chance = quantile(confidence) * float(paired.std(ddof=1)) / math.sqrt(len(paired))
    return apart <= max(by_chance, _LITTLE * (trivial - float(second.mean())))


def _mean(values: Floats, confidence: float) -> Estimate:
    mean, half = float(values.mean()), quantile(confidence) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value=mean, low=max(mean - half, 0.0), high=mean + half, method="mean, normal")


def _difference(first: Floats, second: Floats, confidence: float) -> Estimate:
    value = float(first.mean() - second.mean())
    error = math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    half = quantile(confidence) * error
    return Estimate(value=value, low=value - half, high=value + half, method="Welch, normal")
