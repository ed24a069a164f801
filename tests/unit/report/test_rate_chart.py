"""Range tests drawn: well-formed, marked, and cut where the loss is lost."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from assay.report.page import draw_page
from assay.report.rate_chart import rate, rate_caption, rate_chart, sketch
from assay.report.rate_page import draw_rates
from assay.report.standalone import sheet
from assay.train.rate_curve import ALL_STEPS, DIVERGED, RateCurve, Sweep, Walk, curve

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def lost() -> RateCurve:
    """A loss that falls to 10^-2, rises, and is lost at 0.5; the test had 100 rates in mind."""
    rates = tuple(each for each in Sweep(1e-6, 1.0, 100).rates if each < 0.5)
    losses = [1.0 - 0.1 * max(math.log10(each) + 4.0, 0.0) for each in rates]
    losses = [loss if each < 0.1 else 50.0 * each for loss, each in zip(losses, rates, strict=True)]
    return curve("mlp", Walk(rates, tuple(losses), DIVERGED, rates[-1]), steps=100, used=2e-2)


@pytest.fixture
def flat() -> RateCurve:
    return curve("mlp", Walk(Sweep(1e-6, 1.0, 40).rates, (1.0,) * 40, ALL_STEPS), steps=40, used=2e-3)


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(SVG + "text")]


def test_the_axis_is_of_powers_and_both_rates_are_marked(lost):
    shown = texts(rate_chart(lost))
    assert {"10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"} <= set(shown)
    assert "used 0.02" in shown
    assert f"suggested {rate(lost.suggestion)}" in shown


def test_the_line_leaves_at_the_top_and_stays_inside(lost):
    root = ElementTree.fromstring(rate_chart(lost))
    height = float(root.get("height"))
    lines = [node.get("d") for node in root.iter(SVG + "path")]
    heights = [float(y) for line in lines for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", line)]
    assert all(0 < y < height for y in heights)


def test_a_flat_loss_is_drawn_without_a_suggestion(flat):
    assert not any(text.startswith("suggested") for text in texts(rate_chart(flat)))
    assert rate_caption(flat) == "mlp: the loss fell at no rate, so none is suggested."
    assert "▲ used 0.002" in sketch(flat)


def test_the_caption_says_where_it_was_lost(lost):
    assert rate_caption(lost).endswith("the smoothed loss had risen to more than 4 times its best.")


def test_the_sketch_falls_and_rises_within_its_frame(lost):
    lines = sketch(lost, columns=40, lines=6).splitlines()
    drawn = [line.partition("┤")[2] for line in lines[:6]]
    assert {len(line) for line in drawn} == {40}
    assert any(character != "\u2800" for character in drawn[5])
    dots = [sum((ord(each) - 0x2800).bit_count() for each in line) for line in drawn]
    assert sum(dots) > 40
    assert lines[6].count("▲") == 2


def test_a_sheet_stands_alone(lost, flat):
    svg = sheet('rates of "a" & <b>', [("mlp: <one>", rate_chart(lost)), ("two", rate_chart(flat))])
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'rates of "a" & <b>'
    assert len(list(root.iter(SVG + "svg"))) == 3
    style = root.find(SVG + "style").text
    assert "var(" not in style
    assert ".chart .line.t0 { fill: none; stroke: #1c5b9f;" in style
    assert "mlp: <one>" in texts(svg)


def test_a_page_of_its_own_is_self_contained(lost, flat):
    page = draw_rates("a<b>.csv", "y", 100, [lost, flat], ["assay fit ... train.lr=0.001"])
    assert "a&lt;b&gt;.csv" in page
    assert "train.lr=0.001" in page
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_report_shows_the_curve_of_each_part(report, lost):
    part = {
        "name": "mlp", "share": 1.0, "members": 1, "parameters": 10, "epochs": 3, "best_epoch": 2, "valid_loss": 0.4,
        "seconds": 1.0, "stopped": "", "options": {}, "rates": lost.model_dump(),
    }  # fmt: skip
    training = type(report.training).model_validate({**report.training.model_dump(), "parts": (part,)})
    page = draw_page(report.model_copy(update={"training": training}))
    assert "Range tests of the learning rate" in page
    assert "Range tests of the learning rate" not in draw_page(report)
    assert f"suggested {rate(lost.suggestion)}" in page
