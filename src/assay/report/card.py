"""The model card: what the model is, how it was tested and what speaks against it, as Markdown.

Sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019), section 4. What only a person can know is
left open and says so.
"""

from __future__ import annotations

from assay.evaluate.record import Report
from assay.report import carried_page, decision_page, fit_page, robustness_page, slices_page, spread_page, story
from assay.report.fair_words import CAUTION, mitigated, sentences, told_of_rows
from assay.report.markdown import BLANK, bullets, code, names, safe, table
from assay.report.tables import label_rows, label_rows_left, score_rows
from assay.report.words import count, counted, number, plain, seconds

MOST_CAVEATS = 20


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
    title = f"# Model card: {safe(report.name)}\n\n{safe(story.headline(report))}\n"
    return plain(title + "".join(f"\n## {name}\n\n{text}\n" for name, text in sections))


def _details(report: Report) -> str:
    training, made = report.training, report.provenance
    return bullets(
        [
            f"Task: {safe(story.asked(report), 600)}; {safe(report.table_schema.task_reason)}.",
            f"Model: {safe(story.network(report).description)}.",
            *story.beside_networks(report),
            f"Size: {counted(training.parameters, 'parameter')} in {counted(training.members, 'member')}.",
            f"Training: {counted(len(training.epochs), 'epoch')} in {seconds(training.seconds)}, the weights of epoch "
            f"{training.best_epoch} kept; stopped because: {safe(training.stopped)}.",
            f"Made by assay {safe(made.assay)} on {safe(made.started)}, seed {made.seed}: {code(report.command)}",
            f"Data: {safe(report.source.name)}, sha256 {code(report.source.sha256)}",
            f"{safe(story.parity(report))}.",
            f"{BLANK} the people or organisation responsible, licence, contact for questions.",
        ]
    )


def _use() -> str:
    return bullets(
        [
            "Known from the run: the model answers rows that have the columns of schema.json and come from the same "
            "source as the training rows. Nothing is known about other rows.",
            f"{BLANK} primary intended uses.",
            f"{BLANK} primary intended users.",
            f"{BLANK} uses that are out of scope.",
        ]
    )


def _factors(report: Report) -> str:
    schema = report.table_schema
    known = [
        f"The model reads {counted(len(schema.features), 'column')}: {names(c.name for c in schema.features)}.",
        f"Sensitive columns named by the user: {names(schema.sensitive)}.",
    ]
    if schema.group:
        known.append(f"Rows belong to groups ({safe(schema.group)}), which were kept whole in the split.")
    if schema.time:
        known.append(f"Rows have a time ({safe(schema.time)}); the split respects it.")
    return bullets([*known, f"{BLANK} groups, instruments and surroundings that may change how well the model works."])


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
        f"Primary metric: {safe(story.label_of(report, report.primary))}.",
        f"Intervals: {story.level(report)}, by {safe('; '.join(methods), 600)}.",
    ]
    if report.table_schema.has_probabilities:
        lines.append(f"Calibration: {calibrated}.")
        if reliable := decision_page.reliable(report):
            lines.append(safe(reliable, 600))
    left = f"{BLANK} the decision threshold in use, and what each kind of error costs."
    if report.decision is not None:
        lines.append(f"Decisions: {safe(decision_page.said(report), 600)}")
        left = f"{BLANK} whether these are the decisions and the costs of errors in use."
    if report.coverage is not None:
        lines.append(f"{safe(carried_page.line(report.coverage), 600)}.")
    return bullets([*lines, left])


def _evaluation_data(report: Report) -> str:
    split = report.split
    lines = [f"Scores are of {story.tested_on(report)}.", story.seal(report), f"Split: {safe(split.policy)}."]
    if split.files:
        lines.append(
            "Files of their own: " + "; ".join(f"{part}: {safe(name)}" for part, name in split.files.items()) + "."
        )
    if split.sealed_sha256:
        lines.append(f"Hash of the sealed rows: sha256 {code(split.sealed_sha256)}")
    return bullets([*lines, f"{BLANK} why these rows stand for those that the model will meet."])


def _training_data(report: Report) -> str:
    split = report.split
    return bullets(
        [
            f"{safe(story.audited(report))}.",
            f"{counted(split.train_rows, 'row')} to learn from, {counted(split.valid_rows, 'row')} to choose the epoch "
            "and the calibration.",
            f"{BLANK} how, when and by whom the data was collected, and under which terms.",
        ]
    )


def _analyses(report: Report) -> str:
    head = ["metric", *(safe(model.name) for model in report.scores)]
    rows = [
        [
            safe(row.label) + (" (primary)" if row.primary else ""),
            *(_cell(cell.value, cell.interval, cell.best) for cell in row.cells),
        ]
        for row in score_rows(report)
    ]
    text = table(head, rows) + "\n\nThe best value of a row is bold."
    if report.labels:
        text += "\n\n" + _labels(report)
    if report.comparisons:
        text += "\n\n" + bullets(safe(story.compared(report, made)) for made in report.comparisons)
    if report.selection is not None:
        text += f"\n\nChosen by validation: {safe(story.chosen(report), 600)}"
    if report.nested is not None:
        text += f"\n\nThe way of choosing: {safe(story.nested(report), 600)}"
    if chances := spread_page.sentence(report):
        text += f"\n\nTwo chances: {safe(chances, 600)}"
    if looked := _looked_at(report):
        text += "\n\n" + bullets(safe(sentence, 600) for sentence in looked)
    if report.references:
        published = (
            f"{safe(r.model)}: {safe(story.label_of(report, r.metric))} {number(r.value)} ({safe(r.source)})"
            for r in report.references
        )
        text += "\n\nPublished numbers, on other splits and budgets:\n\n" + bullets(published)
    return text


def _looked_at(report: Report) -> list[str]:
    """Weak subgroups, the verdict on the fit, and what the model withstands, in sentences."""
    fit = fit_page.diagnosis_of(report)
    every = (
        slices_page.told(report), *slices_page.named_lines(report), "" if fit is None else fit.words,
        fit_page.gain(report), fit_page.wider(report), robustness_page.told(report),
    )  # fmt: skip
    return [sentence for sentence in every if sentence]


def _labels(report: Report) -> str:
    """The network label by label."""
    head = ["label", "test rows with it", "given to", "from probability", "precision", "recall", "F1", "AUROC"]
    rows = [
        [safe(row.name), row.rows, row.given, row.threshold, row.precision, row.recall, row.f1, row.auroc]
        for row in label_rows(report)
    ]
    left = label_rows_left(report)
    return table(head, rows) + (f"\n\n{count(left)} more labels are in report.json." if left else "")


def _cell(value: str, interval: str, best: bool) -> str:
    shown = f"**{value}**" if best else value
    return f"{shown} ({interval})" if interval else shown


def _ethics(report: Report) -> str:
    sensitive = report.table_schema.sensitive
    if sensitive:
        read = [name for name in sensitive if name in {column.name for column in report.table_schema.features}]
        lines = [
            f"Named as sensitive: {names(sensitive)}.",
            f"Of these the model reads: {names(read)}. Leaving a column out does not make a model blind to it: other "
            "columns may stand in for it.",
            *_groups(report),
        ]
    else:
        lines = ["No column was named as sensitive. That is a statement about the command, not about the data."]
    return bullets([*lines, f"{BLANK} who is affected by an answer, what harm a wrong one does, and how to appeal."])


def _groups(report: Report) -> list[str]:
    """A sentence on each sensitive attribute, or that nothing was measured."""
    found = report.fairness
    if found is None:
        return ["The scores above are over all rows; they say nothing about each group."]
    rates = f"Rates by group, on {told_of_rows(found)}, decided {safe(found.decided)}; {CAUTION}"
    cost = [f"Mitigation: {safe(mitigated(found), 900)}"] if found.mitigation else []
    return [rates, *cost, *(f"By {safe(name)}: {safe(text, 900)}." for name, text in sentences(found))]


def _caveats(report: Report) -> str:
    order = {"serious": 0, "warning": 1, "note": 2}
    ranked = sorted(report.findings, key=lambda finding: order[finding.severity.value])
    lines = [f"**{f.severity.value}**: {safe(f.what)}. {safe(f.do, 600)}" for f in ranked[:MOST_CAVEATS]]
    if len(ranked) > MOST_CAVEATS:
        lines.append(f"{count(len(ranked) - MOST_CAVEATS)} more findings are in report.json.")
    if not ranked:
        lines.append("The audit of the data found nothing.")
    lines.append(f"Advice of the run: {safe(report.advice, 600)}")
    return bullets([*lines, f"{BLANK} further caveats."])
