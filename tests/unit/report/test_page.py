"""The page: one file, no request, one script, nothing unescaped, every section, for every shape of report."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from assay.bundle.manifest import FILES, MANIFEST
from assay.evaluate.record import Resumption
from assay.practices import PRACTICES
from assay.report.page import BUNDLE, draw_page, script
from assay.report.sections import sections_of
from assay.report.words import visible

VOID = {"meta", "link", "input", "br", "col"}


class Tree(HTMLParser):
    """Checks that tags close in order, and collects what the page is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known[name] for name in ("href", "src", "action", "srcset") if name in known]
        self.handlers += [name for name in known if name.startswith("on")]
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parse(page: str) -> Tree:
    tree = Tree()
    tree.feed(page)
    tree.close()
    assert tree.open == []
    return tree


def words(page: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", "".join(parse(body).text).replace("\u202f", ","))


def test_every_shape_gives_a_well_formed_page_without_a_request(shape, pages):
    name, _ = shape
    page = pages(name)
    tree = parse(page)
    assert len(tree.ids) == len(set(tree.ids))
    assert not tree.handlers
    assert tree.tags.isdisjoint({"iframe", "img", "object", "embed", "form", "base"})
    assert all(link.startswith("#") or link == "data:," for link in tree.links), tree.links
    still = page.replace(script(), "")
    assert "url(" not in still
    assert "@import" not in still
    assert "default-src 'none'" in page
    anchors = [link[1:] for link in tree.links if link.startswith("#")]
    assert set(anchors) <= set(tree.ids)
    assert len(page.encode()) < (5_000_000 if name == "wide" else 1_000_000)


def test_the_only_script_that_may_run_is_that_of_the_page(shape, pages):
    page = pages(shape[0])
    assert re.findall(r"<script[^>]*>(.*?)</script", page, flags=re.DOTALL) == [script()]
    assert f"script-src 'sha256-{b64encode(sha256(script().encode()).digest()).decode()}'\"" in page


def test_the_script_asks_nothing_of_any_network():
    assert not re.findall(
        r"fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(|https?://(?!www\.w3\.org/)", script()
    )


def test_dark_is_the_same_by_setting_and_by_switch(pages):
    blocks = re.findall(
        r":root(?::not\(\[data-theme=\"light\"\]\)|\[data-theme=\"dark\"\]) \{(.*?)\}", pages("binary"), flags=re.DOTALL
    )
    by_setting, by_switch = (re.findall(r"--[\w-]+: #\w+", block) for block in blocks)
    assert by_setting == by_switch
    assert len(by_setting) == 19


def test_every_picture_is_well_formed_xml_with_a_name(shape, pages):
    pictures = re.findall(r"<svg.*?</svg>", pages(shape[0]), flags=re.DOTALL)
    assert len(pictures) >= 4
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "nan" not in picture.lower()


def test_numbers_on_the_page_are_short(shape, pages):
    assert (
        re.findall(r"(?<![\w.])\d\.\d{6,}", re.sub(r"<(svg|style).*?</\1>", "", pages(shape[0]), flags=re.DOTALL)) == []
    )


def test_sections_come_in_order_under_one_title(report, pages):
    page = pages("binary")
    assert re.findall(r'<section id="(\w+)"', page) == [section.id for section in sections_of(report)]
    tree = parse(page)
    assert tree.headings.count("h1") == 1
    assert tree.headings[0] == "h1"
    assert tree.headings.index("h2") < tree.headings.index("h3")


def test_the_verdict_stands_at_the_top(report, pages):
    text = words(pages("binary"))
    assert "adult: predicting income" in text
    assert "AUROC 0.9074 (95,% interval 0.9019 to 0.9107) on 16,281 sealed test rows" in text
    assert "The best baseline (trees) reaches 0.9254, and the network is worse (p < 0.001)." in text
    assert text.index("the network is worse") < text.index("What was asked")
    assert report.advice in text


def test_scores_of_every_model_stand_in_the_table(report, pages):
    text = words(pages("binary"))
    for model in report.scores:
        for score in model.scores:
            if score.estimate.value is not None and score.name != "ece":
                assert f"{score.estimate.value:.4f}" in text
    assert "no row was predicted positive" in text  # the majority has no precision: the reason, not a number
    assert "CatBoost, tuned" in text


def test_the_ledger_shows_every_verdict_with_sentence_reason_and_outcome(report, pages):
    page = pages("binary")
    text = words(page)
    for verdict in report.ledger:
        assert PRACTICES[verdict.practice].sentence in text
        assert PRACTICES[verdict.practice].source in text
        assert verdict.reason in text
    assert len(re.findall(r'<tr role="row" class="o-', page)) == len(report.ledger)
    assert len(re.findall(r'class="o-warned"', page)) == sum(v.outcome == "warned" for v in report.ledger)


def test_every_outcome_can_be_filtered_by_a_rule_of_the_style_sheet(pages):
    page = pages("binary")
    for box in re.findall(r'type="checkbox" id="show-([\w-]+)"', page):
        assert f"body:has(#show-{box}:not(:checked)) .o-{box}" in page


def test_text_from_the_data_is_escaped_and_made_visible(pages, hostile_text):
    page = pages("hostile")
    assert page.count("<script") == 1
    assert "\x00" not in page
    assert "\u202e" not in page
    assert "😀" in page
    assert visible(hostile_text) in "".join(parse(page).text)


def test_ten_thousand_columns_are_cut_and_it_says_so(pages):
    page = pages("wide")
    text = words(page)
    assert len(page.encode()) < 1_000_000
    assert "9,901 columns are not shown" in text
    assert "sensor_07777" in text  # the one with a missing cell comes first
    assert "2,960 more of this severity are in report.json" in text
    assert "and 9,988 more" in text


def test_without_a_test_part_or_baselines_the_page_says_so(pages):
    text = words(pages("bare"))
    assert "AUROC is not defined on 8,140 validation rows" in text
    assert "there are no test rows" in text
    assert "There is no test part" in text
    assert "no baseline was trained" in text
    assert "Probabilities were not calibrated" in text
    assert "The ledger is empty." in text
    assert "The audit found nothing." in text


def test_confusion_is_a_matrix_up_to_thirty_classes_and_a_list_above(pages):
    assert pages("26 classes").count('class="right"') == 26
    many = words(pages("40 classes"))
    assert "40 classes are too many for a matrix" in many
    assert "Mixed up most" in many


def test_a_regression_has_residuals_and_no_curves(pages):
    page = pages("regression")
    assert 'id="curves"' not in page
    assert page.count('class="cloud"') == 2
    assert "cannot be told apart in RMSE: difference 900 (95,% interval −100 to 1,900; p = 0.08" in words(page)


@pytest.mark.parametrize("started", ["2026-01-14T09:31:07Z", "some day"])
def test_the_day_is_written_out_where_it_is_one(report, started):
    made = report.model_copy(update={"provenance": report.provenance.model_copy(update={"started": started})})
    shown = "14 January 2026" if started.endswith("Z") else "some day"
    assert f">{shown}</time>" in draw_page(made)


def test_a_run_that_went_on_says_when_and_from_where(report):
    assert "<dt>Resumed</dt>" not in draw_page(report)
    again = (Resumption(at="<b>noon</b>", step=1200, seconds=9.0), Resumption(at="13:00", step=3400, seconds=20.0))
    made = report.model_copy(update={"provenance": report.provenance.model_copy(update={"resumed": again})})
    shown = "<dt>Resumed</dt><dd>&lt;b&gt;noon&lt;/b&gt;, from step 1\u202f200; 13:00, from step 3\u202f400</dd>"
    assert shown in draw_page(made)


def test_the_same_report_gives_the_same_page(report):
    assert draw_page(report) == draw_page(report)


def test_the_files_named_are_those_of_a_bundle():
    named = [name for names, _ in BUNDLE for name in names.split(", ")]
    assert sorted(named) == sorted((*FILES, MANIFEST))


def test_of_many_curves_the_worst_are_named(pages):
    text = words(pages("26 classes"))
    assert "ROC curves; named are the 4 with the smallest area." in text
    assert "ROC curves." in words(pages("binary"))


def test_fewer_curves_than_classes_are_said_to_be(reports):
    some = reports["26 classes"].model_copy(update={"roc": reports["26 classes"].roc[:10]})
    text = words(draw_page(some))
    assert "ROC curves of 10 of the 26 classes, each against the rest; named are the 4 with the smallest area." in text
