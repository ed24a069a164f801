"""The exam of a trained network: calibrate it on validation rows, then open the seal once and score every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.decision import Rule
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema, Task
from assay.data.split import Split
from assay.evaluate.assess import Assessment, Output, assess, note_gap
from assay.evaluate.baselines import FittedBaseline
from assay.evaluate.calibration.calibrate import describe_calibration, mixed_probabilities
from assay.evaluate.calibration.calibrators import Answered, choose_kind
from assay.evaluate.calibration.reliability import note_reliability, null_tests
from assay.evaluate.carried.carry import prove
from assay.evaluate.carried.record import CoverageReport, UnusualReport
from assay.evaluate.chosen import note_selection, selection_of
from assay.evaluate.clusters import clusters_of
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.contributions import contributions
from assay.evaluate.decision.exam import decision_report
from assay.evaluate.decision.record import DecisionReport
from assay.evaluate.decision.thresholds import choose_rule, note_decision
from assay.evaluate.distilled import examine_student
from assay.evaluate.distilled_record import Distillation
from assay.evaluate.fair.examine import Unlearned, Unmitigated, examine_groups
from assay.evaluate.forecast.exam import sit_forecast, with_bands
from assay.evaluate.inspection import inspect
from assay.evaluate.inspection_record import Inspection
from assay.evaluate.intervals import estimates
from assay.evaluate.judged import judged
from assay.evaluate.kept import KeptTest, tested_of
from assay.evaluate.leaderboard import SAMPLES, Sat, leaderboard
from assay.evaluate.metrics import LABEL_METRICS, Floats, Metric, Scorer, primary_of
from assay.evaluate.multilabel.board import label_board
from assay.evaluate.multilabel.calibration import calibrate_labels, label_answers, validation_labels
from assay.evaluate.multilabel.exam import sit_labels
from assay.evaluate.nested import answers_of
from assay.evaluate.opened import opened, output_of
from assay.evaluate.record import Calibration, Contribution, Estimate, Leaderboard, Selection
from assay.evaluate.spread import spread_on_test
from assay.evaluate.spread_record import Spread
from assay.ledger import Ledger, Outcome
from assay.train.model import Model


@dataclass(frozen=True)
class Exam:
    """Scores and comparisons, how well probabilities are calibrated, and what each kind of column gives.

    selection, leaderboard: None where it is not known what a model was chosen from. inspection: None of a forecast.
    coverage, unusual: of what the model carries beside its answers, None where it carries nothing or nothing is proven.
    tested: what is kept of test rows. spread: of the score, by test rows and by training. distilled: what is lost by a
    network in the place of an ensemble.
    """

    assessment: Assessment
    calibration: Calibration | None
    contributions: tuple[Contribution, ...]
    selection: Selection | None = None
    leaderboard: Leaderboard | None = None
    inspection: Inspection | None = None
    decision: DecisionReport | None = None
    coverage: CoverageReport | None = None
    unusual: UnusualReport | None = None
    tested: KeptTest | None = None
    spread: Spread | None = None
    distilled: Distillation | None = None


#: Validation rows that a baseline's threshold is chosen on at most.
_BASELINE_ROWS = 5000


def calibrate(model: Model, valid: Rows, config: EvaluateConfig, schema: Schema, ledger: Ledger) -> Model:
    """The model with the calibration and the decisions that suit the rows it did not learn from.

    A forecast gets intervals instead; a regression stays as it is.
    """
    if schema.windowing is not None:
        reason = "a forecast has no probabilities; its intervals are made on the validation windows"
        ledger.record("evaluate.calibration", Outcome.NOT_APPLICABLE, reason)
        return with_bands(model, valid, schema, config)
    if schema.is_multilabel:
        return calibrate_labels(model, schema.classes, config, ledger)
    if not schema.is_classification:
        ledger.record("evaluate.calibration", Outcome.NOT_APPLICABLE, "a regression has no probabilities")
        return model
    if config.calibration == "none":
        ledger.record("evaluate.calibration", Outcome.SKIPPED, "switched off with evaluate.calibrate=none")
    seen = model.validation
    assert seen.temperatures is not None
    logits = seen.outputs / np.asarray(seen.temperatures, np.float32)[:, None, None]
    (temperature, found), choice = choose_kind(
        config.calibration, Answered(logits, seen.shares, seen.target, seen.weight)
    )
    model = model.hotter(temperature)
    model = replace(model, head=replace(model.head, calibration=found), calibrated=choice)
    rule, decided = choose_rule(validation_answers(model), seen.target, seen.weight, config)
    note_decision(decided, ledger)
    head = replace(model.head, thresholds=rule.thresholds or None, costs=rule.costs)
    return replace(model, head=head, decided=decided)


def sit(
    model: Model,
    baselines: Sequence[FittedBaseline],
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
    without: Model | None = None,
) -> Exam:
    """Open the seal once, score every model on the test rows, and compare.

    without: the same without its mitigation for sensitive groups, where there is one, to tell what that costs.

    Without a test part the scores are on validation rows, and the ledger says so.
    """
    if schema.windowing is not None:
        told = _described(model)
        done = sit_forecast(model, told, baselines, split, schema, config, seed=seed, ledger=ledger)
        distilled, board = examine_student(
            model, split, done.rows, done.answers, schema, done.board, config, seed=seed
        )  # fmt: skip
        return Exam(done.found, None, (), done.selection, board, distilled=distilled)
    if schema.is_multilabel:
        return _sit_labels(model, baselines, split, schema, config, seed=seed, ledger=ledger)
    rows = opened(split, "rows", ledger)
    begun = perf_counter()
    raw = model.outputs_of(rows)
    answers = answers_of(model, raw)
    seconds = perf_counter() - begun
    network = Output("network", "network", _described(model), answers, model.seconds, seconds, model.head.rule)
    outputs = [network, *_baseline_outputs(baselines, split.valid, rows, schema, model.head.rule, config)]
    together = clusters_of(rows, schema)
    found = assess(schema, rows.target, rows.weight, outputs, config, seed=seed, ledger=ledger, clusters=together)
    measure = primary_of(schema.task)
    seen = model.validation
    unlearned = validation_answers(model)
    scorer = Scorer(schema.task, seen.target, unlearned, model.head.rule)
    valid_score = scorer.values(seen.weight, (measure.id,))[measure.id]
    on_test = next(score.estimate for score in found.scores[0].scores if score.name == measure.id)
    note_gap(valid_score, on_test, measure, ledger=ledger)

    def answer(frame: pl.DataFrame) -> NDArray[np.float64]:
        return answers_of(model, model.outputs(frame))

    given = contributions(
        answer, rows, schema, a_row=seconds / max(len(rows), 1), confidence=config.confidence, seed=seed, ledger=ledger,
    )  # fmt: skip
    chosen, board = _chosen(
        model, baselines, split, rows, schema, measure, valid_score, found, raw, config, seed=seed, ledger=ledger
    )
    distilled, board = examine_student(model, split, rows, answers, schema, board, config, seed=seed)
    other = None if without is None else Unmitigated(answers_of(without, without.outputs_of(rows)), without.head.rule)
    groups = examine_groups(
        split, rows, schema, answers, config, seed=seed, ledger=ledger, without=other, rule=model.head.rule,
        unlearned=None if config.group_thresholds == "none" else Unlearned(unlearned, seen.weight),
    )  # fmt: skip
    found = replace(found, fairness=groups)
    decision = None
    if model.decided is not None:
        decision = decision_report(
            schema, rows.target, answers, rows.weight, model.head.rule, model.decided, config, seed=seed,
            rivals=[(output.name, output.rule(output.prediction)) for output in outputs[1:]],
        )  # fmt: skip
    looked = inspect(
        model, split, judged(model, split, unlearned), rows, outputs, schema, config, answer, seed=seed, ledger=ledger,
    )  # fmt: skip
    coverage, unusual = prove(
        model, rows, answers, schema, config, is_test=split.test is not None, seed=seed, ledger=ledger
    )
    calibration = _calibration(model, rows, raw, answers, config, seed, ledger)
    decides = model.head.thresholds or ()
    tested = None if split.test is None else tested_of(rows, answers, schema, decides, model.head.costs)
    spread = _spread(model, split, rows, raw, schema, measure, found, config, seed, ledger)
    return Exam(
        found, calibration, given, chosen, board, looked, decision, coverage, unusual, tested, spread, distilled
    )


def _spread(
    model: Model, split: Split, rows: Rows, raw: NDArray[np.float32], schema: Schema, measure: Metric,
    found: Assessment, config: EvaluateConfig, seed: int, ledger: Ledger,
) -> Spread | None:  # fmt: skip
    """What training anew would move the score by, beside what other test rows would."""
    on_test = next(score.estimate for score in found.scores[0].scores if score.name == measure.id)
    return spread_on_test(
        model, rows, raw, schema, on_test, measure, with_folds=len(model.validation.target) != len(split.valid),
        confidence=config.confidence, seed=seed, ledger=ledger,
    )  # fmt: skip


def _baseline_outputs(
    baselines: Sequence[FittedBaseline], valid: Rows, rows: Rows, schema: Schema, rule: Rule, config: EvaluateConfig
) -> list[Output]:
    """The baselines' answers; of two classes each decides by a threshold of its own, so that all are treated alike.

    rule: of the model, which decides of more classes for the baselines too.
    """
    outputs = [output_of(baseline, rows) for baseline in baselines]
    if schema.task is not Task.BINARY:
        return [replace(output, rule=rule) for output in outputs]
    taken = sample_of(len(valid), _BASELINE_ROWS, 0)
    some = valid if taken is None else valid.at(taken)
    rules = [choose_rule(each.predict(some), some.target, some.weight, config)[0] for each in baselines]
    return [replace(output, rule=own) for output, own in zip(outputs, rules, strict=True)]


def _chosen(
    model: Model,
    baselines: Sequence[FittedBaseline],
    split: Split,
    rows: Rows,
    schema: Schema,
    measure: Metric,
    validation: float,
    found: Assessment,
    raw: NDArray[np.float32],
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> tuple[Selection | None, Leaderboard | None]:
    """The score of the model without what its choice flatters it by, and the leaderboard; `rows` were answered."""
    choice = model.choice
    if choice is None:
        return None, None

    def judged(some: Rows, prediction: Floats) -> Estimate:
        return estimates(
            schema.task, some.target, prediction, some.weight, confidence=config.confidence, samples=SAMPLES, seed=seed,
            only=(measure.id,), rule=model.head.rule, clusters=clusters_of(some, schema),
        )[measure.id]  # fmt: skip

    selection = selection_of(choice, schema.task, measure, validation, config.confidence)
    on_test = next(score.estimate for score in found.scores[0].scores if score.name == measure.id)
    note_selection(selection, choice, on_test if split.test is not None else None, ledger)
    sat = Sat(found.scores, raw, len(rows), split.test is not None, lambda prediction, _: judged(rows, prediction))
    board = leaderboard(
        model, choice, baselines, split.valid, schema, measure, selection, sat, judge_valid=judged,
        confidence=config.confidence,
    )  # fmt: skip
    return selection, board


def _calibration(
    model: Model,
    rows: Rows,
    raw: NDArray[np.float32],
    answers: NDArray[np.float64],
    config: EvaluateConfig,
    seed: int,
    ledger: Ledger,
) -> Calibration | None:
    head, choice = model.head, model.calibrated
    if head.temperatures is None or choice is None:
        return None
    tests = null_tests(rows.target, answers, rows.weight, confidence=config.confidence, seed=seed)
    note_reliability(tests, ledger)
    plain = mixed_probabilities(raw, [1.0] * len(raw), head.shares)
    overall = float(np.average(head.temperatures, weights=head.shares))
    return describe_calibration(
        choice, overall, rows.target, plain, answers, rows.weight, tests=tests, ledger=ledger,
        confidence=config.confidence,
    )  # fmt: skip


def _sit_labels(
    model: Model,
    baselines: Sequence[FittedBaseline],
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> Exam:
    told = _described(model)
    sat = sit_labels(model, told, baselines, split, schema, config, seed=seed, ledger=ledger)
    rows, outputs, found = sat.rows, sat.outputs, sat.found
    spread = _spread(model, split, rows, sat.raw, schema, LABEL_METRICS[0], found, config, seed, ledger)
    chosen, board = label_board(model, baselines, split, schema, config, sat, seed=seed, ledger=ledger)
    answers = outputs[0].prediction
    distilled, board = examine_student(model, split, rows, answers, schema, board, config, seed=seed)
    given = contributions(
        lambda frame: label_answers(model, model.outputs(frame)), rows, schema,
        a_row=found.scores[0].predict_seconds / max(len(rows), 1), confidence=config.confidence, seed=seed,
        ledger=ledger,
        thresholds=model.head.thresholds,
    )  # fmt: skip
    groups = examine_groups(
        split, rows, schema, answers, config, labels=model.head.thresholds, seed=seed, ledger=ledger
    )
    found = replace(found, fairness=groups)
    looked = inspect(
        model, split, judged(model, split, validation_answers(model)), rows, outputs, schema, config,
        lambda frame: label_answers(model, model.outputs(frame)), seed=seed, ledger=ledger,
    )  # fmt: skip
    coverage, unusual = prove(
        model, rows, np.empty((len(rows), 0)), schema, config, is_test=split.test is not None, seed=seed, ledger=ledger
    )
    given_from = model.head.thresholds or ()
    tested = None if split.test is None else tested_of(rows, answers, schema, given_from, ())
    return Exam(
        found, sat.calibration, given, chosen, board, looked, coverage=coverage, unusual=unusual, tested=tested,
        spread=spread, distilled=distilled,
    )  # fmt: skip


def validation_answers(model: Model) -> NDArray[np.float64]:
    """The model's answers to the rows that it did not learn from: probabilities (n, classes), or values (n,)."""
    if model.head.has_labels:
        return validation_labels(model)
    seen = model.validation
    if seen.temperatures is None:
        return model.head.in_units(seen.outputs[:, :, 0], seen.shares)
    stated = mixed_probabilities(seen.outputs, seen.temperatures, seen.shares)
    return stated if model.head.calibration is None else model.head.calibration.apply(stated)


#: What parts are called that are no networks, and how many and one of them are.
_CALLED = {
    "trees": "boosted trees",
    "text linear": "linear model of texts",
    "rocket": "random convolutions",
    "ridge": "linear forecast",
    "backbone": "head on a pretrained backbone",
}
_COUNTED = {
    "trees": ("forests", "one forest and no network"),
    "text linear": ("linear models", "one linear model and no network"),
    "backbone": ("heads on a pretrained backbone", "one head on a pretrained backbone"),
    "rocket": ("heads on random convolutions", "one head on random convolutions"),
    "ridge": ("linear forecasts", "one linear forecast and no network"),
}


def _described(model: Model) -> str:
    """`realmlp 60 % (3 members), mlp 40 % (1 member), 120,000 parameters`."""
    if len(model.parts) == 1:
        (part,) = model.parts
        several, one = _COUNTED.get(part.name, ("networks", "one network"))
        what = f"{part.name}, {model.members} {several} averaged" if model.members > 1 else f"{part.name}, {one}"
    else:
        named = [(_CALLED.get(part.name, part.name), part) for part in model.parts]
        what = ", ".join(f"{name} {part.share:.0%} ({part.members} of {model.members})" for name, part in named)
    shown = model.parts[0].shown
    return f"{what}, {model.parameters:,} parameters" + (f": {shown}" if shown else "")
