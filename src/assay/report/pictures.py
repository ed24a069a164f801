"""Which pictures a report holds: each function takes the report and gives SVG text, or None where there is nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from assay.data.schema import Task
from assay.evaluate.record import Curve, Report, SeenSeries
from assay.report.charts import (
    Bin,
    Dot,
    Mark,
    Part,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
    reliability_chart,
    scatter_chart,
    strip_chart,
)
from assay.report.matrix_charts import heat_map
from assay.report.rate_chart import rate_caption, rate_chart
from assay.report.story import label_of, level, references_for, score_of
from assay.report.ticks import Axis
from assay.report.words import count, listed, percent, seconds, short

#: Classes up to which a confusion matrix and single curves can be read.
MOST_CLASSES = 30
MOST_CURVES = 4


@dataclass(frozen=True)
class Picture:
    """A picture with the words under it."""

    svg: str
    caption: str


def split_strip(report: Report) -> str:
    """The parts of the split as one bar."""
    split = report.split
    total = split.train_rows + split.valid_rows + split.test_rows
    parts = (("training", split.train_rows), ("validation", split.valid_rows), ("test", split.test_rows))
    named = [Part(name, rows, f"{count(rows)} ({percent(rows / total) if total else 'none'})") for name, rows in parts]
    return strip_chart("Rows in each part: " + ", ".join(f"{p.label} {p.text}" for p in named), named)


def losses(report: Report) -> Picture:
    """Training and validation loss by epoch, the kept epoch marked."""
    training = report.training
    epochs = [float(epoch.epoch) for epoch in training.epochs]
    series = (
        Series("training", epochs, [epoch.train_loss for epoch in training.epochs], 0),
        Series("validation", epochs, [epoch.valid_loss for epoch in training.epochs], 1),
    )
    label = f"Training and validation loss over {len(epochs)} epochs, best epoch {training.best_epoch}"
    mark = Mark(float(training.best_epoch), f"kept: epoch {training.best_epoch}")
    svg = line_chart(label, series, Axis("epoch", whole=True), Axis("loss"), marks=[mark], size=(460, 320))
    kept = "the weights of the marked epoch are the model"
    kept = kept if training.best_epoch else "none was better than the fitted weights that training began with"
    return Picture(svg, f"Mean loss over rows, by epoch; {kept}.")


def training_details(report: Report) -> tuple[Picture, ...]:
    """Learning rate and gradient norm by epoch, as small multiples."""
    epochs = [float(epoch.epoch) for epoch in report.training.epochs]
    rates = [epoch.learning_rate for epoch in report.training.epochs]
    norms = [epoch.gradient_norm for epoch in report.training.epochs]
    return tuple(
        Picture(
            line_chart(
                label, (Series(label, epochs, values, tone),), Axis("epoch", whole=True), Axis(""), size=(400, 150)
            ),
            label,
        )
        for label, values, tone in (("Learning rate", rates, 2), ("Gradient norm, median over steps", norms, 3))
    )


def rate_tests(report: Report) -> tuple[Picture, ...]:
    """The range tests of the networks of the model."""
    tested = [part.rates for part in report.training.parts if part.rates is not None and part.rates.rates]
    return tuple(Picture(rate_chart(curve), rate_caption(curve)) for curve in tested)


def seen_series(report: Report) -> tuple[Picture, ...]:
    """Training series before and after the changes of training, a small chart each."""
    found = () if report.seen is None else report.seen.series
    drawn = []
    for one in found:
        lines = [Series("as it is", _steps(one.before), _numbers(one.before), 0)]
        if one.after:
            lines.append(Series("as trained on", _steps(one.after), _numbers(one.after), 1))
        label = _seen_label(report, one)
        drawn.append(Picture(line_chart(label, lines, Axis("", whole=True), Axis(""), size=(400, 150)), label))
    return tuple(drawn)


def _seen_label(report: Report, one: SeenSeries) -> str:
    """What a training series is of: the answer that was to be learned from it."""
    target, label = short(report.table_schema.target, 20), short(one.label, 20)
    if report.table_schema.windowing is not None:
        return f"{target}: the steps before one of {label}"
    return f"{short(one.channel, 20)} of a row whose {target} is {label}"


def _steps(values: tuple[float | None, ...]) -> list[float]:
    return [float(step) for step in range(len(values))]


def _numbers(values: tuple[float | None, ...]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def primary_dots(report: Report) -> Picture:
    """The primary metric of every model with its interval, and the published numbers."""
    metric = report.primary
    dots = []
    for model in report.scores:
        score = score_of(model, metric)
        if score is not None:
            estimate = score.estimate
            dots.append(Dot(model.name, estimate.value, estimate.low, estimate.high, model.kind))
    dots += [Dot(found.model, found.value, kind="reference") for found in references_for(report, metric)]
    name = label_of(report, metric)
    found = next((score for model in report.scores if (score := score_of(model, metric)) is not None), None)
    better = "higher" if found is None or found.higher_is_better else "lower"
    svg = interval_chart(f"{name} of the network, the baselines and published models", dots, Axis(name))
    published = "; diamonds: published numbers" if references_for(report, metric) else ""
    return Picture(
        svg,
        f"{name} with {level(report)} intervals, {better} is better. Circle: network; squares: baselines{published}.",
    )


def confusion(report: Report) -> Picture | None:
    """The confusion matrix, where there are few enough classes to read it."""
    cells, classes = report.confusion, report.table_schema.classes
    if not cells or len(cells) > MOST_CLASSES:
        return None
    right = sum(row[at] for at, row in enumerate(cells))
    total = sum(map(sum, cells))
    label = f"Confusion matrix of {len(cells)} classes: {right} of {total} rows on the diagonal"
    caption = (
        "Rows are true classes, columns predicted ones; the stronger the shade, the larger the share of the row. "
        "Green is right, red wrong."
    )
    if len(cells) > 8:
        caption += " An empty cell is 0; point at a cell for its share of the row."
    return Picture(heat_map(label, cells, classes), caption)


def residuals(report: Report) -> tuple[Picture, ...]:
    """Predicted against true values, and residuals against predictions."""
    if report.residuals is None:
        return ()
    truth, predicted = report.residuals.truth, report.residuals.predicted
    missed = [t - p for t, p in zip(truth, predicted, strict=True)]
    rows = (
        f"{count(len(truth))} test rows" if len(truth) == report.split.test_rows else f"a sample of {count(len(truth))}"
    )
    target = short(report.table_schema.target, 30)
    return (
        Picture(
            scatter_chart(
                f"Predicted against true {target}",
                truth,
                predicted,
                Axis(f"true {target}"),
                Axis("predicted"),
                diagonal=True,
            ),
            f"Predicted against true values ({rows}); on the line the prediction is right.",
        ),
        Picture(
            scatter_chart(
                "Residuals against predictions",
                predicted,
                missed,
                Axis("predicted"),
                Axis("true − predicted"),
                level=True,
            ),
            "Residuals: a funnel or a bend here is structure that the network has missed.",
        ),
    )


def roc(report: Report) -> Picture | None:
    """ROC curves, with the diagonal of chance."""
    x, y = Axis("false positive rate", 0.0, 1.0), Axis("true positive rate", 0.0, 1.0)
    return _curves(report, report.roc, "ROC", x, y)


def precision_recall(report: Report) -> Picture | None:
    """Precision-recall curves."""
    x, y = Axis("recall", 0.0, 1.0), Axis("precision", 0.0, 1.0)
    return _curves(report, report.precision_recall, "Precision and recall", x, y)


def _curves(report: Report, curves: tuple[Curve, ...], title: str, x: Axis, y: Axis) -> Picture | None:
    """Few curves are named; of many, the ones with the smallest area are, the others stay quiet behind them."""
    if not curves:
        return None
    schema = report.table_schema
    classes = len(schema.classes) if schema.task in (Task.MULTICLASS, Task.MULTILABEL) else 0
    named = curves if len(curves) <= MOST_CURVES else tuple(sorted(curves, key=_area)[:MOST_CURVES])
    tones = {id(curve): tone for curve, tone in zip(named, (0, 1, 3, 4), strict=False)}
    series = [Series(c.label, c.x, c.y, tones.get(id(c), 5), quiet=id(c) not in tones) for c in curves]
    caption = f"{title} curve{'s' if len(curves) > 1 else ''}"
    if 1 < len(curves) < classes:
        noun = "labels" if schema.is_multilabel else "classes"
        caption += f" of {count(len(curves))} of the {count(classes)} {noun}, each against the rest"
    if len(named) < len(curves):
        caption += f"; named are the {len(named)} with the smallest area"
    names = listed((curve.label for curve in named), MOST_CURVES)
    return Picture(
        line_chart(f"{title} curves: {names}", series, x, y, diagonal=curves is report.roc, size=(460, 350)),
        caption + ".",
    )


def _area(curve: Curve) -> float:
    points = sorted(zip(curve.x, curve.y, strict=True))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))


def reliability(report: Report) -> Picture | None:
    """The reliability diagram."""
    if report.calibration is None:
        return None
    bins = [
        Bin(b.confidence, b.frequency.value, b.frequency.low, b.frequency.high, b.rows) for b in report.calibration.bins
    ]
    svg = reliability_chart(f"Reliability diagram with {len(bins)} bins", bins)
    caption = (
        f"Predicted against observed frequency with {level(report)} intervals; on the diagonal a probability is honest."
    )
    return Picture(svg, f"{caption} Bars: rows in each bin.")


def stage_seconds(report: Report) -> str:
    """Seconds spent in each stage."""
    parts = [Part(stage, spent, seconds(spent)) for stage, spent in report.provenance.seconds.items()]
    return bar_chart("Seconds by stage: " + ", ".join(f"{p.label} {p.text}" for p in parts), parts)
