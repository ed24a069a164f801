"""The closer look on the page: weak subgroups, mistakes, the verdict on the fit, and what a model withstands."""

import base64
from xml.etree import ElementTree

import pytest

from assay.evaluate.inspection_record import (
    CapacityCurve,
    CapacityPoint,
    CurvePoint,
    Diagnosis,
    Harm,
    Inspection,
    LearningCurve,
    ListedRow,
    Mistakes,
    MixedUp,
    Robustness,
    ShownRow,
    Slice,
    Slices,
)
from assay.evaluate.record import Estimate, SeenSeries, Thumbnail
from assay.report import fit_page, mistakes_page, robustness_page, slices_page
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.report.terminal import summarise


def estimate(value, reach=0.1):
    return Estimate(value=value, low=value - reach, high=value + reach, method="by hand")


def weak(condition, verdict="weaker", value=0.3):
    return Slice(
        condition=condition, rows=412, share=0.04, loss=0.62, loss_rest=0.31, difference=estimate(value), p_value=0.001,
        wrong=0.31, wrong_rest=0.14, expected_wrong=0.2, score=estimate(0.81), score_rest=0.9, verdict=verdict,
    )  # fmt: skip


def searched(*found, named=(), candidates=2310):
    return Slices(
        loss="log loss", metric="AUROC", searched_rows=4000, candidates=candidates, smallest=80, tested_on=16281,
        found=found, named=named, reason="" if candidates else "150 rows are too few to search; 200 would do",
    )  # fmt: skip


@pytest.fixture
def with_look(report):
    def make(**parts):
        return report.model_copy(update={"inspection": Inspection(**parts)})

    return make


def shown(hostile, **more):
    return ShownRow(
        number=7, part="test", given=hostile, predicted="<b>x</b>", probability=0.99, own=0.01,
        reason="sure of another class", cells=("a" * 300, hostile), **more,
    )  # fmt: skip


@pytest.fixture
def whole(with_look, hostile_text):
    jpeg = base64.b64encode(b"no real picture").decode()
    picture = Thumbnail(label=hostile_text, jpeg=jpeg, width=4, height=6)
    series = SeenSeries(label="", channel=hostile_text, before=(0.0, None, 2.0, 1.0))
    mistakes = Mistakes(
        judged=100, wrong=9, columns=("age", hostile_text), surest=(shown(hostile_text),),
        hardest=(shown(hostile_text, series=series),), doubted=(shown(hostile_text, picture=picture),), doubted_count=3,
        doubted_of=50, pairs=(MixedUp(truth=hostile_text, predicted="b", rows=5, share=0.5),),
        listed=(ListedRow(number=7, part="valid", given="a", predicted="b", reason="label likely wrong"),),
        listed_of=12,
    )  # fmt: skip
    diagnosis = Diagnosis(
        verdict="overfit", words=f"Overfit: {hostile_text}", loss="log loss", rows=2000, train=estimate(0.1, 0.01),
        valid=estimate(0.4, 0.01), test=estimate(0.41, 0.01), gap=estimate(0.31, 0.02), trivial=0.7, rival=hostile_text,
        rival_loss=0.45, kept=0.48,
    )  # fmt: skip
    points = tuple(CurvePoint(rows=n, error=estimate(0.1 + 10 / n, 0.002)) for n in (500, 1000, 2000, 4000))
    curve = LearningCurve(
        error="1 - AUROC", model="small networks", points=points, a=0.003, b=0.5, c=0.1,
        gain=Estimate(value=0.004, low=-0.001, high=0.009, method="power law"), seconds=3.0,
    )  # fmt: skip
    harm = Harm(kind="typos", strength="10% of words", columns=1, loss=estimate(0.02, 0.01), score=0.88, flipped=0.03)
    column = Harm(kind=hostile_text, strength="missing", columns=1, loss=estimate(0.2, 0.01), score=0.7, flipped=0.3)
    robust = Robustness(rows=1000, loss="log loss", metric="AUROC", score=0.91, harms=(harm,), columns=(column,))
    slices = searched(weak("age >= 60 & sex = Male"), named=(weak(hostile_text, "stronger", -0.2),))
    return with_look(slices=slices, mistakes=mistakes, diagnosis=diagnosis, curve=curve, robustness=robust)


def test_all_of_it_is_on_the_page_and_escaped(whole):
    page = draw_page(whole)
    for title in ("Where it is weak", "Mistakes", "Bias and variance", "What it withstands"):
        assert f">{title}</h2>" in page
    assert page.count("<script>") == 1  # the page's own
    assert "<b>x</b>" not in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert "age &gt;= 60 &amp; sex = Male" in page
    for svg in (slices_page.picture(whole), fit_page.losses(whole), fit_page.curve(whole),
                robustness_page.changes(whole), robustness_page.columns(whole)):  # fmt: skip
        assert ElementTree.fromstring(svg.svg).get("role") == "img"
    assert ElementTree.fromstring(mistakes_page.sparkline(whole.inspection.mistakes.hardest[0])) is not None


def test_the_card_says_it_without_showing_rows(whole):
    card = draw_card(whole)
    assert "The model is weaker where age \\>= 60 \\& sex = Male" in card
    assert "+0.4 points of AUROC" in card
    assert "a" * 100 not in card


def test_a_run_without_a_look_has_no_such_sections(report):
    page = draw_page(report)
    assert "Where it is weak" not in page
    assert "What it withstands" not in page


def test_what_a_search_says(with_look):
    told = slices_page.told(with_look(slices=searched(weak("age >= 60"))))
    assert told.startswith(
        "The model is weaker where age >= 60: 31\u202f% of 412 test rows are wrong against 14\u202f%"
    )
    assert "No weak subgroup was found that chance would not explain" in slices_page.told(with_look(slices=searched()))
    unsure = with_look(slices=searched(weak("age >= 60", "not distinguishable")))
    assert "No weak subgroup was confirmed" in slices_page.told(unsure)
    assert "too few to search" in slices_page.told(with_look(slices=searched(candidates=0)))


def test_named_slices_have_a_line_each(with_look):
    empty = Slice(
        condition="age > 200", rows=0, share=0.0, loss=None, loss_rest=0.3, p_value=None, verdict="too few rows",
        difference=Estimate(value=None, method="not defined"),
    )  # fmt: skip
    lines = slices_page.named_lines(with_look(slices=searched(named=(weak("age >= 60"), empty))))
    figures = "412 test rows, AUROC 0.8100 [0.7100, 0.9100] against 0.9000 of the others"
    assert lines[0] == f"age >= 60: {figures}; its log loss is higher."
    assert lines[1] == "age > 200: no test row is in it."
    row = slices_page.rows((empty,))[0]
    assert (row.loss, row.score, row.verdict) == ("–", "–", "too few rows")


def test_gains_are_told_in_points_and_in_units(whole, reports, with_look):
    assert fit_page.gain(whole).endswith("would bring about +0.4 points of AUROC [−0.1, +0.9].")
    curve = whole.inspection.curve.model_copy(update={"gain": Estimate(value=2.0, low=-1.0, high=5.0, method="")})
    values = reports["regression"].model_copy(update={"inspection": Inspection(curve=curve)})
    assert fit_page.gain(values).endswith("would bring about −2 of RMSE [−5, +1].")


def test_the_terminal_says_it_in_sentences(whole):
    from rich.console import Console

    console = Console(width=80, record=True, file=None)
    with console.capture() as capture:
        summarise(whole, console)
    printed = " ".join(capture.get().split())
    assert "weaker where age >= 60 & sex = Male" in printed
    assert "+0.4 points of AUROC" in printed


def test_values_to_check_are_called_so(with_look):
    found = Mistakes(judged=10, wrong=None, doubted_count=1, doubted_of=40)
    assert mistakes_page.told(with_look(mistakes=found)) == (
        "1 value of 40 rows is far off what the other columns let expect."
    )
    assert mistakes_page.lists(found) == ()


def test_what_a_wider_network_would_bring_is_told_and_drawn(with_look, hostile_text):
    points = tuple(
        CapacityPoint(width=width, parameters=width * 100, train=estimate(0.2 / width, 0.01), valid=estimate(0.3, 0.01))
        for width in (4, 16, 64, 256)
    )
    curve = CapacityCurve(
        error="1 - AUROC", model="small networks (mlp)", rows=8000, points=points, enough=16, is_rising=False,
        words=f"small networks are as good {hostile_text}", seconds=2.0,
    )  # fmt: skip
    looked = with_look(capacity=curve)
    page = draw_page(looked)
    assert "Small networks are as good" in page
    assert "<script>alert" not in page
    picture = fit_page.capacity(looked)
    assert "width 16 does" in picture.svg
    assert "400 to 25\u202f600 parameters, on 8\u202f000 training rows" in picture.caption
    assert "evaluate.capacity_curve=true" not in page
    ElementTree.fromstring(picture.svg)
