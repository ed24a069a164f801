"""The datasheet: the sections of Gebru et al., what reading the file tells, and what is left to the owner."""

from __future__ import annotations

import re

from assay.report.datasheet import draw_datasheet
from assay.report.markdown import BLANK

SECTIONS = [
    "Motivation",
    "Composition",
    "Collection process",
    "Preprocessing, cleaning, labelling",
    "Uses",
    "Distribution",
    "Maintenance",
]


def test_sections_come_in_the_order_of_the_paper_and_each_has_a_blank(shape):
    sheet = draw_datasheet(shape[1])
    assert re.findall(r"^## (.+)$", sheet, flags=re.MULTILINE) == SECTIONS
    assert sheet.startswith("# Datasheet: ")
    assert sheet.endswith("\n")
    assert all(BLANK in section for section in sheet.split("\n## ")[1:])
    assert "None" not in sheet
    assert not re.search(r"\bnan\b", sheet)


def test_what_the_file_tells_is_told(report):
    sheet = draw_datasheet(report)
    assert "- Instances: 32,561 rows with 15 columns (csv)." in sheet
    assert "- Label: income (binary); classes: <=50K, >50K." in sheet.replace("\\", "")
    assert "- Missing values: 4,262 cells" in sheet
    assert "23 test rows are also training rows; 174 rows agree in every feature" in sheet
    assert "24,421 training, 8,140 validation, 16,281 test rows" in sheet
    assert "test rows from examples/adult/test.csv" in sheet
    assert "Columns that were named as sensitive: race, sex." in sheet
    assert report.source.sha256 in sheet


def test_why_and_by_whom_are_never_made_up(report):
    motivation = draw_datasheet(report).split("## Motivation")[1].split("##")[0]
    assert [line for line in motivation.splitlines() if line and not line.startswith(f"- {BLANK}")] == []


def test_every_column_has_a_row_up_to_a_hundred(report, reports):
    sheet = draw_datasheet(report)
    for column in report.table_schema.columns:
        assert re.search(
            rf"^\| {re.escape(column.name)} \| {column.kind.value} \|", sheet.replace("\\", ""), re.MULTILINE
        )
    wide = draw_datasheet(reports["wide"])
    assert "9,901 more columns are in schema.json." in wide
    assert len(wide) < 50_000


def test_text_from_the_data_cannot_break_the_sheet(reports):
    sheet = draw_datasheet(reports["hostile"])
    outside = re.sub(r"``+.*?``+|`[^`\n]*`", "", sheet)
    assert re.search(r"(?<!\\)<script", outside) is None
    rows = [line for line in sheet.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
