"""Sensitive groups in the page, the card and on the terminal: numbers as they are, names escaped, never a verdict."""

from __future__ import annotations

import pytest
from rich.console import Console

from assay.evaluate.fair.record import Attribute, Fairness, Gap, GroupRates, Measure, Share
from assay.report.card import draw_card
from assay.report.fair_page import gap_rows, group_rows, rate_pictures
from assay.report.fair_terminal import gap_table, group_table, lines_of
from assay.report.fair_words import sentences
from assay.report.page import draw_page

HOSTILE = "<script>alert(1)</script>|`*"


def share(value: float, rows: int) -> Share:
    return Share(value=value, low=value - 0.02, high=value + 0.03, rows=rows)


def gap(name: str, label: str, p_value: float) -> Gap:
    return Gap(
        id=name, label=label, measure="selection_rate", value=0.172, low=0.15, high=0.19, lowest="Female",
        highest=HOSTILE, groups=2, by_chance=0.014, p_value=p_value,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Fairness:
    measure = Measure(id="selection_rate", label="Selection rate", of="rows decided positive", is_share=True,
                      is_primary=True)  # fmt: skip
    groups = (
        GroupRates(name="Female", rows=900, is_counted=True, rates={"selection_rate": share(0.081, 900)}),
        GroupRates(name=HOSTILE, rows=800, is_counted=True, rates={"selection_rate": share(0.253, 800)}),
        GroupRates(name="other", rows=3, is_counted=False, rates={"selection_rate": Share(value=None, rows=0)}),
    )
    gaps = (
        gap("demographic_parity_difference", "Demographic parity difference", 0.0004),
        gap("equalised_odds_difference", "Equalised odds difference", 0.4),
    )
    return Fairness(
        rows=1703, part="test", decided="yes from a probability of 0.5 on", measures=(measure,),
        overall={"selection_rate": share(0.16, 1703)}, least=30, confidence=0.95, method="Wilson",
        attributes=(
            Attribute(columns=("sex",), groups=groups, gaps=gaps),
            Attribute(columns=("race",), problem="it has 500 values"),
        ),
    )  # fmt: skip


def test_a_sentence_has_rates_gap_interval_and_chance(found):
    (name, told), (other, problem) = sentences(found)
    assert (name, other) == ("sex", "race")
    assert "Selection rate 8.1\u202f% of Female and 25.3\u202f% of" in told
    assert "0.172 (0.150 to 0.190), by chance up to 0.014, more than chance gives" in told
    assert "no more than chance gives" in told
    assert "1 group of fewer than 30 rows left out" in told
    assert problem == "not compared: it has 500 values"


def test_tables_hold_all_rows_first_and_mark_small_groups(found):
    rows = group_rows(found, found.attributes[0])
    assert [(row.name, row.is_counted) for row in rows] == [
        ("all rows", True), ("Female", True), (HOSTILE, True), ("other", False),
    ]  # fmt: skip
    assert rows[1].cells[0].value == "8.1\u202f%"
    assert rows[1].cells[0].interval == "0.061 to 0.111"
    assert rows[3].cells[0].value == "–"
    assert [row.is_beyond for row in gap_rows(found, found.attributes[0])] == [True, False]


def test_pictures_tell_small_groups_by_shape(found):
    (picture,) = rate_pictures(found, found.attributes[0])
    assert picture.svg.count('class="network"') == 2
    assert "not defined on these rows" in picture.svg
    assert "<script" not in picture.svg
    assert "Squares are groups of fewer than 30 rows" in picture.caption


def test_the_page_has_a_section_of_its_own_and_escapes_names(report, found):
    page = draw_page(report.model_copy(update={"fairness": found}))
    assert 'id="fairness"' in page
    assert page.count("<script") == 1  # the page's own
    assert "None of these numbers says that a model is fair" in page
    assert 'id="fairness"' not in draw_page(report)


def test_the_card_tells_of_groups(report, found):
    card = draw_card(report.model_copy(update={"fairness": found}))
    ethics = card.split("## Ethical considerations")[1]
    assert "By sex: Selection rate 8.1%" in ethics
    assert "they say nothing about each group" not in ethics
    assert "they say nothing about each group" in draw_card(report)


def test_the_terminal_has_a_line_an_attribute_and_tables(found):
    assert [label for label, _ in lines_of(found)] == ["Groups", ""]
    assert lines_of(None) == ()
    console = Console(width=100, record=True, color_system=None)
    console.print(group_table(found, found.attributes[0]))
    console.print(gap_table(found, found.attributes[0]))
    shown = console.export_text()
    assert "other (too few rows)" in shown
    assert "0.150 to 0.190" in shown
    many = found.model_copy(update={"attributes": found.attributes * 3})
    assert lines_of(many)[-1][1] == "2 more crossings of columns are in the report"
