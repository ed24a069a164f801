"""Certainty on the page and the terminal: the sentences, the pictures, and a page without any."""

import io

import numpy as np
import pytest
from rich.console import Console

from assay.data.regions import Limit, Regions, Tried
from assay.evaluate.carried.coverage import prove
from assay.evaluate.carried.record import UnusualReport
from assay.evaluate.carried.regions import Judged
from assay.report import carried_page
from assay.report.page import draw_page
from assay.report.terminal import summarise

UNUSUAL = UnusualReport(
    asked=0.01, rate=0.01, calibration=900, rows=1000, flagged=0.052, flagged_low=0.04, flagged_high=0.068, low=0.004,
    high=0.019, is_above=True, columns=(("age<b>", 30), ("pay", 22)), distances=tuple(np.linspace(0.1, 3.0, 21)),
)  # fmt: skip


@pytest.fixture(scope="module")
def sets():
    regions = Regions(
        kind="aps", coverage=0.9, limit=Limit(value=0.85, rows=500), column="sex",
        groups={"f": Limit(value=0.85, rows=250)},
        tried=(Tried(kind="lac", size=1.2, covered=0.9, worst=0.1),),
    )  # fmt: skip
    shares = np.tile([0.6, 0.3, 0.1], (200, 1))
    truth = np.r_[np.zeros(120), np.ones(50), np.full(30, 2)].astype(np.int64)
    groups = tuple(["f"] * 150 + ["m"] * 50)
    return prove(regions, Judged(shares, truth, groups), ("<=50K", ">50K", "<script>"), 0.95)


@pytest.fixture(scope="module")
def intervals():
    values = np.linspace(0.0, 10.0, 100)
    regions = Regions(kind="absolute", coverage=0.9, limit=Limit(value=1.0, rows=300))
    return prove(regions, Judged(values, values + np.where(np.arange(100) % 11, 0.5, 2.0)), (), 0.95)


def test_the_line_says_what_was_asked_held_and_allowed(sets, intervals):
    line = carried_page.line(sets)
    assert line.startswith("APS sets that are to hold 90\u202f% held 85\u202f% of 200 test rows")
    assert "2 classes on average" in line
    line = carried_page.line(intervals)
    assert line.startswith("Absolute intervals that are to hold 90\u202f% held 90\u202f% of 100 test rows (by chance")
    assert line.endswith("mean width 2")


def test_the_page_has_a_section_only_where_there_is_something_to_show(report, sets):
    assert 'id="certainty"' not in draw_page(report)
    page = draw_page(report.model_copy(update={"coverage": sets, "unusual": UNUSUAL}))
    assert 'id="certainty"' in page
    assert page.count("<script>") == 1  # the page's own
    assert "age&lt;b&gt;" in page
    assert "--sets" in page
    for picture in carried_page.coverage(report.model_copy(update={"coverage": sets})):
        assert picture.svg.count("<circle") >= 2


def test_parts_that_fail_are_marked_and_those_without_a_promise_told(report, sets):
    pictures = {p.caption.split(",")[1].split(":")[0].strip(): p
                for p in carried_page.coverage(report.model_copy(update={"coverage": sets}))}  # fmt: skip
    assert set(pictures) == {"by group", "by class", "by size of the set"}
    assert "marked !" in pictures["by group"].caption
    assert "! sex = m" in pictures["by group"].svg
    assert "The rate is promised for all rows together" in pictures["by class"].caption
    assert "The rate is promised" not in pictures["by group"].caption


def test_pictures_of_sizes(report, sets, intervals):
    assert "2 classes" in carried_page.sizes(report.model_copy(update={"coverage": sets})).svg
    assert "width" in carried_page.sizes(report.model_copy(update={"coverage": intervals})).svg
    assert carried_page.sizes(report) is None


def test_more_than_asked_for_is_explained(sets):
    sure = sets.model_copy(
        update={"alone": 0.99, "overall": sets.overall.model_copy(update={"held": 0.99, "high": 0.95})}
    )
    assert "a higher evaluate.coverage" in carried_page.more_than_asked(sure)
    assert "harder" in carried_page.more_than_asked(sure.model_copy(update={"alone": 0.5}))
    assert carried_page.more_than_asked(sets) == ""


def test_the_terminal_says_it_in_eighty_columns(report, sets, intervals):
    for found, label in ((sets, "Sets"), (intervals, "Interval")):
        stream = io.StringIO()
        whole = report.model_copy(update={"coverage": found, "unusual": UNUSUAL})
        summarise(whole, Console(file=stream, width=80))
        text = stream.getvalue()
        assert f"\n {label} " in text
        assert "The test rows differ from the training rows." in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 80
    stream = io.StringIO()
    quiet = report.model_copy(update={"unusual": UNUSUAL.model_copy(update={"is_above": False})})
    summarise(quiet, Console(file=stream, width=80))
    assert "Unusual" not in stream.getvalue()
