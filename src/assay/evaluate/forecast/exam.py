"""The exam of forecasts: intervals from validation windows, then the seal is opened once and every origin scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from assay.data.bands import Bands
from assay.data.rows import Rows
from assay.data.schema import Schema, Task
from assay.data.split.split import Split
from assay.evaluate.assess import Assessment, Output, check_finite, note_gap, residuals, scores_of
from assay.evaluate.baselines import FittedBaseline
from assay.evaluate.chosen import note_selection, selection_of
from assay.evaluate.compare import advice, comparisons, score_text
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.forecast.bands import RATE, Coverage, adaptive_coverage, fit_bands, fixed_coverage
from assay.evaluate.forecast.baselines import history_of
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.forecast.paired import lead_test
from assay.evaluate.forecast.scores import forecast_test
from assay.evaluate.forecast.slices import forecast_slices, note_slices, weak_series
from assay.evaluate.kept import KeptTest
from assay.evaluate.leaderboard import Sat, leaderboard
from assay.evaluate.looks import row_hashes
from assay.evaluate.metrics import FORECAST_METRICS
from assay.evaluate.opened import opened, output_of
from assay.evaluate.record import (
    BandCoverage,
    Comparison,
    Estimate,
    ForecastPicture,
    ForecastReport,
    HorizonErrors,
    Leaderboard,
    ModelScores,
    Selection,
)
from assay.evaluate.slices.named import check_slices
from assay.evaluate.spread import spread_on_test
from assay.evaluate.spread_record import Spread
from assay.ledger import Ledger, Outcome
from assay.train.model import Model

Floats = NDArray[np.float64]

#: Forecasts that are drawn.
_PICTURES = 4
#: Steps before a forecast that are drawn, in horizons.
_SHOWN = 2
#: How far the coverage may be from the one asked for before it is warned of.
_FAR = 0.05


@dataclass(frozen=True)
class Sitting:
    """What came of the exam of forecasts.

    rows: the windows that were scored. answers: the model's forecasts of them, (n, H).
    tested: what is kept of the test windows; None without a test part. spread: of the score, by test windows and by
    training; None where no part has two members. selection, leaderboard: None where it is not known what the model was
    chosen from.
    """

    rows: Rows
    answers: Floats
    assessment: Assessment
    tested: KeptTest | None
    spread: Spread | None
    selection: Selection | None = None
    leaderboard: Leaderboard | None = None


def with_bands(model: Model, valid: Rows, schema: Schema, config: EvaluateConfig) -> Model:
    """The model with intervals around its forecasts, from the windows it did not learn from."""
    windowing = schema.windowing
    assert windowing is not None
    history = np.concatenate([history_of(block, windowing) for block in valid.blocks()])
    return replace(model, bands=fit_bands(_missed(model), history, config.coverage))


def _missed(model: Model) -> Floats:
    """Absolute errors of the validation windows, (n, H)."""
    return np.asarray(np.abs(_validation_answers(model) - model.validation.target))


def _validation_answers(model: Model) -> Floats:
    return model.head.in_units(model.validation.outputs, model.validation.shares)


def sit_forecast(
    model: Model,
    described: str,
    baselines: Sequence[FittedBaseline],
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> Sitting:
    """Open the seal once, score every model on the windows of the test part, and measure the intervals.

    Without a test part the scores are on validation windows, and the ledger says so.
    """
    rows = opened(split, "windows", ledger)
    begun = perf_counter()
    raw = model.outputs_of(rows)
    answers = model.forecasts(raw)
    network = Output("network", "network", described, answers, model.seconds, perf_counter() - begun)
    outputs = [network, *(output_of(baseline, rows) for baseline in baselines)]
    judged = Judged.of(rows, schema)
    valid = Judged.of(split.valid, schema)
    assert model.bands is not None
    calibration = _missed(model) / model.bands.units(valid.history)[:, None]
    made = assess_forecasts(
        schema, judged, outputs, config, bands=model.bands, calibration=calibration, seed=seed, ledger=ledger
    )
    scorer = valid.scorer(_validation_answers(model))
    measure = FORECAST_METRICS[0]
    on_test = next(score.estimate for score in made.scores[0].scores if score.name == measure.id)
    note_gap(scorer.values[measure.id], on_test, measure, ledger=ledger)
    tested = None if split.test is None else _kept(rows, judged, answers, schema)
    made = _with_slices(
        made, rows, judged, answers, schema, config, doubted=weak_series(valid, _validation_answers(model)),
        ledger=ledger,
    )  # fmt: skip
    missed = np.abs(answers - judged.truth).mean(axis=1)
    spread = spread_on_test(
        model, rows, raw, schema, on_test, measure, with_folds=False, confidence=config.confidence, seed=seed,
        ledger=ledger, test_error=lead_test(missed, judged.overlap, config.confidence).error,
    )  # fmt: skip
    if model.choice is None:
        return Sitting(rows, answers, made, tested, spread)

    def judge(windows: Judged, prediction: Floats) -> Estimate:
        return windows.scorer(prediction).estimates(config.confidence)[measure.id]

    selection = selection_of(
        model.choice, schema.task, measure, scorer.values[measure.id], config.confidence
    )  # fmt: skip
    note_selection(selection, model.choice, None if split.test is None else on_test, ledger)
    sat = Sat(
        made.scores, raw, len(rows), split.test is not None, lambda prediction, _: judge(judged, prediction)
    )  # fmt: skip
    board = leaderboard(
        model, model.choice, baselines, split.valid, schema, measure, selection, sat,
        judge_valid=lambda some, prediction: judge(Judged.of(some, schema), prediction), confidence=config.confidence,
    )  # fmt: skip
    return Sitting(rows, answers, made, tested, spread, selection, board)


def _with_slices(
    made: Assessment, rows: Rows, judged: Judged, answers: Floats, schema: Schema, config: EvaluateConfig, *,
    doubted: Sequence[str], ledger: Ledger,
) -> Assessment:  # fmt: skip
    """The assessment with where the forecasts are weak."""
    found = forecast_slices(
        rows, judged, answers, schema, check_slices(config.slices, schema), doubted=doubted,
        confidence=config.confidence,
    )  # fmt: skip
    note_slices(found, ledger)
    assert made.forecast is not None
    return replace(made, forecast=made.forecast.model_copy(update={"slices": found}))


def _kept(rows: Rows, judged: Judged, answers: Floats, schema: Schema) -> KeptTest:
    """What is kept of the test windows."""
    return KeptTest(
        judged.truth, answers, None, row_hashes(rows, schema), judged.overlap.series, steps=judged.steps
    )  # fmt: skip


def assess_forecasts(
    schema: Schema,
    judged: Judged,
    outputs: Sequence[Output],
    config: EvaluateConfig,
    *,
    bands: Bands | None,
    calibration: Floats | None,
    seed: int,
    ledger: Ledger,
) -> Assessment:
    """Score every model on the same windows and compare the network with the baselines.

    Args:
        schema: with how windows were made.
        judged: the windows.
        outputs: forecasts (n, H): the network's first, then those of the baselines.
        config: confidence.
        bands: the network's intervals.
        calibration: errors of validation windows in the units of the bands, (m, H), for adaptive intervals; None where
            they are not at hand.
        seed: of the sample that is drawn.
        ledger: where the verdicts are written.

    Raises:
        DivergenceError: a model's forecasts are not all finite.
    """
    check_finite(outputs)
    scorers = [judged.scorer(output.prediction) for output in outputs]
    scores = tuple(
        scores_of(output, FORECAST_METRICS, scorer.estimates(config.confidence))
        for output, scorer in zip(outputs, scorers, strict=True)
    )
    tests = [forecast_test(scorers[0], other, config.confidence) for other in scorers[1:]]
    names = [output.name for output in outputs[1:]]
    compared = comparisons(Task.FORECASTING, names, tests, config.confidence)
    coverage = None if bands is None else _covered(judged, outputs[0].prediction, bands, calibration)
    _record(ledger, judged, scores, compared=compared, coverage=coverage, confidence=config.confidence)
    report = ForecastReport(
        origins=len(judged.overlap.origins),
        series=len(set(judged.names)),
        by_step=tuple(
            HorizonErrors(name=output.name, mae=tuple(scorer.by_step.tolist()))
            for output, scorer in zip(outputs, scorers, strict=True)
        ),
        coverage=coverage,
        pictures=_pictures(schema, judged, outputs[0].prediction, bands),
    )
    return Assessment(
        scores=scores,
        primary=FORECAST_METRICS[0].id,
        comparisons=compared,
        advice=_advice(scores, compared, judged),
        confusion=(),
        roc=(),
        precision_recall=(),
        reliability=(),
        residuals=residuals(judged.truth.ravel(), outputs[0].prediction.ravel(), seed),
        forecast=report,
    )


def _advice(scores: Sequence[ModelScores], compared: Sequence[Comparison], judged: Judged) -> str:
    """Whether the network is worth having, or that so few windows cannot say it."""
    if judged.overlap.support.is_enough or not compared:
        return advice(scores, compared, len(judged.truth), "window")
    own, *rivals = (score_text(model, compared[0].metric) for model in scores)
    of_all = ", ".join(f"{value} of the {each.against}" for value, each in zip(rivals, compared, strict=True))
    return (
        f"{len(judged.truth):,} test windows are too few to tell the network from what is simpler, for they are no two "
        f"stretches of {judged.overlap.horizon} steps: {FORECAST_METRICS[0].label} {own} against {of_all}. More steps "
        "would tell, or more of them in the test (data.split.test)."
    )


def _covered(judged: Judged, answers: Floats, bands: Bands, calibration: Floats | None) -> BandCoverage:
    """How many steps the intervals held, as they are and adapted over time."""
    missed, units = np.abs(answers - judged.truth), bands.units(judged.history)
    fixed = fixed_coverage(missed, bands.around(judged.history))
    adaptive: Coverage | None = None
    if calibration is not None:
        adaptive = adaptive_coverage(calibration, missed / units[:, None], units, judged.steps, bands.coverage)
    return BandCoverage(
        asked=bands.coverage,
        windows=bands.windows,
        is_relative=bands.is_relative,
        fixed=float(fixed.held.mean()),
        fixed_by_step=tuple(fixed.held.tolist()),
        fixed_half_width=fixed.half_width,
        adaptive=None if adaptive is None else float(adaptive.held.mean()),
        adaptive_by_step=() if adaptive is None else tuple(adaptive.held.tolist()),
        adaptive_half_width=None if adaptive is None else adaptive.half_width,
    )


def _pictures(schema: Schema, judged: Judged, answers: Floats, bands: Bands | None) -> tuple[ForecastPicture, ...]:
    """A few forecasts: of one series at origins evenly apart, of several each at its last origin."""
    windowing = schema.windowing
    assert windowing is not None
    names = list(dict.fromkeys(judged.names))
    if len(names) == 1:
        order = np.argsort(judged.steps, kind="stable")
        apart = np.unique(np.linspace(0, len(order) - 1, _PICTURES).round().astype(np.int64))
        rows = order[apart]
    else:
        chosen = [names[at] for at in np.unique(np.linspace(0, len(names) - 1, _PICTURES).round().astype(int))]
        place = {name: row for row, name in enumerate(judged.names)}  # rows are in the order of time
        rows = np.array([place[name] for name in chosen])
    shown = min(windowing.length, max(_SHOWN * windowing.horizon, 2))
    half = np.zeros_like(answers[rows]) if bands is None else bands.around(judged.history[rows])
    made = []
    for row, width in zip(rows, half, strict=True):
        answer = answers[row]
        made.append(
            ForecastPicture(
                series=judged.names[row],
                origin=str(windowing.clock.cells(judged.steps[row : row + 1], "time")[0]),
                before=tuple(judged.history[row, -shown:].tolist()),
                truth=tuple(judged.truth[row].tolist()),
                forecast=tuple(answer.tolist()),
                lower=tuple((answer - width).tolist()),
                upper=tuple((answer + width).tolist()),
            )
        )
    return tuple(made)


# What the ledger is told ----------------------------------------------------------------------------------------------


def _record(
    ledger: Ledger,
    judged: Judged,
    scores: Sequence[ModelScores],
    *,
    compared: Sequence[Comparison],
    coverage: BandCoverage | None,
    confidence: float,
) -> None:
    apart, count = judged.overlap.support.stretches, len(judged.overlap.origins)
    stretches = f"{apart} stretch{'' if apart == 1 else 'es'} that share no step"
    told = f"{len(judged.truth):,} windows from {count:,} origins in time, about {stretches}"
    few = apart < 5
    more = "; so few leave much uncertain" if few else ""
    ledger.record(
        "evaluate.origins", Outcome.WARNED if few else Outcome.APPLIED, told + more, value=count
    )  # fmt: skip
    bounded = [score for score in scores[0].scores if score.estimate.low is not None]
    bare = [f"{score.label} ({score.estimate.method})" for score in scores[0].scores if score.estimate.low is None]
    method = bounded[0].estimate.method if bounded else "none"
    reason = f"{len(bounded)} of {len(scores[0].scores)} scores have a {confidence:.0%} interval: {method}"
    reason += f"; without: {', '.join(bare)}" if bare else ""
    ledger.record("evaluate.intervals", Outcome.WARNED if bare else Outcome.APPLIED, reason, value=len(bounded))
    if compared:
        against = f"of the mean absolute error against {', '.join(each.against for each in compared)}"
        reason = f"{compared[0].test}, {against}"
        outcome = Outcome.APPLIED if judged.overlap.support.is_enough else Outcome.WARNED
        ledger.record("evaluate.paired-test", outcome, reason, value=len(compared))
    else:
        ledger.record("evaluate.paired-test", Outcome.NOT_APPLICABLE, "there is no baseline to compare with")
    reason = "a forecast of values has no probabilities; its intervals are judged by their coverage"
    ledger.record("evaluate.proper-score", Outcome.NOT_APPLICABLE, reason)
    if coverage is not None:
        _record_bands(ledger, coverage)


def _record_bands(ledger: Ledger, found: BandCoverage) -> None:
    in_units = "in units of each window's size" if found.is_relative else "in the target's units"
    told = (
        f"made on {found.windows:,} validation windows to hold {found.asked:.0%} of the steps, {in_units}: as they are "
        f"they held {found.fixed:.1%} of the test steps (half width {found.fixed_half_width:.4g})"
    )
    if found.adaptive is not None and found.adaptive_half_width is not None:
        told += (
            f", adapted to outcomes over time (rate {RATE:g}) {found.adaptive:.1%} (half width "
            f"{found.adaptive_half_width:.4g})"
        )
    few = found.windows * (1.0 - found.asked) < 1.0
    told += "; too few windows for that share, so the widest error stands for it" if few else ""
    short = found.fixed < found.asked - _FAR
    ledger.record("evaluate.bands", Outcome.WARNED if few or short else Outcome.APPLIED, told, value=found.fixed)
