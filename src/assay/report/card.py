"""The model card: what the model is, how it was tested and what speaks against it, as Markdown.

Sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019), section 4. What only a person can know is
left open and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from assay.evaluate.record import Report
from assay.report import decision_page, fit_page, robustness_page, slices_page, story
from assay.report.fair_words import CAUTION, mitigated, sentences, told_of_rows
from assay.report.tables import label_rows, label_rows_left, score_rows
from assay.report.words import count, counted, listed, number, plain, seconds, short, visible

OPEN = "_To be filled in by the owner:_"
MOST_CAVEATS = 20

# What starts or ends a Markdown or HTML construct anywhere in a line; an underscore inside a word does not.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~&]|(?<!\w)_|_(?!\w))")


def draw_card(report: Report) -> str:
    """The model card of a run as Markdown, ending in a newline. Text from the data is escaped."""
    sections = (
        ("Model details", _details(report)),
        ("Intended use", _use()),
        ("Factors", _factors(report)),
        ("Metrics", _metrics(report)),
        ("Evaluation data", _evaluation_data(report)),
        ("Training data", _training_data(report)),
        ("Quantitative analyses", _analyses(report)),
        ("Ethical considerations", _ethics(report)),
        ("Caveats and recommendations", _caveats(report)),
    )
    title = f"# Model card: {_safe(report.name)}\n\n{_safe(story.headline(report))}\n"
    return plain(title + "".join(f"\n## {name}\n\n{text}\n" for name, text in sections))


def _safe(text: str, limit: int = 400) -> str:
    return _SPECIAL.sub(r"\\\1", short(text, limit))


def _names(names: Iterable[str]) -> str:
    return _safe(listed(names, 40), 2400) or "none"


def _code(text: str) -> str:
    """Text as code, in a fence of backticks longer than any in it."""
    shown = visible(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _details(report: Report) -> str:
    training, made = report.training, report.provenance
    return _bullets(
        [
            f"Task: {_safe(story.asked(report), 600)}; {_safe(report.table_schema.task_reason)}.",
            f"Model: {_safe(story.network(report).description)}.",
            *story.beside_networks(report),
            f"Size: {counted(training.parameters, 'parameter')} in {counted(training.members, 'member')}.",
            f"Training: {counted(len(training.epochs), 'epoch')} in {seconds(training.seconds)}, the weights of epoch "
            f"{training.best_epoch} kept; stopped because: {_safe(training.stopped)}.",
            f"Made by assay {_safe(made.assay)} on {_safe(made.started)}, seed {made.seed}: {_code(report.command)}",
            f"Data: {_safe(report.source.name)}, sha256 {_code(report.source.sha256)}",
            f"{_safe(story.parity(report))}.",
            f"{OPEN} the people or organisation responsible, licence, contact for questions.",
        ]
    )


def _use() -> str:
    return _bullets(
        [
            "Known from the run: the model answers rows that have the columns of schema.json and come from the same "
            "source as the training rows. Nothing is known about other rows.",
            f"{OPEN} primary intended uses.",
            f"{OPEN} primary intended users.",
            f"{OPEN} uses that are out of scope.",
        ]
    )


def _factors(report: Report) -> str:
    schema = report.table_schema
    known = [
        f"The model reads {counted(len(schema.features), 'column')}: {_names(c.name for c in schema.features)}.",
        f"Sensitive columns named by the user: {_names(schema.sensitive)}.",
    ]
    if schema.group:
        known.append(f"Rows belong to groups ({_safe(schema.group)}), which were kept whole in the split.")
    if schema.time:
        known.append(f"Rows have a time ({_safe(schema.time)}); the split respects it.")
    return _bullets([*known, f"{OPEN} groups, instruments and surroundings that may change how well the model works."])


def _metrics(report: Report) -> str:
    methods = dict.fromkeys(score.estimate.method for score in story.network(report).scores)
    calibrated = "none; probabilities are as the network gives them"
    if report.calibration is not None:
        made = report.calibration
        shown = f"temperature {number(made.temperature)}" if made.kind in ("temperature", "none") else made.kind
        calibrated = (
            f"{shown}, expected calibration error {number(made.ece_before)} before and {number(made.ece_after)} after"
        )
    lines = [
        f"Primary metric: {_safe(story.label_of(report, report.primary))}.",
        f"Intervals: {story.level(report)}, by {_safe('; '.join(methods), 600)}.",
    ]
    if report.table_schema.has_probabilities:
        lines.append(f"Calibration: {calibrated}.")
        if reliable := decision_page.reliable(report):
            lines.append(_safe(reliable, 600))
    left = f"{OPEN} the decision threshold in use, and what each kind of error costs."
    if report.decision is not None:
        lines.append(f"Decisions: {_safe(decision_page.said(report), 600)}")
        left = f"{OPEN} whether these are the decisions and the costs of errors in use."
    return _bullets([*lines, left])


def _evaluation_data(report: Report) -> str:
    split = report.split
    lines = [f"Scores are of {story.tested_on(report)}.", story.seal(report), f"Split: {_safe(split.policy)}."]
    if split.files:
        lines.append(
            "Files of their own: " + "; ".join(f"{part}: {_safe(name)}" for part, name in split.files.items()) + "."
        )
    if split.sealed_sha256:
        lines.append(f"Hash of the sealed rows: sha256 {_code(split.sealed_sha256)}")
    return _bullets([*lines, f"{OPEN} why these rows stand for those that the model will meet."])


def _training_data(report: Report) -> str:
    split = report.split
    return _bullets(
        [
            f"{_safe(story.audited(report))}.",
            f"{counted(split.train_rows, 'row')} to learn from, {counted(split.valid_rows, 'row')} to choose the epoch "
            "and the calibration.",
            f"{OPEN} how, when and by whom the data was collected, and under which terms.",
        ]
    )


def _analyses(report: Report) -> str:
    head = ["metric", *(_safe(model.name) for model in report.scores)]
    rows = [
        [
            _safe(row.label) + (" (primary)" if row.primary else ""),
            *(_cell(cell.value, cell.interval, cell.best) for cell in row.cells),
        ]
        for row in score_rows(report)
    ]
    text = _table(head, rows) + "\n\nThe best value of a row is bold."
    if report.labels:
        text += "\n\n" + _labels(report)
    if report.comparisons:
        text += "\n\n" + _bullets(_safe(story.compared(report, made)) for made in report.comparisons)
    if report.selection is not None:
        text += f"\n\nChosen by validation: {_safe(story.chosen(report), 600)}"
    if report.nested is not None:
        text += f"\n\nThe way of choosing: {_safe(story.nested(report), 600)}"
    if looked := _looked_at(report):
        text += "\n\n" + _bullets(_safe(sentence, 600) for sentence in looked)
    if report.references:
        published = (
            f"{_safe(r.model)}: {_safe(story.label_of(report, r.metric))} {number(r.value)} ({_safe(r.source)})"
            for r in report.references
        )
        text += "\n\nPublished numbers, on other splits and budgets:\n\n" + _bullets(published)
    return text


def _looked_at(report: Report) -> list[str]:
    """Weak subgroups, the verdict on the fit, and what the model withstands, in sentences."""
    fit = fit_page.diagnosis_of(report)
    every = (
        slices_page.told(report), *slices_page.named_lines(report), "" if fit is None else fit.words,
        fit_page.gain(report), robustness_page.told(report),
    )  # fmt: skip
    return [sentence for sentence in every if sentence]


def _labels(report: Report) -> str:
    """The network label by label."""
    head = ["label", "test rows with it", "given to", "from probability", "precision", "recall", "F1", "AUROC"]
    rows = [
        [_safe(row.name), row.rows, row.given, row.threshold, row.precision, row.recall, row.f1, row.auroc]
        for row in label_rows(report)
    ]
    left = label_rows_left(report)
    return _table(head, rows) + (f"\n\n{count(left)} more labels are in report.json." if left else "")


def _cell(value: str, interval: str, best: bool) -> str:
    shown = f"**{value}**" if best else value
    return f"{shown} ({interval})" if interval else shown


def _ethics(report: Report) -> str:
    sensitive = report.table_schema.sensitive
    if sensitive:
        read = [name for name in sensitive if name in {column.name for column in report.table_schema.features}]
        lines = [
            f"Named as sensitive: {_names(sensitive)}.",
            f"Of these the model reads: {_names(read)}. Leaving a column out does not make a model blind to it: other "
            "columns may stand in for it.",
            *_groups(report),
        ]
    else:
        lines = ["No column was named as sensitive. That is a statement about the command, not about the data."]
    return _bullets([*lines, f"{OPEN} who is affected by an answer, what harm a wrong one does, and how to appeal."])


def _groups(report: Report) -> list[str]:
    """A sentence on each sensitive attribute, or that nothing was measured."""
    found = report.fairness
    if found is None:
        return ["The scores above are over all rows; they say nothing about each group."]
    rates = f"Rates by group, on {told_of_rows(found)}, decided {_safe(found.decided)}; {CAUTION}"
    cost = [f"Mitigation: {_safe(mitigated(found), 900)}"] if found.mitigation else []
    return [rates, *cost, *(f"By {_safe(name)}: {_safe(text, 900)}." for name, text in sentences(found))]


def _caveats(report: Report) -> str:
    order = {"serious": 0, "warning": 1, "note": 2}
    ranked = sorted(report.findings, key=lambda finding: order[finding.severity.value])
    lines = [f"**{f.severity.value}**: {_safe(f.what)}. {_safe(f.do, 600)}" for f in ranked[:MOST_CAVEATS]]
    if len(ranked) > MOST_CAVEATS:
        lines.append(f"{count(len(ranked) - MOST_CAVEATS)} more findings are in report.json.")
    if not ranked:
        lines.append("The audit of the data found nothing.")
    lines.append(f"Advice of the run: {_safe(report.advice, 600)}")
    return _bullets([*lines, f"{OPEN} further caveats."])
