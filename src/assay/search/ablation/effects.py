"""From the answers of an ablation to what each practice earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Schema, Task
from assay.evaluate.earned import Arms, Effect, Measured, gain_by_folds, gain_by_rows, score
from assay.evaluate.forecast.paired import Overlap, lead_test, leads
from assay.evaluate.forecast.window_scorer import WindowScorer
from assay.evaluate.kept import Judged
from assay.evaluate.metrics import Metric, metric
from assay.evaluate.record import Estimate
from assay.search.ablation.design import Design, Off
from assay.search.ablation.trials import ALONE, Fold, Piece, setting
from assay.search.ensemble.reweighed import without
from assay.switches import SWITCHES

Floats = NDArray[np.float64]
#: Folds from which a gain has an interval.
_FEWEST = 2
#: The metric beside the primary one: what a model is trained for.
_PROPER = {
    Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.MULTILABEL: "auprc_macro", Task.REGRESSION: "mae",
    Task.FORECASTING: "rmse",
}  # fmt: skip


def measured_by(schema: Schema, primary: str) -> str:
    """The metric that practices are judged by: the primary one, or of labels, whose F1 needs thresholds, log loss."""
    return "log_loss" if schema.is_multilabel else primary


@dataclass(frozen=True)
class Asked:
    """What effects are measured in: by which metric (see `measured_by`), how surely and how finely."""

    schema: Schema
    metric: str
    confidence: float
    samples: int
    seed: int

    @property
    def task(self) -> Task:
        """Of the run."""
        return self.schema.task

    @property
    def proper(self) -> Metric:
        """The metric beside the primary one."""
        return metric(self.task, _PROPER[self.task])

    def primary(self, practice: str) -> Metric:
        """The metric that a practice is judged by."""
        return metric(self.task, SWITCHES[practice].metric or self.metric)


def computed_effect(practice: str, judged: Judged | None, asked: Asked) -> Measured | str:
    """What a practice earned by answers that the run kept, or why that is not known."""
    if judged is None:
        return "the run kept no answers of its candidates to validation rows; runs of this version do"
    switch = SWITCHES[practice]
    pair = without(judged, switch, asked.seed)
    if isinstance(pair, str):
        return pair
    measure = asked.primary(practice)

    def gain(by: Metric) -> tuple[Estimate, float]:
        return gain_by_rows(
            asked.task, judged.truth, pair.with_it, pair.without, by, judged.weight, groups=judged.groups,
            confidence=asked.confidence, samples=asked.samples, seed=asked.seed,
        )  # fmt: skip

    estimate, p_value = gain(measure)
    scores = [score(asked.task, judged.truth, each, measure, judged.weight) for each in (pair.with_it, *pair.without)]
    effect = Effect(
        practice=practice, way="computed anew", without=switch.without, metric=measure.id, label=measure.label,
        with_score=_known(scores[0]), without_score=_known(float(np.mean(scores[1:]))), gain=estimate, p_value=p_value,
        verdict="unclear", by_rows=estimate, proper=gain(asked.proper)[0],
    )  # fmt: skip
    return Measured(effect, p_value)


def trained_effect(off: Off, design: Design, folds: Sequence[Fold], asked: Asked) -> Measured | str:
    """What a practice earned by networks that were trained anew, or why that is not known."""
    pairs = [(fold, *pair) for fold in folds if (pair := _pair(off, design, fold)) is not None]
    failed = next((other.failed for _, own, other in pairs if other.failed and not own.failed), "")
    if failed:
        return _needed(off, failed, asked)
    own = next((own.failed for _, own, _ in pairs if own.failed), "")
    if own:
        return f"the network with everything could not be trained anew: {own}"
    if len(pairs) < _FEWEST:
        return "there was no time for two folds; run the ablation again to go on"
    measure = asked.primary(off.practice)
    arms = [_arms(off, *pair) for pair in pairs]
    estimate, p_value, with_score, without_score = gain_by_folds(asked.task, arms, measure, asked.confidence)
    if asked.schema.windowing is None:
        by_rows = _by_rows(arms, measure, asked)
    else:
        by_rows = _by_origins([fold for fold, _, _ in pairs], arms, asked.confidence)
    effect = Effect(
        practice=off.practice, way="trained anew", without=off.switch.without, metric=measure.id, label=measure.label,
        with_score=with_score, without_score=without_score, gain=estimate, p_value=p_value, verdict="unclear",
        by_rows=by_rows,
        proper=gain_by_folds(asked.task, arms, asked.proper, asked.confidence)[0],
        seconds=_seconds(pairs, folds, off), passes=float(np.mean([arm.passes[0] - arm.passes[1] for arm in arms])),
        pairs=len(arms),
    )  # fmt: skip
    return Measured(effect, p_value)


def _pair(off: Off, design: Design, fold: Fold) -> tuple[Piece, Piece] | None:
    """The network with everything and the one without the practice, where both were trained."""
    with_it = fold.pieces.get(setting(design.encode, {}))
    if with_it is None:
        return None
    if off.switch.recomputed == "last epoch":
        return with_it, replace(with_it, answers=with_it.last)
    other = fold.pieces.get(setting(off.encode(design.encode), off.options))
    return None if other is None else (with_it, other)


def _arms(off: Off, fold: Fold, own: Piece, other: Piece) -> Arms:
    assert own.answers is not None
    assert other.answers is not None
    ratio = len(fold.truth) / fold.learned
    return Arms(fold.truth, fold.weight, own.answers, other.answers, ratio, (own.passes, other.passes), fold.block)


def _by_origins(folds: Sequence[Fold], arms: Sequence[Arms], confidence: float) -> Estimate:
    """The gain in mean absolute error over the origins of all blocks, which overlap."""
    lead = np.concatenate(
        [leads(*(WindowScorer(arm.truth, each).of_rows("mae") for each in (arm.with_it, arm.without))) for arm in arms]
    )
    steps = np.concatenate([fold.steps for fold in folds if fold.steps is not None])
    names = [name for fold in folds for name in fold.names]
    return lead_test(lead, Overlap.of(steps, names, folds[0].truth.shape[1]), confidence).difference


def _by_rows(arms: Sequence[Arms], measure: Metric, asked: Asked) -> Estimate:
    """The gain on all rows that judge, by a paired bootstrap; rows of several seeds count as others."""
    weight = None if arms[0].weight is None else np.concatenate([arm.weight for arm in arms if arm.weight is not None])
    truth, with_it, other = (
        np.concatenate([getattr(arm, name) for arm in arms]) for name in ("truth", "with_it", "without")
    )
    return gain_by_rows(
        asked.task, truth, with_it, (other,), measure, weight, confidence=asked.confidence, samples=asked.samples,
        seed=asked.seed,
    )[0]  # fmt: skip


def _seconds(pairs: Sequence[tuple[Fold, Piece, Piece]], folds: Sequence[Fold], off: Off) -> float | None:
    """Processor seconds that the practice costs one network on one fold, as if each were trained alone.

    In a batch all passes cost alike: what the practice changes is their number. A network without it that was trained
    alone has seconds of its own. None where the pace of a network alone is not known.
    """
    alone = next((fold.pieces[ALONE] for fold in folds if ALONE in fold.pieces), None)
    if alone is None or not alone.passes:
        return None
    if off.switch.recomputed == "last epoch":
        return 0.0
    a_pass = alone.seconds / alone.passes
    costs = [own.passes * a_pass - (other.seconds if other.alone else other.passes * a_pass) for _, own, other in pairs]
    return float(np.mean(costs))


def _needed(off: Off, failed: str, asked: Asked) -> Measured:
    measure = asked.primary(off.practice)
    effect = Effect(
        practice=off.practice, way="trained anew", without=off.switch.without, metric=measure.id, label=measure.label,
        with_score=None, without_score=None, gain=Estimate(value=None, method="training failed without it"),
        p_value=0.0, verdict="needed", reason=failed,
    )  # fmt: skip
    return Measured(effect, 0.0)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
