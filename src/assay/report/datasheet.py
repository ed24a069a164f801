"""The datasheet: what the data of a run is, as far as reading it tells, as Markdown.

Sections and questions follow Gebru et al., Datasheets for Datasets (arXiv 1803.09010, 2018; CACM 2021), section 3. A
file tells its composition; why, how and by whom it was collected, it does not: those questions stay open and say so.
"""

from __future__ import annotations

from assay.data.schema import Kind
from assay.evaluate.record import Report
from assay.ledger import Outcome
from assay.report import story
from assay.report.markdown import BLANK, bullets, code, names, safe, table
from assay.report.tables import findings as found_of
from assay.report.tables import findings_left, kinds, role, shown_columns
from assay.report.words import count, counted, percent, plain

#: Stages of the ledger that tell what was done to the data before a network saw it.
_STAGES = ("data.", "split.", "encode.")
#: Checks of the audit that answer the question about rows that are related to each other.
_RELATED = ("audit.duplicates", "audit.cross-file-duplicates", "audit.near-duplicates", "audit.conflicting-labels")


def draw_datasheet(report: Report) -> str:
    """The datasheet of a run's data as Markdown, ending in a newline. Text from the data is escaped."""
    sections = (
        ("Motivation", _motivation()),
        ("Composition", _composition(report)),
        ("Collection process", _collection(report)),
        ("Preprocessing, cleaning, labelling", _preprocessing(report)),
        ("Uses", _uses(report)),
        ("Distribution", _distribution(report)),
        ("Maintenance", _maintenance(report)),
    )
    read = f"What is known here was read from {safe(report.source.name)} by assay {safe(report.provenance.assay)}"
    title = f"# Datasheet: {safe(report.source.name)}\n\n{read} on {safe(report.provenance.started)}.\n"
    return plain(title + "".join(f"\n## {name}\n\n{text}\n" for name, text in sections))


def _open(*questions: str) -> list[str]:
    """Questions that no file answers."""
    return [f"{BLANK} {question}" for question in questions]


def _motivation() -> str:
    return bullets(
        _open(
            "for what purpose the data was made, and which gap it was to fill.",
            "who made it, and on behalf of whom.",
            "who paid for it.",
        )
    )


def _composition(report: Report) -> str:
    source, schema = report.source, report.table_schema
    known = [
        f"Instances: {counted(source.rows, 'row')} with {counted(source.columns, 'column')} ({safe(source.format)}).",
        *_labels(report),
        *_missing(report),
        *_relations(report),
        *_recommended(report),
        f"Errors and noise: the audit found {safe(story.severities(report))}; see the findings below.",
        f"Columns that were named as sensitive: {names(schema.sensitive)}.",
    ]
    asked = _open(
        "what a row stands for, and whether there are several kinds of rows.",
        "whether these are all instances or a sample, and how it was drawn.",
        "whether anything is confidential, offensive or frightening.",
        "whether people can be told from it, alone or with other data, and which groups of people it names.",
    )
    return f"{bullets([*known, *asked])}\n\n{_kinds(report)}\n\n{_columns(report)}\n\n{_findings(report)}"


def _labels(report: Report) -> list[str]:
    schema = report.table_schema
    classes = f"; classes: {names(schema.classes)}" if schema.classes else ""
    left = report.split.left_out
    return [
        f"Label: {safe(schema.target)} ({schema.task.value}){classes}.",
        *([f"Rows without a label, which were left out: {count(left)}."] if left else []),
    ]


def _missing(report: Report) -> list[str]:
    columns, rows = report.table_schema.columns, report.source.rows
    some = [column for column in columns if column.missing]
    cells = sum(column.missing for column in some)
    if not some:
        return ["Missing values: none."]
    share = f" ({percent(cells / (rows * len(columns)))} of all)" if rows and columns else ""
    return [
        f"Missing values: {counted(cells, 'cell')}{share} in {counted(len(some), 'column')}: "
        f"{names(column.name for column in some)}.",
        *_open("why they are missing."),
    ]


def _relations(report: Report) -> list[str]:
    schema = report.table_schema
    told = [f"{safe(finding.what)}" for finding in report.findings if finding.check in _RELATED]
    if schema.group:
        told.insert(0, f"rows with one value of {safe(schema.group)} belong together")
    if schema.time:
        told.insert(0, f"rows have a time, {safe(schema.time)}")
    return [f"Relations between rows: {'; '.join(told) if told else 'none was named, and no copies were found'}."]


def _recommended(report: Report) -> list[str]:
    split = report.split
    parts = (
        f"{count(split.train_rows)} training, {count(split.valid_rows)} validation, {count(split.test_rows)} test rows"
    )
    given = "; ".join(f"{part} rows from {safe(name)}" for part, name in split.files.items())
    return [f"Split of this run: {parts} ({safe(split.policy)}){'; ' + given if given else ''}."]


def _kinds(report: Report) -> str:
    rows = [
        [row.kind, count(row.columns), count(row.with_missing), count(row.missing_cells), count(row.unparsed)]
        for row in kinds(report)
    ]
    return table(["kind", "columns", "with missing cells", "missing cells", "cells not of the kind"], rows)


def _columns(report: Report) -> str:
    shown = shown_columns(report)
    rows = [
        [safe(each.name, 60), each.kind.value, role(report, each), count(each.distinct), count(each.missing)]
        for each in shown
    ]
    left = len(report.table_schema.columns) - len(shown)
    text = table(["column", "kind", "part", "distinct", "missing"], rows)
    text += f"\n\n{count(left)} more columns are in schema.json." if left else ""
    return f"{text}\n\n" + bullets(_open("what each column means, its unit, and what its codes stand for."))


def _findings(report: Report) -> str:
    lines = []
    for severity in sorted({f.severity for f in report.findings}, key=["serious", "warning", "note"].index):
        lines += [f"**{severity.value}**: {safe(finding.what)}." for finding in found_of(report, severity)]
        left = findings_left(report, severity)
        lines += [f"{count(left)} more of this severity are in report.json."] if left else []
    return bullets(lines or ["The audit of the data found nothing."])


def _collection(report: Report) -> str:
    schema = report.table_schema
    times = [column.name for column in schema.columns if column.kind is Kind.DATETIME]
    known = [f"Columns that hold dates or times: {names(times)}."]
    asked = _open(
        "how each value was obtained: measured, reported by people, or derived, and how that was checked.",
        "with which instruments or procedures, and by whom.",
        "over which time.",
        "whether there was an ethical review, and what came of it.",
        "whether the people concerned were told, consented, and can withdraw.",
    )
    return bullets([*known, *asked])


def _preprocessing(report: Report) -> str:
    done = [
        f"{safe(verdict.practice)}: {safe(verdict.reason)}"
        for verdict in report.ledger
        if verdict.outcome in (Outcome.APPLIED, Outcome.WARNED) and verdict.practice.startswith(_STAGES)
    ]
    notes = [safe(note) for note in report.source.notes[:20]]
    raw = "The raw file is not changed; what is done to it is learned from training rows and kept in the model."
    asked = _open("what was done to the data before it was this file, and whether the raw data was kept.")
    return bullets([raw, *notes, *done, *asked])


def _uses(report: Report) -> str:
    known = [f"Used by this run for: {safe(story.asked(report), 600)}."]
    asked = _open(
        "what it has been used for otherwise.",
        "what about its composition or collection may harm future uses, such as unfair treatment of a group.",
        "what it should not be used for.",
    )
    return bullets([*known, *asked])


def _distribution(report: Report) -> str:
    known = [f"The file read here has sha256 {code(report.source.sha256)}."]
    asked = _open(
        "to whom it is given, how and when.",
        "under which licence or terms, and which rights others have in it.",
        "whether export controls or other rules apply.",
    )
    return bullets([*known, *asked])


def _maintenance(report: Report) -> str:
    asked = _open(
        "who keeps it, and how to reach them.",
        "whether it will be updated or corrected, how often and how that is told.",
        "how long data about people may be kept.",
        "whether others may add to it, and who checks that.",
    )
    return bullets([f"Version read by this run: {safe(report.provenance.started)}.", *asked])
