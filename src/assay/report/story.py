"""What a report says, in sentences: the facts that the page, the card and the terminal all tell alike."""

from __future__ import annotations

from assay.data.schema import Task
from assay.evaluate.distilled_record import in_words
from assay.evaluate.looks import told as told_of
from assay.evaluate.record import Comparison, Estimate, ModelScores, Reference, Report, Score
from assay.report.words import counted, decimals, fixed, number, p_value, percent, short


def asked_level(report: Report) -> str:
    """The confidence of the intervals, as the run was configured: `95 %`."""
    share = report.config.get("evaluate.confidence")
    return percent(float(share)) if isinstance(share, int | float) else percent(0.95)


def level(report: Report) -> str:
    """The confidence of the test's intervals: `95 %`, from the second look at its rows on `look-corrected 95 %`."""
    looks = 1 if report.seal is None else report.seal.looks
    return f"look-corrected {asked_level(report)}" if looks > 1 else asked_level(report)


def score_of(model: ModelScores, metric: str) -> Score | None:
    """The score of `model` in `metric`, or None where it was not computed."""
    return next((score for score in model.scores if score.name == metric), None)


def beside_networks(report: Report) -> tuple[str, ...]:
    """A sentence on each part of the model that is no network; nothing where there is none."""
    others = [part for part in report.training.parts if not part.is_network]
    share = sum(part.share for part in others)
    rest = "no network is in it" if share > 1.0 - 1e-9 else "the rest is that of networks"
    told = {
        "trees": "Boosted trees give {} of the answer, as ensemble.trees=true allowed",
        "backbone": "A linear head on a frozen pretrained backbone gives {} of the answer",
        "rocket": "Random convolutions with a ridge head give {} of the answer",
        "ridge": "A ridge regression of the window gives {} of the answer",
        "text linear": "A linear model of TF-IDF n-grams gives {} of the answer",
    }
    return tuple(f"{told[part.name].format(percent(part.share))}; {rest}." for part in others)


def network(report: Report) -> ModelScores:
    """The network's scores, which come first."""
    return report.scores[0]


def label_of(report: Report, metric: str) -> str:
    """What people call `metric`."""
    found = (score_of(model, metric) for model in report.scores)
    return next((score.label for score in found if score is not None), metric)


def best_baseline(report: Report) -> ModelScores | None:
    """The baseline with the best value of the primary metric, or None without baselines."""
    ranked = [
        (score.estimate.value if score.higher_is_better else -score.estimate.value, model)
        for model in report.scores
        if model.kind == "baseline"
        and (score := score_of(model, report.primary)) is not None
        and score.estimate.value is not None
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def comparison_with(report: Report, model: ModelScores, metric: str) -> Comparison | None:
    """The paired comparison of the network with `model` in `metric`, where it was made."""
    return next((c for c in report.comparisons if c.against == model.name and c.metric == metric), None)


def references_for(report: Report, metric: str) -> tuple[Reference, ...]:
    """The published numbers for `metric`."""
    return tuple(reference for reference in report.references if reference.metric == metric)


def places(report: Report, metric: str) -> int:
    """Decimal places for `metric`, the same for every model."""
    scores = (score_of(model, metric) for model in report.scores)
    own = [end for score in scores if score is not None for end in (score.estimate.value, score.estimate.high)]
    return decimals([*own, *(reference.value for reference in references_for(report, metric))])


def interval(estimate: Estimate, digits: int, joint: str = " to ") -> str:
    """The interval of an estimate, or nothing where it has none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{fixed(estimate.low, digits)}{joint}{fixed(estimate.high, digits)}"


def loss_name(report: Report) -> str:
    """What is added to the loss of a row."""
    return "Log loss" if report.table_schema.has_probabilities else "Squared error"


def added(estimate: Estimate) -> str:
    """The interval of a loss that is added, to two significant digits of its width."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{number(estimate.low, 2)} to {number(estimate.high, 2)}"


def contributed(report: Report) -> str:
    """How the contributions were measured."""
    first = report.contributions[0]
    whole = "" if first.score is None else f" ({fixed(first.score, places(report, first.metric))} as they are)"
    return (
        f"Cells of a kind are dealt out anew among {counted(first.rows, 'row')} that nothing was learned from, all its "
        f"columns together: the loss that this adds to a row, with its {level(report)} interval, and the "
        f"{label_of(report, first.metric)} then{whole}. "
        "What two kinds both say is not lost with one of them."
    )


def tested_on(report: Report) -> str:
    """Which rows the scores are of."""
    row = "row" if report.forecast is None else "window"
    if report.split.test_rows:
        return f"{counted(report.split.test_rows, f'sealed test {row}')}"
    return f"{counted(report.split.valid_rows, f'validation {row}')} (no test part was kept, so this is flattering)"


def tested_from(report: Report) -> str:
    """How many forecasts were scored, and from how many origins of how many series."""
    found = report.forecast
    if found is None:
        return ""
    whose = "" if found.series < 2 else f" of {counted(found.series, 'series', 'series')}"
    return f"Forecasts{whose} from {counted(found.origins, 'origin')} in time, {tested_on(report)}, were scored."


def bands(report: Report) -> str:
    """What the intervals of forecasts were to hold and held; nothing where there are none."""
    found = None if report.forecast is None else report.forecast.coverage
    if found is None:
        return ""
    told = (
        f"Intervals that were to hold {percent(found.asked)} of the steps held {percent(found.fixed)} of them, at a "
        f"mean half width of {number(found.fixed_half_width)}"
    )
    if found.adaptive is None or found.adaptive_half_width is None:
        return f"{told}."
    held = f"{percent(found.adaptive)} at {number(found.adaptive_half_width)}"
    return f"{told}; adapted to outcomes over time they would have held {held}."


def chosen(report: Report) -> str:
    """The score that the model was chosen by, that without what the choice flatters by, and that of the sealed rows."""
    found = report.selection
    if found is None:
        return ""
    digits = places(report, found.metric)
    row = "row" if report.forecast is None else "window"
    what = f"among {counted(found.settings, 'candidate')}" if found.settings > 1 else "the epoch of one network"
    told = f"{found.label} {fixed(found.validation, digits)} on the {counted(found.rows, row)} that chose {what}"
    if found.corrected.value is None:
        return f"{told}; what that flatters by is {short(found.corrected.method, 120)}."
    span = interval(found.corrected, digits)
    told += f"; {fixed(found.corrected.value, digits)} without what that flatters by"
    told += f" ({level(report)} interval {span})" if span else ""
    score = score_of(network(report), found.metric)
    if report.split.test_rows and score is not None and score.estimate.value is not None:
        told += f"; {fixed(score.estimate.value, digits)} on {tested_on(report)}"
    return f"{told}."


def student(report: Report) -> str:
    """What stands in the place of an ensemble, and what it loses by that; nothing where no student does."""
    if report.distilled is None:
        return ""
    told = in_words(report.distilled)
    return f"{told[:1].upper()}{told[1:]} ({asked_level(report)} intervals, paired)."


def nested(report: Report) -> str:
    """The score of the whole way of choosing in outer folds; nothing where it was not asked for."""
    found = report.nested
    if found is None:
        return ""
    if found.estimate.value is None:
        return f"Outer folds: {short(found.estimate.method, 120)}."
    digits = places(report, found.metric)
    span = interval(found.estimate, digits)
    spans = f" ({asked_level(report)} interval {span})" if span else ""
    row = counted(found.rows, "row")
    return (
        f"{found.label} {fixed(found.estimate.value, digits)}{spans} where the model was chosen anew in each of "
        f"{counted(len(found.scores), 'outer fold')} of {row}."
    )


def seal(report: Report) -> str:
    """What happened to the sealed rows."""
    if not report.split.test_rows:
        return "There is no test part: the scores are of the validation rows, which also chose the best epoch."
    times = {0: "never opened", 1: "opened once, after training had ended"}
    opened = times.get(report.split.opened, f"opened {report.split.opened} times: later looks are less honest")
    told = f"The test rows were sealed before anything was learned, and {opened}."
    return told if report.seal is None or report.seal.looks < 2 else f"{told} {looks_of(report)}"


def looks_of(report: Report) -> str:
    """From the second look at the same test rows on, a sentence on how intervals allow for that; else nothing."""
    if report.seal is None or report.seal.looks < 2:
        return ""
    told = told_of(report.seal)
    return f"{told[:1].upper()}{told[1:]}."


def headline(report: Report) -> str:
    """The verdict in one sentence: the primary metric with its interval, against the best baseline."""
    score = score_of(network(report), report.primary)
    if score is None or score.estimate.value is None:
        return f"{reached(report)}."
    return f"{reached(report)}; {against(report) or 'no baseline was trained to compare it with'}."


def reached(report: Report) -> str:
    """The primary metric with its interval and the rows it is of, or why there is none."""
    score = score_of(network(report), report.primary)
    label, digits = label_of(report, report.primary), places(report, report.primary)
    if score is None or score.estimate.value is None:
        why = score.estimate.method if score is not None else "it was not computed"
        return f"{label} is not defined on {tested_on(report)}: {why}"
    span = interval(score.estimate, digits)
    opening = f"{label} {fixed(score.estimate.value, digits)}"
    opening += f" ({level(report)} interval {span})" if span else " (no interval)"
    return f"{opening} on {tested_on(report)}"


def against(report: Report) -> str:
    """The best baseline's primary metric, and whether the network can be told apart from it; nothing without one."""
    rival, digits = best_baseline(report), places(report, report.primary)
    if rival is None:
        return ""
    theirs, made = score_of(rival, report.primary), comparison_with(report, rival, report.primary)
    value = fixed(theirs.estimate.value if theirs else None, digits)
    opening = f"the best baseline ({short(rival.name)}) reaches {value}"
    if made is None:
        return f"{opening}; the two were not tested against each other"
    words = {
        "better": "the network is better",
        "worse": "the network is worse",
        "not distinguishable": "the difference cannot be told from chance",
    }
    return f"{opening}, and {words[made.verdict]} ({p_value(made.p_value)})"


def compared(report: Report, made: Comparison) -> str:
    """One comparison in words, with its difference, interval, p-value and test."""
    digits, other = places(report, made.metric), short(made.against)
    value, low, high = made.difference.value, made.difference.low, made.difference.high
    if made.verdict == "worse" and value is not None:
        value = -value
        low, high = (None if high is None else -high), (None if low is None else -low)
    size = fixed(value, digits)
    span = interval(Estimate(value=value, low=low, high=high, method=""), digits)
    proof = f"{level(report)} interval {span}; " if span else ""
    proof += f"{p_value(made.p_value)}, {visible_test(made.test)}"
    label = label_of(report, made.metric)
    if made.verdict == "not distinguishable":
        return f"The network and the {other} cannot be told apart in {label}: difference {size} ({proof})."
    return f"The network is {made.verdict} than the {other} in {label} by {size} ({proof})."


def visible_test(test: str) -> str:
    """The name of a test, cut to a readable length."""
    return short(test, 60)


def task(report: Report) -> str:
    """The task with its reason, not named twice."""
    name, reason = report.table_schema.task.value, short(report.table_schema.task_reason, 300)
    return reason if reason.casefold().startswith(name) else f"{name}: {reason}"


def asked(report: Report) -> str:
    """The task in one sentence."""
    schema = report.table_schema
    if schema.windowing is not None:
        made = schema.windowing
        beside = len(schema.features) - 1 - (made.origin in {column.name for column in schema.features})
        others = f" and {counted(beside, 'other column')}" if beside else ""
        series = f" of each {short(made.case)}" if made.case else ""
        return (
            f"Forecasting: {counted(made.horizon, 'step')} of {made.clock.named} of {short(schema.target)}{series}, "
            f"from the {made.length} before{others}"
        )
    classes = f" with {counted(len(schema.classes), 'class', 'classes')}" if schema.task is Task.MULTICLASS else ""
    if schema.is_multilabel:
        classes = f" with {counted(len(schema.classes), 'label')}"
    positive = f", positive class {short(schema.positive)}" if schema.positive else ""
    return (
        f"{schema.task.value.capitalize()}{classes}: predict {short(schema.target)}{positive} "
        f"from {counted(len(schema.features), 'column')}"
    )


def severities(report: Report) -> str:
    """The findings counted by severity: `1 serious, 3 warnings`."""
    by = {name: sum(f.severity.value == name for f in report.findings) for name in ("serious", "warning", "note")}
    found = (
        f"{by['serious']} serious" if by["serious"] else "",
        counted(by["warning"], "warning") if by["warning"] else "",
        counted(by["note"], "note") if by["note"] else "",
    )
    return ", ".join(filter(None, found)) or "none"


def audited(report: Report) -> str:
    """The audit in one sentence: rows, columns and findings by severity."""
    size = f"{counted(report.source.rows, 'row')}, {counted(report.source.columns, 'column')}"
    left_out = report.split.left_out
    told = f", {counted(left_out, 'row')} without a target left out" if left_out else ""
    return f"{size}{told}; findings: {severities(report)}"


def parity(report: Report) -> str:
    """The agreement of the saved model with the trained one, in one sentence."""
    kept = report.parity
    return (
        f"The saved model agrees with the trained network to {number(kept.difference, 2)} "
        f"on {counted(kept.rows, 'row')} ({short(kept.measure, 60)}; allowed {number(kept.limit, 2)})"
    )
