"""The exam of a trained network: calibrate it on validation rows, then open the seal once and score every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.decision import Rule
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema, Task
from assay.data.split.split import Split
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
from assay.evaluate.fair.record import Fairness
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


@dataclass(frozen=True)
class _Asked:
    """A model that is examined, on which rows, and how."""

    model: Model
    split: Split
    schema: Schema
    config: EvaluateConfig
    seed: int
    ledger: Ledger

    @property
    def is_test(self) -> bool:
        """Whether there is a test part; without, validation rows are in its place."""
        return self.split.test is not None

    @cached_property
    def unlearned(self) -> Floats:
        """The model's answers to the rows that it did not learn from."""
        return validation_answers(self.model)

    def answers(self, raw: NDArray[np.float32]) -> Floats:
        """The model's answers from the outputs of its networks, (A, n, K)."""
        return label_answers(self.model, raw) if self.schema.is_multilabel else answers_of(self.model, raw)

    def answer(self, frame: pl.DataFrame) -> Floats:
        """The model's answers for raw rows."""
        return self.answers(self.model.outputs(frame))


@dataclass(frozen=True)
class _Scored:
    """The rows under the seal, what every model answers there, the network first, and how good that is.

    raw: outputs of its networks, (A, n, K). measure: what models are compared by. selection, board, calibration: see
    `Exam`.
    """

    rows: Rows
    raw: NDArray[np.float32]
    outputs: list[Output]
    found: Assessment
    measure: Metric
    selection: Selection | None
    board: Leaderboard | None
    calibration: Calibration | None

    @property
    def answers(self) -> Floats:
        """The model's answers, (n, K) or (n,)."""
        return self.outputs[0].prediction

    @property
    def seconds(self) -> float:
        """What an answer took."""
        return self.found.scores[0].predict_seconds / max(len(self.rows), 1)

    @property
    def estimate(self) -> Estimate:
        """The model's score."""
        return _estimate(self.found, self.measure)


def _estimate(found: Assessment, measure: Metric) -> Estimate:
    return next(score.estimate for score in found.scores[0].scores if score.name == measure.id)


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
    asked = _Asked(model, split, schema, config, seed, ledger)
    if schema.windowing is not None:
        return _sit_forecast(asked, baselines)
    sat = _scored_labels(asked, baselines) if schema.is_multilabel else _scored(asked, baselines)
    distilled, board = examine_student(model, split, sat.rows, sat.answers, schema, sat.board, config, seed=seed)
    given = contributions(
        asked.answer, sat.rows, schema, a_row=sat.seconds, confidence=config.confidence, seed=seed, ledger=ledger,
        thresholds=model.head.thresholds if schema.is_multilabel else None,
    )  # fmt: skip
    found = replace(sat.found, fairness=_groups(asked, sat, without))
    seen = judged(model, split, asked.unlearned)
    looked = inspect(
        model, split, seen, sat.rows, sat.outputs, schema, config, asked.answer, seed=seed, ledger=ledger
    )  # fmt: skip
    answers = np.empty((len(sat.rows), 0)) if schema.is_multilabel else sat.answers  # labels carry no regions
    coverage, unusual = prove(model, sat.rows, answers, schema, config, is_test=asked.is_test, seed=seed, ledger=ledger)
    return Exam(
        found, sat.calibration, given, sat.selection, board, looked, _decision(asked, sat), coverage, unusual,
        _tested(asked, sat), _spread(asked, sat), distilled,
    )  # fmt: skip


def _sit_forecast(asked: _Asked, baselines: Sequence[FittedBaseline]) -> Exam:
    model, split, schema, config, seed = asked.model, asked.split, asked.schema, asked.config, asked.seed
    told = _described(model)
    sat = sit_forecast(model, told, baselines, split, schema, config, seed=seed, ledger=asked.ledger)
    distilled, board = examine_student(
        model, split, sat.rows, sat.answers, schema, sat.leaderboard, config, seed=seed
    )  # fmt: skip
    return Exam(
        sat.assessment, None, (), sat.selection, board, tested=sat.tested, spread=sat.spread, distilled=distilled
    )


# Scores ---------------------------------------------------------------------------------------------------------------


def _scored(asked: _Asked, baselines: Sequence[FittedBaseline]) -> _Scored:
    """Classes or values: the scores of all models, the model's without what its choice flatters it by, the board."""
    model, schema, config = asked.model, asked.schema, asked.config
    rows = opened(asked.split, "rows", asked.ledger)
    begun = perf_counter()
    raw = model.outputs_of(rows)
    answers = asked.answers(raw)
    seconds = perf_counter() - begun
    network = Output("network", "network", _described(model), answers, model.seconds, seconds, model.head.rule)
    outputs = [network, *_baseline_outputs(baselines, asked.split.valid, rows, schema, model.head.rule, config)]
    found = assess(
        schema, rows.target, rows.weight, outputs, config, seed=asked.seed, ledger=asked.ledger,
        clusters=clusters_of(rows, schema),
    )  # fmt: skip
    measure, seen = primary_of(schema.task), model.validation
    scorer = Scorer(schema.task, seen.target, asked.unlearned, model.head.rule)
    validation = scorer.values(seen.weight, (measure.id,))[measure.id]
    note_gap(validation, _estimate(found, measure), measure, ledger=asked.ledger)
    selection, board = _chosen(asked, baselines, rows, raw, found, measure, validation)
    return _Scored(rows, raw, outputs, found, measure, selection, board, _calibration(asked, rows, raw, answers))


def _scored_labels(asked: _Asked, baselines: Sequence[FittedBaseline]) -> _Scored:
    """The same of labels."""
    model, split, schema, config, seed = asked.model, asked.split, asked.schema, asked.config, asked.seed
    sat = sit_labels(model, _described(model), baselines, split, schema, config, seed=seed, ledger=asked.ledger)
    selection, board = label_board(model, baselines, split, schema, config, sat, seed=seed, ledger=asked.ledger)
    return _Scored(
        sat.rows, sat.raw, sat.outputs, sat.found, LABEL_METRICS[0], selection, board, sat.calibration
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
    asked: _Asked, baselines: Sequence[FittedBaseline], rows: Rows, raw: NDArray[np.float32], found: Assessment,
    measure: Metric, validation: float,
) -> tuple[Selection | None, Leaderboard | None]:  # fmt: skip
    """The score of the model without what its choice flatters it by, and the leaderboard.

    raw: outputs of its networks for `rows`. validation: its score by the measure on rows it did not learn from.
    """
    model, schema, config, choice = asked.model, asked.schema, asked.config, asked.model.choice
    if choice is None:
        return None, None

    def judged(some: Rows, prediction: Floats) -> Estimate:
        return estimates(
            schema.task, some.target, prediction, some.weight, confidence=config.confidence, samples=SAMPLES,
            seed=asked.seed, only=(measure.id,), rule=model.head.rule, clusters=clusters_of(some, schema),
        )[measure.id]  # fmt: skip

    selection = selection_of(choice, schema.task, measure, validation, config.confidence)
    note_selection(selection, choice, _estimate(found, measure) if asked.is_test else None, asked.ledger)
    sat = Sat(found.scores, raw, len(rows), asked.is_test, lambda prediction, _: judged(rows, prediction))
    board = leaderboard(
        model, choice, baselines, asked.split.valid, schema, measure, selection, sat, judge_valid=judged,
        confidence=config.confidence,
    )  # fmt: skip
    return selection, board


def _calibration(asked: _Asked, rows: Rows, raw: NDArray[np.float32], answers: Floats) -> Calibration | None:
    head, choice, confidence = asked.model.head, asked.model.calibrated, asked.config.confidence
    if head.temperatures is None or choice is None:
        return None
    tests = null_tests(rows.target, answers, rows.weight, confidence=confidence, seed=asked.seed)
    note_reliability(tests, asked.ledger)
    plain = mixed_probabilities(raw, [1.0] * len(raw), head.shares)
    overall = float(np.average(head.temperatures, weights=head.shares))
    return describe_calibration(
        choice, overall, rows.target, plain, answers, rows.weight, tests=tests, ledger=asked.ledger,
        confidence=confidence,
    )  # fmt: skip


# What is told besides -------------------------------------------------------------------------------------------------


def _groups(asked: _Asked, sat: _Scored, without: Model | None) -> Fairness | None:
    """Rates and gaps of sensitive groups, beside those of the model without its mitigation."""
    model, config = asked.model, asked.config
    if asked.schema.is_multilabel:
        return examine_groups(
            asked.split, sat.rows, asked.schema, sat.answers, config, labels=model.head.thresholds, seed=asked.seed,
            ledger=asked.ledger,
        )  # fmt: skip
    other = unlearned = None
    if without is not None:
        other = Unmitigated(answers_of(without, without.outputs_of(sat.rows)), without.head.rule)
    if config.group_thresholds != "none":
        unlearned = Unlearned(asked.unlearned, model.validation.weight)
    return examine_groups(
        asked.split, sat.rows, asked.schema, sat.answers, config, seed=asked.seed, ledger=asked.ledger, without=other,
        rule=model.head.rule, unlearned=unlearned,
    )  # fmt: skip


def _decision(asked: _Asked, sat: _Scored) -> DecisionReport | None:
    """What decisions by the chosen rule come to, where one was chosen."""
    model = asked.model
    if asked.schema.is_multilabel or model.decided is None:
        return None
    return decision_report(
        asked.schema, sat.rows.target, sat.answers, sat.rows.weight, model.head.rule, model.decided, asked.config,
        seed=asked.seed, rivals=[(output.name, output.rule(output.prediction)) for output in sat.outputs[1:]],
    )  # fmt: skip


def _tested(asked: _Asked, sat: _Scored) -> KeptTest | None:
    """What is kept of the test rows, where there are any."""
    if not asked.is_test:
        return None
    head = asked.model.head
    costs = () if asked.schema.is_multilabel else head.costs
    return tested_of(sat.rows, sat.answers, asked.schema, head.thresholds or (), costs)


def _spread(asked: _Asked, sat: _Scored) -> Spread | None:
    """What training anew would move the score by, beside what other test rows would."""
    with_folds = len(asked.model.validation.target) != len(asked.split.valid)
    return spread_on_test(
        asked.model, sat.rows, sat.raw, asked.schema, sat.estimate, sat.measure, with_folds=with_folds,
        confidence=asked.config.confidence, seed=asked.seed, ledger=asked.ledger,
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
