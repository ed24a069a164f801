"""The network beside its baselines on the sealed test rows: scores, comparisons, advice, pictures, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import LIKELIEST, Rule
from assay.data.schema import Schema, Task
from assay.errors import DivergenceError
from assay.evaluate.calibration.calibrate import reliability_bins
from assay.evaluate.carried.record import CoverageReport
from assay.evaluate.clusters import FEW_CLUSTERS
from assay.evaluate.compare import advice, comparisons, paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.record import DecisionReport
from assay.evaluate.fair.record import Fairness
from assay.evaluate.inspection_record import Slices
from assay.evaluate.intervals import estimates, units
from assay.evaluate.metrics import METRICS, PRIMARY, Floats, Metric, confusion_matrix
from assay.evaluate.record import (
    Comparison,
    Curve,
    Estimate,
    ForecastReport,
    LabelScores,
    ModelScores,
    ReliabilityBin,
    ResidualPicture,
    Score,
)
from assay.ledger import Ledger, Outcome

CURVE_POINTS = 200
CURVE_CLASSES = 10
CONFUSION_CLASSES = 100
RESIDUAL_ROWS = 1000


@dataclass(frozen=True)
class Output:
    """What one model says about the test rows.

    prediction: calibrated probabilities (n, K), values (n,) or forecasts (n, H).
    fit_seconds, predict_seconds: wall time.
    rule: how it decides a class from them.
    """

    name: str
    kind: Literal["network", "baseline"]
    description: str
    prediction: Floats
    fit_seconds: float
    predict_seconds: float
    rule: Rule = LIKELIEST


@dataclass(frozen=True)
class Assessment:
    """All that the report says about the test rows; `scores` has the network first, the baselines as they came.

    confusion: counts of the network's decisions, rows are the truth; empty above `CONFUSION_CLASSES` classes.
    roc, precision_recall: at most `CURVE_POINTS` points each. Of a binary task one curve a model, of more classes the
        network's for each of the `CURVE_CLASSES` largest classes.
    reliability: bins of the network's probabilities; empty for a regression.
    residuals: a sample of at most `RESIDUAL_ROWS` rows of a regression.
    forecast: errors by step, intervals and pictures of a forecast.
    labels: the network's scores of each label, where a row has any number of them.
    fairness: rates of the groups of sensitive columns, where some are named.
    coverage: of the sets or intervals of a saved model, where it is scored on new rows.
    slices: that were named, where a saved model is scored on new rows. decision: on such rows.
    """

    scores: tuple[ModelScores, ...]
    primary: str
    comparisons: tuple[Comparison, ...]
    advice: str
    confusion: tuple[tuple[int, ...], ...]
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    reliability: tuple[ReliabilityBin, ...]
    residuals: ResidualPicture | None
    forecast: ForecastReport | None = None
    labels: tuple[LabelScores, ...] = ()
    fairness: Fairness | None = None
    coverage: CoverageReport | None = None
    slices: Slices | None = None
    decision: DecisionReport | None = None


def assess(
    schema: Schema,
    truth: NDArray[Any],
    weight: Floats | None,
    outputs: Sequence[Output],
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
    clusters: NDArray[np.int64] | None = None,
) -> Assessment:
    """Score every model on the test rows and compare the network with the baselines.

    Args:
        schema: gives the task and the classes.
        truth: class positions or values of the test rows, (n,).
        weight: their weights (n,), or None.
        outputs: the network first, then the baselines from the simplest to the strongest.
        config: confidence and bootstrap samples.
        seed: of the bootstrap and of the sample of residuals.
        ledger: where the verdicts of the evaluate stage are written.
        clusters: see `clusters_of`.

    Raises:
        DivergenceError: a model's predictions are not all finite.
    """
    check_finite(outputs)
    network, baselines = outputs[0], outputs[1:]
    scores = tuple(_score(schema.task, truth, weight, output, config, seed, clusters) for output in outputs)
    tests = [
        paired_test(
            schema.task,
            truth,
            network.prediction,
            baseline.prediction,
            weight,
            confidence=config.confidence,
            samples=config.bootstrap,
            seed=seed,
            rules=(network.rule, baseline.rule),
            clusters=clusters,
        )
        for baseline in baselines
    ]
    compared = comparisons(schema.task, [baseline.name for baseline in baselines], tests, config.confidence)
    write_verdicts(ledger, schema, scores, compared, config.confidence, clusters)
    roc, precision_recall = _curves(schema, truth, weight, outputs)
    return Assessment(
        scores=scores,
        primary=PRIMARY[schema.task],
        comparisons=compared,
        advice=advice(scores, compared, len(truth)),
        confusion=_confusion(schema, truth, network),
        roc=roc,
        precision_recall=precision_recall,
        reliability=reliability_bins(truth, network.prediction, weight, confidence=config.confidence)
        if schema.is_classification
        else (),
        residuals=None if schema.is_classification else residuals(truth, network.prediction, seed),
    )


def note_gap(valid_score: float, test: Estimate, metric: Metric, *, ledger: Ledger) -> None:
    """Write `evaluate.train-test-gap`: a validation score better than the test interval is a sign of selection.

    Args:
        valid_score: the network's score on the validation rows.
        test: the same metric on the test rows.
        metric: which metric it is.
        ledger: where the verdict is written.
    """
    if test.value is None or test.low is None or test.high is None or not np.isfinite(valid_score):
        reason = f"{metric.label} or its interval is not defined on the validation or test rows"
        ledger.record("evaluate.train-test-gap", Outcome.NOT_APPLICABLE, reason)
        return
    gap = valid_score - test.value if metric.higher_is_better else test.value - valid_score
    flattered = valid_score > test.high if metric.higher_is_better else valid_score < test.low
    told = (
        f"{metric.label} {valid_score:.4g} on the validation rows, {test.value:.4g} on the test rows "
        f"({test.low:.4g} to {test.high:.4g})"
    )
    if flattered:
        reason = f"{told}: better than the test interval allows; the choice of the model leaned on the validation rows"
        ledger.record("evaluate.train-test-gap", Outcome.WARNED, reason, value=gap)
    else:
        ledger.record("evaluate.train-test-gap", Outcome.PASSED, told, value=gap)


def check_finite(outputs: Sequence[Output]) -> None:
    """Refuse predictions that are not finite.

    Raises:
        DivergenceError: a model gave some.
    """
    for output in outputs:
        finite = np.isfinite(output.prediction)
        wrong = int((~(finite if finite.ndim == 1 else finite.all(axis=1))).sum())
        if wrong:
            raise DivergenceError(
                "every prediction must be a finite number",
                f"{output.name} gave none for {wrong:,} of {len(output.prediction):,} test rows",
                "Lower the learning rate (train.lr), or check the columns for extreme values.",
            )


def _score(
    task: Task,
    truth: NDArray[Any],
    weight: Floats | None,
    output: Output,
    config: EvaluateConfig,
    seed: int,
    clusters: NDArray[np.int64] | None,
) -> ModelScores:
    found = estimates(
        task, truth, output.prediction, weight, confidence=config.confidence, samples=config.bootstrap, seed=seed,
        rule=output.rule, clusters=clusters,
    )  # fmt: skip
    return scores_of(output, METRICS[task], found)


def scores_of(output: Output, metrics: Iterable[Metric], found: Mapping[str, Estimate]) -> ModelScores:
    """The scores of a model, in the order of the metrics."""
    return ModelScores(
        name=output.name,
        kind=output.kind,
        description=output.description,
        scores=tuple(
            Score(name=m.id, label=m.label, higher_is_better=m.higher_is_better, estimate=found[m.id]) for m in metrics
        ),
        fit_seconds=output.fit_seconds,
        predict_seconds=output.predict_seconds,
    )


# Ledger -------------------------------------------------------------------------------------------------------------


def write_verdicts(
    ledger: Ledger,
    schema: Schema,
    scores: Sequence[ModelScores],
    compared: Sequence[Comparison],
    confidence: float,
    clusters: NDArray[np.int64] | None = None,
) -> None:
    """What the ledger is told of intervals, baselines, comparisons and proper scores."""
    network = scores[0]
    _note_intervals(ledger, network, confidence, schema, clusters)
    if "evaluate.baselines" not in ledger:
        names = ", ".join(model.name for model in scores[1:])
        outcome = Outcome.APPLIED if names else Outcome.SKIPPED
        ledger.record("evaluate.baselines", outcome, names or "no baseline was asked for", value=len(scores) - 1)
    if compared:
        reason = "; ".join(f"{c.verdict} against {c.against} ({c.test}, p {c.p_value:.2g})" for c in compared)
        ledger.record("evaluate.paired-test", Outcome.APPLIED, reason, value=max(c.p_value for c in compared))
    else:
        ledger.record("evaluate.paired-test", Outcome.NOT_APPLICABLE, "there is no baseline to compare with")
    if schema.task is Task.REGRESSION:
        reason = "a regression has no probabilities; RMSE is itself proper for the mean"
        ledger.record("evaluate.proper-score", Outcome.NOT_APPLICABLE, reason)
        return
    value = {score.name: score.estimate.value for score in network.scores}
    if value["log_loss"] is None:
        ledger.record("evaluate.proper-score", Outcome.NOT_APPLICABLE, "there are no test rows")
        return
    reason = f"log loss {value['log_loss']:.4f}, Brier score {value['brier']:.4f}"
    ledger.record("evaluate.proper-score", Outcome.APPLIED, reason, value=value["log_loss"])


def _note_intervals(
    ledger: Ledger, network: ModelScores, confidence: float, schema: Schema, clusters: NDArray[np.int64] | None
) -> None:
    bounded = [score for score in network.scores if score.estimate.low is not None]
    methods = sorted({score.estimate.method for score in bounded})
    bare = [f"{score.label} ({score.estimate.method})" for score in network.scores if score.estimate.low is None]
    told = f"{len(bounded)} of {len(network.scores)} scores have a {confidence:.0%} interval: {', '.join(methods)}"
    told += f"; without: {', '.join(bare)}" if bare else ""
    few = clusters is not None and units(0, clusters) < FEW_CLUSTERS
    if clusters is not None:
        told += f"; rows of one {schema.group!r} are drawn together"
        told += ", and so few of them leave the truth less certain than the intervals say" if few else ""
    apart = clusters is None and schema.group is not None and schema.is_multilabel
    if apart:
        told += f"; they take rows as independent, and rows of one {schema.group!r} are not: the truth is less certain"
    if bare or few or apart:
        ledger.record("evaluate.intervals", Outcome.WARNED, told, value=len(bounded))
    else:
        ledger.record("evaluate.intervals", Outcome.APPLIED, told, value=len(bounded))


# Pictures -----------------------------------------------------------------------------------------------------------


def _confusion(schema: Schema, truth: NDArray[Any], network: Output) -> tuple[tuple[int, ...], ...]:
    if not schema.is_classification or len(schema.classes) > CONFUSION_CLASSES:
        return ()
    table = confusion_matrix(truth, network.rule(network.prediction), len(schema.classes))
    return tuple(tuple(int(count) for count in row) for row in table)


def residuals(truth: NDArray[Any], prediction: Floats, seed: int) -> ResidualPicture:
    """True and predicted values (n,) of a sample of at most `RESIDUAL_ROWS` rows."""
    kept = np.arange(len(truth))
    if len(kept) > RESIDUAL_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(len(truth), RESIDUAL_ROWS, replace=False))
    return ResidualPicture(truth=tuple(map(float, truth[kept])), predicted=tuple(map(float, prediction[kept])))


def _curves(
    schema: Schema, truth: NDArray[Any], weight: Floats | None, outputs: Sequence[Output]
) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    if schema.task is Task.BINARY:
        lines = [(output.name, output.name, truth == 1, output.prediction[:, 1]) for output in outputs]
    elif schema.task is Task.MULTICLASS:
        largest = np.argsort(-np.bincount(truth, minlength=len(schema.classes)), kind="stable")[:CURVE_CLASSES]
        network = outputs[0].prediction
        lines = [(schema.classes[k], schema.classes[k], truth == k, network[:, k]) for k in sorted(largest)]
    else:
        return (), ()
    return curves_of(lines, weight)


def curves_of(
    lines: Iterable[tuple[str, str, NDArray[np.bool_], Floats]], weight: Floats | None
) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    """ROC and precision-recall curves of names, labels, positive rows (n,) and their scores (n,)."""
    drawn = [(name, label, *_curve_points(positive, score, weight)) for name, label, positive, score in lines]
    roc = tuple(_curve(name, label, alarms, recall) for name, label, alarms, recall, _ in drawn if len(recall))
    pr = tuple(_curve(name, label, recall[1:], precision) for name, label, _, recall, precision in drawn if len(recall))
    return roc, pr


def _curve_points(positive: NDArray[np.bool_], score: Floats, weight: Floats | None) -> tuple[Floats, Floats, Floats]:
    """False positive rate and recall (t + 1,) from (0, 0) on, and precision (t,); empty where one class has no rows."""
    share = np.ones(len(score)) if weight is None else weight
    order = np.argsort(-score, kind="stable")
    ranked, share, hit = score[order], share[order], positive[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(score) else np.empty(0, int)
    hits, alarms = np.cumsum(share * hit)[ends], np.cumsum(share * ~hit)[ends]
    if not len(ends) or not hits[-1] > 0 or not alarms[-1] > 0:
        return np.empty(0), np.empty(0), np.empty(0)
    flagged = hits + alarms
    precision = np.divide(hits, flagged, out=np.ones_like(hits), where=flagged > 0)
    return np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1]), precision


def _curve(name: str, label: str, x: Floats, y: Floats) -> Curve:
    kept = thin(x, y, CURVE_POINTS)
    return Curve(name=name, label=label, x=tuple(map(float, x[kept])), y=tuple(map(float, y[kept])))


def thin(x: Floats, y: Floats, points: int) -> NDArray[np.int64]:
    """Positions of at most `points` points, first and last among them, spaced evenly along the line's length."""
    if len(x) <= points:
        return np.arange(len(x))
    length = np.cumsum(np.append(0.0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
    chosen = np.searchsorted(length, np.linspace(0.0, length[-1], points))
    chosen[0], chosen[-1] = 0, len(x) - 1
    return np.unique(np.minimum(chosen, len(x) - 1))
