"""The tables of the page: a report in rows of text, cut to what can be read, with how much was cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from assay.data.audit.audit import Finding, Severity
from assay.data.schema import Column, Kind
from assay.evaluate.record import Estimate, ModelScores, Report, Score
from assay.ledger import Outcome, Verdict
from assay.practices import PRACTICES, Practice
from assay.report.story import interval, places, score_of
from assay.report.words import count, fixed, percent

MOST_COLUMNS = 100
MOST_FINDINGS = 40
MOST_CONFUSIONS = 12
MOST_LABELS = 50
MOST_SETTINGS = 400


@dataclass(frozen=True)
class KindRow:
    """The columns of one kind."""

    kind: str
    columns: int
    with_missing: int
    missing_cells: int
    unparsed: int


@dataclass(frozen=True)
class ScoreCell:
    """One model's value in one metric; `note` says why there is none."""

    value: str
    interval: str
    best: bool
    note: str


@dataclass(frozen=True)
class ScoreRow:
    """One metric across the models."""

    label: str
    primary: bool
    direction: str
    cells: tuple[ScoreCell, ...]


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are mixed up."""

    truth: str
    predicted: str
    rows: str
    share: str


@dataclass(frozen=True)
class LabelRow:
    """The network's scores of one label; a dash where one is not defined."""

    name: str
    rows: str
    given: str
    threshold: str
    precision: str
    recall: str
    f1: str
    interval: str
    auroc: str
    auprc: str


@dataclass(frozen=True)
class Entry:
    """A verdict with the practice it is about; `practice` is None for one this version does not know."""

    verdict: Verdict
    practice: Practice | None


@dataclass(frozen=True)
class Stage:
    """The entries of one stage of the work."""

    name: str
    entries: tuple[Entry, ...]
    summary: str


def role(report: Report, column: Column) -> str:
    """The special part a column plays, or nothing."""
    schema = report.table_schema
    parts = {
        "target": schema.target == column.name,
        "group": schema.group == column.name,
        "time": schema.time == column.name,
        "weight": schema.weight == column.name,
        "sensitive": column.name in schema.sensitive,
        "left out": column.name in schema.dropped or column.kind in (Kind.ID, Kind.CONSTANT),
    }
    return ", ".join(name for name, holds in parts.items() if holds)


def kinds(report: Report) -> tuple[KindRow, ...]:
    """The columns counted by kind, most frequent first."""
    columns = report.table_schema.columns
    frequent = Counter(column.kind for column in columns).most_common()
    return tuple(
        KindRow(
            kind=kind.value,
            columns=number,
            with_missing=sum(c.missing > 0 for c in columns if c.kind is kind),
            missing_cells=sum(c.missing for c in columns if c.kind is kind),
            unparsed=sum(c.unparsed for c in columns if c.kind is kind),
        )
        for kind, number in frequent
    )


def shown_columns(report: Report) -> tuple[Column, ...]:
    """The columns to list; of very many, the ones with a special part or missing cells come first."""
    columns = report.table_schema.columns
    if len(columns) <= MOST_COLUMNS:
        return columns
    return tuple(sorted(columns, key=lambda c: (not role(report, c), c.missing == 0))[:MOST_COLUMNS])


def findings(report: Report, severity: Severity) -> tuple[Finding, ...]:
    """The findings of one severity, at most `MOST_FINDINGS`."""
    return tuple(finding for finding in report.findings if finding.severity is severity)[:MOST_FINDINGS]


def findings_left(report: Report, severity: Severity) -> int:
    """How many findings of one severity are not shown."""
    return max(0, sum(finding.severity is severity for finding in report.findings) - MOST_FINDINGS)


def score_rows(report: Report) -> tuple[ScoreRow, ...]:
    """Every metric across every model, the primary one first."""
    known = {score.name: score for model in report.scores for score in model.scores}
    names = sorted(known, key=lambda name: name != report.primary)
    return tuple(
        ScoreRow(
            label=known[name].label,
            primary=name == report.primary,
            direction="higher is better" if known[name].higher_is_better else "lower is better",
            cells=_cells(report, known[name]),
        )
        for name in names
    )


def _cells(report: Report, metric: Score) -> tuple[ScoreCell, ...]:
    digits = places(report, metric.name)
    values = [_value(model, metric.name) for model in report.scores]
    defined = [value for value in values if value is not None]
    best = (max(defined) if metric.higher_is_better else min(defined)) if len(defined) > 1 else None
    cells = []
    for model, value in zip(report.scores, values, strict=True):
        score = score_of(model, metric.name)
        if score is None or value is None:
            cells.append(ScoreCell("–", "", False, score.estimate.method if score else "not computed"))
        else:
            cells.append(
                ScoreCell(fixed(value, digits), interval(score.estimate, digits), value == best, score.estimate.method)
            )
    return tuple(cells)


def _value(model: ModelScores, metric: str) -> float | None:
    score = score_of(model, metric)
    return score.estimate.value if score is not None else None


def interval_methods(report: Report) -> tuple[tuple[str, str], ...]:
    """How each interval of the network was computed: method and the metrics it serves."""
    served: dict[str, list[str]] = {}
    for score in report.scores[0].scores:
        if score.estimate.low is not None:
            served.setdefault(score.estimate.method, []).append(score.label)
    return tuple((method, ", ".join(labels)) for method, labels in served.items())


def confused(report: Report) -> tuple[ConfusedPair, ...]:
    """The pairs of classes mixed up most, by rows."""
    classes = report.table_schema.classes
    wrong = sorted(
        (
            (value, i, j)
            for i, row in enumerate(report.confusion)
            for j, value in enumerate(row)
            if i != j and value > 0
        ),
        key=lambda found: (-found[0], found[1], found[2]),
    )
    return tuple(
        ConfusedPair(classes[i], classes[j], count(value), percent(value / sum(report.confusion[i])))
        for value, i, j in wrong[:MOST_CONFUSIONS]
    )


def label_rows(report: Report) -> tuple[LabelRow, ...]:
    """The network's scores of the labels with most test rows, at most `MOST_LABELS`."""
    ordered = sorted(report.labels, key=lambda label: -label.rows)[:MOST_LABELS]
    return tuple(
        LabelRow(
            name=label.name,
            rows=count(label.rows),
            given=count(label.given),
            threshold=fixed(label.threshold, 3),
            precision=_share(label.precision),
            recall=_share(label.recall),
            f1=_share(label.f1),
            interval=interval(label.f1, 3),
            auroc="–" if label.auroc is None else fixed(label.auroc, 3),
            auprc="–" if label.auprc is None else fixed(label.auprc, 3),
        )
        for label in ordered
    )


def label_rows_left(report: Report) -> int:
    """How many labels are not shown."""
    return max(0, len(report.labels) - MOST_LABELS)


def _share(estimate: Estimate) -> str:
    return "–" if estimate.value is None else fixed(estimate.value, 3)


def ledger(report: Report) -> tuple[Stage, ...]:
    """The ledger by stage, in the registry's order; verdicts on practices this version does not know come last."""
    stages: dict[str, list[Entry]] = {}
    for verdict in report.ledger:
        practice = PRACTICES.get(verdict.practice)
        stages.setdefault(practice.stage if practice else "other", []).append(Entry(verdict, practice))
    return tuple(Stage(name, tuple(entries), _tally(entries)) for name, entries in stages.items())


def _tally(entries: list[Entry]) -> str:
    numbers = Counter(entry.verdict.outcome for entry in entries)
    return ", ".join(f"{numbers[outcome]} {outcome.value}" for outcome in Outcome if numbers[outcome])


def outcomes(report: Report) -> tuple[tuple[Outcome, int], ...]:
    """How often each outcome stands in the ledger."""
    numbers = Counter(verdict.outcome for verdict in report.ledger)
    return tuple((outcome, numbers[outcome]) for outcome in Outcome)


def followed(report: Report) -> int:
    """How many practices were applied or passed."""
    return sum(verdict.outcome in (Outcome.APPLIED, Outcome.PASSED) for verdict in report.ledger)


def due(report: Report) -> int:
    """How many practices had an occasion in this run."""
    return sum(verdict.outcome is not Outcome.NOT_APPLICABLE for verdict in report.ledger)
