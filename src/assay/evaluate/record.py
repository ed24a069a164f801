"""The Report record: all that a run has to say, from which the page, the card and the terminal summary are drawn."""

from __future__ import annotations

from typing import Literal

from assay.data.audit.audit import Finding
from assay.data.reading.read import Source
from assay.data.schema import Schema
from assay.data.split.split import SplitRecord
from assay.evaluate.calibration.record import CalibrationLoss, NullTest
from assay.evaluate.carried.record import CoverageReport, UnusualReport
from assay.evaluate.decision.record import DecisionReport
from assay.evaluate.distilled_record import Distillation
from assay.evaluate.estimate import Estimate as Estimate
from assay.evaluate.fair.record import Fairness
from assay.evaluate.inspection_record import Inspection, Slices
from assay.evaluate.shown_record import SeenSeries as SeenSeries
from assay.evaluate.shown_record import Thumbnail as Thumbnail
from assay.evaluate.spread_record import Spread
from assay.ledger import Verdict
from assay.records import Record
from assay.train.rate_curve import RateCurve
from assay.train.watch import Epoch

REPORT_FORMAT = 1


class Score(Record):
    """One metric of one model on the test rows. `name` is its id (`auroc`), `label` what people read (`AUROC`)."""

    name: str
    label: str
    higher_is_better: bool
    estimate: Estimate


class ModelScores(Record):
    """One model's scores; `kind` tells the network from a baseline. Seconds are wall time of fitting and predicting."""

    name: str
    kind: Literal["network", "baseline"]
    description: str
    scores: tuple[Score, ...]
    fit_seconds: float
    predict_seconds: float


class Comparison(Record):
    """The network against one baseline on the same rows; positive differences favour the network.

    `p_value` is Holm-corrected over the comparisons of the run.
    """

    against: str
    metric: str
    difference: Estimate
    p_value: float
    test: str
    verdict: Literal["better", "worse", "not distinguishable"]


class Selection(Record):
    """What was chosen by a score, and that score without what the choice flatters it by.

    validation: of what was chosen, on the rows that it was chosen by. corrected: with `flattery` taken off.
    settings: chosen among; left_out: those that have no answers, as they failed or were pruned. rows: chosen by.
    """

    metric: str
    label: str
    higher_is_better: bool
    validation: float
    corrected: Estimate
    flattery: float
    settings: int
    left_out: int = 0
    rows: int


class Nested(Record):
    """The score of the whole way of choosing a model, repeated in outer folds that it never chose by.

    scores: of each fold. estimate: their mean. rows: that were judged. seconds: of all folds. ratio: rows that judge
    for each row that is learned from. folds: a hash of the rows and of their folds; none where a fold has no score.
    """

    metric: str
    label: str
    higher_is_better: bool
    scores: tuple[float, ...]
    estimate: Estimate
    rows: int
    seconds: float
    ratio: float = 0.0
    folds: str = ""


class LeaderboardRow(Record):
    """A network, baseline or the whole model of a run, in the primary metric and in what it costs.

    kind: `ensemble` is the whole model, `teacher` the ensemble in whose place it stands. share: of the answer; None of
    what is no part of the model, 0 of what was dropped from it. validation: on `validation_rows`; corrected: without
    what the choice flatters by. test: None where it was not asked. predict_microseconds: for a row. bytes: of the
    parameters, or of the file of the whole; None of what has none.
    """

    name: str
    kind: Literal["network", "linear", "trees", "baseline", "ensemble", "teacher"]
    share: float | None
    validation: float | None
    validation_rows: int
    corrected: Estimate | None
    test: Estimate | None
    fit_seconds: float
    predict_microseconds: float | None
    bytes: int | None


class Leaderboard(Record):
    """The rows, best validation score first; `timed` says how the microseconds were measured."""

    metric: str
    label: str
    higher_is_better: bool
    timed: str
    rows: tuple[LeaderboardRow, ...]


class Reference(Record):
    """A published number that the user wants to see beside the scores."""

    model: str
    metric: str
    value: float
    source: str


class Curve(Record):
    """A line of a picture: ROC (false positive rate, true positive rate), PR (recall, precision)."""

    name: str
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class ReliabilityBin(Record):
    """One bin of the reliability diagram: mean confidence, observed frequency with a Wilson interval, rows."""

    confidence: float
    frequency: Estimate
    rows: int


class Calibration(Record):
    """How probabilities were calibrated, and the expected calibration error on the test rows before and after.

    temperature: the mean over the networks of the model. kind: of calibration, and reason: why that one. losses: of the
    kinds it was chosen among. tests: of the errors on the test rows against those of calibrated models.
    """

    temperature: float
    ece_before: float
    ece_after: float
    bins: tuple[ReliabilityBin, ...]
    kind: str = "temperature"
    reason: str = ""
    losses: tuple[CalibrationLoss, ...] = ()
    tests: tuple[NullTest, ...] = ()


class ResidualPicture(Record):
    """A sample of test rows of a regression: true and predicted values."""

    truth: tuple[float, ...]
    predicted: tuple[float, ...]


class Contribution(Record):
    """What the columns of a kind give: what is lost when their cells are dealt out anew among the rows.

    loss: log loss or squared error that is added. score, score_without: of the metric, before and after; None where it
    is not defined on these rows.
    """

    family: str
    columns: int
    rows: int
    loss: Estimate
    metric: str
    score: float | None
    score_without: float | None


class LabelScores(Record):
    """The network's scores of one label of a multilabel task.

    rows: of the test rows those that have it; given: those that it was given to, from `threshold` on. AUROC and average
    precision are None where they are not defined: all rows have it, or none.
    """

    name: str
    rows: int
    given: int
    threshold: float
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auroc: float | None
    auprc: float | None


class HorizonErrors(Record):
    """The mean absolute error of a model's forecasts, by steps ahead."""

    name: str
    mae: tuple[float, ...]


class BandCoverage(Record):
    """The share of steps that intervals were to hold and held: as they are, and adapted to outcomes over time.

    `windows` counts the validation windows that they were made on; `is_relative` tells that they are in units of each
    window's own size. Half widths are means, in the target's units.
    """

    asked: float
    windows: int
    is_relative: bool
    fixed: float
    fixed_by_step: tuple[float, ...]
    fixed_half_width: float
    adaptive: float | None
    adaptive_by_step: tuple[float, ...]
    adaptive_half_width: float | None


class ForecastPicture(Record):
    """One forecast beside what came: the steps before it, the truth, the forecast and its interval."""

    series: str
    origin: str
    before: tuple[float, ...]
    truth: tuple[float, ...]
    forecast: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


class ForecastReport(Record):
    """What is told of forecasts beside their scores; `origins` counts moments that were forecast from.

    slices: where they are weak; None where that was not asked.
    """

    origins: int
    series: int
    by_step: tuple[HorizonErrors, ...]
    coverage: BandCoverage | None
    pictures: tuple[ForecastPicture, ...]
    slices: Slices | None = None


class TrainedPart(Record):
    """One network of the model: its share of the answer, and what it was made with where that is not the default.

    `is_network` is false for boosted trees and linear models.
    rates: its range test, where one was asked for.
    """

    name: str
    share: float
    members: int
    parameters: int
    epochs: int
    best_epoch: int
    valid_loss: float
    seconds: float
    stopped: str
    options: dict[str, str | int | float | bool | None]
    is_network: bool = True
    rates: RateCurve | None = None


class Training(Record):
    """How the networks were trained. `stopped` says why training ended, `interrupted` that it was by Ctrl-C.

    Epochs, best epoch, steps and `stopped` are those of the network with the largest share; `parts` has all of them.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    steps: int
    seconds: float
    stopped: str
    parameters: int
    members: int
    interrupted: bool = False
    parts: tuple[TrainedPart, ...] = ()


class Parity(Record):
    """The agreement of the saved model with the trained one; `limit` is what was allowed."""

    rows: int
    difference: float
    limit: float
    measure: str
    cases: tuple[str, ...]


class Resumption(Record):
    """A run that had been ended went on: when, from which step of all networks, after how many seconds of the run."""

    at: str
    step: int
    seconds: float


class Provenance(Record):
    """Where the numbers come from; threads, seconds by stage and memory are of the process that ended the run."""

    assay: str
    versions: dict[str, str]
    platform: str
    cpu: str
    threads: int
    seed: int
    started: str
    seconds: dict[str, float]
    peak_memory_mb: float
    resumed: tuple[Resumption, ...] = ()


class Seen(Record):
    """A few training rows as the network saw them; `rows` are the other cells, as they are encoded, in words."""

    caption: str
    pictures: tuple[Thumbnail, ...] = ()
    series: tuple[SeenSeries, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class Seal(Record):
    """The looks at a run's test rows, its own the last: how many by runs of its folder, and which runs.

    confidence: that was asked for; corrected: that each interval is made at, so that those of all looks hold together.
    """

    looks: int
    runs: tuple[str, ...] = ()
    confidence: float
    corrected: float


class Report(Record):
    """All that a run has to say. `scores` has the network first; `config` is the resolved configuration, flat."""

    format: int = REPORT_FORMAT
    name: str
    command: str
    config: dict[str, str | int | float | bool | None]
    source: Source
    table_schema: Schema
    findings: tuple[Finding, ...]
    split: SplitRecord
    primary: str
    scores: tuple[ModelScores, ...]
    comparisons: tuple[Comparison, ...]
    references: tuple[Reference, ...] = ()
    advice: str
    training: Training
    confusion: tuple[tuple[int, ...], ...] = ()
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: Calibration | None = None
    decision: DecisionReport | None = None
    residuals: ResidualPicture | None = None
    contributions: tuple[Contribution, ...] = ()
    forecast: ForecastReport | None = None
    selection: Selection | None = None
    leaderboard: Leaderboard | None = None
    nested: Nested | None = None
    spread: Spread | None = None
    coverage: CoverageReport | None = None
    unusual: UnusualReport | None = None
    seal: Seal | None = None
    labels: tuple[LabelScores, ...] = ()
    inspection: Inspection | None = None
    distilled: Distillation | None = None
    fairness: Fairness | None = None
    parity: Parity
    seen: Seen | None = None
    ledger: tuple[Verdict, ...]
    provenance: Provenance
