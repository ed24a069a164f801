"""Charts: well-formed, inside their frame, and quiet about values that are not there."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report.charts import (
    Bin,
    Dot,
    Mark,
    Part,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
    reliability_chart,
    scatter_chart,
    strip_chart,
)
from assay.report.matrix_charts import heat_map
from assay.report.ticks import Axis

NAN, INF = math.nan, math.inf
SVG = "{http://www.w3.org/2000/svg}"
X, Y = Axis("x"), Axis("y")
numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32))


def read(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == SVG + "svg"
    assert root.get("aria-label")
    shown = [value for node in root.iter() for name, value in node.attrib.items() if name != "aria-label"]
    assert not any(word in value for value in shown for word in ("nan", "inf"))
    return root


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in read(svg).iter(SVG + "text")]


def paths(svg: str) -> list[str]:
    return [node.get("d") or "" for node in read(svg).iter(SVG + "path")]


def test_a_line_runs_through_its_points_and_a_gap_lifts_the_pen():
    svg = line_chart("l", [Series("a", [0, 1, 2, 3, 4], [0, 1, NAN, 3, None])], X, Y)
    (path,) = paths(svg)
    assert [step[0] for step in re.findall(r"[ML][^ML]+", path)] == ["M", "L", "M"]


def test_a_rising_line_rises_on_the_picture():
    (path,) = paths(line_chart("l", [Series("a", [0, 1], [0, 1])], Axis("x", 0, 1), Axis("y", 0, 1)))
    (x0, y0), (x1, y1) = (tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path))
    assert x1 > x0
    assert y1 < y0  # SVG counts downwards


@pytest.mark.parametrize("values", [[], [NAN, NAN], [None], [INF]])
def test_nothing_to_draw_says_so(values):
    xs = list(range(len(values)))
    assert texts(line_chart("l", [Series("a", xs, values)], X, Y)) == ["no values to draw"]
    assert texts(scatter_chart("l", xs, values, X, Y)) == ["no values to draw"]
    assert texts(interval_chart("l", [Dot("a", value) for value in values], X)) == ["no values to draw"]
    assert texts(reliability_chart("l", [Bin(v, v, None, None, 1) for v in values])) == ["no values to draw"]
    assert texts(bar_chart("l", [Part("a", NAN, "") for _ in values])) == ["no values to draw"]
    assert texts(strip_chart("l", [Part("a", 0, "0")])) == ["no values to draw"]
    assert texts(heat_map("l", [], [])) == ["no values to draw"]


def test_a_constant_line_and_a_single_point_are_drawn():
    assert paths(line_chart("l", [Series("a", [1, 2], [5, 5])], X, Y))
    one = read(line_chart("l", [Series("a", [1], [0.3])], Axis("epoch", whole=True), Y))
    assert len(list(one.iter(SVG + "circle"))) == 1
    assert "1" in [node.text for node in one.iter(SVG + "text")]


def test_whole_axes_have_whole_ticks():
    shown = texts(line_chart("l", [Series("a", [1, 2, 3], [0.1, 0.2, 0.3])], Axis("epoch", whole=True), Axis("loss")))
    assert [text for text in shown if text in {"1", "2", "3"}] == ["1", "2", "3"]
    assert "1.5" not in shown


def test_the_legend_names_lines_only_where_there_is_more_than_one():
    two = [Series("one", [0, 1], [0, 1]), Series("two", [0, 1], [1, 0], 1)]
    assert {"one", "two"} <= set(texts(line_chart("l", two, X, Y)))
    assert "one" not in texts(line_chart("l", two[:1], X, Y))
    assert "two" not in texts(line_chart("l", [two[0], Series("two", [0, 1], [1, 0], quiet=True)], X, Y))


def test_long_lines_are_thinned_and_keep_their_ends():
    xs = list(range(10_000))
    (path,) = paths(line_chart("l", [Series("a", xs, xs)], Axis("x", 0, 9_999), Axis("y", 0, 9_999)))
    steps = re.findall(r"[ML]([\d.]+)", path)
    assert len(steps) <= 260
    (short,) = paths(line_chart("l", [Series("a", [0, 9_999], [0, 9_999])], Axis("x", 0, 9_999), Axis("y", 0, 9_999)))
    assert [steps[0], steps[-1]] == re.findall(r"[ML]([\d.]+)", short)


def test_the_mark_is_drawn_with_its_word():
    series = [Series("a", [1, 2, 3], [3, 2, 1])]
    assert "kept: epoch 2" in texts(line_chart("l", series, X, Y, marks=[Mark(2, "kept: epoch 2")]))
    assert "kept: epoch 9" not in texts(line_chart("l", series, X, Y, marks=[Mark(9, "kept: epoch 9")]))


@given(st.lists(st.tuples(numbers, numbers), max_size=30))
def test_any_numbers_give_a_well_formed_line_inside_the_frame(pairs):
    svg = line_chart("any", [Series("a", [x for x, _ in pairs], [y for _, y in pairs])], X, Y)
    root = read(svg)
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for path in paths(svg):
        for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path):
            assert -1 <= float(x) <= width + 1
            assert -1 <= float(y) <= height + 1


@given(st.text(max_size=40))
def test_any_name_gives_a_well_formed_picture(name):
    read(interval_chart(name or "x", [Dot(name, 0.5, 0.4, 0.6, "network")], Axis(name)))
    read(heat_map(name or "x", [[1, 2], [3, 4]], [name, name + "2"]))
    read(strip_chart(name or "x", [Part(name, 1, name)]))
    read(bar_chart(name or "x", [Part(name, 1, "1 s")]))


def test_interval_chart_shapes_tell_the_kinds():
    dots = [
        Dot("net", 0.9, 0.88, 0.92, "network"),
        Dot("trees", 0.91, 0.89, 0.93),
        Dot("paper", 0.93, kind="reference"),
    ]
    root = read(interval_chart("l", dots, Axis("AUROC")))
    assert [node.get("class") for node in root.iter(SVG + "circle")] == ["network"]
    assert [node.get("class") for node in root.iter(SVG + "rect")] == ["baseline"]
    assert [node.get("class") for node in root.iter(SVG + "path")] == ["reference"]
    assert {"0.9000", "0.9100", "0.9300"} <= {node.text for node in root.iter(SVG + "text")}
    whiskers = [node for node in root.iter(SVG + "line") if "whisker" in (node.get("class") or "")]
    assert len(whiskers) == 6  # a bar and two ends, for the two that have an interval


def test_one_far_value_becomes_an_arrow_and_keeps_its_number():
    dots = [
        Dot("net", 0.915, 0.911, 0.919, "network"),
        Dot("majority", 0.5, 0.5, 0.5),
        Dot("trees", 0.926, 0.922, 0.930),
    ]
    shown = texts(interval_chart("l", dots, Axis("AUROC")))
    assert "far off the scale" in shown
    assert "0.5000" in shown
    near = [Dot("net", 0.7, kind="network"), Dot("majority", 0.5), Dot("trees", 0.9)]
    assert "far off the scale" not in texts(interval_chart("l", near, Axis("AUROC")))
    ranks = [Dot("a", 1.5, 1.0, 2.0, "network"), Dot("b", 1.5, 1.0, 2.0), Dot("c", 3.0, 3.0, 3.0)]
    assert "far off the scale" not in texts(interval_chart("l", ranks, Axis("mean rank", low=1.0, high=3.0)))


def test_a_row_without_a_value_says_so():
    shown = texts(interval_chart("l", [Dot("net", 0.9, kind="network"), Dot("trees", None)], X))
    assert "not defined on these rows" in shown


def test_heat_map_counts_and_row_shares():
    root = read(heat_map("l", [[90, 10], [0, 50]], ["no", "yes"]))
    shown = [(node.text or "").replace("\u202f", " ") for node in root.iter(SVG + "text")]
    assert [text for text in shown if text in {"90", "10", "0", "50"}] == ["90", "10", "0", "50"]
    assert [text for text in shown if "%" in text] == ["90 %", "10 %", "0 %", "100 %"]
    kinds = [node.get("class") for node in root.iter(SVG + "rect") if node.get("class") != "cell"]
    assert kinds == ["right", "wrong", "right"]


def test_a_row_without_cases_has_no_shade():
    root = read(heat_map("l", [[0, 0], [1, 9]], ["a", "b"]))
    assert [node.get("class") for node in root.iter(SVG + "rect")].count("wrong") == 1


def test_a_large_heat_map_tells_the_share_of_a_cell():
    size = 26
    cells = [[8 if i == j else 2 if j == (i + 1) % size else 0 for j in range(size)] for i in range(size)]
    root = read(heat_map("l", cells, [chr(65 + i) for i in range(size)]))
    told = [(node.text or "").replace("\u202f", " ") for node in root.iter(SVG + "title")]
    assert told[:2] == ["A predicted as A: 8, 80 % of the class", "A predicted as B: 2, 20 % of the class"]
    assert "wide" in (root.get("class") or "")


def test_scatter_leaves_out_what_is_not_finite():
    root = read(scatter_chart("l", [1, 2, NAN, 4], [1, 2, 3, INF], X, Y, diagonal=True))
    assert len(list(root.iter(SVG + "circle"))) == 2


def test_strip_parts_are_as_long_as_their_shares():
    root = read(strip_chart("l", [Part("train", 70, "70"), Part("valid", 20, "20"), Part("test", 10, "10")], width=500))
    bars = [float(node.get("width") or 0) for node in root if node.tag == SVG + "rect"]
    assert bars == [348, 98, 48]  # a gap of 2 px each


def test_bars_are_as_long_as_their_values():
    root = read(bar_chart("l", [Part("read", 1.0, "1 s"), Part("train", 4.0, "4 s")]))
    short, long = (float(node.get("width") or 0) for node in root.iter(SVG + "rect"))
    assert long == pytest.approx(4 * short, abs=0.5)


def test_reliability_points_have_intervals_and_rows():
    bins = [Bin(0.1, 0.12, 0.08, 0.16, 1_000), Bin(0.9, 0.85, 0.7, 0.95, 100)]
    root = read(reliability_chart("l", bins))
    assert len(list(root.iter(SVG + "circle"))) == 2
    assert sum("whisker" in (node.get("class") or "") for node in root.iter(SVG + "line")) == 2
    tall, low = (float(node.get("height") or 0) for node in root.iter(SVG + "rect"))
    assert tall == pytest.approx(10 * low, abs=0.5)
