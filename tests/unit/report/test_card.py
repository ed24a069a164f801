"""The model card: the sections of Mitchell et al., the facts of the run, and what is left to the owner."""

from __future__ import annotations

import re

from assay.report.card import draw_card
from assay.report.markdown import BLANK

SECTIONS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def test_sections_come_in_the_order_of_the_paper(shape):
    card = draw_card(shape[1])
    assert re.findall(r"^## (.+)$", card, flags=re.MULTILINE) == SECTIONS
    assert card.count("\n# ") == 0
    assert card.startswith("# Model card: ")
    assert card.endswith("\n")
    assert "None" not in card
    assert "nan" not in card


def test_what_only_a_person_knows_is_left_open(report):
    sections = draw_card(report).split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections if BLANK not in section] == ["Quantitative analyses"]


def test_scores_are_a_table_with_every_model(report):
    lines = [line for line in draw_card(report).splitlines() if line.startswith("| ")]
    assert lines[0] == "| metric | network | majority | linear | trees |"
    assert lines[2].startswith("| AUROC (primary) | 0.9074 (0.9019 to 0.9107) | 0.5000 ")
    assert lines[2].endswith("| **0.9254** (0.9215 to 0.9295) |")
    assert len(lines) == 2 + len(report.scores[0].scores)


def test_sensitive_columns_are_named(report):
    ethics = draw_card(report).split("## Ethical considerations")[1]
    assert "Named as sensitive: race, sex." in ethics
    assert "Of these the model reads: race, sex." in ethics
    without = report.model_copy(update={"table_schema": report.table_schema.model_copy(update={"sensitive": ()})})
    assert "No column was named as sensitive." in draw_card(without)


def test_findings_are_caveats_serious_first(report):
    caveats = draw_card(report).split("## Caveats and recommendations")[1]
    found = re.findall(r"^- \*\*(\w+)\*\*", caveats, flags=re.MULTILINE)
    assert found == ["serious", "warning", "warning", "warning", "note", "note"]
    assert "23 test rows are also training rows" in caveats


def test_many_findings_are_cut_and_counted(reports):
    card = draw_card(reports["wide"])
    assert "2,980 more findings are in report.json" in card
    assert len(card) < 50_000


def test_text_from_the_data_cannot_break_the_card(reports):
    card = draw_card(reports["hostile"])
    outside = re.sub(r"``+.*?``+|`[^`\n]*`", "", card)
    assert re.search(r"(?<!\\)<script", outside) is None
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    columns = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert columns == {len(reports["hostile"].scores) + 2}
